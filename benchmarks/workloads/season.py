"""A season into empty tables: every contender, those that take too long on a part."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import raw
from benchmarks.arena import Arena, begin
from benchmarks.figures import DUCKDB, HAND, OURS, PER_TABLE, SIDE_BY_SIDE, UNCHECKED, Workload
from benchmarks.report import told
from benchmarks.workloads.sizes import Size


def season(at: Arena, size: Size) -> Workload:
    """Fill empty tables with all games; contenders take turns, and every one's tables are compared.

    DuckDB, which nothing is measured against, has one turn.
    """
    workload, dates = begin("season", size.season), raw.dates_of(size.season)
    for n in range(size.season_repeat):
        last = n == size.season_repeat - 1
        told(f"season, turn {n + 1} of {size.season_repeat}")
        for contender in (*((DUCKDB,) if last else ()), *SIDE_BY_SIDE, UNCHECKED):
            at.fresh(contender)
            at.settle()
            at.sample(workload, contender, dates, "end to end")
            if last and contender not in (DUCKDB, HAND):
                at.compare(workload, (HAND, DUCKDB) if contender == OURS else (HAND,), contender)
    workload.rows = at.rows
    _per_table(at, workload, size)
    return workload


def _per_table(at: Arena, workload: Workload, size: Size) -> None:
    """Run the usual Spark jobs with parts of the season and say how long they take at least for all of it."""
    seconds = {}
    for games in size.parts:
        phase = f"{games} games"
        told(f"season, a Spark job a table, {phase}")
        at.fresh(PER_TABLE)
        at.sample(workload, PER_TABLE, raw.dates_of(games), phase, parts=False)
        seconds[games] = workload.seconds[PER_TABLE][phase][-1]
    at.fresh(OURS)
    at.run(OURS, raw.dates_of(max(size.parts)))
    at.compare(workload, (PER_TABLE,), "a part")
    scaled, how = at_least(seconds, size.season)
    workload.facts["per_table_spark, scaled"] = scaled
    workload.facts["per_table_spark, scaled from"] = how


def at_least(seconds: Mapping[int, float], games: int) -> tuple[float, str]:
    """Return how long `games` take at least by what parts of them took, and how that is known.

    Of two parts it is the line through both; the first warms up as well, which makes it flatter than it is. Of a single
    part it is the part's own time.
    """
    few, many = min(seconds), max(seconds)
    if few == many:
        return seconds[many], f"{many} games, the others not counted"
    a_game = (seconds[many] - seconds[few]) / (many - few)
    return seconds[many] + (games - many) * a_game, f"{few} and {many} games"
