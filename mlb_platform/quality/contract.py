"""The contract of a table: column names and types as its mapping gives them, held against a frame by pandera."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pyspark.sql import types as T

from mlb_platform.mapping.resolve import Column, ResolvedTarget
from mlb_platform.mapping.types import SqlType

if TYPE_CHECKING:
    import pandera.pyspark as pa
    from pyspark.sql import DataFrame

_SPARK: dict[str, T.DataType] = {
    "SMALLINT": T.ShortType(),
    "INT": T.IntegerType(),
    "BIGINT": T.LongType(),
    "DOUBLE": T.DoubleType(),
    "BOOLEAN": T.BooleanType(),
    "DATE": T.DateType(),
    "TIMESTAMPTZ": T.TimestampType(),
    "VARCHAR": T.StringType(),
    "TEXT": T.StringType(),
    "JSONB": T.StringType(),
}
ADDED_BY_THE_SINK = ("transform_timestamp", "lineage_metadata")
"""Columns that a stored table has, and a frame on its way there may not have yet."""
Problem = Literal["missing", "unknown", "type", "twice"]


@dataclass(frozen=True)
class ContractBreach:
    """A column that is not as the mapping says: `expected` and `found` are Spark types, `-` where there is none."""

    column: str
    problem: Problem
    expected: str
    found: str

    def __str__(self) -> str:
        return {
            "missing": f"column {self.column} ({self.expected}) is missing",
            "unknown": f"column {self.column} ({self.found}) is not in the mapping",
            "type": f"column {self.column} is {self.found}, the mapping says {self.expected}",
            "twice": f"column {self.column} is there more than once",
        }[self.problem]


def spark_type(sql_type: SqlType) -> T.DataType:
    """Return the Spark type of a column type."""
    return T.DecimalType(*sql_type.args) if sql_type.name == "NUMERIC" else _SPARK[sql_type.name]


def optional(column: Column) -> bool:
    """Whether a frame may lack a column of its table."""
    return column.name in ADDED_BY_THE_SINK


def table_contract(target: ResolvedTarget) -> pa.DataFrameSchema:
    """Return the pandera contract (pyspark backend) of a table: its names and types, and no other column.

    Keys and NULLs are not in it: they are rules, and judged with the other rules in one pass over the rows.
    """
    import pandera.pyspark as pa

    columns = {}
    for c in target.columns:
        kind: Any = spark_type(c.type)  # its annotation does not know Spark's types
        columns[c.name] = pa.Column(kind, nullable=True, required=not optional(c), description=c.description or None)
    return pa.DataFrameSchema(columns, strict=True, name=target.name, description=target.config.description or None)


def told_apart(df: DataFrame) -> DataFrame:
    """Return a frame whose columns all have names of their own: a repeated name gets a number."""
    if len(set(df.columns)) == len(df.columns):
        return df
    seen: Counter[str] = Counter()
    names = []
    for name in df.columns:
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return df.toDF(*names)


def contract_breaches(df: DataFrame, target: ResolvedTarget) -> list[ContractBreach]:
    """Return how a frame differs from the contract of a table, in the mapping's order; no Spark job is run.

    pandera decides; it names only the first unknown column, and its message of a missing one would fetch a row, so it
    is given the frame without rows, and the columns are listed here.
    """
    from pandera.config import ValidationDepth, config_context

    with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_ONLY):
        checked = table_contract(target).validate(told_apart(df).limit(0), lazy=True)
    errors = checked.pandera.errors
    if not errors:
        return []
    expected = {c.name: spark_type(c.type).simpleString() for c in target.columns}
    found = {f.name: f.dataType.simpleString() for f in df.schema.fields}
    twice = [n for n, k in Counter(df.columns).items() if k > 1]
    breaches = [ContractBreach(n, "twice", expected.get(n, "-"), found[n]) for n in twice]
    for c in target.columns:
        if c.name not in found and not optional(c):
            breaches.append(ContractBreach(c.name, "missing", expected[c.name], "-"))
        elif found.get(c.name, expected[c.name]) != expected[c.name]:
            breaches.append(ContractBreach(c.name, "type", expected[c.name], found[c.name]))
    breaches += [ContractBreach(name, "unknown", "-", found[name]) for name in found if name not in expected]
    if not breaches:
        raise RuntimeError(f"{target.name}: pandera reports what cannot be listed: {errors}")
    return breaches
