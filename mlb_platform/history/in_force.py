"""Which capture says what was known of an entity at a time: of those taken until then the one that was seen last.

A capture was seen when it was taken and, where a poller received the same again, for the last time later; of the times
between none is kept. So a capture is only known to hold at those two times, and another one that was taken between
them, and arrived late, was seen after the first and before the second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from resources.raw_store import RawRow


@dataclass(frozen=True)
class Span:
    """A capture and the times, [start, end), at which it is the newest; without `end` it still is."""

    capture: RawRow
    start: datetime
    end: datetime | None


def newest_first(captures: Iterable[RawRow], at: datetime) -> list[RawRow]:
    """Return the captures taken until `at` (inclusive), the newest first.

    Taken is when the response was received first: that a poller saw the same again later does not take it away from the
    time between. Newest is as everywhere, seen last, then by content hash, of equal ones the row stored first; but that
    a capture was seen after `at` was not known then.
    """
    taken = [r for r in captures if r.captured_at <= at]
    return sorted(taken, key=lambda r: _order(r, r.observed_at if r.observed_at <= at else r.captured_at), reverse=True)


def spans(captures: Iterable[RawRow]) -> list[Span]:
    """Return which of one entity's captures is in force when, in order of time.

    At each moment it is the one that `newest_first` gives; one that is seen again after another has two spans.
    """
    sightings = [(time, row) for row in captures for time in {row.captured_at, row.observed_at}]
    begun: list[tuple[datetime, RawRow]] = []
    for time, row in sorted(sightings, key=lambda s: _order(s[1], s[0])):
        if begun and begun[-1][0] == time:
            begun.pop()
        if not begun or begun[-1][1].raw_id != row.raw_id:
            begun.append((time, row))
    ends = [*(time for time, _ in begun[1:]), None]
    return [Span(row, start, end) for (start, row), end in zip(begun, ends, strict=True)]


def successive(captures: Iterable[RawRow]) -> list[RawRow]:
    """Return the captures as each replaced the one before, by what is known now: none that an older one outlasts."""
    leading: list[RawRow] = []
    for row in sorted(captures, key=lambda r: (r.captured_at, r.as_of, -r.raw_id)):
        if leading and (row.as_of, -row.raw_id) < (leading[-1].as_of, -leading[-1].raw_id):
            continue
        if leading and leading[-1].captured_at == row.captured_at:
            leading.pop()
        leading.append(row)
    return leading


def _order(row: RawRow, seen: datetime) -> tuple[datetime, str, int]:
    return (seen, row.content_hash, -row.raw_id)
