"""`python -m benchmarks.gate`: fail when a ratio is far beyond what it should be, as `limits.toml` says.

One date of fifteen games, warm, in empty tables and again without newer captures: ratios of one run, so that a slower
machine changes nothing. What is beyond its limit is measured once more before it counts; tables that differ count at
once.
"""

from __future__ import annotations

import logging
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.arena import Arena, arena
from benchmarks.raw import GAMES_A_DATE
from benchmarks.report import show_targets, told
from benchmarks.targets import Result, judged
from benchmarks.workloads.one_date import unchanged, warm_up

LIMITS = Path(__file__).with_name("limits.toml")
_TURNS = 3
Workloads = Mapping[str, Mapping[str, Any]]


def limits_of(path: Path = LIMITS) -> dict[str, float]:
    """Return the limits in a file, by key of the target."""
    return {key: float(limit) for key, limit in tomllib.loads(path.read_text())["limits"].items()}


def failures(results: Sequence[Result], workloads: Workloads) -> list[str]:
    """Return a line for every ratio beyond its limit or not measured, and for tables that differ."""
    lines = [
        f"{r.key}: not measured" if r.value is None else f"{r.key}: {r.value:.2f}, the limit is {r.limit:g}"
        for r in results
        if not r.passed
    ]
    return lines + _differing(workloads)


def _differing(workloads: Workloads) -> list[str]:
    told_of = {True: "", False: "tables differ", None: "tables were not compared"}
    found = {name: told_of[workload["same_content"]] for name, workload in workloads.items()}
    return [f"{name}: {what}" for name, what in found.items() if what]


def judge_twice(
    measure: Callable[[], Workloads], limits: Mapping[str, float], turns: int = 2
) -> tuple[list[Result], list[str]]:
    """Measure and judge, again where something failed; return the latest results and what failed every time."""
    results: list[Result] = []
    failed: list[str] = []
    for _ in range(turns):
        found = measure()
        results = judged(found, limits)
        failed = failures(results, found)
        if not failed or _differing(found):  # a busy machine makes things slow, not different
            break
    return results, failed


def _measured(at: Arena) -> Workloads:
    workload = unchanged(at, GAMES_A_DATE, _TURNS, fills=_TURNS)
    for line in workload.different:
        told(line, style="red")
    found = workload.to_json()
    return {"date": found, "unchanged": found}


def main() -> int:
    """Measure, judge, and return 1 where a ratio is beyond its limit."""
    logging.basicConfig(level=logging.WARNING)
    started = time.perf_counter()
    with arena(GAMES_A_DATE) as at:
        warm_up(at, turns=1)
        results, failed = judge_twice(lambda: _measured(at), limits_of())
    show_targets(results)
    for line in failed:
        told(f"bench-gate: {line}", style="red")
    told(f"bench-gate: {'FAILED' if failed else 'passed'} in {time.perf_counter() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
