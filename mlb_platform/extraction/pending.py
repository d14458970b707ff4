"""What there is to do: which dates and entities of a range have a newest good capture that some sink lacks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from mlb_platform.extraction.plan import (
    EntityPlan,
    dates_of,
    entities_of_dates,
    held_ids,
    merged_states,
    needs_work,
    plan_entities,
    raw_rows,
)
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.merge import ScopeState


@dataclass
class Pending:
    """The entities asked for, and what of them is to be done.

    `dates` have raw rows or table rows in the range; `work` gives the entities to merge by date, `undated` those whose
    newest capture has no date, `waiting` those whose date others are to tell. `held` are captures passed over now,
    newer than what is merged: raw id by entity.
    """

    plans: dict[str, EntityPlan]
    states: dict[tuple[str, str], dict[str, ScopeState]]
    dates: list[date] = field(default_factory=list)
    work: dict[date, set[str]] = field(default_factory=lambda: defaultdict(set))
    undated: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    captures: int = 0
    rows_by_date: Counter[date | None] = field(default_factory=Counter)

    @property
    def entities(self) -> set[str]:
        """Every entity with work."""
        return {e for found in self.work.values() for e in found} | set(self.undated)

    @property
    def held(self) -> dict[str, list[int]]:
        """Raw ids of held captures that are newer than the newest good one, by entity."""
        return {p.entity: [r.raw_id for r in p.passed_over] for p in self.plans.values() if p.passed_over}

    def rows(self, sink: str, table: str, outside: Collection[str] = ()) -> int:
        """Return the rows that a sink's table has of these entities, without those of `outside`."""
        return sum(s.rows for scope, s in self.states[sink, table].items() if scope not in outside)


def find_pending(
    stores: Stores,
    mapping: ResolvedMapping,
    tables: Sequence[str],
    *,
    entities: Sequence[str] | None = None,
    start: date | None = None,
    end: date | None = None,
    full: bool = False,
) -> Pending:
    """Look up what is to be done for these entities, or for the dates from `start` to `end` (None: open).

    An entity belongs to the range when one of its raw rows or table rows has a date in it; one without any date only to
    the open range. It has work when a sink lacks its newest good capture in one of `tables`, or `full` is asked for.
    Reads only; what interrupted merges left behind counts as work.
    """
    specs = [merge_spec(mapping.by_name[t]) for t in tables]
    sinks = [s.name for s in stores.sinks]
    raw_table = mapping.config.source.raw_table

    def inside(day: date | None) -> bool:
        if day is None:
            return start is None and end is None
        return (start is None or day >= start) and (end is None or day <= end)

    looked_at = entities
    if entities is None and start is not None and end is not None:
        days = [start + timedelta(days=n) for n in range((end - start).days + 1)]
        looked_at = entities_of_dates(stores, mapping, tables, days)
    rows = raw_rows(stores, mapping, entity_keys=looked_at)
    states = merged_states(stores, specs, looked_at, locked=False)
    if entities is None:
        chosen = {r.entity_key for r in rows if inside(r.partition_date)}
        chosen |= {s.scope for known in states.values() for s in known.values() if inside(s.partition)}
        rows = [r for r in rows if r.entity_key in chosen]
    else:
        chosen = set(entities)
    states = {key: {e: s for e, s in known.items() if e in chosen} for key, known in states.items()}
    records = stores.quality.quarantined(raw_table, released=True)
    held = held_ids(records, specs)
    pending = Pending(plan_entities(rows, held, mapping), states, captures=len({r.raw_id for r in rows}))
    raw_dates: dict[str, set[date | None]] = defaultdict(set)
    for row in rows:
        raw_dates[row.entity_key].add(row.partition_date)
        pending.rows_by_date[row.partition_date] += 1
    found: set[date] = set()
    for entity, plan in pending.plans.items():
        concerned = dates_of(plan, states, tables, sinks)
        known_dates = {d for d in raw_dates[entity] if d is not None} | concerned
        in_range = {d for d in known_dates if entities is not None or inside(d)}
        found |= in_range
        if plan.waits:
            pending.waiting.append(entity)
        if plan.newest is None or plan.waits or not (full or needs_work(plan, specs, states, sinks)):
            continue
        for day in concerned & in_range or in_range:
            pending.work[day].add(entity)
        if not in_range:
            pending.undated.append(entity)
    pending.dates = sorted(found)
    pending.undated.sort()
    return pending
