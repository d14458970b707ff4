"""What fills the raw tables, as an asset by date: fetched from the Stats API, in a pool that limits the API."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from dagster import (
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetObservation,
    AssetsDefinition,
    AssetSpec,
    Backoff,
    Config,
    DagsterRunStatus,
    DefaultScheduleStatus,
    Failure,
    Jitter,
    MaterializeResult,
    MetadataValue,
    PartitionsDefinition,
    RetryPolicy,
    RunConfig,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    in_process_executor,
    multi_asset,
)
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from pydantic import Field

from mlb_platform.assets.partitions import TIMEZONE, backfill_policy, dates_of_keys
from mlb_platform.assets.specs import DEFAULT_OWNER, raw_key, raw_spec
from mlb_platform.assets.tables import PLATFORM
from mlb_platform.dagster_home import API_POOL
from mlb_platform.ingestion.dates.plan import Mode, local_day
from mlb_platform.ingestion.dates.report import IngestionReport, Outcome
from mlb_platform.mapping.resolve import ResolvedMapping

OP, JOB = "ingest_date", "ingest_dates"
INGESTION = AssetKey(["ingestion", "statsapi"])
RETRIES = RetryPolicy(max_retries=3, delay=20, backoff=Backoff.EXPONENTIAL, jitter=Jitter.PLUS_MINUS)
MORNING, THROUGH_THE_DAY = ["0 9 * * *"], ["*/15 11-23,0-2 * * *", "0 3 * * *"]
"""When the previous date is fetched, and today up to 3:00 of the night; in the time of New York."""
PARTITION = "dagster/partition"
_UNDER_WAY = [s for s in DagsterRunStatus if s not in FINISHED_STATUSES]
EVENING_LASTS = timedelta(hours=4)
"""So long after midnight it is still the evening's date: its games in the west go on."""


def evening_date(at: datetime) -> date:
    """Return the date whose games are being played at an aware time: in New York, until its evening is over."""
    return local_day(at - EVENING_LASTS)


class IngestConfig(Config):
    """What is asked for."""

    mode: str = Field(default="missing", description="missing, reconcile or verify, as in `mlb ingest statsapi`.")


def raw_assets(mappings: Sequence[ResolvedMapping]) -> list[AssetSpec]:
    """Return the raw tables: filled by ingestion, by hand or live, so no run of theirs is asked for or waited for.

    That is why materializing all tables of an endpoint never asks the API.
    """
    return [raw_spec(m).replace_attributes(deps=[AssetDep(INGESTION)]) for m in mappings]


def ingestion_assets(
    mappings: Sequence[ResolvedMapping], partitions: PartitionsDefinition[Any], retries: RetryPolicy = RETRIES
) -> AssetsDefinition:
    """Return what fetches a date into the raw tables; of each of them it records a materialization of the date."""

    @multi_asset(
        name=OP,
        specs=[
            AssetSpec(
                INGESTION,
                description="What a date needs, fetched from the Stats API into the raw tables: schedule, games, and "
                "what is not yet known of their people, teams, venues and rosters.",
                group_name="ingestion",
                kinds={"postgres"},
                owners=[DEFAULT_OWNER],
                partitions_def=partitions,
            )
        ],
        backfill_policy=backfill_policy(),
        pool=API_POOL,
        retry_policy=retries,
        required_resource_keys={PLATFORM},
    )
    def ingest(context: AssetExecutionContext, config: IngestConfig) -> Iterator[MaterializeResult[Any]]:
        # here, as below, since loading the definitions needs no client
        from mlb_platform.ingestion.dates.opened import open_ingestion

        mode, reports = Mode(config.mode), dict[date, IngestionReport]()
        for day in dates_of_keys(context.partition_keys):
            with open_ingestion(getattr(context.resources, PLATFORM), mode) as ingestion:
                reports[day] = report = ingestion.dates([day])
            _record(context, mappings, report, day)
            if report.stopped:
                break
        bad = [r for r in reports.values() if not r.complete]
        if not bad:
            for day, report in reports.items():
                context.add_asset_metadata(_told(report), asset_key=INGESTION, partition_key=day.isoformat())
            yield MaterializeResult(asset_key=INGESTION)
            return
        for day, report in reports.items():
            if report.complete:  # a failed range records none of its dates by itself
                context.log_event(AssetMaterialization(INGESTION, partition=day.isoformat(), metadata=_told(report)))
        raise _failure(bad)

    return ingest


def _record(
    context: AssetExecutionContext, mappings: Sequence[ResolvedMapping], report: IngestionReport, day: date
) -> None:
    """Record what came of a date in each raw table: materialized where something good came or nothing was missing."""
    for problem in report.problems:
        context.log.warning(problem.text)
    for mapping in mappings:
        source = mapping.config.source
        names = [f"{source.endpoint}/{method}" for method in (source.method, *source.also)]
        key, told = raw_key(source.raw_table), _told(report, names)
        if report.mode is Mode.verify:
            context.log_event(AssetObservation(key, partition=day.isoformat(), metadata=told))
        elif report.complete or any(report.total(o, name) for o in Outcome if o.good for name in names):
            context.log_event(AssetMaterialization(key, partition=day.isoformat(), metadata=told))


def _told(report: IngestionReport, names: Sequence[str] | None = None) -> dict[str, MetadataValue[Any]]:
    """Return how many requests (of these endpoint methods) ended how; of all also the bytes that came."""
    asked = report.names if names is None else names
    counts = {str(o): sum(report.total(o, name) for name in asked) for o in Outcome}
    found = {name.replace(" ", "_"): MetadataValue.int(count) for name, count in counts.items() if count}
    told = {"mode": MetadataValue.text(report.mode.value), "requests": MetadataValue.int(sum(counts.values())), **found}
    return told if names is not None else {**told, "bytes": MetadataValue.int(report.bytes)}


def _failure(reports: Sequence[IngestionReport]) -> Failure:
    """Return why not all is in: what failed is tried again, an answer that is no good or differs is for people."""
    from resources.http_client import RETRIED

    problems = [p for r in reports for p in r.problems]
    bare = [day for r in reports for day in r.bare]
    stopped = next((r.stopped for r in reports if r.stopped), None)
    refused = [p for p in problems if p.outcome is not Outcome.failed or p.status not in (None, *RETRIED)]
    transient = bool(stopped) or len(refused) < len(problems) or (bool(bare) and not problems)
    first = stopped or (problems[0].text if problems else f"no schedule of {bare[0]}")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Failure(f"{first}{more}: what was fetched is stored; run it again", allow_retries=transient)


def ingestion_job() -> Any:
    """Return the job that ingests dates, also of a range or season in a backfill."""
    return define_asset_job(
        JOB,
        selection=[INGESTION],
        executor_def=in_process_executor,
        description="What dates need, fetched from the Stats API.",
    )


def ingestion_schedules(job: Any) -> list[ScheduleDefinition]:
    """Return the schedules of the job: the previous date in the morning, today through the day; off until turned on."""

    def of_day(name: str, cron: Sequence[str], back: int, text: str) -> ScheduleDefinition:
        def request(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
            at = context.scheduled_execution_time
            day = (evening_date(at) - timedelta(days=back)).isoformat()
            if context.instance.get_runs(RunsFilter(job_name=JOB, tags={PARTITION: day}, statuses=_UNDER_WAY), limit=1):
                return SkipReason(f"a run of {day} is under way")
            return RunRequest(
                run_key=f"{name} {at.isoformat()}",
                partition_key=day,
                run_config=RunConfig(ops={OP: IngestConfig()}),
            )

        return ScheduleDefinition(
            name=name, job=job, cron_schedule=cron, execution_timezone=TIMEZONE, execution_fn=request,
            default_status=DefaultScheduleStatus.STOPPED, description=text,
        )  # fmt: skip

    return [
        of_day("ingest_previous_date", MORNING, 1, "Yesterday's games, once they are over."),
        of_day("ingest_today", THROUGH_THE_DAY, 0, "Today's schedule and games, every quarter of an hour until 3:00."),
    ]
