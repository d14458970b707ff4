"""What a sensor remembers: how far it has read the raw table, and which of its requests are not done yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

MAX_ATTEMPTS = 3
ALL = "all"
"""What stands for the date in the run key of tables that have none."""


@dataclass(frozen=True)
class Request:
    """A run asked for: one date (None: tables without any), up to its newest raw row, for the so manieth time."""

    mapping: str
    day: date | None
    raw_id: int
    attempt: int

    @property
    def key(self) -> str:
        """The run key: never used before, as Dagster remembers them forever."""
        return f"{self.mapping}:{self.day.isoformat() if self.day else ALL}:{self.raw_id}:{self.attempt}"

    @classmethod
    def parse(cls, key: str) -> Request:
        """Return the request of a run key."""
        mapping, day, raw_id, attempt = key.rsplit(":", 3)
        return cls(mapping, None if day == ALL else date.fromisoformat(day), int(raw_id), int(attempt))

    def next_attempt(self) -> Request:
        """Return the same request once more."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class Cursor:
    """`raw` is the raw store's cursor; `requests` are the requests whose runs have not succeeded yet, by run key."""

    raw: str | None = None
    requests: Mapping[str, Request] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> Cursor:
        """Read a cursor; one that was reset, or set by hand to something else, starts from the beginning."""
        try:
            value = json.loads(text) if text else {}
            return cls(value.get("raw"), {key: Request.parse(key) for key in value.get("requests", [])})
        except (ValueError, TypeError, AttributeError):
            return cls()

    def text(self) -> str:
        """Return what `parse` reads."""
        return json.dumps({"raw": self.raw, "requests": sorted(self.requests)})
