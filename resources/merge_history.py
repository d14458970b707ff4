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

INDEX_MERGE_HISTORY = """
CREATE INDEX IF NOT EXISTS merge_history_scope ON quality.merge_history (sink, table_name, scope, seq);
"""

REMEMBER = """
INSERT INTO quality.merge_history AS h (sink, table_name, scope, version, changed, raw_id, observed_at, content_hash,
                                        derivation_hash, partition_date, rows, unexamined)
SELECT s.sink, s.table_name, s.scope, %(version)s, s.changed, s.raw_id, s.observed_at, s.content_hash,
       s.derivation_hash, s.partition_date, s.rows,
       NOT %(first)s
       AND (s.changed OR NOT EXISTS (SELECT FROM quality.merge_history p
                                     WHERE (p.sink, p.table_name, p.scope) = (s.sink, s.table_name, s.scope)))
FROM (SELECT *, coalesce((counts ->> 'inserted')::bigint, 0) + coalesce((counts ->> 'updated')::bigint, 0)
                + coalesce((counts ->> 'deleted')::bigint, 0) > 0 AS changed FROM saved) s
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
class UnexaminedMerge:
    """A merge whose changes were not looked at yet, and the one before it of the same scope."""

    before: MergeEntry | None
    merge: MergeEntry


@dataclass(frozen=True)
class TableHistory:
    """The merges into one table, by scope in the order they happened."""

    first_version: int | None
    """The table version before the first merge whose version is known; None when none is, or nobody has to know.

    It takes a look at all merges of the table, so it is there only where the version of a merge is not known.
    """
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
    query = f"SELECT {_COLUMNS} FROM quality.merge_history WHERE sink = %s AND table_name = %s"
    values: list[Any] = [sink, table]
    if scopes is not None:
        query += " AND scope = ANY(%s)"
        values.append(list(scopes))
    found: dict[str, list[MergeEntry]] = defaultdict(list)
    for row in connection.execute(f"{query} ORDER BY scope, seq".encode(), values):
        entry = MergeEntry(*row)
        found[entry.scope].append(entry)
    if all(e.version is not None for entries in found.values() for e in entries):
        return TableHistory(None, found)
    first = connection.execute(
        b"SELECT min(version - changed::int) FROM quality.merge_history WHERE sink = %s AND table_name = %s",
        (sink, table),
    ).fetchone()
    return TableHistory(None if first is None else first[0], found)


def unexamined_tables(connection: Connection) -> list[str]:
    """Return the tables with merges that were not looked at."""
    found = connection.execute("SELECT DISTINCT table_name FROM quality.merge_history WHERE unexamined ORDER BY 1")
    return [str(row[0]) for row in found]


def unexamined_sinks(connection: Connection, table: str) -> set[str]:
    """Return the sinks into which merges of a table were not looked at."""
    query = "SELECT DISTINCT sink FROM quality.merge_history WHERE table_name = %s AND unexamined"
    return {str(row[0]) for row in connection.execute(query, (table,))}


def unexamined_merges(connection: Connection, sink: str, table: str) -> list[UnexaminedMerge]:
    """Return the merges into a table of `sink` that were not looked at, by scope in the order they happened.

    However many merges a scope has seen, these and those before them are all that is read.
    """
    listed = [f"{alias}.{name.strip()}" for alias in "ep" for name in _COLUMNS.split(",")]
    query = (
        f"SELECT {', '.join(listed)} FROM quality.merge_history e LEFT JOIN LATERAL (SELECT * "
        "FROM quality.merge_history p WHERE (p.sink, p.table_name, p.scope) = (e.sink, e.table_name, e.scope) "
        "AND p.seq < e.seq ORDER BY p.seq DESC LIMIT 1) p ON true "
        "WHERE e.sink = %s AND e.table_name = %s AND e.unexamined ORDER BY e.scope, e.seq"
    )
    size = len(listed) // 2
    return [
        UnexaminedMerge(None if row[size] is None else MergeEntry(*row[size:]), MergeEntry(*row[:size]))
        for row in connection.execute(query.encode(), (sink, table))
    ]


def give_up_gone(connection: Connection, table: str, sink: str, created: datetime) -> int:
    """Note that nobody will look at merges into lakes that `sink`, created at that time, has replaced; return how many.

    Their rows are gone; what is merged anew is looked at.
    """
    query = (
        "UPDATE quality.merge_history SET unexamined = false "
        "WHERE table_name = %s AND sink <> %s AND unexamined AND merged_at < %s"
    )
    return connection.execute(query, (table, sink, created)).rowcount


def examined(connection: Connection, entries: Iterable[MergeEntry]) -> None:
    """Note that the changes of these merges were looked at."""
    connection.execute(
        "UPDATE quality.merge_history SET unexamined = false WHERE seq = ANY(%s) AND unexamined",
        ([e.seq for e in entries],),
    )
