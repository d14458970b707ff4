"""The walk as a Spark job: a task a slot reads its raw rows from PostgreSQL, walks them, and gives them as Arrow.

Rows go to the driver as the Arrow batch they were made as, one binary value for some documents; Spark gets beside it
only what its expressions need, and gives the columns that are computed and the rules that are broken.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from mlb_platform.extraction.collect import Document, TableRows, members_of, rows_of
from mlb_platform.extraction.project import BROKEN, CAPTURED_AT, COMPUTED, ENTITY, PARTITION, WalkedProjection
from mlb_platform.extraction.values import spark_name
from mlb_platform.extraction.walk import Walk
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.mapping.types import parse_type
from mlb_platform.memory import spare_what_stays
from resources.raw_frames import RawFrame, WorkReader
from resources.sql_types import arrow_type

BATCH = "batch"
_CODEC, _SIZE = "lz4", 8
"""Spark copies a batch five times on its way: packed, it is less than half as large, and costs no more to write."""


class WalkedJob:
    """The job over the raw rows put to work in a frame. Raises NotWalkable where Spark SQL has to do it."""

    def __init__(self, spark: SparkSession, source: RawFrame, mapping: ResolvedMapping) -> None:
        self._walk = Walk(mapping)
        self._mapping = mapping
        slots = spark.range(0, source.slots, 1, source.slots)
        walked = slots.mapInArrow(_task(source.reader, pickle.dumps(mapping)), self._schema())
        self._tables = [
            WalkedProjection(t, judge=w.judge, array=f"n{n}")
            for n, (t, w) in enumerate(zip(mapping.targets, self._walk.tables, strict=True))
        ]
        told = [F.expr(sql).alias(f"n{n}") for n, t in enumerate(self._tables) if (sql := t.told_sql)]
        self._frame: DataFrame = walked.select("raw_id", BATCH, *told)

    def _schema(self) -> str:
        day = self._mapping.partition.type if self._mapping.partition else "DATE"
        own = [
            f"{n} {spark_name(parse_type(t))}" for n, t in ((ENTITY, self._mapping.entity_key.type), (PARTITION, day))
        ]
        needed = []
        for n, (target, table) in enumerate(zip(self._mapping.targets, self._walk.tables, strict=True)):
            if table.judge.needed:
                cells = (f"`{name}`: {spark_name(target.by_name[name].type)}" for name in table.judge.needed)
                needed.append(f"n{n} ARRAY<STRUCT<{', '.join(cells)}>>")
        return ", ".join(["raw_id BIGINT", f"{CAPTURED_AT} TIMESTAMP", *own, f"{BATCH} BINARY", *needed])

    def run(self) -> tuple[list[Document], list[TableRows]]:
        """Compute, and return what each document says of itself and the rows of each table."""
        told = self._frame.toArrow()
        schema = self._walk.schema
        batches = [_unpacked(body, schema) for body in told.column(BATCH).drop_null().to_pylist()]
        walked = pa.Table.from_batches(batches, schema)
        names = ("raw_id", "entity", "day", "odd")
        documents = [Document(*v) for v in zip(*(walked.column(n).to_pylist() for n in names), strict=True)]
        return documents, [self._rows(n, walked, told) for n in range(len(self._tables))]

    def _rows(self, number: int, walked: pa.Table, told: pa.Table) -> TableRows:
        projection = self._tables[number]
        lists = walked.column(f"t{number}").combine_chunks()
        row = members_of(lists.flatten())
        cells, broken, of_table = members_of(row["v"]), row["b"], projection.told_sql
        if of_table and len(broken):
            answers = told.column(f"n{number}").combine_chunks()
            if projection.needs_rows:
                found = members_of(answers.flatten())
                cells |= members_of(found[COMPUTED]) if COMPUTED in found else {}
                answers = found[BROKEN]
            else:
                answers = answers.take(pc.list_parent_indices(lists))
            broken = pc.bit_wise_or(broken, answers)
        elif of_table:
            cells |= {c.name: pa.nulls(0, arrow_type(str(c.type))) for c in projection.computed}
        of_document = walked.select(["raw_id", "captured_at", "entity", "day"])
        rows = rows_of(projection.target, of_document, lists, cells)
        return TableRows(projection.target, rows, None, broken, row.get("s"))


def _task(reader: WorkReader, mapping: bytes) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(slots: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        walk = _walk_of(mapping)
        for batch in slots:
            for slot in batch.column("id").to_pylist():
                for walked in walk.batches(reader.rows(slot)):
                    yield _for_spark(walk, walked)
        spare_what_stays()  # after each task the worker has Python's collector look at all there is: 0.08 s of a core

    return run


@lru_cache(maxsize=8)
def _walk_of(mapping: bytes) -> Walk:
    """Return the walk of a mapping, made once in a process."""
    _forget_archives()
    return Walk(pickle.loads(mapping))  # noqa: S301


def _forget_archives() -> None:
    """Take Spark's own archives (its zipped Python, a jar) out of where this worker looks for modules.

    Its Python is installed as well. For each task a worker looks at its path anew: reading these takes 0.1 s.
    """
    archives = [place for place in sys.path if place.endswith((".zip", ".jar")) and "spark" in place]
    sys.path[:] = [place for place in sys.path if place not in archives]
    for place in [p for p in sys.path_importer_cache if any(p.startswith(a) for a in archives)]:
        del sys.path_importer_cache[place]


def _for_spark(walk: Walk, walked: pa.RecordBatch) -> pa.RecordBatch:
    """Return what Spark needs of each document, and with the first of them all rows as they are."""
    body = [_packed(walked), *[None] * (walked.num_rows - 1)]
    columns: dict[str, pa.Array] = {
        "raw_id": walked.column("raw_id"), CAPTURED_AT: walked.column("captured_at"), ENTITY: walked.column("entity"),
        PARTITION: walked.column("day"), BATCH: pa.array(body, pa.binary()),
    }  # fmt: skip
    for n, table in enumerate(walk.tables):
        if table.judge.needed:
            lists = walked.column(f"t{n}")
            values = members_of(lists.flatten().field("v"))
            row = pa.StructArray.from_arrays([values[name] for name in table.judge.needed], names=table.judge.needed)
            columns[f"n{n}"] = pa.ListArray.from_arrays(lists.offsets, row)
    return pa.RecordBatch.from_pydict(columns)


def _packed(batch: pa.RecordBatch) -> bytes:
    """Return a batch as bytes, without its schema: of so many columns it takes longer to write than a game's rows."""
    body = batch.serialize()
    return b"".join([body.size.to_bytes(_SIZE, "little"), pa.compress(body, codec=_CODEC, asbytes=True)])


def _unpacked(body: bytes, schema: pa.Schema) -> pa.RecordBatch:
    size = int.from_bytes(body[:_SIZE], "little")
    return pa.ipc.read_record_batch(pa.decompress(memoryview(body)[_SIZE:], size, codec=_CODEC), schema)
