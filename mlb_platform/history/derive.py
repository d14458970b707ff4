"""Rows derived from raw captures in memory, as a merge would have them; nothing is written to any table."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlb_platform.extraction.collect import RAW_ID
from mlb_platform.extraction.extract import Extractor
from mlb_platform.extraction.folding import Offer, fold
from mlb_platform.extraction.holding import UNSTORABLE
from mlb_platform.extraction.plan import EntityPlan, held_ids
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.quality.findings import Finding
from resources.merge import LINEAGE_METADATA, TRANSFORM_TIMESTAMP, MergeBatch, MergeSpec, ScopeVersion
from resources.merge_batch import checked_rows
from resources.raw_store import RawRow

JOB = "history"


class Derived:
    """The rows of captures, of all tables of a mapping, and which captures a rule holds back; each is derived once."""

    def __init__(self, stores: Stores, mapping: ResolvedMapping) -> None:
        self.stores = stores
        self.mapping = mapping
        self.specs = {t.name: merge_spec(t) for t in mapping.targets}
        self.done: set[int] = set()
        self.held: set[int] = set()
        self._rows: dict[str, list[pa.Table]] = defaultdict(list)

    @property
    def raw_table(self) -> str:
        """The mapping's raw table."""
        return self.mapping.config.source.raw_table

    def look_up_held(self, captures: Iterable[RawRow]) -> None:
        """Take note of what is known to be held back of these captures."""
        raw_ids = sorted({c.raw_id for c in captures})
        records = self.stores.quality.quarantined(self.raw_table, raw_ids, released=True)
        known = held_ids(records, list(self.specs.values()))
        self.held = (self.held & self.done) | (known - self.done)

    def derive(self, captures: Iterable[RawRow]) -> None:
        """Derive captures that are not yet; those that break an error rule, and were not released, count as held."""
        entities = {c.raw_id: c.entity_key for c in captures if c.raw_id not in self.done}
        raw_ids, step = sorted(entities), self.stores.games_per_job
        for start in range(0, len(raw_ids), step):
            some = raw_ids[start : start + step]
            extracted = self._extractor().extract(
                {i: entities[i] for i in some}, lambda raw_id: self.stores.raw.payload(self.raw_table, raw_id)
            )
            for found in extracted.tables:
                self._rows[found.target.name].append(found.rows)
            self.held |= self._failing(extracted.findings)
            self.done |= set(some)

    def _extractor(self) -> Extractor:
        key = (",".join(s.derivation_hash for s in self.specs.values()), tuple(self.specs))
        if key not in self.stores.extractors:
            self.stores.extractors[key] = Extractor(
                self.stores.spark(), self.stores.postgres, self.mapping, list(self.specs)
            )
        return self.stores.extractors[key]

    def _failing(self, findings: Iterable[Finding]) -> set[int]:
        errors = [f for f in findings if f.severity == "error"]
        if not errors:
            return set()
        kept = self.stores.quality.quarantined(self.raw_table, sorted({f.raw_id for f in errors}), released=True)
        released = {(r.raw_id, r.table_name, r.rule) for r in kept if r.released_at is not None}
        return {f.raw_id for f in errors if f.rule in UNSTORABLE or (f.raw_id, f.table, f.rule) not in released}

    def rows(self, table: str, plans: Sequence[EntityPlan]) -> pa.Table:
        """Return the rows of a table that entities, each given once, have by their plans; with the spec's columns."""
        spec = self.specs[table]
        offers = self._offers(plans)
        wanted = pa.array([o.raw_id for o in offers], pa.int64())
        parts = [p.filter(pc.is_in(p.column(RAW_ID), value_set=wanted)) for p in self._rows[table]]
        rows = pa.concat_tables(parts)
        if self.mapping.per_element:
            rows = fold(rows, self.mapping.by_name[table], offers, self.stores.spark)
        versions = [
            ScopeVersion(p.entity, c.observed_at, p.content_hash, c.raw_id, c.partition_date)
            for p in plans
            for c in p.offered[:1]
        ]
        return checked_rows(spec, MergeBatch(self._finished(spec, rows), versions))

    def _offers(self, plans: Sequence[EntityPlan]) -> list[Offer]:
        captures = {r.raw_id: r for p in plans for r in p.offered}
        ordered = sorted(captures.values(), key=lambda r: (r.as_of, -r.raw_id))
        numbers = {r.raw_id: n for n, r in enumerate(ordered)}
        return [Offer(r.raw_id, p.entity, numbers[r.raw_id]) for p in plans for r in p.offered]

    def _finished(self, spec: MergeSpec, rows: pa.Table) -> pa.Table:
        """Add the technical columns."""
        now = datetime.now(UTC)
        arrays = {name: rows.column(name) for name in rows.column_names}
        arrays[TRANSFORM_TIMESTAMP] = pa.repeat(pa.scalar(now, pa.timestamp("us", tz="UTC")), rows.num_rows)
        texts = {raw_id: self._lineage(raw_id, now) for raw_id in pc.unique(rows.column(RAW_ID)).to_pylist()}
        arrays[LINEAGE_METADATA] = pa.array([texts[i] for i in rows.column(RAW_ID).to_pylist()], pa.string())
        return pa.table({name: arrays[name] for name in spec.column_names})

    def _lineage(self, raw_id: int, now: datetime) -> str:
        return json.dumps(
            {
                "source_table": self.raw_table,
                "source_row_id": raw_id,
                "transform_job": JOB,
                "transform_timestamp": now.isoformat(),
            }
        )
