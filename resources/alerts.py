"""Alerts: raised once, kept in the database, and delivered to a webhook or the log until they were taken."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg.types.json import Jsonb

from resources.own_tables import OwnTables
from resources.postgres import Postgres

_log = logging.getLogger(__name__)
TIMEOUT_SECONDS = 5.0
PER_DELIVERY = 20
"""So many alerts are delivered at once; the rest the next time."""
_TABLE = """
CREATE SCHEMA IF NOT EXISTS quality;
CREATE TABLE quality.alerts (
    key text PRIMARY KEY,
    kind text NOT NULL,
    text text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    raised_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    delivered_at timestamptz,
    resolved_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    last_error text
);
CREATE INDEX alerts_undelivered ON quality.alerts (raised_at) WHERE delivered_at IS NULL;
COMMENT ON TABLE quality.alerts IS 'What was found that a person should know; raised once until it is resolved';
"""


@dataclass(frozen=True)
class Alert:
    """Something a person should know. `key` identifies the trouble: while it lasts it is told once."""

    key: str
    kind: str
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Alerts:
    """Keeps and delivers alerts. Nothing here raises because a receiver does not answer."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._tables = OwnTables(postgres, "quality.alerts", _TABLE)

    def raise_(self, alerts: Iterable[Alert]) -> int:
        """Keep alerts that are not raised already; return how many are new. One that was resolved is raised again."""
        self._tables.ensure()
        with self._postgres.transaction() as connection:
            return sum(
                connection.execute(_RAISE, [a.key, a.kind, a.text, Jsonb(dict(a.details))]).rowcount for a in alerts
            )

    def resolve(self, keys: Iterable[str]) -> None:
        """Note that these troubles are over; unknown keys are nothing."""
        self._tables.ensure()
        with self._postgres.transaction() as connection:
            connection.execute(
                "UPDATE quality.alerts SET resolved_at = clock_timestamp() WHERE key = ANY(%s) AND resolved_at IS NULL",
                [sorted(set(keys))],
            )

    def open(self, kind: str) -> list[str]:
        """Return the keys of a kind that are not resolved."""
        self._tables.ensure()
        with self._postgres.transaction() as connection:
            found = connection.execute(
                "SELECT key FROM quality.alerts WHERE kind = %s AND resolved_at IS NULL ORDER BY key", [kind]
            )
            return [row[0] for row in found]

    def deliver(self, webhook: str | None) -> tuple[int, int]:
        """Deliver what is undelivered, oldest first; return how many were taken and how many are left.

        To the URL `webhook` as JSON by POST, or to the log where it is None. A receiver that does not answer or refuses
        is logged and asked again the next time. Two deliverers at once never send the same alert.
        """
        self._tables.ensure()
        taken = 0
        for _ in range(PER_DELIVERY):
            # one transaction an alert: what was taken stays taken, whatever comes after it
            with self._postgres.transaction() as connection:
                row = connection.execute(_NEXT).fetchone()
                if row is None:
                    break
                key, kind, text, details, raised_at = row
                body = {"key": key, "kind": kind, "text": text, "raised_at": raised_at.isoformat(), "details": details}
                error = _send(webhook, body)
                if error is None:
                    connection.execute(_TAKEN, [key])
                    taken += 1
                else:
                    connection.execute(_NOT_TAKEN, [error, key])
            if error is not None:
                _log.warning("alert %s was not delivered: %s; it is sent again", key, error)
                break
        with self._postgres.transaction() as connection:
            left = connection.execute("SELECT count(*) FROM quality.alerts WHERE delivered_at IS NULL").fetchone()
        return taken, int(left[0]) if left else 0


def _send(webhook: str | None, body: Mapping[str, Any]) -> str | None:
    """Send one alert; return why it was not taken."""
    if webhook is None:
        _log.error("alert: %s (%s)", body["text"], body["key"])
        return None
    import httpx2

    try:
        answer = httpx2.post(
            webhook,
            content=json.dumps(body),
            headers={"content-type": "application/json", "idempotency-key": str(body["key"])},
            timeout=TIMEOUT_SECONDS,
        )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return None if answer.is_success else f"HTTP status {answer.status_code}"


_RAISE = """
INSERT INTO quality.alerts AS a (key, kind, text, details) VALUES (%s, %s, %s, %s)
ON CONFLICT (key) DO UPDATE SET text = excluded.text, details = excluded.details, raised_at = clock_timestamp(),
    delivered_at = NULL, resolved_at = NULL, attempts = 0, last_error = NULL
WHERE a.resolved_at IS NOT NULL
"""
_NEXT = """
SELECT key, kind, text, details, raised_at FROM quality.alerts WHERE delivered_at IS NULL
ORDER BY raised_at, key LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_TAKEN = "UPDATE quality.alerts SET delivered_at = clock_timestamp(), attempts = attempts + 1 WHERE key = %s"
_NOT_TAKEN = "UPDATE quality.alerts SET attempts = attempts + 1, last_error = %s WHERE key = %s"
