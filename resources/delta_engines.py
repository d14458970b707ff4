"""Committing changes to a Delta table by `deltalake`, in this process; `delta_executors` has the way by Spark."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from resources.lake import COMMIT_ID, LakeError, find_commit

ACTION = "merge_action"
INSERT, UPDATE, DELETE = "I", "U", "D"


class CommitConflict(Exception):
    """Another writer committed first; the merge is to be tried again on the table as it is now."""


@dataclass(frozen=True)
class Applied:
    """What the engine says it did, in rows."""

    inserted: int
    updated: int
    deleted: int
    version: int = field(default=-1, compare=False)
    """The table version that the commit made."""


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
        return merge_condition(self.key, self.within)

    @property
    def expected(self) -> Applied:
        """What an engine must report for them."""
        found = {row["values"]: row["counts"] for row in pc.value_counts(self.rows[ACTION]).to_pylist()}
        return Applied(found.get(INSERT, 0), found.get(UPDATE, 0), found.get(DELETE, 0))


def merge_condition(key: Sequence[str], within: str) -> str:
    """Return the condition, aliases `t` and `s`, that a target row has the key of a source row and is `within`."""
    same = " AND ".join(f"t.`{name}` = s.`{name}`" for name in key)
    return f"{same} AND {within}" if within else same


@dataclass(frozen=True)
class Difference:
    """What a merge is to change, in rows, and the engine that commits it.

    `apply` commits it on top of the version that the table has loaded, as one version that carries the batch's id, and
    raises CommitConflict when another writer was first.
    """

    expected: Applied
    apply: Callable[[DeltaTable, uuid.UUID], Applied]


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
