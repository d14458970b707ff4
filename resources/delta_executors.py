"""Merging into a Delta table on Spark's executors: the difference and the merge are theirs, the driver has counts."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deltalake import DeltaTable

from resources.delta_engines import (
    ACTION,
    DELETE,
    INSERT,
    UPDATE,
    Applied,
    CommitConflict,
    Difference,
    merge_condition,
)
from resources.delta_sink_diff import guards, scope_condition
from resources.executor_rows import (
    ExecutorRows,
    executor_rows,
    executor_session,
    grouped_by,
    in_scopes,
    plain_spark_errors,
)
from resources.lake import find_commit
from resources.merge import SOURCE_CAPTURED_AT, FrameBatch, MergeBatch, MergeSpec, ScopeState, StaleScope
from resources.merge_batch import Tally
from resources.merge_offers import Offered

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

_OFFERED, _PRESENT = "merge_offered", "merge_present"


@contextmanager
def delta_executors(
    spark: Callable[[], SparkSession], spec: MergeSpec, batch: MergeBatch | FrameBatch
) -> Iterator[DeltaOnExecutors]:
    """Give the rows of a batch to be merged by delta-spark; what Spark keeps for it is dropped at the end.

    Raises PlatformError where rows break the contract or Spark fails.
    """
    with plain_spark_errors(f"Delta table {spec.table}"):
        session = executor_session(spark)
        merge = DeltaOnExecutors(session, spec, executor_rows(session, spec, batch))
        try:
            yield merge
        finally:
            merge.release()


class DeltaOnExecutors:
    """One batch on its way into a Delta table, by a session of its own."""

    def __init__(self, session: SparkSession, spec: MergeSpec, rows: ExecutorRows) -> None:
        self._session, self._spec, self._rows = session, spec, rows
        self._changes: DataFrame | None = None

    def split(self, states: Mapping[str, ScopeState]) -> Offered:
        """Part the captures by what is to be done."""
        return self._rows.split(states)

    def tally(self, stale: Sequence[StaleScope]) -> Tally:
        """Count the rows offered."""
        return self._rows.tally(stale)

    def release(self) -> None:
        """Drop the difference that was found last."""
        if self._changes is not None:
            self._changes.unpersist()
            self._changes = None

    def difference(self, table: DeltaTable, scopes: Sequence[str], tally: Tally) -> Difference | None:
        """Compare the rows offered of `scopes` with those of the version that `table` has loaded, as `find_changes`."""
        self.release()
        self._changes = self._found(table, scopes).persist()
        by_action = dict.fromkeys((INSERT, UPDATE, DELETE), 0)
        for row in self._changes.groupBy("merge_scope", "merge_partition", ACTION).count().collect():
            counts = tally.at((row["merge_scope"], row["merge_partition"]))
            count = row["count"]
            counts.inserted += count if row[ACTION] == INSERT else 0
            counts.updated += count if row[ACTION] == UPDATE else 0
            counts.deleted += count if row[ACTION] == DELETE else 0
            by_action[row[ACTION]] += count
        if not any(by_action.values()):
            return None
        expected = Applied(by_action[INSERT], by_action[UPDATE], by_action[DELETE])
        within = scope_condition(self._spec, scopes, "t.") if self._own else ""
        return Difference(expected, lambda table, batch_id: self._merge(table, within, batch_id))

    @property
    def _own(self) -> bool:
        """Whether every row belongs to one scope."""
        return self._spec.scope in self._spec.key

    def _found(self, table: DeltaTable, scopes: Sequence[str]) -> DataFrame:
        """Return the rows that differ: all columns of the table, ACTION, and what counts are kept by."""
        from pyspark.sql import functions as F

        spec = self._spec
        needed = dict.fromkeys((*spec.key, spec.scope, *spec.business_columns))
        needed |= {spec.partition: None} if spec.partition else {}
        needed |= {SOURCE_CAPTURED_AT: None} if guards(spec) else {}
        reader = self._session.read.format("delta").option("versionAsOf", table.version())
        present = reader.load(_address(table))
        present = present.where(in_scopes(spec, scopes)) if self._own else present
        s = self._rows.frame(scopes).withColumn(_OFFERED, F.lit(True)).alias("s")
        t = present.select(*(f"`{name}`" for name in needed)).withColumn(_PRESENT, F.lit(True)).alias("t")
        same = F.lit(True)
        for name in spec.key:
            same = same & (_of("s", name) == _of("t", name))
        joined = s.join(t, same, "full" if spec.snapshot else "left")
        gone, new = F.col(f"s.{_OFFERED}").isNull(), F.col(f"t.{_PRESENT}").isNull()
        action = F.when(gone, DELETE).when(new, INSERT).when(self._changed(), UPDATE)

        def value(name: str) -> Column:
            return F.when(gone, _of("t", name)).otherwise(_of("s", name)) if name in needed else _of("s", name)

        groups = grouped_by(spec, value(spec.scope), value(spec.partition) if spec.partition else None)
        columns = [value(name).alias(name) for name in spec.column_names]
        return joined.select(*columns, *groups, action.alias(ACTION)).where(F.col(ACTION).isNotNull())

    def _changed(self) -> Column:
        """Return the condition that the row offered replaces the one present."""
        from pyspark.sql import functions as F

        spec = self._spec
        changed = F.lit(False)
        for name in spec.business_columns:
            changed = changed | ~_of("s", name).eqNullSafe(_of("t", name))
        if not guards(spec):
            return changed
        newer = F.coalesce(_of("t", SOURCE_CAPTURED_AT) <= _of("s", SOURCE_CAPTURED_AT), F.lit(True))
        return changed & (_of("s", spec.scope).eqNullSafe(_of("t", spec.scope)) | newer)

    def _merge(self, table: DeltaTable, within: str, batch_id: uuid.UUID) -> Applied:
        """Commit the difference by delta-spark; the metrics are read back from the table's history.

        Raises CommitConflict when another writer came first.
        """
        from delta import exceptions as conflicts
        from delta.tables import DeltaTable as SparkDeltaTable

        assert self._changes is not None
        spec, before = self._spec, table.version()
        values: dict[str, str | Column] = {f"`{name}`": f"s.`{name}`" for name in spec.column_names}
        self._session.conf.set("spark.databricks.delta.commitInfo.userMetadata", str(batch_id))
        try:
            (
                SparkDeltaTable.forPath(self._session, _address(table))
                .alias("t")
                .merge(self._changes.alias("s"), merge_condition(spec.key, within))
                .whenMatchedDelete(f"s.{ACTION} = '{DELETE}'")
                .whenMatchedUpdate(f"s.{ACTION} = '{UPDATE}'", values)
                .whenNotMatchedInsert(f"s.{ACTION} = '{INSERT}'", values)
                .execute()
            )
        except (
            conflicts.DeltaConcurrentModificationException,
            conflicts.ConcurrentAppendException,
            conflicts.ConcurrentDeleteDeleteException,
            conflicts.ConcurrentDeleteReadException,
            conflicts.ConcurrentTransactionException,
            conflicts.ConcurrentWriteException,
            conflicts.MetadataChangedException,
            conflicts.ProtocolChangedException,
        ) as error:
            raise CommitConflict(str(error)) from error
        table.update_incremental()
        commit = find_commit(table, batch_id, before)
        if commit is None:
            return Applied(0, 0, 0)
        metrics = commit["operationMetrics"]
        return Applied(
            inserted=int(metrics["numTargetRowsInserted"]),
            updated=int(metrics["numTargetRowsUpdated"]),
            deleted=int(metrics["numTargetRowsDeleted"]),
            version=int(commit["version"]),
        )


def _of(side: str, name: str) -> Column:
    from pyspark.sql import functions as F

    return F.col(f"{side}.`{name}`")


def _address(table: DeltaTable) -> str:
    return table.table_uri.replace("s3://", "s3a://", 1)
