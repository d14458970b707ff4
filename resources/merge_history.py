"""Which captures a lake merged, in order: what merge_state forgets, kept so that table versions have a meaning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from resources.postgres import Connection

CREATE_MERGE_HISTORY = """
CREATE TABLE quality.merge_history (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sink text NOT NULL,
    table_name text NOT NULL,
    scope text NOT NULL,
    version bigint,
    changed boolean NOT NULL,
    raw_id bigint NOT NULL,
    observed_at timestamptz NOT NULL,
    content_hash text NOT NULL,
    derivation_hash text NOT NULL,
    partition_date date,
    rows bigint NOT NULL,
    merged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    unexamined boolean NOT NULL DEFAULT false,
    UNIQUE NULLS NOT DISTINCT (sink, table_name, scope, version, raw_id, content_hash, derivation_hash)
);
CREATE INDEX merge_history_unexamined ON quality.merge_history (sink, table_name) WHERE unexamined;
COMMENT ON TABLE quality.merge_history IS
    'Every merge into the lake: after it, table version `version` held what this capture says of the scope';
COMMENT ON COLUMN quality.merge_history.version IS
    'Version of the Delta table that holds the rows; NULL for what was merged before this was kept';
COMMENT ON COLUMN quality.merge_history.unexamined IS 'Changed rows or came first; not looked at for corrections yet';
INSERT INTO quality.merge_history (sink, table_name, scope, changed, raw_id, observed_at, content_hash,
                                   derivation_hash, partition_date, rows, merged_at)
SELECT sink, table_name, scope, true, raw_id, observed_at, content_hash, derivation_hash, partition_date, rows,
       merged_at
FROM quality.merge_state WHERE sink LIKE 'delta:%';
"""
"""Run once, when the table is created: what was merged before is there with an unknown version."""

REMEMBER = """
INSERT INTO quality.merge_history AS h (sink, table_name, scope, version, changed, raw_id, observed_at, content_hash,
                                        derivation_hash, partition_date, rows, unexamined)
SELECT s.sink, s.table_name, s.scope, %(version)s, c.changed, s.raw_id, s.observed_at, s.content_hash,
       s.derivation_hash, s.partition_date, s.rows,
       c.changed OR NOT EXISTS (SELECT FROM quality.merge_history p
                                WHERE (p.sink, p.table_name, p.scope) = (s.sink, s.table_name, s.scope))
FROM saved s CROSS JOIN LATERAL (
    SELECT coalesce(sum(value::bigint), 0) > 0 AS changed FROM jsonb_each_text(s.counts)
    WHERE key IN ('inserted', 'updated', 'deleted')) c
ORDER BY s.scope
ON CONFLICT DO NOTHING
"""
"""Continues a statement whose CTE `saved` returns rows of merge_state; a merge that is noted already is left out."""

_COLUMNS = (
    "seq, scope, version, changed, raw_id, observed_at, content_hash, derivation_hash, partition_date, unexamined"
)


@dataclass(frozen=True)
class MergeEntry:
    """One merge of one scope: table version `version` holds what capture `raw_id` says of it.

    `version` is None for what was merged before such notes were kept: those rows are in the version before the first
    one that is known of the table. `changed`: whether rows were written for it.
    """

    seq: int
    scope: str
    version: int | None
    changed: bool
    raw_id: int
    observed_at: datetime
    content_hash: str
    derivation_hash: str
    partition: date | None
    unexamined: bool

    @property
    def as_of(self) -> tuple[datetime, str]:
        """What decides which of two captures is newer."""
        return (self.observed_at, self.content_hash)


@dataclass(frozen=True)
class TableHistory:
    """The merges into one table, by scope in the order they happened."""

    first_version: int | None
    """The table version before the first merge whose version is known; None when none is."""
    by_scope: Mapping[str, list[MergeEntry]]

    def version_of(self, entry: MergeEntry, newest: int) -> int:
        """Return a table version that holds the rows of `entry`; `newest` is the table's newest version."""
        if entry.version is not None:
            return entry.version
        return newest if self.first_version is None else self.first_version

    def last_version_of(self, entry: MergeEntry, newest: int) -> int:
        """Return the last table version that still holds the rows of `entry`."""
        later = [e.version for e in self.by_scope[entry.scope] if e.seq > entry.seq and e.changed]
        following = next((v for v in later if v is not None), None)
        return newest if following is None else following - 1


def merge_history(connection: Connection, sink: str, table: str, scopes: Collection[str] | None = None) -> TableHistory:
    """Return the merges of `scopes` (None: of all) into a table of `sink`."""
    first = connection.execute(
        "SELECT min(version - changed::int) FROM quality.merge_history WHERE sink = %s AND table_name = %s",
        (sink, table),
    ).fetchone()
    query = f"SELECT {_COLUMNS} FROM quality.merge_history WHERE sink = %s AND table_name = %s"
    values: list[Any] = [sink, table]
    if scopes is not None:
        query += " AND scope = ANY(%s)"
        values.append(list(scopes))
    found: dict[str, list[MergeEntry]] = defaultdict(list)
    for row in connection.execute(f"{query} ORDER BY scope, seq".encode(), values):
        entry = MergeEntry(*row)
        found[entry.scope].append(entry)
    return TableHistory(None if first is None else first[0], found)


def unexamined_tables(connection: Connection) -> list[str]:
    """Return the tables with merges that were not looked at."""
    found = connection.execute("SELECT DISTINCT table_name FROM quality.merge_history WHERE unexamined ORDER BY 1")
    return [str(row[0]) for row in found]


def unexamined_scopes(connection: Connection, table: str) -> dict[str, list[str]]:
    """Return the scopes of a table with merges that were not looked at, by sink."""
    found: dict[str, list[str]] = defaultdict(list)
    query = (
        "SELECT DISTINCT sink, scope FROM quality.merge_history WHERE table_name = %s AND unexamined "
        "ORDER BY sink, scope"
    )
    for sink, scope in connection.execute(query, (table,)):
        found[sink].append(scope)
    return found


def examined(connection: Connection, entries: Iterable[MergeEntry]) -> None:
    """Note that the changes of these merges were looked at."""
    connection.execute(
        "UPDATE quality.merge_history SET unexamined = false WHERE seq = ANY(%s) AND unexamined",
        ([e.seq for e in entries],),
    )
