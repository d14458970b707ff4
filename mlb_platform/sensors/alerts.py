"""The sensor that raises alerts: failed runs, failed checks of severity error, and live games that stand still.

It reads what Dagster has on record rather than hooking into runs: runs of `mlb materialize` count too, nothing that
goes wrong here can break a run, and what happened while the daemon was down is found when it is up again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    EventRecordsFilter,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from mlb_platform.platform import Platform
from resources.alerts import Alert, Alerts
from resources.own_tables import table_exists
from resources.postgres import Postgres

INTERVAL_SECONDS = 30
FIRST_LOOK = timedelta(hours=1)
"""How far back the first look goes; what failed before is history."""
EVENTS_PER_TICK, RUNS_PER_TICK = 2_000, 100
RUN, CHECK, STALE = "failed run", "failed check", "stale live game"
_EVENTS = DagsterEventType.ASSET_CHECK_EVALUATION


@dataclass(frozen=True)
class Seen:
    """How far the sensor has read: the update time of runs, and the number of the last event."""

    runs: float
    events: int | None

    @classmethod
    def parse(cls, text: str | None) -> Seen:
        """Read a cursor; none, or one set by hand to something else, begins an hour ago."""
        try:
            value = json.loads(text) if text else {}
            return cls(float(value["runs"]), None if value["events"] is None else int(value["events"]))
        except (ValueError, TypeError, KeyError):
            return cls((datetime.now(UTC) - FIRST_LOOK).timestamp(), None)

    def text(self) -> str:
        """Return what `parse` reads."""
        return json.dumps({"runs": self.runs, "events": self.events})


def alerts_sensor(platform: Platform, status: DefaultSensorStatus = DefaultSensorStatus.STOPPED) -> SensorDefinition:
    """Return the sensor; it requests nothing."""

    @sensor(
        name="alerts",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        description="Tells of failed runs, failed error checks and stale live games: to MLB_ALERT_WEBHOOK, or the log.",
    )
    def alerts(context: SensorEvaluationContext) -> SensorResult:
        now = Platform(platform.settings)
        try:
            return look(context.instance, context.cursor, now.postgres, platform.settings.alert_webhook, context.log)
        finally:
            now.postgres.close()

    return alerts


def look(
    instance: DagsterInstance, cursor: str | None, postgres: Postgres, webhook: str | None, log: logging.Logger
) -> SensorResult:
    """Raise an alert for what is new since the cursor, deliver what is undelivered, and return the next cursor."""
    kept, seen = Alerts(postgres), Seen.parse(cursor)
    runs_at, found = _failed_runs(instance, seen.runs)
    events_at, verdicts = _verdicts(instance, seen.events)
    # in their order: a check that failed and then passed is no trouble any more, the reverse is
    for alert, failed in verdicts:
        if failed:
            found.append(alert)
        else:
            kept.raise_(found)
            found = []
            kept.resolve([alert.key])
    stale = list(stale_games(postgres))
    kept.resolve(set(kept.open(STALE)) - {a.key for a in stale})
    kept.raise_([*found, *stale])
    taken, left = kept.deliver(webhook)
    if left:
        log.warning("%s alerts wait to be delivered to the webhook: they are sent again at the next look", left)
    text = f"{taken} alerts told, {left} to be told"
    return SensorResult(skip_reason=SkipReason(text), cursor=Seen(runs_at, events_at).text())


def _failed_runs(instance: DagsterInstance, since: float) -> tuple[float, list[Alert]]:
    """Return the runs that failed since, and the time to go on from."""
    after = datetime.fromtimestamp(since, UTC)
    records = instance.get_run_records(
        RunsFilter(statuses=[DagsterRunStatus.FAILURE], updated_after=after),
        limit=RUNS_PER_TICK, order_by="update_timestamp", ascending=True,
    )  # fmt: skip
    found = []
    for record in records:
        run = record.dagster_run
        of = next((run.tags[t] for t in ("dagster/partition", "dates", "entities", "games") if t in run.tags), "")
        why = _why(instance, run.run_id)
        place = f"{run.job_name} {of}".strip()
        details = {"run_id": run.run_id, "job": run.job_name, "of": of, "attempt": run.tags.get("attempt", "1")}
        found.append(Alert(f"run:{run.run_id}", RUN, f"{place} failed: {why}", details))
    newest = max((r.update_timestamp.timestamp() for r in records), default=since)
    return newest, found


def _why(instance: DagsterInstance, run_id: str) -> str:
    """Return the first error of a run in one line."""
    kinds = {DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE}
    for entry in instance.all_logs(run_id, of_type=kinds):
        event = entry.dagster_event
        error = event.step_failure_data.error if event is not None and event.is_step_failure else None
        text = (error.cause or error).message if error is not None else entry.user_message
        if text:
            return " ".join(text.split())[:300]
    return "no reason on record; see the run's log"


def _verdicts(instance: DagsterInstance, after: int | None) -> tuple[int | None, list[tuple[Alert, bool]]]:
    """Return the verdicts of error checks since, in order, with whether they failed; and the event to go on from."""
    since = None if after is not None else (datetime.now(UTC) - FIRST_LOOK).timestamp()
    records = instance.event_log_storage.get_event_records(
        EventRecordsFilter(_EVENTS, after_cursor=after, after_timestamp=since), limit=EVENTS_PER_TICK, ascending=True
    )
    found = []
    for record in records:
        event = record.event_log_entry.dagster_event
        verdict = event.asset_check_evaluation_data if event is not None else None
        if verdict is not None and (verdict.passed or verdict.severity is AssetCheckSeverity.ERROR):
            found.append((_alert_of(verdict, record.run_id), not verdict.passed))
    return max((r.storage_id for r in records), default=after), found


def _alert_of(verdict: AssetCheckEvaluation, run_id: str) -> Alert:
    table, day = ".".join(verdict.asset_key.path), verdict.partition
    text = f"{verdict.check_name} of {table}{f', {day}' if day else ''}: {verdict.description or 'failed'}"
    details = {"table": table, "check": verdict.check_name, "partition": day, "run_id": run_id}
    return Alert(f"check:{table}:{verdict.check_name}:{day or 'all'}", CHECK, text, details)


def stale_games(postgres: Postgres) -> Iterator[Alert]:
    """Give the games that the follower calls stale: going on by the schedule, while their feed stands still."""
    with postgres.transaction() as connection:
        if not table_exists(connection, "live.games"):
            return
        rows: list[Mapping[str, Any]] = [
            row[0] for row in connection.execute("SELECT to_jsonb(g) FROM live.games g").fetchall()
        ]
    for row in rows:
        since = row.get("stale_since")
        if since:
            key = f"stale:{row['game_pk']}:{since}"
            yield Alert(key, STALE, f"game {row['game_pk']} is stale: its feed stands still since {since}", row)
