"""What quality found, in the schema `quality`: refused payloads, held captures, failed casts, results of checks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, TypeVar, cast

import orjson
from psycopg.rows import class_row

from resources.own_tables import OwnTables
from resources.postgres import Connection, Postgres

Record = TypeVar("Record")


@dataclass(frozen=True)
class RejectedPayload:
    """A payload that was not stored: where it came from, why, and how it begins."""

    source: str
    endpoint: str
    method: str
    reason: str
    excerpt: str
    content_hash: str
    rejected_at: datetime | None = None


@dataclass(frozen=True)
class QuarantineRecord:
    """One `error` rule of one table that one capture breaks; `samples` are plain values of failing rows."""

    raw_table: str
    raw_id: int
    table_name: str
    rule: str
    failures: int
    samples: list[Any]
    derivation_hash: str
    entity_key: str
    partition_date: date | None
    captured_at: datetime
    quarantined_at: datetime | None = None
    released_at: datetime | None = None
    released_by: str | None = None


@dataclass(frozen=True)
class CastFailure:
    """Values of one column of an entity in one capture that are not of its type; `value` is one of `failures`."""

    raw_table: str
    raw_id: int
    entity_key: str
    partition_date: date | None
    table_name: str
    column_name: str
    path: str
    value: str
    expected: str
    lenient: bool
    failures: int
    recorded_at: datetime | None = None


@dataclass(frozen=True)
class CheckResult:
    """What one rule found in one table and entity: rows checked and failed, with samples. No record: nothing found."""

    table_name: str
    partition_date: date | None
    rule: str
    kind: str
    severity: str
    checked: int
    failed: int
    samples: list[Any]
    entity_key: str
    raw_id: int
    evaluated_at: datetime | None = None


class QualityStore:
    """The tables of the schema `quality` in one database, created when they are first used."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.ensure = OwnTables(postgres, "quality.cast_failures_once", _CREATE).ensure

    def reject(self, *, source: str, endpoint: str, method: str, reason: str, excerpt: str, content_hash: str) -> bool:
        """Keep the refusal of a payload; tell whether it is new (the same source, reason and content is not)."""
        self.ensure()
        values = [_text(value) for value in (source, endpoint, method, reason, excerpt, content_hash)]
        with self.postgres.transaction() as connection:
            row = connection.execute(
                "INSERT INTO quality.rejected_payloads (source, endpoint, method, reason, excerpt, content_hash) "
                "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id",
                values,
            ).fetchone()
        return row is not None

    def rejected(self, limit: int = 1000) -> list[RejectedPayload]:
        """Return the refused payloads, newest first."""
        return self._fetch(RejectedPayload, "quality.rejected_payloads", "true", "id DESC", {}, limit)

    def quarantine(self, records: Iterable[QuarantineRecord]) -> None:
        """Keep the rules that captures break. A record that is there gets the new figures and stays released if it was.

        A release is a person's word on that capture, table and rule; it outlives a changed mapping.
        """
        self.ensure()
        with self.postgres.transaction() as connection:
            self._write(
                connection,
                "quality.quarantine",
                records,
                key=("raw_table", "raw_id", "table_name", "rule"),
                update=("failures", "samples", "derivation_hash", "entity_key", "partition_date", "captured_at"),
            )

    def unquarantine(self, raw_table: str, raw_ids: Sequence[int], table_names: Sequence[str]) -> int:
        """Drop the unreleased records of captures that break no rule of these tables any more; return their number."""
        self.ensure()
        with self.postgres.transaction() as connection:
            return connection.execute(
                "DELETE FROM quality.quarantine WHERE raw_table = %s AND raw_id = ANY(%s) AND table_name = ANY(%s) "
                "AND released_at IS NULL",
                [raw_table, list(raw_ids), list(table_names)],
            ).rowcount

    def quarantined(
        self, raw_table: str | None = None, raw_ids: Sequence[int] | None = None, *, released: bool = False
    ) -> list[QuarantineRecord]:
        """Return what is held (`released`: with what was released by hand), of one raw table and rows or of all."""
        where = (
            "(%(raw_table)s::text IS NULL OR raw_table = %(raw_table)s) "
            "AND (%(raw_ids)s::bigint[] IS NULL OR raw_id = ANY(%(raw_ids)s)) AND (%(released)s OR released_at IS NULL)"
        )
        values = {
            "raw_table": raw_table,
            "raw_ids": None if raw_ids is None else list(raw_ids),
            "released": released,
        }
        order = "raw_table, raw_id, table_name, rule"
        return self._fetch(QuarantineRecord, "quality.quarantine", where, order, values)

    def release(self, raw_table: str, raw_id: int, *, released_by: str, rule: str | None = None) -> int:
        """Accept a held capture by hand (or one rule of it) and return the number of records released."""
        self.ensure()
        with self.postgres.transaction() as connection:
            return connection.execute(
                "UPDATE quality.quarantine SET released_at = clock_timestamp(), released_by = %s "
                "WHERE raw_table = %s AND raw_id = %s AND (%s::text IS NULL OR rule = %s) AND released_at IS NULL",
                [released_by, raw_table, raw_id, rule, rule],
            ).rowcount

    def record_cast_failures(
        self,
        raw_table: str,
        raw_ids: Sequence[int],
        failures: Iterable[CastFailure],
        *,
        table_names: Sequence[str] | None = None,
        entity_keys: Sequence[str] | None = None,
    ) -> None:
        """Put `failures` in the place of all that was kept for these rows (and tables; None: all tables).

        `entity_keys`: in the place of all that was kept for these entities, in whatever rows.
        """
        chosen, of = ("raw_id", raw_ids) if entity_keys is None else ("entity_key", entity_keys)
        self.ensure()
        with self.postgres.transaction() as connection:
            connection.execute(
                (
                    f"DELETE FROM quality.cast_failures WHERE raw_table = %s AND {chosen} = ANY(%s) "
                    "AND (%s::text[] IS NULL OR table_name = ANY(%s))"
                ).encode(),
                [raw_table, list(of), *([None if table_names is None else list(table_names)] * 2)],
            )
            self._write(
                connection,
                "quality.cast_failures",
                failures,
                key=("raw_table", "raw_id", "entity_key", "table_name", "column_name"),
                update=("path", "value", "expected", "lenient", "failures", "partition_date"),
            )

    def cast_failures(self, raw_table: str | None = None, raw_ids: Sequence[int] | None = None) -> list[CastFailure]:
        """Return the failed casts, of one raw table and rows or of all."""
        where = (
            "(%(raw_table)s::text IS NULL OR raw_table = %(raw_table)s) "
            "AND (%(raw_ids)s::bigint[] IS NULL OR raw_id = ANY(%(raw_ids)s))"
        )
        values = {"raw_table": raw_table, "raw_ids": None if raw_ids is None else list(raw_ids)}
        order = "raw_table, table_name, column_name, raw_id"
        return self._fetch(CastFailure, "quality.cast_failures", where, order, values)

    def record_check_results(
        self, table_names: Sequence[str], entity_keys: Sequence[str], results: Iterable[CheckResult]
    ) -> None:
        """Put `results` in the place of all that was kept for these tables and entities."""
        self.ensure()
        with self.postgres.transaction() as connection:
            connection.execute(
                "DELETE FROM quality.check_results WHERE table_name = ANY(%s) AND entity_key = ANY(%s)",
                [list(table_names), list(entity_keys)],
            )
            self._write(
                connection,
                "quality.check_results",
                results,
                key=("table_name", "rule", "entity_key"),
                update=("partition_date", "kind", "severity", "checked", "failed", "samples", "raw_id"),
            )

    def check_results(self, table_name: str | None = None, dates: Sequence[date] | None = None) -> list[CheckResult]:
        """Return the last results, of one table and dates or of all."""
        where = (
            "(%(table)s::text IS NULL OR table_name = %(table)s) "
            "AND (%(dates)s::date[] IS NULL OR partition_date = ANY(%(dates)s))"
        )
        values = {"table": table_name, "dates": None if dates is None else list(dates)}
        order = "table_name, partition_date, rule, entity_key"
        return self._fetch(CheckResult, "quality.check_results", where, order, values)

    def _fetch(
        self, kind: type[Record], table: str, where: str, order: str, values: dict[str, Any], limit: int | None = None
    ) -> list[Record]:
        self.ensure()
        columns = ", ".join(field.name for field in fields(cast(Any, kind)))
        query = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {order} LIMIT %(limit)s"
        with (
            self.postgres.transaction() as connection,
            connection.cursor(row_factory=class_row(kind)) as cursor,
        ):
            return cursor.execute(query.encode(), {**values, "limit": limit}).fetchall()

    def _write(
        self, connection: Connection, table: str, records: Iterable[Any], *, key: Sequence[str], update: Sequence[str]
    ) -> None:
        """Insert records; of those whose key is there, set the `update` columns and the time."""
        written = [*key, *update]
        stamp = _STAMP[table]
        query = (
            f"INSERT INTO {table} ({', '.join(written)}) VALUES ({', '.join(['%s'] * len(written))}) "
            f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET "
            f"{', '.join(f'{name} = excluded.{name}' for name in update)}, {stamp} = excluded.{stamp}"
        )
        rows = [[_plain(getattr(record, name)) for name in written] for record in records]
        if rows:
            with connection.cursor() as cursor:
                cursor.executemany(query.encode(), rows)


def _plain(value: Any) -> Any:
    """Return what PostgreSQL takes for a value: lists as JSON text (no NaN), texts without what it cannot hold."""
    if isinstance(value, list | dict):
        text = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        return text.replace("\\u0000", "\\ufffd")
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    return _UNSTORABLE.sub("\ufffd", value)


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""NUL, and what Python makes of bytes that are no UTF-8, as a file's name may have them."""
_STAMP = {
    "quality.quarantine": "quarantined_at",
    "quality.cast_failures": "recorded_at",
    "quality.check_results": "evaluated_at",
}

_CREATE = """
CREATE SCHEMA IF NOT EXISTS quality;
CREATE TABLE IF NOT EXISTS quality.rejected_payloads (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    endpoint text NOT NULL,
    method text NOT NULL,
    reason text NOT NULL,
    excerpt text NOT NULL,
    content_hash text NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX IF NOT EXISTS rejected_payloads_once
    ON quality.rejected_payloads (md5(source), md5(reason), content_hash);
CREATE TABLE IF NOT EXISTS quality.quarantine (
    raw_table text NOT NULL,
    raw_id bigint NOT NULL,
    table_name text NOT NULL,
    rule text NOT NULL,
    failures bigint NOT NULL,
    samples jsonb NOT NULL,
    derivation_hash text NOT NULL,
    entity_key text NOT NULL,
    partition_date date,
    captured_at timestamptz NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_at timestamptz,
    released_by text,
    PRIMARY KEY (raw_table, raw_id, table_name, rule)
);
CREATE TABLE IF NOT EXISTS quality.cast_failures (
    raw_table text NOT NULL,
    raw_id bigint NOT NULL,
    entity_key text NOT NULL,
    partition_date date,
    table_name text NOT NULL,
    column_name text NOT NULL,
    path text NOT NULL,
    value text NOT NULL,
    expected text NOT NULL,
    lenient boolean NOT NULL,
    failures bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE IF NOT EXISTS quality.check_results (
    table_name text NOT NULL,
    partition_date date,
    rule text NOT NULL,
    kind text NOT NULL,
    severity text NOT NULL,
    checked bigint NOT NULL,
    failed bigint NOT NULL,
    samples jsonb NOT NULL,
    entity_key text NOT NULL,
    raw_id bigint NOT NULL,
    evaluated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (table_name, rule, entity_key)
);
CREATE INDEX IF NOT EXISTS check_results_date ON quality.check_results (partition_date);
ALTER TABLE quality.cast_failures DROP CONSTRAINT IF EXISTS cast_failures_pkey;
CREATE UNIQUE INDEX IF NOT EXISTS cast_failures_once
    ON quality.cast_failures (raw_table, raw_id, entity_key, table_name, column_name);
"""
