"""A changed mapping: what a sink changes by itself, and what it refuses because data would be lost."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from threading import Barrier
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from resources.errors import PlatformError
from resources.lake_place import table_uri
from resources.merge import ColumnSpec, IndexSpec, MergeBatch, MergeSpec, ReferenceSpec, ScopeVersion, Sink
from resources.merge_batch import arrow_schema
from resources.merge_schema import SchemaChangeRefused
from resources.postgres import Postgres
from resources.postgres_sink import PostgresSink

from .harness import Capture, SinkCase, at, batch, expected, new_spec

BASE = (
    ColumnSpec("id", "INT", nullable=False, description="Who"),
    ColumnSpec("number", "INT"),
    ColumnSpec("exact", "NUMERIC(5,2)"),
    ColumnSpec("name", "VARCHAR(5)", description="Name"),
    ColumnSpec("must", "INT", nullable=False),
)
ROW = {"id": 1, "number": 7, "exact": Decimal("123.45"), "name": "Pérez", "must": 1}


def base() -> MergeSpec:
    return new_spec(columns=BASE, key=("id",), scope="id", partition=None)


def changed(spec: MergeSpec, name: str, **values: Any) -> MergeSpec:
    columns = tuple(dataclasses.replace(c, **values) if c.name == name else c for c in spec.columns)
    return dataclasses.replace(spec, columns=columns)


def write(sink: Sink, spec: MergeSpec, row: dict[str, Any], minute: int) -> None:
    schema = pa.schema(pa.field(f.name, f.type) for f in arrow_schema(spec))
    versions = [ScopeVersion(str(row["id"]), at(minute), "h", 1)]
    sink.merge(spec, MergeBatch(pa.Table.from_pylist([row], schema=schema), versions))


def test_additive_changes_are_made_and_keep_every_row(case: SinkCase) -> None:
    spec = base()
    sink = case.make()
    sink.prepare(spec)
    write(sink, spec, ROW, 0)
    wide = changed(spec, "number", sql_type="BIGINT")
    wide = changed(wide, "exact", sql_type="NUMERIC(9,3)")
    wide = changed(wide, "name", sql_type="VARCHAR(40)", description="Full name")
    wide = changed(wide, "must", nullable=True)
    extra = (ColumnSpec("born", "DATE", description="Birthday"), ColumnSpec("more", "JSONB"))
    wide = dataclasses.replace(wide, columns=(*wide.columns, *extra), description="People")
    sink.prepare(wide)
    assert sink.fetch(wide).to_pylist() == [{**ROW, "born": None, "more": None}]
    assert sink.states([wide], ["1"])[wide.table]["1"].rows == 1
    large = {
        "id": 2,
        "number": 2**40,
        "exact": Decimal("123456.789"),
        "name": "A much longer name",
        "born": date(1960, 1, 2),
    }
    write(sink, wide, large, 1)
    case.make().prepare(wide)
    text = changed(changed(wide, "name", sql_type="TEXT"), "number", sql_type="NUMERIC(24,2)")
    case.make().prepare(text)
    rows = {row["id"]: row for row in case.make().fetch(text).to_pylist()}
    assert rows[1]["number"] == Decimal("7.00") and rows[1]["name"] == "Pérez"
    assert rows[2] == {**large, "number": Decimal(2**40), "must": None, "more": None}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: dataclasses.replace(s, columns=s.columns[:1] + s.columns[2:]), "number (INT) is no longer"),
        (lambda s: changed(s, "name", sql_type="VARCHAR(4)"), "name is VARCHAR(5), the mapping asks for VARCHAR(4)"),
        (lambda s: changed(s, "number", sql_type="SMALLINT"), "number is INT, the mapping asks for SMALLINT"),
        (lambda s: changed(s, "number", sql_type="TEXT"), "number is INT, the mapping asks for TEXT"),
        (lambda s: changed(s, "exact", sql_type="NUMERIC(6,4)"), "exact is NUMERIC(5,2), the mapping asks for"),
        (lambda s: changed(s, "exact", sql_type="NUMERIC(9,1)"), "exact is NUMERIC(5,2), the mapping asks for"),
        (lambda s: changed(s, "number", nullable=False), "number INT takes nulls, the mapping asks for NOT NULL"),
        (lambda s: dataclasses.replace(s, key=("id", "must")), "the key is (id), the mapping asks for (id, must)"),
        (
            lambda s: dataclasses.replace(s, columns=(*s.columns, ColumnSpec("new", "INT", nullable=False))),
            "new column new INT takes no null",
        ),
    ],
)
def test_a_change_that_would_lose_data_is_refused_by_name(light_case: SinkCase, change: Any, told: str) -> None:
    spec = base()
    light_case.make().prepare(spec)
    write(light_case.make(), spec, ROW, 0)
    with pytest.raises(SchemaChangeRefused) as caught:
        light_case.make().prepare(change(spec))
    message = str(caught.value)
    assert told in message and spec.table in message and "another table name" in message and "\n" not in message
    assert light_case.make().fetch(spec).to_pylist() == [ROW]


def test_a_strict_column_can_be_added_to_an_empty_table(light_case: SinkCase) -> None:
    spec = base()
    light_case.make().prepare(spec)
    strict = dataclasses.replace(spec, columns=(*spec.columns, ColumnSpec("new", "INT", nullable=False)))
    light_case.make().prepare(strict)
    write(light_case.make(), strict, {**ROW, "new": 4}, 0)
    assert light_case.make().fetch(strict).to_pylist() == [{**ROW, "new": 4}]


def test_many_can_prepare_one_table_at_once(light_case: SinkCase) -> None:
    spec = base()
    wide = changed(spec, "number", sql_type="BIGINT")
    start = Barrier(4)

    def prepare(target: MergeSpec) -> None:
        start.wait()
        light_case.make().prepare(target)

    for target in (spec, wide):
        with ThreadPoolExecutor(4) as pool:
            for one in [pool.submit(prepare, target) for _ in range(4)]:
                one.result()
        write(light_case.make(), target, ROW, 0)
    assert light_case.make().fetch(wide).to_pylist() == [ROW]


def test_a_lake_migrated_between_two_merges_keeps_both(light_case: SinkCase) -> None:
    spec = base()
    old, new = light_case.make(), light_case.make()
    old.prepare(spec)
    write(old, spec, ROW, 0)
    wide = changed(spec, "number", sql_type="BIGINT")
    new.prepare(wide)
    write(new, wide, {**ROW, "id": 2, "number": 2**40}, 0)
    assert sorted(row["number"] for row in light_case.make().fetch(wide).to_pylist()) == [7, 2**40]


def test_delta_columns_carry_type_and_description(light_case: SinkCase, lake: str) -> None:
    if light_case.lake is None:
        pytest.skip("a test of the lake")
    spec = base()
    light_case.make().prepare(spec)
    table = DeltaTable(table_uri(lake, spec.table))
    fields = {field.name: field for field in table.schema().fields}
    assert fields["name"].metadata == {"sql_type": "VARCHAR(5)", "comment": "Name"}
    assert not fields["id"].nullable and fields["number"].nullable
    assert table.metadata().description == "Plays"


def _catalog(database: Postgres, query: str, *values: str) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(query.encode(), values).fetchall()


def test_postgres_tables_have_comments_keys_indexes_and_references(database: Postgres) -> None:
    sink = PostgresSink(database)
    parent, other = base(), base()
    reference = ReferenceSpec(("number",), parent.table, ("id",))
    nowhere = ReferenceSpec(("number",), "person.person_v1", ("id",))
    impossible = ReferenceSpec(("number",), parent.table, ("number",))
    child = dataclasses.replace(
        other,
        references=(reference, nowhere, impossible),
        indexes=(IndexSpec(("number",)), IndexSpec(("name",), "hash"), IndexSpec(("number", "must"), unique=True)),
    )
    sink.prepare(child)
    kept = (
        "SELECT to_table, to_columns[1], constraint_name IS NOT NULL "
        "FROM quality.table_references WHERE table_name = %s"
    )
    assert not any(made for _, _, made in _catalog(database, kept, child.table))
    sink.prepare(parent)
    assert set(_catalog(database, kept, child.table)) == {
        (parent.table, "id", True),
        (parent.table, "number", False),
        ("person.person_v1", "id", False),
    }
    foreign = _catalog(
        database,
        "SELECT confrelid::regclass::text, conenforced FROM pg_constraint "
        "WHERE contype = 'f' AND conrelid = %s::regclass",
        child.table,
    )
    assert foreign == [(parent.table, False)]
    write(sink, child, ROW, 0)  # number 7 has no parent, and that is no failure
    kinds = _catalog(database, "SELECT indexdef FROM pg_indexes WHERE schemaname || '.' || tablename = %s", child.table)
    text = " ".join(definition for (definition,) in kinds)
    assert "USING hash (name)" in text and "UNIQUE INDEX ux_" in text and len(kinds) == 4
    comments = _catalog(
        database,
        "SELECT obj_description(%s::regclass), col_description(%s::regclass, 4)",
        child.table,
        child.table,
    )
    assert comments == [("Plays", "Name")]
    sink.prepare(dataclasses.replace(child, references=(nowhere,)))
    assert [row[0] for row in _catalog(database, kept, child.table)] == ["person.person_v1"]
    with pytest.raises(PlatformError, match=r"index \(number\) of type gin cannot be made"):
        sink.prepare(dataclasses.replace(child, indexes=(IndexSpec(("number",), "gin"),)))


def test_postgres_keeps_no_statistics_of_whole_lineages(database: Postgres) -> None:
    """Nobody looks for one, and a backfill's ANALYZE would spend a fifth of its time on them."""
    spec = new_spec()
    sink = PostgresSink(database)
    sink.prepare(spec)
    sink.merge(spec, batch(spec, Capture(1, 0, {1: (2, "Home run")})))
    with database.transaction() as connection:
        connection.execute(f"ANALYZE {spec.table}".encode())
    query = "SELECT attname::text FROM pg_stats WHERE schemaname || '.' || tablename = %s"
    known = {name for (name,) in _catalog(database, query, spec.table)}
    assert known == {c.name for c in spec.columns} - {"lineage_metadata"}


def test_a_table_that_was_there_gets_an_index_on_its_date(database: Postgres) -> None:
    """Whoever asks for dates, the checks first, reads those and no others; where the key begins with it, it has one."""
    undated = base()
    dated = dataclasses.replace(undated, columns=(*undated.columns, ColumnSpec("day", "DATE")), partition="day")
    found = "SELECT indexdef FROM pg_indexes WHERE schemaname || '.' || tablename = %s AND indexdef LIKE '%%(day)'"
    for spec, indexes in ((undated, 0), (dated, 1)):
        sink = PostgresSink(database)
        sink.prepare(spec)
        assert len(_catalog(database, found, spec.table)) == indexes
    leading = dataclasses.replace(dated, table=f"{dated.table}_by_day", key=("day", *dated.key))
    PostgresSink(database).prepare(leading)
    assert not _catalog(database, found, leading.table)


def test_a_reference_is_made_once_the_table_it_names_is_there_whoever_made_it(database: Postgres) -> None:
    sink, parent = PostgresSink(database), base()
    child = dataclasses.replace(base(), references=(ReferenceSpec(("number",), parent.table, ("id",)),))
    sink.prepare(child)
    sink.prepare(child)
    kind = next(c.sql_type for c in parent.columns if c.name == "number")
    with database.transaction() as connection:
        connection.execute(f"CREATE TABLE {parent.table} (id {kind} PRIMARY KEY)".encode())
    made = "SELECT confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass"
    assert _catalog(database, made, child.table) == []
    sink.prepare(child)
    assert _catalog(database, made, child.table) == [(parent.table,)]


def test_a_table_that_was_dropped_is_made_again_by_the_sink_that_had_made_it(database: Postgres) -> None:
    """The merge that meets with it fails; the next run prepares the table anew, and all its scopes are merged again."""
    spec, sink = new_spec(), PostgresSink(database)
    sink.prepare(spec)
    sink.merge(spec, batch(spec, Capture(1, 1, {0: (1, "before")})))
    with database.transaction() as connection:
        connection.execute(f"DROP TABLE {spec.table}".encode())
    sink.prepare(spec)
    with pytest.raises(PlatformError, match="prepare it first"):
        sink.merge(spec, batch(spec, Capture(1, 2, {0: (2, "after")})))
    sink.prepare(spec)
    assert sink.merge(spec, batch(spec, Capture(1, 2, {0: (2, "after")}))).counts.inserted == 1
    assert sink.fetch(spec).num_rows == 1


def test_a_column_that_was_dropped_by_hand_is_filled_again(database: Postgres) -> None:
    """Its rows lack what the states say was merged: these hold no more, and the same capture is merged anew."""
    spec = new_spec()
    case = SinkCase("postgres", lambda: PostgresSink(database), database, None)
    first, second = Capture(1, 0, {0: (1, "a")}), Capture(2, 0, {0: (2, "b")})
    case.make().prepare(spec)
    case.merge(spec, first, second)
    with database.transaction() as connection:
        connection.execute(f"ALTER TABLE {spec.table} DROP COLUMN note".encode())
    sink = case.make()
    sink.prepare(spec)
    states = sink.states([spec])[spec.table]
    assert all(state.derivation_hash != spec.derivation_hash for state in states.values())
    assert case.merge(spec, first, second, sink=sink).counts.updated == 2
    assert case.held(spec) == expected(spec, [first, second])
    wider = dataclasses.replace(spec, columns=(*spec.columns, ColumnSpec("more", "INT")), derivation_hash="derived-2")
    before = sink.states([spec])
    case.make().prepare(wider)
    assert sink.states([spec]) == before, "a mapping with one more column is derived anew by its hash alone"


def test_prepare_writes_nothing_when_nothing_changed(light_case: SinkCase, database: Postgres, lake: str) -> None:
    spec = base()
    light_case.make().prepare(spec)
    before = _catalog(database, "SELECT max(xmin::text::bigint) FROM pg_class")
    light_case.make().prepare(spec)
    assert _catalog(database, "SELECT max(xmin::text::bigint) FROM pg_class") == before
    if light_case.lake is not None:
        assert DeltaTable(table_uri(lake, spec.table)).version() == 0
