"""What raw payloads looked like, kept by capture and by date, so that comparing them again reads none of them again."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from resources.own_tables import OwnTables
from resources.postgres import Postgres


@dataclass(frozen=True)
class DateProfile:
    """The profiles of one date's captures taken together: how many captures, and the profile as plain values."""

    day: date
    captures: int
    profile: list[Any]


@dataclass(frozen=True)
class DriftRecord:
    """Something about the payloads of one date that is not as it was: what kind of thing, where, how often, in what."""

    kind: str
    path: str
    count: int
    entity: str
    example: str
    note: str


@dataclass(frozen=True)
class DateDrift:
    """What was found of one date: in how many captures of how many, the leaf paths there by what becomes of them.

    `basis` says what was compared with what.
    """

    day: date
    captures: int
    known: int
    mapped: int
    ignored: int
    unmapped: int
    basis: str
    found: tuple[DriftRecord, ...]

    @property
    def leaf_paths(self) -> int:
        """Distinct leaf paths."""
        return self.mapped + self.ignored + self.unmapped

    def of(self, *kinds: str) -> list[DriftRecord]:
        """Return what was found of some kinds."""
        return [f for f in self.found if f.kind in kinds]


class DriftStore:
    """The tables `quality.path_profiles` (a row a capture), `path_profile_dates` (a row a date) and `drift`.

    `made_by` says how profiles were made; those made otherwise are not given, and are written over.
    """

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.ensure = OwnTables(postgres, "quality.drift", _CREATE).ensure

    def kept(self, raw_table: str, raw_ids: Sequence[int], made_by: str) -> set[int]:
        """Return those of these raw rows that have a profile."""
        self.ensure()
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "SELECT raw_id FROM quality.path_profiles WHERE raw_table = %s AND raw_id = ANY(%s) AND made_by = %s",
                [raw_table, list(raw_ids), made_by],
            ).fetchall()
        return {row[0] for row in rows}

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
        captures: int,
    ) -> None:
        """Keep the new profiles of a date and its total over so many captures; drop those of captures not in `all_ids`.

        Profiles are of captures: one that several dates share is kept with the date that was looked at last.
        """
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
                [raw_table, day, captures, made_by, _packed(total)],
            )

    def days(self, raw_table: str, first: date, before: date, made_by: str, limit: int) -> list[date]:
        """Return the last `limit` dates kept from `first` to the day before `before`, latest first."""
        self.ensure()
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "SELECT day FROM quality.path_profile_dates "
                "WHERE raw_table = %s AND day >= %s AND day < %s AND made_by = %s AND captures > 0 "
                "ORDER BY day DESC LIMIT %s",
                [raw_table, first, before, made_by, limit],
            ).fetchall()
        return [row[0] for row in rows]

    def dates(self, raw_table: str, days: Sequence[date], made_by: str) -> list[DateProfile]:
        """Return what is kept of these dates, in order."""
        self.ensure()
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "SELECT day, captures, profile FROM quality.path_profile_dates "
                "WHERE raw_table = %s AND day = ANY(%s) AND made_by = %s ORDER BY day",
                [raw_table, list(days), made_by],
            ).fetchall()
        return [DateProfile(day, captures, _plain(packed)) for day, captures, packed in rows]

    def keep_drift(self, mapping: str, drift: DateDrift) -> None:
        """Keep what was found of a date, in place of what was found before."""
        self.ensure()
        figures = [drift.captures, drift.known, drift.mapped, drift.ignored, drift.unmapped, drift.basis]
        with self.postgres.transaction() as connection:
            connection.execute(
                "INSERT INTO quality.drift_dates (mapping, day, captures, known, mapped, ignored, unmapped, basis) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (mapping, day) DO UPDATE SET "
                "captures = excluded.captures, known = excluded.known, mapped = excluded.mapped, "
                "ignored = excluded.ignored, unmapped = excluded.unmapped, basis = excluded.basis, "
                "found_at = clock_timestamp()",
                [mapping, drift.day, *figures],
            )
            connection.execute("DELETE FROM quality.drift WHERE mapping = %s AND day = %s", [mapping, drift.day])
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO quality.drift (mapping, day, kind, path, count, entity, example, note) "
                    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (mapping, day, kind, path) DO NOTHING",
                    [
                        (mapping, drift.day, f.kind, f.path, f.count, f.entity, f.example, f.note)
                        for f in sorted(drift.found, key=lambda f: (f.kind, f.path))
                    ],
                )

    def drift(self, mapping: str, first: date, last: date) -> list[DateDrift]:
        """Return what was found of the dates in a range, in order."""
        self.ensure()
        found: dict[date, list[DriftRecord]] = {}
        with self.postgres.transaction() as connection:
            dates = connection.execute(
                "SELECT day, captures, known, mapped, ignored, unmapped, basis FROM quality.drift_dates "
                "WHERE mapping = %s AND day BETWEEN %s AND %s ORDER BY day",
                [mapping, first, last],
            ).fetchall()
            for row in connection.execute(
                "SELECT day, kind, path, count, entity, example, note FROM quality.drift "
                "WHERE mapping = %s AND day BETWEEN %s AND %s ORDER BY day, kind, path",
                [mapping, first, last],
            ):
                found.setdefault(row[0], []).append(DriftRecord(*row[1:]))
        return [DateDrift(r[0], r[1], r[2], r[3], r[4], r[5], r[6], tuple(found.get(r[0], ()))) for r in dates]


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
CREATE TABLE IF NOT EXISTS quality.drift_dates (
    mapping text NOT NULL,
    day date NOT NULL,
    captures integer NOT NULL,
    known integer NOT NULL,
    mapped integer NOT NULL,
    ignored integer NOT NULL,
    unmapped integer NOT NULL,
    basis text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (mapping, day)
);
CREATE TABLE IF NOT EXISTS quality.drift (
    mapping text NOT NULL,
    day date NOT NULL,
    kind text NOT NULL,
    path text NOT NULL,
    count bigint NOT NULL,
    entity text NOT NULL,
    example text NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (mapping, day, kind, path)
);
"""
