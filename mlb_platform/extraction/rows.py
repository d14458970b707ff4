"""The explode chain of a target as one Spark SQL expression: from the parsed document to an array of raw rows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlb_platform.extraction.values import filter_sql, literal, quote
from mlb_platform.mapping.filters import parse_filter
from mlb_platform.mapping.models import ElementPick, FieldDefinition, Lookup, RowSource
from mlb_platform.mapping.paths import ITEMS, MEMBERS, JsonPath, parse_path
from mlb_platform.mapping.resolve import Column, ResolvedTarget
from mlb_platform.mapping.shape import source_steps

DOCUMENT = "d"
"""The column that holds the parsed document."""


def _member(base: str, steps: tuple[str, ...]) -> str:
    return base + "".join(f".`{s}`" for s in steps)


@dataclass(frozen=True)
class _Element:
    """One level of the explode chain: SQL of its element, key, position, and position of the first equal one."""

    value: str
    key: str = "CAST(NULL AS STRING)"
    position: str = "CAST(NULL AS STRING)"
    first_position: str = "CAST(NULL AS STRING)"


class _RowBuilder:
    """Builds the rows of one source of one target; `chain` holds the enclosing elements, the document first."""

    def __init__(self, target: ResolvedTarget, source: RowSource) -> None:
        self.target = target
        self.source = source

    def value_of(self, path: JsonPath, chain: list[_Element]) -> str:
        here = chain[-1]
        if path.anchor == "key":
            return here.key
        if path.anchor == "position":
            return chain[-1 - path.level].position
        if path.anchor == "first_position":
            return here.first_position
        if path.anchor == "item":
            return _member(here.value, path.steps)
        if path.anchor == "parent":
            return _member(chain[-1 - path.level].value, path.steps)
        if path.anchor == "document":
            return _member(DOCUMENT, path.steps)
        return _member(self.found(self.target.config.lookups[str(path.lookup)], chain), path.steps)

    def found(self, lookup: Lookup, chain: list[_Element]) -> str:
        """SQL of the element a look-up finds, NULL when there is none."""
        if lookup.object_source is not None:
            holder = _member(DOCUMENT, parse_path(lookup.object_source).steps)
            parts = re.split(r"\{([^}]*)\}", str(lookup.key))
            texts = [quote(p) if i % 2 == 0 else self.value_of(parse_path(p), chain) for i, p in enumerate(parts)]
            return f"try_element_at({holder}, concat({', '.join(texts)}))"
        holder = _member(DOCUMENT, parse_path(str(lookup.array_source)).steps)
        return f"get({holder}, try_cast({self.value_of(parse_path(str(lookup.index)), chain)} AS INT))"

    def picked(self, element: ElementPick, chain: list[_Element]) -> str:
        """SQL of the first or last element of an array that matches."""
        array = self.value_of(parse_path(element.array_source), chain)
        if element.filter:
            condition = filter_sql(
                parse_filter(element.filter), lambda path: self.value_of(path, [*chain, _Element("e")])
            )
            array = f"filter({array}, e -> {condition})"
        return f"try_element_at({array}, {1 if element.pick == 'first' else -1})"

    def raw(self, f: FieldDefinition, chain: list[_Element]) -> str:
        """SQL of a field's text (or position), before its cast."""
        if f.element is not None:
            chain = [*chain, _Element(self.picked(f.element, chain))]
        values = [self.value_of(parse_path(text), chain) for text in self.source.paths_of(f)]
        if not values:
            return "CAST(NULL AS STRING)"
        return values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"

    def column(self, column: Column, chain: list[_Element]) -> str:
        f = column.field
        assert f is not None
        if column.origin == "constant":
            given = self.source.constants.get(f.constant, f.constant) if isinstance(f.constant, str) else f.constant
            assert given is not None
            return literal(given, column.type)
        return self.raw(f, chain)

    def row(self, columns: list[Column], chain: list[_Element]) -> tuple[str, str]:
        """SQL of (the raw row as a struct, the condition under which it is a row)."""
        cells = ", ".join(f"{quote(c.name)}, {self.column(c, chain)}" for c in columns)
        conditions = [
            f"({filter_sql(parse_filter(text), lambda path: self.value_of(path, chain))})"
            for text in (self.source.filter, self.target.config.filter)
            if text
        ]
        return f"named_struct({cells})", " AND ".join(conditions)

    def rows(self, columns: list[Column]) -> str:
        steps = source_steps(self.source)
        if not steps:
            row, condition = self.row(columns, [_Element(DOCUMENT)])
            return f"filter(array({row}), r -> {condition})" if condition else f"array({row})"
        return self.explode(steps, columns, [_Element(DOCUMENT)])

    def explode(self, steps: tuple[str, ...], columns: list[Column], chain: list[_Element]) -> str:
        cut = next((i for i, s in enumerate(steps) if s in (ITEMS, MEMBERS)), None)
        holder = _member(chain[-1].value, steps[:cut])
        if cut is None:
            row, condition = self.row(columns, [*chain, _Element(holder)])
            present = f"{holder} IS NOT NULL" + (f" AND {condition}" if condition else "")
            return f"filter(array(IF({present}, {row}, NULL)), r -> r IS NOT NULL)"
        item, counter = f"x{len(chain)}", f"i{len(chain)}"
        position = f"CAST({counter} AS STRING)"
        if steps[cut] == MEMBERS:
            holder = f"map_entries({holder})"
            element = _Element(f"{item}.value", f"{item}.key", position, position)
        else:
            first = f"CAST(array_position({holder}, {item}) - 1 AS STRING)"
            element = _Element(item, position=position, first_position=first)
        rest = steps[cut + 1 :]
        if rest:
            inner = self.explode(rest, columns, [*chain, element])
            return f"flatten(filter(transform({holder}, ({item}, {counter}) -> {inner}), r -> r IS NOT NULL))"
        row, condition = self.row(columns, [*chain, element])
        present = f"{element.value} IS NOT NULL" + (f" AND {condition}" if condition else "")
        return f"filter(transform({holder}, ({item}, {counter}) -> IF({present}, {row}, NULL)), r -> r IS NOT NULL)"


def raw_rows_sql(target: ResolvedTarget, columns: list[Column]) -> str:
    """Return SQL of the target's rows as an array of structs of texts, one member a column of `columns`.

    NULL where the array is missing. Rows keep the order of the document; those of several sources follow each other.
    """
    parts = [_RowBuilder(target, source).rows(columns) for source in target.config.row_sources]
    if len(parts) == 1:
        return parts[0]
    return f"flatten(filter(array({', '.join(parts)}), s -> s IS NOT NULL))"
