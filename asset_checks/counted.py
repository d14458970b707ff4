"""What is really there: rows and repeated keys of tables by date, counted in PostgreSQL and in the lake."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

import duckdb
from psycopg import sql

from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.resolve import ResolvedTarget
from resources.lake import duckdb_source
from resources.lake_handles import opened

_Row = tuple[Any, ...]
"""Table, date, rows, distinct keys."""
_PRIMARY_KEYS = b"""
SELECT name, ARRAY(
    SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
    WHERE i.indrelid = to_regclass(name) AND i.indisprimary
) FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL
"""
"""The tables that are there and the columns of their primary keys: PostgreSQL itself lets no such key be repeated."""
Figures = dict[date | None, tuple[int, int]]
"""Rows and distinct keys by date."""


@dataclass
class TableCounts:
    """One table counted in both places."""

    postgres: Figures = field(default_factory=dict)
    delta: Figures = field(default_factory=dict)


def count_tables(
    stores: Stores, lake: str, targets: Sequence[ResolvedTarget], dates: Sequence[date | None]
) -> dict[str, TableCounts]:
    """Count the rows and distinct keys of these dates in both places, by table; a missing table has no rows.

    All rows of a table without partition column are of the date None.
    """
    found = {t.name: TableCounts() for t in targets}
    with ThreadPoolExecutor(1, "count") as other:
        counting = other.submit(_in_postgres, stores, targets, dates)
        for name, day, rows, keys in _in_lake(lake, targets, dates):
            found[name].delta[day] = (rows, keys)
        for name, day, rows, keys in counting.result():
            found[name].postgres[day] = (rows, keys)
    return found


def _in_postgres(stores: Stores, targets: Sequence[ResolvedTarget], dates: Sequence[date | None]) -> list[_Row]:
    listed = [d for d in dates if d is not None]
    queries = []
    with stores.postgres.transaction() as connection:
        found = connection.execute(_PRIMARY_KEYS, [[t.name for t in targets]]).fetchall()
        primary = {str(name): {*columns} for name, columns in found}
        for target in (t for t in targets if t.name in primary):
            day: sql.Composable = sql.Identifier(target.partition) if target.partition else sql.SQL("NULL::date")
            within = sql.SQL("{} = ANY({})").format(day, sql.Literal(listed)) if target.partition else sql.SQL("true")
            key = sql.SQL(", ").join(sql.Identifier(name) for name in target.key)
            unique = bool(primary[target.name]) and primary[target.name] <= {*target.key}
            keys = sql.SQL("count(*)") if unique else sql.SQL("count(DISTINCT ({}))").format(key)
            query = "SELECT {0}, {1}, count(*), {2} FROM {3} WHERE {4} GROUP BY 2"
            table = sql.Identifier(*target.name.split("."))
            queries.append(sql.SQL(query).format(sql.Literal(target.name), day, keys, table, within))
        if not queries:
            return []
        return [*connection.execute(sql.SQL(" UNION ALL ").join(queries)).fetchall()]


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """Return the database that counts, opened once in a process: that takes longer than counting a table."""
    return duckdb.connect(config={"threads": 2})


def _in_lake(lake: str, targets: Sequence[ResolvedTarget], dates: Sequence[date | None]) -> list[_Row]:
    listed = ", ".join(f"DATE '{d.isoformat()}'" for d in dates if d is not None)
    queries = []
    with ExitStack() as stack:
        database = stack.enter_context(_database().cursor())
        for target in targets:
            table = stack.enter_context(opened(lake, target.name))
            source = None if table is None else duckdb_source(database, table)
            if source is None:
                continue
            day = f'"{target.partition}"' if target.partition else "NULL::DATE"
            key = ", ".join(f'"{name}"' for name in target.key)
            within = f"{day} IN ({listed})" if target.partition else "true"
            query = f"SELECT '{target.name}', {day}, count(*), count(DISTINCT ({key}))"
            queries.append(f"{query} FROM {source} WHERE {within} GROUP BY 2")
        return database.execute(" UNION ALL ".join(queries)).fetchall() if queries else []
