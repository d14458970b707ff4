"""What a mapping says of its table already, so that it is not suggested again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from mlb_platform.mapping.models import DataQualityRule
from mlb_platform.mapping.resolve import ResolvedTarget
from mlb_platform.mapping.sql import columns_of


def is_id(name: str) -> bool:
    """Whether a column is called as ids are: it names something, it counts nothing."""
    return re.search(r"(^|_)(id|pk|guid|uuid|key|code)$", name) is not None


def is_plain(name: str) -> bool:
    """Whether a name by itself is a column to the SQL of rules; `call` is not."""
    try:
        return columns_of(f"{name} IN ('a') AND {name} = {name}") == [name]
    except ValueError:
        return False


class Said:
    """What a mapping says of its table; `target` None: there is no mapping yet, nothing is said."""

    def __init__(self, target: ResolvedTarget | None) -> None:
        self.target = target
        self.scope = target.scope if target else None
        self.partition = target.partition if target else None

    @property
    def key(self) -> tuple[str, ...]:
        """Columns of the key."""
        return self.target.key if self.target else ()

    @property
    def rules(self) -> Sequence[DataQualityRule]:
        """Rules of the table."""
        return self.target.rules if self.target else ()

    @cached_property
    def _expressions(self) -> list[tuple[str, set[str]]]:
        rules = [str(r.rule) for r in self.rules if r.rule]
        return [(text, set(columns_of(text))) for text in rules]

    def not_null(self, column: str) -> bool:
        """Whether it is said that a column always has a value."""
        if self.target is None:
            return False
        known = self.target.by_name.get(column)
        if known is not None and not known.nullable:
            return True
        rules = [r for r in self.target.rules if r.kind == "not_null" and column in r.columns]
        return bool(rules) or any(
            column in names and re.search(rf"\b{column}\b IS NOT NULL", text, re.IGNORECASE)
            for text, names in self._expressions
        )

    def unique(self, columns: Sequence[str]) -> bool:
        """Whether it is said, or follows from what is said, that these columns tell rows apart."""
        if self.target is None:
            return False
        keys = [set(self.target.key), *(set(r.columns) for r in self.target.rules if r.kind == "unique")]
        keys += [set(i.columns) for i in self.target.config.indexes if i.unique]
        return any(key <= set(columns) for key in keys)

    def bounded(self, column: str) -> bool:
        """Whether something is said of a column's values: bounds, a list of them, what they refer to, an order."""
        if self.target is None:
            return False
        if column in self.key or any(column in r.from_fields for r in self.target.relationships):
            return True
        if any(column == r.column or (r.kind == "reference" and column in r.columns) for r in self.target.rules):
            return True
        return any(column in names for _, names in self._expressions)

    def ordered(self, column: str) -> bool:
        """Whether it is said that a column rises."""
        return any(r.kind == "ordered" and column in r.columns for r in self.rules)

    def together(self, first: str, second: str) -> bool:
        """Whether a rule compares two columns."""
        return any({first, second} <= names for _, names in self._expressions)

    def type_of(self, column: str) -> str | None:
        """Return the name of the type that a column has by the mapping; None where it says none."""
        known = self.target.by_name.get(column) if self.target else None
        return known.type.name if known is not None else None
