"""Rules of order: where Arrow says that all is well no value falls, and of rows as they are walked it can tell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mlb_platform.mapping.models import DataQualityRule
from mlb_platform.quality.judge import Judge

Row = tuple[int, str | None, int | None, int | None, int | None]
"""Capture, half, number, and the two values that must not fall."""
NAMES = ("raw_id", "half", "n", "home", "away")
RULE = DataQualityRule.model_validate(
    {"kind": "ordered", "columns": ["home", "away"], "order_by": ["n"], "within": ["half"], "severity": "warn"}
)
SMALL_NUMBER = st.none() | st.integers(0, 3)
ROWS = st.lists(st.tuples(st.integers(1, 2), st.sampled_from(["top", "bottom", None]), *[SMALL_NUMBER] * 3), max_size=8)


def plainly(rows: Sequence[Row], size: int = 8) -> bool:
    """Ask the judge of rows in chunks of a size."""
    kinds = (pa.int64(), pa.string(), pa.int64(), pa.int64(), pa.int64())
    schema = pa.schema(zip(NAMES, kinds, strict=True))
    records = [dict(zip(NAMES, row, strict=True)) for row in rows]
    parts = [records[n : n + size] for n in range(0, len(records), size)]
    table = pa.concat_tables([pa.Table.from_pylist(part, schema) for part in parts])
    return Judge([], "raw_id")._plainly_ordered(table, RULE)


def falls(rows: Sequence[Row]) -> bool:
    """Say whether a value is smaller than the one before it in its group, by number; None is no number."""

    def group(row: Row) -> tuple[Any, ...]:
        return (row[0], row[1] or "")

    ordered = sorted(rows, key=lambda r: (*group(r), r[2] if r[2] is not None else -1))
    for _, found in groupby(ordered, key=group):
        for before, here in pairwise(found):
            if any(b is not None and h is not None and h < b for b, h in zip(before[3:], here[3:], strict=True)):
                return True
    return False


@given(ROWS)
def test_nothing_that_falls_passes(rows: list[Row]) -> None:
    if rows and plainly(rows):
        assert not falls(rows)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8), st.integers(1, 8))
def test_rows_in_their_order_pass_exactly_when_nothing_falls(values: list[tuple[int, int]], size: int) -> None:
    rows: list[Row] = [(1 + n // 5, "top", n, home, away) for n, (home, away) in enumerate(values)]
    assert plainly(rows, size) is not falls(rows)


def test_groups_that_are_apart_are_left_to_sql() -> None:
    assert not plainly([(1, "top", 1, 0, 0), (1, "bottom", 1, 0, 0), (1, "top", 2, 0, 0)])
