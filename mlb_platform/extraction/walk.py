"""Documents walked for the rows of all tables, in Spark's Python workers: parsed once, one array column a table.

A document that is not as the mapping expects in structure, or has a value that is written in no usual way, gives no
rows here and is told as `odd`: Spark SQL computes it (`project.py`), which says what each value means.
"""

from __future__ import annotations

import gc
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from mlb_platform.extraction.read_columns import read_columns, settles
from mlb_platform.extraction.walk_rules import RowJudge
from mlb_platform.extraction.walk_source import walk_source
from mlb_platform.extraction.walk_types import DocumentTypes
from mlb_platform.extraction.walk_values import Made, Maker, Odd, maker, plain_text
from mlb_platform.mapping.models import InheritedColumn
from mlb_platform.mapping.resolve import Origin, ResolvedMapping, ResolvedTarget
from mlb_platform.mapping.shape import document_tree
from mlb_platform.mapping.types import SqlType, parse_type
from resources.sql_types import arrow_type

DOCUMENTS_A_BATCH = 30
_ORIGINS: tuple[Origin, Origin] = ("entity", "partition")
"""Where the columns of a document's own entity key and date come from."""
SETTLED = pa.list_(pa.struct([("c", pa.int32()), ("v", pa.string())]))
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z", re.ASCII)


def _number(value: Any) -> float:
    if type(value) is float or (type(value) is int and abs(value) < 1 << 64):
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
    return holder.get("".join(map(plain_text, parts)))


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
    "Odd": Odd, "text": plain_text, "number": _number, "member": _member, "item": _item, "first": _first,
    "uniform": _uniform,
}  # fmt: skip


@dataclass(frozen=True)
class WalkedTable:
    """What the rows of one table are made with: a maker a column, their Arrow type, and the rules over one row."""

    makers: tuple[Maker, ...]
    type: pa.StructType
    settles: bool
    judge: RowJudge

    @property
    def row(self) -> pa.StructType:
        """Type of a row: v: columns read, b: bits of broken rules[, s: values that did not fit]."""
        return pa.struct([("v", self.type), ("b", pa.int64()), *([("s", SETTLED)] if self.settles else [])])


def _table(target: ResolvedTarget, own: Mapping[Origin, SqlType]) -> WalkedTable:
    columns = read_columns(target)
    makers = tuple(maker(c.type, c.field.format if c.field else None, settles(c)) for c in columns)
    kind = pa.struct([(c.name, arrow_type(str(c.type))) for c in columns])
    return WalkedTable(makers, kind, any(map(settles, columns)), RowJudge(target, own))


class Walk:
    """Walks documents of a mapping; made from the mapping where it runs. Raises NotWalkable where it cannot be done."""

    def __init__(self, mapping: ResolvedMapping) -> None:
        self._mapping = mapping
        parts = DocumentTypes(document_tree(mapping))
        names = _NAMES | parts.empties
        exec(compile(walk_source(mapping, parts, read_columns), f"<walk of {mapping.name}>", "exec"), names)  # noqa: S102
        self._decoder = msgspec.json.Decoder(parts.document)
        self._walks: list[Callable[[Any, Any], None]] = [names[f"walk_{n}"] for n in range(len(mapping.targets))]
        columns = (mapping.entity_key, mapping.partition)
        told = {} if mapping.per_element else dict(zip(_ORIGINS, columns, strict=True))
        types = {origin: parse_type(c.type) for origin, c in told.items() if c is not None}
        self.tables = [_table(target, types) for target in mapping.targets]
        self._own = [_own(c, mapping, names.get(f"own_{n}")) for n, c in enumerate(columns)]

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns raw_id, captured_at (UTC), entity, day, odd, and t0, t1, …: arrays of the rows of each table."""
        entity, day = (kind for _, kind, _ in self._own)
        fixed = [("raw_id", pa.int64()), ("captured_at", pa.timestamp("us", tz="UTC")), ("entity", entity),
                 ("day", day), ("odd", pa.bool_())]  # fmt: skip
        return pa.schema([*fixed, *((f"t{n}", pa.list_(t.row)) for n, t in enumerate(self.tables))])

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

    def _batch(self, documents: list[Sequence[Any]], known_odd: frozenset[int] = frozenset()) -> pa.RecordBatch:
        rows: list[list[tuple[Any, ...]]] = [[] for _ in self.tables]
        ends: list[list[int]] = [[] for _ in self.tables]
        odd, own = set(known_odd), list[tuple[Any, ...]]()
        for n, (_, entity, day, _, data) in enumerate(documents):
            found = self._walk(data, (entity, day), rows) if n not in odd else None
            if found is None:
                odd.add(n)
                for of_table, until in zip(rows, ends, strict=True):
                    del of_table[until[-1] if until else 0 :]
            own.append(found or (None, None))
            for of_table, until in zip(rows, ends, strict=True):
                until.append(len(of_table))
        made = [_made(table, of_table) for table, of_table in zip(self.tables, rows, strict=True)]
        owned = [make([values[i] for values in own]) for i, (_, _, make) in enumerate(self._own)]
        late = {n for column in owned for n in column.odd}
        for columns, until in zip(made, ends, strict=True):
            wrong = sorted({row for column in columns for row in column.odd})
            late |= set(np.searchsorted(until, wrong, side="right").tolist())
        if late:  # its rows are among the others': once more, without it
            return self._batch(documents, frozenset(odd | late))
        return self._assembled(documents, odd, owned, made, ends)

    def _walk(self, data: bytes, given: Sequence[Any], rows: list[list[tuple[Any, ...]]]) -> tuple[Any, ...] | None:
        """Add the rows of a document and return its key and date; None where it is odd: what was added has to go."""
        try:
            document = self._decoder.decode(data)
            own = tuple(read(document, value) for (read, _, _), value in zip(self._own, given, strict=True))
            for walk, found in zip(self._walks, rows, strict=True):
                walk(document, found.append)
        except (Odd, msgspec.DecodeError, AttributeError, TypeError):  # the last two: another kind below a JSONB column
            return None
        complete = self._mapping.per_element or None not in own[: 1 if self._mapping.partition is None else 2]
        return own if complete else None

    def _assembled(
        self, documents: list[Sequence[Any]], odd: set[int], owned: list[Made], made: list[list[Made]],
        ends: list[list[int]],
    ) -> pa.RecordBatch:  # fmt: skip
        columns = [
            pa.array([d[0] for d in documents], pa.int64()),
            pa.array([d[3] for d in documents], pa.timestamp("us", tz="UTC")),
            *(column.array for column in owned),
            pa.array([n in odd for n in range(len(documents))]),
        ]
        own = dict(zip(_ORIGINS, (column.array for column in owned), strict=True))
        for table, cells, until in zip(self.tables, made, ends, strict=True):
            arrays = [column.array for column in cells]
            of_rows = _of_rows(own, until)
            values = pa.StructArray.from_arrays(arrays, fields=list(table.type))
            parts = [values, table.judge.broken(arrays, until[-1], of_rows)]
            if table.settles:
                parts.append(_settled(cells, until[-1]))
            row = pa.StructArray.from_arrays(parts, fields=list(table.row))
            columns.append(pa.ListArray.from_arrays(pa.array([0, *until], pa.int32()), row))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _of_rows(own: Mapping[Origin, pa.Array], until: Sequence[int]) -> Callable[[Origin], pa.Array]:
    """Return what gives the key or the date of each row's document; `until` are the rows up to each document's end."""
    return lambda origin: own[origin].take(pa.array(np.repeat(np.arange(len(until)), np.diff([0, *until]))))


def _made(table: WalkedTable, rows: list[tuple[Any, ...]]) -> list[Made]:
    columns = zip(*rows, strict=True) if rows else ((),) * len(table.makers)
    return [make(values) for make, values in zip(table.makers, columns, strict=True)]


def _settled(cells: list[Made], rows: int) -> pa.ListArray:
    found: dict[int, list[dict[str, Any]]] = {}
    for number, made in enumerate(cells):
        for row, text in made.settled.items():
            found.setdefault(row, []).append({"c": number, "v": text})
    return pa.array([found.get(row, []) for row in range(rows)], SETTLED)


def _own(
    column: InheritedColumn | None, mapping: ResolvedMapping, said: Callable[[Any], Any] | None
) -> tuple[Callable[[Any, Any], Any], pa.DataType, Maker]:
    """Return how a document's own entity key or date is found, `said` by it or given, its type and its maker."""
    kind = parse_type(column.type) if column is not None else SqlType("DATE")

    def found(document: Any, given: Any) -> Any:
        if said is not None:
            return said(document)
        return None if column is None or mapping.per_element else given

    return found, arrow_type(str(kind)), maker(kind)
