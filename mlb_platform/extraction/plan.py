"""Which captures have to be merged: by entity, the newest that breaks no error rule, where a sink has not merged it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.element import element_reads
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.merge import FOLDED, MergeSpec, ScopeState
from resources.quality_store import QuarantineRecord
from resources.raw_store import RawRow

States = Mapping[tuple[str, str], Mapping[str, ScopeState]]
"""What was merged last, by (sink, table) and scope."""


@dataclass
class EntityPlan:
    """One entity: its captures newest first without those known to be held, and those passed over.

    `folds`: all its captures count, not only the newest; of those that tell the same the newest, for what an older one
    tells, a newer one tells too. `waits`: its date is not known yet.
    """

    entity: str
    candidates: list[RawRow]
    passed_over: list[RawRow] = field(default_factory=list)
    folds: bool = False
    waits: bool = False

    @property
    def newest(self) -> RawRow | None:
        """The capture to merge, if any is good."""
        return self.candidates[0] if self.candidates else None

    @property
    def offered(self) -> list[RawRow]:
        """The captures that its rows are made of, newest first."""
        if not self.folds:
            return self.candidates[:1]
        newest: dict[str, RawRow] = {}
        for c in self.candidates:
            newest.setdefault(_told(c), c)
        return list(newest.values())

    @property
    def content_hash(self) -> str:
        """What identifies the content to merge: the newest capture's hash, or that of what is offered, in its order.

        A capture that tells what is known already changes it only by coming before what was newest.
        """
        if not self.folds:
            return self.candidates[0].content_hash
        told = [_told(c) for c in self.offered]
        return f"{FOLDED}{len(told):06d}:{hashlib.sha256(chr(10).join(told).encode()).hexdigest()}"

    def pass_over(self, raw_ids: Collection[int]) -> None:
        """Leave out these captures, which are held; older ones that tell the same are then offered in their place."""
        self.passed_over += [c for c in self.candidates if c.raw_id in raw_ids]
        self.candidates = [c for c in self.candidates if c.raw_id not in raw_ids]


def _told(row: RawRow) -> str:
    """Return what identifies what a capture tells of an entity; of one where that is not known, all that it tells."""
    return row.told or row.content_hash


def raw_rows(
    stores: Stores,
    mapping: ResolvedMapping,
    *,
    entity_keys: Sequence[str] | None = None,
    dates: Sequence[date] | None = None,
) -> list[RawRow]:
    """Return the raw rows of entities or dates (None: all), one for each entity in them, with their dates of now.

    What tells that two of them tell the same is left out where it was found for a mapping that read other parts.
    """
    source = mapping.config.source
    if source.dated_by is not None:
        stores.raw.redate(source.raw_table, source.dated_by, entity_keys)
    rows = stores.raw.rows(source.raw_table, entity_keys=entity_keys, dates=dates, by_member=mapping.per_element)
    reads = element_reads(mapping)
    of_today = f"{reads.fingerprint}:" if reads is not None else None
    return [
        r if r.told is None or (of_today is not None and r.told.startswith(of_today)) else replace(r, told=None)
        for r in rows
    ]


def merged_states(
    stores: Stores, specs: Sequence[MergeSpec], entities: Sequence[str] | None, *, locked: bool
) -> dict[tuple[str, str], dict[str, ScopeState]]:
    """Return what every sink has merged of the entities (None: of all), by sink and table."""
    return {
        (sink.name, table): known
        for sink in stores.sinks
        for table, known in sink.states(specs, entities, locked=locked).items()
    }


def entities_of_dates(
    stores: Stores, mapping: ResolvedMapping, tables: Sequence[str], dates: Sequence[date]
) -> list[str]:
    """Return every entity with a raw row or a table row of these dates."""
    found = {r.entity_key for r in raw_rows(stores, mapping, dates=dates)}
    with stores.postgres.transaction() as connection:
        rows = connection.execute(
            "SELECT DISTINCT scope FROM quality.merge_state WHERE table_name = ANY(%s) AND partition_date = ANY(%s)",
            [list(tables), list(dates)],
        )
        found |= {row[0] for row in rows}
    return sorted(found)


def merged_dates(stores: Stores, tables: Sequence[str]) -> set[date]:
    """Return the dates that rows of these tables lie under; those of raw rows can be others since."""
    with stores.postgres.transaction() as connection:
        rows = connection.execute(
            "SELECT DISTINCT partition_date FROM quality.merge_state WHERE table_name = ANY(%s)", [list(tables)]
        )
        return {row[0] for row in rows if row[0] is not None}


def lock_names(mapping: ResolvedMapping, entities: Iterable[str]) -> list[str]:
    """Return what to lock for work on entities: themselves, or the mapping where responses have several of them."""
    return ["*"] if mapping.per_element else list(entities)


def held_ids(records: Iterable[QuarantineRecord], specs: Sequence[MergeSpec]) -> set[int]:
    """Return the raw ids held by rules as they are now for these tables, and not released by hand."""
    hashes = {s.table: s.derivation_hash for s in specs}
    return {
        r.raw_id
        for r in records
        if r.released_at is None and (r.table_name == "" or hashes.get(r.table_name) == r.derivation_hash)
    }


def plan_entities(rows: Iterable[RawRow], held: set[int], mapping: ResolvedMapping) -> dict[str, EntityPlan]:
    """Order the captures of each entity newest first and pass over those that are held."""
    folds = any(t.folds for t in mapping.targets)
    waits_for_date = mapping.config.source.dated_by is not None
    by_entity: dict[str, list[RawRow]] = defaultdict(list)
    for row in rows:
        by_entity[row.entity_key].append(row)
    plans = {}
    for entity, captures in by_entity.items():
        plan = EntityPlan(entity, sorted(captures, key=lambda r: (r.as_of, -r.raw_id), reverse=True), folds=folds)
        if folds:
            plan.pass_over(held)
        while plan.candidates and plan.candidates[0].raw_id in held:
            plan.pass_over({plan.candidates[0].raw_id})
        plan.waits = waits_for_date and plan.newest is not None and plan.newest.partition_date is None
        plans[entity] = plan
    return plans


def is_merged(plan: EntityPlan, state: ScopeState | None, spec: MergeSpec) -> bool:
    """Whether a sink holds what the entity's captures say, under its date, derived as the mapping says today."""
    return (
        state is not None
        and plan.newest is not None
        and state.content_hash == plan.content_hash
        and state.derivation_hash == spec.derivation_hash
        and state.partition == plan.newest.partition_date
    )


def needs_work(plan: EntityPlan, specs: Sequence[MergeSpec], states: States, sinks: Sequence[str]) -> bool:
    """Whether any sink lacks the entity's newest good capture in any table."""
    if plan.newest is None or plan.waits:
        return False
    return any(not is_merged(plan, states[sink, s.table].get(plan.entity), s) for sink in sinks for s in specs)


def dates_of(plan: EntityPlan, states: States, tables: Sequence[str], sinks: Sequence[str]) -> set[date]:
    """Return every partition date the entity's merge concerns: of its rows until now and of its newest capture."""
    found = {plan.newest.partition_date} if plan.newest else {r.partition_date for r in plan.passed_over[:1]}
    for sink in sinks:
        for table in tables:
            state = states[sink, table].get(plan.entity)
            if state is not None:
                found.add(state.partition)
    return {d for d in found if d is not None}
