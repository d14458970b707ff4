"""Plots of a column's profile as inline SVG: a histogram with its quartiles, bars of the top values, completeness."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from html import escape

from mlb_platform.quality.figures import number, percent
from mlb_platform.quality.profile import Bin, ColumnProfile, Value
from mlb_platform.quality.suggestions_said import is_id

WIDTH = 300
_BARS, _AXIS = 52, 14
_ROW = 17
SHOWN_TOP = 6
"""So many of the top values are drawn."""
_LABEL = 21
"""So many characters of a value fit beside its bar."""


def completeness_svg(column: ColumnProfile) -> str:
    """Return a bar of the share of rows with a value."""
    filled = 90 * column.completeness
    told = f"{column.count:,} of {column.rows:,} rows have a value"
    return (
        f'<svg class="bar" viewBox="0 0 90 8" width="90" height="8" role="img"><title>{told}</title>'
        f'<rect class="empty" width="90" height="8" rx="2"/><rect class="full" width="{filled:.1f}" height="8" rx="2"/>'
        "</svg>"
    )


def plot_svg(column: ColumnProfile) -> str:
    """Return the plot that fits a column: a histogram where values lie on a line and differ much, else its top values.

    Ids, and whole numbers with few values, are told one by one; nothing is drawn of a column with one value at most, or
    of one in which no value repeats.
    """
    if column.distinct < 2:
        return ""
    counted = column.kind == "integer" and (column.distinct <= SHOWN_TOP or is_id(column.name))
    if column.histogram and not counted:
        return _histogram(column)
    return _top(column) if column.top and column.top[0][1] > 1 else ""


def _place(value: Value) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, date):
        return float(value.toordinal())
    return float(value) if isinstance(value, int | float | Decimal) else 0.0


def _histogram(column: ColumnProfile) -> str:
    bins = column.histogram
    most = max(b.count for b in bins)
    step = WIDTH / len(bins)
    bars = "".join(_bar(b, i * step, step, most, i == len(bins) - 1) for i, b in enumerate(bins))
    labels = _labels(bins, column)
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {_BARS + _AXIS + 6}" width="{WIDTH}" height="{_BARS + _AXIS + 6}" '
        f'role="img">{bars}{_quartiles(column, bins)}{labels}</svg>'
    )


def _bar(found: Bin, x: float, step: float, most: int, last: bool) -> str:
    height = max(1.0, _BARS * found.count / most) if found.count else 0
    until = "to" if last else "to below"
    told = escape(f"{number(found.low)} {until} {number(found.high)}: {found.count:,}")
    return (
        f'<rect x="{x + 0.5:.1f}" y="{_BARS - height:.1f}" width="{max(1.0, step - 1):.1f}" height="{height:.1f}">'
        f"<title>{told}</title></rect>"
    )


def _quartiles(column: ColumnProfile, bins: Sequence[Bin]) -> str:
    """Return a line below the bars from the first to the third quartile, with the median marked."""
    low, high = _place(bins[0].low), _place(bins[-1].high)
    if high <= low or not {0.25, 0.5, 0.75} <= column.quantiles.keys():
        return ""
    a, middle, b = (WIDTH * (_place(column.quantiles[q]) - low) / (high - low) for q in (0.25, 0.5, 0.75))
    told = escape(" – ".join(number(column.quantiles[q]) for q in (0.25, 0.5, 0.75)))
    return (
        f'<g class="quartiles"><title>quartiles and median: {told}</title>'
        f'<line x1="{a:.1f}" x2="{max(b, a + 1):.1f}" y1="{_BARS + 3}" y2="{_BARS + 3}"/>'
        f'<circle cx="{middle:.1f}" cy="{_BARS + 3}" r="2.4"/></g>'
    )


def _labels(bins: Sequence[Bin], column: ColumnProfile) -> str:
    y = _BARS + _AXIS + 2
    low, high = escape(number(column.min)), escape(number(column.max))
    return f'<text x="0" y="{y}">{low}</text><text x="{WIDTH}" y="{y}" text-anchor="end">{high}</text>'


def _top(column: ColumnProfile) -> str:
    shown = column.top[:SHOWN_TOP]
    rest = column.count - sum(n for _, n in shown)
    others = column.distinct - len(shown)
    height = _ROW * (len(shown) + (others > 0))
    left, room = 150, WIDTH - 150 - 46
    most = max(n for _, n in shown)
    rows = []
    for i, (text, n) in enumerate(shown):
        y, label = i * _ROW, text if len(text) <= _LABEL else f"{text[: _LABEL - 1]}…"
        width = max(1.0, room * n / most)
        rows.append(
            f"<g><title>{escape(text)}: {n:,} ({percent(n / column.count)} %)</title>"
            f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{escape(label) or "(empty)"}</text>'
            f'<rect x="{left}" y="{y + 3}" width="{width:.1f}" height="{_ROW - 6}"/>'
            f'<text class="count" x="{left + width + 4:.1f}" y="{y + 12}">{n:,}</text></g>'
        )
    if others > 0:
        told = f"{others:,} more value{'' if others == 1 else 's'}: {rest:,}"
        rows.append(f'<text class="more" x="{left}" y="{height - 5}">{told}</text>')
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">'
        f"{''.join(rows)}</svg>"
    )


def rows_svg(rows: Sequence[tuple[str, int]]) -> str:
    """Return bars of how many rows each date has."""
    if not rows:
        return ""
    most, width = max(n for _, n in rows) or 1, 860
    step = min(40.0, width / len(rows))
    bars = "".join(
        f'<rect x="{i * step + 0.5:.1f}" y="{60 - 60 * n / most:.1f}" width="{max(1.0, step - 1):.1f}" '
        f'height="{60 * n / most:.1f}"><title>{escape(day)}: {n:,} row{"" if n == 1 else "s"}</title></rect>'
        for i, (day, n) in enumerate(rows)
    )
    end = max(150.0, step * len(rows))
    labels = f'<text x="0" y="74">{escape(rows[0][0])}</text>'
    labels += f'<text x="{end:.0f}" y="74" text-anchor="end">{escape(rows[-1][0])}</text>' if len(rows) > 1 else ""
    return f'<svg class="plot" viewBox="0 0 {width} 78" width="{width}" height="78" role="img">{bars}{labels}</svg>'
