"""Which rules over one row are judged where a document is walked, and what Spark SQL needs for all others.

Missing values, ranges of numbers and plain conditions (`walk_conditions.py`) mean the same in Arrow as in Spark; other
expressions are Spark's, and so are columns computed from others. Spark gets the columns that those name, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from mlb_platform.extraction.read_columns import read_columns
from mlb_platform.extraction.walk_conditions import Condition, arrow_condition
from mlb_platform.mapping.models import DataQualityRule
from mlb_platform.mapping.resolve import Column, Origin, ResolvedTarget
from mlb_platform.mapping.sql import columns_of
from mlb_platform.mapping.types import SqlType
from mlb_platform.quality.rules import row_rules


@dataclass(frozen=True)
class RowJudge:
    """The rules over one row of one table, parted by who judges them; a rule's bit is its place among all of them."""

    target: ResolvedTarget
    own: Mapping[Origin, SqlType] = field(default_factory=dict)
    """Types of the entity key and the date where each document has its own, by `entity` and `partition`."""

    @cached_property
    def read(self) -> list[Column]:
        """Columns read from the document, row by row."""
        return read_columns(self.target)

    @cached_property
    def computed(self) -> list[Column]:
        """Columns that are expressions over others."""
        return [c for c in self.target.columns if c.origin == "expression"]

    @cached_property
    def for_spark(self) -> list[tuple[int, str]]:
        """Bit and condition of the rules that Spark judges; the condition is false where a rule is broken."""
        found, own = [], {c.name for c in self.read}
        for bit, rule in enumerate(row_rules(self.target)):
            if rule.rule.kind == "not_null":
                others = [name for name in rule.rule.columns if name not in own | self._of_document]
                if others:
                    found.append((bit, " AND ".join(f"{name} IS NOT NULL" for name in others)))
            elif not self._is_plain_range(rule.rule, own) and bit not in self._conditions:
                found.append((bit, rule.sql))
        return found

    @cached_property
    def _conditions(self) -> dict[int, Condition]:
        """Conditions that are judged here, by their bits."""
        types = {c.name: c.type for c in self.read}
        types |= {c.name: c.type for c in self.target.columns if self.own.get(c.origin) == c.type}
        found = {
            bit: arrow_condition(r.sql, types)
            for bit, r in enumerate(row_rules(self.target))
            if r.rule.kind != "not_null" and not self._is_plain_range(r.rule, {c.name for c in self.read})
        }
        return {bit: condition for bit, condition in found.items() if condition is not None}

    @cached_property
    def _of_document(self) -> set[str]:
        """Columns that have a value in every row: a document without its key or date is odd."""
        return {c.name for c in self.target.columns if c.origin in ("entity", "partition")}

    @cached_property
    def _ranges(self) -> list[tuple[int, DataQualityRule]]:
        own = {c.name for c in self.read}
        return [(bit, r.rule) for bit, r in enumerate(row_rules(self.target)) if self._is_plain_range(r.rule, own)]

    def _is_plain_range(self, rule: DataQualityRule, own: set[str]) -> bool:
        bounds = [b for b in (rule.min, rule.max) if b is not None]
        return (
            rule.kind == "range" and rule.column in own and self.target.by_name[str(rule.column)].type.is_number
            and all(isinstance(b, int | float) for b in bounds)
        )  # fmt: skip

    @cached_property
    def needed(self) -> list[str]:
        """Columns read from the document that Spark needs."""
        texts = [sql for _, sql in self.for_spark]
        texts += [str(c.field.expression) for c in self.computed if c.field is not None]
        named = {name for text in texts for name in columns_of(text)}
        found = [c.name for c in self.read if c.name in named]
        return found or [c.name for c in self.read[:1] if self.computed]

    def broken(self, columns: Sequence[pa.Array], rows: int, own: Callable[[Origin], pa.Array]) -> pa.Array:
        """Return as bits which of its own rules each row breaks.

        `columns` are those read, in order; `own` gives the key (`entity`) or date (`partition`) of each row's document.
        """
        by_name = dict(zip((c.name for c in self.read), columns, strict=True))
        bits = pa.repeat(pa.scalar(0, pa.int64()), rows)
        for bit, rule in enumerate(row_rules(self.target)):
            if rule.rule.kind == "not_null":
                for name in rule.rule.columns:
                    if name in by_name and by_name[name].null_count:
                        bits = _with(bits, bit, pc.is_null(by_name[name]))
        for bit, ranged in self._ranges:
            column = by_name[str(ranged.column)]
            if column.null_count < len(column):
                lowest, highest = (_comparable(bound.as_py()) for bound in pc.min_max(column).values())
                if isinstance(ranged.min, int | float) and lowest < ranged.min:
                    bits = _with(bits, bit, pc.less(column, pa.scalar(ranged.min)))
                if isinstance(ranged.max, int | float) and highest > ranged.max:
                    bits = _with(bits, bit, pc.greater(column, pa.scalar(ranged.max)))
        if self._conditions and rows:
            by_name |= {c.name: own(c.origin) for c in self._named_of_document}
            for bit, condition in self._conditions.items():
                holds = condition(by_name)
                if pc.all(holds).as_py() is False:  # what is not known breaks no rule
                    bits = _with(bits, bit, pc.invert(holds))
        return bits

    @cached_property
    def _named_of_document(self) -> list[Column]:
        """Columns of documents that conditions name."""
        rules = row_rules(self.target)
        named = {name for bit in self._conditions for name in columns_of(rules[bit].sql)}
        return [c for c in self.target.columns if c.name in named and c.origin in self.own]


def _comparable(value: int | float | Decimal) -> int | float:
    """Return a number as Arrow compares it with a bound of JSON's: of a NUMERIC its nearest float."""
    return float(value) if isinstance(value, Decimal) else value


def _with(bits: pa.Array, bit: int, broken: pa.Array) -> pa.Array:
    both = pc.bit_wise_or(bits, pa.scalar(1 << bit, pa.int64()))
    return pc.if_else(pc.fill_null(broken, False), both, bits)
