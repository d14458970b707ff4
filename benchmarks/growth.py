"""`python -m benchmarks.growth --games 500 --games 10000`: time a game and peak memory, through Dagster.

In a home and a process of its own, so that nobody else's memory is counted; each number of games starts with empty
tables. Whole dates are brought up, so the games counted are those that are there in the end: 60 where 50 are asked for.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import dagster_run, raw
from benchmarks.figures import Fact
from benchmarks.home import temporary_home
from benchmarks.memory import Sizes, peak
from benchmarks.ours import Ours
from benchmarks.processes import leave
from benchmarks.report import told
from mlb_platform.settings import load_settings

_WARM_UP, _REPEAT = 2, 2
"""Runs with the fewest games: those not counted, and those that are."""


def measure(sizes: Sequence[int]) -> dict[str, Fact]:
    """Return seconds a game and peaks of memory, by number of games."""
    found: dict[str, Fact] = {}
    few, many = min(sizes), max(sizes)
    runs: list[tuple[int, int, float, Sizes]] = []
    with temporary_home() as home:
        ours = Ours(home, load_settings().jars)
        try:
            told(f"growth: simulating and ingesting {many} games")
            ours.ingest(many)
            for games in (few,) * _WARM_UP + (few,) * (_REPEAT - 1) + tuple(sorted(sizes)):
                runs.append((games, *_once(ours, games)))
        finally:
            ours.close()
    for games in sizes:
        name = {few: "fewest", many: "most"}.get(games, str(games))
        counted = [(there, seconds, largest) for asked, there, seconds, largest in runs[_WARM_UP:] if asked == games]
        found |= {f"games, {name}": float(counted[0][0])}
        found[f"seconds a game, {name}"] = statistics.median(seconds / there for there, seconds, _ in counted)
        found |= {f"peak MB of {kind}, {name}": max(m[kind] for _, _, m in counted) for kind in counted[0][2]}
    return found


def _once(ours: Ours, asked: int) -> tuple[int, float, Sizes]:
    """Fill empty tables through Dagster; return the games that are in them, the seconds and the peak of memory."""
    ours.reset()
    ours.prepare()
    with peak() as largest:
        started = time.perf_counter()
        dagster_run.materialize(ours, *raw.dates_of(asked))
        seconds = time.perf_counter() - started
    games = ours.games()
    memory = ", ".join(f"{kind} {size:,.0f} MB" for kind, size in largest.items())
    told(f"growth: {games} games in {seconds:.1f} s, {1000 * seconds / games:.1f} ms a game; peak: {memory}")
    return games, seconds, largest


def main() -> int:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__.splitlines()[0])
    parser.add_argument("--games", type=int, action="append", help="numbers of games (default 50, 200)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    leave(arguments.json, measure(arguments.games or [50, 200]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
