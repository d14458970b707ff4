"""Tables of the platform's own: created when they are first used, by one creator at a time."""

from __future__ import annotations

from collections.abc import Iterable

from resources.postgres import Connection, Postgres, lock_key


def table_exists(connection: Connection, table: str) -> bool:
    """Return whether there is a table or view `schema.table`."""
    return bool(tables_there(connection, [table]))


def tables_there(connection: Connection, tables: Iterable[str]) -> set[str]:
    """Return those of the tables and views `schema.table` that are there."""
    query = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"
    return {str(row[0]) for row in connection.execute(query, (list(tables),))}


def column_exists(connection: Connection, table: str, column: str) -> bool:
    """Return whether there is a table `schema.table` with this column."""
    query = "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s)"
    found = connection.execute(query, (table, column)).fetchone()
    return bool(found and found[0])


def lock_ddl(connection: Connection) -> None:
    """Wait until no other transaction creates or alters tables of ours; held to the end of the transaction.

    One lock for all of them: they create the same schemas, and two creators of one schema would clash.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key("platform", "ddl"),))


class OwnTables:
    """Some tables and the statements that create them; `latest` is the one that is created last."""

    def __init__(self, postgres: Postgres, latest: str, create: str) -> None:
        self._postgres, self._latest, self._create = postgres, latest, create
        self._ready = False

    def ensure(self) -> None:
        """Create the tables where they are missing; costs nothing after the first call."""
        if self._ready:
            return
        with self._postgres.transaction() as connection:
            if not table_exists(connection, self._latest):
                lock_ddl(connection)
                if not table_exists(connection, self._latest):  # another creator may have been first
                    connection.execute(self._create.encode())
        self._ready = True
