"""Quality reports of what a run materialized: made from the lake's rows in hand, within a share of the run's time.

What does not fit gets a page that says how to make the report, so the link in an asset's metadata always leads to one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from dagster import MetadataValue
from deltalake import DeltaTable

from asset_checks.recorded import DateRecord, read_records
from mlb_platform.extraction.report import RunReport
from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.avro import generate_avro_schema
from mlb_platform.mapping.resolve import ResolvedMapping, ResolvedTarget
from mlb_platform.quality.avro_frames import find_mismatches
from mlb_platform.quality.profile_arrow import profile_table
from mlb_platform.quality.report import ALL, Report, render, render_stub, report_path, save
from mlb_platform.quality.results import RuleResult
from mlb_platform.quality.suggestions import suggest
from resources.lake import open_table, read_table

QUALITY_REPORT = "quality_report"
"""The metadata entry of a materialization with the path of its report."""
SHARE = 0.1
LEAST = 1.0
"""Reports take this share of the run's time so far, but may take this many seconds."""
_PER_CELL, _PER_REPORT = 1.5e-6, 0.02
"""Seconds, measured (docs/decisions); only to tell beforehand whether a report fits."""


def report_metadata(folder: Path, table: str, day: date | None) -> dict[str, MetadataValue[Any]]:
    """Return the metadata entry with the path of the report of a table and date."""
    return {QUALITY_REPORT: MetadataValue.path(str(report_path(folder, table, _name(day))))}


def _name(day: date | None) -> str:
    return day.isoformat() if day is not None else ALL


@dataclass
class ReportWriter:
    """Writes the reports of the tables of one mapping; `folder` is that of all quality reports."""

    stores: Stores
    lake: str
    folder: Path
    mapping: ResolvedMapping
    started: float = field(default_factory=time.perf_counter)
    """When the run began, by time.perf_counter."""

    def write(self, run: RunReport, tables: Sequence[str], days: Sequence[date | None]) -> tuple[int, int]:
        """Write the reports, the latest date first; return how many were made and how many have to be asked for."""
        begun = time.perf_counter()
        until = begun + max(LEAST, SHARE * (begun - self.started))
        records = read_records(self.stores, self.mapping, tables, days)
        made = left = 0
        opened: dict[str, DeltaTable | None] = {}
        for day in sorted(days, key=lambda d: d or date.min, reverse=True):
            for table in tables:
                target, record = self.mapping.by_name[table], records.get((table, day)) or DateRecord()
                path = report_path(self.folder, table, _name(day))
                if time.perf_counter() + _expected(record.checked * len(target.columns)) <= until:
                    if table not in opened:
                        opened[table] = open_table(self.lake, table)
                    save(path, self._page(target, day, opened[table], record))
                    made += 1
                elif not (path.exists() and _unchanged(run, table, day)):
                    reason = f"{len(days)} dates of {len(tables)} tables were too much for the time a run gives them"
                    save(path, render_stub(target, _name(day), reason))
                    left += 1
        run.seconds["reports"] += time.perf_counter() - begun
        return made, left

    def _page(self, target: ResolvedTarget, day: date | None, table: DeltaTable | None, record: DateRecord) -> str:
        rows, source = pa.table({}), "the Delta lake, which has no such table"
        if table is not None:
            where = f"{target.partition} = '{day}'" if day is not None else None
            rows = read_table(table, [f.name for f in table.schema().fields], where)
            source = f"version {table.version()} of the Delta table"
        profile = profile_table(rows)
        contract = find_mismatches(rows, generate_avro_schema(target)) if table is not None else []
        return render(
            Report(
                target, _name(day), rows.num_rows, source, profile,
                rules=recorded_rules(target, record, set(self.mapping.by_name)),
                judged="when the captures were merged, capture by capture, on what they hold",
                contract=[str(m) for m in contract],
                suggestions=[s for s in suggest(profile, None, target) if not s.tentative],
                notes=_notes(record),
                mapping=f"{self.mapping.name} {self.mapping.config.version}",
            )
        )  # fmt: skip


def recorded_rules(target: ResolvedTarget, record: DateRecord, provided: set[str]) -> list[RuleResult]:
    """Return the rules of a table with what is on record of one date; `provided` are the tables of its mapping."""
    failed: dict[str, int] = {}
    samples: dict[str, list[dict[str, Any]]] = {}
    for f in record.found:
        failed[f.rule] = failed.get(f.rule, 0) + f.failed
        # the record keeps no order of columns: the key comes first
        ordered = [{c: row[c] for c in dict.fromkeys((*target.key, *row)) if c in row} for row in f.samples]
        samples.setdefault(f.rule, []).extend(ordered)
    known = [
        RuleResult(
            r.label, r.kind, r.severity, record.checked, failed.pop(r.label, 0), samples.get(r.label, [])[:5],
            f"{r.to_table} is of another mapping: `mlb quality validate` looks"
            if r.kind == "reference" and r.to_table not in provided
            else None,
            r.description,
        )
        for r in target.rules
    ]  # fmt: skip
    former = {f.rule: f for f in record.found if f.rule in failed}
    known += [
        RuleResult(rule, f.kind, f.severity, record.checked, failed[rule], samples[rule][:5])
        for rule, f in former.items()
    ]
    return known + [
        RuleResult(
            f"{m.column} is {m.expected}", "cast", "warn", record.checked, m.failures, [{m.path: m.value}],
            description="Values of another type became NULL.",
        )
        for m in record.misfits
    ]  # fmt: skip


def _notes(record: DateRecord) -> list[str]:
    held = {h.raw_id: h for h in record.held}
    return [
        f"Held back: {h.entity} (raw {raw_id}, captured {h.captured_at}) breaks {h.rule}; these rows are of what was "
        "merged before."
        for raw_id, h in list(held.items())[:5]
    ]


def _expected(cells: int) -> float:
    return _PER_REPORT + _PER_CELL * cells


def _unchanged(run: RunReport, table: str, day: date | None) -> bool:
    report = run.tables.get(table)
    counts = [by_date[day] for by_date in report.by_date.values() if day in by_date] if report is not None else []
    return not any(c.inserted or c.updated or c.deleted for c in counts)
