"""The merge contract, the same in every sink and engine.

What the engine has no part in, and what Spark takes minutes for here, is a `light_case`: Spark's ways go through it on
the cluster only (`make test-cluster`).
"""

from __future__ import annotations

import dataclasses
import json
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from resources.errors import PlatformError
from resources.merge import ColumnSpec, MergeBatch, MergeCounts, ScopeVersion
from resources.merge_batch import arrow_schema

from .conftest import LIGHT_KINDS
from .harness import MAY_1, MAY_2, Capture, SinkCase, at, batch, expected, new_spec

FIRST = Capture(1, 0, {0: (0, "ball"), 1: (1, "homer"), 2: (1, None)})


def test_first_merge_inserts_and_a_repeat_leaves_everything_untouched(case: SinkCase) -> None:
    spec = new_spec()
    case.make().prepare(spec)
    first = case.merge(spec, FIRST)
    assert first.counts == MergeCounts(source_rows=3, inserted=3)
    assert first.by_partition == {MAY_1: MergeCounts(source_rows=3, inserted=3)}
    before = case.make().fetch(spec).sort_by("play")
    again = case.merge(spec, dataclasses.replace(FIRST, raw_id=77))
    assert again.counts == MergeCounts(source_rows=3)
    assert again.counts.unchanged == 3
    assert case.make().fetch(spec).sort_by("play") == before


def test_newer_capture_updates_inserts_and_deletes_and_touches_no_equal_row(case: SinkCase) -> None:
    spec = new_spec()
    sink = case.make()
    sink.prepare(spec)
    case.merge(spec, FIRST, Capture(2, 0, {0: (5, "other game")}))
    newer = Capture(1, 1, {0: (0, "ball"), 1: (2, "homer"), 3: (2, "out")}, raw_id=9)
    result = case.merge(spec, newer, sink=sink)
    assert result.counts == MergeCounts(source_rows=3, inserted=1, updated=1, deleted=1)
    assert case.held(spec) == expected(spec, [FIRST, newer, Capture(2, 0, {0: (5, "other game")})])
    technical = {
        row["play"]: (row["source_captured_at"], json.loads(row["lineage_metadata"])["row"])
        for row in sink.fetch(spec, ["1"]).to_pylist()
    }
    assert technical == {0: (at(0), 1), 1: (at(1), 9), 3: (at(1), 9)}
    state = case.make().states([spec], ["1", "2", "3"])[spec.table]
    assert state["1"].as_of == newer.version().as_of and state["1"].raw_id == 9 and state["1"].rows == 3
    assert state["1"].derivation_hash == "derived-1" and state["1"].partition == MAY_1
    assert state["2"].observed_at == at(0) and "3" not in state


def test_what_says_the_same_again_is_only_noted_unless_every_row_is_to_be_compared(light_case: SinkCase) -> None:
    """Shown by rows that vanish behind the sink's back: only a merge that looks at rows brings them back."""
    spec = new_spec(key=("game_pk", "play"))
    light_case.make().prepare(spec)
    for minute in (0, 1):  # the second is compared, and its digest kept
        light_case.merge(spec, dataclasses.replace(FIRST, minute=minute), Capture(2, minute, {0: (minute, "changes")}))
    light_case.lose_rows(spec)
    other = Capture(2, 2, {0: (2, "changes")})
    result = light_case.merge(spec, dataclasses.replace(FIRST, minute=2, raw_id=9), other)
    assert result.counts == MergeCounts(source_rows=4, inserted=1)
    assert light_case.held(spec) == expected(spec, [other])
    state = light_case.make().states([spec])[spec.table]["1"]
    assert (state.observed_at, state.raw_id, state.rows) == (at(2), 9, 3)
    again = dataclasses.replace(FIRST, minute=3)
    light_case.make().merge(spec, dataclasses.replace(batch(spec, again), compare_all=True))
    assert light_case.held(spec) == expected(spec, [again, other])


def test_older_capture_is_skipped_and_counted_beside_a_newer_one(case: SinkCase) -> None:
    spec = new_spec()
    case.make().prepare(spec)
    newest = Capture(1, 5, {0: (3, "final")})
    case.merge(spec, newest)
    other = Capture(2, 0, {0: (0, "start")})
    result = case.merge(spec, FIRST, other)
    assert result.counts == MergeCounts(source_rows=4, inserted=1, skipped_stale=3)
    assert [(s.scope, s.offered_at, s.merged_at) for s in result.stale] == [("1", at(0), at(5))]
    assert case.held(spec) == expected(spec, [newest, other])
    assert case.make().states([spec], ["1"])[spec.table]["1"].observed_at == at(5)


def test_an_older_capture_replaces_a_newer_one_that_it_passes_over(light_case: SinkCase) -> None:
    spec = new_spec()
    sink = light_case.make()
    sink.prepare(spec)
    light_case.merge(spec, Capture(1, 5, {0: (3, "breaks a rule made later")}, raw_id=2))
    good = batch(spec, FIRST)
    version = dataclasses.replace(good.versions[0], passed_over=(2,))
    assert sink.merge(spec, MergeBatch(good.rows, [version])).counts == MergeCounts(3, inserted=2, updated=1)
    assert light_case.held(spec) == expected(spec, [FIRST])
    assert sink.states([spec], ["1"])[spec.table]["1"].raw_id == FIRST.raw_id


def test_equal_in_time_the_greater_hash_is_newer(light_case: SinkCase) -> None:
    spec = new_spec()
    light_case.make().prepare(spec)
    low, high = Capture(1, 0, {0: (1, "a")}, content_hash="0a"), Capture(1, 0, {0: (2, "b")}, content_hash="0b")
    light_case.merge(spec, high)
    assert light_case.merge(spec, low).counts.skipped_stale == 1
    assert light_case.held(spec) == expected(spec, [low, high])


def test_empty_scope_removes_its_rows_and_is_remembered(case: SinkCase) -> None:
    spec = new_spec()
    case.make().prepare(spec)
    other = Capture(2, 0, {0: (1, "stays")})
    case.merge(spec, FIRST, other)
    result = case.merge(spec, Capture(1, 1, {}))
    assert result.counts == MergeCounts(deleted=3)
    assert result.by_partition == {MAY_1: MergeCounts(deleted=3)}
    assert case.held(spec) == expected(spec, [other])
    assert case.merge(spec, FIRST).counts == MergeCounts(source_rows=3, skipped_stale=3)


def test_a_table_that_is_no_snapshot_never_loses_a_row(case: SinkCase) -> None:
    spec = new_spec(snapshot=False)
    case.make().prepare(spec)
    case.merge(spec, FIRST)
    result = case.merge(spec, Capture(1, 1, {0: (9, "changed")}))
    assert result.counts == MergeCounts(source_rows=1, updated=1)
    assert [row[:2] for row in case.held(spec)] == [(1, 0), (1, 1), (1, 2)]


def test_a_game_whose_date_moved_leaves_its_old_date(case: SinkCase) -> None:
    spec = new_spec()
    case.make().prepare(spec)
    case.merge(spec, FIRST)
    result = case.merge(spec, Capture(1, 1, {0: (0, "ball"), 1: (1, "homer")}, day=MAY_2))
    assert result.by_partition == {MAY_2: MergeCounts(source_rows=2, updated=2), MAY_1: MergeCounts(deleted=1)}
    assert {row[2] for row in case.held(spec)} == {MAY_2}
    assert case.make().states([spec], ["1"])[spec.table]["1"].partition == MAY_2


def test_a_row_of_another_scope_is_replaced_by_newer_captures_only(case: SinkCase) -> None:
    spec = new_spec(key=("play",), snapshot=False)
    case.make().prepare(spec)
    case.merge(spec, Capture(1, 5, {0: (1, "newer")}))
    assert case.merge(spec, Capture(2, 0, {0: (2, "older")})).counts.updated == 0
    assert [row[4] for row in case.held(spec)] == ["newer"]
    assert case.merge(spec, Capture(3, 9, {0: (2, "newest")})).counts.updated == 1
    assert [row[4] for row in case.held(spec)] == ["newest"]


ALL_TYPES = (
    ColumnSpec("id", "TEXT", nullable=False),
    ColumnSpec("small", "SMALLINT"),
    ColumnSpec("whole", "INT"),
    ColumnSpec("large", "BIGINT"),
    ColumnSpec("real", "DOUBLE"),
    ColumnSpec("exact", "NUMERIC(12,4)"),
    ColumnSpec("yes", "BOOLEAN"),
    ColumnSpec("day", "DATE"),
    ColumnSpec("time", "TIMESTAMPTZ"),
    ColumnSpec("short", "VARCHAR(12)"),
    ColumnSpec("text", "TEXT"),
    ColumnSpec("json", "JSONB"),
)
VALUES = [
    {"id": "null"},
    {
        "id": "o'clock",
        "small": -32768,
        "whole": -(2**31),
        "large": 2**63 - 1,
        "real": 0.1 + 0.2,
        "exact": Decimal("-12345678.0001"),
        "yes": True,
        "day": date(1869, 5, 4),
        "time": datetime(1869, 5, 4, 1, 2, 3, 456789, tzinfo=UTC),
        "short": "José Ramírez",
        "text": "line one\nline two\r\n\\.\n\\N \"quoted\", 'single' \\ ;\t é 日本 ⚾",
        "json": '{"a": [1, null, "x\\n\\"y\\""]}',
    },
    {"id": "empty", "short": "", "text": "", "json": '""', "real": float("nan"), "yes": False},
    {
        "id": "zero",
        "real": -0.0,
        "exact": Decimal("0.0000"),
        "text": " NULL ",
        "time": datetime(2400, 1, 1, tzinfo=UTC),
    },
    {"id": "infinite", "real": float("-inf"), "text": "\\.", "day": date(9999, 12, 31), "json": "null"},
]


def test_every_type_comes_back_as_it_went_in_and_does_not_change_by_itself(case: SinkCase) -> None:
    spec = new_spec(columns=ALL_TYPES, key=("id",), scope="id", partition="day")
    case.make().prepare(spec)
    schema = pa.schema(pa.field(f.name, f.type) for f in arrow_schema(spec))
    rows = pa.Table.from_pylist(VALUES, schema=schema)
    versions = [ScopeVersion(str(row["id"]), at(0), "h", 1) for row in VALUES]
    with case.locked(spec, [str(row["id"]) for row in VALUES]):
        assert case.make().merge(spec, MergeBatch(rows, versions)).counts.inserted == len(VALUES)
        assert case.make().merge(spec, MergeBatch(rows, versions)).counts == MergeCounts(source_rows=len(VALUES))
    back = {row["id"]: row for row in case.make().fetch(spec).to_pylist()}
    assert back.keys() == {row["id"] for row in VALUES}
    for row in rows.to_pylist():
        for name, value in row.items():
            found = back[row["id"]][name]
            if isinstance(value, float) and math.isnan(value):
                assert math.isnan(found)
            elif name == "json" and value is not None:
                assert json.loads(found) == json.loads(value)
            else:
                assert found == value, (row["id"], name)
    assert case.make().fetch(spec, ["o'clock"]).num_rows == 1


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(1, 0, None), (1, 0, "twice")], "repeat a key"),
        ([(None, 0, "x")], "cannot be null"),
        ([(2, 0, "x")], "without a capture"),
        ([(1, 0, "x" * 21)], "21 characters, more than VARCHAR(20)"),
    ],
)
def test_a_batch_that_breaks_the_contract_is_refused_before_anything_is_written(
    light_case: SinkCase, rows: list[tuple[int | None, int, str | None]], told: str
) -> None:
    columns = tuple(
        dataclasses.replace(c, sql_type="VARCHAR(20)") if c.name == "note" else c for c in new_spec().columns
    )
    spec = new_spec(columns=columns)
    light_case.make().prepare(spec)
    schema = pa.schema(pa.field(f.name, f.type) for f in arrow_schema(spec))
    table = pa.Table.from_pylist([{"game_pk": g, "play": p, "note": n} for g, p, n in rows], schema=schema)
    with pytest.raises(PlatformError, match=told.replace("(", r"\(").replace(")", r"\)")) as caught:
        light_case.make().merge(spec, MergeBatch(table, [ScopeVersion("1", at(0), "h", 1)]))
    assert spec.table in str(caught.value) and "\n" not in str(caught.value)
    assert light_case.held(spec) == [] and light_case.make().states([spec], ["1"])[spec.table] == {}


def test_a_snapshot_whose_key_lacks_the_scope_is_refused(light_case: SinkCase) -> None:
    spec = new_spec(key=("play",))
    with pytest.raises(PlatformError, match="must contain that column"):
        light_case.make().merge(spec, batch(spec, FIRST))


def test_writers_of_different_games_lose_nothing(light_case: SinkCase) -> None:
    spec = new_spec()
    writers, rounds = (4, 5) if light_case.kind in LIGHT_KINDS else (2, 2)
    captures: list[Capture] = []

    def write(mine: list[Capture]) -> None:
        sink = light_case.make()
        sink.prepare(spec)
        for capture in mine:
            light_case.merge(spec, capture, sink=sink)

    with ThreadPoolExecutor(writers) as pool:
        running = []
        for writer in range(writers):
            mine = [Capture(writer, turn, {p: (turn, f"{writer}") for p in range(3 + turn)}) for turn in range(rounds)]
            captures += mine
            running.append(pool.submit(write, mine))
        for one in running:
            one.result()
    assert light_case.held(spec) == expected(spec, captures)
    assert {s: v.observed_at for s, v in light_case.make().states([spec])[spec.table].items()} == {
        str(w): at(rounds - 1) for w in range(writers)
    }
