"""One multi_asset a mapping: its tables, computed together from one parse of each capture."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    BackfillPolicy,
    MaterializeResult,
    PartitionsDefinition,
    multi_asset,
)

from mlb_platform.assets.partitions import backfill_policy, dates_of_keys
from mlb_platform.assets.pending import PendingTable, WorkNotes
from mlb_platform.assets.reports import ReportWriter
from mlb_platform.assets.retries import tried_again
from mlb_platform.assets.specs import python_name, table_key, table_of_key, table_specs
from mlb_platform.extraction.opening import open_work
from mlb_platform.extraction.plan import entities_of_dates
from mlb_platform.extraction.report import TableReport
from mlb_platform.extraction.work import TableBatch, Work
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform

SPARK_POOL = "spark"
"""Runs that compute tables take a slot of this concurrency pool: each has a JVM of its own."""
PLATFORM = "platform"
SPARK = "spark"


def table_assets(mapping: ResolvedMapping, partitions: PartitionsDefinition[Any], lake: str) -> AssetsDefinition:
    """Return the tables of a mapping as one computation of which any part can be run."""
    dated = mapping.partition is not None
    policy: BackfillPolicy | None = backfill_policy() if dated else None

    @multi_asset(
        name=f"materialize_{python_name(mapping)}_tables",
        specs=table_specs(mapping, partitions, lake),
        can_subset=True,
        backfill_policy=policy,
        pool=SPARK_POOL,
        required_resource_keys={PLATFORM, SPARK},
        op_tags={"mapping": mapping.name},
        description=f"Brings the tables of {mapping.name} up to the newest good captures of the dates.",
    )
    def tables(context: AssetExecutionContext) -> Iterator[MaterializeResult[Any]]:
        with tried_again(context):
            yield from _materialize(context, mapping)

    return tables


def run_platform(context: Any) -> Platform:
    """Return the platform of a run: with the session it was given, or the run's own one."""
    platform: Platform = getattr(context.resources, PLATFORM)
    if platform.spark_factory is not None:
        return platform
    return Platform(platform.settings, spark_factory=lambda: getattr(context.resources, SPARK).spark_session)


def _materialize(context: AssetExecutionContext, mapping: ResolvedMapping) -> Iterator[MaterializeResult[Any]]:
    selected = {table_of_key(key) for key in context.selected_asset_keys}
    tables = [t.name for t in mapping.targets if t.name in selected]
    platform = run_platform(context)
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
