"""Connections, transactions and locks of one PostgreSQL database, embedded or external."""

from __future__ import annotations

import hashlib
import select
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from resources.embedded_postgres import EmbeddedPostgres
from resources.errors import PlatformError

MINIMUM_VERSION = 17
Connection = psycopg.Connection[tuple[Any, ...]]
_WHILE_HOLDING = {"idle_session_timeout": 0, "tcp_keepalives_idle": 60, "lock_timeout": 0, "statement_timeout": 0}
"""A session that holds locks is idle, and a dead client's machine must not hold them for hours."""
_HOLDING = "".join(f"SET {name} = {value}; " for name, value in _WHILE_HOLDING.items()).encode()
_HOLDING_NO_MORE = "".join(("SELECT pg_advisory_unlock_all(); ", *(f"RESET {n}; " for n in _WHILE_HOLDING))).encode()


class DatabaseError(PlatformError):
    """The database cannot be reached or used."""


class Postgres:
    """One database by its URL; safe to share between threads, and cheap to make: it connects when it is used.

    Idle connections are kept and used again. There is no pool thread, so a failure to connect is told at once, with its
    reason, and nothing needs stopping at exit.
    """

    def __init__(self, url: str, *, keep: int = 8) -> None:
        self.url = url
        self._keep = keep
        self._idle: list[Connection] = []
        self._guard = threading.Lock()
        self._identity: str | None = None

    def __repr__(self) -> str:
        return f"Postgres({self.place})"

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "_keep": self._keep}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["url"], keep=state["_keep"])  # type: ignore[misc]

    @property
    def place(self) -> str:
        """The host, port and database, without user and password."""
        try:
            values = conninfo_to_dict(self.url)
        except psycopg.ProgrammingError:
            return "the database URL"
        return f"{values.get('host', 'localhost')}:{values.get('port', 5432)}/{values.get('dbname', '')}"

    @contextmanager
    def connect(self, *, autocommit: bool = False) -> Iterator[Connection]:
        """Open a connection of its own and close it at the end; without `autocommit`, commit or roll back.

        Raises DatabaseError when the server does not answer, refuses, or is too old.
        """
        connection = self._open(autocommit=autocommit)
        with self._told(), connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a kept connection with a transaction: committed at the end, rolled back on an exception."""
        connection = self._checkout()
        try:
            with self._told(), connection.transaction():
                yield connection
        finally:
            self._give_back(connection)

    @contextmanager
    def scope_locks(self, namespace: str, scopes: Iterable[str]) -> Iterator[None]:
        """Hold the lock of every scope of `namespace`, waiting for other holders.

        The locks belong to a session that nothing else uses meanwhile: they go at the end, or when this process dies,
        however it dies. They are taken in one order everywhere, so two holders of overlapping scopes never wait for
        each other. They are not reentrant: a holder that asks again waits for itself. Raises DatabaseError when the
        session was lost meanwhile.
        """
        keys = sorted({lock_key(namespace, scope) for scope in scopes})
        if not keys:
            yield
            return
        connection = self._checkout()
        try:
            with self._told():
                connection.execute(_HOLDING)
                connection.execute("SELECT count(pg_advisory_lock(k)) FROM unnest(%s::bigint[]) AS k", [keys])
                yield
                try:
                    connection.execute(_HOLDING_NO_MORE)
                except psycopg.OperationalError as error:
                    raise DatabaseError(
                        f"the locks in {self.place} were lost while they were needed (the connection broke): "
                        "run it again"
                    ) from error
        except BaseException:
            connection.close()  # and with it go the locks
            raise
        self._give_back(connection)

    def identity(self) -> str:
        """Return the cluster's system identifier: it tells a restored or replaced server from the one known before."""
        if self._identity is None:
            with self.transaction() as connection:
                row = connection.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone()
            assert row is not None
            self._identity = str(row[0])
        return self._identity

    def close(self) -> None:
        """Close the idle connections; the object stays usable."""
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _open(self, *, autocommit: bool) -> Connection:
        try:
            given = with_options(self.url, "-c timezone=UTC") | {"connect_timeout": 10, "application_name": "mlb"}
            connection = psycopg.connect(**given, autocommit=autocommit)
        except psycopg.OperationalError as error:
            raise DatabaseError(self._why(error)) from error
        except psycopg.ProgrammingError as error:
            raise DatabaseError(
                "MLB_DATABASE_URL is no database URL: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
            ) from error
        version = connection.info.server_version
        if version < MINIMUM_VERSION * 10000:
            connection.close()
            raise DatabaseError(
                f"PostgreSQL at {self.place} is version {version // 10000} and {MINIMUM_VERSION} or newer is needed: "
                "upgrade it, or unset MLB_DATABASE_URL to use the embedded one"
            )
        return connection

    def _why(self, error: psycopg.OperationalError) -> str:
        text = str(error)
        if "password authentication failed" in text or "no pg_hba.conf entry" in text or "no password supplied" in text:
            return f"PostgreSQL at {self.place} refuses this user or password: check MLB_DATABASE_URL"
        if "database" in text and "does not exist" in text:
            return f"PostgreSQL at {self.place} has no such database: create it, or correct MLB_DATABASE_URL"
        if "too many clients" in text or "connection slots are reserved" in text:
            return f"PostgreSQL at {self.place} has no free connection: stop other commands, or raise max_connections"
        if "starting up" in text or "shutting down" in text or "recovery mode" in text:
            return f"PostgreSQL at {self.place} is starting or stopping: try again in a moment"
        return (
            f"PostgreSQL at {self.place} does not answer: start it (the embedded one starts with the next command), or "
            "unset MLB_DATABASE_URL to use the embedded one"
        )

    def _checkout(self) -> Connection:
        while True:
            with self._guard:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._open(autocommit=True)
            if _is_fresh(connection):
                return connection
            connection.close()

    def _give_back(self, connection: Connection) -> None:
        if not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE:
            with self._guard:
                if len(self._idle) < self._keep:
                    self._idle.append(connection)
                    return
        connection.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what may befall any statement (the server went away, the disk is full) into one clear line."""
        try:
            yield
        except psycopg.errors.DiskFull as error:
            raise DatabaseError(
                f"the disk of PostgreSQL at {self.place} is full: free some space, run it again; nothing is half done"
            ) from error
        except psycopg.errors.ReadOnlySqlTransaction as error:
            raise DatabaseError(f"PostgreSQL at {self.place} is read-only: use the primary server") from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseError(
                f"PostgreSQL at {self.place} does not permit this ({error.diag.message_primary}): grant it to this user"
            ) from error
        except psycopg.OperationalError as error:
            if error.sqlstate is None or isinstance(error, psycopg.errors.AdminShutdown | psycopg.errors.CrashShutdown):
                raise DatabaseError(
                    f"PostgreSQL at {self.place} went away at work: start it and run it again; nothing is half done"
                ) from error
            raise


def with_options(url: str, options: str) -> dict[str, Any]:
    """Return the parameters of a connection of `url` with these options of the session after its own.

    Raises psycopg.ProgrammingError for what is neither a database URL nor `name=value` pairs.
    """
    given = conninfo_to_dict(url)
    return {**given, "options": f"{given.get('options') or ''} {options}".strip()}


def _is_fresh(connection: Connection) -> bool:
    """Tell whether an idle connection still has a server at the other end, without asking it."""
    if connection.closed:
        return False
    waiting = select.poll()  # select() itself takes the first 1,024 files of a process only
    waiting.register(connection.fileno(), select.POLLIN)
    return not waiting.poll(0)  # an idle session has nothing to say but that it ends


def lock_key(namespace: str, scope: str) -> int:
    """Return the advisory lock of a scope: a signed 64-bit number, the same in every process."""
    digest = hashlib.blake2b(f"{namespace}\0{scope}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def open_postgres(database_url: str | None, data_dir: Path, log_dir: Path) -> Postgres:
    """Return the external database of `database_url`, or the embedded one in `data_dir`, started if need be.

    Raises DatabaseError or EmbeddedPostgresError when it does not answer.
    """
    if database_url is None:
        return Postgres(EmbeddedPostgres(data_dir, log_dir).ensure_running())
    postgres = Postgres(database_url)
    with postgres.transaction():
        pass
    return postgres
