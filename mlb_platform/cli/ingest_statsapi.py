"""`mlb ingest statsapi`: raw rows fetched from the Stats API, by date, season or game."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import Progress, grid, many, note, say, show_table
from mlb_platform.cli.context import check_range, platform
from mlb_platform.cli.context import day as day_of_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlb_platform.ingestion.dates.report import IngestionReport
    from mlb_platform.ingestion.dates.run import DateIngestion

MODES = "missing|reconcile|verify"
SHOWN_PROBLEMS = 10


def ingest_statsapi(
    one: Annotated[str | None, typer.Option("--date", help="One date, or `today`.", metavar="DATE|today")] = None,
    start: Annotated[
        date | None, typer.Option("--from", help="First date.", parser=day_of_text, metavar="DATE")
    ] = None,
    end: Annotated[date | None, typer.Option("--to", help="Last date.", parser=day_of_text, metavar="DATE")] = None,
    season: Annotated[int | None, typer.Option(help="All dates of a season.", min=1876, max=2100)] = None,
    game_pk: Annotated[list[int] | None, typer.Option(help="Only this game; repeatable.", metavar="N")] = None,
    endpoint: Annotated[
        list[str] | None, typer.Option(help="Only answers of this endpoint; repeatable.", metavar="ENDPOINT/METHOD")
    ] = None,
    mode: Annotated[
        str,
        typer.Option(
            help="missing: what is not there, or not final; reconcile: everything again, what differs is stored; "
            "verify: everything again, nothing is stored.",
            metavar=MODES,
        ),
    ] = "missing",
    workers: Annotated[int, typer.Option(help="Requests at a time; all share one rate.", min=1, max=32)] = 4,
) -> None:
    """Fetch what dates or games need: schedule, feeds, box scores, and people, teams, venues and rosters not yet known.

    What is fetched is stored at once, so it can be stopped at any time and run again. The exit code is 1 when something
    asked for is not in, or, with verify, differs.

    Example: mlb ingest statsapi --date 2024-07-01
    Example: mlb ingest statsapi --from 2024-07-01 --to 2024-07-07 --mode verify
    Example: mlb ingest statsapi --game-pk 747175 --endpoint game/boxscore
    """
    from mlb_platform.ingestion.dates.opened import open_ingestion
    from mlb_platform.ingestion.dates.plan import ENDPOINTS, Mode, local_day
    from mlb_platform.ingestion.statsapi.client import notice_once

    check_range(start, end)
    asked = [one is not None, start is not None or end is not None, season is not None, bool(game_pk)]
    if sum(asked) != 1:
        raise typer.BadParameter("give one of --date, --from with --to, --season and --game-pk")
    if (start is None) != (end is None):
        raise typer.BadParameter("give both --from and --to")
    if mode not in [m.value for m in Mode]:
        raise typer.BadParameter(f"--mode {mode!r}: give one of {MODES}")
    unknown = [e for e in endpoint or () if e not in ENDPOINTS]
    if unknown:
        raise typer.BadParameter(f"--endpoint {unknown[0]!r}: give one of {', '.join(ENDPOINTS)}")
    with platform() as made:
        told = notice_once(made.settings)
        if told:
            note(told)
        with Progress("Ingesting", "games") as bar:
            with open_ingestion(
                made, Mode(mode), wanted=endpoint or ENDPOINTS, workers=workers, on_change=lambda r: _show(bar, r)
            ) as ingestion:
                if game_pk:
                    report = ingestion.single_games([str(n) for n in game_pk])
                elif season is not None:
                    report = ingestion.dates(_season_dates(ingestion, season))
                elif one is not None:
                    report = ingestion.dates([local_day(ingestion.now()) if one == "today" else day_of_text(one)])
                else:
                    assert start is not None and end is not None
                    report = ingestion.dates(_span(start, end))
            seconds = bar.seconds
    _print(report, seconds)
    raise typer.Exit(0 if report.complete else 1)


def _span(start: date, end: date) -> list[date]:
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


def _season_dates(ingestion: DateIngestion, season: int) -> list[date]:
    """Return the dates from a season's first regular game to its last of the postseason, as far as they have come."""
    from mlb_platform.ingestion.contents import iso_day
    from mlb_platform.ingestion.dates.plan import local_day
    from mlb_platform.ingestion.gate import Rejection, read_json
    from mlb_platform.ingestion.statsapi import endpoints
    from mlb_platform.ingestion.statsapi.ingest import asked
    from resources.errors import PlatformError

    request = endpoints.seasons()
    fetched = ingestion.asker.ingestor.api.fetch(request)
    told = read_json(fetched.body, asked(fetched), request.endpoint, request.method, dict, ("seasons",))
    if isinstance(told, Rejection):
        raise PlatformError(f"{fetched.url}: {told.reason}; run it again later, or give --from and --to")
    listed = told["seasons"] if isinstance(told["seasons"], list) else []
    seasons = [s for s in listed if isinstance(s, dict) and s.get("seasonId") == str(season)]
    if not seasons:
        raise PlatformError(f"the API knows no season {season}: give another, or --from and --to")
    first, last = iso_day(seasons[0].get("regularSeasonStartDate")), iso_day(seasons[0].get("postSeasonEndDate"))
    last = last or iso_day(seasons[0].get("regularSeasonEndDate"))
    if first is None or last is None:
        raise PlatformError(f"the API tells no dates of the season {season}: give --from and --to")
    today = local_day(ingestion.now())
    if first > today:
        raise PlatformError(f"the season {season} begins on {first}: there is nothing to fetch before")
    return _span(first, min(last, today))


def _show(bar: Progress, report: IngestionReport) -> None:
    seconds = max(bar.seconds, 0.001)
    left = ""
    if report.games_done and report.games > report.games_done:
        left = f", {(report.games - report.games_done) * seconds / report.games_done:.0f} s left"
    text = (
        f"{many(report.requests, 'request')}, {report.bytes / 1e6:.1f} MB, {report.requests / seconds:.1f}/s, "
        f"{many(len(report.problems), 'error')}{left}"
    )
    bar.update(report.games_done, text, report.games or None)


def _print(report: IngestionReport, seconds: float) -> None:
    from mlb_platform.ingestion.dates.report import Outcome

    shown = [o for o in Outcome if report.total(o)]
    if report.names:
        table = grid("endpoint", *(str(o) for o in shown), right=[str(o) for o in shown])
        for name in report.names:
            table.add_row(name, *(str(report.total(o, name) or "") for o in shown))
        show_table(table)
    for problem in report.problems[:SHOWN_PROBLEMS]:
        note(problem.text, "red" if not problem.outcome.good else None)
    if len(report.problems) > SHOWN_PROBLEMS:
        note(f"… and {len(report.problems) - SHOWN_PROBLEMS} more: see ingestion.fetches", "red")
    for day in report.bare:
        note(f"{day}: its schedule is not known, so its games were not looked at; run it again", "red")
    if report.stopped:
        note(report.stopped, "red")
    games = f"{report.games_done} of {many(report.games, 'game')}"
    dates = _dates(report.dates)
    what = f"{many(report.requests, 'request')}, {report.bytes / 1e6:.1f} MB, {many(len(report.problems), 'error')}"
    say(f"{report.mode}: {games}{dates}; {what}; {seconds:.1f} s")


def _dates(days: Sequence[date]) -> str:
    if not days:
        return ""
    first, last = min(days), max(days)
    return f" on {first}" if first == last else f" on {many(len(set(days)), 'date')}, {first} to {last}"
