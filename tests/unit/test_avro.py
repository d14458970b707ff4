"""The Avro schemas of tables: what a column becomes, and frames held against them."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pandas as pd
import pyarrow as pa
import pytest
from fastavro.read import SchemaResolutionError
from helpers import SMALL, mapping_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import types as T

from mlb_platform.mapping.avro import generate_avro_schema, mapping_schemas, schema_text
from mlb_platform.mapping.avro_compatibility import find_incompatibilities
from mlb_platform.mapping.loader import load_file
from mlb_platform.mapping.resolve import ResolvedTarget, resolve
from mlb_platform.quality.avro_frames import (
    ContractBroken,
    check_batch,
    check_raw_frame,
    contract_of,
    find_mismatches,
    validate_dataframe_against_avro,
)
from resources.sql_types import arrow_type

FEED = Path(__file__).parents[2] / "mapping_configs" / "game" / "live_game_v1.yaml"

COLUMNS = [
    ("a_small", "SMALLINT", "int"),
    ("a_int", "INT", "int"),
    ("a_big", "BIGINT", "long"),
    ("a_double", "DOUBLE", "double"),
    ("a_flag", "BOOLEAN", "boolean"),
    ("a_date", "DATE", {"type": "int", "logicalType": "date"}),
    ("a_time", "TIMESTAMPTZ", {"type": "long", "logicalType": "timestamp-micros"}),
    ("a_code", "VARCHAR(3)", "string"),
    ("a_text", "TEXT", "string"),
    ("a_json", "JSONB", "string"),
    ("a_rate", "NUMERIC(5,3)", {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 3}),
]


def table(fields: list[tuple[str, str, bool]]) -> ResolvedTarget:
    """A table of columns (name, type, may be null), with game_pk and game_date before them."""
    listed = "\n".join(
        f"      - {{name: {n}, type: '{t}', json_path: $.{n}, nullable: {str(nullable).lower()}, description: D {n}.}}"
        for n, t, nullable in fields
    )
    text = SMALL[: SMALL.index("targets:")] + (
        f"targets:\n  - name: small.all_types\n    description: Every type.\n    primary_key: [game_pk]\n"
        f"    fields:\n{listed}\n"
    )
    return mapping_of(text).by_name["small.all_types"]


ALL = table([(name, kind, True) for name, kind, _ in COLUMNS])


def rows_of(target: ResolvedTarget, values: dict[str, list[Any]], count: int = 2) -> pa.Table:
    """Rows of a table, null where `values` and the columns that cannot be null say nothing."""
    given = {
        "game_pk": [745612] * count,
        "game_date": [date(2024, 7, 1)] * count,
        "source_captured_at": [datetime(2024, 7, 2, tzinfo=UTC)] * count,
        "transform_timestamp": [datetime(2024, 7, 2, tzinfo=UTC)] * count,
    } | values
    return pa.table(
        {c.name: pa.array(given.get(c.name, [None] * count), arrow_type(str(c.type))) for c in target.columns}
    )


def test_every_sql_type_has_its_avro_type() -> None:
    """Nullable: a union with null, null by default; not nullable: the plain type, without default; described."""
    optional = {f["name"]: f for f in generate_avro_schema(ALL)["fields"]}
    required = {f["name"]: f for f in generate_avro_schema(table([(n, t, False) for n, t, _ in COLUMNS]))["fields"]}
    for name, sql, avro in COLUMNS:
        assert optional[name]["type"] == ["null", avro] and optional[name]["default"] is None
        assert required[name]["type"] == avro and "default" not in required[name]
        assert optional[name]["sqlType"] == sql and optional[name]["doc"] == f"D {name}."
    assert optional["a_code"]["maxLength"] == 3 and "maxLength" not in optional["a_text"]
    assert optional["a_json"]["contentType"] == "application/json"


def test_a_schema_says_what_table_of_which_mapping_it_is() -> None:
    """Name and namespace, key, partition, scope, how rows are derived, and the version; text and back is the same."""
    schema = mapping_schemas(mapping_of(SMALL))["small.plays"]
    assert (schema["namespace"], schema["name"], schema["doc"]) == ("small", "plays", "One row a play.")
    assert (schema["mapping"], schema["mappingVersion"]) == ("small/game_v1", "1.0")
    assert (schema["primaryKey"], schema["partitionBy"]) == (["game_pk", "play"], "game_date")
    assert (schema["mergeScope"], schema["snapshot"]) == ("game_pk", True)
    assert schema["derivationHash"] == mapping_of(SMALL).by_name["small.plays"].derivation_hash
    names = ["game_pk", "game_date", "play", "runs", "note", "source_captured_at", "transform_timestamp"]
    assert [f["name"] for f in schema["fields"]] == [*names, "lineage_metadata"]
    assert json.loads(schema_text(schema)) == schema


def test_fastavro_takes_every_schema_of_the_feed() -> None:
    """And keeps a row of nulls and of its required columns."""
    sample: dict[str, Any] = {
        "SMALLINT": 1, "INT": 1, "BIGINT": 1, "DOUBLE": 0.5, "BOOLEAN": True, "DATE": date(2024, 7, 1), "VARCHAR": "x",
        "TIMESTAMPTZ": datetime(2024, 7, 1, tzinfo=UTC), "TEXT": "x", "JSONB": "{}", "NUMERIC": Decimal(1),
    }  # fmt: skip
    for target in resolve(load_file(FEED)).targets:
        schema = fastavro.parse_schema(generate_avro_schema(target))
        row = {c.name: None if c.nullable else sample[c.type.name] for c in target.columns}
        file = io.BytesIO()
        fastavro.writer(file, schema, [row])
        file.seek(0)
        assert list(fastavro.reader(file)) == [row], target.name


TYPES = [kind for _, kind, _ in COLUMNS] + ["NUMERIC(7,3)", "VARCHAR(9)"]
VALUES = {
    "SMALLINT": st.integers(-(2**15), 2**15 - 1), "INT": st.integers(-(2**31), 2**31 - 1), "DOUBLE": st.floats(),
    "BIGINT": st.integers(-(2**63), 2**63 - 1), "BOOLEAN": st.booleans(), "DATE": st.dates(),
    "TIMESTAMPTZ": st.datetimes(timezones=st.just(UTC)), "VARCHAR": st.text(max_size=3), "TEXT": st.text(max_size=5),
    "JSONB": st.just("{}"), "NUMERIC": st.integers(-99999, 99999).map(lambda n: Decimal(n).scaleb(-3)),
}  # fmt: skip
TABLES = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.sampled_from(TYPES), st.booleans()), min_size=1)


@settings(max_examples=150, deadline=None)
@given(TABLES, TABLES, st.data())
def test_a_changed_table_is_readable_exactly_when_we_say_so(
    old: dict[str, tuple[str, bool]], new: dict[str, tuple[str, bool]], data: st.DataObject
) -> None:
    """Rows of the old table, with and without nulls, read by fastavro with the schema of the new one."""
    # half of the columns stay as they are
    new = {n: old[n] if n in old and data.draw(st.booleans()) else kind for n, kind in new.items()}
    targets = [table([(n, *kind) for n, kind in columns.items()]) for columns in (old, new)]
    writer, reader = (fastavro.parse_schema(generate_avro_schema(t)) for t in targets)
    full = {c.name: data.draw(VALUES[c.type.name]) for c in targets[0].columns if c.name != "lineage_metadata"}
    bare = {c.name: None if c.nullable else full[c.name] for c in targets[0].columns}
    readable = True
    for row in (full, bare):
        file = io.BytesIO()
        fastavro.schemaless_writer(file, writer, row)
        file.seek(0)
        try:
            read = fastavro.schemaless_reader(file, writer, reader)
        except SchemaResolutionError:
            readable = False
        else:
            assert set(read) == {c.name for c in targets[1].columns}
    broken = find_incompatibilities(generate_avro_schema(targets[1]), generate_avro_schema(targets[0]))
    assert readable == (not [b for b in broken if b.rule not in ("decimal", "logical_type")]), list(map(str, broken))
    changed = [n for n in old.keys() & new.keys() if {"NUMERIC(5,3)", "NUMERIC(7,3)"} == {old[n][0], new[n][0]}]
    assert {b.path for b in broken if b.rule == "decimal"} == set(changed)


GOOD = {
    "a_small": [1, None], "a_int": [1, None], "a_big": [2**40, None], "a_double": [0.5, None], "a_flag": [True, None],
    "a_date": [date(2024, 7, 1), None], "a_time": [datetime(2024, 7, 1, tzinfo=UTC), None], "a_code": ["äöü", None],
    "a_text": ["long enough", None], "a_json": ["{}", None], "a_rate": [Decimal("-99.999"), None],
}  # fmt: skip


def test_rows_as_agreed_pass_in_any_order() -> None:
    """Arrow (tables, batches, dictionaries, no rows) and pandas; three characters are three, whatever their bytes."""
    schema, rows = generate_avro_schema(ALL), rows_of(ALL, GOOD)
    check_batch(rows, schema)
    check_batch(rows.select(rows.column_names[::-1]), schema)
    check_batch(rows.slice(0, 0), schema)
    validate_dataframe_against_avro(rows.to_batches()[0], schema)
    text = rows.column_names.index("a_code")
    check_batch(rows.set_column(text, "a_code", rows.column("a_code").dictionary_encode()), schema)
    frame = rows.to_pandas(types_mapper={pa.int16(): pd.Int16Dtype(), pa.int32(): pd.Int64Dtype(),
                                         pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get)  # fmt: skip
    validate_dataframe_against_avro(frame, schema)


BAD: list[tuple[str, Any, str]] = [
    ("a_code", pa.array(["four", None]), "a text of 4 characters, at most 3 are allowed"),
    ("a_small", pa.array([40_000, None], pa.int32()), "40000 does not fit into 16 bits"),
    ("a_int", pa.array([1, None], pa.int64()), "long, the schema says int"),
    ("a_big", pa.array(["1", None]), "string, the schema says long"),
    (
        "a_date",
        pa.array([datetime(2024, 7, 1), None], pa.timestamp("us", "UTC")),
        "timestamp-micros, the schema says date",
    ),
    ("a_time", pa.array([datetime(2024, 7, 1), None]), "timestamp[us] without time zone, the schema says timestamp-"),
    ("a_rate", pa.array([Decimal("1.25"), None], pa.decimal128(5, 2)), "decimal(5,2), the schema says decimal(5,3)"),
    ("game_pk", pa.array([1, None], pa.int64()), "1 of 2 values are null, but it takes no null"),
]


@pytest.mark.parametrize(("column", "values", "says"), BAD, ids=[b[0] + " " + b[2][:12] for b in BAD])
def test_a_value_or_type_that_is_not_as_agreed_is_named(column: str, values: Any, says: str) -> None:
    """With table and column; nothing else is."""
    rows = rows_of(ALL, GOOD)
    rows = rows.set_column(rows.column_names.index(column), column, values)
    found = find_mismatches(rows, generate_avro_schema(ALL))
    assert [(m.table, m.column) for m in found] == [("small.all_types", column)] and found[0].problem.startswith(says)
    with pytest.raises(ContractBroken, match=f"small.all_types does not keep its schema: column {column}: "):
        check_batch(rows, generate_avro_schema(ALL))


def test_digits_are_counted_where_arrow_does_not() -> None:
    """An Arrow decimal can hold more digits than its type says."""
    wide = pa.array([Decimal("123456.789")], pa.decimal128(9, 3))
    lying = pa.Array.from_buffers(pa.decimal128(5, 3), 1, wide.buffers())
    rows = rows_of(ALL, {}, count=1)
    rows = rows.set_column(rows.column_names.index("a_rate"), "a_rate", lying)
    assert [str(m) for m in find_mismatches(rows, generate_avro_schema(ALL))] == [
        "column a_rate: 123456.789 has more digits than decimal(5,3)"
    ]


def test_columns_that_lack_or_are_too_many_are_named() -> None:
    """All of them at once."""
    rows = rows_of(ALL, GOOD).drop_columns(["a_int"]).append_column("b", pa.array([1, 2]))
    assert [str(m) for m in find_mismatches(rows, generate_avro_schema(ALL))] == [
        "column a_int: is missing from the frame", "column b: is not in the schema",
    ]  # fmt: skip


def test_pandas_values_decide_where_its_types_cannot() -> None:
    """pandas has 64-bit integers where the schema has 32: what fits passes, what does not is named."""
    schema = generate_avro_schema(table([("n", "INT", False), ("t", "TIMESTAMPTZ", True)]))
    now = pd.Timestamp("2024-07-01", tz="UTC")
    technical = {"source_captured_at": [now], "transform_timestamp": [now], "lineage_metadata": [None]}
    good = pd.DataFrame({"game_pk": [1], "game_date": [date(2024, 7, 1)], "n": [7], "t": [now], **technical})
    assert find_mismatches(good, schema) == []
    assert [str(m) for m in find_mismatches(good.assign(n=[2**31]), schema)] == [
        "column n: 2147483648 does not fit into 32 bits"
    ]
    assert [m.column for m in find_mismatches(good.assign(n=[0.5]), schema)] == ["n"]
    with pytest.raises(ContractBroken, match="mixed values"):
        find_mismatches(pd.concat([good, good.assign(n=["x"])]), schema)


class SparkFrame:
    """What the check reads of a Spark frame, its schema; any other use, such as a job, fails."""

    def __init__(self, schema: T.StructType) -> None:
        self.schema = schema


SparkFrame.__module__ = "pyspark.sql.classic.dataframe"
RAW = T.StructType(
    [
        T.StructField("raw_id", T.LongType(), False),
        T.StructField("entity_key", T.StringType()),
        T.StructField("partition_date", T.DateType()),
        T.StructField("captured_at", T.TimestampType()),
        T.StructField("data", T.StringType()),
    ]
)


def test_a_spark_frame_is_held_against_its_schema_only() -> None:
    """Every type by its Spark name; that Spark cannot rule out nulls counts only where asked for."""
    spark_types = {
        "SMALLINT": T.ShortType(), "INT": T.IntegerType(), "BIGINT": T.LongType(), "DOUBLE": T.DoubleType(),
        "BOOLEAN": T.BooleanType(), "DATE": T.DateType(), "TIMESTAMPTZ": T.TimestampType(),
        "NUMERIC": T.DecimalType(5, 3),
    }  # fmt: skip
    fields = [T.StructField(c.name, spark_types.get(c.type.name, T.StringType())) for c in ALL.columns]
    schema = generate_avro_schema(ALL)
    assert find_mismatches(SparkFrame(T.StructType(fields)), schema) == []
    strict = find_mismatches(SparkFrame(T.StructType(fields)), schema, strict_nulls=True)
    assert {m.column for m in strict} == {"game_pk", "game_date", "source_captured_at", "transform_timestamp"}
    naive = [T.StructField(f.name, T.TimestampNTZType()) if f.name == "a_time" else f for f in fields]
    assert [str(m) for m in find_mismatches(SparkFrame(T.StructType(naive[1:])), schema)] == [
        "column game_pk: is missing from the frame", "column a_time: timestamp_ntz, the schema says timestamp-micros",
    ]  # fmt: skip


def test_the_frame_that_captures_are_read_with() -> None:
    """Five columns, by name and type."""
    check_raw_frame(SparkFrame(RAW), "game.live_game_v1")
    other = T.StructType([*RAW.fields[:-1], T.StructField("data", T.BinaryType())])
    with pytest.raises(ContractBroken, match=r"game.live_game_v1 .* column data: binary, the schema says string"):
        check_raw_frame(SparkFrame(other), "game.live_game_v1")
    with pytest.raises(ContractBroken, match="column entity_key: is missing"):
        check_raw_frame(SparkFrame(T.StructType(RAW.fields[:1] + RAW.fields[2:])), "game.live_game_v1")


def test_what_is_no_frame_is_refused_and_contracts_are_worked_out_once() -> None:
    """A list is no frame; the same schema object gives the same contract, an equal one gives an equal contract."""
    schema = generate_avro_schema(ALL)
    with pytest.raises(ContractBroken, match="list is no frame"):
        find_mismatches([1], schema)
    assert contract_of(schema) is contract_of(schema)
    assert contract_of(dict(schema)) == contract_of(schema)


def test_instants_before_and_after_1970_keep_their_microseconds() -> None:
    """What Avro holds of an instant is what the table holds."""
    schema = fastavro.parse_schema(generate_avro_schema(table([("t", "TIMESTAMPTZ", False)])))
    for instant in (
        datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(2024, 7, 1, tzinfo=UTC) + timedelta(microseconds=1),
    ):
        row = {"game_pk": 1, "game_date": instant.date(), "t": instant, "source_captured_at": instant,
               "transform_timestamp": instant, "lineage_metadata": None}  # fmt: skip
        file = io.BytesIO()
        fastavro.schemaless_writer(file, schema, row)
        file.seek(0)
        assert fastavro.schemaless_reader(file, schema, None) == row
