"""`quality.completeness`: the last look at each date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import date

from psycopg.rows import class_row

from mlb_platform.ingestion.completeness.gaps import Gap
from resources.own_tables import OwnTables
from resources.postgres import Postgres

_NAMES = [f.name for f in fields(Gap)]
_CREATE = """
CREATE SCHEMA IF NOT EXISTS quality;
CREATE TABLE IF NOT EXISTS quality.completeness (
    game_date date NOT NULL,
    game_pk text NOT NULL,
    endpoint text NOT NULL,
    state text NOT NULL,
    expected boolean NOT NULL,
    raw_captures bigint NOT NULL,
    newest_captured_at timestamptz,
    final_captured boolean NOT NULL,
    in_tables boolean NOT NULL,
    gap text,
    reason text,
    repair text,
    checked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (game_date, game_pk, endpoint)
);
COMMENT ON TABLE quality.completeness IS 'What the schedule lets expect, what is there, and why not, as last looked at';
"""
_INSERT = f"INSERT INTO quality.completeness ({', '.join(_NAMES)}) VALUES ({', '.join(f'%({n})s' for n in _NAMES)})"


class CompletenessTable:
    """The table of one database, created when it is first used."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.ensure = OwnTables(postgres, "quality.completeness", _CREATE).ensure

    def replace(self, days: Sequence[date], gaps: Sequence[Gap]) -> None:
        """Write what was seen of some dates in place of what was seen before."""
        self.ensure()
        with self.postgres.transaction() as connection, connection.cursor() as cursor:
            # one look at a time: two that end together would write the same lines
            cursor.execute("LOCK TABLE quality.completeness IN SHARE ROW EXCLUSIVE MODE")
            cursor.execute("DELETE FROM quality.completeness WHERE game_date = ANY(%s)", [list(days)])
            cursor.executemany(_INSERT.encode(), [vars(gap) for gap in gaps])

    def of_dates(self, first: date, last: date) -> list[Gap]:
        """Return what was seen of dates, both included."""
        self.ensure()
        query = (
            f"SELECT {', '.join(_NAMES)} FROM quality.completeness WHERE game_date BETWEEN %s AND %s "
            "ORDER BY game_date, game_pk, endpoint"
        )
        with self.postgres.transaction() as connection, connection.cursor(row_factory=class_row(Gap)) as cursor:
            return cursor.execute(query.encode(), [first, last]).fetchall()
