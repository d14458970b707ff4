"""What two captures of an entity differ in: as a merge changed it, or as their rows are derived."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlb_platform.extraction.plan import EntityPlan, held_ids, raw_rows
from mlb_platform.extraction.stores import Stores
from mlb_platform.history.in_force import successive
from mlb_platform.history.moments import Moment
from mlb_platform.history.states import MOMENT, States
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.delta_changes import BEFORE, CHANGE, DELETED, VERSION, read_changes
from resources.lake_handles import opened
from resources.merge import MergeSpec
from resources.merge_batch import scope_column
from resources.merge_history import MergeEntry
from resources.raw_store import RawRow

Row = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A merge not looked at yet, the one before it of that scope, and the captures in force from that one to this.

    Of a scope that was never merged before, it is the captures from the one by which it was over.
    """

    before: MergeEntry | None
    merge: MergeEntry
    captures: list[RawRow]

    @property
    def feed_tells(self) -> bool:
        """Whether what the merge changed is what the two captures differ in."""
        return (
            self.before is not None
            and len(self.captures) == 2
            and self.merge.version is not None
            and self.before.derivation_hash == self.merge.derivation_hash
        )


@dataclass
class Pair:
    """Two captures of an entity, one in force after the other, and the rows that they differ in: old and new one."""

    old: RawRow
    new: RawRow
    rows: list[tuple[Row | None, Row | None]] = field(default_factory=list)


class Look:
    """What is read and derived of one mapping's captures while merges are looked at: once for all its tables."""

    def __init__(self, stores: Stores, lake: str, mapping: ResolvedMapping) -> None:
        self.states = States(stores, lake, mapping)
        self._captures: dict[str, list[RawRow]] = {}

    def good_captures(self, entities: Sequence[str]) -> dict[str, list[RawRow]]:
        """Return the captures of entities without those known to be held back."""
        if new := [e for e in entities if e not in self._captures]:
            stores, mapping = self.states.stores, self.states.mapping
            rows = raw_rows(stores, mapping, entity_keys=new)
            records = stores.quality.quarantined(
                mapping.config.source.raw_table, [r.raw_id for r in rows], released=True
            )
            held = held_ids(records, list(self.states.specs.values()))
            self._captures |= {e: [] for e in new}
            for row in rows:
                if row.raw_id not in held:
                    self._captures[row.entity_key].append(row)
        return {e: self._captures[e] for e in entities}


def chain(captures: Sequence[RawRow], before: MergeEntry | None, merge: MergeEntry) -> list[RawRow]:
    """Return the captures in force from the one merged before (None: from the first) to the one merged now."""
    by_id = {c.raw_id: c for c in captures}
    last = by_id.get(merge.raw_id)
    first = by_id.get(before.raw_id) if before is not None else None
    if last is None or (before is not None and first is None):
        return []
    within = [c for c in captures if c.as_of < last.as_of and (first is None or first.as_of < c.as_of)]
    leading = [c for c in successive([*within, last]) if c is not last]
    return [*([first] if first is not None else []), *leading, last]


def by_states(spec: MergeSpec, steps: Sequence[Step], states: States) -> Iterator[Pair]:
    """Compare captures as the mapping of today derives them."""
    by_scope: dict[str, list[Step]] = defaultdict(list)
    for s in steps:
        by_scope[s.merge.scope].append(s)

    def choose(captures: Sequence[RawRow]) -> list[Moment]:
        if not captures:
            return []
        entity = captures[0].entity_key
        good = {c.raw_id for c in captures}
        found = [c for s in by_scope[entity] for c in s.captures if c.raw_id in good]
        return [Moment(EntityPlan(entity, [c]), c.captured_at) for c in found]

    known = states.find([spec.table], choose, sorted(by_scope))
    rows = known.rows[spec.table]
    following = zip(known.moments, known.moments[1:], strict=False)
    for number, (old, new) in enumerate(following):
        if old.entity != new.entity or old.capture.as_of >= new.capture.as_of:
            continue
        sides = [_rows_by_key(spec, rows.filter(pc.equal(rows[MOMENT], n))) for n in (number, number + 1)]
        found = [
            (sides[0].get(key), sides[1].get(key))
            for key in sorted(sides[0].keys() | sides[1].keys(), key=repr)
            if sides[0].get(key) != sides[1].get(key)
        ]
        yield Pair(old.capture, new.capture, found)


def _rows_by_key(spec: MergeSpec, rows: pa.Table) -> dict[tuple[Any, ...], Row]:
    names = [c.name for c in spec.columns if not c.technical]
    return {tuple(row[k] for k in spec.key): row for row in rows.select(names).to_pylist()}


def by_feed(lake: str, spec: MergeSpec, steps: Sequence[Step]) -> list[Pair]:
    """Return what merges changed, as Delta's change data feed tells. Raises VersionGone where it no longer does."""
    names = [c.name for c in spec.columns if not c.technical]
    versions = {s.merge.version for s in steps if s.merge.version is not None}
    scopes = sorted({s.merge.scope for s in steps})
    with opened(lake, spec.table) as delta:
        assert delta is not None
        changes = read_changes(delta, spec, versions, names, scopes)
    texts = scope_column(spec, changes).to_pylist()
    rows: dict[tuple[str, int], dict[tuple[Any, ...], dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
    for scope, row in zip(texts, changes.to_pylist(), strict=True):
        kind, version = row.pop(CHANGE), row.pop(VERSION)
        side = "old" if kind in (BEFORE, DELETED) else "new"
        rows[scope, version][tuple(row[k] for k in spec.key)][side] = row
    pairs = []
    for s in steps:
        assert s.merge.version is not None
        changed = rows[s.merge.scope, s.merge.version]
        found = [(changed[key].get("old"), changed[key].get("new")) for key in sorted(changed, key=repr)]
        pairs.append(Pair(s.captures[0], s.captures[1], found))
    return pairs
