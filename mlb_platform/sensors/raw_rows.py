"""A sensor a raw table: it requests exactly the dates with new raw rows, and again those whose run failed."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from dagster import (
    AssetObservation,
    DagsterInstance,
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
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform
from mlb_platform.sensors.cursor import MAX_ATTEMPTS, Cursor, Request
from resources.merge_state import MergeStates
from resources.postgres import Postgres
from resources.raw_store import RawRow

INTERVAL_SECONDS = 15
ROWS_PER_PAGE = 2_000
PAGES_PER_TICK = 25
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
            return tick(context.instance, context.cursor, mapping, partitions, now, context.log)
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
) -> SensorResult:
    """Read the raw rows committed since the cursor and return the runs they call for, with the next cursor."""
    cursor = Cursor.parse(cursor_text)
    rows, at = _new_rows(platform, mapping, cursor.raw)
    outside: dict[date | None, int] = {}
    if mapping.partition is None:
        wanted: dict[date | None, int] = {None: max(r.raw_id for r in rows)} if rows else {}
    else:
        wanted = dates_concerned(platform.postgres, mapping, rows)
        outside = {day: n for day, n in wanted.items() if day is None or not _is_partition(partitions, day)}
    for day in sorted(outside, key=str):
        count = sum(1 for r in rows if r.partition_date == day)
        log.warning(
            "%s: %s rows of %s are outside the partitions: not requested", mapping.name, count, day or "no date"
        )
    requests, running = settle(instance, cursor.requests.values(), log)
    for day, raw_id in wanted.items():
        if day not in outside:
            requests[day] = Request(mapping.name, day, raw_id, 1)
    next_cursor = Cursor(at, {r.key: r for r in (*running, *requests.values())})
    return SensorResult(
        run_requests=[_run_request(requests[day]) for day in sorted(requests, key=str)],
        skip_reason=None if requests else SkipReason(f"no new rows in {mapping.config.source.raw_table}"),
        cursor=next_cursor.text(),
        asset_events=_observations(mapping, rows),
    )


def _new_rows(platform: Platform, mapping: ResolvedMapping, cursor: str | None) -> tuple[list[RawRow], str]:
    """Return the rows since the cursor, and those whose dates others have told since; one for each entity in them."""
    source, found = mapping.config.source, list[RawRow]()
    if source.dated_by is not None:
        platform.raw.redate(source.raw_table, source.dated_by)
    for _ in range(PAGES_PER_TICK):
        rows, cursor = platform.raw.rows_after(source.raw_table, cursor, ROWS_PER_PAGE)
        found += rows
        if len(rows) < ROWS_PER_PAGE:
            break
    assert cursor is not None
    if mapping.per_element and found:
        found = platform.raw.rows(source.raw_table, raw_ids=[r.raw_id for r in found], by_member=True)
    return found, cursor


def dates_concerned(postgres: Postgres, mapping: ResolvedMapping, rows: Sequence[RawRow]) -> dict[date | None, int]:
    """Return the newest raw id by date: the dates of the rows, and those their entities' merged rows lie under."""
    newest: dict[date | None, int] = defaultdict(int)
    by_entity: dict[str, int] = defaultdict(int)
    for row in rows:
        newest[row.partition_date] = max(newest[row.partition_date], row.raw_id)
        by_entity[row.entity_key] = max(by_entity[row.entity_key], row.raw_id)
    if by_entity:
        MergeStates(postgres).ensure()
        with postgres.transaction() as connection:
            merged = connection.execute(
                "SELECT DISTINCT scope, partition_date FROM quality.merge_state "
                "WHERE table_name = ANY(%s) AND scope = ANY(%s) AND partition_date IS NOT NULL",
                [[t.name for t in mapping.targets], list(by_entity)],
            ).fetchall()
        for entity, day in merged:
            newest[day] = max(newest[day], by_entity[entity])
    return dict(newest)


def _is_partition(partitions: PartitionsDefinition[Any], day: date) -> bool:
    return partitions.has_partition_key(day.isoformat())


def settle(
    instance: DagsterInstance, requests: Iterable[Request], log: logging.Logger
) -> tuple[dict[date | None, Request], list[Request]]:
    """Return, of requests made before, the next attempts of those whose run failed, and those still to end.

    A failed request is not made again where a newer one of its date is on its way, or after too many attempts.
    """
    status = _runs(instance, requests := list(requests))
    running = [r for r in requests if status.get(r.key) not in (*_FAILED, DagsterRunStatus.SUCCESS)]
    newer = {r.day: r.raw_id for r in sorted(running, key=lambda r: r.raw_id)}
    again: dict[date | None, Request] = {}
    for r in sorted(requests, key=lambda r: r.raw_id):
        if status.get(r.key) not in _FAILED or newer.get(r.day, 0) > r.raw_id:
            continue
        if r.attempt < MAX_ATTEMPTS:
            again[r.day] = r.next_attempt()
        else:
            log.error("%s of %s failed %s times: it waits for newer rows or a person", r.mapping, r.day, r.attempt)
    return again, running


def _runs(instance: DagsterInstance, requests: Sequence[Request]) -> Mapping[str, DagsterRunStatus]:
    """Return the status of the newest run by run key; a request without a run yet has none."""
    if not requests:
        return {}
    runs = instance.get_runs(RunsFilter(tags={RUN_KEY_TAG: [r.key for r in requests]}))
    return {run.tags[RUN_KEY_TAG]: run.status for run in reversed(list(runs))}


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
