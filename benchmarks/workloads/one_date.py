"""A date of fifteen games with a warm session: empty, captured again, with one game corrected, and unchanged."""

from __future__ import annotations

from benchmarks import raw
from benchmarks.arena import Arena, Range, begin
from benchmarks.dagster_run import record_again
from benchmarks.figures import DAGSTER, HAND, OURS, SIDE_BY_SIDE, UNCHECKED, Workload
from benchmarks.ours import timed
from benchmarks.workloads.sizes import Size

_DATE = raw.dates_of(raw.GAMES_A_DATE)


def warm_up(at: Arena, turns: int = 2) -> Workload:
    """Run every contender on a date, so that later ones find processes and compiled code; tell what the first took."""
    workload = begin("first", raw.GAMES_A_DATE)
    for n in range(turns):
        _fill(at, workload, _DATE, f"turn {n + 1}")
    return workload


def date(at: Arena, size: Size) -> Workload:
    """Bring up one date in empty tables, and then again after a newer capture of each of its games."""
    workload = begin("date", raw.GAMES_A_DATE)
    for n in range(size.repeat):
        _fill(at, workload, _DATE, "end to end", compare=n == size.repeat - 1)
        at.fresh(UNCHECKED)
        at.sample(workload, UNCHECKED, _DATE, "end to end")
    workload.rows = at.rows
    _after_captures(at, workload, size.repeat, raw.GAMES_A_DATE, "re-captured")
    return workload


def corrected(at: Arena, size: Size) -> Workload:
    """Bring up one date in empty tables, and then after a newer capture of one of its games."""
    workload = begin("corrected", raw.GAMES_A_DATE)
    for _ in range(size.repeat):
        _fill(at, workload, _DATE, "end to end")
    _after_captures(at, workload, size.repeat, 1, "corrected")
    return workload


def unchanged(at: Arena, games: int, repeat: int, fills: int = 2) -> Workload:
    """Bring up dates in empty tables `fills` times, and then again though there is no newer capture.

    Through Dagster in both ways: as the command does, which finds no work, and as the UI does, which records and judges
    every date asked for.
    """
    workload, dates = begin("unchanged", games), raw.dates_of(games)
    for n in range(fills):
        _fill(at, workload, dates, "end to end", compare=n == 0)
    for _ in range(repeat):
        for contender in SIDE_BY_SIDE:
            at.sample(workload, contender, dates, "unchanged", parts=False)
        workload.add(DAGSTER, {"recorded again": timed(lambda: record_again(at.ours, *dates))})
    at.compare(workload, told_of="unchanged")
    return workload


def _fill(at: Arena, workload: Workload, dates: Range, phase: str, *, compare: bool = False) -> None:
    for contender in SIDE_BY_SIDE:
        at.fresh(contender)
        at.sample(workload, contender, dates, phase)
        if compare and contender != HAND:
            at.compare(workload, told_of=contender)


def _after_captures(at: Arena, workload: Workload, repeat: int, games: int, phase: str) -> None:
    """Capture some games of the date again and bring it up, ours in turns with Dagster and without.

    The tables must be filled. In the end the raw store is as it was.
    """
    store = at.ours.platform.raw
    before = raw.newest_row(store)
    for n in range(repeat + 1):
        for contender in (OURS, DAGSTER):
            raw.recapture(store, at.ours.mapping, _DATE[0], games)
            for one in (HAND, contender):
                at.sample(workload, one, _DATE, phase if n else f"{phase}, first", parts=False)
            if n == repeat:
                at.compare(workload, told_of=f"{phase}, {contender}")
    raw.forget_after(store, before)
