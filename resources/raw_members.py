"""What raw rows hold besides one entity: the entities of a response with several, and dates told of other entities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from psycopg import sql

from resources.postgres import Connection

_TABLES = """
CREATE SCHEMA IF NOT EXISTS quality;
CREATE TABLE IF NOT EXISTS quality.raw_members (
    raw_table text NOT NULL,
    raw_id bigint NOT NULL,
    entity_key text NOT NULL,
    partition_date date,
    told text,
    PRIMARY KEY (raw_table, raw_id, entity_key)
);
ALTER TABLE quality.raw_members ADD COLUMN IF NOT EXISTS told text;
CREATE INDEX IF NOT EXISTS raw_members_entity ON quality.raw_members (raw_table, entity_key);
CREATE INDEX IF NOT EXISTS raw_members_date ON quality.raw_members (raw_table, partition_date);
COMMENT ON TABLE quality.raw_members IS 'The entities of responses that have several, by raw row';
CREATE TABLE IF NOT EXISTS quality.entity_dates (
    kind text NOT NULL,
    entity_key text NOT NULL,
    source text NOT NULL,
    own boolean NOT NULL,
    day date NOT NULL,
    observed_at timestamptz NOT NULL,
    content_hash text NOT NULL,
    PRIMARY KEY (kind, entity_key, source)
);
ALTER TABLE quality.entity_dates ADD COLUMN IF NOT EXISTS changed_xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX IF NOT EXISTS entity_dates_changed ON quality.entity_dates (kind, changed_xid);
COMMENT ON TABLE quality.entity_dates IS 'The date of each entity by its own responses (they win) or a schedule';
CREATE TABLE IF NOT EXISTS quality.redated (
    raw_table text NOT NULL,
    kind text NOT NULL,
    cluster text NOT NULL,
    xid xid8 NOT NULL,
    PRIMARY KEY (raw_table, kind, cluster)
);
COMMENT ON TABLE quality.redated IS 'By raw table: what was committed by transactions before this one has its date';
"""
_LISTED = " listing"
"""Marks the source of dates that are only those of a listing."""


@dataclass(frozen=True)
class Member:
    """One entity of a response with several.

    `told` identifies what the response tells of it: two that agree tell the same. None: not known.
    """

    entity_key: str
    partition_date: date | None
    told: str | None = None


@dataclass(frozen=True)
class DateClaim:
    """That the entity `key` of `kind` (game_pk) is of `day`; `own`: said by its own response.

    `listed`: it is no more than listed under that day, which says less than a date of its own, however old.
    """

    kind: str
    key: str
    day: date
    own: bool
    listed: bool = False


class Claimant(Protocol):
    """A capture, as far as dates go."""

    @property
    def captured_at(self) -> datetime: ...  # noqa: D102
    @property
    def content_hash(self) -> str: ...  # noqa: D102
    @property
    def claims(self) -> tuple[DateClaim, ...]: ...  # noqa: D102


class RawMembers:
    """Reads and writes raw_members and entity_dates; every call works on the connection it is given."""

    def ensure(self, connection: Connection) -> None:
        """Create the tables if they are not there; the caller holds the lock for that."""
        found = connection.execute(_COMPLETE).fetchone()
        if not found or not found[0]:
            connection.execute(_TABLES)

    def add(self, connection: Connection, raw_table: str, raw_id: int, members: Iterable[Member]) -> None:
        """Keep the entities of a stored row."""
        listed = list(members)
        if listed:
            connection.execute(
                "INSERT INTO quality.raw_members (raw_table, raw_id, entity_key, partition_date, told) "
                "SELECT %s, %s, * FROM unnest(%s::text[], %s::date[], %s::text[]) ON CONFLICT DO NOTHING",
                (
                    raw_table, raw_id, [m.entity_key for m in listed], [m.partition_date for m in listed],
                    [m.told for m in listed],
                ),
            )  # fmt: skip

    def claim(self, connection: Connection, raw_table: str, captures: Sequence[Claimant]) -> None:
        """Keep what captures say of dates: of each entity the newest word of this raw table.

        Where one response gives an entity several dates (a suspended game is listed twice), the first counts.
        """
        newest: dict[tuple[str, str, str], tuple[datetime, str, date, bool]] = {}
        for capture in captures:
            of_capture: dict[tuple[str, str, str], tuple[datetime, str, date, bool]] = {}
            for c in capture.claims:
                found = (capture.captured_at, capture.content_hash, c.day, c.own)
                place = (c.kind, c.key, raw_table + (_LISTED if c.listed else ""))
                of_capture[place] = min(of_capture.get(place, found), found, key=lambda x: x[2])
            for place, found in of_capture.items():
                newest[place] = max(newest.get(place, found), found, key=lambda x: x[:2])
        if newest:
            rows = [(*place, *newest[place]) for place in sorted(newest)]
            connection.execute(_CLAIM, [list(column) for column in zip(*rows, strict=True)])

    def redate(self, connection: Connection, name: sql.Identifier, of: str, keys: Sequence[str]) -> int:
        """Give the rows of some entities the dates known of them; see `RawStore.redate`."""
        values: dict[str, object] = {"kind": of, "keys": list(keys)}
        found = connection.execute(_DIFFERING.format(table=name, rows=_OF_KEYS.format(table=name)), values).fetchall()
        return self._redate(connection, name, values, [row[0] for row in found])

    def redate_changed(
        self, connection: Connection, raw_table: str, name: sql.Identifier, of: str, cluster: str, limit: int | None
    ) -> int:
        """Give the rows their dates of which something changed since this was done last, at most `limit` of them.

        That is: rows stored since, and rows of entities whose dates were told since. Where nothing changed nothing is
        read, written or locked. What was open when this looked counts as later, so nothing is left out.
        """
        values: dict[str, object] = {"kind": of, "table": raw_table, "cluster": cluster, "limit": limit}
        row = connection.execute(_MARK.format(table=name), values).fetchone()
        assert row is not None
        values["mark"], settled, new_rows, new_claims = row
        if not new_rows and not new_claims:
            return 0
        branches = [_NEW_ROWS.format(table=name)] if new_rows else []
        # where all rows are new, those of entities that were told of are among them
        branches += [_TOLD_OF.format(table=name)] if new_claims and values["mark"] != "0" else []
        found = []
        if branches:
            query = _DIFFERING.format(table=name, rows=sql.SQL(" UNION ALL ").join(branches)) + _LIMIT
            found = connection.execute(query, values).fetchall()
        changed = self._redate(connection, name, values, sorted({row[0] for row in found}))
        if limit is None or len(found) < limit:
            connection.execute(_REMEMBER, {**values, "settled": settled})
        return changed

    def _redate(
        self, connection: Connection, name: sql.Identifier, values: dict[str, object], raw_ids: Sequence[int]
    ) -> int:
        """Date rows. They are taken in one order: of two at once one waits for the other and finds its work done."""
        if not raw_ids:
            return 0
        values = {**values, "ids": sorted(raw_ids)}
        connection.execute(_LOCK.format(table=name), values)
        return connection.execute(_REDATE.format(table=name), values).rowcount


_COMPLETE = """
SELECT to_regclass('quality.entity_dates') IS NOT NULL AND EXISTS (
    SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('quality.raw_members') AND attname = 'told')
  AND to_regclass('quality.redated') IS NOT NULL
"""

_CLAIM = """
INSERT INTO quality.entity_dates AS d (kind, entity_key, source, observed_at, content_hash, day, own)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::date[], %s::boolean[])
ON CONFLICT (kind, entity_key, source) DO UPDATE SET
    day = excluded.day, observed_at = excluded.observed_at, content_hash = excluded.content_hash,
    changed_xid = pg_current_xact_id()
WHERE (excluded.observed_at, excluded.content_hash COLLATE "C") > (d.observed_at, d.content_hash COLLATE "C")
"""

_DAY = """
    SELECT day FROM quality.entity_dates d WHERE d.kind = %(kind)s AND d.entity_key = r.entity_key
    ORDER BY own DESC, right(source, 8) = ' listing', observed_at DESC, content_hash COLLATE "C" DESC LIMIT 1
"""

_MARK = sql.SQL("""
WITH mark AS (
    SELECT coalesce((
        SELECT xid FROM quality.redated WHERE raw_table = %(table)s AND kind = %(kind)s AND cluster = %(cluster)s
          AND xid <= pg_snapshot_xmax(pg_current_snapshot())), '0'::xid8) AS xid)
SELECT xid::text, pg_snapshot_xmin(pg_current_snapshot())::text,
    coalesce((SELECT ingest_xid FROM {table} ORDER BY ingest_xid DESC LIMIT 1) >= mark.xid, false),
    coalesce((SELECT changed_xid FROM quality.entity_dates WHERE kind = %(kind)s
              ORDER BY changed_xid DESC LIMIT 1) >= mark.xid, false)
FROM mark
""")
_REMEMBER = """
INSERT INTO quality.redated AS known (raw_table, kind, cluster, xid)
VALUES (%(table)s, %(kind)s, %(cluster)s, %(settled)s::xid8)
ON CONFLICT (raw_table, kind, cluster) DO UPDATE SET xid = greatest(known.xid, excluded.xid)
WHERE known.xid < excluded.xid OR known.xid > pg_snapshot_xmax(pg_current_snapshot())
"""
_OF_KEYS = sql.SQL("SELECT raw_id, entity_key, partition_date FROM {table} WHERE entity_key = ANY(%(keys)s)")
_NEW_ROWS = sql.SQL("SELECT raw_id, entity_key, partition_date FROM {table} WHERE ingest_xid >= %(mark)s::xid8")
_TOLD_OF = sql.SQL("""
SELECT raw_id, entity_key, partition_date FROM {table} WHERE entity_key IN (
    SELECT entity_key FROM quality.entity_dates WHERE kind = %(kind)s AND changed_xid >= %(mark)s::xid8)
""")

_DIFFERING = sql.SQL(f"""
SELECT r.raw_id FROM ({{rows}}) r CROSS JOIN LATERAL ({_DAY}) known
WHERE r.partition_date IS DISTINCT FROM known.day
""")
_LIMIT = sql.SQL(" LIMIT %(limit)s")

_LOCK = sql.SQL("SELECT 1 FROM {table} WHERE raw_id = ANY(%(ids)s) ORDER BY raw_id FOR UPDATE")

_REDATE = sql.SQL(f"""
UPDATE {{table}} u SET partition_date = known.day, ingest_xid = pg_current_xact_id()
FROM {{table}} r CROSS JOIN LATERAL ({_DAY}) known
WHERE u.raw_id = ANY(%(ids)s) AND r.raw_id = u.raw_id AND u.partition_date IS DISTINCT FROM known.day
""")
