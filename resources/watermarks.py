"""How far something outside was read: one instant by name, which never goes back."""

from __future__ import annotations

from datetime import datetime

from resources.own_tables import OwnTables
from resources.postgres import Postgres

_TABLE = """
CREATE SCHEMA IF NOT EXISTS quality;
CREATE TABLE quality.watermarks (
    name text PRIMARY KEY,
    at timestamptz NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE quality.watermarks IS 'Up to which instant something outside was read completely';
"""


class Watermarks:
    """Reads and moves watermarks."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._tables = OwnTables(postgres, "quality.watermarks", _TABLE)

    def get(self, name: str) -> datetime | None:
        """Return the instant everything before which was read; None where nothing was."""
        self._tables.ensure()
        with self._postgres.transaction() as connection:
            row = connection.execute("SELECT at FROM quality.watermarks WHERE name = %s", [name]).fetchone()
        return row[0] if row else None

    def advance(self, name: str, at: datetime) -> None:
        """Note that everything before `at` (aware) was read; an earlier one than is known changes nothing."""
        self._tables.ensure()
        with self._postgres.transaction() as connection:
            connection.execute(
                "INSERT INTO quality.watermarks AS w (name, at) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE "
                "SET at = excluded.at, moved_at = clock_timestamp() WHERE w.at < excluded.at",
                [name, at],
            )
