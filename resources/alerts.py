"""Alerts: raised once, kept in the database, and delivered to a webhook or the log until they were taken."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from psycopg.types.json import Jsonb

from resources.own_tables import OwnTables
from resources.postgres import Postgres

_log = logging.getLogger(__name__)
TIMEOUT_SECONDS = 5.0
PER_DELIVERY = 20
"""So many alerts are delivered at once; the rest the next time."""
NOT_NOW = frozenset({408, 429})
"""The HTTP statuses from 400 to 499 that say nothing about the alert: the receiver takes none for now."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""What PostgreSQL keeps in no text."""
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
    """Something a person should know. `key` identifies the trouble: while it lasts it is told once.

    `at` (aware) is when the trouble was; None is when the alert is raised.
    """

    key: str
    kind: str
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None


class Alerts:
    """Keeps and delivers alerts. Nothing here raises because a receiver does not answer."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._tables = OwnTables(postgres, "quality.alerts", _TABLE)

    def raise_(self, alerts: Iterable[Alert]) -> int:
        """Keep alerts that are not raised already; return how many are new. One that was resolved is raised again.

        Not by a trouble from before it was resolved: what is told twice, or late, changes nothing. NUL and halves of
        surrogate pairs, which PostgreSQL cannot keep, become U+FFFD.
        """
        self._tables.ensure()
        with self._postgres.transaction() as connection:
            return sum(
                connection.execute(
                    _RAISE, [_clean(a.key), _clean(a.kind), _clean(a.text), Jsonb(_clean(a.details)), a.at]
                ).rowcount
                for a in alerts
            )

    def resolve(self, keys: Iterable[str], at: datetime | None = None) -> None:
        """Note that these troubles are over since `at` (aware; None is now).

        Unknown keys, and troubles that came up after that, are nothing.
        """
        self._tables.ensure()
        with self._postgres.transaction() as connection:
            connection.execute(_RESOLVE, {"keys": sorted({_clean(key) for key in keys}), "at": at})

    def open(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """Return the alerts of a kind that are not resolved: their details by key."""
        self._tables.ensure()
        with self._postgres.transaction() as connection:
            query = "SELECT key, details FROM quality.alerts WHERE kind = %s AND resolved_at IS NULL ORDER BY key"
            return dict(connection.execute(query, [_clean(kind)]).fetchall())

    def deliver(self, webhook: str | None) -> tuple[int, int]:
        """Deliver what is undelivered; return how many were taken and how many are left.

        To the URL `webhook` as JSON by POST, or to the log where it is None. First what was sent least often, of those
        the oldest. An alert that the receiver refuses (HTTP 400 to 499, but for NOT_NOW) holds up no other; any other
        failure ends the turn. Both are logged, and stay in the table until they are taken. Two deliverers at once never
        send the same alert.
        """
        self._tables.ensure()
        taken, tried = 0, list[str]()
        for _ in range(PER_DELIVERY):
            # one transaction an alert: what was taken stays taken, whatever comes after it
            with self._postgres.transaction() as connection:
                row = connection.execute(_NEXT, [tried]).fetchone()
                if row is None:
                    break
                key, kind, text, details, raised_at = row
                body = {"key": key, "kind": kind, "text": text, "raised_at": raised_at.isoformat(), "details": details}
                failure = _send(webhook, body)
                if failure is None:
                    connection.execute(_TAKEN, [key])
                    taken += 1
                else:
                    connection.execute(_NOT_TAKEN, [failure.why, key])
            if failure is None:
                continue
            if not failure.of_alert:
                _log.warning("alert %s was not delivered: %s; it is sent again", key, failure.why)
                break
            _log.warning("alert %s was refused: %s; it is sent again after the others", key, failure.why)
            tried.append(key)
        with self._postgres.transaction() as connection:
            left = connection.execute("SELECT count(*) FROM quality.alerts WHERE delivered_at IS NULL").fetchone()
        return taken, int(left[0]) if left else 0


@dataclass(frozen=True)
class _Failure:
    """Why an alert was not taken, and whether that is for the alert's own sake: others may be."""

    why: str
    of_alert: bool = False


def _send(webhook: str | None, body: Mapping[str, Any]) -> _Failure | None:
    """Send one alert; return why it was not taken."""
    if webhook is None:
        _log.error("alert: %s (%s)", body["text"], body["key"])
        return None
    import httpx2

    key = quote(str(body["key"]), safe=":/+,")  # a header takes neither every letter nor a line end
    try:
        answer = httpx2.post(
            webhook,
            content=json.dumps(body),
            headers={"content-type": "application/json", "idempotency-key": key},
            timeout=TIMEOUT_SECONDS,
        )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return _Failure(_clean(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"))
    if answer.is_success:
        return None
    return _Failure(f"HTTP status {answer.status_code}", answer.is_client_error and answer.status_code not in NOT_NOW)


def _clean(value: Any) -> Any:
    """Return a text, or all texts of a JSON document, as PostgreSQL can keep them."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {_clean(name): _clean(member) for name, member in value.items()}
    return [_clean(member) for member in value] if isinstance(value, list | tuple) else value


_RAISE = """
INSERT INTO quality.alerts AS a (key, kind, text, details, raised_at)
VALUES (%s, %s, %s, %s, coalesce(%s, clock_timestamp()))
ON CONFLICT (key) DO UPDATE SET text = excluded.text, details = excluded.details, raised_at = excluded.raised_at,
    delivered_at = NULL, resolved_at = NULL, attempts = 0, last_error = NULL
WHERE a.resolved_at < excluded.raised_at
"""
_RESOLVE = """
UPDATE quality.alerts SET resolved_at = coalesce(%(at)s, clock_timestamp())
WHERE key = ANY(%(keys)s) AND resolved_at IS NULL AND raised_at <= coalesce(%(at)s, clock_timestamp())
"""
_NEXT = """
SELECT key, kind, text, details, raised_at FROM quality.alerts WHERE delivered_at IS NULL AND key <> ALL(%s)
ORDER BY attempts, raised_at, key LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_TAKEN = "UPDATE quality.alerts SET delivered_at = clock_timestamp(), attempts = attempts + 1 WHERE key = %s"
_NOT_TAKEN = "UPDATE quality.alerts SET attempts = attempts + 1, last_error = %s WHERE key = %s"
