"""Tables in PostgreSQL: rows are staged by COPY and merged, with their states, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from threading import Lock
from typing import cast

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg import sql

from resources.errors import PlatformError
from resources.merge import (
    SOURCE_CAPTURED_AT,
    FrameBatch,
    MergeBatch,
    MergeCounts,
    MergeResult,
    MergeSpec,
    ScopeState,
)
from resources.merge_batch import (
    Offered,
    Tally,
    arrow_schema,
    checked_rows,
    counted_rows,
    rows_of,
    scope_values,
    split_offered,
)
from resources.merge_state import MergeStates, state_records
from resources.postgres import Connection, Postgres
from resources.postgres_sink_schema import PreparedTables, table_name
from resources.sql_types import postgres_type

SINK = "postgres"
_STAGE = sql.Identifier("merge_stage")
_ANALYZE_FROM_ROWS, _COPY_ROWS = 2_000, 20_000
_INSTANT, _WALL = pa.timestamp("us", tz="UTC"), pa.timestamp("us")


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
        """One: rows that others refer to come first."""
        return 1

    def prepare(self, spec: MergeSpec) -> None:
        """Create or additively migrate the table, its key, indexes, comments and references.

        Raise SchemaChangeRefused, naming the column, where data would be lost.
        """
        with plain_errors(spec), self._lock:
            self._states.ensure()
            self._tables.prepare(spec)

    def state(
        self, spec: MergeSpec, scopes: Iterable[str] | None = None, *, locked: bool = True
    ) -> dict[str, ScopeState]:
        """Return what was merged last by scope; no merge is ever half done here, so locks make no difference."""
        with plain_errors(spec):
            self._states.ensure()
            with self._postgres.transaction() as connection:
                return self._states.load(connection, SINK, spec.table, scopes)

    def merge(self, spec: MergeSpec, batch: MergeBatch | FrameBatch) -> MergeResult:
        """Merge `batch` and write its states, in one transaction; the caller holds the lock on its scopes."""
        rows = checked_rows(spec, batch)
        with plain_errors(spec):
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
            copy_rows(connection, spec, table_name(spec.table), of(new).to_batches(max_chunksize=_COPY_ROWS))
            tally.insert(new)
            scopes = [scope for scope in scopes if scope not in set(new)]
        if scopes:
            _stage(connection, spec, of(scopes))
            self._write(connection, spec, scopes, tally, _STAGE)
        self._note(connection, spec, offered, tally)
        return tally.result(offered.stale)

    def _write(
        self, connection: Connection, spec: MergeSpec, scopes: Sequence[str], tally: Tally, stage: sql.Identifier
    ) -> None:
        """Merge what is staged of `scopes`, count it in `tally`, and drop the stage."""
        if spec.snapshot:
            _delete_vanished(connection, spec, scopes, tally, stage)
        _merge_staged(connection, spec, tally, stage)
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
            where = sql.SQL(" WHERE {} = ANY({}::{})").format(sql.Identifier(spec.scope), values, _scope_array(spec))
        query = sql.SQL("COPY (SELECT {} FROM {}{}) TO STDOUT (FORMAT csv)").format(
            _list(sql.Identifier(name) for name in spec.column_names), table_name(spec.table), where
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
    connection.execute(sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(_STAGE, stage_columns(spec)))
    copy_rows(connection, spec, _STAGE, rows.to_batches(max_chunksize=_COPY_ROWS))
    analyze_stage(connection, spec, _STAGE, rows.num_rows)


def _without_rows(connection: Connection, spec: MergeSpec, scopes: Sequence[str]) -> list[str]:
    """Return `scopes` if the table has no row of any of them, and no row of another scope can be in the way.

    Rows of these need no merge: they are copied into the table.
    """
    if not scopes or spec.scope not in spec.key:
        return []
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {} = ANY(%s::{}))").format(
        table_name(spec.table), sql.Identifier(spec.scope), _scope_array(spec)
    )
    found = connection.execute(query, (scope_values(spec, scopes).to_pylist(),)).fetchone()
    return [] if found is not None and found[0] else list(scopes)


def stage_columns(spec: MergeSpec) -> sql.Composed:
    """Return the columns of a table that rows are staged in, for its DDL."""
    return _list(
        sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(postgres_type(c.sql_type))) for c in spec.columns
    )


def copy_rows(connection: Connection, spec: MergeSpec, stage: sql.Composable, batches: Iterable[pa.RecordBatch]) -> int:
    """Copy rows, in the spec's columns and Arrow types, into a table, staged or its own; return how many."""
    batches, copied = (batch for batch in batches if batch.num_rows), 0
    first = next(batches, None)
    if first is None:
        return 0
    connection.execute("SET LOCAL timezone = 'UTC'")
    # Times are sent as UTC without saying so: Arrow writes them fifteen times as fast.
    schema = pa.schema(pa.field(f.name, _WALL if f.type == _INSTANT else f.type) for f in first.schema)
    options = pa_csv.WriteOptions(include_header=False)
    names = _list(sql.Identifier(name) for name in spec.column_names)
    with connection.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(stage, names)) as copy:
        for batch in chain([first], batches):
            sink = pa.BufferOutputStream()
            pa_csv.write_csv(batch.cast(schema), sink, options)
            copy.write(memoryview(sink.getvalue()))
            copied += batch.num_rows
    return copied


def analyze_stage(connection: Connection, spec: MergeSpec, stage: sql.Identifier, rows: int) -> None:
    """Let the planner know the staged keys, where there are so many rows that it matters."""
    if rows >= _ANALYZE_FROM_ROWS:
        connection.execute(sql.SQL("ANALYZE {} ({})").format(stage, _list(sql.Identifier(name) for name in spec.key)))


def _delete_vanished(
    connection: Connection, spec: MergeSpec, scopes: Sequence[str], tally: Tally, stage: sql.Identifier
) -> None:
    query = sql.SQL(
        "WITH gone AS (DELETE FROM {table} t WHERE t.{scope} = ANY(%s::{kind}) AND NOT EXISTS "
        "(SELECT FROM {stage} s WHERE {same_key}) RETURNING {group}) "
        "SELECT 'DELETE', scope, partition, count(*) FROM gone GROUP BY scope, partition"
    ).format(
        table=table_name(spec.table),
        scope=sql.Identifier(spec.scope),
        kind=_scope_array(spec),
        stage=stage,
        same_key=_same_key(spec),
        group=_group(spec),
    )
    _count(connection.execute(query, (scope_values(spec, scopes).to_pylist(),)), tally)


def _merge_staged(connection: Connection, spec: MergeSpec, tally: Tally, stage: sql.Identifier) -> None:
    values = [name for name in spec.column_names if name not in spec.key]
    clauses = []
    if spec.business_columns:
        changed = sql.SQL("({}) IS DISTINCT FROM ({})").format(
            _list(sql.SQL("t.{}").format(sql.Identifier(name)) for name in spec.business_columns),
            _list(sql.SQL("s.{}").format(sql.Identifier(name)) for name in spec.business_columns),
        )
        assignments = _list(sql.SQL("{0} = s.{0}").format(sql.Identifier(name)) for name in values)
        clauses.append(
            sql.SQL("WHEN MATCHED AND ({}{}) THEN UPDATE SET {}").format(changed, _not_older(spec), assignments)
        )
    clauses.append(
        sql.SQL("WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})").format(
            _list(sql.Identifier(name) for name in spec.column_names),
            _list(sql.SQL("s.{}").format(sql.Identifier(name)) for name in spec.column_names),
        )
    )
    query = sql.SQL(
        "WITH merged AS (MERGE INTO {table} t USING {stage} s ON {same_key} {clauses} "
        "RETURNING merge_action() AS action, {group}) "
        "SELECT action, scope, partition, count(*) FROM merged GROUP BY action, scope, partition"
    ).format(
        table=table_name(spec.table),
        stage=stage,
        same_key=_same_key(spec),
        clauses=sql.SQL(" ").join(clauses),
        group=_group(spec),
    )
    _count(connection.execute(query), tally)


def _not_older(spec: MergeSpec) -> sql.Composable:
    """Keep another scope's newer row, where the key does not contain the scope."""
    if spec.scope in spec.key or SOURCE_CAPTURED_AT not in spec.column_names:
        return sql.SQL("")
    return sql.SQL(" AND (t.{0} IS NOT DISTINCT FROM s.{0} OR (t.{1} <= s.{1}) IS NOT FALSE)").format(
        sql.Identifier(spec.scope), sql.Identifier(SOURCE_CAPTURED_AT)
    )


def _count(cursor: psycopg.Cursor[tuple[object, ...]], tally: Tally) -> None:
    for action, scope, partition, count in cast("list[tuple[str, str, None, int]]", cursor.fetchall()):
        counts: MergeCounts = tally.at((scope, partition))
        counts.inserted += count if action == "INSERT" else 0
        counts.updated += count if action == "UPDATE" else 0
        counts.deleted += count if action == "DELETE" else 0


def _group(spec: MergeSpec) -> sql.Composable:
    partition = sql.SQL("t.{}").format(sql.Identifier(spec.partition)) if spec.partition else sql.SQL("NULL::date")
    return sql.SQL("t.{}::text AS scope, {} AS partition").format(sql.Identifier(spec.scope), partition)


def _same_key(spec: MergeSpec) -> sql.Composable:
    return sql.SQL(" AND ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(name)) for name in spec.key)


def _scope_array(spec: MergeSpec) -> sql.Composable:
    kind = next(c.sql_type for c in spec.columns if c.name == spec.scope)
    return sql.SQL(postgres_type(kind) + "[]")


def _list(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


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
