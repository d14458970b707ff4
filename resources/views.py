"""Views with one row a key of a table: the same SQL in PostgreSQL and over the lake."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from psycopg import sql

from resources.own_tables import lock_ddl
from resources.postgres import Postgres


@dataclass(frozen=True)
class ViewSpec:
    """One row a `key` of `table`: the first by `order_by` (`column`, or `-column` for descending, NULLs last)."""

    name: str
    table: str
    key: tuple[str, ...]
    order_by: tuple[str, ...]
    description: str = ""


def view_query(spec: ViewSpec, columns: tuple[str, ...]) -> str:
    """Return the SELECT of a view over the table's columns, in a SQL that PostgreSQL and DuckDB both speak."""
    listed = ", ".join(_quoted(c) for c in columns)
    order = ", ".join(_direction(c) for c in spec.order_by)
    keys = ", ".join(_quoted(c) for c in spec.key)
    table = ".".join(_quoted(part) for part in spec.table.split("."))
    return (
        f"SELECT {listed} FROM (SELECT *, row_number() OVER (PARTITION BY {keys} ORDER BY {order}) AS view_row_number "
        f"FROM {table}) ranked WHERE view_row_number = 1"
    )


def _direction(column: str) -> str:
    return _quoted(column.removeprefix("-")) + (" DESC" if column.startswith("-") else "") + " NULLS LAST"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def ensure_view(postgres: Postgres, spec: ViewSpec) -> None:
    """Create a view in PostgreSQL, or anew where its table or definition has changed; the table is there."""
    schema, name = spec.name.split(".")
    with postgres.transaction() as connection:
        found = connection.execute(
            "SELECT column_name::text FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
            "ORDER BY ordinal_position",
            spec.table.split("."),
        ).fetchall()
        query = view_query(spec, tuple(row[0] for row in found))
        mark = f"{spec.description} [{hashlib.sha256(query.encode()).hexdigest()[:16]}]"
        known = connection.execute("SELECT obj_description(to_regclass(%s), 'pg_class')", [spec.name]).fetchone()
        if known is not None and known[0] == mark:
            return
        lock_ddl(connection)
        view = sql.Identifier(schema, name)
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        connection.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(view))
        connection.execute(sql.SQL("CREATE VIEW {} AS {}").format(view, sql.SQL(query)))
        connection.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(view, sql.Literal(mark)))
