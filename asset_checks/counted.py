"""What is really there: rows and repeated keys of tables by date, counted in PostgreSQL and in the lake."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import duckdb
from psycopg import sql

from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.resolve import ResolvedTarget
from resources.lake import dataset, open_table
from resources.own_tables import table_exists

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
    with duckdb.connect(config={"threads": 2}) as database, ThreadPoolExecutor(3, "count") as threads:
        counting = threads.submit(lambda: [_in_postgres(stores, t, dates) for t in targets])
        in_lake = list(threads.map(lambda t: _in_lake(database, lake, t, dates), targets))
        counts = zip(targets, counting.result(), in_lake, strict=True)
        return {t.name: TableCounts(in_postgres, delta) for t, in_postgres, delta in counts}


def _in_postgres(stores: Stores, target: ResolvedTarget, dates: Sequence[date | None]) -> Figures:
    day: sql.Composable = sql.Identifier(target.partition) if target.partition else sql.SQL("NULL::date")
    listed = [d for d in dates if d is not None]
    within = sql.SQL("{} = ANY({})").format(day, sql.Literal(listed)) if target.partition else sql.SQL("true")
    key = sql.SQL(", ").join(sql.Identifier(name) for name in target.key)
    query = sql.SQL("SELECT {0}, count(*), count(DISTINCT ({1})) FROM {2} WHERE {3} GROUP BY 1").format(
        day, key, sql.Identifier(*target.name.split(".")), within
    )
    with stores.postgres.transaction() as connection:
        if not table_exists(connection, target.name):
            return {}
        return {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(query)}


def _in_lake(
    database: duckdb.DuckDBPyConnection, lake: str, target: ResolvedTarget, dates: Sequence[date | None]
) -> Figures:
    table = open_table(lake, target.name)
    if table is None:
        return {}
    day = f'"{target.partition}"' if target.partition else "NULL::DATE"
    key = ", ".join(f'"{name}"' for name in target.key)
    listed = ", ".join(f"DATE '{d.isoformat()}'" for d in dates if d is not None)
    within = f"{day} IN ({listed})" if target.partition else "true"
    query = f"SELECT {day}, count(*), count(DISTINCT ({key})) FROM lake_table WHERE {within} GROUP BY 1"
    with database.cursor() as connection:
        connection.register("lake_table", dataset(table))
        rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}
