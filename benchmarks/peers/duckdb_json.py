"""DuckDB over the same raw rows: `from_json` into nested columns once, one query a table, COPY out.

DuckDB's PostgreSQL and Delta extensions are downloads at run time, so raw rows come by psycopg as Arrow, rows go by CSV
and COPY to PostgreSQL and by `deltalake` to the lake. Like `per_table_spark` it has no rules, no states and nothing but
an empty target; unlike it, every document is parsed once.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
from deltalake import write_deltalake

from benchmarks.peers.duckdb_sql import documents_sql, rows_sql
from benchmarks.peers.handwritten import NEWEST, READ
from benchmarks.peers.handwritten_tables import TABLES, HandTable
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.mapping.shape import document_tree

SCHEMA = "duckdb_json"
GAMES_AT_ONCE = 120
"""Documents that are in memory at the same time."""
_LINEAGE = """'{"source_table": "game.live_game_v1", "source_row_id": ' || raw_id || ', "transform_job": "duckdb"}'"""
_RAW = pa.schema([("raw_id", pa.int64()), ("captured_at", pa.timestamp("us", "UTC")), ("data", pa.string())])
_CHUNK = 1 << 20


class DuckDbJson:
    """The pipeline; tables go to the schema `duckdb_json` and to `lake`."""

    def __init__(self, url: str, mapping: ResolvedMapping, lake: Path) -> None:
        """`url` is that of the database with the raw rows, `mapping` that of the tables."""
        self._url, self._lake = url, lake
        targets = tuple(mapping.by_name[f"game.{table.name}"] for table in TABLES)
        self._mapping = replace(mapping, targets=targets)

    def prepare(self) -> None:
        """Create schema, tables and indexes."""
        with psycopg.connect(self._url) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
            for table in TABLES:
                connection.execute(table.ddl(SCHEMA))

    def place(self, table: str) -> str:
        """Return the path of a table (`game.` and its name) in the lake."""
        return str(self._lake / table.split(".")[1])

    def run(self, first: date, last: date) -> dict[str, float]:
        """Fill the tables with the newest captures of the games of these dates; return seconds by phase."""
        seconds = {"read and parse": 0.0, "tables": 0.0, "postgres": 0.0, "delta": 0.0}
        made = f"TIMESTAMPTZ '{datetime.now(UTC).isoformat()}'"
        found: dict[str, list[pa.Table]] = {table.name: [] for table in TABLES}
        with (
            tempfile.TemporaryDirectory() as folder,
            duckdb.connect() as engine,
            psycopg.connect(self._url, options="-c timezone=UTC") as connection,
        ):
            engine.execute("SET TimeZone = 'UTC'")
            raw_ids = [row[0] for row in connection.execute(NEWEST, (first, last))]
            for start in range(0, len(raw_ids), GAMES_AT_ONCE):
                begun = time.perf_counter()
                self._parse(engine, connection, raw_ids[start : start + GAMES_AT_ONCE])
                seconds["read and parse"] += time.perf_counter() - begun
                for table in TABLES:
                    begun = time.perf_counter()
                    query = rows_sql(self._mapping.by_name[f"game.{table.name}"], _LINEAGE, made)
                    engine.execute(
                        f"CREATE OR REPLACE TEMP TABLE made AS SELECT {', '.join(table.names)} FROM ({query})"
                    )
                    found[table.name].append(engine.sql("FROM made").to_arrow_table().cast(table.schema))
                    seconds["tables"] += time.perf_counter() - begun
                    begun = time.perf_counter()
                    _copy(engine, connection, table, Path(folder) / "rows.csv")
                    seconds["postgres"] += time.perf_counter() - begun
            connection.commit()
        begun = time.perf_counter()
        for table in TABLES:
            write_deltalake(self._lake / table.name, pa.concat_tables(found[table.name]), mode="overwrite")
        seconds["delta"] = time.perf_counter() - begun
        return seconds

    def _parse(
        self, engine: duckdb.DuckDBPyConnection, connection: psycopg.Connection[tuple[object, ...]],
        raw_ids: Sequence[int],
    ) -> None:  # fmt: skip
        with connection.cursor(binary=True) as cursor:
            rows = cursor.execute(READ, (list(raw_ids),)).fetchall()
        columns = zip(*rows, strict=True)
        engine.register("raw", pa.table([pa.array(c, f.type) for c, f in zip(columns, _RAW, strict=True)], schema=_RAW))
        engine.execute(documents_sql(self._mapping, document_tree(self._mapping), "raw"))
        engine.unregister("raw")


def _copy(
    engine: duckdb.DuckDBPyConnection, connection: psycopg.Connection[tuple[object, ...]], table: HandTable, at: Path
) -> None:
    engine.execute(f"COPY made TO '{at}' (FORMAT csv, HEADER false)")
    names = ", ".join(table.names)
    with (
        at.open("rb") as text,
        connection.cursor().copy(f"COPY {SCHEMA}.{table.name} ({names}) FROM STDIN (FORMAT csv)") as copy,
    ):
        while part := text.read(_CHUNK):
            copy.write(part)
