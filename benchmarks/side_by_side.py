"""`--games N`: ours beside the hand-written peer phase by phase, for somebody at work on one of the phases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks import raw
from benchmarks.arena import Arena, arena, begin
from benchmarks.figures import OURS, SIDE_BY_SIDE, Workload
from benchmarks.report import save, show, told


def measure(at: Arena, games: int, repeat: int, also: Iterable[str] = ()) -> Workload:
    """Measure so many games: contenders take turns, each on fresh tables; all are compared at the end."""
    workload, dates = begin("side by side", games), raw.dates_of(games)
    for n in range(repeat + 1):
        kind = "warm" if n else "first"
        told(f"{games} games, {kind} {n or ''}")
        for contender in SIDE_BY_SIDE:
            workload.add(contender, {"create tables": at.fresh(contender)})
            at.sample(workload, contender, dates, f"end to end, {kind}", parts=n > 0)
            if n == 0 and contender == OURS:
                at.compare(workload)
    workload.rows = at.rows
    told(f"{games} games, again and phase by phase")
    for _ in range(repeat):
        for contender in SIDE_BY_SIDE:
            at.sample(workload, contender, dates, "unchanged", parts=False)
        workload.add(OURS, at.ours.phases(*dates))
    at.compare(workload, told_of="through Dagster")
    for contender in also:
        told(f"{games} games, {contender}")
        at.fresh(contender)
        at.sample(workload, contender, dates, "end to end, warm")
        at.compare(workload, (contender,))
    return workload


def side_by_side(wanted: Iterable[int], repeat: int, also: Mapping[str, int | None], out: Path) -> int:
    """Measure every number of games, show and save the figures; return the exit code.

    `also` gives for other contenders the number of games with which they run too.
    """
    sizes = sorted(set(wanted))
    with arena(sizes[-1]) as at:
        found = [measure(at, n, repeat, [name for name, games in also.items() if games == n]) for n in sizes]
        facts = at.facts
    show(found)
    save(out, {f"{w.games} games": w for w in found}, {**facts, "repetitions": repeat})
    told(f"figures are in {out}")
    return told_differences(found)


def told_differences(workloads: Iterable[Workload]) -> int:
    """Say which tables differ, or were not compared; return the exit code."""
    different, names = [], []
    for workload in workloads:
        lines = workload.different if workload.compared else ["tables were not compared"]
        different += [f"{workload.name}: {line}" for line in lines]
        names.append(workload.name)
    for line in different:
        told(line, style="red")
    told("tables differ" if different else f"every table that was compared has the same content: {', '.join(names)}")
    return 1 if different else 0
