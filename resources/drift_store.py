"""What raw payloads looked like, kept by capture and by date, so that it is not found out again for every comparison."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from resources.postgres import Postgres, lock_key


@dataclass(frozen=True)
class DateProfile:
    """The profiles of one date's captures taken together: how many captures, and the profile as plain values."""

    day: date
    captures: int
    profile: list[Any]


class DriftStore:
    """The tables `quality.path_profiles` (a row a capture) and `quality.path_profile_dates` (a row a date).

    `made_by` says how profiles were made; those made otherwise are not given, and are written over.
    """

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self._ensured = False

    def ensure(self) -> None:
        """Create the tables where missing; several processes may do so at once."""
        if self._ensured:
            return
        with self.postgres.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key("drift_store", "ddl")])
            found = connection.execute("SELECT to_regclass('quality.path_profile_dates')").fetchone()
            if found is None or found[0] is None:
                connection.execute(_CREATE)
        self._ensured = True

    def captures(self, raw_table: str, raw_ids: Sequence[int], made_by: str) -> dict[int, list[Any]]:
        """Return the profiles kept of these raw rows, by raw id."""
        self.ensure()
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "SELECT raw_id, profile FROM quality.path_profiles "
                "WHERE raw_table = %s AND raw_id = ANY(%s) AND made_by = %s",
                [raw_table, list(raw_ids), made_by],
            ).fetchall()
        return {raw_id: _plain(packed) for raw_id, packed in rows}

    def keep(
        self,
        raw_table: str,
        day: date,
        made_by: str,
        new: dict[int, list[Any]],
        all_ids: Sequence[int],
        total: list[Any],
    ) -> None:
        """Keep the new profiles of a date and its total over `all_ids`; drop those of captures not among these."""
        self.ensure()
        with self.postgres.transaction() as connection:
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO quality.path_profiles (raw_table, raw_id, day, made_by, profile) "
                    "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (raw_table, raw_id) DO UPDATE "
                    "SET day = excluded.day, made_by = excluded.made_by, profile = excluded.profile",
                    [(raw_table, raw_id, day, made_by, _packed(plain)) for raw_id, plain in sorted(new.items())],
                )
            connection.execute(
                "DELETE FROM quality.path_profiles WHERE raw_table = %s AND day = %s AND raw_id <> ALL(%s)",
                [raw_table, day, list(all_ids)],
            )
            connection.execute(
                "INSERT INTO quality.path_profile_dates (raw_table, day, captures, made_by, profile) "
                "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (raw_table, day) DO UPDATE SET captures = excluded.captures, "
                "made_by = excluded.made_by, profile = excluded.profile, profiled_at = clock_timestamp()",
                [raw_table, day, len(all_ids), made_by, _packed(total)],
            )

    def dates(self, raw_table: str, first: date, before: date, made_by: str, limit: int) -> list[DateProfile]:
        """Return the last `limit` dates kept from `first` to the day before `before`, latest first."""
        self.ensure()
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "SELECT day, captures, profile FROM quality.path_profile_dates "
                "WHERE raw_table = %s AND day >= %s AND day < %s AND made_by = %s AND captures > 0 "
                "ORDER BY day DESC LIMIT %s",
                [raw_table, first, before, made_by, limit],
            ).fetchall()
        return [DateProfile(day, captures, _plain(packed)) for day, captures, packed in rows]


def _packed(plain: list[Any]) -> bytes:
    return zlib.compress(orjson.dumps(plain))


def _plain(packed: bytes) -> list[Any]:
    found: list[Any] = orjson.loads(zlib.decompress(packed))
    return found


_CREATE = """
CREATE SCHEMA IF NOT EXISTS quality;
CREATE TABLE IF NOT EXISTS quality.path_profiles (
    raw_table text NOT NULL,
    raw_id bigint NOT NULL,
    day date NOT NULL,
    made_by text NOT NULL,
    profile bytea NOT NULL,
    PRIMARY KEY (raw_table, raw_id)
);
CREATE INDEX IF NOT EXISTS path_profiles_day ON quality.path_profiles (raw_table, day);
CREATE TABLE IF NOT EXISTS quality.path_profile_dates (
    raw_table text NOT NULL,
    day date NOT NULL,
    captures integer NOT NULL,
    made_by text NOT NULL,
    profile bytea NOT NULL,
    profiled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (raw_table, day)
);
"""
