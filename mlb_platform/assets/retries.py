"""Which failures of a run are tried again: what passes by itself (a restart, a conflict), never bad data.

Within the run a step is tried again a few times, as the database comes back in seconds. What needs another process (a
lost Spark) or longer is left to the sensor, which requests the date again; but not where the run says that it will
fail in the same way: a refused change of a table, a mapping that does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from dagster import RetryRequested
from deltalake.exceptions import CommitFailedError

from mlb_platform.dagster_home import PERMANENT_TAG
from resources.errors import PlatformError

RETRIES = 3
FIRST_WAIT_SECONDS = 3.0
_LASTING = (psycopg.errors.DiskFull, psycopg.errors.InvalidPassword, psycopg.errors.InvalidCatalogName)
_SPARK_LOST = ("Py4JNetworkError", "Py4JError", "SparkConnectGrpcException")


def causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and those it came from."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def is_transient(error: BaseException) -> bool:
    """Tell whether the same step may succeed a little later in this process."""
    chain = list(causes(error))
    if any(isinstance(e, _LASTING) or "refuses this user" in str(e) or "no such database" in str(e) for e in chain):
        return False
    return any(isinstance(e, psycopg.OperationalError | CommitFailedError) for e in chain)


def fails_again(error: BaseException) -> bool:
    """Tell whether a failure is of what was asked for or of the data, so that another process fails as well."""
    chain = list(causes(error))
    if is_transient(error) or any(isinstance(e, OSError | psycopg.Error) for e in chain):
        return False
    lost = any(type(e).__name__ in _SPARK_LOST for e in chain)
    return isinstance(error, PlatformError) and not lost


@contextmanager
def tried_again(context: Any) -> Iterator[None]:
    """Have the step of `context` tried again where a failure is transient, and mark the run where it will fail again.

    `context` is that of the computation, also where the failure comes from merging its output.
    """
    try:
        yield
    except Exception as error:
        if is_transient(error):
            wait = FIRST_WAIT_SECONDS * 2**context.retry_number
            context.log.warning("failed and is tried again in %s s: %s", wait, " ".join(str(error).split())[:300])
            raise RetryRequested(max_retries=RETRIES, seconds_to_wait=wait) from error
        if fails_again(error):
            context.instance.add_run_tags(context.run.run_id, {PERMANENT_TAG: "true"})
        raise
