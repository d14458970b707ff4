"""The sensor on `game/changes`: it has what changed fetched, from a watermark that only a complete run moves."""

from __future__ import annotations

from typing import Any

from dagster import DefaultSensorStatus, RunRequest, SensorDefinition, SensorEvaluationContext, SkipReason, sensor

from mlb_platform.sensors.recaptures import is_going

INTERVAL_SECONDS = 300


def game_changes_sensor(job: Any, status: DefaultSensorStatus = DefaultSensorStatus.STOPPED) -> SensorDefinition:
    """Return the sensor that has changes read, one run at a time."""

    @sensor(
        name="game_changes",
        job=job,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        description="Games that the API lists as changed are fetched; the raw tables' sensors request their dates.",
    )
    def game_changes(context: SensorEvaluationContext) -> RunRequest | SkipReason:
        if is_going(context.instance, job.name):
            return SkipReason("changes are being read")
        return RunRequest()

    return game_changes
