"""One piece of work: some entities, locked; their newest good captures computed; one batch a table, ready to merge."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlb_platform.extraction.collect import RAW_ID, TableRows
from mlb_platform.extraction.extract import Extracted, Extractor
from mlb_platform.extraction.plan import EntityPlan, dates_of, held_ids, needs_work, plan_entities
from mlb_platform.extraction.report import HeldCapture, RunReport, TableReport
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.quality.findings import Finding
from resources.merge import (
    LINEAGE_METADATA,
    TRANSFORM_TIMESTAMP,
    MergeBatch,
    MergeCounts,
    MergeResult,
    MergeSpec,
    ScopeState,
    ScopeVersion,
    Sink,
)
from resources.quality_store import CastFailure, CheckResult, QuarantineRecord
from resources.raw_store import RawRow

_log = logging.getLogger(__name__)

UNSTORABLE = frozenset({"not_null", "unique_key", "entity_key"})
"""Rules whose breach no release makes up for: no table could hold such rows."""


@dataclass
class TableBatch:
    """What is to be merged into one table: the same batch for every sink, in which captures are already merged."""

    spec: MergeSpec
    batch: MergeBatch
    report: TableReport


@dataclass
class Work:
    """Entities whose locks are held until the context ends."""

    mapping: ResolvedMapping
    stores: Stores
    specs: list[MergeSpec]
    plans: dict[str, EntityPlan]
    states: dict[tuple[str, str], dict[str, ScopeState]]
    report: RunReport
    job: str
    full: bool
    todo: list[EntityPlan] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    _rows: dict[str, list[pa.Table]] = field(default_factory=dict)
    _good: set[int] = field(default_factory=set)

    @property
    def sinks(self) -> list[str]:
        """Names of the sinks."""
        return [s.name for s in self.stores.sinks]

    def compute(self) -> None:
        """Parse, project and judge what is not merged yet, round by round until every entity has a good capture."""
        pending = list(self.todo)
        step = self.stores.games_per_job
        while pending:
            failed: list[EntityPlan] = []
            for start in range(0, len(pending), step):
                failed += self._compute_some(pending[start : start + step])
            pending = [p for p in failed if p.newest is not None and self._still_needed(p)]
        # one whose next good capture is merged already has nothing to offer: its rows are to stay as they are
        self.todo = [p for p in self.todo if p.newest is not None and p.newest.raw_id in self._good]

    def _still_needed(self, plan: EntityPlan) -> bool:
        return self.full or needs_work(plan, self.specs, self.states, self.sinks)

    def _compute_some(self, plans: list[EntityPlan]) -> list[EntityPlan]:
        started = time.perf_counter()
        captures = {p.newest.raw_id: p for p in plans if p.newest is not None}
        extractor = self._extractor()
        raw_table = self.mapping.config.source.raw_table
        extracted = extractor.extract(
            {raw_id: p.entity for raw_id, p in captures.items()},
            lambda raw_id: self.stores.raw.payload(raw_table, raw_id),
        )
        self.report.parsed += len(captures)
        self.report.seconds["compute"] += time.perf_counter() - started
        held = self._hold(extracted.findings, captures)
        self._record_casts(extracted, captures)
        good = {raw_id: p for raw_id, p in captures.items() if raw_id not in held}
        self._good |= good.keys()
        self.findings += [f for f in extracted.findings if f.raw_id in good]
        for table, count in extracted.collapsed.items():
            self.report.tables[table].collapsed += count
        for rows in extracted.tables:
            self._rows.setdefault(rows.target.name, []).append(self._finished(rows, good))
        failed = [captures[raw_id] for raw_id in held]
        for plan in failed:
            plan.pass_over()
        return failed

    def _extractor(self) -> Extractor:
        key = (",".join(s.derivation_hash for s in self.specs), tuple(s.table for s in self.specs))
        if key not in self.stores.extractors:
            self.stores.extractors[key] = Extractor(
                self.stores.spark(), self.stores.postgres, self.mapping, list(key[1])
            )
        return self.stores.extractors[key]

    def _hold(self, findings: Iterable[Finding], captures: dict[int, EntityPlan]) -> set[int]:
        """Quarantine captures that break an error rule, unless they were released by hand; return their raw ids."""
        errors = [f for f in findings if f.severity == "error"]
        raw_table = self.mapping.config.source.raw_table
        self.stores.quality.unquarantine(raw_table, list(captures), ["", *(s.table for s in self.specs)])
        if not errors:
            return set()
        hashes = {s.table: s.derivation_hash for s in self.specs}
        records = []
        for f in errors:
            row = captures[f.raw_id].newest
            assert row is not None
            records.append(
                QuarantineRecord(
                    raw_table, f.raw_id, f.table, f.rule, f.failed, f.samples, hashes.get(f.table, ""), row.entity_key,
                    row.partition_date, row.captured_at,
                )
            )  # fmt: skip
        self.stores.quality.quarantine(records)
        kept = self.stores.quality.quarantined(raw_table, sorted({f.raw_id for f in errors}), released=True)
        released = {(r.raw_id, r.table_name, r.rule) for r in kept if r.released_at is not None}
        held = {f.raw_id for f in errors if f.rule in UNSTORABLE or (f.raw_id, f.table, f.rule) not in released}
        for r in records:
            if r.raw_id in held:
                _log.warning("held back: %s %s breaks %s of %s", r.entity_key, r.raw_id, r.rule, r.table_name)
                self.report.held.append(
                    HeldCapture(r.raw_id, r.entity_key, r.partition_date, r.table_name, r.rule, r.failures)
                )
        return held

    def _record_casts(self, extracted: Extracted, captures: dict[int, EntityPlan]) -> None:
        raw_table = self.mapping.config.source.raw_table
        failures = []
        for f in extracted.cast_failures:
            row = captures[f.raw_id].newest
            assert row is not None
            failures.append(
                CastFailure(
                    raw_table, f.raw_id, row.entity_key, row.partition_date, f.table, f.column, f.path, f.value,
                    f.expected, f.lenient, f.failures,
                )
            )  # fmt: skip
            self.report.cast_failures += f.failures
        tables = [s.table for s in self.specs]
        self.stores.quality.record_cast_failures(raw_table, list(captures), failures, table_names=tables)

    def _finished(self, rows: TableRows, good: dict[int, EntityPlan]) -> pa.Table:
        """Keep the rows of good captures and add the technical columns, in the order of the spec."""
        spec = next(s for s in self.specs if s.table == rows.target.name)
        table = rows.rows
        raw_ids = table.column(RAW_ID)
        if len(good) < len(set(raw_ids.unique().to_pylist()) | set(good)):
            table = table.filter(pc.is_in(raw_ids, value_set=pa.array(list(good), pa.int64())))
        now = datetime.now(UTC)
        codes = table.column(RAW_ID).combine_chunks().dictionary_encode() if table.num_rows else None
        lineage = pa.nulls(0, pa.string())
        if codes is not None:
            texts = [self._lineage(raw_id, rows, now) for raw_id in codes.dictionary.to_pylist()]
            lineage = pa.array(texts, pa.string()).take(codes.indices)
        arrays = {name: table.column(name) for name in table.column_names}
        arrays[TRANSFORM_TIMESTAMP] = pa.repeat(pa.scalar(now, pa.timestamp("us", tz="UTC")), table.num_rows)
        arrays[LINEAGE_METADATA] = lineage
        return pa.table({name: arrays[name] for name in spec.column_names})

    def _lineage(self, raw_id: int, rows: TableRows, now: datetime) -> str:
        broken = any(f.raw_id == raw_id and f.table == rows.target.name for f in self.findings)
        return json.dumps(
            {
                "source_table": self.mapping.config.source.raw_table,
                "source_row_id": raw_id,
                "transform_job": self.job,
                "transform_timestamp": now.isoformat(),
                "data_quality_passed": not broken,
                "quality_checks_run": len(rows.target.rules),
            }
        )

    def batches(self) -> Iterator[TableBatch]:
        """Yield one batch a table; merging it is the caller's, before the next is asked for."""
        done = [p for p in self.todo if p.newest is not None]
        versions = [
            ScopeVersion(
                p.entity, p.newest.observed_at, p.newest.content_hash, p.newest.raw_id, p.newest.partition_date,
                tuple(r.raw_id for r in p.passed_over),
            )
            for p in done
            if p.newest is not None
        ]  # fmt: skip
        for spec in self.specs:
            parts = self._rows.pop(spec.table, [])
            report = self.report.tables[spec.table]
            if versions and parts:
                yield TableBatch(spec, MergeBatch(pa.concat_tables(parts), versions), report)
            else:
                yield TableBatch(spec, MergeBatch(pa.table({}), []), report)

    def write(self, batch: TableBatch) -> None:
        """Merge one batch into every sink and add the counts, those of captures merged before included."""
        if batch.batch.versions:
            started = time.perf_counter()
            with ThreadPoolExecutor(len(self.stores.sinks), "sink") as threads:
                results = list(threads.map(lambda sink: _timed_merge(sink, batch), self.stores.sinks))
            self.report.seconds["merge"] += time.perf_counter() - started
            for sink, (result, seconds) in zip(self.stores.sinks, results, strict=True):
                batch.report.add(sink.name, result.counts, result.by_partition)
                batch.report.stale.setdefault(sink.name, []).extend(result.stale)
                self.report.seconds[sink.name] += seconds
                for s in result.stale:
                    _log.info(
                        "skipped: %s %s offered as of %s, merged as of %s",
                        batch.spec.table, s.scope, s.offered_at, s.merged_at,
                    )  # fmt: skip
        for name in self.sinks:
            self._count_untouched(name, batch)

    def _count_untouched(self, sink: str, batch: TableBatch) -> None:
        offered = {v.scope for v in batch.batch.versions}
        states = self.states[sink, batch.spec.table]
        by_date: dict[date | None, MergeCounts] = {}
        for entity in self.plans:
            state = states.get(entity)
            if state is not None and entity not in offered:
                day = state.partition
                by_date[day] = by_date.get(day, MergeCounts()) + MergeCounts(source_rows=state.rows)
        total = MergeCounts()
        for counts in by_date.values():
            total = total + counts
        batch.report.add(sink, total, by_date)

    def finish(self) -> None:
        """Keep what the rules found, for the checks of the dates concerned."""
        judged = {p.newest.raw_id: p for p in self.todo if p.newest is not None}
        results = []
        for f in self.findings:
            plan = judged.get(f.raw_id)
            if plan is not None and plan.newest is not None:
                results.append(
                    CheckResult(
                        f.table, plan.newest.partition_date, f.rule, f.kind, f.severity, f.checked, f.failed, f.samples,
                        entity_key=plan.entity, raw_id=f.raw_id,
                    )
                )  # fmt: skip
        tables = [s.table for s in self.specs]
        self.stores.quality.record_check_results(tables, [p.entity for p in judged.values()], results)


def _timed_merge(sink: Sink, batch: TableBatch) -> tuple[MergeResult, float]:
    started = time.perf_counter()
    return sink.merge(batch.spec, batch.batch), time.perf_counter() - started


def entities_of_dates(
    stores: Stores, mapping: ResolvedMapping, tables: Sequence[str], dates: Sequence[date]
) -> list[str]:
    """Return every entity with a raw row or a table row of these dates."""
    found = {r.entity_key for r in stores.raw.rows(mapping.config.source.raw_table, dates=dates)}
    with stores.postgres.transaction() as connection:
        rows = connection.execute(
            "SELECT DISTINCT scope FROM quality.merge_state WHERE table_name = ANY(%s) AND partition_date = ANY(%s)",
            [list(tables), list(dates)],
        )
        found |= {row[0] for row in rows}
    return sorted(found)


@contextmanager
def open_work(
    stores: Stores,
    mapping: ResolvedMapping,
    tables: Sequence[str],
    entities: Sequence[str],
    *,
    dates: Sequence[date] = (),
    job: str = "materialize",
    full: bool = False,
) -> Iterator[Work]:
    """Lock `entities`, find out what has to be merged, and compute it; the locks go when the context ends."""
    specs = [merge_spec(mapping.by_name[t]) for t in tables]
    raw_table = mapping.config.source.raw_table
    with stores.postgres.scope_locks(mapping.name, entities):
        started = time.perf_counter()
        report = RunReport(mapping.name, sorted(dates), {t: TableReport(t) for t in tables}, entities=len(entities))
        for sink in stores.sinks:
            for spec in specs:
                sink.prepare(spec)
        states = {(k.name, s.table): dict(k.state(s, entities)) for k in stores.sinks for s in specs}
        rows: list[RawRow] = stores.raw.rows(raw_table, entity_keys=entities)
        records = stores.quality.quarantined(raw_table, [r.raw_id for r in rows], released=True)
        held = held_ids(records, specs)
        plans = plan_entities(rows, set() if full else held)
        work = Work(mapping, stores, specs, plans, states, report, job, full)
        work.todo = [p for p in plans.values() if work._still_needed(p) and p.newest is not None]
        _report_moves(work, set(dates))
        report.seconds["plan"] += time.perf_counter() - started
        work.compute()
        yield work
        work.finish()


def _report_moves(work: Work, dates: set[date]) -> None:
    for plan in work.plans.values():
        target = plan.newest.partition_date if plan.newest else None
        tables = [s.table for s in work.specs]
        for old in sorted(dates_of(plan, work.states, tables, work.sinks)):
            if old != target and (not dates or old in dates):
                work.report.moved.append((plan.entity, old, target))
