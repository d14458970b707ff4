"""The roof: composes every mapping's assets, checks, jobs and sensors. The only module that knows everyone."""

from __future__ import annotations

from mlb_platform.memory import collect_seldom

collect_seldom()

from dagster import Definitions, in_process_executor
from dagster.components.definitions import definitions

from asset_checks.checks import table_checks
from asset_checks.completeness import completeness_checks
from asset_checks.coverage import coverage_checks
from asset_checks.reconciliation import reconciliation_checks
from mlb_platform.assets.compaction import compaction_asset, compaction_job, compaction_schedule
from mlb_platform.assets.corrections import corrections_specs
from mlb_platform.assets.ingestion import ingestion_assets, ingestion_job, ingestion_schedules, raw_assets
from mlb_platform.assets.jobs import mapping_job
from mlb_platform.assets.partitions import date_partitions
from mlb_platform.assets.recapture import changes_job, recapture_job
from mlb_platform.assets.specs import view_specs
from mlb_platform.assets.tables import PLATFORM, SPARK, table_assets
from mlb_platform.platform import Platform
from mlb_platform.sensors.alerts import alerts_sensor
from mlb_platform.sensors.game_changes import game_changes_sensor
from mlb_platform.sensors.raw_rows import raw_rows_sensor
from mlb_platform.sensors.recaptures import recapture_sensor
from mlb_platform.settings import Settings, load_settings
from resources.io_manager import IO_MANAGER_KEY, MergeIOManager
from resources.spark_resource import SparkResource


def build_definitions(settings: Settings, platform: Platform | None = None) -> Definitions:
    """Compose the definitions from the mappings alone; no server, Spark or network is touched.

    `platform` may come with a Spark session that stays warm between runs.
    """
    platform = platform or Platform(settings)
    mappings = [m for _, m in sorted(platform.registry.mappings.items())]
    partitions = date_partitions(settings.first_partition_date)
    jobs = [(m, mapping_job(m)) for m in mappings]
    recapture, changes = recapture_job(), changes_job()
    ingestion, compaction = ingestion_job(), compaction_job()
    checks = [check(m, partitions) for m in mappings for check in (table_checks, coverage_checks)]
    checks += [c for m in mappings for c in completeness_checks(m, partitions)]
    checks += [c for m in mappings for c in reconciliation_checks(m, partitions, platform.registry.mappings)]
    return Definitions(
        assets=[*corrections_specs(mappings), ingestion_assets(mappings, partitions), *raw_assets(mappings)]
        + [compaction_asset(mappings)]
        + [a for m in mappings for a in (table_assets(m, partitions, settings.lake), *view_specs(m))],
        asset_checks=checks,
        jobs=[*(job for _, job in jobs), ingestion, recapture, changes, compaction],
        schedules=[*ingestion_schedules(ingestion), compaction_schedule(compaction)],
        sensors=[raw_rows_sensor(m, job, partitions, platform) for m, job in jobs]
        + [recapture_sensor(recapture, platform), game_changes_sensor(changes), alerts_sensor(platform)],
        resources={
            PLATFORM: platform,
            SPARK: SparkResource(
                jars=str(settings.jars),
                work=str(settings.home / "tmp"),
                master=settings.spark_master,
                remote=settings.spark_remote or "",
            ),
            IO_MANAGER_KEY: MergeIOManager(),
        },
        executor=in_process_executor,
    )


@definitions
def defs() -> Definitions:
    """Compose the definitions for the settings in the environment; Dagster calls this when it loads the code."""
    return build_definitions(load_settings())
