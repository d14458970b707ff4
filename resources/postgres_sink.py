"""Tables in PostgreSQL: rows are staged by COPY and merged, with their states, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import cast

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg import sql

from resources.errors import PlatformError
from resources.merge import (
    FrameBatch,
    MergeBatch,
    MergeCounts,
    MergeResult,
    MergeSpec,
    ScopeState,
)
from resources.merge_batch import (
    Tally,
    arrow_schema,
    checked_rows,
    counted_rows,
    rows_of,
    scope_values,
)
from resources.merge_offers import Offered, split_offered
from resources.merge_state import MergeStates, plain_state_errors, state_records
from resources.postgres import Connection, Postgres
from resources.postgres_copy import COPY_ROWS, copy_rows
from resources.postgres_sink_schema import PreparedTables, table_name
from resources.postgres_statements import (
    STAGE,
    any_rows,
    create_stage,
    delete_vanished,
    listed,
    merge_staged,
    scope_array,
)

SINK = "postgres"
_ANALYZE_FROM_ROWS = 2_000


class PostgresSink:
    """Keeps tables in PostgreSQL by the merge contract."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._states = MergeStates(postgres)
        self._tables = PreparedTables(postgres, self._states, SINK)
        self._lock = Lock()

    @property
    def name(self) -> str:
        """`postgres`."""
        return SINK

    @property
    def tables_at_once(self) -> int:
        """Two: while a large table is copied, which keeps one session busy, small ones need not wait."""
        return 2

    @property
    def referenced_first(self) -> bool:
        """Yes: who joins tables meanwhile finds what a row refers to."""
        return True

    def prepare(self, spec: MergeSpec) -> None:
        """Create or additively migrate the table, its key, indexes, comments and references.

        Raise SchemaChangeRefused, naming the column, where data would be lost.
        """
        with plain_errors(spec), self._lock:
            self._states.ensure()
            self._tables.prepare(spec)

    def states(
        self, specs: Sequence[MergeSpec], scopes: Sequence[str] | None = None, *, locked: bool = True
    ) -> dict[str, dict[str, ScopeState]]:
        """Return what was merged last by table and scope; nothing is half done here, so locks make no difference."""
        with plain_state_errors():
            self._states.ensure()
            with self._postgres.transaction() as connection:
                return self._states.load_tables(connection, {spec.table: SINK for spec in specs}, scopes)

    def merge(self, spec: MergeSpec, batch: MergeBatch | FrameBatch) -> MergeResult:
        """Merge `batch` and write its states, in one transaction; the caller holds the lock on its scopes."""
        rows = checked_rows(spec, batch)
        with plain_errors(spec), self._tables.forgotten_where_dropped(spec):
            self._states.ensure()
            with self._postgres.transaction() as connection:
                return self._merge(connection, spec, rows, batch)

    def _merge(
        self, connection: Connection, spec: MergeSpec, rows: pa.Table, batch: MergeBatch | FrameBatch
    ) -> MergeResult:
        known = self._states.load(connection, SINK, spec.table, [v.scope for v in batch.versions], lock=True)
        offered = split_offered(spec, rows, batch, known)
        tally = Tally.of_groups(counted_rows(spec, batch), offered.stale)

        def of(scopes: Sequence[str]) -> pa.Table:
            return rows_of(spec, rows, scopes) if len(scopes) < len(batch.versions) else rows

        scopes = [version.scope for version in offered.changing]
        new = _without_rows(connection, spec, [scope for scope in scopes if scope not in known])
        if new:
            copy_rows(connection, spec, table_name(spec.table), of(new).to_batches(max_chunksize=COPY_ROWS))
            tally.insert(new)
            scopes = [scope for scope in scopes if scope not in set(new)]
        if scopes:
            _stage(connection, spec, of(scopes))
            self._write(connection, spec, scopes, tally, STAGE)
        self._note(connection, spec, offered, tally)
        return tally.result(offered.stale)

    def _write(
        self, connection: Connection, spec: MergeSpec, scopes: Sequence[str], tally: Tally, stage: sql.Identifier
    ) -> None:
        """Merge what is staged of `scopes`, count it in `tally`, and drop the stage."""
        if spec.snapshot:
            gone = scope_values(spec, scopes).to_pylist()
            _count(connection.execute(delete_vanished(spec, stage.as_string()), (gone,)), tally)
        _count(connection.execute(merge_staged(spec, stage.as_string())), tally)
        connection.execute(sql.SQL("DROP TABLE {}").format(stage))

    def _note(self, connection: Connection, spec: MergeSpec, offered: Offered, tally: Tally) -> None:
        """Write the states that a merge leads to."""
        if offered.fresh:
            records = state_records(spec, offered.fresh, tally.by_scope(), offered.hashes)
            self._states.save(connection, SINK, spec.table, records)

    def fetch(self, spec: MergeSpec, scopes: Sequence[str] | None = None) -> pa.Table:
        """Read the table's rows (of `scopes`, or all) in the spec's columns and types; JSONB as text."""
        where: sql.Composable = sql.SQL("")
        if scopes is not None:
            values = sql.Literal(scope_values(spec, scopes).to_pylist())
            where = sql.SQL(" WHERE {} = ANY({}::{})").format(sql.Identifier(spec.scope), values, scope_array(spec))
        query = sql.SQL("COPY (SELECT {} FROM {}{}) TO STDOUT (FORMAT csv)").format(
            listed(sql.Identifier(name) for name in spec.column_names), table_name(spec.table), where
        )
        with plain_errors(spec), self._postgres.transaction() as connection:
            connection.execute("SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'")
            with connection.cursor().copy(query) as copy:
                data = b"".join(copy)
        return _read_csv(spec, data)


@contextmanager
def plain_errors(spec: MergeSpec) -> Iterator[None]:
    """Turn what PostgreSQL raises into one line that names the table."""
    try:
        yield
    except psycopg.errors.UndefinedTable as error:
        raise PlatformError(f"PostgreSQL table {spec.table}: {_first_line(error)}; prepare it first") from error
    except psycopg.Error as error:
        raise PlatformError(f"PostgreSQL table {spec.table}: {_first_line(error)}") from error


def _first_line(error: psycopg.Error) -> str:
    detail = error.diag.message_detail
    return (str(error).strip() or type(error).__name__).splitlines()[0] + (f" ({detail})" if detail else "")


def _stage(connection: Connection, spec: MergeSpec, rows: pa.Table) -> None:
    connection.execute(create_stage(spec))
    copy_rows(connection, spec, STAGE, rows.to_batches(max_chunksize=COPY_ROWS))
    analyze_stage(connection, spec, STAGE, rows.num_rows)


def _without_rows(connection: Connection, spec: MergeSpec, scopes: Sequence[str]) -> list[str]:
    """Return `scopes` if the table has no row of any of them, and no row of another scope can be in the way.

    Rows of these need no merge: they are copied into the table.
    """
    if not scopes or spec.scope not in spec.key:
        return []
    found = connection.execute(any_rows(spec), (scope_values(spec, scopes).to_pylist(),)).fetchone()
    return [] if found is not None and found[0] else list(scopes)


def analyze_stage(connection: Connection, spec: MergeSpec, stage: sql.Identifier, rows: int) -> None:
    """Let the planner know the staged keys, where there are so many rows that it matters."""
    if rows >= _ANALYZE_FROM_ROWS:
        connection.execute(sql.SQL("ANALYZE {} ({})").format(stage, listed(sql.Identifier(name) for name in spec.key)))


def _count(cursor: psycopg.Cursor[tuple[object, ...]], tally: Tally) -> None:
    for action, scope, partition, count in cast("list[tuple[str, str, None, int]]", cursor.fetchall()):
        counts: MergeCounts = tally.at((scope, partition))
        counts.inserted += count if action == "INSERT" else 0
        counts.updated += count if action == "UPDATE" else 0
        counts.deleted += count if action == "DELETE" else 0


def _read_csv(spec: MergeSpec, data: bytes) -> pa.Table:
    schema = arrow_schema(spec)
    if not data:
        return schema.empty_table()
    texts = {c.name for c in spec.columns if c.sql_type == "TIMESTAMPTZ"}
    table = pa_csv.read_csv(
        pa.BufferReader(data),
        pa_csv.ReadOptions(column_names=list(spec.column_names), block_size=1 << 26),
        pa_csv.ParseOptions(newlines_in_values=True),
        pa_csv.ConvertOptions(
            column_types={f.name: pa.string() if f.name in texts else f.type for f in schema},
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return table.cast(schema)
