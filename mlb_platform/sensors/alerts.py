"""The sensor that raises alerts: failed runs, failed checks of severity error, and live games that stand still.

It reads what Dagster has on record rather than hooking into runs: runs of `mlb materialize` count too, nothing that
goes wrong here can break a run, and what happened while the daemon was down is found when it is up again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
    RunRecord,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)
from dagster_shared.error import SerializableErrorInfo

from mlb_platform.live.games_table import LiveGames
from mlb_platform.platform import Platform
from resources.alerts import Alert, Alerts
from resources.errors import SPARK_IS_LOST, SPARK_LOST
from resources.postgres import Postgres

INTERVAL_SECONDS = 30
FIRST_LOOK = timedelta(hours=1)
"""How far back the first look goes; what failed before is history."""
EVENTS_PER_TICK, RUNS_PER_TICK = 2_000, 1_000
OVERLAP = timedelta(minutes=2)
"""What is so recent is read again: events and runs get their number and time before they are committed."""
FOLLOWED = timedelta(minutes=5)
"""A game of which the follower wrote nothing for so long is not followed any more; it writes every few seconds."""
ALL = "all"
RUN, CHECK, STALE = "failed run", "failed check", "stale live game"
_RANGE = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_EVENTS = DagsterEventType.ASSET_CHECK_EVALUATION


@dataclass(frozen=True)
class Seen:
    """How far the sensor has read: the update time of runs, and the number of the last event.

    `settled` is the number of the last event too old for one before it to be still uncommitted.
    """

    runs: float
    events: int | None
    settled: int | None

    @classmethod
    def parse(cls, text: str | None) -> Seen:
        """Read a cursor; none, or one set by hand to something else, begins an hour ago."""
        try:
            value = json.loads(text) if text else {}
            events, settled = (
                None if n is None else int(n) for n in (value["events"], value.get("settled", value["events"]))
            )
            return cls(float(value["runs"]), events, settled)
        except (ValueError, TypeError, KeyError):
            return cls((datetime.now(UTC) - FIRST_LOOK).timestamp(), None, None)

    def text(self) -> str:
        """Return what `parse` reads."""
        return json.dumps({"runs": self.runs, "events": self.events, "settled": self.settled})


@dataclass(frozen=True)
class Verdict:
    """What a run or check says at an instant: that there is a trouble, or that such a trouble is over."""

    at: datetime
    alert: Alert
    failed: bool

    def ends(self, kept: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Return the keys of the alerts, given as details by key, whose trouble is over by this verdict.

        A check has one alert. A run's is that of an earlier one: of the same job and dates, and no more tables.
        """
        if self.alert.kind == CHECK:
            return [self.alert.key] if self.alert.key in kept else []
        mine = self.alert.details
        return [
            key
            for key, its in kept.items()
            if (its.get("job"), its.get("of")) == (mine["job"], mine["of"])
            and mine["tables"] in (ALL, its.get("tables", ALL))
        ]


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
    runs_at, runs = _runs(instance, seen.runs)
    events, checks = _checks(instance, seen)
    _keep(kept, [*runs, *checks])
    stale = list(stale_games(postgres))
    kept.resolve(set(kept.open(STALE)) - {a.key for a in stale})
    kept.raise_(stale)
    taken, left = kept.deliver(webhook)
    if left:
        log.warning("%s alerts wait to be delivered to the webhook: they are sent again at the next look", left)
    text = f"{taken} alerts told, {left} to be told"
    return SensorResult(skip_reason=SkipReason(text), cursor=replace(events, runs=runs_at).text())


def _keep(kept: Alerts, verdicts: Sequence[Verdict]) -> None:
    """Raise and resolve in the order of time: a check that failed and then passed is no trouble, the reverse is."""
    known = {kind: dict(kept.open(kind)) for kind in (RUN, CHECK)}
    found: list[Alert] = []
    for verdict in sorted(verdicts, key=lambda v: v.at):
        alerts = known[verdict.alert.kind]
        if verdict.failed:
            found.append(verdict.alert)
            alerts[verdict.alert.key] = verdict.alert.details
        elif over := verdict.ends(alerts):
            kept.raise_(found)
            found = []
            kept.resolve(over, verdict.at)
    kept.raise_(found)


def _runs(instance: DagsterInstance, since: float) -> tuple[float, list[Verdict]]:
    """Return the runs that failed or succeeded since, or shortly before, and the time to go on from."""
    after = datetime.fromtimestamp(since, UTC) - OVERLAP
    records = instance.get_run_records(
        RunsFilter(statuses=[DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS], updated_after=after),
        limit=RUNS_PER_TICK, order_by="update_timestamp", ascending=True,
    )  # fmt: skip
    found = [_of_run(instance, record) for record in records]
    return max([since, *(r.update_timestamp.timestamp() for r in records)]), found


def _of_run(instance: DagsterInstance, record: RunRecord) -> Verdict:
    run = record.dagster_run
    failed = run.status is DagsterRunStatus.FAILURE
    of = _dates_of(run.tags)
    some = sorted(key.to_user_string() for key in run.asset_selection or ())
    details = {"run_id": run.run_id, "job": run.job_name, "of": of, "attempt": run.tags.get("attempt", "1")}
    details["tables"] = ", ".join(some) or run.tags.get("tables", ALL)
    text = f"{f'{run.job_name} {of}'.strip()} failed: {_why(instance, run.run_id)}" if failed else "succeeded"
    # not when it was updated last: a tag that is added later changes that
    at = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
    return Verdict(at, Alert(f"run:{run.run_id}", RUN, text, details, at), failed)


def _dates_of(tags: Mapping[str, str]) -> str:
    """Return what a run is of, as its tags say: a date, several, a range as a backfill's runs have, or games."""
    of = next((tags[t] for t in ("dagster/partition", "dates", "entities", "games") if t in tags), "")
    return of or " to ".join(tags[t] for t in _RANGE if t in tags)


def _why(instance: DagsterInstance, run_id: str) -> str:
    """Return the first error of a run in one line."""
    kinds = {DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE}
    for entry in instance.all_logs(run_id, of_type=kinds):
        event = entry.dagster_event
        error = event.step_failure_data.error if event is not None and event.is_step_failure else None
        if any(e.cls_name == SPARK_LOST for e in _chain(error)):
            return SPARK_IS_LOST
        text = (error.cause or error).message if error is not None else entry.user_message
        if text:
            return " ".join(text.split())[:300]
    return "no reason on record; see the run's log"


def _chain(error: SerializableErrorInfo | None) -> Iterator[SerializableErrorInfo]:
    """Give an error and those it came from."""
    waiting = [error]
    while waiting:
        if (found := waiting.pop()) is not None:
            yield found
            waiting += [found.cause, found.context]


def _checks(instance: DagsterInstance, seen: Seen) -> tuple[Seen, list[Verdict]]:
    """Return how far events are read now, and what checks say: what is new, and again what is not settled."""
    storage, now = instance.event_log_storage, datetime.now(UTC)
    since = None if seen.settled is not None else (now - FIRST_LOOK).timestamp()
    new = EventRecordsFilter(_EVENTS, after_cursor=seen.events, after_timestamp=since if seen.events is None else None)
    records = list(storage.get_event_records(new, limit=EVENTS_PER_TICK, ascending=True))
    if seen.events is not None:
        again = EventRecordsFilter(
            _EVENTS, after_cursor=seen.settled, before_cursor=seen.events + 1, after_timestamp=since
        )
        records += storage.get_event_records(again, ascending=True)
    found = []
    for record in records:
        event = record.event_log_entry.dagster_event
        verdict = event.asset_check_evaluation_data if event is not None else None
        if verdict is not None and (verdict.passed or verdict.severity is AssetCheckSeverity.ERROR):
            at = datetime.fromtimestamp(record.timestamp, UTC)
            found.append(Verdict(at, _alert_of(verdict, record.run_id, at), not verdict.passed))
    newest = max((r.storage_id for r in records), default=seen.events)
    settled = [r.storage_id for r in records if r.timestamp < (now - OVERLAP).timestamp()]
    return Seen(seen.runs, newest, max(settled, default=seen.settled)), found


def _alert_of(verdict: AssetCheckEvaluation, run_id: str, at: datetime) -> Alert:
    table, day = ".".join(verdict.asset_key.path), verdict.partition
    text = f"{verdict.check_name} of {table}{f', {day}' if day else ''}: {verdict.description or 'failed'}"
    details = {"table": table, "check": verdict.check_name, "partition": day, "run_id": run_id}
    return Alert(f"check:{table}:{verdict.check_name}:{day or 'all'}", CHECK, text, details, at)


def stale_games(postgres: Postgres) -> Iterator[Alert]:
    """Give the games that the follower calls stale: going on by the schedule, while their feed stands still."""
    stale = [game.game_pk for game in LiveGames(postgres).stale()]
    query = "SELECT to_jsonb(g) FROM live.games g WHERE game_pk = ANY(%s) AND updated_at > clock_timestamp() - %s"
    with postgres.transaction() as connection:
        rows: list[Mapping[str, Any]] = [row[0] for row in connection.execute(query, [stale, FOLLOWED])]
    for row in rows:
        since = row["stale_since"]
        key = f"stale:{row['game_pk']}:{since}"
        yield Alert(key, STALE, f"game {row['game_pk']} is stale: its feed stands still since {since}", row)
