"""The two engines that commit changes to a Delta table: `deltalake` for what fits in memory, delta-spark beyond."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from resources.lake import COMMIT_ID, LakeError, find_commit

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

ACTION = "merge_action"
INSERT, UPDATE, DELETE = "I", "U", "D"


class CommitConflict(Exception):
    """Another writer committed first; the merge is to be tried again on the table as it is now."""


@dataclass(frozen=True)
class Changes:
    """Rows to insert, update or delete (by key), told apart by the column ACTION, and where in the table they lie."""

    rows: pa.Table
    key: tuple[str, ...]
    columns: tuple[str, ...]
    within: str
    """SQL condition on the target, alias `t`, that each row concerned fulfils; it saves reading the rest."""

    @property
    def condition(self) -> str:
        """The merge condition, aliases `t` and `s`."""
        same = " AND ".join(f"t.`{name}` = s.`{name}`" for name in self.key)
        return f"{same} AND {self.within}" if self.within else same


@dataclass(frozen=True)
class Applied:
    """What the engine says it did, in rows."""

    inserted: int
    updated: int
    deleted: int
    version: int = field(default=-1, compare=False)
    """The table version that the commit made."""


class DeltaEngine(Protocol):
    """Commits changes as one version that carries `batch_id`; raises CommitConflict when another writer was first."""

    def __call__(self, table: DeltaTable, changes: Changes, batch_id: uuid.UUID) -> Applied:
        """Commit `changes` on top of the version that `table` has loaded."""
        ...


def commit_properties(batch_id: uuid.UUID | None = None) -> CommitProperties:
    """Return properties of a commit that gives up, rather than rebase, when another came first."""
    metadata = {} if batch_id is None else {COMMIT_ID: str(batch_id)}
    return CommitProperties(custom_metadata=metadata, max_commit_retries=0)


def deltalake_engine(table: DeltaTable, changes: Changes, batch_id: uuid.UUID) -> Applied:
    """Merge by `deltalake`, in this process; rows that are all new are appended, which costs a fifth of a merge."""
    if pc.all(pc.equal(changes.rows[ACTION], INSERT)).as_py():
        return _append(table, changes, batch_id)
    values = {f"`{name}`": f"s.`{name}`" for name in changes.columns}
    before = table.version()
    merger = table.merge(
        changes.rows,
        changes.condition,
        source_alias="s",
        target_alias="t",
        commit_properties=commit_properties(batch_id),
        post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
    )
    try:
        metrics = (
            merger.when_matched_delete(f"s.{ACTION} = '{DELETE}'")
            .when_matched_update(values, f"s.{ACTION} = '{UPDATE}'")
            .when_not_matched_insert(values, f"s.{ACTION} = '{INSERT}'")
            .execute()
        )
    except CommitFailedError as error:
        raise CommitConflict(str(error)) from error
    return Applied(
        inserted=int(metrics["num_target_rows_inserted"]),
        updated=int(metrics["num_target_rows_updated"]),
        deleted=int(metrics["num_target_rows_deleted"]),
        version=int(_commit_of(table, batch_id, before)["version"]),
    )


def _append(table: DeltaTable, changes: Changes, batch_id: uuid.UUID) -> Applied:
    before = table.version()
    try:
        write_deltalake(
            table,
            changes.rows.select(list(changes.columns)),
            mode="append",
            commit_properties=commit_properties(batch_id),
            post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
        )
    except CommitFailedError as error:
        raise CommitConflict(str(error)) from error
    table.update_incremental()
    commit = _commit_of(table, batch_id, before)
    added = int(commit["operationMetrics"]["num_added_rows"])
    return Applied(inserted=added, updated=0, deleted=0, version=int(commit["version"]))


def _commit_of(table: DeltaTable, batch_id: uuid.UUID, before: int) -> dict[str, Any]:
    commit = find_commit(table, batch_id, before)
    if commit is None:
        raise LakeError(
            f"Delta table {table.table_uri}: the commit just made is not in its log: is that being removed?"
        )
    return commit


class SparkEngine:
    """Merge by delta-spark, in a session of its own beside the given one, so that no setting leaks either way."""

    def __init__(self, spark: Callable[[], SparkSession]) -> None:
        self._spark = spark

    def __call__(self, table: DeltaTable, changes: Changes, batch_id: uuid.UUID) -> Applied:
        """Commit `changes`; the metrics are read back from the table's history."""
        with ThreadPoolExecutor(1, "delta-spark") as thread:  # a session is active for its thread only
            return thread.submit(self._merge, table, changes, batch_id).result()

    def _merge(self, table: DeltaTable, changes: Changes, batch_id: uuid.UUID) -> Applied:
        from delta import exceptions as conflicts
        from delta.tables import DeltaTable as SparkDeltaTable
        from pyspark.errors import PySparkException

        shared = self._spark()
        session = shared.newSession()
        before = table.version()
        uri = table.table_uri.replace("s3://", "s3a://", 1)
        values: dict[str, str | Column] = {f"`{name}`": f"s.`{name}`" for name in changes.columns}
        try:
            session.conf.set("spark.databricks.delta.commitInfo.userMetadata", str(batch_id))
            session.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
            session.conf.set("spark.sql.session.timeZone", "UTC")
            session.conf.set("spark.databricks.delta.snapshotPartitions", "2")
            # Spark takes an Arrow table whose first chunk is empty for an empty one.
            chunks = [chunk for chunk in changes.rows.to_batches() if chunk.num_rows]
            source = session.createDataFrame(pa.Table.from_batches(chunks, changes.rows.schema)).alias("s")
            target = SparkDeltaTable.forPath(session, uri).alias("t")
            (
                target.merge(source, changes.condition)
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
        except PySparkException as error:
            raise LakeError(f"Delta table {uri}: Spark could not merge: {str(error).splitlines()[0]}") from error
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
