"""Corrections found: merges not looked at yet are, by Delta's change data feed, and what changed after the end is kept.

Between the capture merged before and the one merged now others may have been taken that were never merged, and the
mapping may have changed: then rows are compared as the captures between them give them by the mapping of today.
"""

from __future__ import annotations

import json
import logging
import weakref
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mlb_platform.extraction.stores import Stores
from mlb_platform.extraction.work import TableBatch, Work
from mlb_platform.history.compare import Look, Pair, Step, by_feed, by_states, chain
from mlb_platform.history.corrections_store import ComparedAnew, Correction, CorrectionsStore
from mlb_platform.history.finality import Finality
from mlb_platform.history.states import States
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.delta_changes import VersionGone
from resources.errors import PlatformError
from resources.lake import sink_id
from resources.lake_handles import opened
from resources.merge import MergeCounts, MergeSpec
from resources.merge_history import (
    UnexaminedMerge,
    give_up_gone,
    unexamined_merges,
    unexamined_sinks,
    unexamined_tables,
)

_log = logging.getLogger(__name__)


class Examiner:
    """Looks at merges after they happened and keeps the corrections in them.

    What it is called for twice, or what was interrupted, gives nothing twice and leaves nothing out.
    """

    def __init__(self, stores: Stores, lake: str, mappings: Iterable[ResolvedMapping]) -> None:
        self.stores = stores
        self.lake = lake
        self.corrections = CorrectionsStore(stores.postgres)
        self._finality = Finality(stores.postgres, mappings)

    def examine(self, mapping: ResolvedMapping, table: str, look: Look | None = None) -> Counter[date | None]:
        """Look at the merges into a table that were not yet; return the number of new corrections by game date.

        `look` may be given to use, for other tables of the mapping, what is read and derived.
        """
        waiting = self._waiting(table)
        if not waiting:
            return Counter()
        look = look or Look(self.stores, self.lake, mapping)
        spec = look.states.specs[table]
        steps = self._steps(mapping, spec, waiting, look)
        pairs = self._compared(mapping, spec, steps, look.states)
        corrections = [c for pair in pairs for c in _corrections(spec, mapping, pair)]
        stored = self.corrections.add(corrections, [w.merge for w in waiting], _compared_anew(table, steps, pairs))
        if stored:
            _log.info("%s: %s corrections", table, sum(stored.values()))
        return stored

    def examine_waiting(self, registry: MappingRegistry) -> dict[str, int]:
        """Look at everything that was not looked at yet; return the number of new corrections by table."""
        waiting = self.waiting()
        found: dict[str, int] = {}
        for mapping in registry.mappings.values():
            look = Look(self.stores, self.lake, mapping)
            for table in (t.name for t in mapping.targets if t.name in waiting):
                if number := sum(self.examine(mapping, table, look).values()):
                    found[table] = number
        return found

    def waiting(self) -> set[str]:
        """Return the tables with merges that were not looked at yet."""
        with self.stores.postgres.transaction() as connection:
            return set(unexamined_tables(connection))

    def _waiting(self, table: str) -> list[UnexaminedMerge]:
        """Return the merges into a table of the lake that nobody looked at; those into one before it are given up."""
        with self.stores.postgres.transaction() as connection:
            sinks = unexamined_sinks(connection, table)
        if not sinks:
            return []
        with opened(self.lake, table) as delta:
            if delta is None:
                return []
            sink, created = sink_id(delta), delta.metadata().created_time
        with self.stores.postgres.transaction() as connection:
            if sinks - {sink} and created is not None:
                give_up_gone(connection, table, sink, datetime.fromtimestamp(created / 1000, UTC))
            return unexamined_merges(connection, sink, table) if sink in sinks else []

    def _steps(
        self, mapping: ResolvedMapping, spec: MergeSpec, waiting: Sequence[UnexaminedMerge], look: Look
    ) -> list[Step]:
        """Return what there is to compare."""
        if self._finality.teller(mapping) is None:
            return []
        good = look.good_captures(sorted({w.merge.scope for w in waiting}))
        steps, first = [], []
        for before, merge in ((w.before, w.merge) for w in waiting):
            if before is None:
                first.append(Step(None, merge, chain(good[merge.scope], None, merge)))
            elif before.content_hash != merge.content_hash and before.as_of < merge.as_of:
                steps.append(Step(before, merge, chain(good[merge.scope], before, merge)))
        return steps + self._since_over(mapping, first)

    def _since_over(self, mapping: ResolvedMapping, steps: Sequence[Step]) -> list[Step]:
        """Keep of first merges, from the newest capture back, those captures that were taken when the game was over.

        Looked at in this order, since of a game that was followed live there are hundreds, and few are of its end.
        """
        kept: list[Step] = []
        going_on, back = [s for s in steps if len(s.captures) > 1], 2
        while going_on:
            asked = [s.captures[-back] for s in going_on]
            over = self._finality.final(mapping, asked)
            still = [s for s, c in zip(going_on, asked, strict=True) if c.raw_id in over]
            kept += [replace(s, captures=s.captures[1 - back :]) for s in going_on if s not in still and back > 2]
            kept += [s for s in still if len(s.captures) == back]
            going_on, back = [s for s in still if len(s.captures) > back], back + 1
        return kept

    def _compared(self, mapping: ResolvedMapping, spec: MergeSpec, steps: Sequence[Step], states: States) -> list[Pair]:
        """Return, of the steps, the pairs of captures of which the first was final, with what they differ in."""
        every = {c.raw_id: c for s in steps for c in s.captures}
        final = self._finality.final(mapping, list(every.values()))
        concerned = [s for s in steps if any(c.raw_id in final for c in s.captures[:-1])]
        told = [s for s in concerned if s.feed_tells]
        untold = [s for s in concerned if not s.feed_tells]
        pairs: list[Pair] = []
        if told:
            try:
                pairs += by_feed(self.lake, spec, told)
            except VersionGone as error:
                _log.info("%s: compared by derivation: %s", spec.table, error)
                untold += told
        if untold:
            pairs += [p for p in by_states(spec, untold, states) if p.old.raw_id in final]
        return pairs


class AfterMerge:
    """Examines each table of a run right after it was merged; what a run derives for one table serves the others."""

    def __init__(self, stores: Stores, lake: str, mappings: Callable[[], Iterable[ResolvedMapping]]) -> None:
        self._made: Examiner | None = None
        self._make: Callable[[], Examiner] = lambda: Examiner(stores, lake, mappings())
        self._look: tuple[weakref.ref[Work], Look, set[str]] | None = None

    def __call__(self, work: Work, batch: TableBatch) -> None:
        """Count the corrections in the batch's report; what cannot be examined now is left for the next time."""
        try:
            batch.report.corrections.update(self._examined(work, batch))
        except Exception as error:  # noqa: BLE001 - whatever fails here: the rows are merged, and the run goes on
            self._look = None
            problem = f"{batch.spec.table}: corrections are not examined yet: {error}"
            work.report.problems.append(problem)
            _log.warning("%s", problem, exc_info=not isinstance(error, PlatformError))

    def _examined(self, work: Work, batch: TableBatch) -> Counter[date | None]:
        table = batch.spec.table
        if batch.batch.first:
            return Counter()
        self._made = self._made or self._make()
        if self._look is None or self._look[0]() is not work:
            look = Look(self._made.stores, self._made.lake, work.mapping)
            self._look = (weakref.ref(work), look, self._made.waiting())
        _, look, waiting = self._look
        if table not in waiting and _wrote_nothing(work, batch):
            return Counter()
        return self._made.examine(work.mapping, table, look)


def _wrote_nothing(work: Work, batch: TableBatch) -> bool:
    """Whether every entity of a batch was merged before, and no row of it is another now."""
    known = [work.states[sink, batch.spec.table] for sink in work.sinks]
    written = [batch.report.counts.get(sink, MergeCounts()) for sink in work.sinks]
    return all(v.scope in k for v in batch.batch.versions for k in known) and not any(
        c.inserted or c.updated or c.deleted for c in written
    )


def _compared_anew(table: str, steps: Sequence[Step], pairs: Sequence[Pair]) -> list[ComparedAnew]:
    """Return what was compared from the first capture on, as in a lake made anew, whatever was compared before."""
    by_entity: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for pair in pairs:
        by_entity[pair.new.entity_key].append((pair.old.raw_id, pair.new.raw_id))
    return [
        ComparedAnew(
            table, s.merge.scope, s.captures[0].captured_at, s.captures[-1].captured_at, by_entity[s.merge.scope]
        )
        for s in steps
        if s.before is None
    ]


def _corrections(spec: MergeSpec, mapping: ResolvedMapping, pair: Pair) -> Iterator[Correction]:
    json_columns = {c.name for c in spec.columns if c.sql_type == "JSONB"}
    columns = spec.business_columns
    for old, new in pair.rows:
        row = new or old
        assert row is not None
        change = "update" if old and new else "insert" if new else "delete"
        names: list[str | None] = [n for n in columns if (old or {}).get(n) != (new or {}).get(n)]
        for name in names or ([None] if change != "update" else []):
            values = [None if side is None or name is None else side[name] for side in (old, new)]
            before, after = (_plain(v, is_json=name in json_columns) for v in values)
            yield Correction(
                table_name=spec.table,
                entity_key=pair.new.entity_key,
                key={k: _plain(row[k]) for k in spec.key},
                column_name=name,
                change=change,  # type: ignore[arg-type]
                old=before,
                new=after,
                raw_table=mapping.config.source.raw_table,
                old_raw_id=pair.old.raw_id,
                new_raw_id=pair.new.raw_id,
                old_captured_at=pair.old.captured_at,
                new_captured_at=pair.new.captured_at,
                partition_date=pair.new.partition_date,
            )


def _plain(value: Any, *, is_json: bool = False) -> Any:
    """Return a value as JSON has it; dates and times as ISO text, decimals as numbers."""
    if is_json and isinstance(value, str):
        return json.loads(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
