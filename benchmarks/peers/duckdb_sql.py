"""DuckDB's SQL for the tables of a mapping: the type of the documents, and one query a table with `unnest`.

As for `per_table_spark`, the mapping says which columns there are and where they come from; how they are computed is
what one would write for DuckDB: documents parsed once into nested columns, rows by `unnest`, look-ups in maps.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from mlb_platform.extraction.values import filter_sql
from mlb_platform.mapping.filters import parse_filter
from mlb_platform.mapping.models import FieldDefinition, Lookup, RowSource
from mlb_platform.mapping.paths import ITEMS, MEMBERS, JsonPath, parse_path
from mlb_platform.mapping.resolve import Column, ResolvedMapping, ResolvedTarget, path_list
from mlb_platform.mapping.shape import Node, source_steps
from mlb_platform.mapping.types import SqlType

DOCUMENTS = "documents"
"""The table of parsed documents: raw_id, captured_at, game_pk, game_date, and the document `d`."""
_SHARED = "game_pk, game_date, captured_at, raw_id"
_PATTERNS = {"yyyyMMdd_HHmmss": "%Y%m%d_%H%M%S"}


def structure(tree: Node) -> str:
    """Return the second argument of `from_json` for a document, as a SQL literal; every value is read as text."""
    return _text(json.dumps(_type(tree)))


def documents_sql(mapping: ResolvedMapping, tree: Node, source: str) -> str:
    """Return SQL that parses the rows (raw_id, captured_at, data) of `source` into the table of documents."""
    assert mapping.partition is not None
    key, day = (
        _cast(_first([_member("d", parse_path(p).steps) for p in path_list(column)]), kind)
        for column, kind in ((mapping.entity_key, SqlType("BIGINT")), (mapping.partition, SqlType("DATE")))
    )
    return (
        f"CREATE OR REPLACE TEMP TABLE {DOCUMENTS} AS "
        f"SELECT raw_id, captured_at, {key} AS game_pk, {day} AS game_date, d "
        f"FROM (SELECT raw_id, captured_at, from_json(data, {structure(tree)}) AS d FROM {source})"
    )


def rows_sql(target: ResolvedTarget, lineage: str, made: str) -> str:
    """Return the query of a table's rows, columns in order.

    `lineage` is the SQL of lineage_metadata, which may use raw_id, and `made` that of transform_timestamp.
    """
    (source,) = target.config.row_sources
    return _Rows(target, source).sql({"lineage_metadata": lineage, "transform_timestamp": made})


@dataclass(frozen=True)
class _Rows:
    """The query of one table, whose rows come from one place in the document."""

    target: ResolvedTarget
    source: RowSource

    def sql(self, technical: dict[str, str]) -> str:
        read = [c for c in self.target.columns if c.origin == "path" and c.field is not None]
        made = {c.name: str(c.field.expression) for c in self.target.columns if c.origin == "expression" and c.field}
        texts = ", ".join(f"{self._value(c.field)} AS {_name(c.name)}" for c in read if c.field is not None)
        values = ", ".join(f"{_cast_column(c)} AS {_name(c.name)}" for c in read)
        computed = "".join(f", {text} AS {_name(name)}" for name, text in made.items())
        listed = ", ".join(f"{self._technical(c, technical)} AS {_name(c.name)}" for c in self.target.columns)
        once = "DISTINCT " if any("$first_position" in f.paths for c in read if (f := c.field)) else ""
        found = f"SELECT {_SHARED}, {texts} FROM ({self._elements()}) WHERE {self._condition()}"
        inner = f"SELECT {once}{_SHARED}, {values} FROM ({found})"
        return f"SELECT {listed} FROM (SELECT *{computed} FROM ({inner}))"

    def _technical(self, column: Column, technical: dict[str, str]) -> str:
        if column.name == "source_captured_at":
            return "captured_at"
        return technical[column.name] if column.technical else _name(column.name)

    def _elements(self) -> str:
        """Rows of the elements x1, x2, … with their positions i1, i2, …, and what the look-ups find."""
        query, here, level, carried = f"SELECT * FROM {DOCUMENTS}", "d", 0, f"{_SHARED}, d"
        steps = source_steps(self.source)
        while (cut := next((i for i, s in enumerate(steps) if s in (ITEMS, MEMBERS)), None)) is not None:
            level += 1
            holder, member = _member(here, steps[:cut]), steps[cut] == MEMBERS
            holder = f"map_values({holder})" if member else holder
            first = f", {holder} AS l{level}" if level == len([s for s in steps if s in (ITEMS, MEMBERS)]) else ""
            query = (
                f"SELECT {carried}, unnest({holder}) AS x{level}, generate_subscripts({holder}, 1) - 1 AS i{level}"
                f"{first} FROM ({query})"
            )
            carried, here, steps = f"{carried}, x{level}, i{level}", f"x{level}", steps[cut + 1 :]
        assert not steps, self.target.name
        found = "".join(f", {self._found(k)} AS {_name(f'found {n}')}" for n, k in self.target.config.lookups.items())
        return f"SELECT *{found} FROM ({query})"

    @property
    def _level(self) -> int:
        return sum(s in (ITEMS, MEMBERS) for s in source_steps(self.source))

    def _condition(self) -> str:
        given = [parse_filter(text) for text in (self.source.filter, self.target.config.filter) if text]
        present = [f"x{self._level} IS NOT NULL"] if self._level else ["true"]
        return " AND ".join(present + [f"({filter_sql(f, lambda p: self._path(p))})" for f in given])

    def _found(self, lookup: Lookup) -> str:
        if lookup.object_source is not None:
            parts = re.split(r"\{([^}]*)\}", str(lookup.key))
            texts = [_text(p) if i % 2 == 0 else self._path(parse_path(p)) for i, p in enumerate(parts) if p]
            return f"{_member('d', parse_path(lookup.object_source).steps)}[{' || '.join(texts)}]"
        index = self._path(parse_path(str(lookup.index)))
        return f"{_member('d', parse_path(str(lookup.array_source)).steps)}[TRY_CAST({index} AS INTEGER) + 1]"

    def _path(self, path: JsonPath) -> str:
        here = f"x{self._level}" if self._level else "d"
        above = self._level - path.level
        if path.anchor == "position":
            return f"i{above}"
        if path.anchor == "first_position":
            return f"(list_position(l{self._level}, {here}) - 1)"
        if path.anchor == "lookup":
            return _member(_name(f"found {path.lookup}"), path.steps)
        starts = {"item": here, "document": "d", "parent": f"x{above}" if above else "d"}
        return _member(starts[path.anchor], path.steps)

    def _value(self, f: FieldDefinition) -> str:
        value_of: Callable[[JsonPath], str] = self._path
        if f.element is not None:
            array = self._path(parse_path(f.element.array_source))
            if f.element.filter:
                condition = filter_sql(parse_filter(f.element.filter), lambda path: _member("e", path.steps))
                array = f"list_filter({array}, lambda e: {condition})"
            picked = f"({array})[{1 if f.element.pick == 'first' else -1}]"
            return _first([_member(picked, parse_path(text).steps) for text in self.source.paths_of(f)])
        return _first([value_of(parse_path(text)) for text in self.source.paths_of(f)])


def _type(node: Node) -> str:
    if node.kind == "array":
        return f"{_type(node.children[ITEMS])}[]"
    if node.kind == "members":
        return f"MAP(VARCHAR, {_type(node.children[MEMBERS])})"
    if node.kind == "object":
        return f"STRUCT({', '.join(f'{_name(name)} {_type(child)}' for name, child in node.children.items())})"
    return "VARCHAR"


def _cast_column(column: Column) -> str:
    f, name = column.field, _name(column.name)
    assert f is not None
    text = name if f.default is None else f"coalesce({name}, {_text(str(f.default))})"
    if f.format is not None:
        return f"try_strptime({text}, {_text(_PATTERNS[f.format])}) AT TIME ZONE 'UTC'"
    return _cast(text, column.type)


def _cast(text: str, kind: SqlType) -> str:
    if kind.name == "NUMERIC":
        return f"TRY_CAST({text} AS DECIMAL({kind.args[0]}, {kind.args[1]}))"
    if kind.name in ("VARCHAR", "TEXT"):
        return f"CASE WHEN length({text}) <= {kind.args[0]} THEN {text} END" if kind.args else text
    return f"TRY_CAST({text} AS {kind.name})"


def _first(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"coalesce({', '.join(f'CAST({v} AS VARCHAR)' for v in values)})"


def _member(base: str, steps: tuple[str, ...]) -> str:
    return base + "".join(f".{_name(s)}" for s in steps)


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
