"""What each sink merged last, by table and scope, kept in PostgreSQL; and the intents that make a lake recoverable."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from threading import Lock
from typing import Any

import orjson
import psycopg
from psycopg.types.json import Jsonb

from resources.errors import PlatformError
from resources.merge import MergeCounts, MergeSpec, ScopeState, ScopeVersion
from resources.merge_history import CREATE_MERGE_HISTORY, INDEX_MERGE_HISTORY, REMEMBER
from resources.own_tables import column_exists, lock_ddl, table_exists
from resources.postgres import Connection, Postgres, lock_key

_TABLES = """
CREATE SCHEMA IF NOT EXISTS quality;
CREATE TABLE IF NOT EXISTS quality.merge_state (
    sink text NOT NULL,
    table_name text NOT NULL,
    scope text NOT NULL,
    observed_at timestamptz NOT NULL,
    content_hash text NOT NULL,
    raw_id bigint NOT NULL,
    derivation_hash text NOT NULL,
    partition_date date,
    rows bigint NOT NULL,
    passed_over jsonb NOT NULL DEFAULT '[]',
    merged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    counts jsonb NOT NULL DEFAULT '{}',
    rows_hash text,
    PRIMARY KEY (sink, table_name, scope)
);
COMMENT ON TABLE quality.merge_state IS 'The capture each sink merged last, by table and scope';
CREATE TABLE IF NOT EXISTS quality.merge_intents (
    batch_id uuid PRIMARY KEY,
    sink text NOT NULL,
    table_name text NOT NULL,
    version_before bigint NOT NULL,
    scopes text[] NOT NULL,
    states jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS merge_intents_table ON quality.merge_intents (sink, table_name);
COMMENT ON TABLE quality.merge_intents IS 'Merges into a lake whose commit is not yet known to merge_state';
CREATE TABLE IF NOT EXISTS quality.table_references (
    table_name text NOT NULL,
    columns text[] NOT NULL,
    to_table text NOT NULL,
    to_columns text[] NOT NULL,
    kind text NOT NULL,
    constraint_name text,
    reason text,
    PRIMARY KEY (table_name, columns, to_table, to_columns)
);
ALTER TABLE quality.merge_state ADD COLUMN IF NOT EXISTS rows_hash text;
COMMENT ON TABLE quality.table_references IS 'Relationships of the mappings; constraint_name names the foreign key';
"""
_STATE, _HISTORY, _LATEST = "quality.merge_state", "quality.merge_history", "quality.merge_history_scope"
_COLUMNS = "scope, observed_at, content_hash, raw_id, derivation_hash, partition_date, rows, rows_hash"
_SAVE = """
INSERT INTO quality.merge_state AS s (sink, table_name, scope, observed_at, content_hash, raw_id, derivation_hash,
                                      partition_date, rows, passed_over, counts, rows_hash)
SELECT %(sink)s, %(table)s, r.scope, r.observed_at, r.content_hash, r.raw_id, r.derivation_hash,
       r.partition_date, r.rows, r.passed_over, r.counts, r.rows_hash
FROM jsonb_to_recordset(%(records)s) AS r(scope text, observed_at timestamptz, content_hash text, raw_id bigint,
     derivation_hash text, partition_date date, rows bigint, passed_over jsonb, counts jsonb, rows_hash text)
ON CONFLICT (sink, table_name, scope) DO UPDATE SET
    observed_at = excluded.observed_at, content_hash = excluded.content_hash, raw_id = excluded.raw_id,
    derivation_hash = excluded.derivation_hash, partition_date = excluded.partition_date, rows = excluded.rows,
    passed_over = excluded.passed_over, merged_at = clock_timestamp(), counts = excluded.counts,
    rows_hash = excluded.rows_hash
WHERE (excluded.observed_at, excluded.content_hash COLLATE "C") >= (s.observed_at, s.content_hash COLLATE "C")
   OR excluded.passed_over @> to_jsonb(s.raw_id)
   OR starts_with(excluded.content_hash, 'folded:') AND excluded.observed_at >= s.observed_at
"""

_LAGGING = """
SELECT p.scope FROM quality.merge_state p
LEFT JOIN quality.merge_state d ON d.sink = %(sink)s AND (d.table_name, d.scope) = (p.table_name, p.scope)
WHERE p.sink = 'postgres' AND p.table_name = %(table)s AND p.merged_at > clock_timestamp() - %(since)s
  AND (d.content_hash, d.derivation_hash) IS DISTINCT FROM (p.content_hash, p.derivation_hash)
"""


@dataclass(frozen=True)
class StateRecord:
    """One row of merge_state to be, in values that JSON can carry."""

    scope: str
    observed_at: str
    content_hash: str
    raw_id: int
    derivation_hash: str
    partition_date: str | None
    rows: int
    passed_over: list[int] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    rows_hash: str | None = None


@dataclass(frozen=True)
class Intent:
    """A merge that was about to be committed to a lake: found there it happened, else it did not."""

    table: str
    batch_id: uuid.UUID
    version_before: int
    records: list[dict[str, Any]]


def state_records(
    spec: MergeSpec,
    versions: Sequence[ScopeVersion],
    by_scope: Mapping[str, MergeCounts],
    hashes: Mapping[str, str],
) -> list[StateRecord]:
    """Return the states that merging `versions` leads to; every row offered for a scope is a row of it."""
    records = []
    for version in versions:
        counts = by_scope.get(version.scope, MergeCounts())
        records.append(
            StateRecord(
                scope=version.scope,
                observed_at=version.observed_at.isoformat(),
                content_hash=version.content_hash,
                raw_id=version.raw_id,
                derivation_hash=spec.derivation_hash,
                partition_date=_iso(version.partition),
                rows=counts.source_rows,
                passed_over=list(version.passed_over),
                counts={**vars(counts), "unchanged": counts.unchanged},
                rows_hash=hashes.get(version.scope),
            )
        )
    return records


def _iso(value: date | None) -> str | None:
    return None if value is None else value.isoformat()


def _jsonb(records: Sequence[StateRecord | dict[str, Any]]) -> Jsonb:
    return Jsonb(records, dumps=orjson.dumps)  # thousands of records a run, and orjson knows dataclasses


@contextmanager
def plain_state_errors(of: str = "merges") -> Iterator[None]:
    """Turn what PostgreSQL raises into one line that says `of` what the states are."""
    try:
        yield
    except psycopg.Error as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PlatformError(f"PostgreSQL, states of {of}: {line}") from error


class MergeStates:
    """Reads and writes merge_state and merge_intents; every call works on the connection it is given."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._ready = False
        self._lock = Lock()

    def ensure(self) -> None:
        """Create the tables if they are not there; costs nothing after the first call."""
        with self._lock:
            if self._ready:
                return
            with self._postgres.transaction() as connection:
                if not (table_exists(connection, _LATEST) and column_exists(connection, _STATE, "rows_hash")):
                    lock_ddl(connection)
                    connection.execute(_TABLES)
                    # another creator may have been first: what is in it stays
                    if not table_exists(connection, _HISTORY):
                        connection.execute(CREATE_MERGE_HISTORY.encode())
                    connection.execute(INDEX_MERGE_HISTORY.encode())
            self._ready = True

    def load(
        self, connection: Connection, sink: str, table: str, scopes: Sequence[str] | None = None, *, lock: bool = False
    ) -> dict[str, ScopeState]:
        """Return the states of `scopes` (None: all of the table's), locked for the transaction when asked."""
        return self.load_tables(connection, {table: sink}, scopes, lock=lock)[table]

    def load_tables(
        self, connection: Connection, sinks: Mapping[str, str], scopes: Sequence[str] | None, *, lock: bool = False
    ) -> dict[str, dict[str, ScopeState]]:
        """Return the same of several tables; `sinks` names the sink of each."""
        query = (
            f"SELECT table_name, {_COLUMNS} FROM quality.merge_state s "
            "JOIN unnest(%(sinks)s::text[], %(tables)s::text[]) AS asked (sink, table_name) USING (sink, table_name) "
            # said once more, so that the key's index is used whatever the planner expects to find
            "WHERE s.sink = ANY(%(sinks)s) AND s.table_name = ANY(%(tables)s)"
        )
        values: dict[str, Any] = {"sinks": list(sinks.values()), "tables": list(sinks)}
        if scopes is not None:
            query += " AND scope = ANY(%(scopes)s)"
            values["scopes"] = list(scopes)
        if lock:
            query += " ORDER BY table_name, scope FOR UPDATE OF s"
        found: dict[str, dict[str, ScopeState]] = {table: {} for table in sinks}
        for table, *state in connection.execute(query.encode(), values):
            found[table][state[0]] = ScopeState(*state)
        return found

    def save(
        self,
        connection: Connection,
        sink: str,
        table: str,
        records: Sequence[StateRecord | dict[str, Any]],
        *,
        version: int | None = None,
        first: bool = False,
    ) -> None:
        """Write states; one that is older than what is there is left out.

        With `version`, the table's that holds the rows, each merge is remembered in merge_history too; where the
        captures are the `first` ones, as one in which there is nothing to look for.
        """
        if records:
            query = _SAVE if version is None else f"WITH saved AS ({_SAVE} RETURNING s.*) {REMEMBER}"
            connection.execute(
                query.encode(),
                {"sink": sink, "table": table, "records": _jsonb(records), "version": version, "first": first},
            )

    def lagging(self, connection: Connection, table: str, sink: str, since: timedelta) -> set[str]:
        """Return the scopes that PostgreSQL merged within `since` before now, and `sink` not as it did."""
        found = connection.execute(_LAGGING, {"table": table, "sink": sink, "since": since})
        return {str(row[0]) for row in found}

    def forget(self, connection: Connection, sink: str, table: str) -> None:
        """Drop the states of a table that was created anew."""
        connection.execute("DELETE FROM quality.merge_state WHERE sink = %s AND table_name = %s", (sink, table))

    def doubt(self, connection: Connection, sink: str, table: str, derivation_hash: str) -> None:
        """Let scopes that were derived so be derived again: the table lacks what that gave their rows."""
        connection.execute(
            "UPDATE quality.merge_state SET derivation_hash = '', rows_hash = NULL "
            "WHERE sink = %s AND table_name = %s AND derivation_hash = %s",
            (sink, table, derivation_hash),
        )

    def open_intent(
        self,
        connection: Connection,
        sink: str,
        table: str,
        batch_id: uuid.UUID,
        version_before: int,
        records: Sequence[StateRecord],
    ) -> None:
        """Note down a merge before it is committed to the lake."""
        connection.execute(
            "INSERT INTO quality.merge_intents (batch_id, sink, table_name, version_before, scopes, states) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            (batch_id, sink, table, version_before, [r.scope for r in records], _jsonb(records)),
        )

    def intents(
        self, connection: Connection, sinks: Mapping[str, str], scopes: Sequence[str] | None = None
    ) -> list[Intent]:
        """Return intents for tables of the `sinks` named that touch `scopes` (None: all), oldest first."""
        query = (
            "SELECT table_name, batch_id, version_before, states FROM quality.merge_intents "
            "JOIN unnest(%s::text[], %s::text[]) AS asked (sink, table_name) USING (sink, table_name) WHERE true"
        )
        values: list[Any] = [list(sinks.values()), list(sinks)]
        if scopes is not None:
            query += " AND scopes && %s"
            values.append(list(scopes))
        return [Intent(*row) for row in connection.execute(f"{query} ORDER BY created_at".encode(), values)]

    def close_intent(self, connection: Connection, batch_id: uuid.UUID) -> None:
        """Remove an intent whose outcome is in merge_state."""
        connection.execute("DELETE FROM quality.merge_intents WHERE batch_id = %s", (batch_id,))


def lock_lake_table(connection: Connection, uri: str) -> None:
    """Wait until no other transaction creates or migrates the table at `uri`; held to the end of the transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key("lake ddl", uri),))
