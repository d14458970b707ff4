"""Moments of an entity: which of its captures its rows are made of, and from when to when that was what was known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from mlb_platform.extraction.plan import EntityPlan
from mlb_platform.history.in_force import newest_first, spans
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.raw_store import RawRow


@dataclass(frozen=True)
class Moment:
    """What was known of an entity in [start, end); without `end` it still is."""

    plan: EntityPlan
    start: datetime
    end: datetime | None = None

    @property
    def entity(self) -> str:
        """The entity."""
        return self.plan.entity

    @property
    def capture(self) -> RawRow:
        """The newest capture of those that count."""
        return self.plan.offered[0]


Choose = Callable[[Sequence[RawRow]], list[Moment]]
"""Chooses moments by the good captures of one entity, in order of time."""


def latest_at(mapping: ResolvedMapping, at: datetime) -> Choose:
    """Choose what was known at a time: of captures taken later nothing."""

    def choose(captures: Sequence[RawRow]) -> list[Moment]:
        known = newest_first(captures, at)
        return list(_moment(mapping, known, known[0].captured_at)) if known else []

    return choose


def every(mapping: ResolvedMapping) -> Choose:
    """Choose every moment from the first capture until now."""

    def choose(captures: Sequence[RawRow]) -> list[Moment]:
        if not _folds(mapping):
            found = [m for s in spans(captures) for m in _moment(mapping, [s.capture], s.start, s.end)]
            return found
        times = sorted({time for c in captures for time in (c.captured_at, c.observed_at)})
        orders = [(time, newest_first(captures, time)) for time in times]
        orders = [new for old, new in zip([None, *orders], orders, strict=False) if old is None or old[1] != new[1]]
        ends = [*(time for time, _ in orders[1:]), None]
        return [
            m for (start, known), end in zip(orders, ends, strict=True) for m in _moment(mapping, known, start, end)
        ]

    return choose


def _folds(mapping: ResolvedMapping) -> bool:
    return any(t.folds for t in mapping.targets)


def _moment(
    mapping: ResolvedMapping, known: list[RawRow], start: datetime, end: datetime | None = None
) -> Iterator[Moment]:
    """Give the moment, unless nothing could be merged then: the entity's date is not known."""
    waits = mapping.config.source.dated_by is not None and known[0].partition_date is None
    if not waits:
        yield Moment(EntityPlan(known[0].entity_key, known, folds=_folds(mapping)), start, end)
