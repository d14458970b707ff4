"""Captures that are not complete, put together: the newest that has a row wins, what it leaves out stays as known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from mlb_platform.extraction.collect import RAW_ID
from mlb_platform.extraction.values import spark_name
from mlb_platform.mapping.resolve import Column, ResolvedTarget
from mlb_platform.mapping.sql import columns_of, rename_columns

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ROW = "_row"


@dataclass(frozen=True)
class Offer:
    """A capture that counts for an entity; of two, the one with the greater `order` is newer."""

    raw_id: int
    entity: str
    order: int


def fold(
    rows: pa.Table, target: ResolvedTarget, offers: Sequence[Offer], spark: Callable[[], SparkSession]
) -> pa.Table:
    """Return one row a key of the entities in `offers`, made of the rows of their captures.

    `rows` are those of captures, by `_raw_id`; one of an entity that is not offered is left out. A column takes the
    newest value that is not NULL, one with `cleared_by` the newest value of a capture that has either column; one that
    is computed from others is computed again from what they have come to, unless it is of the key. The technical
    columns and `_raw_id` are those of the newest capture that has the row.
    """
    cells = [f'r."{name}"' for name in target.key]
    for name in rows.column_names:
        if name not in target.key:
            cells.append(f'{_newest(name, target.by_name.get(name))} AS "{name}"')
    key = ", ".join(f'r."{name}"' for name in target.key)
    found = _of_offered(rows, target, offers, f"SELECT {', '.join(cells)} FROM {{}} GROUP BY {key} ORDER BY {key}")
    folded = found.select(rows.column_names).cast(rows.schema)
    return _computed_again(folded, target, spark) if 0 < folded.num_rows < rows.num_rows else folded


def _computed_again(rows: pa.Table, target: ResolvedTarget, spark: Callable[[], SparkSession]) -> pa.Table:
    """Return folded rows in which columns computed from others are of the values now beside them."""
    computed = [c for c in target.columns if c.origin == "expression" and c.name not in target.key]
    if not computed:
        return rows
    names = {name: f"`{name}`" for name in target.by_name}
    used: set[str] = set()
    for c in computed:  # one may be computed from another
        text = str(c.field.expression if c.field is not None else "NULL")
        used.update(columns_of(text))
        names[c.name] = f"try_cast({rename_columns(text, names)} AS {spark_name(c.type)})"
    given = rows.select([name for name in rows.column_names if name in used])
    given = given.append_column(_ROW, pa.array(range(rows.num_rows), pa.int64()))
    cells = [f"{names[c.name]} AS `{c.name}`" for c in computed]
    found = spark().createDataFrame(given).selectExpr(_ROW, *cells).toArrow().sort_by(_ROW)
    for c in computed:
        field = rows.schema.field(c.name)
        rows = rows.set_column(rows.column_names.index(c.name), field, found.column(c.name).cast(field.type))
    return rows


def unfilled(rows: pa.Table, target: ResolvedTarget, offers: Sequence[Offer], column: str) -> set[tuple[int, str]]:
    """Return the captures and entities with a row that leaves out a column for which no newer capture has a value."""
    key = ", ".join(f'r."{name}"' for name in target.key)
    newest = f'max(o.number) FILTER (WHERE r."{column}" IS NOT NULL) OVER (PARTITION BY {key})'
    missing = f'r."{column}" IS NULL AND coalesce({newest}, -1) < o.number'
    found = _of_offered(rows, target, offers, f"SELECT DISTINCT o.raw_id, o.entity FROM {{}} QUALIFY {missing}")
    return set(zip(found.column("raw_id").to_pylist(), found.column("entity").to_pylist(), strict=True))


def _of_offered(rows: pa.Table, target: ResolvedTarget, offers: Sequence[Offer], query: str) -> pa.Table:
    """Run a query whose {} stands for the rows `r` of the captures and entities offered, with the offer `o` of each."""
    given = pa.table(
        {
            "raw_id": pa.array([o.raw_id for o in offers], pa.int64()),
            "entity": pa.array([o.entity for o in offers], pa.string()),
            "number": pa.array([o.order for o in offers], pa.int64()),
        }
    )
    joined = f"""offered_rows r
        JOIN offers o ON r."{RAW_ID}" = o.raw_id AND CAST(r."{target.scope}" AS VARCHAR) = o.entity"""
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("offered_rows", rows)
        connection.register("offers", given)
        return connection.sql(query.format(joined)).to_arrow_table()


def _newest(name: str, column: Column | None) -> str:
    """SQL of what the captures say of one column."""
    if column is None or column.technical:
        return f'arg_max_null(r."{name}", o.number)'
    other = column.field.cleared_by if column.field is not None else None
    if other is None:
        return f'arg_max(r."{name}", o.number)'
    return f'arg_max_null(r."{name}", o.number) FILTER (WHERE r."{name}" IS NOT NULL OR r."{other}" IS NOT NULL)'
