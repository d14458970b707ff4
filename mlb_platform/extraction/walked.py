"""The walk as a Spark job: a task a slot reads its raw rows from PostgreSQL, walks them, and gives them as Arrow."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from mlb_platform.extraction.read_columns import read_columns, settles
from mlb_platform.extraction.values import spark_name
from mlb_platform.extraction.walk import Walk
from mlb_platform.mapping.resolve import ResolvedMapping, ResolvedTarget
from mlb_platform.mapping.types import parse_type
from resources.raw_frames import RawFrame, WorkReader


def walked_frame(spark: SparkSession, source: RawFrame, mapping: ResolvedMapping) -> DataFrame:
    """Return the rows of all tables of the raw rows put to work in `source`: the columns of `Walk.schema`.

    Raises NotWalkable where Spark SQL has to do it.
    """
    Walk(mapping)
    slots = spark.range(0, source.slots, 1, source.slots)
    return slots.mapInArrow(_task(source.reader, pickle.dumps(mapping)), _schema(mapping))


def _schema(mapping: ResolvedMapping) -> str:
    day = mapping.partition.type if mapping.partition else "DATE"
    own = [f"{n} {spark_name(parse_type(t))}" for n, t in (("entity", mapping.entity_key.type), ("day", day))]
    arrays = [f"t{n} ARRAY<STRUCT<{_row(target)}>>" for n, target in enumerate(mapping.targets)]
    return ", ".join(["raw_id BIGINT", "captured_at TIMESTAMP", *own, "odd BOOLEAN", *arrays])


def _row(target: ResolvedTarget) -> str:
    columns = read_columns(target)
    values = f"v: STRUCT<{', '.join(f'`{c.name}`: {spark_name(c.type)}' for c in columns)}>"
    return values + (", s: ARRAY<STRUCT<c: INT, v: STRING>>" if any(map(settles, columns)) else "")


def _task(reader: WorkReader, mapping: bytes) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(slots: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in slots:
            for slot in batch.column("id").to_pylist():
                yield from _walk_of(mapping).batches(reader.rows(slot))

    return run


@lru_cache(maxsize=8)
def _walk_of(mapping: bytes) -> Walk:
    """Return the walk of a mapping, made once in a process."""
    return Walk(pickle.loads(mapping))  # noqa: S301
