"""`mlb mapping drift`: what changed in the payloads of a mapping, by date and season."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import Progress, grid, many, say, show_table
from mlb_platform.cli.context import check_range, day, mapping_of, platform

if TYPE_CHECKING:
    from mlb_platform.mapping.resolve import ResolvedMapping
    from mlb_platform.platform import Platform
    from mlb_platform.quality.drift_profiles import DriftProfiles
    from mlb_platform.quality.drift_seasons import FillRow, SeasonChange
    from resources.drift_store import DateDrift

APART = 0.5
"""How far the fill rates of seasons must lie apart to be printed."""


def drift(
    mapping: Annotated[
        str | None, typer.Argument(help="The mapping (default: all that have captures).", metavar="ENDPOINT/METHOD")
    ] = None,
    start: Annotated[
        date | None, typer.Option("--from", help="First date (default: of the captures).", parser=day, metavar="DATE")
    ] = None,
    end: Annotated[
        date | None, typer.Option("--to", help="Last date (default: of the captures).", parser=day, metavar="DATE")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write the page here (default: MLB_HOME/reports/drift/MAPPING.html).", metavar="FILE"),
    ] = None,
    rows: Annotated[int, typer.Option(help="Lines shown of each list; 0 is all.", min=0)] = 20,
) -> None:
    """Say what changed in the captures: new and vanished paths, other types, and fill rates by season.

    Every date is compared with the ten before it. Captures that no check has looked at yet are looked at first. What a
    game that is not over lacks is told only where its capture before had it.

    Example: mlb mapping drift game/live_game_v1 --from 2024-07-01 --to 2024-07-31 --html drift.html
    """
    check_range(start, end)
    if html is not None and mapping is None:
        raise typer.BadParameter("--html is for one mapping: name it")
    from resources.errors import PlatformError

    told = 0
    with platform() as made:
        mappings = [mapping_of(made, mapping)] if mapping else [m for _, m in sorted(made.registry.mappings.items())]
        for one in mappings:
            told += _tell(made, one, start, end, html, rows or None)
    if not told:
        where = mapping or "any mapping"
        raise PlatformError(f"there are no dated captures of {where} in that range: ingest some (`mlb ingest`)")


def _tell(
    made: Platform, mapping: ResolvedMapping, start: date | None, end: date | None, html: Path | None, rows: int | None
) -> bool:
    """Look at the dates of a mapping, print what was found and write the page; return whether there were any."""
    from mlb_platform.history.finality import Finality
    from mlb_platform.quality.drift_profiles import DriftProfiles, report_folder
    from mlb_platform.quality.drift_report import render, write
    from mlb_platform.quality.drift_seasons import fill_rows, season_changes
    from resources.drift_store import DriftStore
    from resources.errors import PlatformError

    mappings = made.registry.mappings
    endings = Finality(made.postgres, mappings.values())
    profiles = DriftProfiles(made.raw, DriftStore(made.postgres), mapping, mappings, endings)
    days = profiles.days(start, end)
    if not days:
        return False
    found = _look(profiles, days)
    by_season = profiles.seasons(days)
    seasons, fills = season_changes(by_season), fill_rows(profiles.cover, by_season)
    page = render(mapping.name, found, seasons, list(by_season), fills)
    try:
        if html is None:
            folder = report_folder(made.settings.home, mapping)
            path = write(folder.parent, folder.name, page)
        else:
            html.write_text(page, "utf-8")
            path = html
    except OSError as error:
        raise PlatformError(f"{html or 'the report'} cannot be written: {error.strerror or error}") from error
    _show(mapping, found, seasons, fills, rows)
    say(f"report: {path}")
    say()
    return True


def _look(profiles: DriftProfiles, days: list[date]) -> list[DateDrift]:
    """Return what is found of each date; captures without a profile get one, all of them."""
    result = []
    with Progress("Comparing", "dates", len(days)) as bar:
        for n, when in enumerate(days):
            bar.update(n, str(when))
            result.append(profiles.look_at(when, most=1_000_000))
    return result


def _show(
    mapping: ResolvedMapping,
    found: list[DateDrift],
    seasons: list[SeasonChange],
    fills: list[FillRow],
    rows: int | None,
) -> None:
    from rich.markup import escape

    from mlb_platform.quality.drift import ALARMING
    from mlb_platform.quality.drift_report import TITLES, by_path

    captures = sum(d.captures for d in found)
    span = f"{found[0].day} to {found[-1].day}" if len(found) > 1 else str(found[0].day)
    say(f"{mapping.name}: {many(captures, 'capture')} on {many(len(found), 'date')}, {span}", "bold")
    quiet = True
    for kind, title in TITLES.items():
        listed = by_path(found, kind)
        if not listed:
            continue
        quiet = quiet and kind not in ALARMING
        table = grid(title.lower(), "dates", "count", "first in", "example", "note", right=["count"])
        for p in listed[:rows]:
            dates = str(p.first) if p.dates == 1 else f"{p.first} … {p.last} ({p.dates})"
            table.add_row(*map(escape, (p.path, dates, f"{p.count:,}", p.entity, p.example, p.note)))
        _print(table, len(listed), rows)
    if quiet:
        say("every leaf path is mapped or ignored with a reason, none vanished, no value is of another type", "green")
    if len(seasons) > 1:
        by_season = grid(
            "season", "captures", "leaf paths", "came", "went", right=["captures", "leaf paths", "came", "went"]
        )
        for s in seasons:
            by_season.add_row(s.season, f"{s.documents:,}", f"{s.leaf_paths:,}", str(len(s.came)), str(len(s.went)))
        show_table(by_season)
        labels = [s.season for s in seasons]
        apart = [f for f in fills if f.spread >= APART]
        table = grid("mapped path filled differently by season", *labels, right=labels)
        for f in apart[:rows]:
            table.add_row(escape(f.path), *("" if r is None else f"{r:.0%}" for r in f.rates))
        if apart:
            _print(table, len(apart), rows)


def _print(table: object, count: int, rows: int | None) -> None:
    show_table(table)
    if rows is not None and count > rows:
        say(f"… and {count - rows:,} more (--rows 0 shows all)", "dim")
