"""A stored row found again in the captures it was made of, and for each column the capture that says its value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlb_platform.extraction.repair import Misplaced
from mlb_platform.lineage.captures import Capture, Captures
from mlb_platform.lineage.pointers import NOTHING, Cell, Place, SourceRow, source_rows
from mlb_platform.lineage.rows import Evaluator, needed_for, read_value, row_values
from mlb_platform.lineage.values import cast, text_of
from mlb_platform.mapping.models import InheritedColumn
from mlb_platform.mapping.paths import parse_path
from mlb_platform.mapping.resolve import Column, ResolvedMapping, ResolvedTarget, path_list
from mlb_platform.mapping.types import parse_type


@dataclass(frozen=True)
class Found:
    """A row in one capture: its values by column as that capture alone gives them, and where they stand."""

    capture: Capture
    row: SourceRow
    values: Mapping[str, Any]
    inherited: Mapping[str, Cell]
    misplaced: tuple[Misplaced, ...] = ()

    def cell(self, column: Column) -> Cell | None:
        """Return where a column's value stands; None for one that is not read from the document."""
        if column.origin in ("entity", "partition"):
            cell = self.inherited[column.origin]
            return cell if cell.path else None
        return self.row.cell(column.field) if column.origin == "path" and column.field is not None else None

    def misfit(self, cell: Cell) -> Misplaced | None:
        """Return what was taken out of the document at a cell's place, or around it."""
        pointer = cell.place.pointer
        hits = (m for m in self.misplaced if pointer is not None and f"{pointer}/".startswith(f"{m.pointer}/"))
        return next(hits, None)


class RowFinder:
    """Finds the rows of one table in captures by their key."""

    def __init__(self, captures: Captures, mapping: ResolvedMapping, target: ResolvedTarget) -> None:
        self._captures = captures
        self._mapping = mapping
        self._target = target
        self.evaluator = Evaluator()

    def find(self, capture: Capture, stored: Mapping[str, Any]) -> Found | None:
        """Return the first row of a capture that has the key of a stored row; None when it has none."""
        return next(self.find_all(capture, [stored]), (0, None))[1]

    def find_all(self, capture: Capture, stored: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Found]]:
        """Yield, for those of several stored rows that a capture has, their number and the row."""
        document, misplaced = self._captures.document(self._mapping, capture.raw_id)
        columns = self._target.columns
        cells = self._inherited_cells(document)
        own = {name: self._inherited_value(name, cell, capture) for name, cell in cells.items()}
        given = {c.name: own[c.origin] for c in columns if c.origin in own}
        pending = dict(enumerate(stored))
        for row, key in self._with_keys(document, given, {self._read_key(known) for known in stored}):
            for number in [n for n, known in pending.items() if tuple(known[name] for name in self._target.key) == key]:
                technical = {c.name: pending[number][c.name] for c in columns if c.technical}
                values = row_values(row, technical | given, self.evaluator)
                del pending[number]
                yield number, Found(capture, row, values, cells, tuple(misplaced))

    @cached_property
    def _read(self) -> list[Column]:
        """The key columns that are read row by row."""
        return [c for c in map(self._target.by_name.__getitem__, self._target.key) if c.origin in ("path", "constant")]

    def _read_key(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(values[c.name] for c in self._read)

    def _with_keys(
        self, document: Any, given: Mapping[str, Any], wanted: set[tuple[Any, ...]]
    ) -> list[tuple[SourceRow, tuple[Any, ...]]]:
        """Return the rows of a document whose key may be one of those wanted, each with its key."""
        key = [self._target.by_name[name] for name in self._target.key]
        needed = {n.name: n for c in key for n in [*needed_for(self._target, c), c]}
        rows, values = [], []
        for row in source_rows(document, self._target, self._captures.tree(self._mapping)):
            if tuple(read_value(row, c) for c in self._read) in wanted:
                rows.append(row)
                read = {n: read_value(row, c) for n, c in needed.items() if c.origin in ("path", "constant")}
                values.append({**given, **read})
        for column in self._target.columns:
            if rows and column.name in needed and column.origin == "expression":
                try:
                    found = self.evaluator.expression(self._target, column, values)
                except ValueError:
                    return []
                for one, value in zip(values, found, strict=True):
                    one[column.name] = value
        return [(row, tuple(v[c.name] for c in key)) for row, v in zip(rows, values, strict=True)]

    def _inherited_cells(self, document: Any) -> dict[str, Cell]:
        m = self._mapping
        columns: dict[str, InheritedColumn | None] = {"entity": m.entity_key, "partition": m.partition}
        return {origin: _document_cell(document, c) for origin, c in columns.items() if c is not None}

    def _inherited_value(self, origin: str, cell: Cell, capture: Capture) -> Any:
        column = self._mapping.entity_key if origin == "entity" else self._mapping.partition
        assert column is not None
        if cell.path:
            return cast(text_of(cell.raw), parse_type(column.type))
        return cast(capture.entity_key, parse_type(column.type)) if origin == "entity" else capture.partition_date


def _document_cell(document: Any, column: InheritedColumn) -> Cell:
    """Return where a document says its entity key or date; a cell without path where it does not."""
    passed: list[Place] = []
    found, path = NOTHING, ""
    for path in path_list(column):
        found = Place(document, "").follow(parse_path(path).steps)
        if found.value is not None:
            break
        passed.append(found)
    return Cell(found, path, tuple(passed if found.value is not None else passed[:-1]))


def winner(found: list[Found], column: Column) -> Found | None:
    """Return which of the captures that have a row, the newest first, says the value of a column.

    The newest with a value; where the column has `cleared_by`, the newest with a value in either. With no value in any,
    the newest; None when there is no capture at all.
    """
    other = column.field.cleared_by if column.field is not None else None
    if column.technical or not found:
        return found[0] if found else None
    for f in found:
        if f.values.get(column.name) is not None or (other is not None and f.values.get(other) is not None):
            return f
    return found[0]
