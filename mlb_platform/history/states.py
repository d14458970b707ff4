"""What tables held at moments of entities: from table versions that hold it, else derived from raw captures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import pyarrow as pa
import pyarrow.compute as pc

from mlb_platform.extraction.plan import raw_rows
from mlb_platform.extraction.stores import Stores
from mlb_platform.history.derive import Derived
from mlb_platform.history.moments import Choose, Moment
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.delta_changes import VersionGone, read_version, version_groups
from resources.lake import open_table, sink_id
from resources.merge import FOLDED, MergeSpec
from resources.merge_batch import arrow_schema, scope_column
from resources.merge_history import MergeEntry, merge_history
from resources.raw_store import RawRow

MOMENT = "_moment"
"""The column that tells the moment of a row: its position among the moments."""
_COUNT = len(FOLDED) + 6
"""How much of the content hash of a set of captures tells how many they are."""


@dataclass
class Known:
    """The moments chosen and, by table, their rows: the table's columns and MOMENT; and where the rows came from."""

    moments: list[Moment] = field(default_factory=list)
    rows: dict[str, pa.Table] = field(default_factory=dict)
    by_version: int = 0
    derived: int = 0
    captures: int = 0
    """Captures of the entities, of whatever time."""


class States:
    """Finds what the tables of one mapping held; what it derived once it keeps. Not for several threads."""

    def __init__(self, stores: Stores, lake: str, mapping: ResolvedMapping) -> None:
        self.stores = stores
        self.lake = lake
        self.mapping = mapping
        self._derived = Derived(stores, mapping)
        self._gone: set[tuple[str, int]] = set()

    @property
    def specs(self) -> Mapping[str, MergeSpec]:
        """How the tables are merged."""
        return self._derived.specs

    def find(self, tables: Sequence[str], choose: Choose, entities: Sequence[str] | None = None) -> Known:
        """Return what `tables` held at the moments that `choose` chooses for these entities (None: for all).

        Captures that a rule holds back do not count, those whose rules were never evaluated included: they are derived
        to know.
        """
        captures = self._captures(entities)
        self._derived.look_up_held(c for found in captures.values() for c in found)
        while True:
            known = Known(captures=sum(len(found) for found in captures.values()))
            for found in captures.values():
                known.moments += choose([c for c in found if c.raw_id not in self._derived.held])
            placed = {t: self._placed(self.specs[t], known.moments) for t in tables}
            lacking = [c for p in placed.values() for c in self._lacking(known.moments, p)]
            if any(c.raw_id not in self._derived.done for c in lacking):
                self._derived.derive(lacking)
                if not self._derived.held.isdisjoint(c.raw_id for c in lacking):
                    continue
            try:
                for name in tables:
                    known.rows[name] = self._read(self.specs[name], placed[name], known.moments)
            except VersionGone:
                continue
            for p in placed.values():
                known.by_version += len(p)
                known.derived += len(known.moments) - len(p)
            return known

    def _captures(self, entities: Sequence[str] | None) -> dict[str, list[RawRow]]:
        found: dict[str, list[RawRow]] = defaultdict(list)
        for row in raw_rows(self.stores, self.mapping, entity_keys=entities):
            found[row.entity_key].append(row)
        return found

    @staticmethod
    def _lacking(moments: Sequence[Moment], placed: Collection[int]) -> Iterator[RawRow]:
        """Give the captures whose rows no table version has."""
        for number, moment in enumerate(moments):
            if number not in placed:
                yield from moment.plan.offered

    def _placed(self, spec: MergeSpec, moments: Sequence[Moment]) -> dict[int, tuple[int, int]]:
        """Return, by the number of a moment, the first and last version of the table that hold its rows."""
        table = open_table(self.lake, spec.table)
        if table is None or not moments:
            return {}
        with self.stores.postgres.transaction() as connection:
            history = merge_history(connection, sink_id(table), spec.table, sorted({m.entity for m in moments}))
        newest = table.version()
        placed = {}
        for number, moment in enumerate(moments):
            entries = history.by_scope.get(moment.entity, [])
            entry = next((e for e in reversed(entries) if _holds(e, moment, spec, entries)), None)
            if entry is None:
                continue
            first, last = history.version_of(entry, newest), history.last_version_of(entry, newest)
            gone = max((v for t, v in self._gone if t == spec.table), default=-1)
            if max(first, gone + 1) <= last:
                placed[number] = (max(first, gone + 1), last)
        return placed

    def _read(self, spec: MergeSpec, placed: Mapping[int, tuple[int, int]], moments: Sequence[Moment]) -> pa.Table:
        parts = [_numbered(pa.schema(arrow_schema(spec)).empty_table(), spec, [], moments)]
        table = open_table(self.lake, spec.table) if placed else None
        groups = version_groups({str(n): span for n, span in placed.items()})
        # the newest first: where one is gone, all before it are given up at once, and derived in one go
        for version, keys in sorted(groups.items(), reverse=True):
            assert table is not None
            scopes = sorted({moments[int(k)].entity for k in keys})
            try:
                rows = read_version(table, spec, version, scopes, spec.column_names).cast(arrow_schema(spec))
            except VersionGone:
                self._gone.add((spec.table, version))
                raise
            parts += [_numbered(rows, spec, wave, moments) for wave in _waves([int(k) for k in keys], moments)]
        for wave in _waves([n for n in range(len(moments)) if n not in placed], moments):
            rows = self._derived.rows(spec.table, [moments[n].plan for n in wave]).cast(arrow_schema(spec))
            parts.append(_numbered(rows, spec, wave, moments))
        return pa.concat_tables(parts)


def _holds(entry: MergeEntry, moment: Moment, spec: MergeSpec, entries: Sequence[MergeEntry]) -> bool:
    """Tell whether what was merged is what this moment's captures say, derived and dated as today."""
    if (entry.content_hash, entry.derivation_hash) != (moment.plan.content_hash, spec.derivation_hash):
        return False
    if entry.partition != moment.capture.partition_date:
        return False
    # where rows are never deleted, those of earlier merges stay: they must be of fewer captures, not of others
    return spec.snapshot or all(
        e.derivation_hash == entry.derivation_hash
        and (e.content_hash == entry.content_hash or e.content_hash[:_COUNT] < entry.content_hash[:_COUNT])
        for e in entries
        if e.seq < entry.seq
    )


def _waves(numbers: Sequence[int], moments: Sequence[Moment]) -> Iterator[list[int]]:
    """Part moments so that no entity is twice in one part."""
    by_entity: dict[str, list[int]] = defaultdict(list)
    for number in numbers:
        by_entity[moments[number].entity].append(number)
    for wave in zip_longest(*by_entity.values()):
        yield [n for n in wave if n is not None]


def _numbered(rows: pa.Table, spec: MergeSpec, wave: Sequence[int], moments: Sequence[Moment]) -> pa.Table:
    """Add MOMENT to the rows of the entities of a wave, and leave out those of others."""
    entities = pa.array([moments[n].entity for n in wave], pa.string())
    places = pc.index_in(scope_column(spec, rows), value_set=entities)
    numbers = pa.array(wave, pa.int64()).take(places)
    numbered = rows.append_column(MOMENT, numbers)
    return numbered.filter(pc.is_valid(places))
