"""One piece of work: some entities, locked; their newest good captures computed; one batch a table, ready to merge."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from mlb_platform.extraction.collect import RAW_ID
from mlb_platform.extraction.extract import Extractor
from mlb_platform.extraction.folded import entity_texts, folded_findings, standing_failures
from mlb_platform.extraction.folding import Offer, fold
from mlb_platform.extraction.holding import hold
from mlb_platform.extraction.merging import Merging, sinks_at_work, timed_merge
from mlb_platform.extraction.plan import EntityPlan, needs_work
from mlb_platform.extraction.report import RunReport, TableReport
from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.quality.avro_frames import check_batch
from mlb_platform.quality.findings import CastFailure as Misfits
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
)
from resources.quality_store import CastFailure, CheckResult
from resources.raw_store import RawRow

_log = logging.getLogger(__name__)

AHEAD_BYTES = 128 << 20
"""Rows that may wait behind a table: all small ones of thirty dates, so that they do not wait for a large one."""


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
    _casts: list[Misfits] = field(default_factory=list)
    """Failed casts of captures with several entities; they are kept once it is known what the captures add up to."""

    @property
    def sinks(self) -> list[str]:
        """Names of the sinks."""
        return [s.name for s in self.stores.sinks]

    def compute(self) -> None:
        """Parse, project and judge what is not merged yet, round by round until every entity has a good capture."""
        pending = list(self.todo)
        if not pending:
            forget_pieces(self.stores, self.specs)
        while pending:
            captures = [r for p in pending for r in p.offered if r.raw_id not in self._good]
            pieces = pieces_of(captures, self.stores.games_per_job)
            if len(pieces) > 1 or self._extractor().is_ahead:
                begin_pieces(self.stores, self.mapping, self.specs, pieces)
            held: set[int] = set()
            for piece in pieces:
                held |= self._compute_some(piece)
            failed = [p for p in pending if any(r.raw_id in held for r in p.offered)]
            for plan in failed:
                plan.pass_over(held)
            pending = [p for p in failed if self._has_more(p)]
        # one whose next good capture is merged already has nothing to offer: its rows are to stay as they are
        self.todo = [p for p in self.todo if p.newest is not None and p.newest.raw_id in self._good]

    def _has_more(self, plan: EntityPlan) -> bool:
        """Whether an entity has captures to read in place of those just held back."""
        if plan.folds:
            return any(r.raw_id not in self._good for r in plan.offered)
        return plan.newest is not None and self.still_needed(plan)

    def still_needed(self, plan: EntityPlan) -> bool:
        """Whether some table lacks what an entity's captures tell."""
        return self.full or needs_work(plan, self.specs, self.states, self.sinks)

    def _compute_some(self, captures: dict[int, RawRow]) -> set[int]:
        """Compute captures, keep the rows of the good ones, and return the raw ids of those held back."""
        started = time.perf_counter()
        extractor = self._extractor()
        raw_table = self.mapping.config.source.raw_table
        extracted = extractor.extract(_entities(captures), lambda raw_id: self.stores.raw.payload(raw_table, raw_id))
        self.report.parsed += len(captures)
        self.report.seconds["compute"] += time.perf_counter() - started
        of_rules = hold(self.stores, self.mapping, self.specs, extracted.findings, captures)
        self.report.held += of_rules
        held = {h.raw_id for h in of_rules}
        good = captures.keys() - held
        self._good |= good
        self.findings += [f for f in extracted.findings if f.raw_id in good]
        if self.mapping.per_element:
            self._casts += [f for f in extracted.cast_failures if f.raw_id in good]
        else:
            self._record_casts(extracted.cast_failures, captures)
        for table, count in extracted.collapsed.items():
            self.report.tables[table].collapsed += count
        for rows in extracted.tables:
            self._rows.setdefault(rows.target.name, []).append(_rows_of(rows.rows, good))
        return held

    def _extractor(self) -> Extractor:
        return extractor_of(self.stores, self.mapping, self.specs)

    def _record_casts(self, found: Iterable[Misfits], captures: Mapping[int, RawRow]) -> None:
        """Keep the failed casts of captures of one entity."""
        raw_table, tables = self.mapping.config.source.raw_table, [s.table for s in self.specs]
        failures = [self._failure(f, captures[f.raw_id].entity_key, captures[f.raw_id].partition_date) for f in found]
        self.stores.quality.record_cast_failures(raw_table, list(captures), failures, table_names=tables)

    def _failure(self, f: Misfits, entity: str, day: date | None) -> CastFailure:
        self.report.cast_failures += 0 if f.lenient else f.failures
        return CastFailure(
            self.mapping.config.source.raw_table, f.raw_id, entity, day, f.table, f.column, f.path, f.value,
            f.expected, f.lenient, f.failures,
        )  # fmt: skip

    def _offers(self) -> list[Offer]:
        """Return the captures that the entities' rows are made of, in the order of their age."""
        captures = {r.raw_id: r for p in self.todo for r in p.offered}
        ordered = sorted(captures.values(), key=lambda r: (r.as_of, -r.raw_id))
        numbers = {r.raw_id: n for n, r in enumerate(ordered)}
        return [Offer(r.raw_id, p.entity, numbers[r.raw_id]) for p in self.todo for r in p.offered]

    def _finished(self, spec: MergeSpec, table: pa.Table) -> pa.Table:
        """Add the technical columns, in the order of the spec."""
        now = datetime.now(UTC)
        lineage = pa.nulls(0, pa.string())
        if table.num_rows:
            # which capture, and whether its rows here break a rule, as one number
            numbers = pc.add(pc.multiply(table.column(RAW_ID), 2), self._breaking(spec, table).cast(pa.int64()))
            codes = numbers.combine_chunks().dictionary_encode()
            texts = [self._lineage(n // 2, spec.table, now, bool(n % 2)) for n in codes.dictionary.to_pylist()]
            lineage = pa.array(texts, pa.string()).take(codes.indices)
        arrays = {name: table.column(name) for name in table.column_names}
        arrays[TRANSFORM_TIMESTAMP] = pa.repeat(pa.scalar(now, pa.timestamp("us", tz="UTC")), table.num_rows)
        arrays[LINEAGE_METADATA] = lineage
        return pa.table({name: arrays[name] for name in spec.column_names})

    def _breaking(self, spec: MergeSpec, table: pa.Table) -> pa.ChunkedArray:
        """Tell of each row whether its entity's rows in this table break a rule."""
        found = [f for f in self.findings if f.table == spec.table]
        if self.mapping.per_element:
            entities = entity_texts(table, self.mapping.by_name[spec.table])
            return pc.is_in(entities, value_set=pa.array({f.scope for f in found}, pa.string()))
        return pc.is_in(table.column(RAW_ID), value_set=pa.array({f.raw_id for f in found}, pa.int64()))

    def _lineage(self, raw_id: int, table: str, now: datetime, broken: bool) -> str:
        return json.dumps(
            {
                "source_table": self.mapping.config.source.raw_table,
                "source_row_id": raw_id,
                "transform_job": self.job,
                "transform_timestamp": now.isoformat(),
                "data_quality_passed": not broken,
                "quality_checks_run": len(self.mapping.by_name[table].rules),
            }
        )

    def batches(self) -> Iterator[TableBatch]:
        """Yield one batch a table; merging it is the caller's, before the next is asked for."""
        done = [p for p in self.todo if p.newest is not None]
        versions = [
            ScopeVersion(
                p.entity, p.newest.observed_at, p.content_hash, p.newest.raw_id, p.newest.partition_date,
                tuple(r.raw_id for r in p.passed_over),
            )
            for p in done
            if p.newest is not None
        ]  # fmt: skip
        folded = self._fold() if self.mapping.per_element else {}
        for spec in self.specs:
            rows = folded.pop(spec.table) if spec.table in folded else self._computed(spec.table)
            report = self.report.tables[spec.table]
            if versions and rows is not None:
                finished = self._finished(spec, rows)
                check_batch(finished, self._extractor().contracts[spec.table])
                first = self._come_first_and_alone(spec, done)
                yield TableBatch(spec, MergeBatch(finished, versions, compare_all=self.full, first=first), report)
            else:
                yield TableBatch(spec, MergeBatch(pa.table({}), []), report)

    def _come_first_and_alone(self, spec: MergeSpec, plans: Iterable[EntityPlan]) -> bool:
        """Whether no entity was merged into a table before or has another capture: so nothing can be corrected."""
        known = [self.states[sink, spec.table] for sink in self.sinks]
        return all(
            not p.folds and len(p.candidates) + len(p.passed_over) == 1 and all(p.entity not in k for k in known)
            for p in plans
        )

    def _computed(self, table: str) -> pa.Table | None:
        """Take the rows of a table over all good captures; None where none was computed."""
        parts = self._rows.pop(table, [])
        return pa.concat_tables(parts) if parts else None

    def _fold(self) -> dict[str, pa.Table]:
        """Put the rows of each entity together, by table; judge them, and keep which casts of theirs failed."""
        offers, folded = self._offers(), {}
        dates = {p.entity: p.newest.partition_date for p in self.todo if p.newest is not None}
        failures = []
        for spec in self.specs:
            rows, target = self._computed(spec.table), self.mapping.by_name[spec.table]
            if rows is not None:
                folded[spec.table] = fold(rows, target, offers, self.stores.spark)
                found = standing_failures((f for f in self._casts if f.table == spec.table), rows, target, offers)
                failures += [self._failure(f, str(f.scope), dates[str(f.scope)]) for f in found]
        if folded:
            released = {(f.table, f.rule) for f in self.findings if f.severity == "error"}
            self.findings = folded_findings(self._extractor(), folded, self.todo, released)
        self.stores.quality.record_cast_failures(
            self.mapping.config.source.raw_table, [], failures, table_names=[s.table for s in self.specs],
            entity_keys=list(dates),
        )  # fmt: skip
        return folded

    def write(self, batch: TableBatch) -> None:
        """Merge one batch into every sink, one after the other, and add the counts, those merged before included."""
        started = time.perf_counter()
        results = [timed_merge(s, batch.spec, batch.batch) for s in self.stores.sinks] if batch.batch.versions else []
        self._count(batch, results, time.perf_counter() - started)

    def written(
        self, *, ahead: bool = False, on_submitted: Callable[[Mapping[str, list[Merging]]], object] | None = None
    ) -> Generator[TableBatch]:
        """Merge the batches of all tables, in their order, and yield each once it is in every sink.

        A sink may be `ahead` of what was yielded, by tables whose rows take up to AHEAD_BYTES: it goes on while the
        caller is at work. `on_submitted` is given the merges by sink once they are begun for every table. Close it
        before the locks go: what is under way then ends first, and what is not begun is left.
        """
        waiting: deque[tuple[TableBatch, list[Merging], int]] = deque()
        by_sink: dict[str, list[Merging]] = {name: [] for name in self.sinks}
        with sinks_at_work(self.stores.sinks) as submit:
            for batch in self.batches():
                merging = submit(batch.spec, batch.batch)
                for name, of_sink in zip(self.sinks, merging, strict=False):
                    by_sink[name].append(of_sink)
                waiting.append((batch, merging, batch.batch.rows.nbytes))
                if not ahead or sum(size for _, _, size in islice(waiting, 1, None)) >= AHEAD_BYTES:
                    yield self._merged(*waiting.popleft()[:2])
            if on_submitted is not None:
                on_submitted(by_sink)
            while waiting:
                yield self._merged(*waiting.popleft()[:2])

    def _merged(self, batch: TableBatch, merging: list[Merging]) -> TableBatch:
        started = time.perf_counter()
        results = [future.result() for future in merging]
        self._count(batch, results, time.perf_counter() - started)
        return batch

    def _count(self, batch: TableBatch, results: Sequence[tuple[MergeResult, float]], waited: float) -> None:
        """Add up what merging a batch into the sinks did, and the seconds that it was waited for."""
        self.report.seconds["merge"] += waited
        for sink, (result, seconds) in zip(self.stores.sinks, results, strict=False):
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
        if self.stores.after_merge is not None:
            started = time.perf_counter()
            self.stores.after_merge(self, batch)
            self.report.seconds["corrections"] += time.perf_counter() - started

    def _count_untouched(self, sink: str, batch: TableBatch) -> None:
        offered = {v.scope for v in batch.batch.versions}
        states = self.states[sink, batch.spec.table]
        rows: Counter[date | None] = Counter()
        for entity in self.plans:
            state = states.get(entity)
            if state is not None and entity not in offered:
                rows[state.partition] += state.rows
        by_date = {day: MergeCounts(source_rows=n) for day, n in rows.items()}
        batch.report.add(sink, MergeCounts(source_rows=rows.total()), by_date)

    def finish(self) -> None:
        """Keep what the rules found, for the checks of the dates concerned."""
        plans = {p.entity: p for p in self.todo}
        by_capture = {p.newest.raw_id: p for p in self.todo if p.newest is not None}
        results = []
        for f in self.findings:
            plan = plans.get(str(f.scope)) if self.mapping.per_element else by_capture.get(f.raw_id)
            if plan is not None and plan.newest is not None:
                results.append(
                    CheckResult(
                        f.table, plan.newest.partition_date, f.rule, f.kind, f.severity, f.checked, f.failed, f.samples,
                        entity_key=plan.entity, raw_id=f.raw_id,
                    )
                )  # fmt: skip
        tables = [s.table for s in self.specs]
        self.stores.quality.record_check_results(tables, list(plans), results)


def extractor_of(stores: Stores, mapping: ResolvedMapping, specs: Sequence[MergeSpec]) -> Extractor:
    """Return the extractor of these tables of a mapping, made once for `stores`."""
    key = _extractor_key(specs)
    if key not in stores.extractors:
        stores.extractors[key] = Extractor(stores.spark(), stores.postgres, mapping, list(key[1]))
    return stores.extractors[key]


def _extractor_key(specs: Sequence[MergeSpec]) -> tuple[str, tuple[str, ...]]:
    return ",".join(s.derivation_hash for s in specs), tuple(s.table for s in specs)


def _rows_of(table: pa.Table, raw_ids: Collection[int]) -> pa.Table:
    """Keep the rows of some captures."""
    column = table.column(RAW_ID)
    if set(column.unique().to_pylist()) <= set(raw_ids):
        return table
    return table.filter(pc.is_in(column, value_set=pa.array(list(raw_ids), pa.int64())))


def pieces_of(captures: Iterable[RawRow], size: int) -> list[dict[int, RawRow]]:
    """Cut captures into what one Spark job computes, the same for the same captures in any order."""
    ordered = sorted({r.raw_id: r for r in captures}.items())
    return [dict(ordered[start : start + size]) for start in range(0, len(ordered), size)]


def begin_pieces(
    stores: Stores, mapping: ResolvedMapping, specs: Sequence[MergeSpec], pieces: Sequence[Mapping[int, RawRow]]
) -> None:
    """Begin to compute pieces in another thread, in their order; others that were begun are dropped."""
    raw_table = mapping.config.source.raw_table
    extractor_of(stores, mapping, specs).begin(
        [_entities(piece) for piece in pieces], lambda raw_id: stores.raw.payload(raw_table, raw_id)
    )


def forget_pieces(stores: Stores, specs: Sequence[MergeSpec]) -> None:
    """Drop what was begun of these tables, as where another process has merged it meanwhile: rows take memory."""
    extractor = stores.extractors.get(_extractor_key(specs))
    if extractor is not None:
        extractor.forget()


def _entities(captures: Mapping[int, RawRow]) -> dict[int, str]:
    return {raw_id: row.entity_key for raw_id, row in captures.items()}
