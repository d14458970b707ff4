"""A writer that has merged half of what it will, and a check beside it that should wait for the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from resources.postgres import Postgres

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds after which a test fails rather than waits on."""


def waiting(postgres: Postgres) -> int:
    """How many sessions wait for a lock of a scope in this database now."""
    query = (
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
        "WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
    )
    with postgres.transaction() as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def checked_beside(postgres: Postgres, mapping: str, scope: str, rest: str, check: Callable[[], T]) -> T:
    """Run a check while a writer holds the lock of a scope; once the check waits, merge the rest and let go.

    Fails when the check gives an answer without having waited.
    """
    started = threading.Event()

    def checking() -> T:
        started.set()
        return check()

    with ThreadPoolExecutor(1) as threads:
        with postgres.scope_locks(mapping, [scope]):
            answer = threads.submit(checking)
            started.wait(PATIENCE)
            until = time.monotonic() + PATIENCE
            while not waiting(postgres):
                assert not answer.done(), f"the check did not wait: {answer.result()}"
                assert time.monotonic() < until, "the check neither waits nor answers"
                time.sleep(0.01)
            with postgres.transaction() as connection:
                assert connection.execute(rest.encode()).rowcount > 0, rest
        return answer.result(PATIENCE)
