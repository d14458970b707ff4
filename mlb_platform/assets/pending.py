"""From a piece of work to Dagster: what is merged, and what is said about each date."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from dagster import MetadataValue, TableColumn, TableColumnLineage, TableRecord, TableSchema

from mlb_platform.assets.reports import report_metadata
from mlb_platform.assets.specs import COLUMN_LINEAGE, column_lineage
from mlb_platform.extraction.report import TableReport
from mlb_platform.extraction.work import TableBatch, Work
from resources.io_manager import count_metadata
from resources.merge import MergeCounts, MergeSpec

SHOWN = 20
"""How many held or moved entities the metadata of a date names."""


@dataclass(frozen=True)
class PendingTable:
    """Rows of one table that wait to be merged by the IO manager; `done` is called when they are.

    `guard` makes the context in which they are merged.
    """

    work: Work
    batch: TableBatch
    done: Any = field(default=None, repr=False)
    guard: Callable[[], AbstractContextManager[None]] = field(default=nullcontext, repr=False)

    @property
    def spec(self) -> MergeSpec:
        """How the rows are merged."""
        return self.batch.spec

    def merge(self) -> Mapping[str, MergeCounts]:
        """Merge into every sink and return the counts by sink, those of captures merged before included."""
        with self.guard():
            self.work.write(self.batch)
            if self.done is not None:
                self.done(self.batch.report)
        return self.batch.report.counts


@dataclass(frozen=True)
class HeldEntity:
    """An entity of which a capture was passed over, and the rules the capture breaks."""

    entity: str
    raw_id: int
    rules: str


@dataclass(frozen=True)
class WorkNotes:
    """What a piece of work found by date, beside the counts of its tables."""

    sinks: Sequence[str]
    captured: frozenset[date]
    """Dates with raw rows."""
    held: Mapping[date | None, list[HeldEntity]]
    moved: Mapping[date | None, list[str]]
    last: date | None
    """The date whose event comes last: it carries the column lineage, which the UI takes from the latest event."""
    lineage: Mapping[str, TableColumnLineage]
    undated: bool = False
    """Whether the tables have no partition date: what is said is about the whole of them."""
    reports: Path | None = None
    """The folder of quality reports, when the run writes them: a page is named only where it is there."""

    @classmethod
    def of(cls, work: Work, reports: Path | None = None) -> WorkNotes:
        """Gather the notes of a computed piece of work."""
        rows = [r for p in work.plans.values() for r in (*p.passed_over, *p.candidates)]
        passed = [r for p in work.plans.values() for r in p.passed_over]
        rules: dict[int, set[str]] = defaultdict(set)
        if passed:
            for record in work.stores.quality.quarantined(
                work.mapping.config.source.raw_table, sorted({r.raw_id for r in passed})
            ):
                rules[record.raw_id].add(f"{record.table_name} {record.rule}".strip())
        held: dict[date | None, list[HeldEntity]] = defaultdict(list)
        for row in passed:
            broken = "; ".join(sorted(rules[row.raw_id]))
            held[row.partition_date].append(HeldEntity(row.entity_key, row.raw_id, broken))
        moved: dict[date | None, list[str]] = defaultdict(list)
        for entity, old, new in work.report.moved:
            text = f"{entity}: {old} to {new or 'no date'}"
            for day in {old, new}:
                moved[day].append(text)
        captured = frozenset(r.partition_date for r in rows if r.partition_date is not None)
        last = max(work.report.dates, default=None)
        undated = work.mapping.partition is None
        return cls(work.sinks, captured, held, moved, last, column_lineage(work.mapping), undated, reports)

    def metadata(self, report: TableReport, day: date | None) -> dict[str, MetadataValue[Any]]:
        """Return what is recorded for one table and date: its merge counts by sink, and what is worth knowing.

        The date is None for what has none.
        """
        by_sink = {sink: report.by_date.get(sink, {}).get(day, MergeCounts()) for sink in self.sinks}
        rows = max((c.source_rows - c.skipped_stale for c in by_sink.values()), default=0)
        found: dict[str, MetadataValue[Any]] = {
            "dagster/row_count" if day is None else "dagster/partition_row_count": MetadataValue.int(rows)
        }
        found |= {name: MetadataValue.int(n) for name, n in count_metadata(by_sink).items()}
        if day is not None and day not in self.captured:
            found["note"] = MetadataValue.text("no raw rows of this date: nothing to materialize")
        if report.corrections[day]:
            found["corrections"] = MetadataValue.int(report.corrections[day])
        if self.reports is not None:
            found |= report_metadata(self.reports, report.table, day)
        held = self.held.get(day, [])
        if held:
            found["held_captures"] = MetadataValue.int(len({h.raw_id for h in held}))
            found["held"] = _table(("entity", "raw_id", "rules"), [vars(h) for h in held[:SHOWN]])
        moved = self.moved.get(day, [])
        if moved:
            found["moved"] = MetadataValue.text("\n".join(moved[:SHOWN]))
        if day == self.last:
            found[COLUMN_LINEAGE] = MetadataValue.column_lineage(self.lineage[report.table])
        return found


def _table(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> MetadataValue[Any]:
    schema = TableSchema(columns=[TableColumn(n, "string") for n in names])
    return MetadataValue.table([TableRecord({n: str(r[n]) for n in names}) for r in rows], schema)
