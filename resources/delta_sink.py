"""Tables in a Delta lake, with their states in PostgreSQL, recoverable wherever a merge was interrupted."""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeVar

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from resources.delta_engines import CommitConflict, Difference, deltalake_engine
from resources.delta_executors import delta_executors
from resources.delta_sink_diff import find_changes, scope_condition
from resources.delta_sink_schema import bring_to_spec, is_current
from resources.executor_rows import apart
from resources.lake import LakeError, find_commit, lake_error, read_table, sink_id
from resources.lake_compaction import keep_few
from resources.lake_handles import opened
from resources.lake_place import table_uri
from resources.merge import FrameBatch, MergeBatch, MergeResult, MergeSpec, ScopeState, StaleScope
from resources.merge_batch import Tally, arrow_schema, checked_rows, counted_rows, rows_of
from resources.merge_offers import Offered, split_offered
from resources.merge_state import MergeStates, StateRecord, lock_lake_table, plain_state_errors, state_records
from resources.postgres import Postgres

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPARK_ABOVE_BYTES = 1 << 30
_ATTEMPTS = 30
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class _Rows(Protocol):
    """The rows of one batch, wherever they are, and the engine that is to merge them."""

    def split(self, states: Mapping[str, ScopeState]) -> Offered:
        """Part the captures by what is to be done; `states` is what was merged last."""
        ...

    def tally(self, stale: Sequence[StaleScope]) -> Tally:
        """Count the rows offered, those of stale scopes as skipped."""
        ...

    def difference(self, table: DeltaTable, scopes: Sequence[str], tally: Tally) -> Difference | None:
        """Return what the rows of `scopes` change in the table, counted in `tally` too; None for nothing."""
        ...


class _OnDriver:
    """Rows in this process, merged by `deltalake`. Raises PlatformError where they break the contract."""

    def __init__(self, database: duckdb.DuckDBPyConnection, spec: MergeSpec, batch: MergeBatch | FrameBatch) -> None:
        self._database, self._spec, self._batch = database, spec, batch
        self._rows = checked_rows(spec, batch)
        self._known: Mapping[str, ScopeState] = {}

    def split(self, states: Mapping[str, ScopeState]) -> Offered:
        self._known = states
        return split_offered(self._spec, self._rows, self._batch, states)

    def tally(self, stale: Sequence[StaleScope]) -> Tally:
        return Tally.of_groups(counted_rows(self._spec, self._batch), stale)

    def difference(self, table: DeltaTable, scopes: Sequence[str], tally: Tally) -> Difference | None:
        whole = len(scopes) == len(self._batch.versions)
        rows = self._rows if whole else rows_of(self._spec, self._rows, scopes)
        new = not any(scope in self._known for scope in scopes)
        changes = find_changes(self._database, table, self._spec, rows, scopes, tally, new=new)
        if changes is None:
            return None
        return Difference(changes.expected, lambda table, batch_id: deltalake_engine(table, changes, batch_id))


class DeltaSink:
    """Keeps tables at LAKE/normalized/SCHEMA/TABLE by the merge contract.

    Batches of more than `spark_above_bytes`, and rows that are in Spark, are merged on its executors where `spark`
    gives a session, others by `deltalake`. States belong to a table by its Delta identity: a lake that was deleted is
    a fresh start.
    """

    def __init__(
        self,
        lake: str,
        postgres: Postgres,
        *,
        spark: Callable[[], SparkSession] | None = None,
        spark_above_bytes: int = SPARK_ABOVE_BYTES,
    ) -> None:
        self._lake = lake
        self._postgres = postgres
        self._states = MergeStates(postgres)
        self._spark = spark
        self._spark_above_bytes = spark_above_bytes
        self._database = duckdb.connect()
        self._prepared: dict[str, tuple[MergeSpec, str]] = {}
        self._lock = Lock()

    @property
    def name(self) -> str:
        """`delta`."""
        return "delta"

    @property
    def tables_at_once(self) -> int:
        """Two: most of what a small table takes is waiting for the disk and the database."""
        return 2

    @property
    def referenced_first(self) -> bool:
        """No: who reads several tables of a lake reads them as of a time."""
        return False

    def prepare(self, spec: MergeSpec) -> None:
        """Create the table or migrate it additively; raise SchemaChangeRefused, naming the column, otherwise."""
        with self._plain_errors(spec), opened(self._lake, spec.table) as table:
            if table is not None and self._prepared.get(spec.table) == (spec, sink_id(table)):
                return
            if table is None or not is_current(table, spec):
                self._states.ensure()
                # Creators and migrators take turns; a merge that comes between shows as a conflict.
                with self._postgres.transaction() as connection:
                    lock_lake_table(connection, table_uri(self._lake, spec.table))
                    table = self._retried(spec, lambda: bring_to_spec(self._lake, spec))
            with self._lock:
                self._prepared[spec.table] = (spec, sink_id(table))

    def states(
        self, specs: Sequence[MergeSpec], scopes: Sequence[str] | None = None, *, locked: bool = True
    ) -> dict[str, dict[str, ScopeState]]:
        """Return what was merged last by table and scope, after settling what an interrupted merge left open.

        Where the caller holds the locks of `scopes`, a merge of them that is still open has no writer. Without `scopes`
        or their locks only merges found in the table are settled: others may be under way.
        """
        with plain_state_errors(), ExitStack() as stack:
            self._states.ensure()
            found = [(spec, stack.enter_context(opened(self._lake, spec.table))) for spec in specs]
            there = {spec.table: (spec, table) for spec, table in found if table is not None}
            return {**{spec.table: {} for spec in specs}, **self._settled(there, scopes, locked=locked)}

    def merge(self, spec: MergeSpec, batch: MergeBatch | FrameBatch) -> MergeResult:
        """Merge `batch` in one commit, then write its states; the caller holds the lock on its scopes."""
        if self._spark is not None and (isinstance(batch, FrameBatch) or batch.rows.nbytes > self._spark_above_bytes):
            spark = self._spark
            return apart(lambda: self._merge_by(spec, batch, delta_executors(spark, spec, batch)))
        return self._merge_by(spec, batch, nullcontext(_OnDriver(self._database.cursor(), spec, batch)))

    def _merge_by(
        self, spec: MergeSpec, batch: MergeBatch | FrameBatch, rows: AbstractContextManager[_Rows]
    ) -> MergeResult:
        with self._plain_errors(spec), rows as offering:
            self._states.ensure()
            return self._retried(spec, lambda: self._merge(spec, offering, batch))

    def _merge(self, spec: MergeSpec, rows: _Rows, batch: MergeBatch | FrameBatch) -> MergeResult:
        with self._open(spec) as table:
            return self._merge_into(table, spec, rows, batch)

    def _merge_into(
        self, table: DeltaTable, spec: MergeSpec, rows: _Rows, batch: MergeBatch | FrameBatch
    ) -> MergeResult:
        known = self._settled({spec.table: (spec, table)}, [v.scope for v in batch.versions])[spec.table]
        offered = rows.split(known)
        tally = rows.tally(offered.stale)
        if offered.fresh:
            changing = [version.scope for version in offered.changing]
            difference = rows.difference(table, changing, tally) if changing else None
            records = state_records(spec, offered.fresh, tally.by_scope(), offered.hashes)
            if difference is None:
                with self._postgres.transaction() as connection:
                    self._states.save(
                        connection, sink_id(table), spec.table, records, version=table.version(), first=batch.first
                    )
            else:
                self._commit(table, spec, difference, records, first=batch.first)
                keep_few(table)
        return tally.result(offered.stale)

    def _commit(
        self, table: DeltaTable, spec: MergeSpec, difference: Difference, records: list[StateRecord], *, first: bool
    ) -> None:
        sink, batch_id = sink_id(table), uuid.uuid4()
        with self._postgres.transaction() as connection:
            self._states.open_intent(connection, sink, spec.table, batch_id, table.version(), records)
        try:
            applied = difference.apply(table, batch_id)
        except CommitConflict:
            with self._postgres.transaction() as connection:
                self._states.close_intent(connection, batch_id)
            raise
        with self._postgres.transaction() as connection:
            if applied == difference.expected:
                self._states.save(connection, sink, spec.table, records, version=applied.version, first=first)
            self._states.close_intent(connection, batch_id)
        if applied != difference.expected:
            raise LakeError(
                f"Delta table {table.table_uri}: the engine reports {applied} for {difference.expected}: rows of these "
                f"{spec.scope} were changed by a writer without their lock; run it again"
            )

    def fetch(self, spec: MergeSpec, scopes: Sequence[str] | None = None) -> pa.Table:
        """Read the table's rows (of `scopes`, or all) in the spec's columns and types; JSONB as text."""
        with self._plain_errors(spec), self._open(spec) as table:
            where = None if scopes is None else scope_condition(spec, scopes)
            return read_table(table, list(spec.column_names), where).cast(arrow_schema(spec))

    @contextmanager
    def _open(self, spec: MergeSpec) -> Iterator[DeltaTable]:
        with opened(self._lake, spec.table) as table:
            if table is None:
                raise LakeError(f"Delta table {table_uri(self._lake, spec.table)} does not exist; prepare it first")
            yield table

    def _settled(
        self, tables: Mapping[str, tuple[MergeSpec, DeltaTable]], scopes: Sequence[str] | None, *, locked: bool = True
    ) -> dict[str, dict[str, ScopeState]]:
        sinks = {name: sink_id(table) for name, (_, table) in tables.items()}
        with self._postgres.transaction() as connection:
            for intent in self._states.intents(connection, sinks, scopes):
                spec, table = tables[intent.table]
                with self._plain_errors(spec):
                    commit = find_commit(table, intent.batch_id, intent.version_before)
                if commit is not None:
                    _log.info("%s: version %s holds an interrupted merge; noted now", spec.table, commit["version"])
                    version = int(commit["version"])
                    self._states.save(connection, sinks[spec.table], spec.table, intent.records, version=version)
                if commit is not None or (scopes is not None and locked):
                    self._states.close_intent(connection, intent.batch_id)
            return self._states.load_tables(connection, sinks, scopes)

    def _retried(self, spec: MergeSpec, action: Callable[[], _Result]) -> _Result:
        pause, last = _FIRST_PAUSE, ""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return action()
            except CommitConflict as conflict:
                _log.debug("%s: another writer was first (attempt %s): %s", spec.table, attempt, conflict)
                last = " ".join(str(conflict).split())[:200]
                time.sleep(pause * random.uniform(0.5, 1.5))
                pause = min(pause * 2, _LONGEST_PAUSE)
        raise LakeError(
            f"Delta table {table_uri(self._lake, spec.table)}: other writers were first {_ATTEMPTS} times; "
            f"run it again when fewer write to it ({last})"
        )

    @contextmanager
    def _plain_errors(self, spec: MergeSpec) -> Iterator[None]:
        try:
            with plain_state_errors(f"Delta table {spec.table}"):
                yield
        except (DeltaError, OSError, pa.ArrowException, duckdb.Error) as error:
            raise lake_error(table_uri(self._lake, spec.table), error) from error
