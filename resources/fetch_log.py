"""What became of requests, in `ingestion.fetches`: one row a date, endpoint method and entity, with its failures.

What was answered is in the raw store; this is what that cannot tell: that something was asked for and did not come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from psycopg.rows import class_row

from resources.own_tables import OwnTables
from resources.postgres import Postgres

FAILED, REJECTED = "failed", "rejected"
"""The outcomes that left nothing in the raw store: no answer or an error, and an answer that is no good."""
_LONGEST_ERROR = 500


@dataclass(frozen=True)
class FetchRecord:
    """The requests for one entity of one endpoint method, made for one date.

    `attempts` counts all there were; `failures` those in a row that brought nothing good, up to the last: 0 when the
    last did. `outcome` is that of the last: failed, rejected, stored, unchanged, not modified or verified.
    """

    day: date
    endpoint: str
    """endpoint/method."""
    entity_key: str
    attempts: int
    failures: int
    outcome: str
    last_error: str | None
    last_status: int | None
    first_at: datetime
    at: datetime

    @property
    def text(self) -> str:
        """One line for people: what failed, how often, and why."""
        times = "once" if self.failures == 1 else f"{self.failures} times"
        return f"{self.endpoint} {self.entity_key} {self.outcome} {times}: {self.last_error or 'no reason told'}"


class FetchLog:
    """The table `ingestion.fetches` of one database, created when it is first used."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.ensure = OwnTables(postgres, "ingestion.fetches", _CREATE).ensure

    def record(
        self,
        day: date,
        endpoint: str,
        entity_key: str | None,
        outcome: str,
        *,
        error: str | None = None,
        status: int | None = None,
    ) -> None:
        """Note the end of one request (`endpoint` is endpoint/method); without `error` it brought something good."""
        self.ensure()
        values = (day, endpoint, entity_key or "", outcome, error and error[:_LONGEST_ERROR], status)
        with self.postgres.transaction() as connection:
            connection.execute(_RECORD, values)

    def failures(self, dates: Sequence[date] | None = None) -> list[FetchRecord]:
        """Return the requests whose last attempt brought nothing good, of these dates or of all, oldest date first."""
        self.ensure()
        with self.postgres.transaction() as connection, connection.cursor(row_factory=class_row(FetchRecord)) as cursor:
            cursor.execute(_FAILURES, {"dates": None if dates is None else list(dates)})
            return cursor.fetchall()


_COLUMNS = ", ".join(f.name for f in fields(FetchRecord))

_CREATE = """
CREATE SCHEMA IF NOT EXISTS ingestion;
CREATE TABLE IF NOT EXISTS ingestion.fetches (
    day date NOT NULL,
    endpoint text NOT NULL,
    entity_key text NOT NULL,
    attempts integer NOT NULL DEFAULT 1,
    failures integer NOT NULL DEFAULT 0,
    outcome text NOT NULL,
    last_error text,
    last_status integer,
    first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (day, endpoint, entity_key)
);
CREATE INDEX IF NOT EXISTS fetches_failures ON ingestion.fetches (day) WHERE failures > 0;
COMMENT ON TABLE ingestion.fetches IS 'Requests to the API by date, endpoint method and entity';
COMMENT ON COLUMN ingestion.fetches.day IS 'Date the request was made for';
COMMENT ON COLUMN ingestion.fetches.failures IS 'Attempts in a row, up to the last, that brought nothing good';
"""

_RECORD = """
INSERT INTO ingestion.fetches AS f (day, endpoint, entity_key, outcome, last_error, last_status, failures)
SELECT r.*, (r.last_error IS NOT NULL)::int
FROM (VALUES (%s::date, %s, %s, %s, %s::text, %s::int)) AS r (day, endpoint, entity_key, outcome, last_error, status)
ON CONFLICT (day, endpoint, entity_key) DO UPDATE SET
    attempts = f.attempts + 1, outcome = excluded.outcome, at = excluded.at, last_status = excluded.last_status,
    last_error = excluded.last_error,
    failures = CASE WHEN excluded.last_error IS NULL THEN 0 ELSE f.failures + 1 END
"""

_FAILURES = f"""
SELECT {_COLUMNS} FROM ingestion.fetches
WHERE failures > 0 AND (%(dates)s::date[] IS NULL OR day = ANY(%(dates)s)) ORDER BY day, endpoint, entity_key
"""
