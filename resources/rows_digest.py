"""Digests of the rows of each scope: by them a capture that says the same as the one before costs no merge."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from resources.merge import MergeSpec
from resources.merge_batch import scope_column

_Runs = list[tuple[str, int, int]]
_Cells = tuple[npt.NDArray[np.generic], npt.NDArray[np.int64] | None]
"""Bytes or numbers of a column, and where those of each row begin (None: row n is number n)."""


def rows_hashes(spec: MergeSpec, rows: pa.Table, scopes: Collection[str]) -> dict[str, str]:
    """Return a BLAKE2 digest by scope of its rows as they are offered: key and business columns with their types.

    Rows in another order have another digest. Empty where another scope may take rows over, whose rows tell nothing.
    """
    if not scopes or spec.scope not in spec.key:
        return {}
    kept, runs = _by_scope(spec, rows.select([c.name for c in spec.columns if not c.technical]))
    columns = ",".join(f"{f.name} {f.type}" for f in kept.schema).encode()
    digests = {scope: hashlib.blake2b(columns, digest_size=16) for scope in scopes}
    runs = [run for run in runs if run[0] in digests]
    for column in kept.columns:
        for cells, starts in _parts(column):
            for scope, start, end in runs:
                first, last = (start, end) if starts is None else (int(starts[start]), int(starts[end]))
                digests[scope].update(cells[first:last])  # type: ignore[arg-type]
    for scope, start, end in runs:
        digests[scope].update((end - start).to_bytes(8, "little"))
    return {scope: digest.hexdigest() for scope, digest in digests.items()}


def _by_scope(spec: MergeSpec, rows: pa.Table) -> tuple[pa.Table, _Runs]:
    """Return the rows, those of a scope one after the other as they were, and where those of each begin and end."""
    runs = _runs(scope_column(spec, rows))
    if len({scope for scope, _, _ in runs}) < len(runs):
        rows = rows.take(pc.sort_indices(rows[spec.scope]))
        runs = _runs(scope_column(spec, rows))
    return rows.combine_chunks(), runs


def _runs(texts: pa.ChunkedArray) -> _Runs:
    if not len(texts):
        return []
    runs = pc.run_end_encode(texts.combine_chunks(), run_end_type=pa.int64())
    ends = runs.run_ends.to_pylist()
    return list(zip(runs.values.to_pylist(), [0, *ends[:-1]], ends, strict=True))


def _parts(column: pa.ChunkedArray) -> Iterator[_Cells]:
    """Give a column as bytes that tell its values: which are there, how long texts are, and what they are."""
    if not len(column):
        return
    array = column.combine_chunks()
    yield array.is_valid().cast(pa.uint8()).to_numpy(), None
    if pa.types.is_string(array.type):
        texts = array.fill_null("") if array.null_count else array
        _, offsets, data = texts.buffers()
        starts = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4).astype(np.int64)
        yield np.diff(starts), None
        yield np.frombuffer(data if data is not None else b"", np.uint8), starts
        return
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    width = array.type.bit_width // 8
    if array.null_count:  # what lies where there is no value may be anything
        array = array.fill_null(_zero(array.type))
    raw = np.frombuffer(array.buffers()[1], np.uint8, len(array) * width, array.offset * width)
    yield raw.reshape(len(array), width), None


def _zero(kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_decimal(kind):
        return pa.scalar(Decimal(0), kind)
    return pa.scalar(0, pa.int64() if pa.types.is_timestamp(kind) else pa.int32()).cast(kind)
