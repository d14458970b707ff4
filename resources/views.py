"""Views with one row a key of a table: the same SQL in PostgreSQL and over the lake."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from resources.errors import PlatformError
from resources.own_tables import lock_ddl
from resources.postgres import Connection, Postgres


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
    """Create a view in PostgreSQL, or bring it to its table and definition where these have changed.

    The table is there. Views of others that read this one stay where it only gained columns; where it has to be made
    anew they are in the way: raise PlatformError, which names them.
    """
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
        create = sql.SQL("CREATE OR REPLACE VIEW {} AS {}").format(view, sql.SQL(query))
        try:
            with connection.transaction():
                connection.execute(create)
        except psycopg.errors.InvalidTableDefinition:  # more than columns added at the end
            _drop_view(connection, spec.name, view)
            connection.execute(create)
        except psycopg.errors.WrongObjectType as error:
            raise PlatformError(f"{spec.name} is a table, and a mapping has a view of that name: rename one") from error
        connection.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(view, sql.Literal(mark)))


@contextmanager
def own_views_aside(connection: Connection, table: str, columns: Sequence[str]) -> Iterator[None]:
    """Let the types of a table's columns be changed: PostgreSQL refuses it while a view reads them.

    Views that `ensure_view` made are dropped and made again as they were, with the rights on them, in the transaction
    of `connection`; a view of someone else is not touched: raise PlatformError, which names it.
    """
    aside = []
    for name, view, description, query in connection.execute(_READERS, (table, list(columns))).fetchall():
        if not _MARK.search(description or ""):
            raise PlatformError(
                f"{name} reads columns of {table} whose type has to change ({', '.join(columns)}), which PostgreSQL "
                "does not allow: drop it, run this again, and create it anew"
            )
        rights = connection.execute(_RIGHTS, (view,)).fetchall()
        identifier = sql.Identifier(*view)
        _drop_view(connection, name, identifier)
        aside.append((identifier, description, query, rights))
    yield
    for identifier, description, query, rights in aside:
        connection.execute(sql.SQL("CREATE VIEW {} AS {}").format(identifier, sql.SQL(query)))
        connection.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(identifier, sql.Literal(description)))
        for privilege, role, grantable in rights:
            connection.execute(
                sql.SQL("GRANT {} ON {} TO {}{}").format(
                    sql.SQL(privilege),
                    identifier,
                    sql.SQL("PUBLIC") if role is None else sql.Identifier(role),
                    sql.SQL(" WITH GRANT OPTION" if grantable else ""),
                )
            )


_MARK = re.compile(r" \[[0-9a-f]{16}\]$")
"""How the comments of views end that are ours."""
_READERS = """
SELECT DISTINCT v.oid::regclass::text, ARRAY[n.nspname::text, v.relname::text], obj_description(v.oid, 'pg_class'),
       rtrim(pg_get_viewdef(v.oid), ';')
FROM pg_depend d
JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
JOIN pg_class v ON v.oid = r.ev_class AND v.oid <> d.refobjid
JOIN pg_namespace n ON n.oid = v.relnamespace
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass(%s) AND a.attname = ANY(%s)
ORDER BY 1
"""
_RIGHTS = """
SELECT x.privilege_type, a.rolname::text, x.is_grantable
FROM pg_class v JOIN pg_namespace n ON n.oid = v.relnamespace CROSS JOIN aclexplode(v.relacl) x
LEFT JOIN pg_roles a ON a.oid = x.grantee
WHERE ARRAY[n.nspname::text, v.relname::text] = %s AND x.grantee <> v.relowner
"""


def _drop_view(connection: Connection, name: str, view: sql.Identifier) -> None:
    try:
        with connection.transaction():
            connection.execute(sql.SQL("DROP VIEW {}").format(view))
    except psycopg.errors.DependentObjectsStillExist as error:
        raise PlatformError(
            f"the view {name} has to be made anew, and others read it: {_first_line(error.diag.message_detail)}; "
            "drop what reads it, run this again, and create it anew"
        ) from error


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]
