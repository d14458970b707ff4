"""Tables in a Delta lake, with their states in PostgreSQL, recoverable wherever a merge was interrupted."""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import duckdb
import psycopg
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from resources.delta_engines import (
    Changes,
    CommitConflict,
    DeltaEngine,
    SparkEngine,
    deltalake_engine,
)
from resources.delta_sink_diff import expected, find_changes, scope_condition
from resources.delta_sink_schema import bring_to_spec, is_current
from resources.errors import PlatformError
from resources.lake import LakeError, find_commit, lake_error, open_table, read_table, sink_id, table_uri
from resources.lake_compaction import keep_few
from resources.merge import MergeBatch, MergeResult, MergeSpec, ScopeState
from resources.merge_batch import Tally, arrow_schema, checked_rows, rows_of, split_offered
from resources.merge_state import MergeStates, StateRecord, lock_lake_table, state_records
from resources.postgres import Postgres

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPARK_ABOVE_BYTES = 1 << 30
_ATTEMPTS = 30
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class DeltaSink:
    """Keeps tables at LAKE/normalized/SCHEMA/TABLE by the merge contract.

    Batches of more than `spark_above_bytes` are merged by delta-spark where `spark` gives a session, others by
    `deltalake`. States belong to a table by its Delta identity: a lake that was deleted is a fresh start.
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
        self._spark_engine: DeltaEngine | None = SparkEngine(spark) if spark else None
        self._spark_above_bytes = spark_above_bytes
        self._database = duckdb.connect()
        self._prepared: dict[str, tuple[MergeSpec, str]] = {}
        self._lock = Lock()

    @property
    def name(self) -> str:
        """`delta`."""
        return "delta"

    def prepare(self, spec: MergeSpec) -> None:
        """Create the table or migrate it additively; raise SchemaChangeRefused, naming the column, otherwise."""
        with self._plain_errors(spec):
            table = open_table(self._lake, spec.table)
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

    def state(self, spec: MergeSpec, scopes: Iterable[str] | None = None) -> dict[str, ScopeState]:
        """Return what was merged last by scope, after settling what an interrupted merge left open.

        The caller holds the locks of `scopes`, so a merge of them that is still open has no writer. Without `scopes`
        only merges found in the table are settled: others may be under way.
        """
        with self._plain_errors(spec):
            self._states.ensure()
            table = open_table(self._lake, spec.table)
            if table is None:
                return {}
            return self._settled(table, spec, None if scopes is None else list(scopes))

    def merge(self, spec: MergeSpec, batch: MergeBatch) -> MergeResult:
        """Merge `batch` in one commit, then write its states; the caller holds the lock on its scopes."""
        rows = checked_rows(spec, batch)
        engine: DeltaEngine = deltalake_engine
        if self._spark_engine is not None and rows.nbytes > self._spark_above_bytes:
            engine = self._spark_engine
        with self._plain_errors(spec):
            self._states.ensure()
            return self._retried(spec, lambda: self._merge(spec, rows, batch, engine))

    def _merge(self, spec: MergeSpec, rows: pa.Table, batch: MergeBatch, engine: DeltaEngine) -> MergeResult:
        table = self._open(spec)
        known = self._settled(table, spec, [v.scope for v in batch.versions])
        offered = split_offered(spec, rows, batch, known)
        tally = Tally.of_rows(spec, rows, offered.stale)
        if offered.fresh:
            changes, scopes = None, [version.scope for version in offered.changing]
            if scopes:
                changing = rows_of(spec, rows, scopes) if len(scopes) < len(batch.versions) else rows
                changes = find_changes(self._database, table, spec, changing, scopes, tally)
            records = state_records(spec, offered.fresh, tally.by_scope(), offered.hashes)
            if changes is None:
                with self._postgres.transaction() as connection:
                    self._states.save(connection, sink_id(table), spec.table, records, version=table.version())
            else:
                self._commit(table, spec, changes, records, engine)
                keep_few(table)
        return tally.result(offered.stale)

    def _commit(
        self, table: DeltaTable, spec: MergeSpec, changes: Changes, records: list[StateRecord], engine: DeltaEngine
    ) -> None:
        sink, batch_id = sink_id(table), uuid.uuid4()
        with self._postgres.transaction() as connection:
            self._states.open_intent(connection, sink, spec.table, batch_id, table.version(), records)
        try:
            applied = engine(table, changes, batch_id)
        except CommitConflict:
            with self._postgres.transaction() as connection:
                self._states.close_intent(connection, batch_id)
            raise
        with self._postgres.transaction() as connection:
            if applied == expected(changes):
                self._states.save(connection, sink, spec.table, records, version=applied.version)
            self._states.close_intent(connection, batch_id)
        if applied != expected(changes):
            raise LakeError(
                f"Delta table {table.table_uri}: the engine reports {applied} for {expected(changes)}: rows of these "
                f"{spec.scope} were changed by a writer without their lock; run it again"
            )

    def fetch(self, spec: MergeSpec, scopes: Sequence[str] | None = None) -> pa.Table:
        """Read the table's rows (of `scopes`, or all) in the spec's columns and types; JSONB as text."""
        with self._plain_errors(spec):
            where = None if scopes is None else scope_condition(spec, scopes)
            return read_table(self._open(spec), list(spec.column_names), where).cast(arrow_schema(spec))

    def _open(self, spec: MergeSpec) -> DeltaTable:
        table = open_table(self._lake, spec.table)
        if table is None:
            raise LakeError(f"Delta table {table_uri(self._lake, spec.table)} does not exist; prepare it first")
        return table

    def _settled(self, table: DeltaTable, spec: MergeSpec, scopes: list[str] | None) -> dict[str, ScopeState]:
        sink = sink_id(table)
        with self._postgres.transaction() as connection:
            for intent in self._states.intents(connection, sink, spec.table, scopes):
                commit = find_commit(table, intent.batch_id, intent.version_before)
                if commit is not None:
                    _log.info("%s: version %s holds an interrupted merge; noted now", spec.table, commit["version"])
                    version = int(commit["version"])
                    self._states.save(connection, sink, spec.table, intent.records, version=version)
                if commit is not None or scopes is not None:
                    self._states.close_intent(connection, intent.batch_id)
            return self._states.load(connection, sink, spec.table, scopes)

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
            yield
        except (DeltaError, OSError, pa.ArrowException, duckdb.Error) as error:
            raise lake_error(table_uri(self._lake, spec.table), error) from error
        except psycopg.Error as error:
            line = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise PlatformError(f"PostgreSQL, states of Delta table {spec.table}: {line}") from error
