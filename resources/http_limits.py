"""One rate for all workers on one database: whoever asks a server waits for a turn that PostgreSQL gives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql
from pyrate_limiter import Limiter, PostgresBucket, Rate

from resources.own_tables import lock_ddl, table_exists
from resources.postgres import Connection, Postgres

SCHEMA = "ingestion"


class _Pool:
    """What the limiter wants of a pool: connections, here with the limiter's tables in a schema of their own."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        with self._postgres.transaction() as connection:
            connection.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(SCHEMA)))
            yield connection


class SharedRate:
    """Turns at `per_second` in all, over every thread, process and machine that uses this database and `name`.

    Times are the database's. The rate is kept over a window of a second (longer for rates below one a second).
    """

    def __init__(self, postgres: Postgres, name: str, per_second: float) -> None:
        if per_second <= 0:
            raise ValueError(f"the rate is {per_second} a second: give more than 0")
        with postgres.transaction() as connection:
            if not table_exists(connection, f"{SCHEMA}.ratelimit___{name}"):
                lock_ddl(connection)
                connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
        turns = max(1, math.floor(per_second))
        rate = Rate(turns, math.ceil(1000 * turns / per_second))
        self._limiter = Limiter(PostgresBucket(_Pool(postgres), name, [rate]))  # type: ignore[arg-type]
        self._name = name

    def wait_turn(self) -> None:
        """Return when it is this caller's turn."""
        self._limiter.try_acquire(self._name)

    def close(self) -> None:
        """Stop the thread that forgets old turns."""
        self._limiter.close()
