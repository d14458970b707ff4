"""What a mapping could say of a table, learned from its rows: each with the evidence, as YAML, the surest first."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import yaml

from mlb_platform.mapping.models import DataQualityRule
from mlb_platform.mapping.resolve import TECHNICAL
from mlb_platform.mapping.suggest_values import LENGTHS, MARGIN, free_name
from mlb_platform.mapping.types import parse_type
from mlb_platform.quality.figures import number
from mlb_platform.quality.profile import ColumnProfile, DataProfile, Value
from mlb_platform.quality.rules import MAX_ROW_RULES, ROW_KINDS
from mlb_platform.quality.suggestions_said import Said, is_id, is_plain

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from mlb_platform.mapping.resolve import ResolvedTarget

Place = Literal["data_quality", "field", "target"]
Kind = Literal["not_null", "unique", "range", "values", "length", "type", "ordered", "equal"]
ENOUGH = 30
"""From fewer rows (or fewer scopes, for what may differ between them) a suggestion says that it may be chance."""
SCOPES = 3
MOST_VALUES = 10
"""So many different values at most make an enumeration (a profile knows no more of them)."""
SEEN = 5
"""So often, on average, each value of an enumeration was seen at least."""
WIDER = 0.25
"""A range is suggested this share of the observed span wider on both sides, then rounded outward."""
LONGEST_KEY = 50
"""Longer texts are no ids."""


@dataclass(frozen=True)
class Suggestion:
    """Something a mapping could say. `entry` is what it says there: at `place` `data_quality` an entry of that list,
    at `field` what the column's field would say, at `target` what the table would.

    `confidence`: the share of further rows that may be expected to keep it, as far as so many rows can tell (rule of
    succession). `tentative`: from so little that it may be chance; `evidence` says so.
    """

    kind: Kind
    place: Place
    columns: tuple[str, ...]
    entry: dict[str, Any]
    evidence: str
    confidence: float
    tentative: bool = False

    @property
    def text(self) -> str:
        """What is suggested, in a few words."""
        if self.place == "data_quality":
            rule = DataQualityRule(**self.entry)
            return f"{rule.kind}: {rule.rule}" if rule.rule else rule.model_copy(update={"name": None}).label
        return ", ".join(f"{k}: {v}" for k, v in self.entry.items() if k != "name" or self.place == "target")

    @property
    def yaml(self) -> str:
        """What a mapping file would say, as a line of YAML below its place."""
        flow = yaml.safe_dump(self.entry, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
        return flow.strip() if self.place == "target" else f"- {flow.strip()}"

    def to_json(self) -> dict[str, Any]:
        """Return the suggestion as plain objects."""
        return {
            "kind": self.kind, "place": self.place, "columns": list(self.columns), "text": self.text,
            "entry": self.entry, "yaml": self.yaml, "evidence": self.evidence, "confidence": self.confidence,
            "tentative": self.tentative,
        }  # fmt: skip


def suggest(profile: DataProfile, frame: DataFrame | None, target: ResolvedTarget | None) -> list[Suggestion]:
    """Return what a mapping could say of these data, the surest first; what `target` says already is left out.

    With the frame also what takes several columns: keys, equal columns, orders. Nothing from a frame without rows.
    A mapping takes all of them together: of rules over one row there are as many as the table has room for.
    """
    if not profile.rows:
        return []
    said = Said(target)
    found = list(_of_columns(profile, said))
    if frame is not None:
        from mlb_platform.quality.suggestions_search import search_frame

        found += search_frame(profile, frame, said)
    return list(_fitting(ranked([_doubted(s, profile, said) for s in found]), said))


def ranked(found: Sequence[Suggestion]) -> list[Suggestion]:
    """Return suggestions, the surest first; what may be chance comes last."""
    return sorted(found, key=lambda s: (s.tentative, -s.confidence, s.kind, s.columns))


def _fitting(found: Sequence[Suggestion], said: Said) -> Iterator[Suggestion]:
    """Yield what a table takes: rules with names of their own, and no more over one row than it can have."""
    room = MAX_ROW_RULES - sum(rule.kind in ROW_KINDS for rule in said.rules)
    taken = {rule.label for rule in said.rules}
    for s in found:
        room -= s.entry.get("kind") in ROW_KINDS
        if s.entry.get("kind") in ROW_KINDS and room < 0:
            continue
        if s.place == "data_quality":
            name = free_name(s.entry["name"], taken)
            taken.add(name)
            s = replace(s, entry={**s.entry, "name": name})
        yield s


def succession(rows: int, misses: int = 0) -> float:
    """Return the share of further rows that may be expected to keep what all but `misses` of `rows` keep."""
    return max(0.0, (rows - misses + 1) / (rows + 2))


def rule_of(kind: str, name: str, **said: Any) -> dict[str, Any]:
    """Return a rule as an entry of `data_quality`; rules that were only learned warn, they hold no capture back."""
    return {"kind": kind, **said, "severity": "warn", "name": name}


def _doubted(s: Suggestion, profile: DataProfile, said: Said) -> Suggestion:
    """Say so where there is too little to go by."""
    doubts = []
    values = min(c.count for c in profile.columns if c.name in s.columns)
    if values < ENOUGH:
        doubts.append(f"only {values} values" if values < profile.rows else f"only {values} rows")
    scopes = next((c.distinct for c in profile.columns if c.name == said.scope), None)
    if scopes is not None and scopes < SCOPES and s.kind in ("values", "range", "unique", "equal"):
        doubts.append(f"only {scopes} {said.scope}")
    if not doubts and not s.tentative:
        return s
    evidence = f"{s.evidence}; {' and '.join(doubts)}, it may be chance" if doubts else s.evidence
    return Suggestion(s.kind, s.place, s.columns, s.entry, evidence, s.confidence, True)


def _of_columns(profile: DataProfile, said: Said) -> Iterator[Suggestion]:
    """Yield what single columns tell."""
    ours = [c for c in profile.columns if c.name not in TECHNICAL]
    yield from _not_null(ours, profile.rows, said)
    makers: list[Callable[[ColumnProfile, Said], Suggestion | None]] = [_unique, _range, _values, _type, _length]
    for column in ours:
        if column.count:
            yield from (s for make in makers if (s := make(column, said)) is not None)


def _not_null(columns: Sequence[ColumnProfile], rows: int, said: Said) -> Iterator[Suggestion]:
    full = tuple(c.name for c in columns if c.count == rows and not said.not_null(c.name))
    if full:
        evidence = f"a value in every one of {rows:,} rows"
        entry = rule_of("not_null", "always_there", columns=list(full))
        yield Suggestion("not_null", "data_quality", full, entry, evidence, succession(rows))


def may_be_key(column: ColumnProfile) -> bool:
    """Whether a column is of a kind that tells rows apart by meaning, not by chance."""
    if column.kind == "text":
        return column.lengths is not None and column.lengths[1] <= LONGEST_KEY and column.inferred is None
    return column.kind in ("integer", "date")


def _unique(column: ColumnProfile, said: Said) -> Suggestion | None:
    if not column.unique or not may_be_key(column) or said.unique([column.name]):
        return None
    evidence = f"{column.distinct:,} different values in {column.rows:,} rows, none missing, none twice"
    return unique_suggestion((column.name,), evidence, column.rows, said)


def unique_suggestion(columns: tuple[str, ...], evidence: str, rows: int, said: Said) -> Suggestion:
    """Return a key: as the table's where the mapping is still to be written, else as a rule."""
    confidence = succession(rows) ** len(columns)
    if said.target is None:
        return Suggestion("unique", "target", columns, {"primary_key": list(columns)}, evidence, confidence)
    entry = rule_of("unique", f"unique_{'_'.join(columns)}"[:63], columns=list(columns))
    return Suggestion("unique", "data_quality", columns, entry, evidence, confidence)


def _range(column: ColumnProfile, said: Said) -> Suggestion | None:
    """Suggest bounds with room around what was seen; never of an id, which counts nothing."""
    if is_id(column.name) or said.bounded(column.name) or column.distinct < 2:
        return None
    low, high = column.min, column.max
    span = f"from {number(low)} to {number(high)} in {column.count:,} values, {column.distinct:,} different"
    if isinstance(low, date) and column.kind == "date":
        if said.partition == column.name:
            return None
        bounds: dict[str, Value] = {"min": f"{low.year}-01-01"}
    elif column.kind in ("integer", "number") and _numbers(low, high):
        if column.kind == "integer" and column.unique and column.distinct >= ENOUGH and not _dense(column):
            return None
        bounds = dict(zip(("min", "max"), widened(low, high, column.kind == "integer"), strict=True))
    else:
        return None
    entry = rule_of("range", f"{column.name}_plausible"[:63], column=column.name, **bounds)
    told = ", ".join(f"{k} {v}" for k, v in bounds.items())
    return Suggestion(
        "range", "data_quality", (column.name,), entry, f"{span}; with room: {told}", succession(column.count, 1)
    )


def _numbers(*values: Value) -> bool:
    return all(isinstance(v, int | float | Decimal) and math.isfinite(v) for v in values)


def _dense(column: ColumnProfile) -> bool:
    """Whether whole numbers fill their range, as counts and positions do, and ids do not."""
    return isinstance(column.min, int) and isinstance(column.max, int) and column.max - column.min < 2 * column.distinct


def widened(low: Any, high: Any, whole: bool) -> tuple[int | float, int | float]:
    """Return bounds a quarter of the span wider, rounded outward to a plain number; none crosses zero, which means
    something: what was never negative stays so. Shares stay between 0 and 1.
    """
    a, b = Decimal(str(low)), Decimal(str(high))
    if not whole and a >= 0 and b <= 1:
        return 0, 1
    span = b - a if b > a else abs(b) or Decimal(1)
    step = Decimal(10) ** (math.floor(math.log10(span / 2)))
    step = max(step, Decimal(1)) if whole else step
    room = span * Decimal(str(WIDER))
    lowest = Decimal(math.floor((a - room) / step)) * step
    highest = Decimal(math.ceil((b + room) / step)) * step
    lowest = Decimal(0) if a >= 0 > lowest else lowest
    highest = Decimal(0) if b <= 0 < highest else highest
    return _plain(lowest), _plain(highest)


def _plain(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _values(column: ColumnProfile, said: Said) -> Suggestion | None:
    """Suggest an enumeration of a text's values, where each was seen often."""
    from sqlglot import exp

    few = 2 <= column.distinct <= MOST_VALUES and column.distinct == len(column.top)
    if column.kind != "text" or not few or column.count < SEEN * column.distinct or said.bounded(column.name):
        return None
    if (
        is_id(column.name)
        or not is_plain(column.name)
        or re.search(r"(^|_)(name|link|url|text|description|abbreviation)$", column.name)
    ):
        return None
    if column.inferred is not None or (column.lengths or (0, 0))[1] > LONGEST_KEY:
        return None
    literals = [exp.Literal.string(text).sql(dialect="spark") for text, _ in sorted(column.top)]
    entry = rule_of("expression", f"{column.name}_known"[:63], rule=f"{column.name} IN ({', '.join(literals)})")
    seen = ", ".join(f"{text!r} {n:,}" for text, n in column.top)
    once = sum(n == 1 for _, n in column.top)
    evidence = f"{column.distinct} different values in {column.count:,}: {seen}"
    # Good and Turing: what was seen once tells how much was not seen yet
    return Suggestion(
        "values", "data_quality", (column.name,), entry, evidence, succession(column.count, 1 + once),
        tentative=once > 0,
    )  # fmt: skip


def _type(column: ColumnProfile, said: Said) -> Suggestion | None:
    """Suggest the type that a text column's values are written as."""
    inferred = column.inferred
    if inferred is None or said.type_of(column.name) not in ("TEXT", "VARCHAR", None):
        return None
    name = inferred.type
    if name == "BIGINT" and (column.lengths or (0, 99))[1] <= len("999999999"):
        name = "INT"
    said_as = {"name": column.name, "type": name}
    missed = inferred.of - inferred.fitting
    evidence = f"{inferred.fitting:,} of {inferred.of:,} texts are written as {name}"
    if missed:
        said_as["lenient"] = True  # type: ignore[assignment]
        evidence += f", {missed:,} would be NULL"
    confidence = succession(inferred.of, missed)
    return Suggestion("type", "field", (column.name,), said_as, evidence, confidence, bool(missed))


def _length(column: ColumnProfile, said: Said) -> Suggestion | None:
    """Suggest VARCHAR(n) with room for twice the longest text."""
    if column.lengths is None or column.inferred is not None or said.type_of(column.name) not in ("TEXT", None):
        return None
    longest = column.lengths[1]
    fitting = next((n for n in LENGTHS if n >= MARGIN * longest), None)
    if fitting is None:
        return None
    kind = str(parse_type(f"VARCHAR({fitting})"))
    evidence = f"{column.count:,} texts have {column.lengths[0]} to {longest} characters"
    confidence = succession(column.count, 2)
    return Suggestion("length", "field", (column.name,), {"name": column.name, "type": kind}, evidence, confidence)
