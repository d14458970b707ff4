"""`python -m benchmarks.run`: one date and 300 games, ours beside the hand-written peer, in one run.

Every contender starts from the same raw rows in the same embedded PostgreSQL, in a temporary home. At the end all
tables are compared by content; a difference is shown and the exit code is 1.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import dagster_run, raw
from benchmarks.compare import differences, lake_differences
from benchmarks.cpu import CpuClock
from benchmarks.ours import Ours, timed
from benchmarks.peers.handwritten import Handwritten
from benchmarks.peers.per_table_spark import PerTableSpark
from benchmarks.report import RESULTS, save, show, told
from mlb_platform.settings import load_settings
from resources.embedded_postgres import EmbeddedPostgres

Samples = dict[str, list[float]]


@dataclass
class Workload:
    """What was measured for so many games: seconds by contender and phase, one sample a repetition."""

    games: int
    rows: int = 0
    load: float = 0.0
    """Load average of the machine when it began: above 1, others were at work."""
    seconds: dict[str, Samples] = field(default_factory=dict)
    different: list[str] = field(default_factory=list)

    def add(self, contender: str, measured: dict[str, float]) -> None:
        """Add one sample of some phases."""
        for phase, seconds in measured.items():
            self.seconds.setdefault(contender, {}).setdefault(phase, []).append(seconds)

    def median(self, contender: str, phase: str) -> float | None:
        """Return the median of a phase; None when it was not measured."""
        samples = self.seconds.get(contender, {}).get(phase)
        return statistics.median(samples) if samples else None

    def to_json(self) -> dict[str, Any]:
        """Return plain values: medians and samples."""
        samples = {c: {p: [round(x, 4) for x in s] for p, s in found.items()} for c, found in self.seconds.items()}
        medians = {c: {p: statistics.median(s) for p, s in found.items()} for c, found in samples.items()}
        return {"games": self.games, "rows": self.rows, "load_before": self.load, "median": medians, "samples": samples}


@dataclass
class Bench:
    """The contenders on one home, and the clock."""

    ours: Ours
    peer: Handwritten
    peer_lake: Path
    clock: CpuClock
    repeat: int
    per_table: PerTableSpark | None = None

    def measure(self, games: int) -> Workload:
        """Measure one workload: contenders take turns, each on fresh tables; all are compared at the end."""
        workload, dates = Workload(games, load=os.getloadavg()[0]), raw.dates_of(games)
        for n in range(self.repeat + 1):
            kind = "warm" if n else "first"
            told(f"{games} games, {kind} {n or ''}")
            self._peer_once(workload, kind)
            self._ours_once(workload, kind)
            if n == 0:
                workload.different += differences(self.ours, self.peer_lake)
            self._dagster_once(workload, kind)
        told(f"{games} games, again and phase by phase")
        for _ in range(self.repeat):
            workload.add("handwritten", {"unchanged": timed(lambda: self.peer.run(*dates))})
            workload.add("ours", {"unchanged": timed(lambda: self.ours.run(*dates))})
            workload.add("ours", {"Dagster, unchanged": dagster_run.materialize(self.ours, *dates)})
            workload.add("ours", self.ours.phases(*dates))
        workload.different += [f"through Dagster: {line}" for line in differences(self.ours, self.peer_lake)]
        if self.per_table is not None:
            self._per_table_once(workload, self.per_table)
        return workload

    def _per_table_once(self, workload: Workload, peer: PerTableSpark) -> None:
        """Measure the usual Spark jobs once, on a warm session, and compare what they made with ours."""
        told(f"{workload.games} games, a Spark job a table")
        peer.prepare()
        self._settle()
        seconds = peer.run(*raw.dates_of(workload.games), self.ours.tables)
        workload.add("per_table_spark", {"end to end": sum(seconds.values()), **seconds})
        workload.different += lake_differences(self.ours, {"per_table_spark": peer.place})

    def _peer_once(self, workload: Workload, kind: str) -> None:
        shutil.rmtree(self.peer_lake, ignore_errors=True)
        workload.add("handwritten", {"create tables": timed(self.peer.prepare)})
        self._settle()
        done, spent = self.clock.spent(lambda: self.peer.run(*raw.dates_of(workload.games)))
        workload.add("handwritten", {f"end to end, {kind}": spent.wall, f"CPU, {kind}": spent.cpu})
        if kind == "warm":
            workload.add("handwritten", done.seconds)

    def _ours_once(self, workload: Workload, kind: str) -> None:
        self.ours.reset()
        workload.add("ours", {"create tables": self.ours.prepare()})
        self._settle()
        done, spent = self.clock.spent(lambda: self.ours.run(*raw.dates_of(workload.games)))
        workload.rows = done.rows
        workload.add("ours", {f"end to end, {kind}": spent.wall, f"CPU, {kind}": spent.cpu})
        if kind == "warm":
            workload.add("ours", done.seconds)

    def _dagster_once(self, workload: Workload, kind: str) -> None:
        self.ours.reset()
        self.ours.prepare()
        self._settle()
        _, spent = self.clock.spent(lambda: dagster_run.materialize(self.ours, *raw.dates_of(workload.games)))
        workload.add("ours", {f"Dagster, {kind}": spent.wall, f"Dagster CPU, {kind}": spent.cpu})

    def _settle(self) -> None:
        """Write out what is dirty, so that no one pays for the one before."""
        with self.ours.platform.postgres.connect(autocommit=True) as connection:
            connection.execute("CHECKPOINT")


def bench(games: Iterable[int], repeat: int, out: Path, per_table: int | None = None) -> int:
    """Run every workload, show and save the figures; return the exit code."""
    wanted = sorted(set(games))
    home = Path(tempfile.mkdtemp(prefix="mlb-bench-"))
    server = EmbeddedPostgres(home / "postgres", home / "logs")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        stack.callback(server.stop)
        ours = Ours(home, load_settings().jars)
        stack.callback(ours.close)
        told(f"simulating and ingesting {wanted[-1]} games")
        size = raw.ingest(wanted[-1], ours.platform.raw, ours.mapping)
        with ours.platform.postgres.connect(autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        peer = Handwritten(ours.platform.postgres.url, home / "peer_lake")
        stack.callback(peer.close)
        start = timed(ours.platform.spark)
        run = Bench(ours, peer, home / "peer_lake", CpuClock(home / "postgres"), repeat)
        usual = PerTableSpark(ours.platform.spark(), ours.platform.postgres, ours.mapping, str(home / "per_table"))
        workloads = [replace(run, per_table=usual if n == per_table else None).measure(n) for n in wanted]
    show(workloads)
    save(out, workloads, {"json_bytes": size, "spark_start_seconds": round(start, 2), "repetitions": repeat})
    different = [line for workload in workloads for line in workload.different]
    for line in different:
        told(line, style="red")
    told("tables differ" if different else "every table has the same content, ours and the peer's, in both sinks")
    return 1 if different else 0


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Ours beside the hand-written peer.")
    parser.add_argument("--games", type=int, action="append", help="games of a workload (repeatable; default 15, 300)")
    parser.add_argument("--repeat", type=int, default=3, help="warm repetitions; the median counts (default 3)")
    parser.add_argument(
        "--per-table", type=int, metavar="GAMES", help="run the usual Spark jobs too, a table each, in this workload"
    )
    parser.add_argument("--json", type=Path, default=RESULTS / "latest.json", help="file for the figures")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    return bench(arguments.games or [15, 300], arguments.repeat, arguments.json, arguments.per_table)


if __name__ == "__main__":
    sys.exit(main())
