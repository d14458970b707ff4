"""What a profile tells of a frame and its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

Value = str | int | float | bool | Decimal | date | datetime | None
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS = 20
TOP = 10
SHOWN_LENGTH = 200
"""Longer texts are cut in `top`, `min` and `max`."""
_EPOCH, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
MOSTLY = 0.9
"""From this share of fitting values on texts are said to be of a type."""


@dataclass(frozen=True)
class Bin:
    """One bar of a histogram: values from `low` to below `high` (the last one to `high` inclusive)."""

    low: Value
    high: Value
    count: int


@dataclass(frozen=True)
class Inferred:
    """What the texts of a column look like: `type` as in a mapping, and how many of the values are written so."""

    type: str
    fitting: int
    of: int

    @property
    def share(self) -> float:
        """Share of the values that are of the type."""
        return self.fitting / self.of if self.of else 0.0


@dataclass(frozen=True)
class ColumnProfile:
    """One column. All figures are exact, but for the rounding of doubles in mean and standard deviation.

    `quantiles`: the least value with at least that share of values up to it (percentile_disc). `stddev` is the
    sample's. Values that are NaN or infinite count as `not_finite` and in `distinct`, nowhere else.
    """

    name: str
    type: str
    kind: str
    rows: int
    count: int
    distinct: int
    min: Value = None
    max: Value = None
    mean: float | None = None
    stddev: float | None = None
    quantiles: dict[float, Value] = field(default_factory=dict)
    histogram: tuple[Bin, ...] = ()
    top: tuple[tuple[str, int], ...] = ()
    lengths: tuple[int, int] | None = None
    not_finite: int = 0
    inferred: Inferred | None = None

    @property
    def completeness(self) -> float:
        """Share of rows with a value."""
        return self.count / self.rows if self.rows else 0.0

    @property
    def unique(self) -> bool:
        """Whether every row has a value, and no two the same."""
        return 0 < self.rows == self.count == self.distinct


@dataclass(frozen=True)
class DataProfile:
    """A frame's rows and columns."""

    rows: int
    columns: tuple[ColumnProfile, ...]

    def __getitem__(self, name: str) -> ColumnProfile:
        """Return a column; raise KeyError for one that was not profiled."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def completeness(self) -> float:
        """Share of cells with a value."""
        cells = self.rows * len(self.columns)
        return sum(c.count for c in self.columns) / cells if cells else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the profile as plain objects; dates and decimals stay what they are."""
        columns = [
            {
                **{k: v for k, v in asdict(c).items() if k != "quantiles"},
                "completeness": c.completeness,
                "quantiles": {str(q): v for q, v in c.quantiles.items()},
            }
            for c in self.columns
        ]
        return {"rows": self.rows, "completeness": self.completeness, "columns": columns}


def histogram(counts: Sequence[int], low: float, width: float, kind: str) -> tuple[Bin, ...]:
    """Return the bars from the least value on; of whole numbers and dates a bar covers whole ones only."""
    used = max(k for k, n in enumerate(counts) if n) + 1
    edges = [_on_line(low + k * width, kind) for k in range(used + 1)]
    return tuple(Bin(a, b, n) for a, b, n in zip(edges, edges[1:], counts, strict=False))


def _on_line(number: float, kind: str) -> Value:
    if kind == "integer":
        return int(number)
    # the edge above the last day there is, as placeholders are, is no date any more
    if kind == "date":
        return _EPOCH.date() + timedelta(days=min(int(number), (_LAST - _EPOCH).days))
    return _EPOCH + min(timedelta(seconds=number), _LAST - _EPOCH) if kind == "time" else number


def inferred(fitting: Mapping[str, int], count: int) -> Inferred | None:
    """Return the first type, the narrowest first, that all texts are written as, or else nearly all."""
    found = [Inferred(name, n, count) for name, n in fitting.items() if n and n / count >= MOSTLY]
    whole = [i for i in found if i.fitting == count]
    return next(iter(whole or found), None)
