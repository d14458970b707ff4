"""`python -m benchmarks.sensor_tick`: one evaluation of every raw-row sensor at 100,000 raw rows each.

Fills the raw tables by SQL with small payloads over 9,000 dates, in a temporary home, and times what the daemon asks
the code location for: the whole evaluation of a sensor, its own connection to the database and the making of its run
requests included.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
from psycopg import sql

from benchmarks.home import temporary_home
from benchmarks.processes import leave
from benchmarks.report import told
from mlb_platform.dagster_home import open_instance
from mlb_platform.definitions import build_definitions
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform
from mlb_platform.sensors.cursor import Cursor
from mlb_platform.sensors.raw_rows import sensor_name
from mlb_platform.settings import Settings
from resources.postgres import Postgres
from resources.raw_store import RawStore, table_name

ROWS, DATES, MEMBERS = 100_000, 9_000, 4
_NEW = "tick with 20 new rows"
LIMIT = 1.0
"""Seconds one evaluation may take."""
_FILL = """
INSERT INTO {} (entity_key, endpoint, method, captured_at, partition_date, content_hash, data)
SELECT (n / 2)::text, %(endpoint)s, %(method)s, timestamptz '2000-04-01 20:00+00' + n * interval '1 hour',
       CASE WHEN %(dated)s THEN date '2008-03-01' + (n / 2) %% %(dates)s END, md5(n::text) || md5(n::text), '{{"n": 1}}'
FROM generate_series(%(first)s::int, %(last)s::int) n
"""
_MEMBERS = """
INSERT INTO quality.raw_members (raw_table, raw_id, entity_key, partition_date, told)
SELECT %(table)s, raw_id, 'e' || (raw_id * 7 + m) %% 30000,
       CASE WHEN %(dated)s THEN date '2008-03-01' + (raw_id::int * 3 + m) %% %(dates)s END, NULL
FROM {} CROSS JOIN generate_series(1, %(members)s) m WHERE raw_id > %(after)s ON CONFLICT DO NOTHING
"""
_CLAIMS = """
INSERT INTO quality.entity_dates (kind, entity_key, source, own, day, observed_at, content_hash)
SELECT 'game_pk', n::text, s, s = 'game.live_game_v1', date '2008-03-01' + n %% %(dates)s, now(), md5(n::text)
FROM generate_series(0, %(last)s::int / 2) n
CROSS JOIN unnest(ARRAY['game.live_game_v1', 'schedule.schedule listing']) s
ON CONFLICT DO NOTHING
"""


def fill(postgres: Postgres, mapping: ResolvedMapping, rows: int, *, after: int = 0, dates: int = DATES) -> None:
    """Add raw rows of a mapping, two a game: numbers `after` to `after + rows`; their members; what tells dates."""
    source = mapping.config.source
    RawStore(postgres).ensure(source.raw_table)
    values: dict[str, Any] = {
        "endpoint": source.endpoint, "method": source.method, "table": source.raw_table, "first": after,
        "last": after + rows - 1, "dates": dates, "dated": mapping.partition is not None and source.dated_by is None,
        "members": MEMBERS, "after": after,
    }  # fmt: skip
    name = table_name(source.raw_table)
    with postgres.transaction() as connection:
        connection.execute(sql.SQL(_FILL).format(name), values)
        if mapping.per_element:
            connection.execute(sql.SQL(_MEMBERS).format(name), values)
        if source.dated_by is not None:
            connection.execute(_CLAIMS.encode(), values)


class Ticks:
    """One sensor, evaluated as the daemon does, from cursor to cursor."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance, mapping: ResolvedMapping) -> None:
        self._repository = definitions.get_repository_def()
        self._sensor = self._repository.get_sensor_def(sensor_name(mapping))
        self._instance = instance
        self.cursor: str | None = None
        self.requested = 0

    def once(self) -> float:
        """Evaluate the sensor; return the seconds."""
        context = dg.build_sensor_context(
            instance=self._instance, cursor=self.cursor, repository_def=self._repository, sensor_name=self._sensor.name
        )
        started = time.perf_counter()
        result = self._sensor.evaluate_tick(context)
        seconds = time.perf_counter() - started
        self.cursor, self.requested = result.cursor, len(result.run_requests or [])
        return seconds

    def succeed(self) -> str | None:
        """Let every run requested have succeeded; return how far the raw table was read."""
        self.cursor = Cursor(Cursor.parse(self.cursor).raw).text()
        return Cursor.parse(self.cursor).raw


def measure(
    platform: Platform, instance: dg.DagsterInstance, mapping: ResolvedMapping, rows: int, most: int | None = None
) -> Mapping[str, float]:
    """Fill the mapping's raw table and return the seconds of its ticks: of all until it is read, or of `most`."""
    started = time.perf_counter()
    fill(platform.postgres, mapping, rows)
    filled = time.perf_counter() - started
    with platform.postgres.connect(autocommit=True) as connection:
        connection.execute("ANALYZE")
    ticks = Ticks(build_definitions(platform.settings, platform), instance, mapping)
    found = {"filled": filled, "first tick": ticks.once()}
    requested, busiest, count = ticks.requested, 0.0, 1
    while True:
        at = ticks.succeed()
        seconds = ticks.once()
        count += 1
        requested, busiest = requested + ticks.requested, max(busiest, seconds)
        if ticks.succeed() == at:
            break
        if count == most:
            ticks.cursor = Cursor(platform.raw.rows_after(mapping.config.source.raw_table, at, rows)[1]).text()
            break
    found |= {"slowest until read": busiest, "ticks until read": count, "requests": requested}
    found["idle tick"] = max(ticks.once() for _ in range(3))
    fill(platform.postgres, mapping, 20, after=rows + 10)
    found[_NEW] = ticks.once()
    return found


def measure_all(rows: int, only: Sequence[str] = (), most: int | None = None) -> dict[str, dict[str, float]]:
    """Measure the sensor of every mapping (or of some) in a home of its own; return their figures, and tell them."""
    found: dict[str, dict[str, float]] = {}
    with temporary_home() as home, ExitStack() as stack:
        platform = Platform(Settings(home=home))
        instance = stack.enter_context(open_instance(platform.settings, platform.postgres))
        for name, mapping in sorted(platform.registry.mappings.items()):
            if only and name not in only:
                continue
            found[name] = dict(measure(platform, instance, mapping, rows, most))
            told(
                f"{name}: "
                + ", ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in found[name].items())
            )
        stack.callback(platform.postgres.close)
    return found


def evaluations(found: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds of a sensor's evaluations among its figures."""
    return {k: v for k, v in found.items() if k in ("first tick", "slowest until read", "idle tick", _NEW)}


def main() -> int:
    """Read the arguments, measure, and return 1 where an evaluation took longer than a second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sensor_tick", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help=f"raw rows of each mapping (default {ROWS})")
    parser.add_argument("--mapping", action="append", help="only this mapping (repeatable)")
    parser.add_argument("--ticks", type=int, help="at most so many ticks until the rows are read (default: all)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("dagster").setLevel(logging.ERROR)
    found = measure_all(arguments.rows, arguments.mapping or (), arguments.ticks)
    leave(arguments.json, found)
    slow = [f"{name}: {k}" for name, each in found.items() for k, v in evaluations(each).items() if v > LIMIT]
    for line in slow:
        told(f"over {LIMIT:g} s: {line}", style="red")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
