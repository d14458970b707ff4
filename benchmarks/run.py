"""`python -m benchmarks.run`: every workload, ours beside its peers, in one run.

    python -m benchmarks.run [--size bench|full] [--only season --only date]    the workloads and their targets
    python -m benchmarks.run --games 15 --repeat 1                              phase by phase, for a look in between

Every contender starts from the same raw rows in the same embedded PostgreSQL, in a temporary home. All tables are
compared by content; a difference is shown and the exit code is 1. Figures go to results/latest.json; those of some
workloads to a file named after them, results/latest-season-date.json.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.arena import Arena, arena
from benchmarks.figures import DUCKDB, PER_TABLE, Workload
from benchmarks.raw import GAMES_A_DATE
from benchmarks.report import RESULTS, save, show_targets, told
from benchmarks.side_by_side import side_by_side, told_differences
from benchmarks.targets import judged
from benchmarks.workloads.alone import cold, dagster, growth, lake, live
from benchmarks.workloads.one_date import corrected, date, unchanged, warm_up
from benchmarks.workloads.season import season
from benchmarks.workloads.sizes import SIZES, Size

ALONE: Mapping[str, Callable[[Size], Workload]] = {
    "live": live, "growth": growth, "dagster": dagster, "cold": cold, "lake": lake,
}  # fmt: skip
"""In processes of their own, before anything else takes memory."""
TOGETHER: Mapping[str, Callable[[Arena, Size], Workload]] = {
    "season": season,
    "unchanged": lambda at, size: unchanged(at, size.unchanged, size.repeat),
    "date": date,
    "corrected": corrected,
}
"""On the same raw rows; those that add captures come last."""


def bench(name: str, only: Collection[str], out: Path) -> int:
    """Run the workloads of a size, or some of them, show and save what was measured; return the exit code.

    It is 1 where tables differ, and where all workloads have left a target without a figure.

    Until all are measured, the figures are in FILE.part.json: what was measured before stays where it is.
    """
    size, started, part = SIZES[name], time.perf_counter(), out.with_suffix(".part.json")
    found: dict[str, Workload] = {}
    facts: dict[str, float] = {}
    result: dict[str, Any] = {}

    def keep(key: str, workload: Workload) -> None:
        """Save what there is so far: a whole run takes an hour or two, and may be stopped."""
        found[key] = workload
        until = round(time.perf_counter() - started, 1)
        workload.facts["seconds of the benchmark"] = round(until - facts.get("seconds of the run", 0.0), 1)
        facts["seconds of the run"] = until
        result.update(save(part, found, {"size": name, **facts}))

    for key, alone in ALONE.items():
        if not only or key in only:
            keep(key, alone(size))
    together = {key: run for key, run in TOGETHER.items() if not only or key in only}
    if together:
        games = {"season": size.season, "unchanged": size.unchanged}
        with arena(max(games.get(key, GAMES_A_DATE) for key in together)) as at:
            facts |= at.facts
            keep("first", warm_up(at))
            for key, run in together.items():
                keep(key, run(at, size))
    part.replace(out)
    results = judged(result["workloads"])
    show_targets(results)
    told(f"{name} took {facts['seconds of the run']:.0f} s; the figures are in {out}")
    unmeasured = [] if only else [r for r in results if r.value is None]
    for r in unmeasured:
        told(f"{r.workload}: not measured: {r.what}", style="red")
    compared = [workload for key, workload in found.items() if key == "lake" or key in TOGETHER]
    return max(1 if unmeasured else 0, told_differences(compared) if compared else 0)


def results_of(only: Collection[str]) -> Path:
    """Return where figures go by default: a part of the workloads does not take the place of all of them."""
    parts = [name for name in (*ALONE, *TOGETHER) if name in only]
    return RESULTS / f"{'-'.join(['latest', *parts])}.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Ours beside its peers.")
    parser.add_argument("--size", choices=SIZES, default="bench", help="how much (default bench: minutes)")
    parser.add_argument("--only", action="append", choices=[*ALONE, *TOGETHER], help="only this workload (repeatable)")
    parser.add_argument("--games", type=int, action="append", help="ours and by hand phase by phase (repeatable)")
    parser.add_argument("--repeat", type=int, default=3, help="with --games: warm repetitions; the median counts")
    for peer in (PER_TABLE, DUCKDB):
        option = "--per-table" if peer == PER_TABLE else f"--{peer}"
        parser.add_argument(option, dest=peer, type=int, metavar="GAMES", help=f"with --games: {peer} in this one too")
    parser.add_argument("--json", type=Path, help="file for the figures (default: in results/)")
    given = parser.parse_args(arguments)
    also = {peer: getattr(given, peer) for peer in (PER_TABLE, DUCKDB)}
    wanted = [games for games in also.values() if games is not None]
    if given.games and given.only:
        parser.error("--only is for the workloads, --games is none of them")
    if min([given.repeat, *(given.games or [])]) < 1:
        parser.error("--games and --repeat are 1 at least")
    if not set(wanted) <= set(given.games or []):
        parser.error("another contender runs with one of the numbers of --games")
    logging.basicConfig(level=logging.WARNING)
    if given.games:
        return side_by_side(given.games, given.repeat, also, given.json or RESULTS / "games.json")
    return bench(given.size, given.only or (), given.json or results_of(given.only or ()))


if __name__ == "__main__":
    sys.exit(main())
