"""The rows of all tables as Arrow, out of the one job that computed them."""

from __future__ import annotations

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
    misfit: pa.BooleanArray
    broken: pa.Int64Array
    misfits: pa.ListArray | None = None

    @property
    def columns(self) -> list[Column]:
        """Columns read row by row, in the order that misfits count them."""
        return read_columns(self.target)


def _members(structs: pa.StructArray) -> dict[str, pa.Array]:
    return dict(zip((f.name for f in structs.type), structs.flatten(), strict=True))


def _flatten(collected: pa.Table, index: int, target: ResolvedTarget) -> TableRows:
    lists = collected.column(f"t{index}").combine_chunks()
    structs = lists.flatten()
    parents = pc.list_parent_indices(lists)
    members = _members(structs)
    cells = _members(members[VALUES]) | (_members(members[COMPUTED]) if COMPUTED in members else {})

    def of_document(name: str) -> pa.Array:
        return collected.column(name).take(parents)

    arrays: dict[str, pa.Array] = {RAW_ID: of_document("raw_id")}
    for c in target.columns:
        if c.origin == "entity":
            arrays[c.name] = of_document(ENTITY).cast(arrow_type(str(c.type)))
        elif c.origin == "partition":
            arrays[c.name] = of_document(PARTITION).cast(arrow_type(str(c.type)))
        elif c.name == "source_captured_at" or c.origin == "raw":
            arrays[c.name] = of_document(CAPTURED_AT)
        elif c.name in cells:
            arrays[c.name] = cells[c.name].cast(arrow_type(str(c.type)))
    return TableRows(target, pa.table(arrays), members[MISFIT], members[BROKEN], members.get(MISFITS))


def collect(projection: Projection, collected: pa.Table) -> tuple[list[Document], list[TableRows]]:
    """Split the one collected table (a row a document, an array a table) into documents and rows by table."""
    documents = [
        Document(*values)
        for values in zip(
            *(collected.column(n).to_pylist() for n in ("raw_id", ENTITY, PARTITION, CORRUPT)), strict=True
        )
    ]
    return documents, [_flatten(collected, i, t.target) for i, t in enumerate(projection.tables)]
