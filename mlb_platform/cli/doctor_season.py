"""`mlb doctor --season`: what is missing of a season or date, why, and how to repair it."""

from __future__ import annotations

import calendar
from collections import defaultdict
from datetime import date
from typing import TYPE_CHECKING

from mlb_platform.cli.console import grid, many, note, say, show_table, stdout
from mlb_platform.cli.context import platform

if TYPE_CHECKING:
    from mlb_platform.ingestion.completeness.gaps import Gap
    from mlb_platform.ingestion.completeness.look import Completeness

MARKS = {
    "complete": ("█", "green"),
    "open": ("░", "dim"),
    "pending": ("▒", "yellow"),
    "gaps": ("▓", "red"),
    "none": (" ", ""),
}
SHOWN = 3


def doctor_dates(season: int | None, day: date | None) -> int:
    """Print the calendar of a season, or one date, with its gaps by reason; return the exit code."""
    from mlb_platform.ingestion.completeness.look import dates_with_schedule, look_at, time_now
    from mlb_platform.ingestion.completeness.page import write_page

    with platform() as made:
        mappings = made.registry.mappings
        now = time_now(made.settings.api_clock_url)
        days = [day] if day is not None else dates_with_schedule(made.raw, mappings, season or 0, now=now)
        name = str(day) if day is not None else f"season {season}"
        if not days:
            note(f"{name}: no schedule is known; fetch it with `mlb ingest statsapi --season {season}`", "yellow")
            return 1
        look = look_at(made.raw, mappings, days, now=now)
        file = made.settings.home / "reports" / "completeness" / f"{season or day}.html"
        write_page(look, f"Completeness of {name}", file)
    _print_calendar(look)
    _print_gaps(look)
    games = len({g.game_pk for g in look.gaps if g.game_pk})
    say(f"{name}: {many(games, 'game')} on {many(len(days), 'date')}, {many(len(look.repairable), 'gap')}; {file}")
    return 1 if look.repairable else 0


def _print_calendar(look: Completeness) -> None:
    from rich.text import Text

    from mlb_platform.ingestion.completeness.gaps import colour_of

    months: dict[tuple[int, int], dict[int, str]] = defaultdict(dict)
    for day in look.days:
        months[day.year, day.month][day.day] = colour_of(look.of(day))
    for (year, month), found in sorted(months.items()):
        line = Text(f"{calendar.month_abbr[month]} {year}  ")
        for number in range(1, calendar.monthrange(year, month)[1] + 1):
            mark, style = MARKS[found.get(number, "none")]
            line.append(mark, style)
        stdout().print(line)
    say("█ complete  ░ not begun or in progress  ▒ to be materialized  ▓ with gaps", "dim")


def _print_gaps(look: Completeness) -> None:
    by_reason: dict[tuple[str, str], list[Gap]] = defaultdict(list)
    for gap in look.repairable:
        by_reason[str(gap.reason), gap.endpoint].append(gap)
    if not by_reason:
        return
    table = grid("gaps", "endpoint", "reason", "repair", right=("gaps",))
    for (reason, endpoint), gaps in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        repairs = list(dict.fromkeys(g.repair or "" for g in gaps))
        shown = repairs[:SHOWN] + (["…"] if len(repairs) > SHOWN else [])
        table.add_row(str(len(gaps)), endpoint, reason, "\n".join(shown))
    show_table(table)
