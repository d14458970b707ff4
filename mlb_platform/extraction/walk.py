"""Documents walked for the rows of all tables, in Spark's Python workers: parsed once, one array column a table.

A document that is not as the mapping expects in structure, or has a value that is written in no usual way, gives no
rows here and is told as `odd`: Spark SQL computes it (`project.py`), which says what each value means.
"""

from __future__ import annotations

import gc
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from mlb_platform.extraction.read_columns import read_columns, settles
from mlb_platform.extraction.walk_source import walk_source
from mlb_platform.extraction.walk_values import Made, Maker, maker
from mlb_platform.mapping.paths import parse_path
from mlb_platform.mapping.resolve import ResolvedMapping, ResolvedTarget, path_list
from mlb_platform.mapping.types import SqlType, parse_type
from resources.sql_types import arrow_type

DOCUMENTS_A_BATCH = 30
SETTLED = pa.list_(pa.struct([("c", pa.int32()), ("v", pa.string())]))
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z", re.ASCII)


class Odd(Exception):
    """A document, or a value of it, that is left to Spark SQL."""


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    raise Odd


def _number(value: Any) -> float:
    if type(value) is int or type(value) is float:
        return float(value)
    if type(value) is bool:
        return math.nan
    if type(value) is str:
        if _NUMBER.match(value):
            return float(value)
        if not any(map(str.isdigit, value)) and "n" not in value.lower():  # NaN, Infinity
            return math.nan
    raise Odd


def _member(holder: dict[str, Any] | None, *parts: Any) -> Any:
    if holder is None or None in parts:
        return None
    return holder.get("".join(map(_text, parts)))


def _item(holder: list[Any] | None, index: Any) -> Any:
    if holder is None or index is None:
        return None
    if type(index) is not int:
        raise Odd
    return holder[index] if 0 <= index < len(holder) else None


def _first(*values: Any) -> Any:
    for value in values:
        if value is not None:
            return value
    return None


def _uniform(array: list[Any] | None) -> None:
    """Leave arrays to Spark in which equal texts can be unequal values."""
    if array and not (set(map(type, array)) <= {int, type(None)} or set(map(type, array)) <= {str, type(None)}):
        raise Odd


_NAMES: dict[str, Any] = {
    "E": {}, "Odd": Odd, "text": _text, "number": _number, "member": _member, "item": _item, "first": _first,
    "uniform": _uniform,
}  # fmt: skip


@dataclass(frozen=True)
class _Table:
    """What the rows of one table are made with: a maker a column, and their Arrow type."""

    makers: tuple[Maker, ...]
    type: pa.StructType
    settles: bool


def _table(target: ResolvedTarget) -> _Table:
    columns = read_columns(target)
    makers = [maker(c.type, c.field.format if c.field else None, settles(c)) for c in columns]
    kind = pa.struct([(c.name, arrow_type(str(c.type))) for c in columns])
    return _Table(tuple(makers), kind, any(map(settles, columns)))


class Walk:
    """Walks documents of a mapping; made from the mapping where it runs. Raises NotWalkable where it cannot be done."""

    def __init__(self, mapping: ResolvedMapping) -> None:
        self._mapping = mapping
        names = dict(_NAMES)
        exec(compile(walk_source(mapping, read_columns), f"<walk of {mapping.name}>", "exec"), names)  # noqa: S102
        self._check: Callable[[Any], None] = names["check"]
        self._walks: list[Callable[[Any, Any], None]] = [names[f"walk_{n}"] for n in range(len(mapping.targets))]
        self._tables = [_table(target) for target in mapping.targets]
        self._own = [_own(c, mapping) for c in (mapping.entity_key, mapping.partition)]

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns raw_id, captured_at (UTC), entity, day, odd, t0, t1, …: arrays of (v: columns read[, s: misfits])."""
        entity, day = (kind for _, kind, _ in self._own)
        fixed = [("raw_id", pa.int64()), ("captured_at", pa.timestamp("us", tz="UTC")), ("entity", entity),
                 ("day", day), ("odd", pa.bool_())]  # fmt: skip
        arrays = [(f"t{n}", pa.list_(self._row_type(t))) for n, t in enumerate(self._tables)]
        return pa.schema([*fixed, *arrays])

    @staticmethod
    def _row_type(table: _Table) -> pa.StructType:
        return pa.struct([("v", table.type), *([("s", SETTLED)] if table.settles else [])])

    def batches(self, documents: Iterable[Sequence[Any]]) -> Iterator[pa.RecordBatch]:
        """Walk documents (raw_id, entity key, date, capture time, bytes of JSON) and give the rows, some at a time."""
        part: list[Sequence[Any]] = []
        collecting = gc.isenabled()
        gc.disable()  # a document is a million objects without a cycle: collecting finds nothing
        try:
            for document in documents:
                part.append(document)
                if len(part) == DOCUMENTS_A_BATCH:
                    yield self._batch(part)
                    part = []
            if part:
                yield self._batch(part)
        finally:
            if collecting:
                gc.enable()

    def _batch(self, documents: list[Sequence[Any]]) -> pa.RecordBatch:
        rows: list[list[tuple[Any, ...]]] = [[] for _ in self._tables]
        ends: list[list[int]] = [[] for _ in self._tables]
        odd: set[int] = set()
        own: list[tuple[Any, Any]] = []
        for n, (_, entity, day, _, data) in enumerate(documents):
            try:
                document = orjson.loads(data)
                self._check(document)
                own.append(
                    tuple(read(document, given) for (read, _, _), given in zip(self._own, (entity, day), strict=True))
                )
                for walk, found in zip(self._walks, rows, strict=True):
                    walk(document, found.append)
            except (Odd, orjson.JSONDecodeError, AttributeError, TypeError):  # of another kind below a JSONB column
                odd.add(n)
                own[n:] = [(None, None)]
                for found, until in zip(rows, ends, strict=True):
                    del found[until[-1] if until else 0 :]
            for found, until in zip(rows, ends, strict=True):
                until.append(len(found))
        made = [
            [m(v) for m, v in zip(t.makers, _columns(r, len(t.makers)), strict=True)]
            for t, r in zip(self._tables, rows, strict=True)
        ]
        owned = [make([pair[i] for pair in own]) for i, (_, _, make) in enumerate(self._own)]
        late = {n for m in owned for n in m.odd}
        for columns, until in zip(made, ends, strict=True):
            wrong = sorted({row for m in columns for row in m.odd})
            late |= set(np.searchsorted(until, wrong, side="right").tolist())
        if late:
            bad = odd | late
            return self._without(documents, bad)
        return self._assembled(documents, odd, owned, made, ends)

    def _without(self, documents: list[Sequence[Any]], odd: set[int]) -> pa.RecordBatch:
        """Walk again without the documents that turned out odd, which are told as such."""
        blank = [d if n not in odd else (*d[:4], b"") for n, d in enumerate(documents)]
        return self._batch(blank)

    def _assembled(
        self, documents: list[Sequence[Any]], odd: set[int], owned: list[Made], made: list[list[Made]],
        ends: list[list[int]],
    ) -> pa.RecordBatch:  # fmt: skip
        columns = [
            pa.array([d[0] for d in documents], pa.int64()),
            pa.array([d[3] for d in documents], pa.timestamp("us", tz="UTC")),
            *(m.array for m in owned),
            pa.array([n in odd for n in range(len(documents))]),
        ]
        for table, cells, until in zip(self._tables, made, ends, strict=True):
            values = pa.StructArray.from_arrays([m.array for m in cells], fields=list(table.type))
            parts = [values]
            if table.settles:
                parts.append(_settled(cells, until[-1]))
            row = pa.StructArray.from_arrays(parts, fields=list(self._row_type(table)))
            columns.append(pa.ListArray.from_arrays(pa.array([0, *until], pa.int32()), row))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _columns(rows: list[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _settled(cells: list[Made], rows: int) -> pa.ListArray:
    found: dict[int, list[dict[str, Any]]] = {}
    for number, made in enumerate(cells):
        for row, text in made.settled.items():
            found.setdefault(row, []).append({"c": number, "v": text})
    return pa.array([found.get(row, []) for row in range(rows)], SETTLED)


def _own(column: Any, mapping: ResolvedMapping) -> tuple[Callable[[Any, Any], Any], pa.DataType, Maker]:
    """Return how a document's own entity key or date is read from it and from its raw row, its type and its maker."""
    kind = parse_type(column.type) if column is not None else SqlType("DATE")
    make = maker(kind)
    if column is None or mapping.per_element:
        return (lambda document, given: None), arrow_type(str(kind)), make
    paths = [parse_path(p).steps for p in path_list(column)]
    if not paths:
        return (lambda document, given: given), arrow_type(str(kind)), make

    def read(document: Any, given: Any) -> Any:
        for steps in paths:
            value = document
            for step in steps:
                value = value.get(step) if value is not None else None
            if value is not None:
                return value
        return None

    return read, arrow_type(str(kind)), make
