"""Sensors that have games fetched again; what they fetch shows in the raw tables, whose sensors request the dates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dagster import (
    DagsterInstance,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES, DagsterRunStatus

from mlb_platform.assets.recapture import GAMES_TAG
from mlb_platform.ingestion.dates.plan import FEED
from mlb_platform.platform import Platform

if TYPE_CHECKING:
    from mlb_platform.ingestion.recaptures import Ends

INTERVAL_SECONDS = 300
GAMES_PER_RUN = 50
_GOING = [*IN_PROGRESS_RUN_STATUSES, DagsterRunStatus.QUEUED]


def is_going(instance: DagsterInstance, job_name: str) -> bool:
    """Tell whether a run of this job waits or works."""
    return bool(instance.get_runs(RunsFilter(job_name=job_name, statuses=_GOING), limit=1))


def recapture_sensor(
    job: Any, platform: Platform, status: DefaultSensorStatus = DefaultSensorStatus.STOPPED
) -> SensorDefinition:
    """Return the sensor that has the games fetched whose time has come; one run at a time, the longest due first."""
    ends: Ends = {}

    @sensor(
        name="recapture_final_games",
        job=job,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        description="Games that ended an hour, a day or a week ago are fetched again: corrections are seen then.",
    )
    def recapture(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        # here, since loading the definitions needs no client
        from mlb_platform.ingestion.recaptures import due_games
        from mlb_platform.ingestion.statsapi.clock import open_clock

        if is_going(context.instance, job.name):
            yield SkipReason("games are being fetched")
            return
        now = Platform(platform.settings)
        try:
            feed = now.registry.mappings.get(FEED)
            clock = open_clock(now.settings.api_clock_url)
            due = due_games(now.raw, feed.config.source.raw_table, clock.now(), ends=ends) if feed else []
        finally:
            now.postgres.close()
        if not due:
            yield SkipReason("no game is due")
            return
        yield RunRequest(tags={GAMES_TAG: ",".join(d.game_pk for d in due[:GAMES_PER_RUN])})

    return recapture
