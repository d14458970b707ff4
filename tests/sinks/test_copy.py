"""Rows copied into PostgreSQL are there value by value, of every type and with extremes; read by another route."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from resources.merge import ColumnSpec, MergeSpec
from resources.merge_batch import arrow_schema
from resources.postgres import Postgres
from resources.postgres_copy import copy_rows
from resources.postgres_statements import STAGE, create_stage

from .harness import new_spec


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    """Return numbers that a NUMERIC column holds."""
    limit = 10**precision - 1
    return st.integers(-limit, limit).map(lambda n: Decimal((int(n < 0), tuple(map(int, str(abs(n)))), -scale)))


def whole(bits: int) -> st.SearchStrategy[int]:
    """Return whole numbers of so many bits."""
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | whole(32) | TEXTS, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXTS, v)
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "SMALLINT": whole(16), "INT": whole(32), "BIGINT": whole(64), "BOOLEAN": st.booleans(),
    "DOUBLE": st.floats(allow_nan=False, allow_infinity=True), "TEXT": TEXTS, "VARCHAR(20)": TEXTS,
    "NUMERIC(5,2)": decimals(5, 2), "NUMERIC(38,10)": decimals(38, 10), "NUMERIC(18,0)": decimals(18, 0),
    "NUMERIC(6,6)": decimals(6, 6), "DATE": st.dates(), "JSONB": JSON.map(json.dumps),
    "TIMESTAMPTZ": st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
}  # fmt: skip


def spec_of(types: dict[str, str]) -> MergeSpec:
    """Return a table with columns of these types beside its key."""
    given = tuple(ColumnSpec(name, kind) for name, kind in types.items())
    base = new_spec()
    return dataclasses.replace(base, columns=(*base.columns[:3], *given))


EVERY = {f"c{n}": kind for n, kind in enumerate(VALUES)}
SPEC = spec_of(EVERY)


def copied(postgres: Postgres, spec: MergeSpec, rows: pa.Table, pieces: int = 2) -> list[tuple[Any, ...]]:
    """Copy rows into a stage and return what psycopg reads there, JSONB as values."""
    with postgres.connect() as connection:
        connection.execute(create_stage(spec))
        assert copy_rows(connection, spec, STAGE, rows.to_batches(max_chunksize=pieces)) == rows.num_rows
        names = sql.SQL(", ").join(map(sql.Identifier, spec.column_names))
        return connection.execute(sql.SQL("SELECT {} FROM {} ORDER BY play").format(names, STAGE)).fetchall()


ROWS = st.lists(st.fixed_dictionaries({n: st.none() | VALUES[k] for n, k in EVERY.items()}), max_size=6)


@given(ROWS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_of_every_type_arrives_as_it_is(database: Postgres, made: list[dict[str, Any]]) -> None:
    """Any values, NULL among them, in any number of rows and pieces."""
    keyed = [{"game_pk": 1, "play": n, "game_date": date(2024, 7, 1), **row} for n, row in enumerate(made)]
    rows = pa.Table.from_pylist(keyed, arrow_schema(SPEC))
    json_columns = {name for name, kind in EVERY.items() if kind == "JSONB"}
    expected = [
        tuple(json.loads(row[n]) if n in json_columns and row[n] is not None else row[n] for n in SPEC.column_names)
        for row in keyed
    ]
    assert copied(database, SPEC, rows) == expected


def test_a_number_that_is_none_arrives_as_one(database: Postgres) -> None:
    """NaN is a value of DOUBLE, and is not NULL."""
    spec = spec_of({"c": "DOUBLE"})
    rows = pa.Table.from_pylist(
        [{"game_pk": 1, "play": 1, "game_date": date(2024, 7, 1), "c": math.nan}], arrow_schema(spec)
    )
    ((*_, value),) = copied(database, spec, rows)
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("kind", "value", "error"),
    [
        ("VARCHAR(3)", "four", psycopg.errors.StringDataRightTruncation),
        ("TEXT", "nul \0 here", psycopg.errors.CharacterNotInRepertoire),
        ("JSONB", "{no json", psycopg.errors.InvalidTextRepresentation),
    ],
)
def test_a_value_that_the_column_does_not_take_is_refused(
    database: Postgres, kind: str, value: str, error: type[psycopg.Error]
) -> None:
    """PostgreSQL looks at what comes in its own format as it does at text."""
    spec = spec_of({"c": kind})
    rows = pa.Table.from_pylist([{"game_pk": 1, "play": 1, "game_date": None, "c": value}], arrow_schema(spec))
    with pytest.raises(error):
        copied(database, spec, rows)
