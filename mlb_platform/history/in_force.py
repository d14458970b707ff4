"""Which capture says what was known of an entity at a time: the newest of those taken until then."""

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
    time between. Newest is as everywhere: seen last, then by content hash; of equal ones the row stored first.
    """
    taken = [r for r in captures if r.captured_at <= at]
    return sorted(taken, key=lambda r: (r.as_of, -r.raw_id), reverse=True)


def spans(captures: Iterable[RawRow]) -> list[Span]:
    """Return which of one entity's captures is in force when, in order of time.

    At each moment it is the one that `newest_first` gives; a capture that an older one outlasts has no span.
    """
    leading: list[RawRow] = []
    for row in sorted(captures, key=lambda r: (r.captured_at, r.as_of, -r.raw_id)):
        if leading and (row.as_of, -row.raw_id) < (leading[-1].as_of, -leading[-1].raw_id):
            continue
        if leading and leading[-1].captured_at == row.captured_at:
            leading.pop()
        leading.append(row)
    ends = [*(r.captured_at for r in leading[1:]), None]
    return [Span(row, row.captured_at, end) for row, end in zip(leading, ends, strict=True)]
