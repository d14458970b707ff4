"""Dates or entities materialized by a command: one Dagster run in this process, which records exactly what it did.

A partition range would record every date between the first and the last, with work or without; so this is an op that
notes each table and date as it is merged. What it does is what the assets do.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from types import TracebackType
from typing import Any, Self

from dagster import (
    AssetCheckEvaluation,
    AssetMaterialization,
    AssetObservation,
    DagsterEvent,
    DagsterInstance,
    ExecuteInProcessResult,
    JobDefinition,
    MetadataValue,
    OpExecutionContext,
    Output,
    job,
    op,
)
from dagster._core.events import DagsterEventBatchMetadata, generate_event_batch_id

from asset_checks.completeness import evaluate_completeness
from asset_checks.coverage import evaluate_coverage
from asset_checks.evaluate import PARITY, evaluate
from asset_checks.reconciliation import evaluate_reconciliation
from mlb_platform.assets.pending import WorkNotes
from mlb_platform.assets.reports import ReportWriter
from mlb_platform.assets.specs import python_name, table_key
from mlb_platform.dagster_home import open_instance
from mlb_platform.extraction.plan import dates_of
from mlb_platform.extraction.report import RunReport
from mlb_platform.extraction.transformation import BaseTransformation, Progress
from mlb_platform.extraction.work import TableBatch, Work, entities_of_dates, open_work
from mlb_platform.platform import Platform
from mlb_platform.quality.known import known_orphans
from resources.dagster_events import record_verdicts, with_targets
from resources.errors import PlatformError

CheckProgress = Callable[[AssetCheckEvaluation], None]
"""Called with every verdict, in the order of tables and dates."""


class RunFailed(PlatformError):
    """A run that ended with an error; what was merged before it stays, and is recorded."""


@dataclass
class _Failure:
    """Keeps the error that ended the work, on its way to Dagster."""

    error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None and not isinstance(error, GeneratorExit):
            self.error = error


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
    report: RunReport | None = None
    failure: _Failure = field(default_factory=_Failure)

    def run(self, context: OpExecutionContext) -> Iterator[Any]:
        """Do the work, giving Dagster an event for each table and date as it is merged, then the verdicts."""
        with self.failure:
            stores, tables = self.transformation.stores, self.transformation.tables
            mapping = self.transformation.mapping
            settings = self.platform.settings
            reports = ReportWriter(stores, settings.lake, settings.quality_reports, mapping)
            self.transformation.prepare()
            entities = self.entities
            if entities is None:
                entities = entities_of_dates(stores, mapping, tables, self.dates)
            with open_work(
                stores, mapping, tables, entities, dates=self.dates, job=f"dagster:{context.run_id}", full=self.full
            ) as work:
                self.report = work.report
                if self.entities is not None:
                    work.report.dates = sorted(self._dates_of(work))
                notes = WorkNotes.of(work, reports.folder)
                whole = self._whole_dates(work.report.dates)
                for batch in work.batches():
                    work.write(batch)
                    reports.announce(batch.report, [None] if notes.undated else work.report.dates)
                    yield from self._recorded(context, work, batch, notes, whole)
                    if self.on_progress is not None:
                        self.on_progress(work)
            lake = self.platform.settings.lake
            days: Sequence[date | None] = work.report.dates if mapping.partition else [None]
            known = known_orphans(self.platform.settings.mappings)
            mappings = self.platform.registry.mappings
            partial = set(work.report.dates) - whole
            found = list(evaluate(stores, lake, mapping, tables, days, known=known, mappings=mappings, partial=partial))
            if mapping.targets[0].name in tables:
                found += evaluate_coverage(self.platform, mapping, days)
                found += evaluate_completeness(self.platform, mapping, days)
            found += evaluate_reconciliation(self.platform, mapping, tables, days)
            verdicts = with_targets(context.instance, found)
            record_verdicts(context.instance, context.get_step_execution_context(), verdicts)
            reports.write(work.report, tables, days)
            if self.on_check is not None:
                for verdict in verdicts:
                    self.on_check(verdict)
            differing = [v for v in verdicts if v.check_name == PARITY and not v.passed]
            if differing:
                raise RunFailed(_differences(differing))
            yield Output(None)

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

    def _recorded(
        self, context: OpExecutionContext, work: Work, batch: TableBatch, notes: WorkNotes, whole: set[date]
    ) -> Iterator[DagsterEvent]:
        """Give the events of one merged table, one a date, to be written together."""
        key, step = table_key(batch.spec.table), context.get_step_execution_context()
        done: list[date | None] = [d for d in work.report.dates if d in whole]
        if notes.undated:
            done = [None]
        batch_id = generate_event_batch_id()  # type: ignore[no-untyped-call]
        for day in done:
            metadata = notes.metadata(batch.report, day)
            event = AssetMaterialization(
                key,
                partition=day.isoformat() if day is not None else None,
                metadata=metadata,
                tags=_version_tags(batch.spec.derivation_hash),
            )
            last = DagsterEventBatchMetadata(batch_id, day == done[-1])
            yield DagsterEvent.asset_materialization(step, event, last)
        for day in () if notes.undated else (d for d in work.report.dates if d not in whole):
            part = {**notes.metadata(batch.report, day), "entities": MetadataValue.text(", ".join(self.entities or ()))}
            observed = AssetObservation(key, partition=day.isoformat(), metadata=part)
            yield DagsterEvent.asset_observation(step, observed)


def _differences(verdicts: Sequence[AssetCheckEvaluation]) -> str:
    first = verdicts[0]
    more = f" (and {len(verdicts) - 1} more)" if len(verdicts) > 1 else ""
    place = f"{'.'.join(first.asset_key.path)} of {first.partition}"
    return f"{place} differs between PostgreSQL and Delta: {first.description}{more}: run it again with --full"


def _version_tags(code_version: str) -> dict[str, str]:
    return {"dagster/code_version": code_version}


def _job(name: str, task: _Task) -> JobDefinition:
    @op(name="merge_and_check")
    def merge_and_check(context: OpExecutionContext) -> Iterator[Any]:
        yield from task.run(context)

    @job(name=f"command_{name}")
    def command() -> None:
        merge_and_check()

    return command


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
) -> RunReport:
    """Materialize dates, or the entities given, in one Dagster run in this process, and return what was done.

    `dates` should be at most `DATES_PER_RUN`, and only those with work: each is recorded. With `entities` the dates are
    those their rows lie under; a date of which other entities exist is observed rather than materialized. `tables`:
    None is all. `on_progress` is called after every table, `on_check` with every verdict. `instance`: None opens the
    platform's for this call. Raises RunFailed, or the PlatformError that ended it.
    """
    transformation = platform.transformation(mapping, tables)
    task = _Task(platform, transformation, sorted(dates), entities, full, on_progress, on_check)
    config = transformation.mapping
    tags = {"mapping": mapping, "tables": "all" if tables is None else ", ".join(tables)}
    tags |= {"dates": _span(task.dates)} if entities is None else {"entities": ", ".join(entities)[:200]}
    with ExitStack() as stack:
        if instance is None:
            instance = stack.enter_context(open_instance(platform.settings, platform.postgres))
        result = _job(python_name(config), task).execute_in_process(
            instance=instance,
            raise_on_error=False,
            tags=tags,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    if not result.success:
        raise _failed(task, mapping, result)
    assert task.report is not None
    return task.report


def _span(dates: Sequence[date]) -> str:
    if len(dates) < 2:
        return ", ".join(d.isoformat() for d in dates)
    return f"{len(dates)} from {dates[0]} to {dates[-1]}"


def _failed(task: _Task, mapping: str, result: ExecuteInProcessResult) -> BaseException:
    """Return what to raise for a failed run: the platform's own error as it is, any other with the run to look at."""
    error = task.failure.error
    if isinstance(error, PlatformError | KeyboardInterrupt):
        return error
    failures = [e.step_failure_data.error_display_string for e in result.all_events if e.is_step_failure]
    lines = [line.strip() for text in failures for line in text.splitlines() if line.strip()]
    told = f"{type(error).__name__}: {error}" if error is not None else " ".join(lines[:3])
    failed = RunFailed(f"materializing {mapping} failed in run {result.run_id}: {' '.join(told.split())[:400]}")
    failed.__cause__ = error
    return failed
