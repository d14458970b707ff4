"""`quality.corrections`: what changed in tables after a game was over, one row a changed value, in PostgreSQL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb

from resources.merge_history import MergeEntry, examined
from resources.own_tables import OwnTables
from resources.postgres import Postgres

Change = Literal["update", "insert", "delete"]
_TABLES = """
CREATE SCHEMA IF NOT EXISTS quality;
CREATE TABLE IF NOT EXISTS quality.corrections (
    table_name text NOT NULL,
    entity_key text NOT NULL,
    key jsonb NOT NULL,
    column_name text,
    change text NOT NULL CHECK (change IN ('update', 'insert', 'delete')),
    old jsonb,
    new jsonb,
    raw_table text NOT NULL,
    old_raw_id bigint NOT NULL,
    new_raw_id bigint NOT NULL,
    old_captured_at timestamptz NOT NULL,
    new_captured_at timestamptz NOT NULL,
    partition_date date,
    detected_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX IF NOT EXISTS corrections_once ON quality.corrections
    (table_name, entity_key, old_raw_id, new_raw_id, md5(key::text), column_name) NULLS NOT DISTINCT;
CREATE INDEX IF NOT EXISTS corrections_by_date ON quality.corrections (partition_date);
CREATE INDEX IF NOT EXISTS corrections_by_capture ON quality.corrections (new_captured_at);
COMMENT ON TABLE quality.corrections IS
    'What changed from one capture to the next after the game was over: one row a changed value';
COMMENT ON COLUMN quality.corrections.entity_key IS 'The game: its game_pk';
COMMENT ON COLUMN quality.corrections.key IS 'Primary key of the row that changed';
COMMENT ON COLUMN quality.corrections.change IS
    'update; or insert, delete: the whole row came or went, one row here for each value it has';
COMMENT ON COLUMN quality.corrections.old IS 'The value in the capture old_raw_id; NULL: none';
COMMENT ON COLUMN quality.corrections.new IS 'The value in the capture new_raw_id; NULL: none';
COMMENT ON COLUMN quality.corrections.partition_date IS 'Date of the game by the newer capture';
CREATE VIEW quality.corrections_daily AS
SELECT (new_captured_at AT TIME ZONE 'UTC')::date AS captured_on, table_name, column_name, change,
       count(*) AS corrections, count(DISTINCT (entity_key, key)) AS rows, count(DISTINCT entity_key) AS games
FROM quality.corrections GROUP BY 1, 2, 3, 4;
COMMENT ON VIEW quality.corrections_daily IS
    'Corrections by the day (UTC) on which the capture that brought them was taken, table and column';
"""
_SUPERSEDED = """
DELETE FROM quality.corrections c
WHERE table_name = %s AND entity_key = %s AND old_captured_at >= %s AND new_captured_at <= %s
  AND (old_raw_id, new_raw_id) NOT IN (SELECT * FROM unnest(%s::bigint[], %s::bigint[]))
"""
_COLUMNS = (
    "table_name", "entity_key", "key", "column_name", "change", "old", "new", "raw_table", "old_raw_id", "new_raw_id",
    "old_captured_at", "new_captured_at", "partition_date",
)  # fmt: skip


@dataclass(frozen=True)
class Correction:
    """One value that changed; of a row that came or went, one of its values."""

    table_name: str
    entity_key: str
    key: dict[str, Any]
    column_name: str | None
    change: Change
    old: Any
    new: Any
    raw_table: str
    old_raw_id: int
    new_raw_id: int
    old_captured_at: datetime
    new_captured_at: datetime
    partition_date: date | None
    detected_at: datetime | None = None


@dataclass(frozen=True)
class ComparedAnew:
    """That the captures of an entity from `since` to `until` were compared one after the other, by these pairs.

    What is kept of other pairs between them tells of the same changes: a capture came late or was released since, or
    one is held now.
    """

    table_name: str
    entity_key: str
    since: datetime
    until: datetime
    pairs: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class CorrectionsOfDay:
    """How often a column of a table was corrected by captures of one day (UTC), in how many rows and games."""

    captured_on: date
    table_name: str
    column_name: str | None
    change: Change
    corrections: int
    rows: int
    games: int


class CorrectionsStore:
    """Reads and writes quality.corrections."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self.ensure = OwnTables(postgres, "quality.corrections_daily", _TABLES).ensure

    def add(
        self, corrections: Sequence[Correction], merges: Sequence[MergeEntry], anew: Sequence[ComparedAnew] = ()
    ) -> Counter[date | None]:
        """Keep corrections and note, in the same transaction, that the merges they come from were looked at.

        What is there already is left, but what was compared `anew` takes the place of what other pairs told; returns
        how many are new, by the date of the game.
        """
        stored: Counter[date | None] = Counter()
        self.ensure()
        with self._postgres.transaction() as connection:
            compared = [
                (a.table_name, a.entity_key, a.since, a.until, [old for old, _ in a.pairs], [new for _, new in a.pairs])
                for a in anew
            ]
            connection.cursor().executemany(_SUPERSEDED.encode(), compared)
            if corrections:
                connection.execute(
                    "CREATE TEMP TABLE new_corrections (LIKE quality.corrections INCLUDING DEFAULTS) ON COMMIT DROP"
                )
                listed = ", ".join(_COLUMNS)
                with connection.cursor().copy(f"COPY new_corrections ({listed}) FROM STDIN".encode()) as copy:
                    for c in corrections:
                        copy.write_row([_storable(name, getattr(c, name)) for name in _COLUMNS])
                dates = connection.execute(
                    f"INSERT INTO quality.corrections ({listed}) SELECT {listed} FROM new_corrections "
                    "ORDER BY table_name, entity_key, key, column_name ON CONFLICT DO NOTHING "
                    "RETURNING partition_date".encode()
                )
                stored.update(row[0] for row in dates)
            examined(connection, merges)
        return stored

    def find(
        self,
        *,
        entity: str | None = None,
        table: str | None = None,
        start: date | None = None,
        end: date | None = None,
        limit: int | None = None,
    ) -> list[Correction]:
        """Return corrections of an entity, a table and the games of a range of dates (None: any), oldest first."""
        self.ensure()
        query = (
            f"SELECT {', '.join(_COLUMNS)}, detected_at FROM quality.corrections {_WHERE} "
            "ORDER BY new_captured_at, table_name, entity_key, key, column_name LIMIT %(limit)s"
        )
        values = {"entity": entity, "table": table, "start": start, "end": end, "limit": limit}
        with self._postgres.transaction() as connection:
            return [Correction(*row) for row in connection.execute(query.encode(), values)]

    def daily(
        self,
        *,
        entity: str | None = None,
        table: str | None = None,
        start: date | None = None,
        end: date | None = None,
    ) -> list[CorrectionsOfDay]:
        """Return the numbers of the same corrections by day, table and column."""
        self.ensure()
        query = (
            "SELECT (new_captured_at AT TIME ZONE 'UTC')::date, table_name, column_name, change, count(*), "
            "count(DISTINCT (entity_key, key)), count(DISTINCT entity_key) "
            f"FROM quality.corrections {_WHERE} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 4, 3"
        )
        values = {"entity": entity, "table": table, "start": start, "end": end}
        with self._postgres.transaction() as connection:
            return [CorrectionsOfDay(*row) for row in connection.execute(query.encode(), values)]


_WHERE = (
    "WHERE (%(entity)s::text IS NULL OR entity_key = %(entity)s) "
    "AND (%(table)s::text IS NULL OR table_name = %(table)s) "
    "AND (%(start)s::date IS NULL OR partition_date >= %(start)s) "
    "AND (%(end)s::date IS NULL OR partition_date <= %(end)s)"
)


def _storable(name: str, value: Any) -> Any:
    if name not in ("key", "old", "new"):
        return value
    return None if value is None else Jsonb(value, dumps=_dumps)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
