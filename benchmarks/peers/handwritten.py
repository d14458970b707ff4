"""What a good engineer would write by hand for one machine, kept honest and fast.

The newest capture of each game is read from PostgreSQL and walked in two processes (orjson, plain Python, one function
a section of the feed); the rows are merged into a Delta lake by `deltalake` and into PostgreSQL by COPY and upsert:
rows that a game no longer has are deleted, equal rows left untouched. No quality rules, no counting of values that do
not fit, no state: every run reads and merges everything again.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from threading import local

import orjson
import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
from deltalake import DeltaTable

from benchmarks.peers.handwritten_rows import Rows
from benchmarks.peers.handwritten_tables import TABLES, HandTable

SCHEMA = "handwritten"
PROCESSES = 2
WRITERS = 2
"""Threads that write to PostgreSQL; one more writes to the lake."""
NEWEST = """
SELECT DISTINCT ON (entity_key) raw_id FROM game.live_game_v1 WHERE partition_date BETWEEN %s AND %s
ORDER BY entity_key, coalesce(last_seen_at, captured_at) DESC, content_hash DESC
"""
READ = "SELECT raw_id, captured_at, data::text FROM game.live_game_v1 WHERE raw_id = ANY(%s)"
_WALL = pa.timestamp("us")
_here = local()


@dataclass
class HandReport:
    """Seconds by phase, and rows by table."""

    seconds: dict[str, float] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


class Handwritten:
    """The pipeline with its processes and connections, which are kept from run to run."""

    def __init__(self, url: str, lake: Path) -> None:
        """`url` is that of the database with the raw rows; tables go to its schema `handwritten` and to `lake`."""
        self._url = url
        self._lake = lake
        self._walkers = ProcessPoolExecutor(PROCESSES, get_context("spawn"), _start_walker, (url,))
        self._postgres = ThreadPoolExecutor(WRITERS, "postgres", _connect, (url,))
        self._delta = ThreadPoolExecutor(1, "delta")

    def close(self) -> None:
        """Stop processes and threads."""
        for pool in (self._walkers, self._postgres, self._delta):
            pool.shutdown()

    def prepare(self) -> None:
        """Create schema, tables and indexes, in both places."""
        with psycopg.connect(self._url) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
            for table in TABLES:
                connection.execute(table.ddl(SCHEMA))
        for table in TABLES:
            DeltaTable.create(self.place(table), table.schema)

    def place(self, table: HandTable) -> str:
        """Return the path of a table in the lake."""
        return str(self._lake / table.name)

    def run(self, first: date, last: date) -> HandReport:
        """Bring the tables up to the newest captures of the games of these dates."""
        report, started = HandReport(), time.perf_counter()
        with psycopg.connect(self._url) as connection:
            raw_ids = [row[0] for row in connection.execute(NEWEST, (first, last))]
        shares = 2 * PROCESSES if len(raw_ids) > 40 else PROCESSES
        parts = list(self._walkers.map(_walk, [raw_ids[n::shares] for n in range(shares)]))
        walked = time.perf_counter()
        report.seconds["walk"] = walked - started
        waiting: list[Future[None]] = []
        for table in TABLES:
            rows = pa.concat_tables([part[table.name] for part in parts])
            report.rows[table.name] = rows.num_rows
            games = rows["game_pk"].unique().to_pylist() if rows.num_rows else []
            waiting.append(self._postgres.submit(_upsert, table, rows, games))
            waiting.append(self._delta.submit(_merge, self.place(table), table, rows, games))
        for one in waiting:
            one.result()
        report.seconds["merge"] = time.perf_counter() - walked
        return report


def _start_walker(url: str) -> None:
    gc.disable()  # a feed is a million objects and no cycle: collecting finds nothing
    _connect(url)


def _connect(url: str) -> None:
    _here.connection = psycopg.connect(url, autocommit=True, options="-c timezone=UTC")


def _walk(raw_ids: Sequence[int]) -> dict[str, pa.Table]:
    """Read, parse and walk some feeds, a few at a time: PostgreSQL makes the next ones meanwhile."""
    rows = Rows()
    with _here.connection.transaction(), _here.connection.cursor("feeds", binary=True) as cursor:
        cursor.itersize = 8
        cursor.execute(READ, (list(raw_ids),))
        for raw_id, captured_at, data in cursor:
            rows.add(raw_id, captured_at, orjson.loads(data))
    return rows.arrow()


def _merge(place: str, table: HandTable, rows: pa.Table, games: Sequence[int]) -> None:
    """Merge into the lake: changed rows are updated, new ones inserted, those that a game no longer has deleted."""
    same = " AND ".join(f"t.{name} = s.{name}" for name in table.key_columns)
    changed = _any_of([f"(t.{name} IS DISTINCT FROM s.{name})" for name in table.values])
    listed = ", ".join(map(str, games)) or "NULL"
    (
        DeltaTable(place)
        .merge(rows, same, source_alias="s", target_alias="t")
        .when_matched_update_all(changed)
        .when_not_matched_insert_all()
        .when_not_matched_by_source_delete(f"t.game_pk IN ({listed})")
        .execute()
    )


def _any_of(conditions: list[str]) -> str:
    """Join by OR, in halves: deltalake's parser does not go deep enough for a hundred in a row."""
    if len(conditions) < 3:
        return " OR ".join(conditions)
    half = len(conditions) // 2
    return f"({_any_of(conditions[:half])}) OR ({_any_of(conditions[half:])})"


def _upsert(table: HandTable, rows: pa.Table, games: Sequence[int]) -> None:
    """Merge into PostgreSQL: COPY to a temporary table, delete what a game no longer has, upsert what differs."""
    connection: psycopg.Connection[tuple[object, ...]] = _here.connection
    target = f"{SCHEMA}.{table.name}"
    names = ", ".join(table.names)
    values = [name for name in table.names if name not in table.key_columns]
    same = " AND ".join(f"t.{name} = s.{name}" for name in table.key_columns)
    old, new = (", ".join(f"{alias}.{name}" for name in table.values) for alias in ("t", "excluded"))
    plain = pa.schema(pa.field(f.name, _WALL if pa.types.is_timestamp(f.type) else f.type) for f in rows.schema)
    with connection.transaction():
        connection.execute(f"CREATE TEMP TABLE stage (LIKE {target}) ON COMMIT DROP")
        with connection.cursor().copy(f"COPY stage ({names}) FROM STDIN (FORMAT csv)") as copy:
            for chunk in rows.cast(plain).to_batches(20_000):
                text = pa.BufferOutputStream()
                pa_csv.write_csv(chunk, text, pa_csv.WriteOptions(include_header=False))
                copy.write(memoryview(text.getvalue()))
        connection.execute(
            f"DELETE FROM {target} t WHERE game_pk = ANY(%s) AND NOT EXISTS (SELECT FROM stage s WHERE {same})",
            (list(games),),
        )
        connection.execute(
            f"INSERT INTO {target} AS t ({names}) SELECT {names} FROM stage "
            f"ON CONFLICT ({', '.join(table.key_columns)}) DO UPDATE "
            f"SET {', '.join(f'{name} = excluded.{name}' for name in values)} "
            f"WHERE ({old}) IS DISTINCT FROM ({new})"
        )
