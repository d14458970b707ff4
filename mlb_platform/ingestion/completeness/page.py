"""The calendar of a season as a page: every date coloured by how complete it is, and every gap with its repair."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from mlb_platform.ingestion.completeness.gaps import Gap, colour_of
from mlb_platform.ingestion.completeness.look import NO_GAME, Completeness
from mlb_platform.quality.report import save

COLOURS = {"complete": "#2e7d32", "open": "#90a4ae", "pending": "#f9a825", "gaps": "#c62828", "none": "#eceff1"}
"""What a date is: all there; nothing expected yet; to be materialized; with gaps; without games."""
_CELL, _ROW = 22, 26


def calendar_svg(look: Completeness) -> str:
    """Return the dates as an SVG: a row a month, a square a date, with what it lacks in its title."""
    by_day: dict[date, list[Gap]] = {day: [] for day in look.days}
    for gap in look.gaps:
        by_day.setdefault(gap.game_date, []).append(gap)
    months = sorted({(d.year, d.month) for d in by_day})
    cells = list(_cells(by_day, months))
    width, height = 60 + 31 * _CELL, 10 + len(months) * _ROW
    labels = [
        f'<text x="0" y="{n * _ROW + 20}" font-size="12">{calendar.month_abbr[m]} {y}</text>'
        for n, (y, m) in enumerate(months)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">'
        f"{''.join(labels)}{''.join(cells)}</svg>"
    )


def _cells(by_day: dict[date, list[Gap]], months: list[tuple[int, int]]) -> Iterator[str]:
    for day, gaps in sorted(by_day.items()):
        row = months.index((day.year, day.month))
        what = colour_of(gaps)
        games = len({g.game_pk for g in gaps if g.game_pk != NO_GAME})
        lacking = sum(g.gap is not None for g in gaps)
        title = f"{day}: {games} games, {what}" + (f", {lacking} gaps" if lacking else "")
        x, y = 60 + (day.day - 1) * _CELL, row * _ROW + 6
        cell = (
            f'<rect x="{x}" y="{y}" width="{_CELL - 3}" height="{_CELL - 3}" rx="3" fill="{COLOURS[what]}">'
            f"<title>{title}</title></rect>"
        )
        yield f'<a href="#{day}">{cell}</a>' if lacking else cell


def write_page(look: Completeness, title: str, file: Path) -> Path:
    """Write the page of some dates and return its path."""
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_PAGE)
    counts = {name: sum(colour_of(look.of(day)) == name for day in look.days) for name in COLOURS}
    text = template.render(
        title=title, svg=calendar_svg(look), colours=COLOURS, counts=counts, gaps=look.repairable,
        games=len({g.game_pk for g in look.gaps if g.game_pk != NO_GAME}),
    )  # fmt: skip
    return save(file, text)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:left}
tr:nth-child(even){background:#f5f5f5}code{font-size:90%}
.key{display:inline-block;width:1em;height:1em;margin:0 .3em 0 1em}
</style></head><body>
<h1>{{ title }}</h1>
<p>{{ games }} games.
{% for name, colour in colours.items() %}<span class="key" style="background:{{ colour }}"></span>
{{ counts[name] }} dates
{{ {"complete": "complete", "open": "not begun or in progress", "pending": "to be materialized", "gaps": "with gaps",
    "none": "without games"}[name] }}{% endfor %}</p>
{{ svg|safe }}
<h2>{{ gaps|length }} gaps</h2>
{% if gaps %}<table><tr><th>date</th><th>game</th><th>endpoint</th><th>state</th><th>reason</th><th>repair</th></tr>
{% for g in gaps %}<tr{% if loop.changed(g.game_date) %} id="{{ g.game_date }}"{% endif %}>
<td>{{ g.game_date }}</td><td>{{ g.game_pk }}</td><td>{{ g.endpoint }}</td><td>{{ g.state }}</td>
<td>{{ g.reason }}</td><td><code>{{ g.repair }}</code></td></tr>
{% endfor %}</table>{% endif %}
</body></html>
"""
