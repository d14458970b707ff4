"""The stored row that a passport is of: found by its key in PostgreSQL and in the lake, or why there is none."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg import sql

from mlb_platform.lineage.values import cast
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.mapping.resolve import Column, ResolvedMapping, ResolvedTarget
from resources.errors import PlatformError
from resources.lake import open_table, read_table, sink_id
from resources.merge import TRANSFORM_TIMESTAMP
from resources.own_tables import table_exists
from resources.postgres import Connection

_SHOWN = 10


class NoPassport(PlatformError):
    """Something was asked for that there is not; says what there is instead."""


class AskedWrongly(PlatformError):
    """A table, column or key that no mapping has; says which there are."""


@dataclass(frozen=True)
class DeltaVersions:
    """The version of a Delta table whose commit wrote a row, the newest one, and whether that holds the same row."""

    written: int | None
    current: int | None
    same: bool | None


def find_target(registry: MappingRegistry, table: str) -> tuple[ResolvedMapping, ResolvedTarget]:
    """Return a table and its mapping; raise AskedWrongly for one that no mapping provides."""
    for mapping in registry.mappings.values():
        if table in mapping.by_name:
            return mapping, mapping.by_name[table]
        for view in mapping.config.views:
            if view.name == table:
                raise AskedWrongly(f"{table} is a view: ask for the row of {view.table} that it shows")
    known = sorted(t for m in registry.mappings.values() for t in m.by_name)
    close = difflib.get_close_matches(table, known, 4, 0.6)
    raise AskedWrongly(f"no mapping has a table {table}; {'close to it' if close else 'there are'}: "
                       f"{', '.join(close or known)}")  # fmt: skip


def parse_key(target: ResolvedTarget, given: Sequence[str]) -> dict[str, Any]:
    """Return the key that `column=value` texts say; raise AskedWrongly for what is missing, too much or of no fit."""
    texts: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name in texts:
            raise AskedWrongly(f"{text!r} is no column=value" if not equals else f"{name} is given twice")
        texts[name] = value
    key = ", ".join(target.key)
    for name in texts:
        if name not in target.key:
            what = "is no column" if name not in target.by_name else "is not in the key"
            raise AskedWrongly(f"{name} {what} of {target.name}: a row is named by {key}")
    missing = [name for name in target.key if name not in texts]
    if missing:
        example = " ".join(f"{name}=…" for name in missing)
        raise AskedWrongly(f"a row of {target.name} is named by {key}: also give {example}")
    found = {}
    for name in target.key:
        kind = target.by_name[name].type
        found[name] = cast(texts[name], kind)
        if found[name] is None:
            raise AskedWrongly(f"{name}={texts[name]}: {texts[name]!r} is no {kind}")
    return found


def key_text(key: Mapping[str, Any]) -> str:
    """Write a key as it is given on the command line."""
    return " ".join(f"{name}={value}" for name, value in key.items())


def _having(key: Mapping[str, Any]) -> sql.Composed:
    """Return the condition of rows with these values; the values are to follow as parameters."""
    conditions = [sql.SQL("{} = {}").format(sql.Identifier(n), sql.Placeholder()) for n in key]
    return sql.SQL(" AND ").join([sql.SQL("true").format(), *conditions])


def fetch_rows(connection: Connection, target: ResolvedTarget, key: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the stored rows that have these values in these columns."""
    names = [c.name for c in target.columns]
    # as text: what jsonb makes of a document's numbers and spaces is not the document's own
    listed = sql.SQL(", ").join(
        sql.SQL("{}::text").format(sql.Identifier(c.name)) if c.type.name == "JSONB" else sql.Identifier(c.name)
        for c in target.columns
    )
    query = sql.SQL("SELECT {} FROM {} WHERE {}").format(listed, sql.Identifier(*target.name.split(".")), _having(key))
    return [dict(zip(names, row, strict=True)) for row in connection.execute(query, list(key.values()))]


def stored_row(connection: Connection, target: ResolvedTarget, key: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with a key; raise NoPassport that says how far the key matches rows there are."""
    if not table_exists(connection, target.name):
        raise NoPassport(f"there is no table {target.name} yet: run `mlb materialize` first")
    have = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(*target.name.split("."))))
    lacking = [c.name for c in target.columns if c.name not in {d.name for d in have.description or ()}]
    if lacking:
        raise NoPassport(
            f"{target.name} has no column {', '.join(lacking)} yet, which the mapping has now: run `mlb materialize`"
        )
    rows = fetch_rows(connection, target, key)
    if rows:
        return rows[0]
    names = list(key)
    for count in range(len(names) - 1, -1, -1):
        some = {n: key[n] for n in names[:count]}
        values, rows_there = _values_of(connection, target, some, names[count])
        if values:
            of = f"with {key_text(some)} there are {rows_there}" if some else f"it has {rows_there}"
            more = ", …" if len(values) > _SHOWN else ""
            listed = ", ".join(map(str, values[:_SHOWN])) + more
            raise NoPassport(f"{target.name} has no row {key_text(key)}; {of}, of {names[count]} {listed}")
    raise NoPassport(f"{target.name} has no row {key_text(key)}: it is empty")


def _values_of(
    connection: Connection, target: ResolvedTarget, some: Mapping[str, Any], column: str
) -> tuple[list[Any], int]:
    where = _having(some)
    name, table = sql.Identifier(column), sql.Identifier(*target.name.split("."))
    distinct = sql.SQL("SELECT DISTINCT {} FROM {} WHERE {} ORDER BY 1 LIMIT {}").format(
        name, table, where, sql.Literal(_SHOWN + 1)
    )
    counted = connection.execute(
        sql.SQL("SELECT count(*) FROM {} WHERE {}").format(table, where), list(some.values())
    ).fetchone()
    values = [row[0] for row in connection.execute(distinct, list(some.values()))]
    return values, int(counted[0]) if counted else 0


def delta_versions(connection: Connection, lake: str, target: ResolvedTarget, row: Mapping[str, Any]) -> DeltaVersions:
    """Return which version of its Delta table wrote a stored row, by what the row there says of its own time."""
    table = open_table(lake, target.name)
    if table is None:
        return DeltaVersions(None, None, None)
    columns = [c for c in target.columns if not c.technical]
    where = " AND ".join(f"{n} = {_literal(row[n])}" for n in target.key)
    rows = read_table(table, [*(c.name for c in columns), TRANSFORM_TIMESTAMP], where).to_pylist()
    same = len(rows) == 1 and all(_equal(rows[0][c.name], row[c.name], c) for c in columns)
    if not rows:
        return DeltaVersions(None, table.version(), same)
    # rows get their time when they are worked out; the next merge of their scope that changed anything wrote them
    written = connection.execute(
        "SELECT version FROM quality.merge_history WHERE sink = %s AND table_name = %s AND scope = %s AND changed "
        "AND merged_at >= %s ORDER BY seq LIMIT 1",
        (sink_id(table), target.name, str(row[target.scope]), rows[0][TRANSFORM_TIMESTAMP]),
    ).fetchone()
    return DeltaVersions(None if written is None else written[0], table.version(), same)


def _literal(value: Any) -> str:
    if isinstance(value, bool | int | float | Decimal):
        return str(value).lower()
    text = str(value).replace("'", "''")
    return f"'{text}'"


def _equal(one: Any, other: Any, column: Column) -> bool:
    if column.type.name == "JSONB" and one is not None and other is not None:
        return bool(json.loads(one) == json.loads(other))
    return bool(one == other)
