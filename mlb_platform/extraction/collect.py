"""The rows of all tables as Arrow, out of the one job that computed them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mlb_platform.extraction.project import (
    BROKEN,
    CAPTURED_AT,
    COMPUTED,
    ENTITY,
    MISFIT,
    MISFITS,
    PARTITION,
    VALUES,
    Projection,
)
from mlb_platform.extraction.read_columns import read_columns
from mlb_platform.extraction.schema import CORRUPT
from mlb_platform.mapping.resolve import Column, ResolvedTarget
from resources.sql_types import arrow_type

RAW_ID = "_raw_id"


@dataclass(frozen=True)
class Document:
    """What one parsed capture says of itself."""

    raw_id: int
    entity: object
    partition: object
    corrupt: bool


@dataclass
class TableRows:
    """Rows of one table over several captures: business columns, `_raw_id`, and what each row breaks."""

    target: ResolvedTarget
    rows: pa.Table
    misfit: pa.BooleanArray | None
    """None: no row has one that needs a second look."""
    broken: pa.Int64Array
    misfits: pa.ListArray | None = None
    distinct: bool = False
    """Whether it is known that no two rows of a capture share a key."""

    @property
    def columns(self) -> list[Column]:
        """Columns read row by row, in the order that misfits count them."""
        return read_columns(self.target)


def members_of(structs: pa.StructArray) -> dict[str, pa.Array]:
    """Return the members of a struct by name; NULL where the struct is."""
    return dict(zip((f.name for f in structs.type), structs.flatten(), strict=True))


def _flatten(collected: pa.Table, index: int, target: ResolvedTarget) -> TableRows:
    lists = collected.column(f"t{index}").combine_chunks()
    members = members_of(lists.flatten())
    cells = members_of(members[VALUES]) | (members_of(members[COMPUTED]) if COMPUTED in members else {})
    of_document = collected.select(["raw_id", CAPTURED_AT, ENTITY, PARTITION])
    return TableRows(
        target, rows_of(target, of_document, lists, cells), members[MISFIT], members[BROKEN], members.get(MISFITS)
    )


def rows_of(
    target: ResolvedTarget, of_document: pa.Table, lists: pa.ListArray, cells: Mapping[str, pa.Array]
) -> pa.Table:
    """Return the rows of one table: `_raw_id` and its columns; `cells` are those that lie in the flattened `lists`.

    `of_document` has raw id, capture time, entity key and date of each document, in this order.
    """
    parents = pc.list_parent_indices(lists)
    raw_id, captured_at, entity, day = (column.take(parents) for column in of_document.columns)
    arrays: dict[str, pa.Array] = {RAW_ID: raw_id}
    for c in target.columns:
        kind = arrow_type(str(c.type))
        if c.origin == "entity":
            arrays[c.name] = entity.cast(kind)
        elif c.origin == "partition":
            arrays[c.name] = day.cast(kind)
        elif c.name == "source_captured_at" or c.origin == "raw":
            arrays[c.name] = captured_at
        elif c.name in cells:
            arrays[c.name] = cells[c.name] if cells[c.name].type == kind else cells[c.name].cast(kind)
    return pa.table(arrays)


def collect(projection: Projection, collected: pa.Table) -> tuple[list[Document], list[TableRows]]:
    """Split the one collected table (a row a document, an array a table) into documents and rows by table."""
    documents = [
        Document(*values)
        for values in zip(
            *(collected.column(n).to_pylist() for n in ("raw_id", ENTITY, PARTITION, CORRUPT)), strict=True
        )
    ]
    return documents, [_flatten(collected, i, t.target) for i, t in enumerate(projection.tables)]
