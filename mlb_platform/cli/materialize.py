"""`mlb materialize`: bring tables up to the newest good captures, and say what was done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import Progress, many, quiet_java, say
from mlb_platform.cli.context import check_range, day, mapping_of, platform, spark_context

if TYPE_CHECKING:
    from dagster import AssetCheckEvaluation

    from mlb_platform.extraction.pending import Pending
    from mlb_platform.extraction.report import RunReport
    from mlb_platform.extraction.work import Work
    from mlb_platform.mapping.resolve import ResolvedMapping
    from mlb_platform.platform import Platform
    from resources.errors import PlatformError

ALL = "all"
DEFAULT = "game/live_game_v1"
DATES_A_RUN = 30
ASIDE_SHARE, ASIDE_LEAST = 0.05, 1.0
"""Payloads are looked at, and quality reports made, for this share of the time, but for so many seconds at least."""


@dataclass(frozen=True)
class Question:
    """What was asked for: a mapping's tables, for games or a range of dates (all None: everything)."""

    tables: list[str]
    start: date | None = None
    end: date | None = None
    games: list[str] | None = None
    full: bool = False

    def words(self, dated: bool = True) -> str:
        """The range in words; of what has no dates there is but all."""
        if self.games is not None:
            return f"game {', '.join(self.games)}" if len(self.games) < 6 else f"{len(self.games)} games"
        if not dated:
            return "all"
        if self.start and self.end:
            return f"{self.start}" if self.start == self.end else f"{self.start} to {self.end}"
        return f"from {self.start}" if self.start else f"until {self.end}" if self.end else "any date"


def register(app: typer.Typer) -> None:
    """Add the command to `mlb`."""
    app.command("materialize")(materialize)


def materialize(
    mapping: Annotated[
        str | None,
        typer.Option(
            help=f"The mapping, or `all` (default: that of --table, else {DEFAULT}).", metavar="ENDPOINT/METHOD"
        ),
    ] = None,
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
    Example: mlb materialize --mapping all
    """
    check_range(start, end)
    if game_pk and (start or end):
        raise typer.BadParameter("give --game-pk or a range of dates, not both")
    if mapping == ALL and (table or game_pk):
        raise typer.BadParameter(f"--mapping {ALL} is for a range of dates, or everything")
    with platform() as made, quiet_java(made.settings.logs / "spark.log"):
        if mapping == ALL:
            codes = list(materialize_all(made, start, end, full, dry_run))
            if len(codes) == 1:
                raise _nothing("no mapping has raw rows", Question([], start, end).words())
            raise typer.Exit(max(codes))
        resolved = _mapping_asked(made, mapping, table)
        names = check_tables(resolved, table)
        games = [str(n) for n in game_pk] if game_pk else None
        if games and resolved.noun != "game":
            raise typer.BadParameter(f"--game-pk: the captures of {resolved.name} are not by game; give dates")
        if (start or end) and resolved.partition is None:
            raise typer.BadParameter(f"the tables of {resolved.name} have no dates: leave --from and --to out")
        code = bring_up(made, resolved, Question(names, start, end, games, full), dry_run)
    raise typer.Exit(code)


def materialize_all(
    made: Platform, start: date | None = None, end: date | None = None, full: bool = False, dry_run: bool = False
) -> Iterator[int]:
    """Bring up every mapping that has captures in the range, parents before what refers to them; yield exit codes.

    Mappings without dates are brought up whole, since what the dates refer to may be there.
    """
    yield 0
    for mapping in made.registry.parents_first:
        first, last = (start, end) if mapping.partition else (None, None)
        asked = Question([t.name for t in mapping.targets], first, last, full=full)
        pending = _look_up(made, mapping, asked, dry_run)
        if pending.captures or pending.dates:
            yield _bring_up(made, mapping, asked, pending, dry_run)
        else:
            say(f"{mapping.name}: no captures", "dim")


def _mapping_asked(made: Platform, name: str | None, tables: Sequence[str] | None) -> ResolvedMapping:
    """Return the mapping named, else that of the first table named, else the live feed's."""
    if name is None and tables:
        try:
            return made.registry.table_owner(tables[0])
        except KeyError:
            known = [t for m in made.registry.mappings.values() for t in m.by_name]
            raise _unknown(tables[0], known, "there is") from None
    return mapping_of(made, name or DEFAULT)


def check_tables(mapping: ResolvedMapping, wanted: Sequence[str] | None) -> list[str]:
    """Return the tables to work on, all when none is named; an unknown one is a wrong question."""
    known = [t.name for t in mapping.targets]
    for name in wanted or ():
        if name not in known:
            raise _unknown(name, known, f"{mapping.name} has")
    return [t for t in known if not wanted or t in wanted]


def _unknown(table: str, known: Sequence[str], who: str) -> typer.BadParameter:
    import difflib

    close = difflib.get_close_matches(table, known, 3, 0.5) or known
    return typer.BadParameter(f"{who} no table {table!r}; close to it: {', '.join(close)}")


def bring_up(made: Platform, mapping: ResolvedMapping, asked: Question, dry_run: bool = False) -> int:
    """Find the dates with work, run them, print what was done; return the exit code.

    Spark is not needed after that: a session that this started is stopped.
    """
    pending = _look_up(made, mapping, asked, dry_run)
    _check_there_is_something(mapping, asked, pending)
    return _bring_up(made, mapping, asked, pending, dry_run, last=True)


def _look_up(made: Platform, mapping: ResolvedMapping, asked: Question, dry_run: bool) -> Pending:
    from mlb_platform.extraction.pending import find_pending

    if not dry_run:
        _restore_dropped(made, mapping, asked.tables)
    return find_pending(
        made.stores, mapping, asked.tables, entities=asked.games, start=asked.start, end=asked.end, full=asked.full
    )


def _restore_dropped(made: Platform, mapping: ResolvedMapping, tables: Sequence[str]) -> None:
    """Make anew what PostgreSQL's tables lost by hand, where some of the mapping are there: to fill it is work then."""
    from mlb_platform.extraction.specs import merge_spec
    from resources.own_tables import tables_there
    from resources.postgres_sink import PostgresSink

    with made.postgres.transaction() as connection:
        if not tables_there(connection, mapping.by_name):
            return
    for sink in made.stores.sinks:
        if isinstance(sink, PostgresSink):
            for table in tables:
                sink.prepare(merge_spec(mapping.by_name[table]))


def _bring_up(
    made: Platform, mapping: ResolvedMapping, asked: Question, pending: Pending, dry_run: bool, *, last: bool = False
) -> int:
    from mlb_platform.cli.summary import print_summary

    dated = mapping.partition is not None
    found = f"{many(pending.captures, 'capture')} of {many(len(pending.plans), mapping.noun)}"
    on = f" on {many(len(pending.dates), 'date')}" if dated and mapping.noun != "date" else ""
    say(f"{mapping.name}, {asked.words(dated)}: {found}{on}")
    if dry_run:
        _print_plan(pending, mapping)
        return 0
    verdicts: list[AssetCheckEvaluation] = []
    report = _run(made, mapping, asked, pending, verdicts, last) if pending.entities else None
    return print_summary(made, mapping, asked, pending, report, verdicts)


def _check_there_is_something(mapping: ResolvedMapping, asked: Question, pending: Pending) -> None:
    from resources.errors import PlatformError

    raw_table = mapping.config.source.raw_table
    absent = [g for g in asked.games or () if g not in pending.plans]
    if absent:
        raise PlatformError(f"{raw_table} has no capture of game {', '.join(absent)}: ingest it first")
    if not pending.captures and not pending.dates:
        raise _nothing(f"{raw_table} has no raw rows", asked.words(mapping.partition is not None))


def _nothing(what: str, asked_for: str) -> PlatformError:
    """Return the error that there is nothing to bring up."""
    from resources.errors import PlatformError

    where = asked_for if asked_for.startswith(("from", "until")) else f"for {asked_for}"
    where = "" if asked_for in ("any date", "all") else f" {where}"
    return PlatformError(f"{what}{where}: ingest captures (`mlb ingest captures DIR`) or make some (`mlb simulate`)")


def _print_plan(pending: Pending, mapping: ResolvedMapping) -> None:
    parts = [*sorted(pending.work.items()), *([("no date   ", pending.undated)] if pending.undated else [])]
    for when, entities in parts:
        found = sorted(entities)
        shown = ", ".join(found[:15]) + (f" and {len(found) - 15} more" if len(found) > 15 else "")
        say(f"  {when}  {many(len(found), mapping.noun)} to merge: {shown}")
    idle = len(pending.dates) - len(pending.work)
    say(f"{many(len(pending.work), 'date')} would be run, {idle} are up to date; nothing was changed (--dry-run)")


def _run(
    made: Platform,
    mapping: ResolvedMapping,
    asked: Question,
    pending: Pending,
    verdicts: list[AssetCheckEvaluation],
    last: bool,
) -> RunReport:
    """Run the dates (or games) with work, up to thirty dates in one Dagster run; return what was done in all.

    A Spark session that this started is stopped where no other mapping comes after this `last` one.
    """
    check_spark(made)
    own = spark_context() is None
    made.start_spark()  # beside the imports, and what is done before the first capture is computed
    from mlb_platform.assets.aside import look_aside
    from mlb_platform.assets.command import materialize_dates
    from mlb_platform.dagster_home import open_instance
    from mlb_platform.extraction.report import RunReport, TableReport

    total = RunReport(mapping.name, [], {t: TableReport(t) for t in asked.tables})
    dates = sorted(pending.work) if asked.games is None else []
    chunks = [dates[i : i + DATES_A_RUN] for i in range(0, len(dates), DATES_A_RUN)]
    alone = sorted(pending.entities) if asked.games is not None else pending.undated
    size = f"of {many(len(pending.entities), mapping.noun)}"
    size += f" on {many(len(pending.work), 'date')}" if mapping.partition else ""
    merged = 0
    with (
        open_instance(made.settings, made.postgres) as instance,
        Progress("Materializing", "tables", len(asked.tables) * (len(chunks) + bool(alone))) as bar,
        ThreadPoolExecutor(1, "spark-stop") as ending,
    ):

        def on_progress(_: Work) -> None:
            nonlocal merged
            merged += 1
            bar.update(merged, size)

        def on_check(verdict: AssetCheckEvaluation) -> None:
            verdicts.append(verdict)
            bar.update(text=f"{size}, {many(len(verdicts), 'check')}")

        bar.update(0, f"{size}, parsing in Spark")
        for chunk, then in zip_longest(chunks, chunks[1:], fillvalue=()):
            done = materialize_dates(
                made, mapping.name, asked.tables, chunk, full=asked.full, on_progress=on_progress,
                on_check=on_check, instance=instance, aside=False, then=() if asked.full else then,
            )  # fmt: skip
            total.merge(done)
        if alone:
            done = materialize_dates(
                made, mapping.name, asked.tables, entities=alone, full=asked.full, on_progress=on_progress,
                on_check=on_check, instance=instance, aside=False,
            )  # fmt: skip
            total.merge(done)
        started = spark_context()
        if last and own and started is not None:
            ending.submit(started.stop)  # what follows needs none
        bar.update(merged, f"{size}, looking at payloads")
        seconds = max(ASIDE_LEAST, ASIDE_SHARE * bar.seconds)
        look_aside(made, mapping.name, asked.tables, total.dates, seconds, on_check=on_check, instance=instance)
        total.seconds["wall"] += bar.seconds
    return total


def check_spark(made: Platform) -> None:
    """Raise SparkError before anything is begun when Java or the jars are missing."""
    from resources.spark import check_java, jar_paths

    if made.settings.spark_remote is None:
        check_java()
        jar_paths(made.settings.jars)
