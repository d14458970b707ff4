"""Conditions judged on Arrow columns say what Spark SQL says of the same rows, NULL included, or are left to it."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from mlb_platform.extraction.walk_conditions import arrow_condition
from mlb_platform.mapping.types import parse_type
from resources.sql_types import arrow_type

TYPES = {
    "a": "INT", "b": "BIGINT", "small": "SMALLINT", "t": "VARCHAR(10)", "u": "TEXT", "f": "BOOLEAN",
    "n": "NUMERIC(5,2)", "m": "NUMERIC(5,2)", "w": "NUMERIC(6,3)", "x": "DOUBLE", "day": "DATE",
    "since": "TIMESTAMPTZ", "until": "TIMESTAMPTZ",
}  # fmt: skip
CHOICES: dict[str, list[Any]] = {
    "a": [None, -1, 0, 7], "b": [None, 0, 7, 2**40], "small": [None, 1], "t": [None, "", "L", "l "],
    "u": [None, "L", "R"], "f": [None, True, False], "n": [None, Decimal("1.50"), Decimal("-0.01")],
    "m": [None, Decimal("1.50"), Decimal(2)], "w": [None, Decimal("1.500")], "x": [None, 1.5],
    "day": [None, date(1899, 12, 31), date(2024, 7, 1)], "since": [None, datetime(2024, 7, 1, 12, tzinfo=UTC)],
    "until": [None, datetime(2024, 7, 1, 12, 0, 0, 1, tzinfo=UTC)],
}  # fmt: skip
JUDGED = [
    "a > 0", "a >= -1", "a = 7", "a != 0", "a <> b", "a <= b", "small < a", "b < 1099511627777", "t IN ('L', 'R')",
    "t = u", "t != 'L'", "u NOT IN ('L')", "a IN (0, 7)", "f", "NOT f", "f = f", "n < m", "n = m",
    "day >= DATE '1900-01-01'", "since <= until", "NOT f OR until >= since", "a > 0 AND (t IS NULL OR u IS NOT NULL)",
    "a > 0 OR b > 0", "(f) AND a < 1",
]  # fmt: skip
LEFT = [
    "n > 1", "n < w", "x > 1", "x = x", "t < u", "t > 'A'", "a + b > 1", "a > '0'", "t = 1", "day >= '1900-01-01'",
    "abs(a) > 1", "t LIKE 'L%'", "a <=> b", "f = true", "CASE WHEN f THEN a > 0 END", "unknown > 1",
    "a > 99999999999999999999", "a IN (0, NULL)", "a BETWEEN 0 AND 7", "a", "0 < a", "day > DATE 'soon'",
]  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """Every pair of values of every two columns, the others cycling."""
    made = []
    for one, other in itertools.combinations(CHOICES, 2):
        for n, (left, right) in enumerate(itertools.product(CHOICES[one], CHOICES[other])):
            row = {name: values[n % len(values)] for name, values in CHOICES.items()}
            made.append(row | {one: left, other: right})
    return pa.Table.from_pylist(made, pa.schema([(name, arrow_type(kind)) for name, kind in TYPES.items()]))


def test_what_is_judged_in_arrow_is_what_spark_says(spark: SparkSession, rows: pa.Table) -> None:
    """True, false and NULL, for every row and condition."""
    types = {name: parse_type(kind) for name, kind in TYPES.items()}
    frame = spark.createDataFrame(rows.append_column("_n", pa.array(range(rows.num_rows)))).coalesce(1)
    told = frame.selectExpr("_n", *(f"{text} AS c{i}" for i, text in enumerate(JUDGED))).toArrow().sort_by("_n")
    columns = {name: rows[name].combine_chunks() for name in rows.column_names}
    for i, text in enumerate(JUDGED):
        condition = arrow_condition(text, types)
        assert condition is not None, text
        assert condition(columns).to_pylist() == told[f"c{i}"].to_pylist(), text


@pytest.mark.parametrize("text", LEFT)
def test_what_may_mean_another_thing_is_left_to_spark(text: str) -> None:
    """Numbers of different types, casts that Spark does by itself, functions, what is not known."""
    assert arrow_condition(text, {name: parse_type(kind) for name, kind in TYPES.items()}) is None
