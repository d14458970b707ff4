"""Profiles against figures worked out by other means: plain Python, numpy and pandas; by Spark and from Arrow alike."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from mlb_platform.quality.profile import BINS, QUANTILES, SHOWN_LENGTH, TOP, DataProfile
from mlb_platform.quality.profile_arrow import profile_table
from mlb_platform.quality.validator import DataQualityValidator

ROWS = 400
DAY, MOMENT = date(2024, 7, 1), datetime(2024, 7, 1, 23, 30, tzinfo=UTC)
TYPES: dict[str, pa.DataType] = {
    "whole": pa.int32(), "few": pa.int16(), "large": pa.int64(), "double": pa.float64(), "odd": pa.float64(),
    "price": pa.decimal128(7, 2), "day": pa.date32(), "until": pa.date32(),
    "moment": pa.timestamp("us", tz="UTC"), "flag": pa.bool_(),
    "word": pa.string(), "long": pa.string(), "nothing": pa.string(), "constant": pa.int32(), "json": pa.string(),
    "int_text": pa.string(), "date_text": pa.string(), "time_text": pa.string(), "bool_text": pa.string(),
    "double_text": pa.string(), "code_text": pa.string(), "mostly": pa.string(), "mixed": pa.string(),
}  # fmt: skip


def made() -> dict[str, list[Any]]:
    """Return columns of every kind, with gaps."""
    r = random.Random(7)

    def column(make: Callable[[int], Any], gaps: float = 0.1) -> list[Any]:
        return [None if r.random() < gaps else make(i) for i in range(ROWS)]

    return {
        "whole": column(lambda _: r.randint(-50, 150)),
        "few": column(lambda _: r.choice([0, 1, 1, 2, 2, 2, 3])),
        "large": column(lambda i: 4_000_000_000 + i, 0),
        "double": column(lambda _: r.gauss(90, 5)),
        "odd": column(lambda i: [math.nan, math.inf, -math.inf, 1.5][i % 4] if i % 10 == 0 else float(i % 7)),
        "price": column(lambda _: Decimal(r.randint(-9999, 99999)).scaleb(-2)),
        "day": column(lambda _: DAY + timedelta(days=r.randint(0, 60))),
        "until": column(lambda i: DAY + timedelta(days=i) if i % 3 else date.max),
        "moment": column(lambda _: MOMENT + timedelta(seconds=r.randint(0, 10**6), microseconds=r.choice([0, 1500]))),
        "flag": column(lambda _: r.random() < 0.3),
        "word": column(lambda _: r.choice(["Single", "Walk", "É", "", "o'clock", "ä,b", "Walk "])),
        "long": column(lambda i: "x" * 250 + str(i % 3)),
        "nothing": [None] * ROWS,
        "constant": [7] * ROWS,
        "json": column(lambda i: '{"a": [%d]}' % (i % 5)),  # noqa: UP031 - braces
        "int_text": column(lambda _: str(r.randint(-5, 2000))),
        "date_text": column(lambda i: (DAY + timedelta(days=i % 9)).isoformat()),
        "time_text": column(lambda i: f"2024-07-01T0{i % 9}:00:00Z"),
        "bool_text": column(lambda _: r.choice(["true", "false"])),
        "double_text": column(lambda _: r.choice([".300", "1.25", "-0.5", "7"])),
        "code_text": column(lambda i: f"{i % 40:03}"),
        "mostly": column(lambda i: ".---" if i % 20 == 0 else f"{r.random():.3f}"),
        "mixed": column(lambda i: ["a", "1", "2024-01-01"][i % 3]),
    }  # fmt: skip


@pytest.fixture(scope="module")
def columns() -> dict[str, list[Any]]:
    return made()


@pytest.fixture(scope="module")
def profiles(spark: SparkSession, columns: dict[str, list[Any]]) -> dict[str, DataProfile]:
    """The same rows profiled by both."""
    table = pa.table({name: pa.array(values, TYPES[name]) for name, values in columns.items()})
    frame = spark.createDataFrame(table).repartition(3)
    return {"spark": DataQualityValidator(spark).profile_data(frame), "arrow": profile_table(table)}


ENGINES = pytest.mark.parametrize("engine", ["spark", "arrow"])
NUMBERS = ["whole", "few", "large", "double", "odd", "price"]
PLACED = [*NUMBERS, "day", "until", "moment", "constant"]


def finite(values: list[Any]) -> list[Any]:
    """Return the values that have a place on a line."""
    return [v for v in values if v is not None and not (isinstance(v, float) and not math.isfinite(v))]


@ENGINES
def test_counts_and_completeness(profiles: dict[str, DataProfile], columns: dict[str, list[Any]], engine: str) -> None:
    """As pandas counts; NaN is a value here, and one only."""
    found = profiles[engine]
    assert found.rows == ROWS and [c.name for c in found.columns] == list(columns)
    for name, values in columns.items():
        series = pd.Series([repr(v) for v in values if v is not None], dtype=object)
        c = found[name]
        assert (c.count, c.distinct) == (len(series), series.nunique()), name
        assert c.completeness == pytest.approx(len(series) / ROWS)
        assert c.not_finite == len(series) - len(finite(values)), name
    cells = sum(v is not None for values in columns.values() for v in values)
    assert found.completeness == pytest.approx(cells / (ROWS * len(columns)))
    assert found["large"].unique and not found["whole"].unique and not found["nothing"].unique


@ENGINES
@pytest.mark.parametrize("name", PLACED)
def test_least_greatest_and_quantiles(
    profiles: dict[str, DataProfile], columns: dict[str, list[Any]], engine: str, name: str
) -> None:
    """In the column's own type; the quantile is a value that is there (numpy's inverted_cdf, by rank)."""
    values, c = sorted(finite(columns[name])), profiles[engine][name]
    assert (c.min, c.max) == (values[0], values[-1])
    assert type(c.min) is type(values[0])
    ranks = np.arange(len(values))
    for q in QUANTILES:
        assert c.quantiles[q] == values[int(np.quantile(ranks, q, method="inverted_cdf"))], (name, q)


@ENGINES
@pytest.mark.parametrize("name", NUMBERS)
def test_mean_and_deviation(
    profiles: dict[str, DataProfile], columns: dict[str, list[Any]], engine: str, name: str
) -> None:
    """As statistics says of the finite values."""
    values, c = [float(v) for v in finite(columns[name])], profiles[engine][name]
    assert c.mean == pytest.approx(statistics.fmean(values), rel=1e-12)
    assert c.stddev == pytest.approx(statistics.stdev(values), rel=1e-9)


@ENGINES
@pytest.mark.parametrize("name", PLACED)
def test_histogram(profiles: dict[str, DataProfile], columns: dict[str, list[Any]], engine: str, name: str) -> None:
    """The bars follow each other without a gap, hold every finite value, each where it belongs."""
    values, bins = finite(columns[name]), profiles[engine][name].histogram
    assert 1 <= len(bins) <= BINS and sum(b.count for b in bins) == len(values)
    assert all(a.high == b.low for a, b in zip(bins, bins[1:], strict=False))
    for i, b in enumerate(bins):
        last = i == len(bins) - 1
        inside = sum(b.low <= v and (v < b.high or last) for v in values)
        if name in ("double", "price", "moment"):  # an edge is a rounded number: a value on it may be on either side
            assert abs(inside - b.count) <= sum(
                abs(_seconds(v) - _seconds(e)) < 1e-6 for v in values for e in (b.low, b.high)
            )
        else:
            assert inside == b.count, (name, b)


def _seconds(value: Any) -> float:
    return value.timestamp() if isinstance(value, datetime) else float(value)


def test_of_few_whole_numbers_each_has_a_bar(profiles: dict[str, DataProfile], columns: dict[str, list[Any]]) -> None:
    """Four values: four bars."""
    counted = Counter(v for v in columns["few"] if v is not None)
    for found in profiles.values():
        assert [(b.low, b.count) for b in found["few"].histogram] == sorted(counted.items())


@ENGINES
def test_top_values_and_texts(profiles: dict[str, DataProfile], columns: dict[str, list[Any]], engine: str) -> None:
    """The most frequent first, of equally frequent ones the first by code point; long texts are cut."""
    for name in ("word", "flag", "few", "int_text", "day"):
        shown = [str(v).lower() if isinstance(v, bool) else str(v) for v in columns[name] if v is not None]
        expected = sorted(Counter(shown).items(), key=lambda kv: (-kv[1], kv[0]))[:TOP]
        assert list(profiles[engine][name].top) == expected, name
    word, long = profiles[engine]["word"], profiles[engine]["long"]
    assert (word.min, word.max) == ("", "ä,b")
    assert word.lengths == (0, 7) and word.mean is None and word.histogram == ()
    assert long.lengths == (251, 251) and {len(t) for t, _ in long.top} == {SHOWN_LENGTH} and long.distinct == 3


@ENGINES
def test_inferred_types(profiles: dict[str, DataProfile], columns: dict[str, list[Any]], engine: str) -> None:
    """What texts are written as; a code with leading zeros is no number; a few that do not fit are counted."""
    found = {c.name: c.inferred.type for c in profiles[engine].columns if c.inferred}
    assert found == {
        "int_text": "BIGINT", "date_text": "DATE", "time_text": "TIMESTAMPTZ", "bool_text": "BOOLEAN", "json": "JSONB",
        "double_text": "DOUBLE", "mostly": "DOUBLE",
    }  # fmt: skip
    known = [v for v in columns["mostly"] if v is not None]
    inferred = profiles[engine]["mostly"].inferred
    assert inferred is not None and (inferred.fitting, inferred.of) == (sum(v != ".---" for v in known), len(known))


def test_both_say_the_same(profiles: dict[str, DataProfile]) -> None:
    """Column for column, but for the last digits of sums."""
    for a, b in zip(profiles["spark"].columns, profiles["arrow"].columns, strict=True):
        for name in ("name", "type", "kind", "rows", "count", "distinct", "min", "max", "quantiles", "top", "lengths"):
            assert getattr(a, name) == getattr(b, name), (a.name, name)
        assert [x.count for x in a.histogram] == [x.count for x in b.histogram], a.name
        assert (a.inferred, a.not_finite) == (b.inferred, b.not_finite), a.name


@pytest.mark.parametrize("last", [date.max, datetime.max.replace(tzinfo=UTC)])
def test_the_last_day_there_is_has_a_bar(last: Any) -> None:
    """As a placeholder of what has no end yet, be it the only value."""
    found = profile_table(pa.table({"until": [last, last]}))["until"]
    assert [b.count for b in found.histogram] == [2] and found.max == last


def test_nothing_but_gaps_and_no_rows(spark: SparkSession, profiles: dict[str, DataProfile]) -> None:
    """No figure is made up."""
    empty = spark.createDataFrame([], "a int, b string, c double")
    for found in (
        DataQualityValidator(spark).profile_data(empty),
        profile_table(pa.table({"a": pa.array([], pa.int32()), "b": pa.array([], pa.string()),
                                "c": pa.array([], pa.float64())})),
    ):  # fmt: skip
        assert found.rows == 0 and found.completeness == 0
        assert [(c.name, c.type, c.count, c.distinct, c.completeness) for c in found.columns] == [
            ("a", "int", 0, 0, 0), ("b", "string", 0, 0, 0), ("c", "double", 0, 0, 0),
        ]  # fmt: skip
    for found in profiles.values():
        c = found["nothing"]
        assert (c.count, c.completeness, c.min, c.top, c.histogram, c.inferred) == (0, 0, None, (), (), None)


def test_columns_can_be_chosen_and_nested_ones_are_counted(spark: SparkSession) -> None:
    """A column that is not there is named; lists are values like others; names may repeat."""
    frame = spark.createDataFrame([(1, [1, 2]), (2, [1, 2]), (3, None)], "a int, b array<int>")
    validator = DataQualityValidator(spark)
    found = validator.profile_data(frame, ["b"])
    assert [(c.name, c.kind, c.count, c.distinct) for c in found.columns] == [("b", "other", 2, 1)]
    with pytest.raises(ValueError, match="the frame has no column x; it has: a, b"):
        validator.profile_data(frame, ["x"])
    with pytest.raises(ValueError, match="the table has no column x; it has: a"):
        profile_table(pa.table({"a": [1]}), ["x"])
    twice = validator.profile_data(frame.select("a", "a"))
    assert [c.name for c in twice.columns] == ["a", "a (2)"] and twice["a (2)"].max == 3
