"""Dates or entities materialized by a command: one Dagster run in this process, which records exactly what it did.

A partition range would record every date between the first and the last, with work or without; so this is an op that
notes each table and date as it is merged. What it does is what the assets do.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import chain
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetKey,
    AssetMaterialization,
    AssetObservation,
    DagsterInstance,
    MetadataValue,
    OpExecutionContext,
    Output,
)
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    DEFAULT_DATA_VERSION,
    NULL_EVENT_POINTER,
    compute_logical_data_version,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

from asset_checks.names import PARITY
from mlb_platform.assets.in_process import CheckProgress, RunFailed, run_in_process
from mlb_platform.assets.judging import Judging
from mlb_platform.assets.pending import WorkNotes
from mlb_platform.assets.reports import ReportWriter
from mlb_platform.assets.specs import python_name, raw_key, table_key
from mlb_platform.extraction.opening import begin_ahead, open_work
from mlb_platform.extraction.plan import dates_of, entities_of_dates
from mlb_platform.extraction.report import RunReport
from mlb_platform.extraction.transformation import BaseTransformation, Progress
from mlb_platform.extraction.work import TableBatch, Work
from mlb_platform.memory import spare_what_stays
from mlb_platform.platform import Platform
from resources.dagster_events import CHUNK, record_verdicts, with_targets
from resources.dagster_materializations import MaterializationLog


@dataclass
class _Task:
    """What one run is to do, and what came of it."""

    platform: Platform
    transformation: BaseTransformation
    dates: Sequence[date]
    entities: Sequence[str] | None
    full: bool
    on_progress: Progress | None
    on_check: CheckProgress | None
    aside: bool = True
    then: Sequence[date] = ()
    report: RunReport | None = None
    begun: Future[None] | None = None

    def begin(self) -> None:
        """Have Spark begin with the captures: in another thread, while Dagster's run begins and tables are prepared."""
        stores, mapping, tables = self.transformation.stores, self.transformation.mapping, self.transformation.tables
        if not any(e.is_ahead for e in stores.extractors.values()):  # else the run before has begun with these
            begin_ahead(stores, mapping, tables, self._entities())

    def _entities(self) -> Sequence[str]:
        if self.entities is not None:
            return self.entities
        return entities_of_dates(
            self.transformation.stores, self.transformation.mapping, self.transformation.tables, self.dates
        )

    def run(self, context: OpExecutionContext) -> Iterator[Any]:
        """Do the work, giving Dagster an event for each table and date as it is merged, then the verdicts."""
        stores, tables = self.transformation.stores, self.transformation.tables
        mapping = self.transformation.mapping
        settings = self.platform.settings
        reports = ReportWriter(stores, settings.lake, settings.quality_reports, mapping)
        self.transformation.prepare()
        if self.begun is not None:
            self.begun.result()
        verdicts: list[AssetCheckEvaluation] = []
        with Judging(self.platform, mapping, tables) as judging:
            with ThreadPoolExecutor(1, "verdicts") as looking, self._log(context) as told:
                with open_work(
                    stores, mapping, tables, self._entities(),
                    dates=self.dates, job=f"dagster:{context.run_id}", full=self.full,
                ) as work:  # fmt: skip
                    partial = self._merge(work, told, reports, judging)
                judged = judging.verdicts(partial, coverage=self.aside)
                first = looking.submit(next, judged, list[AssetCheckEvaluation]())  # while the last events are written
            for found in _gathered(chain([first.result()], judged), CHUNK):
                aimed = with_targets(context.instance, found)
                record_verdicts(context.instance, context.get_step_execution_context(), aimed)
                verdicts += aimed
        if self.aside:
            reports.write(work.report, tables, [*work.report.dates] if mapping.partition else [None])
        if self.on_check is not None:
            for verdict in verdicts:
                self.on_check(verdict)
        differing = [v for v in verdicts if v.check_name == PARITY and not v.passed]
        if differing:
            raise RunFailed(_differences(differing))
        yield Output(None)

    def _merge(self, work: Work, told: MaterializationLog, reports: ReportWriter, judging: Judging) -> set[date]:
        """Merge every table and note its events; return the dates some of whose entities are not in this run."""
        stores, tables, mapping = self.transformation.stores, self.transformation.tables, self.transformation.mapping
        self.report = work.report
        if self.entities is not None:
            work.report.dates = sorted(self._dates_of(work))
        if self.then:
            begin_ahead(stores, mapping, tables, entities_of_dates(stores, mapping, tables, self.then))
        notes = WorkNotes.of(work, reports.folder)
        whole = self._whole_dates(work.report.dates)
        days: list[date | None] = [*work.report.dates] if mapping.partition else [None]
        # games that are handed over one by one give way to others between tables
        written = work.written(ahead=self.entities is None, on_submitted=lambda merging: judging.begin(days, merging))
        with closing(written):
            for batch in written:
                reports.announce(batch.report, [None] if notes.undated else work.report.dates)
                told.add(list(self._recorded(work, batch, notes, whole)))
                if self.on_progress is not None:
                    self.on_progress(work)
        return set(work.report.dates) - whole

    def _dates_of(self, work: Work) -> set[date]:
        tables = self.transformation.tables
        return {d for p in work.plans.values() for d in dates_of(p, work.states, tables, work.sinks)}

    def _whole_dates(self, dates: Sequence[date]) -> set[date]:
        """Return the dates all of whose entities are in this run: only those are materialized by it."""
        if self.entities is None:
            return set(dates)
        given, stores, mapping = set(self.entities), self.transformation.stores, self.transformation.mapping
        tables = self.transformation.tables
        return {d for d in dates if given >= set(entities_of_dates(stores, mapping, tables, [d]))}

    def _log(self, context: OpExecutionContext) -> MaterializationLog:
        return MaterializationLog(context.instance, context.get_step_execution_context())

    def _recorded(
        self, work: Work, batch: TableBatch, notes: WorkNotes, whole: set[date]
    ) -> Iterator[AssetMaterialization | AssetObservation]:
        """Give the events of one merged table, one a date."""
        key, days = table_key(batch.spec.table), work.report.dates
        done: list[date | None] = [None] if notes.undated else [d for d in days if d in whole]
        for day in done:
            yield AssetMaterialization(
                key,
                partition=day.isoformat() if day is not None else None,
                metadata=notes.metadata(batch.report, day),
                tags=_version_tags(raw_key(work.mapping.config.source.raw_table), batch.spec.derivation_hash),
            )
        for day in () if notes.undated else (d for d in days if d not in whole):
            part = {**notes.metadata(batch.report, day), "entities": MetadataValue.text(", ".join(self.entities or ()))}
            yield AssetObservation(key, partition=day.isoformat(), metadata=part)


def _gathered(lists: Iterable[list[AssetCheckEvaluation]], least: int) -> Iterator[list[AssetCheckEvaluation]]:
    """Give the verdicts of several lists together as soon as there are enough: each writing waits for a disk.

    Those there are are given before an error of a later list is raised.
    """
    waiting: list[AssetCheckEvaluation] = []
    try:
        for found in lists:
            waiting += found
            if len(waiting) >= least:
                enough, waiting = waiting, []
                yield enough
    finally:
        if waiting:
            yield waiting


def _differences(verdicts: Sequence[AssetCheckEvaluation]) -> str:
    first = verdicts[0]
    more = f" (and {len(verdicts) - 1} more)" if len(verdicts) > 1 else ""
    place = f"{'.'.join(first.asset_key.path)} of {first.partition}"
    return f"{place} differs between PostgreSQL and Delta: {first.description}{more}: run it again with --full"


@cache
def _version_tags(raw: AssetKey, code_version: str) -> Mapping[str, str]:
    """Return what Dagster notes of an output of a step: else the UI calls it unsynced, with a new dependency."""
    versions = {raw: DEFAULT_DATA_VERSION}
    return {
        CODE_VERSION_TAG: code_version,
        DATA_VERSION_TAG: compute_logical_data_version(code_version, versions).value,
        get_input_data_version_tag(raw): DEFAULT_DATA_VERSION.value,
        get_input_event_pointer_tag(raw): NULL_EVENT_POINTER,
    }


def materialize_dates(
    platform: Platform,
    mapping: str,
    tables: list[str] | None = None,
    dates: Sequence[date] = (),
    entities: Sequence[str] | None = None,
    full: bool = False,
    on_progress: Progress | None = None,
    *,
    on_check: CheckProgress | None = None,
    instance: DagsterInstance | None = None,
    aside: bool = True,
    then: Sequence[date] = (),
    ahead: bool = True,
) -> RunReport:
    """Materialize dates, or the entities given, in one Dagster run in this process, and return what was done.

    `dates` should be at most `DATES_PER_RUN`, and only those with work: each is recorded. With `entities` the dates are
    those their rows lie under; a date of which other entities exist is observed rather than materialized. `tables`:
    None is all. `on_progress` is called after every table, `on_check` with every verdict. `instance`: None opens the
    platform's for this call. Without `aside` payloads are not looked at for what no mapping takes, and no quality
    reports are made: `look_aside` does both, so that tables do not wait for it. `then` are the dates of the call that
    follows: their captures are computed while these are merged. `ahead`: those of this call while Dagster's run begins,
    which is for nothing where there are none to compute. Raises RunFailed, or the PlatformError that ended it.
    """
    transformation = platform.transformation(mapping, tables)
    task = _Task(platform, transformation, sorted(dates), entities, full, on_progress, on_check, aside, then)
    config = transformation.mapping
    spare_what_stays()
    tags = {"mapping": mapping, "tables": "all" if tables is None else ", ".join(tables)}
    tags |= {"dates": _span(task.dates)} if entities is None else {"entities": ", ".join(entities)[:200]}
    with ThreadPoolExecutor(1, "beginning") as beginning:
        if ahead and not full:  # what was merged already is not computed ahead
            task.begun = beginning.submit(task.begin)
        run_in_process(platform, python_name(config), "merge_and_check", task.run, tags, instance)
    assert task.report is not None
    return task.report


def _span(dates: Sequence[date]) -> str:
    if len(dates) < 2:
        return ", ".join(d.isoformat() for d in dates)
    return f"{len(dates)} from {dates[0]} to {dates[-1]}"
