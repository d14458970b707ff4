"""`mlb materialize`: bring tables up to the newest good captures, and say what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import Progress, many, quiet_java, say
from mlb_platform.cli.context import check_range, day, mapping_of, platform

if TYPE_CHECKING:
    from dagster import AssetCheckEvaluation

    from mlb_platform.extraction.pending import Pending
    from mlb_platform.extraction.report import RunReport
    from mlb_platform.extraction.work import Work
    from mlb_platform.mapping.resolve import ResolvedMapping
    from mlb_platform.platform import Platform

DATES_A_RUN = 30
GAMES_FOR_A_QUICK_START = 300
"""Beyond this, Spark starts slower and runs faster."""


@dataclass(frozen=True)
class Question:
    """What was asked for: a mapping's tables, for games or a range of dates (all None: everything)."""

    tables: list[str]
    start: date | None = None
    end: date | None = None
    games: list[str] | None = None
    full: bool = False

    @property
    def words(self) -> str:
        """The range in words."""
        if self.games is not None:
            return f"game {', '.join(self.games)}" if len(self.games) < 6 else f"{len(self.games)} games"
        if self.start and self.end:
            return f"{self.start}" if self.start == self.end else f"{self.start} to {self.end}"
        return f"from {self.start}" if self.start else f"until {self.end}" if self.end else "any date"


def register(app: typer.Typer) -> None:
    """Add the command to `mlb`."""
    app.command("materialize")(materialize)


def materialize(
    mapping: Annotated[str, typer.Option(help="The mapping.", metavar="ENDPOINT/METHOD")] = "game/live_game_v1",
    table: Annotated[
        list[str] | None, typer.Option(help="Only this table; repeatable.", metavar="SCHEMA.TABLE")
    ] = None,
    start: Annotated[
        date | None, typer.Option("--from", help="First official date.", parser=day, metavar="DATE")
    ] = None,
    end: Annotated[date | None, typer.Option("--to", help="Last official date.", parser=day, metavar="DATE")] = None,
    game_pk: Annotated[list[int] | None, typer.Option(help="Only this game; repeatable.", metavar="N")] = None,
    full: Annotated[bool, typer.Option("--full", help="Derive everything anew, also what is merged already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
) -> None:
    """Bring tables up to the newest good captures: of a range of dates, of some games, or of everything.

    Only dates with work are run, up to 30 in one Dagster run. The exit code is 1 when a capture is held back.

    Example: mlb materialize --mapping game/live_game_v1 --from 2024-07-01 --to 2024-07-02
    Example: mlb materialize --game-pk 747175 --full
    """
    check_range(start, end)
    if game_pk and (start or end):
        raise typer.BadParameter("give --game-pk or a range of dates, not both")
    with platform() as made, quiet_java(made.settings.logs / "spark.log"):
        resolved = mapping_of(made, mapping)
        names = check_tables(resolved, table)
        games = [str(n) for n in game_pk] if game_pk else None
        code = bring_up(made, resolved, Question(names, start, end, games, full), dry_run)
    raise typer.Exit(code)


def check_tables(mapping: ResolvedMapping, wanted: Sequence[str] | None) -> list[str]:
    """Return the tables to work on, all when none is named; an unknown one is a wrong question."""
    known = [t.name for t in mapping.targets]
    for name in wanted or ():
        if name not in known:
            import difflib

            close = difflib.get_close_matches(name, known, 3, 0.5) or known
            raise typer.BadParameter(f"{mapping.name} has no table {name!r}; close to it: {', '.join(close)}")
    return [t for t in known if not wanted or t in wanted]


def bring_up(made: Platform, mapping: ResolvedMapping, asked: Question, dry_run: bool = False) -> int:
    """Find the dates with work, run them, print what was done; return the exit code."""
    from mlb_platform.cli.summary import print_summary
    from mlb_platform.extraction.pending import find_pending

    pending = find_pending(
        made.stores, mapping, asked.tables, entities=asked.games, start=asked.start, end=asked.end, full=asked.full
    )
    _check_there_is_something(mapping, asked, pending)
    found = f"{many(pending.captures, 'capture')} of {many(len(pending.plans), 'game')}"
    say(f"{mapping.name}, {asked.words}: {found} on {many(len(pending.dates), 'date')}")
    if dry_run:
        _print_plan(pending)
        return 0
    verdicts: list[AssetCheckEvaluation] = []
    made.quick_start = len(pending.entities) <= GAMES_FOR_A_QUICK_START
    report = _run(made, mapping, asked, pending, verdicts) if pending.entities else None
    return print_summary(made, mapping, asked, pending, report, verdicts)


def _check_there_is_something(mapping: ResolvedMapping, asked: Question, pending: Pending) -> None:
    from resources.errors import PlatformError

    raw_table = mapping.config.source.raw_table
    absent = [g for g in asked.games or () if g not in pending.plans]
    if absent:
        raise PlatformError(f"{raw_table} has no capture of game {', '.join(absent)}: ingest it first")
    if not pending.captures and not pending.dates:
        where = f"{raw_table} has no raw rows" + ("" if asked.words == "any date" else f" for {asked.words}")
        raise PlatformError(f"{where}: ingest captures (`mlb ingest captures DIR`) or make some (`mlb simulate`)")


def _print_plan(pending: Pending) -> None:
    for when in sorted(pending.work):
        games = sorted(pending.work[when])
        shown = ", ".join(games[:15]) + (f" and {len(games) - 15} more" if len(games) > 15 else "")
        say(f"  {when}  {many(len(games), 'game')} to merge: {shown}")
    if pending.undated:
        say(f"  no date     {many(len(pending.undated), 'game')} to merge: {', '.join(pending.undated[:15])}")
    idle = len(pending.dates) - len(pending.work)
    say(f"{many(len(pending.work), 'date')} would be run, {idle} are up to date; nothing was changed (--dry-run)")


def _run(
    made: Platform, mapping: ResolvedMapping, asked: Question, pending: Pending, verdicts: list[AssetCheckEvaluation]
) -> RunReport:
    """Run the dates (or games) with work, up to thirty dates in one Dagster run; return what was done in all."""
    from mlb_platform.assets.command import materialize_dates
    from mlb_platform.extraction.report import RunReport, TableReport

    check_spark(made)
    total = RunReport(mapping.name, [], {t: TableReport(t) for t in asked.tables})
    dates = sorted(pending.work) if asked.games is None else []
    chunks = [dates[i : i + DATES_A_RUN] for i in range(0, len(dates), DATES_A_RUN)]
    alone = sorted(pending.entities) if asked.games is not None else pending.undated
    size = f"of {many(len(pending.entities), 'game')} on {many(len(pending.work), 'date')}"
    merged = 0
    with Progress("Materializing", "tables", len(asked.tables) * (len(chunks) + bool(alone))) as bar:

        def on_progress(_: Work) -> None:
            nonlocal merged
            merged += 1
            bar.update(merged, size)

        def on_check(verdict: AssetCheckEvaluation) -> None:
            verdicts.append(verdict)
            bar.update(text=f"{size}, {many(len(verdicts), 'check')}")

        bar.update(0, f"{size}, parsing in Spark")
        for chunk in chunks:
            done = materialize_dates(
                made, mapping.name, asked.tables, chunk, full=asked.full, on_progress=on_progress, on_check=on_check
            )
            total.merge(done)
        if alone:
            done = materialize_dates(
                made, mapping.name, asked.tables, entities=alone, full=asked.full, on_progress=on_progress,
                on_check=on_check,
            )  # fmt: skip
            total.merge(done)
        total.seconds["wall"] += bar.seconds
    return total


def check_spark(made: Platform) -> None:
    """Raise SparkError before anything is begun when Java or the jars are missing."""
    from resources.spark import check_java, jar_paths

    if made.settings.spark_remote is None:
        check_java()
        jar_paths(made.settings.jars)
