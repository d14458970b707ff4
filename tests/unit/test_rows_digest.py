"""The digest of a scope's rows says whether they are the same rows, whatever rows of other scopes lie around them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from resources.merge import SOURCE_CAPTURED_AT, ColumnSpec, MergeSpec
from resources.merge_batch import arrow_schema
from resources.rows_digest import rows_hashes

TYPES = {"note": "TEXT", "runs": "INT", "rate": "NUMERIC(7,3)", "speed": "DOUBLE", "out": "BOOLEAN", "day": "DATE",
         "at": "TIMESTAMPTZ"}  # fmt: skip
SPEC = MergeSpec(
    "quality_test.digest",
    (
        ColumnSpec("game_pk", "BIGINT", nullable=False),
        *(ColumnSpec(name, kind) for name, kind in TYPES.items()),
        ColumnSpec(SOURCE_CAPTURED_AT, "TIMESTAMPTZ", technical=True),
    ),
    ("game_pk",),
    "game_pk",
    None,
    True,
)
VALUES = st.tuples(
    st.sampled_from([None, "", "a", "ab", "é", "b"]),
    st.sampled_from([None, 0, 1, -1]),
    st.sampled_from([None, Decimal("0.000"), Decimal("1.250"), Decimal("-1.250")]),
    st.sampled_from([None, 0.0, 1.5, -1.5]),
    st.sampled_from([None, False, True]),
    st.sampled_from([None, date(1970, 1, 1), date(2024, 7, 1)]),
    st.sampled_from([None, datetime(1970, 1, 1, tzinfo=UTC), datetime(2024, 7, 1, 20, 5, tzinfo=UTC)]),
)
Row = tuple[int, tuple[Any, ...], datetime]
ROWS = st.lists(st.tuples(st.integers(1, 3), VALUES, st.datetimes(timezones=st.just(UTC))), max_size=12)


def table(rows: list[Row], cut: int = 0) -> pa.Table:
    """Return rows as Arrow, the first `cut` of them cut off afterwards, so that buffers hold more than the rows."""
    listed = [(game, *values, at) for game, values, at in rows]
    columns = list(zip(*listed, strict=True)) if listed else [()] * len(SPEC.columns)
    schema = arrow_schema(SPEC)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema).slice(cut)


@given(ROWS, ROWS, st.integers(0, 3))
def test_equal_digests_are_equal_rows(one: list[Row], two: list[Row], cut: int) -> None:
    scopes = ["1", "2"]
    first, second = rows_hashes(SPEC, table(one), scopes), rows_hashes(SPEC, table(two, cut), scopes)
    for scope in scopes:
        mine, theirs = ([v for g, v, _ in rows if str(g) == scope] for rows in (one, two[cut:]))
        assert (first[scope] == second[scope]) is (mine == theirs)


@given(ROWS)
def test_rows_of_other_scopes_and_technical_columns_do_not_count(rows: list[Row]) -> None:
    late = datetime(2030, 1, 1, tzinfo=UTC)
    alone = [(g, v, late) for g, v, _ in rows if g == 2]
    assert rows_hashes(SPEC, table(rows), ["2"]) == rows_hashes(SPEC, table(alone), ["2"])


def test_nothing_is_told_where_another_scope_may_take_rows_over() -> None:
    spec = MergeSpec("quality_test.digest", SPEC.columns, ("note",), "game_pk", None, snapshot=False)
    assert rows_hashes(spec, table([]), ["1"]) == {}
