"""Quality reports of what a run materialized: made from the lake's rows in hand, within a share of the run's time.

Before a materialization is told, each table and date has a page that says how to make the report, so the link in its
metadata leads to one however the run ends; reports that fit take their places. What is left can be caught up with.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
from dagster import MetadataValue
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from asset_checks.recorded import DateRecord, read_records
from mlb_platform.extraction.plan import merged_dates
from mlb_platform.extraction.report import RunReport, TableReport
from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.avro import generate_avro_schema
from mlb_platform.mapping.resolve import ResolvedMapping, ResolvedTarget
from mlb_platform.quality.avro_frames import find_mismatches
from mlb_platform.quality.profile_arrow import profile_table
from mlb_platform.quality.report import ALL, Report, is_page, is_stub, render, render_stub, report_path, save, stubs
from mlb_platform.quality.results import RuleResult
from mlb_platform.quality.suggestions import suggest
from resources.errors import PlatformError
from resources.lake import open_table, read_table

_log = logging.getLogger(__name__)

QUALITY_REPORT = "quality_report"
"""The metadata entry of a materialization with the path of its report."""
_UNFINISHED = "the run that merged these rows did not come to it"
SHARE = 0.1
LEAST = 1.0
"""Reports take this share of the run's time so far, but may take this many seconds."""
_PER_CELL, _PER_REPORT = 1.5e-6, 0.02
"""Seconds, measured (docs/decisions); only to tell beforehand whether a report fits."""


def report_metadata(folder: Path, table: str, day: date | None) -> dict[str, MetadataValue[Any]]:
    """Return the metadata entry with the path of the report of a table and date; nothing where there is no page."""
    path = report_path(folder, table, _name(day))
    return {QUALITY_REPORT: MetadataValue.path(str(path))} if is_page(path) else {}


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

    problem: str | None = None
    """Why pages are missing, when one could not be written or made: then no more are tried."""
    _opened: dict[str, DeltaTable | None] = field(default_factory=dict)

    def announce(self, table: TableReport, days: Iterable[date | None]) -> None:
        """Write the pages that links will lead to, as stubs, where there is none or its rows were changed now.

        To be called when a table was merged, before that is told. Raises nothing: see `problem`.
        """
        paths = {_name(day): (report_path(self.folder, table.table, _name(day)), day) for day in days}
        names = [name for name, (path, day) in paths.items() if not (_unchanged(table, day) and is_page(path))]
        for name, page in zip(names, stubs(self.mapping.by_name[table.table], names, _UNFINISHED), strict=True):
            path = paths[name][0]
            if self.problem is not None or not self._save(path, page):
                with suppress(OSError):
                    path.unlink(missing_ok=True)  # what is there tells of former rows

    def write(self, run: RunReport, tables: Sequence[str], days: Sequence[date | None]) -> tuple[int, int]:
        """Write the reports, the latest date first; return how many were made and how many have to be asked for.

        What cannot be written or made is told in the report of the run, which it does not fail.
        """
        begun = time.perf_counter()
        until = begun + max(LEAST, SHARE * (begun - self.started))
        records = read_records(self.stores, self.lake, self.mapping, tables, days)
        made = left = 0
        reason = f"{len(days)} dates of {len(tables)} tables were too much for the time a run gives them"
        for day in sorted(days, key=lambda d: d or date.min, reverse=True):
            for table in tables:
                target, record = self.mapping.by_name[table], records.get((table, day)) or DateRecord()
                path = report_path(self.folder, table, _name(day))
                fits = time.perf_counter() + _expected(record.checked * len(target.columns)) <= until
                if self.problem is None and fits and self._write(target, day, record):
                    made += 1
                elif not is_page(path) or is_stub(path) or not _unchanged(run.tables.get(table), day):
                    left += 1
                    if self.problem is None:
                        self._save(path, render_stub(target, _name(day), reason))
        run.seconds["reports"] += time.perf_counter() - begun
        if self.problem is not None:
            told = f"quality reports of {left} tables and dates are missing" if left else "a quality report is missing"
            run.problems.append(f"{told}: {self.problem}; `mlb quality report --missing` catches up")
        return made, left

    def missing(self) -> list[tuple[str, date | None]]:
        """Return the tables and dates merged that have no report: no page, or a stub; the latest date first."""
        found: set[tuple[str, date | None]] = set()
        for table in self.mapping.by_name:
            if self.mapping.partition is None:
                days: set[date | None] = {None} if open_table(self.lake, table) is not None else set()
            else:
                days = {*merged_dates(self.stores, [table]), *self._dates_of_stubs(table)}
            paths = {day: report_path(self.folder, table, _name(day)) for day in days}
            found |= {(table, day) for day, path in paths.items() if not is_page(path) or is_stub(path)}
        return sorted(found, key=lambda f: (f[1] or date.min, f[0]), reverse=True)

    def _dates_of_stubs(self, table: str) -> Iterator[date]:
        for path in (self.folder / table).glob("*.html"):
            with suppress(ValueError):
                yield date.fromisoformat(path.stem)

    def catch_up(self, missing: Sequence[tuple[str, date | None]]) -> Iterator[Path]:
        """Write reports that are missing, giving each page that was made; raise PlatformError where one cannot be."""
        for day, asked in groupby(missing, key=lambda m: m[1]):
            tables = [table for table, _ in asked]
            records = read_records(self.stores, self.lake, self.mapping, tables, [day])
            for table in tables:
                if not self._write(self.mapping.by_name[table], day, records.get((table, day)) or DateRecord()):
                    raise PlatformError(str(self.problem))
                yield report_path(self.folder, table, _name(day))

    def _write(self, target: ResolvedTarget, day: date | None, record: DateRecord) -> bool:
        """Make one report; tell whether it was made."""
        try:
            if target.name not in self._opened:
                self._opened[target.name] = open_table(self.lake, target.name)
            page = self._page(target, day, self._opened[target.name], record)
        except (PlatformError, OSError, DeltaError, pa.ArrowException) as error:
            self._note(f"the rows of {target.name}, {_name(day)}, cannot be read: {error}")
            return False
        return self._save(report_path(self.folder, target.name, _name(day)), page)

    def _save(self, path: Path, page: str) -> bool:
        try:
            save(path, page)
        except PlatformError as error:
            self._note(str(error))
            return False
        return True

    def _note(self, problem: str) -> None:
        self.problem = " ".join(problem.split())[:300]
        _log.warning("%s: quality reports: %s", self.mapping.name, self.problem)

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


def _unchanged(report: TableReport | None, day: date | None) -> bool:
    counts = [by_date[day] for by_date in report.by_date.values() if day in by_date] if report is not None else []
    return not any(c.inserted or c.updated or c.deleted for c in counts)
