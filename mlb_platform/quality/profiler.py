"""Profile a frame in one Spark job: its cells become (column, value, how often), and all figures follow from these."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from mlb_platform.quality.contract import told_apart
from mlb_platform.quality.profile import (
    BINS,
    QUANTILES,
    SHOWN_LENGTH,
    TOP,
    ColumnProfile,
    DataProfile,
    Inferred,
    Value,
    histogram,
    inferred,
)

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame, Row

_ROWS = -1
"""The column number under which rows are counted."""
_TEXT_TYPES = {
    "BOOLEAN": "lower(s) IN ('true', 'false')",
    "BIGINT": r"s RLIKE '^[+-]?(0|[1-9][0-9]{0,17})$'",
    "DOUBLE": r"s RLIKE '^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$' AND NOT s RLIKE '^[+-]?0[0-9]'",
    "DATE": r"s RLIKE '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' AND try_cast(s AS DATE) IS NOT NULL",
    "TIMESTAMPTZ": r"s RLIKE '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:' AND try_cast(s AS TIMESTAMP) IS NOT NULL",
    "JSONB": r"s RLIKE '^[\\[{]' AND try_parse_json(s) IS NOT NULL",
}
"""How the texts of a type are written; a whole number is also a DOUBLE. A leading zero (a code) makes no number."""


def kind_of(data_type: T.DataType) -> str:
    """Return what can be told of values of a Spark type: integer, number, date, time, boolean, text or other."""
    if isinstance(data_type, T.IntegralType):
        return "integer"
    if isinstance(data_type, T.NumericType):
        return "number"
    kinds = {T.DateType: "date", T.TimestampType: "time", T.BooleanType: "boolean", T.StringType: "text"}
    return next((kind for known, kind in kinds.items() if isinstance(data_type, known)), "other")


def profile_frame(df: DataFrame, columns: Sequence[str] | None) -> DataProfile:
    """Profile columns of a frame (None: all); raise ValueError for one that it does not have."""
    unknown = [c for c in columns or () if c not in df.columns]
    if unknown:
        raise ValueError(f"the frame has no column {unknown[0]}; it has: {', '.join(df.columns)}")
    frame = told_apart(df)
    fields = [f for f in frame.schema.fields if columns is None or f.name in columns]
    found = {int(row["i"]): row for row in _figures(frame, fields).collect()}
    rows = int(found[_ROWS]["n"]) if _ROWS in found else 0
    return DataProfile(rows, tuple(_column(f, rows, found.get(i)) for i, f in enumerate(fields)))


def _figures(frame: DataFrame, fields: Sequence[T.StructField]) -> DataFrame:
    """Return a row of figures a column. One wide aggregate over all columns takes Spark ten times as long."""
    kinds = [kind_of(f.dataType) for f in fields]
    cells = [F.struct(F.lit(_ROWS).alias("i"), F.lit("").alias("s"))]
    cells += [
        F.struct(F.lit(i).alias("i"), _text(F.col(f"`{f.name}`"), f.dataType, kinds[i]).alias("s"))
        for i, f in enumerate(fields)
    ]
    tall = frame.select(F.explode(F.array(*cells)).alias("c")).select("c.i", "c.s").where("s IS NOT NULL")
    whole = _among(kinds, "integer", "date")
    values = tall.groupBy("i", "s").agg(F.count(F.lit(1)).alias("n")).withColumn("y", F.expr(_number_sql(kinds)))
    finite = "IF(isnan(y) OR abs(y) = double('infinity'), NULL, y)"
    every, by_count = Window.partitionBy("i"), Window.partitionBy("i").orderBy(F.col("n").desc(), "s")
    upto = Window.partitionBy("i").orderBy("x").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    weight = F.when(F.col("x").isNotNull(), F.col("n")).otherwise(F.lit(0))
    ranked = values.withColumn("x", F.expr(finite)).select(
        "i", "s", "n", "x", "y",
        F.min("x").over(every).alias("lo"),
        F.max("x").over(every).alias("hi"),
        (F.sum(F.col("x") * F.col("n")).over(every) / F.sum(weight).over(every)).alias("mean"),
        F.sum(weight).over(every).alias("nx"),
        F.sum(weight).over(upto).alias("upto"),
        F.row_number().over(by_count).alias("rank"),
    )  # fmt: skip
    width = f"IF({whole}, greatest(1, ceil((hi - lo + 1) / {BINS})), (hi - lo) / {BINS})"
    bin_number = f"least({BINS - 1}, floor((x - lo) / width))"
    binned = ranked.withColumn("width", F.expr(width)).withColumn(
        "bin", F.expr(f"CASE WHEN x IS NULL THEN NULL WHEN hi = lo THEN 0 ELSE {bin_number} END")
    )
    return binned.groupBy("i").agg(*_aggregates(_among(kinds, "text")))


def _aggregates(text: str) -> list[SparkColumn]:
    found = {
        "n": "sum(n)",
        "distinct": "count(*)",
        "nx": "first(nx)",
        "mean": "first(mean)",
        "lo": "first(lo)",
        "width": "first(width)",
        "squares": "sum(n * (x - mean) * (x - mean))",
        "not_finite": "sum(IF(y IS NOT NULL AND x IS NULL, n, 0))",
        "least": "min_by(s, x)",
        "greatest": "max_by(s, x)",
        "first_text": f"min(substring(s, 1, {SHOWN_LENGTH}))",
        "last_text": f"max(substring(s, 1, {SHOWN_LENGTH}))",
        "shortest": "min(length(s))",
        "longest": "max(length(s))",
        "top": f"collect_list(IF(rank <= {TOP}, struct(rank, n, substring(s, 1, {SHOWN_LENGTH}) AS s), NULL))",
    }
    found |= {f"q{k}": f"min_by(s, IF(x IS NOT NULL AND upto >= {q} * nx, x, NULL))" for k, q in enumerate(QUANTILES)}
    found |= {f"b{k}": f"sum(IF(bin = {k}, n, 0))" for k in range(BINS)}
    found |= {f"t_{name}": f"sum(IF({text} AND {test}, n, 0))" for name, test in _TEXT_TYPES.items()}
    return [F.expr(sql).alias(name) for name, sql in found.items()]


def _text(column: SparkColumn, data_type: T.DataType, kind: str) -> SparkColumn:
    """A value as a text that tells it from all others of its type."""
    if kind == "other" and isinstance(data_type, T.ArrayType | T.MapType | T.StructType):
        return F.to_json(column)
    return F.base64(column) if isinstance(data_type, T.BinaryType) else column.cast("string")


def _among(kinds: Sequence[str], *wanted: str) -> str:
    """SQL: whether the column number is of one of these kinds."""
    numbers = [str(i) for i, kind in enumerate(kinds) if kind in wanted]
    return f"i IN ({', '.join(numbers)})" if numbers else "false"


def _number_sql(kinds: Sequence[str]) -> str:
    """SQL: a value as a number, where it is one or has a place on a line: days and seconds since 1970."""
    return (
        f"CASE WHEN {_among(kinds, 'integer', 'number')} THEN try_cast(s AS DOUBLE) "
        f"WHEN {_among(kinds, 'date')} THEN CAST(unix_date(try_cast(s AS DATE)) AS DOUBLE) "
        f"WHEN {_among(kinds, 'time')} THEN unix_micros(try_cast(s AS TIMESTAMP)) / 1e6 END"
    )


def _column(f: T.StructField, rows: int, row: Row | None) -> ColumnProfile:
    kind, name = kind_of(f.dataType), f.dataType.simpleString()
    if row is None:
        return ColumnProfile(f.name, name, kind, rows, 0, 0)
    texts = kind in ("text", "boolean", "other")
    count, placed = int(row["n"]), int(row["nx"] or 0)
    mean = None if texts or kind in ("date", "time") or not placed else float(row["mean"])
    top = sorted((t["rank"], t["s"], t["n"]) for t in row["top"])
    return ColumnProfile(
        name=f.name,
        type=name,
        kind=kind,
        rows=rows,
        count=count,
        distinct=int(row["distinct"]),
        min=row["first_text"] if texts else parse_value(row["least"], f.dataType),
        max=row["last_text"] if texts else parse_value(row["greatest"], f.dataType),
        mean=mean,
        stddev=math.sqrt(row["squares"] / (placed - 1)) if mean is not None and placed > 1 else None,
        quantiles={q: parse_value(row[f"q{k}"], f.dataType) for k, q in enumerate(QUANTILES)} if placed else {},
        histogram=histogram([int(row[f"b{k}"]) for k in range(BINS)], row["lo"], row["width"], kind) if placed else (),
        top=tuple((text, int(n)) for _, text, n in top),
        lengths=(int(row["shortest"]), int(row["longest"])) if kind == "text" else None,
        not_finite=int(row["not_finite"]),
        inferred=_inferred(row, count) if kind == "text" else None,
    )


def _inferred(row: Row, count: int) -> Inferred | None:
    return inferred({name: int(row[f"t_{name}"]) for name in _TEXT_TYPES}, count)


def parse_value(text: str | None, data_type: T.DataType) -> Value:
    """Return the value that Spark wrote as a text, in Python's type for it."""
    if text is None:
        return None
    readers: dict[type[T.DataType], Any] = {
        T.IntegralType: int,
        T.DecimalType: Decimal,
        T.NumericType: float,
        T.DateType: date.fromisoformat,
        T.TimestampType: lambda t: datetime.fromisoformat(t).replace(tzinfo=UTC),
    }
    return next((read(text) for known, read in readers.items() if isinstance(data_type, known)), text)
