"""A Dagster run of one op in this process, and what is raised when it fails."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from dagster import (
    AssetCheckEvaluation,
    DagsterInstance,
    ExecuteInProcessResult,
    JobDefinition,
    OpExecutionContext,
    job,
    op,
)

from mlb_platform.dagster_home import open_instance
from mlb_platform.platform import Platform
from resources.dagster_launcher import HOST_TAG, this_host
from resources.errors import PlatformError

CheckProgress = Callable[[AssetCheckEvaluation], None]
"""Called with every verdict."""


class RunFailed(PlatformError):
    """A run that ended with an error; what was merged before it stays, and is recorded."""


@dataclass
class _Failure:
    """Keeps the error that ended the work, on its way to Dagster."""

    error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None and not isinstance(error, GeneratorExit):
            self.error = error


def run_in_process(
    platform: Platform,
    name: str,
    op_name: str,
    run: Callable[[OpExecutionContext], Iterator[Any]],
    tags: Mapping[str, str],
    instance: DagsterInstance | None = None,
) -> None:
    """Run `run` as the op of a Dagster run in this process; `instance`: None opens the platform's for this call.

    `name` and `op_name` say what the run is called, `tags`, `mapping` among them, what it is about. Raises RunFailed,
    or the PlatformError that ended it.
    """
    failure = _Failure()

    def guarded(context: OpExecutionContext) -> Iterator[Any]:
        with failure:
            yield from run(context)

    with _opened(platform, instance) as opened:
        result = _job(name, op_name, guarded).execute_in_process(
            instance=opened,
            raise_on_error=False,
            tags={**tags, HOST_TAG: this_host()},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    if not result.success:
        raise _failed(failure.error, tags["mapping"], result)


def _job(name: str, op_name: str, run: Callable[[OpExecutionContext], Iterator[Any]]) -> JobDefinition:
    @op(name=op_name)
    def work(context: OpExecutionContext) -> Iterator[Any]:
        yield from run(context)

    @job(name=f"command_{name}")
    def command() -> None:
        work()

    return command


def _opened(platform: Platform, instance: DagsterInstance | None) -> AbstractContextManager[DagsterInstance]:
    return nullcontext(instance) if instance is not None else open_instance(platform.settings, platform.postgres)


def _failed(error: BaseException | None, mapping: str, result: ExecuteInProcessResult) -> BaseException:
    """Return what to raise for a failed run: the platform's own error as it is, any other with the run to look at."""
    if isinstance(error, PlatformError | KeyboardInterrupt):
        return error
    failures = [e.step_failure_data.error_display_string for e in result.all_events if e.is_step_failure]
    lines = [line.strip() for text in failures for line in text.splitlines() if line.strip()]
    told = f"{type(error).__name__}: {error}" if error is not None else " ".join(lines[:3])
    failed = RunFailed(f"materializing {mapping} failed in run {result.run_id}: {' '.join(told.split())[:400]}")
    failed.__cause__ = error
    return failed
