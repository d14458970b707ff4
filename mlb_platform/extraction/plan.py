"""Which captures have to be merged: by entity, the newest that breaks no error rule, where a sink has not merged it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from resources.merge import MergeSpec, ScopeState
from resources.quality_store import QuarantineRecord
from resources.raw_store import RawRow

States = Mapping[tuple[str, str], Mapping[str, ScopeState]]
"""What was merged last, by (sink, table) and scope."""


@dataclass
class EntityPlan:
    """One entity: its captures newest first without those known to be held, and those passed over."""

    entity: str
    candidates: list[RawRow]
    passed_over: list[RawRow] = field(default_factory=list)

    @property
    def newest(self) -> RawRow | None:
        """The capture to merge, if any is good."""
        return self.candidates[0] if self.candidates else None

    def pass_over(self) -> None:
        """Go on to the next older capture."""
        self.passed_over.append(self.candidates.pop(0))


def held_ids(records: Iterable[QuarantineRecord], specs: Sequence[MergeSpec]) -> set[int]:
    """Return the raw ids held by rules as they are now for these tables, and not released by hand."""
    hashes = {s.table: s.derivation_hash for s in specs}
    return {
        r.raw_id
        for r in records
        if r.released_at is None and (r.table_name == "" or hashes.get(r.table_name) == r.derivation_hash)
    }


def plan_entities(rows: Iterable[RawRow], held: set[int]) -> dict[str, EntityPlan]:
    """Order the captures of each entity newest first and pass over those that are held."""
    by_entity: dict[str, list[RawRow]] = defaultdict(list)
    for row in rows:
        by_entity[row.entity_key].append(row)
    plans = {}
    for entity, captures in by_entity.items():
        plan = EntityPlan(entity, sorted(captures, key=lambda r: (r.as_of, -r.raw_id), reverse=True))
        while plan.candidates and plan.candidates[0].raw_id in held:
            plan.pass_over()
        plans[entity] = plan
    return plans


def is_merged(capture: RawRow, state: ScopeState | None, spec: MergeSpec) -> bool:
    """Whether a sink holds exactly this content, derived as the mapping says today."""
    return (
        state is not None
        and state.content_hash == capture.content_hash
        and state.derivation_hash == spec.derivation_hash
    )


def needs_work(plan: EntityPlan, specs: Sequence[MergeSpec], states: States, sinks: Sequence[str]) -> bool:
    """Whether any sink lacks the entity's newest good capture in any table."""
    newest = plan.newest
    return newest is not None and any(
        not is_merged(newest, states[sink, spec.table].get(plan.entity), spec) for sink in sinks for spec in specs
    )


def dates_of(plan: EntityPlan, states: States, tables: Sequence[str], sinks: Sequence[str]) -> set[date]:
    """Return every partition date the entity's merge concerns: of its rows until now and of its newest capture."""
    found = {plan.newest.partition_date} if plan.newest else {r.partition_date for r in plan.passed_over[:1]}
    for sink in sinks:
        for table in tables:
            state = states[sink, table].get(plan.entity)
            if state is not None:
                found.add(state.partition)
    return {d for d in found if d is not None}
