"""What a run over the tables of a mapping does: their captures are computed, and merged table by table.

Apart from the assets themselves, since loading those needs none of what computes and merges.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

from dagster import AssetExecutionContext, MaterializeResult

from mlb_platform.assets.partitions import dates_of_keys
from mlb_platform.assets.pending import PendingTable, WorkNotes
from mlb_platform.assets.reports import ReportWriter
from mlb_platform.assets.retries import tried_again
from mlb_platform.assets.specs import table_key, table_of_key
from mlb_platform.assets.tables import PLATFORM, SPARK
from mlb_platform.extraction.opening import open_work
from mlb_platform.extraction.plan import entities_of_dates
from mlb_platform.extraction.report import TableReport
from mlb_platform.extraction.work import TableBatch, Work
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform


def _platform_of(context: Any) -> Platform:
    """Return the platform of a run: with the session it was given, or the run's own one."""
    platform: Platform = getattr(context.resources, PLATFORM)
    if platform.spark_factory is not None:
        return platform
    return Platform(platform.settings, spark_factory=lambda: getattr(context.resources, SPARK).spark_session)


def materialize_tables(context: AssetExecutionContext, mapping: ResolvedMapping) -> Iterator[MaterializeResult[Any]]:
    """Bring the selected tables up to the newest good captures of the run's dates, one result a table."""
    with tried_again(context):
        yield from _materialize(context, mapping)


def _materialize(context: AssetExecutionContext, mapping: ResolvedMapping) -> Iterator[MaterializeResult[Any]]:
    selected = {table_of_key(key) for key in context.selected_asset_keys}
    tables = [t.name for t in mapping.targets if t.name in selected]
    platform = _platform_of(context)
    reports = ReportWriter(platform.stores, platform.settings.lake, platform.settings.quality_reports, mapping)
    transformation = platform.transformation(mapping.name, tables)
    transformation.prepare()
    dates = dates_of_keys(context.partition_keys) if context.has_partition_key or mapping.partition else []
    stores = transformation.stores
    if mapping.partition is None:
        entities = sorted({r.entity_key for r in transformation.captures()})
    else:
        entities = entities_of_dates(stores, mapping, tables, dates)
    context.log.info("%s: %s dates, %s entities with captures or rows", mapping.name, len(dates), len(entities))
    with open_work(stores, mapping, tables, entities, dates=dates, job=f"dagster:{context.run.run_id}") as work:
        notes = WorkNotes.of(work, reports.folder)
        for batch in work.batches():
            yield MaterializeResult(
                asset_key=table_key(batch.spec.table),
                value=PendingTable(
                    work, batch, _describer(context, notes, reports, batch, dates), lambda: tried_again(context)
                ),
            )
        _log_summary(context, work)
    days: list[date | None] = [*dates] if mapping.partition else [None]
    made, left = reports.write(work.report, tables, days)
    context.log.info("quality reports in %s: %s made, %s to be asked for", reports.folder, made, left)
    for problem in work.report.problems:
        context.log.warning(problem)


def _describer(
    context: AssetExecutionContext, notes: WorkNotes, reports: ReportWriter, batch: TableBatch, dates: list[date]
) -> Any:
    """Return what adds the metadata of every date once the batch is merged, before the events are recorded."""
    key = table_key(batch.spec.table)

    def describe(report: TableReport) -> None:
        reports.announce(report, [None] if notes.undated else dates)
        for day in dates:
            context.add_asset_metadata(notes.metadata(report, day), asset_key=key, partition_key=day.isoformat())
        if notes.undated:
            context.add_asset_metadata(notes.metadata(report, None), asset_key=key)

    return describe


def _log_summary(context: AssetExecutionContext, work: Work) -> None:
    report = work.report
    for sink in work.sinks:
        c = report.total(sink)
        context.log.info(
            "%s: %s rows, %s inserted, %s updated, %s unchanged, %s deleted, %s skipped as older",
            sink, c.source_rows, c.inserted, c.updated, c.unchanged, c.deleted, c.skipped_stale,
        )  # fmt: skip
    for h in report.held:
        context.log.warning("held back: %s (raw %s) breaks %s of %s", h.entity, h.raw_id, h.rule, h.table)
    seconds = ", ".join(f"{name} {s:.2f} s" for name, s in report.seconds.items())
    context.log.info("%s captures parsed of %s entities; %s", report.parsed, report.entities, seconds)
