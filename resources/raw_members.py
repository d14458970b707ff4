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
COMMENT ON TABLE quality.entity_dates IS 'The date of each entity by its own responses (they win) or a schedule';
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

    def redate(self, connection: Connection, table: sql.Identifier, of: str, keys: Sequence[str] | None) -> int:
        """Give rows the dates known of their entities; see `RawStore.redate`.

        Most calls find nothing to change, and lock nothing. Those that do take their rows in one order, so that of two
        at once one waits for the other and finds its work done.
        """
        values: dict[str, object] = {"kind": of, "keys": None if keys is None else list(keys)}
        found = connection.execute(_DIFFERING.format(table=table), values).fetchall()
        if not found:
            return 0
        values["ids"] = sorted(row[0] for row in found)
        connection.execute(_LOCK.format(table=table), values)
        return connection.execute(_REDATE.format(table=table), values).rowcount


_COMPLETE = """
SELECT to_regclass('quality.entity_dates') IS NOT NULL AND EXISTS (
    SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('quality.raw_members') AND attname = 'told')
"""

_CLAIM = """
INSERT INTO quality.entity_dates AS d (kind, entity_key, source, observed_at, content_hash, day, own)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::date[], %s::boolean[])
ON CONFLICT (kind, entity_key, source) DO UPDATE SET
    day = excluded.day, observed_at = excluded.observed_at, content_hash = excluded.content_hash
WHERE (excluded.observed_at, excluded.content_hash COLLATE "C") > (d.observed_at, d.content_hash COLLATE "C")
"""

_KNOWN = """
    SELECT DISTINCT ON (entity_key) entity_key, day FROM quality.entity_dates
    WHERE kind = %(kind)s AND (%(keys)s::text[] IS NULL OR entity_key = ANY(%(keys)s))
    ORDER BY entity_key, own DESC, right(source, 8) = ' listing', observed_at DESC, content_hash COLLATE "C" DESC
"""

_DIFFERING = sql.SQL(f"""
SELECT r.raw_id FROM {{table}} r JOIN ({_KNOWN}) known USING (entity_key)
WHERE r.partition_date IS DISTINCT FROM known.day
  AND (%(keys)s::text[] IS NULL OR r.entity_key = ANY(%(keys)s))
""")

_LOCK = sql.SQL("SELECT 1 FROM {table} WHERE raw_id = ANY(%(ids)s) ORDER BY raw_id FOR UPDATE")

_REDATE = sql.SQL(f"""
UPDATE {{table}} r SET partition_date = known.day, ingest_xid = pg_current_xact_id()
FROM ({_KNOWN}) known
WHERE r.raw_id = ANY(%(ids)s) AND r.entity_key = known.entity_key AND r.partition_date IS DISTINCT FROM known.day
""")
