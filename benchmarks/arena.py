"""The place where contenders meet: one home, one PostgreSQL with the raw rows, tables of each, and a clock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from benchmarks import dagster_run
from benchmarks.compare import PeerTables, differences
from benchmarks.cpu import CpuClock, Spent
from benchmarks.figures import DAGSTER, DUCKDB, HAND, OURS, PER_TABLE, UNCHECKED, Workload
from benchmarks.home import temporary_home
from benchmarks.ours import Ours, timed
from benchmarks.peers import duckdb_json, handwritten, per_table_spark
from benchmarks.peers.duckdb_json import DuckDbJson
from benchmarks.peers.handwritten import Handwritten
from benchmarks.peers.per_table_spark import PerTableSpark
from benchmarks.report import told
from mlb_platform.settings import load_settings

Range = tuple[date, date]


@dataclass
class Arena:
    """The contenders on one home; each has tables of its own, ours with Dagster and without share them."""

    home: Path
    ours: Ours
    hand: Handwritten
    duckdb: DuckDbJson
    per_table: PerTableSpark
    clock: CpuClock
    facts: dict[str, float] = field(default_factory=dict)
    """Bytes of JSON, seconds of Spark's start."""
    rows: int = 0
    """Rows of the latest run of ours without Dagster."""

    def fresh(self, contender: str) -> float:
        """Make empty tables for a contender; return the seconds of that, clearing away not counted."""
        if contender in (OURS, DAGSTER, UNCHECKED):
            self.ours.reset()
            return self.ours.prepare()
        shutil.rmtree(self.home / contender, ignore_errors=True)
        prepare = {HAND: self.hand.prepare, DUCKDB: self.duckdb.prepare, PER_TABLE: self.per_table.prepare}
        return timed(prepare[contender])

    def settle(self) -> None:
        """Vacuum what there is: autovacuum would do it for one contender's tables while the next one runs."""
        with self.ours.platform.postgres.connect(autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

    def run(self, contender: str, dates: Range) -> tuple[dict[str, float], Spent]:
        """Bring a contender's tables up to the newest captures of these dates; return seconds by phase, and in all."""
        with self.ours.platform.postgres.connect(autocommit=True) as connection:
            connection.execute("CHECKPOINT")  # so that no one pays for the one before
        return self.clock.spent(lambda: self._runs[contender](*dates))

    def sample(self, workload: Workload, contender: str, dates: Range, phase: str, *, parts: bool = True) -> None:
        """Run a contender once and add what it took to a workload, its own phases (`parts`) too."""
        found, spent = self.run(contender, dates)
        parts_found = found if parts else {}
        workload.add(contender, {**parts_found, phase: spent.wall, f"CPU, {phase}": spent.cpu})

    def compare(self, workload: Workload, peers: Sequence[str] = (HAND,), told_of: str = "") -> None:
        """Compare tables by content, ours in both sinks with those of some peers; note what differs."""
        before = f"{told_of}: " if told_of else ""
        workload.compared += 1
        workload.different += [before + line for line in differences(self.ours, {p: self._tables[p] for p in peers})]

    @property
    def _runs(self) -> Mapping[str, Callable[[date, date], dict[str, float]]]:
        return {
            HAND: lambda first, last: self.hand.run(first, last).seconds,
            OURS: self._ours_once,
            DAGSTER: lambda first, last: dagster_run.materialize(self.ours, first, last),
            UNCHECKED: lambda first, last: dagster_run.materialize_unchecked(self.ours, first, last),
            DUCKDB: self.duckdb.run,
            PER_TABLE: lambda first, last: self.per_table.run(first, last, self.ours.tables),
        }

    def _ours_once(self, first: date, last: date) -> dict[str, float]:
        done = self.ours.run(first, last)
        self.rows = done.rows
        return {name: seconds for name, seconds in done.seconds.items() if name != "end to end"}

    @property
    def _tables(self) -> Mapping[str, PeerTables]:
        return {
            HAND: PeerTables(handwritten.SCHEMA, lambda table: str(self.home / HAND / table.split(".")[1])),
            DUCKDB: PeerTables(duckdb_json.SCHEMA, self.duckdb.place),
            PER_TABLE: PeerTables(per_table_spark.SCHEMA, self.per_table.place),
        }


def begin(name: str, games: int) -> Workload:
    """Say that a workload begins, and note how busy the machine is."""
    load = os.getloadavg()[0]
    told(f"{name}: {games} games" if games else name)
    return Workload(name, games, load=load)


@contextmanager
def arena(games: int) -> Iterator[Arena]:
    """Simulate and ingest so many games, and give the contenders a place with them."""
    with temporary_home() as home, ExitStack() as stack:
        ours = Ours(home, load_settings().jars)
        stack.callback(ours.close)
        told(f"simulating and ingesting {games} games")
        size = ours.ingest(games)
        postgres = ours.platform.postgres
        hand = Handwritten(postgres.url, home / HAND)
        stack.callback(hand.close)
        start = timed(ours.platform.spark)
        yield Arena(
            home, ours, hand, DuckDbJson(postgres.url, ours.mapping, home / DUCKDB),
            PerTableSpark(ours.platform.spark(), postgres, ours.mapping, str(home / PER_TABLE)),
            CpuClock(home / "postgres"), {"json_bytes": size, "spark_start_seconds": round(start, 2)},
        )  # fmt: skip
