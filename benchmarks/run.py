"""`python -m benchmarks.run`: one date and 300 games, ours beside the hand-written peer, in one run.

Every contender starts from the same raw rows in the same embedded PostgreSQL, in a temporary home. At the end all tables
are compared by content; a difference is shown and the exit code is 1.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import dagster_run, raw
from benchmarks.compare import differences
from benchmarks.ours import Ours, timed
from benchmarks.peers.handwritten import Handwritten
from benchmarks.report import RESULTS, save, show, told
from mlb_platform.settings import load_settings
from resources.embedded_postgres import EmbeddedPostgres

Samples = dict[str, list[float]]


@dataclass
class Workload:
    """What was measured for so many games: seconds by contender and phase, one sample a repetition."""

    games: int
    rows: int = 0
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
        medians = {c: {p: round(statistics.median(s), 4) for p, s in found.items()} for c, found in self.seconds.items()}
        samples = {c: {p: [round(x, 4) for x in s] for p, s in found.items()} for c, found in self.seconds.items()}
        return {"games": self.games, "rows": self.rows, "median": medians, "samples": samples}


def measure(ours: Ours, peer: Handwritten, lake: Path, games: int, repeat: int) -> Workload:
    """Measure one workload: contenders take turns, each on fresh tables; leaves the tables for the comparison."""
    workload = Workload(games)
    first, last = raw.dates_of(games)
    for n in range(repeat + 1):
        kind = "first" if n == 0 else "warm"
        told(f"{games} games, {kind} {n or ''}")
        shutil.rmtree(lake, ignore_errors=True)
        made = timed(peer.prepare)
        _settle(ours)
        hand = peer.run(first, last)
        total = sum(hand.seconds.values())
        workload.add("handwritten", {f"end to end, {kind}": total, "create tables": made})
        if n:
            workload.add("handwritten", hand.seconds)
        ours.reset()
        made = ours.prepare()
        _settle(ours)
        done = ours.run(first, last)
        total = done.seconds.pop("end to end")
        workload.rows = done.rows
        workload.add("ours", {f"end to end, {kind}": total, "create tables": made})
        if n:
            workload.add("ours", done.seconds)
    for _ in range(repeat):
        workload.add("ours", ours.phases(first, last))
        workload.add("ours", {"unchanged": ours.run(first, last).seconds["end to end"]})
        workload.add("handwritten", {"unchanged": sum(peer.run(first, last).seconds.values())})
    workload.different = list(differences(ours, lake))
    _measure_dagster(ours, workload, repeat)
    return workload


def _measure_dagster(ours: Ours, workload: Workload, repeat: int) -> None:
    """Measure the same through Dagster, checks and lineage on; its tables are not compared again."""
    first, last = raw.dates_of(workload.games)
    for n in range(repeat + 1):
        ours.reset()
        ours.prepare()
        _settle(ours)
        seconds = dagster_run.materialize(ours, first, last)
        if seconds is None:
            return
        told(f"{workload.games} games through Dagster, {n or 'first'}")
        workload.add("ours", {f"Dagster, end to end, {'warm' if n else 'first'}": seconds})
    workload.add("ours", {"Dagster, unchanged": dagster_run.materialize(ours, first, last) or 0.0})


def _settle(ours: Ours) -> None:
    """Write out what is dirty, so that no one pays for the one before."""
    with ours.platform.postgres.connect(autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def bench(games: Iterable[int], repeat: int, out: Path) -> int:
    """Run every workload, show and save the figures; return the exit code."""
    wanted = sorted(set(games))
    home = Path(tempfile.mkdtemp(prefix="mlb-bench-"))
    server = EmbeddedPostgres(home / "postgres", home / "logs")
    ours = Ours(home, load_settings().jars)
    peer: Handwritten | None = None
    try:
        told(f"simulating and ingesting {wanted[-1]} games")
        size = raw.ingest(wanted[-1], ours.platform.raw, ours.mapping)
        lake = home / "peer_lake"
        peer = Handwritten(ours.platform.postgres.url, lake)
        start = timed(ours.platform.spark)
        workloads = [measure(ours, peer, lake, n, repeat) for n in wanted]
    finally:
        if peer is not None:
            peer.close()
        ours.close()
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
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
    parser.add_argument("--json", type=Path, default=RESULTS / "latest.json", help="file for the figures")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    return bench(arguments.games or [15, 300], arguments.repeat, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
