"""`python -m benchmarks.lake`: a season of daily merges, then the files there are and what a date's query takes.

Day by day the 17 tables of the feed that the peers have too are merged by the platform's own sink (`season_lake`).
Files, log and queries are measured as the season left them and again after compaction. A query is told the first time
(a version that nobody opened before) and warm (median of the next): DuckDB as `mlb sql --lake` does it, connection
included; Spark in a session that has read other tables. That compaction changed no value is checked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cpu import CpuClock
from benchmarks.home import temporary_home
from benchmarks.ours import Ours, timed
from benchmarks.report import RESULTS, machine, told
from benchmarks.season_lake import SeasonLake, date_of
from mlb_platform.settings import load_settings
from resources.delta_sink import DeltaSink
from resources.lake import lake_connection, lake_tables, open_table, table_uri
from resources.lake_compaction import compact_table
from resources.lake_files import measure as measure_files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ORDER = ("game_date", "game_pk")
REPEAT = 5
QUERIES = {
    "game.live_game_pitch_events": "SELECT pitch_type, count(*), round(avg(start_speed), 2), max(play_id) FROM {table} "
    "WHERE game_date = DATE '{day}' GROUP BY 1 ORDER BY 2 DESC, 1",
    "game.live_game_plays": "SELECT * FROM {table} WHERE game_date = DATE '{day}' ORDER BY game_pk, at_bat_index",
    "game.live_game_metadata": "SELECT * FROM {table} WHERE game_date = DATE '{day}' ORDER BY game_pk",
}
"""A date's question to the largest table, all rows of a date of the next, and of the widest."""


def measure(days: int) -> dict[str, Any]:
    """Merge a season of so many days into a lake of its own; return all figures as plain values."""
    with _ours() as ours:
        season = SeasonLake(ours)
        told(f"{days} days, {len(season.specs)} tables: merging")
        seconds = _merged(ours, season, days)
        figures = measure_lake(ours.platform.spark(), ours.platform.settings.lake, days)
        return {"days": days, "tables": len(season.specs), "merge": _over_time(seconds), **figures}


def measure_lake(spark: SparkSession, lake: str, days: int) -> dict[str, Any]:
    """Return what files and queries are like in a lake of so many days, then compact it and return both again."""
    ask = _probe(spark, lake, date_of(days // 2))
    told("files and queries, before compaction and after")
    before, rows = {**_files(lake), "query": ask()}, _contents(lake)
    started = time.perf_counter()
    done = [compact_table(lake, name, ORDER) for name in lake_tables(lake)]
    compaction = {
        "seconds": round(time.perf_counter() - started, 3),
        "slowest": max(((c.table, round(c.seconds, 3)) for c in done), key=lambda found: found[1]),
        "gave way": sum(bool(c.gave_way) for c in done),
    }
    after = {**_files(lake), "query": ask()}
    started = time.perf_counter()
    changed = sum(compact_table(lake, name, ORDER).did != "nothing to do" for name in lake_tables(lake))
    return {
        "before compaction": before,
        "compaction": compaction,
        "after compaction": after,
        "compaction again": {"seconds": round(time.perf_counter() - started, 3), "changed": changed},
        "same content": rows == _contents(lake),
    }


@contextmanager
def _ours() -> Iterator[Ours]:
    with temporary_home() as home, closing(Ours(home, load_settings().jars)) as ours:
        yield ours


def _merged(ours: Ours, season: SeasonLake, days: int) -> list[float]:
    """Merge day by day; return the seconds of each day, what prepares its rows left out."""
    sink = DeltaSink(ours.platform.settings.lake, ours.platform.postgres)
    for spec in season.specs:
        sink.prepare(spec)
    found = []
    for number in range(days):
        spent = 0.0
        for spec in season.specs:
            for batch in season.day(spec, number):
                started = time.perf_counter()
                sink.merge(spec, batch)
                spent += time.perf_counter() - started
        found.append(spent)
        if number % 30 == 29:
            told(f"{number + 1} days merged, the last in {spent:.2f} s")
    return found


def _over_time(seconds: list[float]) -> dict[str, float]:
    """Return what a day's merges took in the beginning (the first day creates, so not it) and in the end."""
    some = max(len(seconds) // 10, 1)
    first, last = seconds[1 : 1 + some] or seconds, seconds[-some:]
    found = {"first": seconds[0], "early days": statistics.median(first), "last days": statistics.median(last)}
    found |= {"longest": max(seconds), "all": sum(seconds)}
    return {name: round(value, 3) for name, value in found.items()}


def _files(lake: str) -> dict[str, Any]:
    found = {}
    for name in lake_tables(lake):
        table = open_table(lake, name)
        assert table is not None
        found[name] = measure_files(table, ORDER)
    opening = [timed(partial(open_table, lake, name)) for name in found]
    every = list(found.values())
    return {
        "files a table": {"max": max(f.files for f in every), "median": statistics.median(f.files for f in every)},
        "files a date, max": max(f.depth for f in every),
        "mb": round(sum(f.bytes for f in every) / 1e6, 1),
        "past, mb": round(sum(f.past_bytes for f in every) / 1e6, 1),
        "log files a table, max": max(f.log_files for f in every),
        "log, mb": round(sum(f.log_bytes for f in every) / 1e6, 1),
        "versions, max": max(f.versions for f in every),
        "opening a table, max": round(max(opening), 4),
    }


def _probe(spark: SparkSession, lake: str, day: date) -> Callable[[], dict[str, Any]]:
    """Return what asks a date's questions of both engines; Spark is warmed by other tables first."""

    def by_duckdb(name: str) -> object:
        connection = lake_connection(lake, [name])
        return connection.execute(QUERIES[name].format(table=name, day=day)).fetchall()

    def by_spark(name: str) -> object:
        return spark.sql(QUERIES[name].format(table=f"delta.`{table_uri(lake, name)}`", day=day)).collect()

    def ask() -> dict[str, Any]:
        for other in [n for n in lake_tables(lake) if n not in QUERIES][:3]:
            spark.read.format("delta").load(table_uri(lake, other)).where(f"game_date = DATE '{day}'").collect()
        return {
            "duckdb": {n.split(".")[1]: _first_and_warm(by_duckdb, n) for n in QUERIES},
            "spark": {n.split(".")[1]: _first_and_warm(by_spark, n) for n in QUERIES},
        }

    return ask


def _first_and_warm(ask: Callable[[str], object], table: str) -> dict[str, float]:
    clock = CpuClock()
    _, first = clock.spent(partial(ask, table))
    warm = [clock.spent(partial(ask, table))[1] for _ in range(REPEAT)]
    walls, cpu = [s.wall for s in warm], statistics.median(s.cpu for s in warm)
    found = {"first": first.wall, "warm": statistics.median(walls), "best": min(walls), "cpu": cpu}
    return {name: round(value, 3) for name, value in found.items()}


def _contents(lake: str) -> dict[str, tuple[Any, ...]]:
    """Return of every table the number of its rows and a hash of all their values that no order changes."""
    connection = lake_connection(lake)
    query = "SELECT count(*), sum(hash(t)::HUGEINT) FROM {} t"
    return {name: connection.execute(query.format(name)).fetchone() or () for name in lake_tables(lake)}


def main() -> int:
    """Measure, print and write benchmarks/results/lake.json; 1 when contents differ after compaction."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--json", type=Path, default=RESULTS / "lake.json")
    options = parser.parse_args()
    figures = {**measure(options.days), "machine": machine()}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=2) + "\n")
    told(json.dumps({k: v for k, v in figures.items() if k != "machine"}, indent=2))
    told(f"figures are in {options.json}")
    return 0 if figures["same content"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
