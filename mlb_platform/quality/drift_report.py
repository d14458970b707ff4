"""The drift report: one page that says what changed in payloads, date by date and season by season."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mlb_platform.quality.drift import ALARMING, KINDS, DriftKind
from mlb_platform.quality.drift_seasons import FillRow, SeasonChange
from resources.drift_store import DateDrift

WIDTH, HEIGHT = 920, 150
"""The size of the chart."""
MOST_FILLS = 30
"""Fill rates that are shown at once; the others unfold."""
TITLES: dict[DriftKind, str] = {
    "new": "New paths that no column takes",
    "unmapped": "Unmapped paths known before",
    "vanished": "Mapped paths that vanished",
    "type": "Values of another type",
    "fill": "Fill rates that changed",
    "lacking": "Mapped paths that are not there",
}
NOTES: dict[DriftKind, str] = {
    "new": "Map them, or list them under ignore_paths with a reason.",
    "unmapped": "Map them, or list them under ignore_paths with a reason.",
    "vanished": "A renamed field is one of these and one new path.",
    "type": "A value that does not fit its column is NULL there and counted in quality.cast_failures; an array for an "
    "object, or the reverse, holds the capture back.",
    "fill": "The share of the enclosing objects that have a value; changes with what happens in games, too.",
    "lacking": "They come and go, or the responses may be filtered or hydrated otherwise: this may mean nothing.",
}


@dataclass
class PathDrift:
    """What was found of one path, over all dates."""

    path: str
    first: date
    last: date
    dates: int
    count: int
    entity: str
    example: str
    note: str


@dataclass
class _Bar:
    day: date
    x: float
    width: float
    parts: list[tuple[str, float, float, int]] = field(default_factory=list)
    """Kind, y, height, count."""

    @property
    def title(self) -> str:
        told = ", ".join(f"{count} {kind}" for kind, _, _, count in self.parts if count)
        return f"{self.day}: {told or 'nothing'}"


def by_path(dates: Sequence[DateDrift], kind: DriftKind) -> list[PathDrift]:
    """Return what was found of one kind by path: newest example and note, and on how many dates."""
    found: dict[str, PathDrift] = {}
    for drift in sorted(dates, key=lambda d: d.day):
        for f in drift.of(kind):
            known = found.get(f.path)
            if known is None:
                found[f.path] = PathDrift(f.path, drift.day, drift.day, 1, f.count, f.entity, f.example, f.note)
            else:
                known.last, known.dates, known.count = drift.day, known.dates + 1, known.count + f.count
                known.note = f.note
    return sorted(found.values(), key=lambda p: (p.first, p.path))


def render(
    mapping: str,
    dates: Sequence[DateDrift],
    seasons: Sequence[SeasonChange] = (),
    labels: Sequence[str] = (),
    fills: Sequence[FillRow] = (),
) -> str:
    """Return the page about some dates of a mapping; `labels` are those of the fill rates."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    ordered = sorted(dates, key=lambda d: d.day)
    found = {kind: by_path(ordered, kind) for kind in KINDS}
    return environment.get_template("drift_report.html.jinja").render(
        mapping=mapping,
        dates=ordered,
        span=_span([d.day for d in ordered]),
        captures=sum(d.captures for d in ordered),
        known=sum(d.known for d in ordered),
        newest=ordered[-1] if ordered else None,
        quiet=sum(not any(f.kind in ALARMING for f in d.found) for d in ordered),
        found=found,
        titles=TITLES,
        notes=NOTES,
        alarming=ALARMING,
        bars=_bars(ordered) if len(ordered) > 1 else [],
        tallest=_tallest(ordered),
        width=WIDTH,
        height=HEIGHT,
        seasons=seasons,
        labels=labels,
        fills=fills,
        most=MOST_FILLS,
    )


def write(folder: Path, name: str, page: str) -> Path:
    """Write a page into a folder, which is made; another that is being read is replaced as a whole."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.html"
    part = folder / f".{name}.html.part"
    part.write_text(page, "utf-8")
    part.replace(path)
    return path


def _span(days: Sequence[date]) -> str:
    if not days:
        return "no dates"
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}, {len(days)} dates"


def _tallest(dates: Sequence[DateDrift]) -> int:
    return max((sum(len(d.of(k)) for k in ALARMING) for d in dates), default=0)


def _bars(dates: Sequence[DateDrift]) -> list[_Bar]:
    """Return a bar a date: how many paths of each kind were found."""
    scale = (HEIGHT - 10) / max(_tallest(dates), 1)
    step = WIDTH / len(dates)
    bars = []
    for n, drift in enumerate(dates):
        bar = _Bar(drift.day, round(n * step, 1), round(min(max(step - 2, 1), 40), 1))
        y = float(HEIGHT)
        for kind in ("unmapped", "new", "vanished", "type"):
            count = len(drift.of(kind))
            tall = count * scale
            y -= tall
            bar.parts.append((kind, round(y, 1), round(tall, 1), count))
        bars.append(bar)
    return bars
