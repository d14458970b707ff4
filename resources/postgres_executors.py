"""Merging into PostgreSQL from Spark's executors: their tasks COPY into a stage, one statement merges it.

The workers import this package and reach the database by the same URL as the driver does.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import psycopg
import pyarrow as pa
from psycopg import sql

from resources.errors import PlatformError
from resources.executor_rows import apart, executor_rows, executor_session, plain_spark_errors
from resources.merge import FrameBatch, MergeBatch, MergeResult, MergeSpec
from resources.merge_batch import arrow_schema
from resources.postgres import Connection, Postgres, lock_key
from resources.postgres_copy import copy_rows
from resources.postgres_sink import SINK, PostgresSink, analyze_stage, plain_errors
from resources.postgres_statements import stage_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_SCHEMA, _PREFIX, _PARTS = "quality", "merge_stage_", "_parts"
_LOCKS = "merge stage"
_WRITERS = 16
"""Tasks that copy at the same time, each with a connection, however many cores there are."""


class ExecutorPostgresSink(PostgresSink):
    """Keeps tables in PostgreSQL by the merge contract, rows coming from Spark's executors.

    Rows are staged in an unlogged table, before the transaction that merges them begins: how long the copying takes
    holds up nobody. The stage of a process that died is dropped by the next merge.
    """

    def __init__(self, postgres: Postgres, spark: Callable[[], SparkSession]) -> None:
        super().__init__(postgres)
        self._spark = spark

    def merge(self, spec: MergeSpec, batch: MergeBatch | FrameBatch) -> MergeResult:
        """Merge `batch` and write its states, in one transaction; the caller holds the lock on its scopes."""
        with (
            plain_errors(spec),
            self._tables.forgotten_where_dropped(spec),
            plain_spark_errors(f"PostgreSQL table {spec.table}"),
        ):
            return apart(lambda: self._merge_apart(spec, batch))

    def _merge_apart(self, spec: MergeSpec, batch: MergeBatch | FrameBatch) -> MergeResult:
        rows = executor_rows(executor_session(self._spark), spec, batch)
        scopes = [version.scope for version in batch.versions]
        self._states.ensure()
        with self._postgres.transaction() as connection:
            known = self._states.load(connection, SINK, spec.table, scopes)
        offered = rows.split(known)
        tally = rows.tally(offered.stale)
        changing = [version.scope for version in offered.changing]
        with (
            _staged(self._postgres, spec, rows.frame(changing) if changing else None) as stage,
            self._postgres.transaction() as connection,
        ):
            if self._states.load(connection, SINK, spec.table, scopes, lock=True) != known:
                raise PlatformError(
                    f"PostgreSQL table {spec.table}: a writer without their lock merged some of these "
                    f"{spec.scope}; run it again"
                )
            if stage is not None:
                self._write(connection, spec, changing, tally, stage)
            self._note(connection, spec, offered, tally)
        return tally.result(offered.stale)


@contextmanager
def _staged(postgres: Postgres, spec: MergeSpec, frame: DataFrame | None) -> Iterator[sql.Identifier | None]:
    """Give the table that tasks have copied the rows of `frame` into; None without a frame. It is gone at the end."""
    if frame is None:
        yield None
        return
    name = _PREFIX + uuid.uuid4().hex
    stage, parts = _tables(name)
    # held while this process lives: a stage without its lock is nobody's
    with postgres.scope_locks(_LOCKS, [name]):
        try:
            with postgres.transaction() as connection:
                _drop_orphans(connection)
                connection.execute(sql.SQL("CREATE UNLOGGED TABLE {} ({})").format(stage, stage_columns(spec)))
                connection.execute(
                    sql.SQL("CREATE UNLOGGED TABLE {} (part integer PRIMARY KEY, copied bigint)").format(parts)
                )
            task = partial(_copy_part, postgres.url, spec, name)
            wanted = sum(row[0] for row in frame.coalesce(_WRITERS).mapInArrow(task, "offered bigint").collect())
            with postgres.transaction() as connection:
                found = connection.execute(sql.SQL("SELECT coalesce(sum(copied), 0) FROM {}").format(parts)).fetchone()
                if found is None or found[0] != wanted:
                    raise PlatformError(f"PostgreSQL table {spec.table}: {wanted} rows were to be staged, not {found}")
                analyze_stage(connection, spec, stage, wanted)
            yield stage
        finally:
            with postgres.transaction() as connection:
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {}, {}").format(stage, parts))


def _tables(name: str) -> tuple[sql.Identifier, sql.Identifier]:
    """Return a stage and the table that says which parts of it are there."""
    return sql.Identifier(_SCHEMA, name), sql.Identifier(_SCHEMA, name + _PARTS)


def _copy_part(url: str, spec: MergeSpec, name: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Copy one partition into a stage, in a transaction of this task; yield how many rows it has.

    A partition is copied once, however often Spark tries it: a second attempt waits for the first, then finds it done.
    """
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None
    stage, parts = _tables(name)
    types, offered = arrow_schema(spec), 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal offered
        for batch in batches:
            offered += batch.num_rows
            yield batch.cast(types)

    with Postgres(url).connect() as connection:
        query = sql.SQL("INSERT INTO {} VALUES (%s, 0) ON CONFLICT DO NOTHING").format(parts)
        part = context.partitionId()
        if connection.execute(query, (part,)).rowcount:
            copied = copy_rows(connection, spec, stage, counted())
            connection.execute(sql.SQL("UPDATE {} SET copied = %s WHERE part = %s").format(parts), (copied, part))
        else:
            for _ in counted():
                pass
    yield pa.record_batch({"offered": pa.array([offered], pa.int64())})


def _drop_orphans(connection: Connection) -> None:
    """Drop the stages of processes that died; one whose tasks still copy is left to the next merge."""
    found = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename ~ %s",
        (_SCHEMA, f"^{_PREFIX}[0-9a-f]+$"),
    ).fetchall()
    for (name,) in found:
        query = "SELECT pg_try_advisory_xact_lock(%s)"
        taken = connection.execute(query, (lock_key(_LOCKS, name),)).fetchone()
        if taken is None or not taken[0]:
            continue
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '500ms'")
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {}, {}").format(*_tables(name)))
        except psycopg.errors.LockNotAvailable:
            continue
