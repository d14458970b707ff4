"""The raw tables as assets: what a date needs is fetched from the Stats API, in a pool that limits the API."""

from collections.abc import Iterator, Sequence
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    Backoff,
    Config,
    DefaultScheduleStatus,
    Failure,
    Jitter,
    MaterializeResult,
    MetadataValue,
    PartitionsDefinition,
    RetryPolicy,
    RunConfig,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    define_asset_job,
    in_process_executor,
    multi_asset,
)
from pydantic import Field

from mlb_platform.assets.partitions import TIMEZONE, backfill_policy, dates_of_keys
from mlb_platform.assets.recapture import API_POOL
from mlb_platform.assets.specs import raw_key, raw_spec
from mlb_platform.assets.tables import PLATFORM
from mlb_platform.ingestion.dates.opened import open_ingestion
from mlb_platform.ingestion.dates.plan import Mode, local_day
from mlb_platform.ingestion.dates.report import IngestionReport, Outcome
from mlb_platform.mapping.resolve import ResolvedMapping

OP, JOB = "ingest_date", "ingest_dates"
RETRIES = RetryPolicy(max_retries=3, delay=20, backoff=Backoff.EXPONENTIAL, jitter=Jitter.PLUS_MINUS)
MORNING, THROUGH_THE_DAY = "0 9 * * *", "*/15 11-23,0-3 * * *"
"""When the previous date is fetched, and today; in the time of New York."""


class IngestConfig(Config):
    """What is asked for."""

    mode: str = Field(default="missing", description="missing, reconcile or verify, as in `mlb ingest statsapi`.")


def ingestion_assets(
    mappings: Sequence[ResolvedMapping], partitions: PartitionsDefinition[Any], retries: RetryPolicy = RETRIES
) -> AssetsDefinition:
    """Return the raw tables of all mappings as one computation by date: it fetches what the date needs."""

    @multi_asset(
        name=OP,
        specs=[raw_spec(m).replace_attributes(partitions_def=partitions) for m in mappings],
        backfill_policy=backfill_policy(),
        pool=API_POOL,
        retry_policy=retries,
        required_resource_keys={PLATFORM},
        description="Fetches what the dates need from the Stats API: schedule, games, and what is not yet known of "
        "their people, teams, venues and rosters.",
    )
    def ingest(context: AssetExecutionContext, config: IngestConfig) -> Iterator[MaterializeResult[Any]]:
        with open_ingestion(getattr(context.resources, PLATFORM), Mode(config.mode)) as ingestion:
            report = ingestion.dates(dates_of_keys(context.partition_keys))
        for problem in report.problems:
            context.log.warning(problem.text)
        for mapping in mappings:
            yield MaterializeResult(
                asset_key=raw_key(mapping.config.source.raw_table), metadata=_metadata(report, mapping)
            )
        if not report.complete:
            raise _failure(report)

    return ingest


def _metadata(report: IngestionReport, mapping: ResolvedMapping) -> dict[str, Any]:
    source = mapping.config.source
    names = [f"{source.endpoint}/{method}" for method in (source.method, *source.also)]
    counts = {str(o): sum(report.total(o, name) for name in names) for o in Outcome}
    found = {name.replace(" ", "_"): MetadataValue.int(count) for name, count in counts.items() if count}
    return {
        "mode": MetadataValue.text(str(report.mode.value)),
        "requests": MetadataValue.int(sum(counts.values())),
        **found,
    }


def _failure(report: IngestionReport) -> Failure:
    """Return why not all is in: what failed is tried again, an answer that is no good or differs is for people."""
    transient = any(p.outcome is Outcome.failed for p in report.problems) or report.bare or report.stopped
    first = report.stopped or (report.problems[0].text if report.problems else f"no schedule of {report.bare[0]}")
    more = f" (and {len(report.problems) - 1} more)" if len(report.problems) > 1 else ""
    return Failure(f"{first}{more}: what was fetched is stored; run it again", allow_retries=bool(transient))


def ingestion_job(mappings: Sequence[ResolvedMapping]) -> Any:
    """Return the job that ingests dates, also of a range or season in a backfill."""
    return define_asset_job(
        JOB,
        selection=[raw_key(m.config.source.raw_table) for m in mappings],
        executor_def=in_process_executor,
        description="What dates need, fetched from the Stats API.",
    )


def ingestion_schedules(job: Any) -> list[ScheduleDefinition]:
    """Return the schedules of the job: the previous date in the morning, today through the day; off until turned on."""

    def of_day(name: str, cron: str, back: int, text: str) -> ScheduleDefinition:
        def request(context: ScheduleEvaluationContext) -> RunRequest:
            from datetime import timedelta

            day = local_day(context.scheduled_execution_time) - timedelta(days=back)
            return RunRequest(
                run_key=f"{name} {context.scheduled_execution_time.isoformat()}",
                partition_key=day.isoformat(),
                run_config=RunConfig(ops={OP: IngestConfig()}),
            )

        return ScheduleDefinition(
            name=name, job=job, cron_schedule=cron, execution_timezone=TIMEZONE, execution_fn=request,
            default_status=DefaultScheduleStatus.STOPPED, description=text,
        )  # fmt: skip

    return [
        of_day("ingest_previous_date", MORNING, 1, "Yesterday's games, once they are over."),
        of_day("ingest_today", THROUGH_THE_DAY, 0, "Today's schedule and games, every quarter of an hour."),
    ]
