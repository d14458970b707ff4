"""`mlb quality`: profile a stored table, judge it by its mapping, learn what the mapping could say, make its report."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_platform.cli.console import Progress, many, note, quiet_java, say
from mlb_platform.cli.context import check_range, day, mapping_of, platform
from mlb_platform.cli.quality_rows import Question, find_table
from mlb_platform.cli.reconcile import reconcile

if TYPE_CHECKING:
    from mlb_platform.quality.report import Report
    from mlb_platform.quality.validator import DataQualityValidator

TableName = Annotated[str, typer.Argument(help="The table.", metavar="SCHEMA.TABLE")]
From = Annotated[date | None, typer.Option("--from", help="First date.", parser=day, metavar="DATE")]
To = Annotated[date | None, typer.Option("--to", help="Last date.", parser=day, metavar="DATE")]
FromPostgres = Annotated[
    bool, typer.Option("--postgres/--lake", help="Read the rows from PostgreSQL or from the Delta lake.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Html = Annotated[Path | None, typer.Option("--html", help="Also write what was found as a page.", metavar="FILE")]


def register(app: typer.Typer) -> None:
    """Add the commands to `mlb`."""
    group = typer.Typer(
        help="The quality of stored tables: figures, rules, suggestions, reports.", no_args_is_help=True
    )
    for command in (profile, validate, suggest, report, reconcile):
        group.command()(command)
    app.add_typer(group, name="quality")


@contextmanager
def _asked(
    table: str, start: date | None, end: date | None, postgres: bool, what: str
) -> Iterator[tuple[Question, DataQualityValidator]]:
    """Give the rows asked for and the validator, with Spark quiet and a progress bar."""
    from mlb_platform.cli.materialize import check_spark

    check_range(start, end)
    with platform() as made, quiet_java(made.settings.logs / "spark.log"):
        mapping, target = find_table(made, table)
        if target.partition is None and (start or end):
            raise typer.BadParameter(f"{table} has no dates: leave out --from, --to and --date")
        check_spark(made)
        with Progress(what, "") as bar:
            bar.update(text="with Spark")
            from mlb_platform.quality.validator import DataQualityValidator

            yield Question(made, mapping, target, start, end, postgres), DataQualityValidator(made.spark())


def profile(
    table: TableName, start: From = None, end: To = None, postgres: FromPostgres = False, as_json: AsJson = False,
    html: Html = None,
) -> None:  # fmt: skip
    """Describe the columns of a stored table: how complete, how many different values, their range, the most frequent.

    Example: mlb quality profile game.live_game_plays --from 2024-07-01 --to 2024-07-02
    """
    from mlb_platform.cli.quality_text import print_profile

    with _asked(table, start, end, postgres, "Profiling") as (asked, validator):
        found = validator.profile_data(asked.frame())
    if as_json:
        _print_json({"table": table, **found.to_json()})
    else:
        say(f"{asked.words}: {many(found.rows, 'row')} in {asked.source}", "bold")
        print_profile(found)
    _save(html, _report(asked, found.rows, profile=found))


def validate(
    table: TableName, start: From = None, end: To = None, postgres: FromPostgres = False, as_json: AsJson = False,
    html: Html = None,
) -> None:  # fmt: skip
    """Judge a stored table by its mapping: names and types, and every rule, over all rows.

    The exit code is 1 when a column is not as the mapping says or a row breaks a rule of severity error.

    Example: mlb quality validate game.live_game_plays --from 2024-07-01 --to 2024-07-02
    """
    from mlb_platform.cli.quality_text import print_validation

    with _asked(table, start, end, postgres, "Judging") as (asked, validator):
        found = validator.validate(asked.frame(), asked.target, others=asked.others())
    if as_json:
        _print_json(found.to_json())
    else:
        say(f"{asked.words}: {many(found.rows, 'row')} in {asked.source}", "bold")
        print_validation(found)
    texts = [str(b) for b in found.contract]
    _save(html, _report(asked, found.rows, rules=found.rules, contract=texts))
    raise typer.Exit(0 if found.passed else 1)


def suggest(
    table: TableName, start: From = None, end: To = None, postgres: FromPostgres = False, as_json: AsJson = False,
    html: Html = None,
) -> None:  # fmt: skip
    """Say what the mapping could say of a stored table: keys, ranges, lists of values, types, orders.

    What the mapping says already is left out. The lines can be copied into the mapping file; the comments say how
    sure they are (what share of further rows may be expected to keep them) and why.

    Example: mlb quality suggest game.live_game_plays
    """
    from mlb_platform.cli.quality_text import print_suggestions

    with _asked(table, start, end, postgres, "Learning") as (asked, validator):
        frame = asked.frame()
        found = validator.suggest_constraints(frame, asked.target)
        rows = frame.count()
    if as_json:
        _print_json({"table": table, "rows": rows, "suggestions": [s.to_json() for s in found]})
    else:
        say(f"{asked.words}: {many(rows, 'row')} in {asked.source}", "bold")
        print_suggestions(found)
    _save(html, _report(asked, rows, suggestions=found))


def report(
    table: Annotated[str | None, typer.Argument(help="The table.", metavar="SCHEMA.TABLE")] = None,
    on: Annotated[date | None, typer.Option("--date", help="Only this date.", parser=day, metavar="DATE")] = None,
    start: From = None,
    end: To = None,
    postgres: FromPostgres = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Where to write it.  [default: MLB_HOME/reports/quality/TABLE/DATE.html]",
                     metavar="FILE"),
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Make every report that runs left to be made, from the lake by Arrow.")
    ] = False,
    mapping: Annotated[
        str | None, typer.Option("--mapping", help="With --missing: only the tables of this mapping.")
    ] = None,
) -> None:  # fmt: skip
    """Make the quality report of a table, for a date, a range or all rows: one page with rules, plots and suggestions.

    With --missing: of every table and date that was merged and has no report yet, of those dates when some are given.
    The exit code is 0 when the report was made, whatever it says.

    Example: mlb quality report game.live_game_plays --date 2024-07-01
    """
    from mlb_platform.quality.report import report_path

    if on is not None and (start or end):
        raise typer.BadParameter("give --date or a range of dates, not both")
    first, last = (on, on) if on is not None else (start, end)
    if missing:
        if table or html or postgres:
            raise typer.BadParameter("--missing finds the tables itself: give it --mapping and dates only")
        _report_missing(mapping, first, last)
        return
    if table is None or mapping is not None:
        raise typer.BadParameter("name a table" if table is None else "--mapping goes with --missing")
    with _asked(table, first, last, postgres, "Making the report") as (asked, validator):
        page = _full_report(asked, validator)
        path = html or report_path(asked.made.settings.quality_reports, table, page.what)
    _save(path, page)
    broken = f", {many(len(page.broken), 'broken rule')}" if page.broken else ""
    say(f"{asked.words}: {page.verdict}; {many(page.rows, 'row')}{broken}")


def _report_missing(name: str | None, start: date | None, end: date | None) -> None:
    """Make the reports that are missing, mapping by mapping; a kill loses none of those that were made."""
    from mlb_platform.assets.reports import ReportWriter

    check_range(start, end)
    with platform() as made:
        mappings = [mapping_of(made, name)] if name is not None else list(made.registry.mappings.values())
        total = 0
        with Progress("Making reports", "reports") as bar:
            for mapping in mappings:
                writer = ReportWriter(made.stores, made.settings.lake, made.settings.quality_reports, mapping)
                asked = [
                    (table, on)
                    for table, on in writer.missing()
                    if (start is None or (on is not None and start <= on))
                    and (end is None or (on is not None and on <= end))
                ]
                bar.update(total=total + len(asked), text=mapping.name)
                for _ in writer.catch_up(asked):
                    total += 1
                    bar.update(total)
    if total:
        say(f"{many(total, 'report')} made in {made.settings.quality_reports}")
    else:
        say("No report is missing.")


def _full_report(asked: Question, validator: DataQualityValidator) -> Report:
    from pyspark.sql import functions as F

    from mlb_platform.quality.suggestions import suggest as suggest_from

    frame = asked.frame()
    found = validator.profile_data(frame)
    judged = validator.validate(frame, asked.target, others=asked.others())
    partition = asked.target.partition
    rows_by_date: list[tuple[str, int]] = []
    if partition is not None and not (asked.start and asked.start == asked.end):
        counted = frame.groupBy(partition).agg(F.count(F.lit(1)).alias("n")).orderBy(partition).collect()
        rows_by_date = [(str(row[0]), int(row["n"])) for row in counted]
    return _report(
        asked, found.rows, profile=found, rules=judged.rules, contract=[str(b) for b in judged.contract],
        suggestions=suggest_from(found, frame, asked.target), rows_by_date=rows_by_date,
        judged="by Spark, all rules, on these rows",
    )  # fmt: skip


def _report(asked: Question, rows: int, **parts: Any) -> Report:
    from mlb_platform.quality.report import Report, report_name

    what = report_name(asked.start, asked.end)
    name = f"{asked.mapping.name} {asked.mapping.config.version}"
    return Report(asked.target, what, rows, asked.source, mapping=name, **parts)


def _save(path: Path | None, page: Report) -> None:
    from mlb_platform.quality.report import render, save

    if path is not None:
        note(f"report: {save(path.expanduser().absolute(), render(page))}")


def _print_json(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found, default=_plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)
