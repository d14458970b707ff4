"""What a sensor remembers: how far it has read the raw table, which of its requests are not done, and days ahead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

MAX_ATTEMPTS = 3
ALL = "all"
"""What stands for the date in the run key of tables that have none."""
Place = tuple[int, int]
"""Where a row stands in the order in which rows are given to cursors: the number of its transaction, and its raw id."""


@dataclass(frozen=True)
class Request:
    """A run asked for: one date (None: tables without any), up to its newest raw row, for the so manieth time.

    `xid` is the transaction that gave cursors the row, and `began` when the cursor began that was given it, in
    milliseconds; requests of earlier versions tell neither (0).
    """

    mapping: str
    day: date | None
    raw_id: int
    attempt: int
    xid: int = 0
    began: int = 0

    @property
    def key(self) -> str:
        """The run key: Dagster remembers it forever, so it is another whenever a row is given to the sensor anew."""
        row = f"{self.began}.{self.xid}.{self.raw_id}" if self.xid else f"{self.raw_id}"
        return f"{self.mapping}:{self.day.isoformat() if self.day else ALL}:{row}:{self.attempt}"

    @property
    def place(self) -> Place:
        """The place of its newest row: requests of a date are made in this order."""
        return self.xid, self.raw_id

    @classmethod
    def parse(cls, key: str) -> Request:
        """Return the request of a run key, one of an earlier version too. Raises ValueError for another text."""
        mapping, day, row, attempt = key.rsplit(":", 3)
        *given, raw_id = row.split(".")
        began, xid = (int(number) for number in given or (0, 0))
        return cls(mapping, None if day == ALL else date.fromisoformat(day), int(raw_id), int(attempt), xid, began)

    def next_attempt(self) -> Request:
        """Return the same request once more."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class Cursor:
    """`raw` is the raw store's cursor; `requests` are the requests whose runs have not succeeded yet, by run key.

    `ahead` has the days that are no partitions yet, with the place of their newest rows; `began` is when this cursor
    began at the first row, in milliseconds (0: not known).
    """

    raw: str | None = None
    requests: Mapping[str, Request] = field(default_factory=dict)
    ahead: Mapping[date, Place] = field(default_factory=dict)
    began: int = 0

    @classmethod
    def parse(cls, text: str | None) -> Cursor:
        """Read a cursor, one of an earlier version too; one that was reset, or set by hand to something else, starts
        from the beginning."""
        try:
            value = json.loads(text) if text else {}
            return cls(
                value.get("raw"),
                {key: Request.parse(key) for key in value.get("requests", [])},
                {date.fromisoformat(d): (int(xid), int(raw)) for d, (xid, raw) in value.get("ahead", {}).items()},
                int(value.get("began", 0)),
            )
        except (ValueError, TypeError, AttributeError):
            return cls()

    def text(self) -> str:
        """Return what `parse` reads."""
        ahead = {day.isoformat(): self.ahead[day] for day in sorted(self.ahead)}
        return json.dumps({"raw": self.raw, "requests": sorted(self.requests), "ahead": ahead, "began": self.began})
