"""A sensor a raw table: it requests exactly the dates with new raw rows, and again those whose run failed."""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from dagster import (
    AssetObservation,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    PartitionsDefinition,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from mlb_platform.assets.specs import python_name, raw_key
from mlb_platform.dagster_home import PERMANENT_TAG
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform
from mlb_platform.sensors.cursor import MAX_ATTEMPTS, Cursor, Place, Request
from resources.merge_state import MergeStates
from resources.postgres import Postgres
from resources.raw_store import RawRow

INTERVAL_SECONDS = 15
ROWS_PER_PAGE = 500
ROWS_PER_UNDATED_PAGE = 5_000
ENTITIES_PER_PAGE = 4
"""A page of responses with several entities has so many times fewer rows."""
READ_SECONDS = 0.25
DATES_PER_TICK = 200
OUTSTANDING = 500
"""A tick reads on, page by page, until it has read for so long or has so many dates; and not at all while so many of
its requests wait for their runs. What it leaves, the next one takes up: no tick is long, however much there is."""
REDATED_PER_TICK = 2_000
KEPT_AHEAD = 400
"""Of the days with rows that are no partitions yet, a sensor remembers so many, the nearest: a season has fewer."""
SHOWN = 20
RUN_KEY_TAG = "dagster/run_key"
_FAILED = (DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)


def sensor_name(mapping: ResolvedMapping) -> str:
    """Return the name of a mapping's sensor: new_game_live_game_v1_rows."""
    return f"new_{python_name(mapping)}_rows"


def raw_rows_sensor(
    mapping: ResolvedMapping,
    job: Any,
    partitions: PartitionsDefinition[Any],
    platform: Platform,
    status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
) -> SensorDefinition:
    """Return the sensor that watches a mapping's raw table and requests runs of `job`."""

    @sensor(
        name=sensor_name(mapping),
        job=job,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        description=f"New rows of {mapping.config.source.raw_table}: a run "
        + ("for each date they concern." if mapping.partition else "of all its tables, which have no dates."),
        tags={"mapping": python_name(mapping)},
    )
    def new_rows(context: SensorEvaluationContext) -> SensorResult:
        # a platform of its own each time: the embedded server may have been restarted since
        now = Platform(platform.settings)
        try:
            # the last tick's end is the same for a tick that is evaluated again, and another after each reset
            began = context.last_tick_completion_time
            return tick(context.instance, context.cursor, mapping, partitions, now, context.log, began)
        finally:
            now.postgres.close()

    return new_rows


def tick(
    instance: DagsterInstance,
    cursor_text: str | None,
    mapping: ResolvedMapping,
    partitions: PartitionsDefinition[Any],
    platform: Platform,
    log: logging.Logger,
    began: float | None = None,
) -> SensorResult:
    """Read the raw rows committed since the cursor and return the runs they call for, with the next cursor.

    `began` is the time, in seconds, that is noted where the cursor begins at the first row (None: now): rows given
    before are requested under other run keys then. The same cursor, rows and `began` give the same keys.
    """
    cursor = Cursor.parse(cursor_text)
    first, last = _bounds(partitions)

    def is_partition(day: date | None) -> bool:
        return mapping.partition is None if day is None else first <= day <= last

    requests, running = settle(instance, cursor.requests.values(), log)
    for day in [day for day in requests if not is_partition(day)]:
        # Dagster would refuse it, and with it all that this tick and each later one requests
        log.error("%s of %s is not requested again: that date is no partition any more", mapping.name, day)
        del requests[day]
    found = NewRows(at=cursor.raw)
    if len(running) + len(requests) < OUTSTANDING:
        found = _read(platform, mapping, cursor.raw)
        if cursor.raw is None:
            cursor = replace(cursor, began=round((began or time.time()) * 1000))
    wanted = dict[date | None, Place](cursor.ahead.items()) | found.wanted
    inside = {day for day in wanted if is_partition(day)}
    nearest = sorted(day for day in wanted if day is not None and day > last)[:KEPT_AHEAD]
    ahead = {day: wanted[day] for day in nearest}
    _log_outside(log, mapping, found, wanted.keys() - inside - ahead.keys(), "not requested")
    _log_outside(log, mapping, found, ahead.keys() - cursor.ahead.keys(), "requested once they are partitions")
    for day in inside:
        xid, raw_id = wanted[day]
        requests[day] = Request(mapping.name, day, raw_id, 1, xid, cursor.began)
    next_cursor = Cursor(found.at, {r.key: r for r in (*running, *requests.values())}, ahead, cursor.began)
    return SensorResult(
        run_requests=[_run_request(requests[day]) for day in sorted(requests, key=str)],
        skip_reason=None if requests else SkipReason(_why_nothing(mapping, running)),
        cursor=next_cursor.text(),
        asset_events=_observations(mapping, found.rows),
    )


@dataclass
class NewRows:
    """What a tick read: the cursor behind it, the rows, and the place of the newest by date.

    Where rows have dates, there is one for each entity in a response.
    """

    at: str | None
    rows: list[RawRow] = field(default_factory=list)
    wanted: dict[date | None, Place] = field(default_factory=dict)


def _read(platform: Platform, mapping: ResolvedMapping, cursor: str | None) -> NewRows:
    """Read the rows since the cursor, and those whose dates others have told since, as far as one tick goes."""
    source, found = mapping.config.source, NewRows(cursor)
    started = time.perf_counter()
    if source.dated_by is not None:
        platform.raw.redate(source.raw_table, source.dated_by, limit=REDATED_PER_TICK)
    if mapping.partition is None:
        size = ROWS_PER_UNDATED_PAGE
    else:
        size = ROWS_PER_PAGE // (ENTITIES_PER_PAGE if mapping.per_element else 1)
    while True:
        page, found.at = platform.raw.rows_after(source.raw_table, found.at, size)
        rows = page
        if mapping.per_element and mapping.partition is not None and page:
            rows = platform.raw.rows(source.raw_table, raw_ids=[r.raw_id for r in page], by_member=True)
        found.rows += rows
        if mapping.partition is not None:
            concerned = dates_concerned(platform.postgres, mapping, rows)
        else:
            concerned = {None: _place(page[-1])} if page else {}
        found.wanted |= concerned
        read_enough = time.perf_counter() - started > READ_SECONDS or len(found.wanted) >= DATES_PER_TICK
        if len(page) < size or read_enough:
            return found


def _bounds(partitions: PartitionsDefinition[Any]) -> tuple[date, date]:
    """Return the first and the last date of daily partitions."""
    first, last = partitions.get_first_partition_key(), partitions.get_last_partition_key()
    assert first is not None and last is not None
    return date.fromisoformat(first), date.fromisoformat(last)


def _place(row: RawRow) -> Place:
    return row.ingest_xid, row.raw_id


def _log_outside(
    log: logging.Logger, mapping: ResolvedMapping, found: NewRows, outside: Iterable[date | None], then: str
) -> None:
    days = sorted(outside, key=str)
    if not days:
        return
    rows = Counter(r.partition_date for r in found.rows)
    told = ", ".join(f"{day or 'no date'} ({rows[day]} rows)" for day in days[:SHOWN])
    more = f" and {len(days) - SHOWN} more dates" if len(days) > SHOWN else ""
    log.warning("%s: outside the partitions, %s: %s%s", mapping.name, then, told, more)


def _why_nothing(mapping: ResolvedMapping, running: Sequence[Request]) -> str:
    if len(running) >= OUTSTANDING:
        return f"{len(running)} requests wait for their runs: new rows are read when there are fewer than {OUTSTANDING}"
    return f"no new rows in {mapping.config.source.raw_table}"


def dates_concerned(postgres: Postgres, mapping: ResolvedMapping, rows: Sequence[RawRow]) -> dict[date | None, Place]:
    """Return the newest row's place by date: the dates of the rows, and those their entities' merged rows lie under."""
    newest: dict[date | None, Place] = {}
    by_entity: dict[str, Place] = {}
    for row in sorted(rows, key=_place):
        newest[row.partition_date] = by_entity[row.entity_key] = _place(row)
    if by_entity:
        MergeStates(postgres).ensure()
        with postgres.transaction() as connection:
            merged = connection.execute(
                "SELECT DISTINCT scope, partition_date FROM quality.merge_state "
                "WHERE table_name = ANY(%s) AND scope = ANY(%s) AND partition_date IS NOT NULL",
                [[t.name for t in mapping.targets], list(by_entity)],
            ).fetchall()
        for entity, day in merged:
            newest[day] = max(newest.get(day, by_entity[entity]), by_entity[entity])
    return newest


def settle(
    instance: DagsterInstance, requests: Iterable[Request], log: logging.Logger
) -> tuple[dict[date | None, Request], list[Request]]:
    """Return, of requests made before, those to be made again, and those still to end.

    Of a failed one it is the next attempt. One that has no run is made again as it was: the run was deleted, or never
    made since the sensor was turned off meanwhile; where there is a run of its key after all, Dagster makes no other.
    A request is not made again where one of its date that was first made later is on its way (its run reads these rows
    too, whatever their raw ids), a failed one neither after too many attempts, or where its run said that it would fail
    in the same way.
    """
    runs = _runs(instance, requests := list(requests))
    status = {key: run.status for key, run in runs.items()}
    running = [r for r in requests if r.key in runs and status[r.key] not in (*_FAILED, DagsterRunStatus.SUCCESS)]
    latest = {r.day: r.xid for r in sorted(running, key=lambda r: r.place)}
    again: dict[date | None, Request] = {}
    for r in sorted(requests, key=lambda r: r.place):
        if status.get(r.key) not in (None, *_FAILED) or latest.get(r.day, 0) > r.xid:
            continue
        if r.key not in runs:
            log.warning("%s of %s has no run: it was deleted, or never made; requested again", r.mapping, r.day)
            again[r.day] = r
        elif PERMANENT_TAG in runs[r.key].tags:
            log.error("%s of %s fails in the same way each time: it waits for newer rows or a person", r.mapping, r.day)
        elif r.attempt < MAX_ATTEMPTS:
            again[r.day] = r.next_attempt()
        else:
            log.error("%s of %s failed %s times: it waits for newer rows or a person", r.mapping, r.day, r.attempt)
    return again, running


def _runs(instance: DagsterInstance, requests: Sequence[Request]) -> Mapping[str, DagsterRun]:
    """Return the newest run by run key; a request without a run has none."""
    if not requests:
        return {}
    runs = instance.get_runs(RunsFilter(tags={RUN_KEY_TAG: [r.key for r in requests]}))
    return {run.tags[RUN_KEY_TAG]: run for run in reversed(list(runs))}


def _run_request(request: Request) -> RunRequest:
    return RunRequest(
        run_key=request.key,
        partition_key=request.day.isoformat() if request.day else None,
        tags={"mapping": request.mapping, "newest_raw_id": str(request.raw_id), "attempt": str(request.attempt)},
    )


def _observations(mapping: ResolvedMapping, rows: Sequence[RawRow]) -> list[AssetObservation]:
    """Note on the raw asset what arrived."""
    if not rows:
        return []
    days = sorted({str(r.partition_date) for r in rows})
    return [
        AssetObservation(
            raw_key(mapping.config.source.raw_table),
            metadata={
                "new_rows": len(rows),
                "entities": len({r.entity_key for r in rows}),
                "newest_raw_id": max(r.raw_id for r in rows),
                "newest_capture": max(r.observed_at for r in rows).isoformat(),
                "dates": ", ".join(days[:50]) + (f" and {len(days) - 50} more" if len(days) > 50 else ""),
            },
        )
    ]
