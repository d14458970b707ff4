"""Compaction of the lake as an asset: few files a table, sorted where it must be, no more of the past than asked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    Config,
    DefaultScheduleStatus,
    Failure,
    MaterializeResult,
    MetadataValue,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    TableColumn,
    TableRecord,
    TableSchema,
    asset,
    define_asset_job,
    in_process_executor,
)
from pydantic import Field

from mlb_platform.assets.partitions import TIMEZONE
from mlb_platform.assets.specs import DEFAULT_OWNER, table_key
from mlb_platform.assets.tables import PLATFORM
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform
from mlb_platform.sensors.recaptures import is_going
from resources.errors import PlatformError

if TYPE_CHECKING:
    from mlb_platform.compaction import Upkeep
    from resources.lake_compaction import Compaction

JOB, SCHEDULE = "compact_lake", "compact_lake_daily"
COMPACTION = AssetKey(["lake", "compaction"])
EARLY_MORNING = "30 4 * * *"
"""Games are over then, and what the morning brings is not fetched yet; in the time of New York."""
_COLUMNS = (
    "table", "did", "files before", "files after", "rows a file", "files a date", "MB", "seconds", "versions kept",
    "MB of the past", "MB removed",
)  # fmt: skip


class CompactConfig(Config):
    """What is to be compacted."""

    tables: list[str] = Field(default=[], description="Tables, schema.table; none: all of the lake.")


def compaction_asset(mappings: Sequence[ResolvedMapping]) -> AssetsDefinition:
    """Return what compacts the lake; its metadata tells files, bytes and seconds of each table."""

    @asset(
        key=COMPACTION,
        deps=[AssetDep(table_key(t.name)) for m in mappings for t in m.targets],
        description="The tables of the lake put into few files, sorted by date where the files of a date are many; "
        "what only versions older than MLB_LAKE_HISTORY_DAYS need is removed. Rows stay as they are; writers go first.",
        group_name="lake",
        kinds={"deltalake"},
        owners=[DEFAULT_OWNER],
        required_resource_keys={PLATFORM},
    )
    def compact_lake(context: AssetExecutionContext, config: CompactConfig) -> MaterializeResult[Any]:
        # here, since loading the definitions needs nothing of what reads and writes a lake
        from mlb_platform.compaction import chosen_tables, compact_tables, layouts

        platform: Platform = getattr(context.resources, PLATFORM)
        lake = platform.settings.lake
        try:
            tables = chosen_tables(lake, config.tables)
        except PlatformError as error:
            raise Failure(str(error), allow_retries=False) from error
        found = compact_tables(lake, tables, layouts(mappings), platform.settings.lake_history_days)
        for line in found.troubles:
            context.log.warning(line)
        context.log.info(found.summary)
        if found.failed:
            first = next(iter(found.failed.items()))
            raise Failure(f"{len(found.failed)} tables could not be compacted; {first[0]}: {first[1]}", _told(found))
        return MaterializeResult(metadata=_told(found))

    return compact_lake


def _told(found: "Upkeep") -> dict[str, Any]:
    done = list(found.done.values())
    schema = TableSchema(columns=[TableColumn(name, "string" if n < 2 else "float") for n, name in enumerate(_COLUMNS)])
    records = [TableRecord(dict(zip(_COLUMNS, _record(c), strict=True))) for c in done]
    return {
        "tables": MetadataValue.table(records, schema),
        "files_before": MetadataValue.int(sum(c.before.files for c in done)),
        "files_after": MetadataValue.int(sum(c.after.files for c in done)),
        "most_files_a_table": MetadataValue.int(max((c.after.files for c in done), default=0)),
        "bytes": MetadataValue.int(sum(c.after.bytes for c in done)),
        "bytes_removed": MetadataValue.int(sum(c.swept.bytes for c in done)),
        "seconds": MetadataValue.float(round(sum(c.seconds for c in done), 3)),
        "gave_way": MetadataValue.int(len(found.gave_way)),
        "troubles": MetadataValue.text("\n".join(found.troubles)),
    }


def _record(c: "Compaction") -> tuple[str | float, ...]:
    after = c.after
    return (
        c.table, "gave way" if c.gave_way else c.did, c.before.files, after.files, after.rows_a_file, after.depth,
        round(after.bytes / 1e6, 3), round(c.seconds, 3), after.versions, round(after.past_bytes / 1e6, 3),
        round(c.swept.bytes / 1e6, 3),
    )  # fmt: skip


def compaction_job() -> Any:
    """Return the job that compacts the lake, in one process and without Spark."""
    return define_asset_job(
        JOB,
        selection=[COMPACTION],
        executor_def=in_process_executor,
        description="Few files a table, sorted where they must be, and no more of the past than asked.",
    )


def compaction_schedule(job: Any) -> ScheduleDefinition:
    """Return the schedule of the job: each morning; off until turned on. One run at a time."""

    def request(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        if is_going(context.instance, JOB):
            return SkipReason("the lake is being compacted")
        at = context.scheduled_execution_time.isoformat()
        return RunRequest(run_key=f"{SCHEDULE} {at}")

    return ScheduleDefinition(
        name=SCHEDULE, job=job, cron_schedule=EARLY_MORNING, execution_timezone=TIMEZONE, execution_fn=request,
        default_status=DefaultScheduleStatus.STOPPED, description="Files of the lake are put together.",
    )  # fmt: skip
