"""Many verdicts of asset checks written to Dagster's event log at once.

Dagster batches materializations but writes check evaluations one by one, at two connections and three statements each:
a run over thirty dates of seventeen tables has fifteen hundred of them. This writes the same rows in a few statements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetKey,
    AssetRecordsFilter,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    EventLogEntry,
)
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as _Target,
)
from dagster._core.execution.context.system import StepExecutionContext
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_shared.record import replace
from sqlalchemy import select, text

from resources.dagster_entries import copy_into, insert_entries, log_entry, stored_time
from resources.dagster_serialization import serialized

CHUNK = 250
"""Verdicts a statement."""
_NO_LONGER_PLANNED = text("""
DELETE FROM asset_check_executions e
USING unnest(CAST(:asset_key AS text[]), CAST(:check_name AS text[]), CAST(:partition AS text[]))
    AS told(asset_key, check_name, partition)
WHERE e.run_id = :run_id AND e.execution_status = 'PLANNED'
  AND (e.asset_key, e.check_name) = (told.asset_key, told.check_name)
  AND e.partition IS NOT DISTINCT FROM told.partition
""")


def with_targets(instance: DagsterInstance, verdicts: Sequence[AssetCheckEvaluation]) -> list[AssetCheckEvaluation]:
    """Return verdicts, failures last, that name the latest materialization of their partition.

    Dagster counts a verdict for a partition only while that is still its latest materialization.
    """
    partitions: dict[AssetKey, set[str]] = defaultdict(set)
    for verdict in verdicts:
        if verdict.partition is not None:
            partitions[verdict.asset_key].add(verdict.partition)
    targets = _latest(instance, partitions)
    aimed = [
        replace(v, target_materialization_data=targets.get((v.asset_key, v.partition))) if v.partition else v
        for v in verdicts
    ]
    return sorted(aimed, key=lambda v: not v.passed)  # the UI's summary shows the last one: rather a failure


def _latest(instance: DagsterInstance, partitions: Mapping[AssetKey, set[str]]) -> dict[tuple[AssetKey, str], _Target]:
    """Return the latest materialization of each partition."""
    storage = instance.event_log_storage
    if isinstance(storage, PostgresEventLogStorage):
        return _latest_at_once(storage, partitions)
    targets: dict[tuple[AssetKey, str], _Target] = {}
    for key, wanted in partitions.items():
        latest = storage.get_latest_storage_id_by_partition(key, DagsterEventType.ASSET_MATERIALIZATION, wanted)
        if latest:
            asked = AssetRecordsFilter(asset_key=key, storage_ids=sorted(latest.values()))
            for record in instance.fetch_materializations(asked, limit=len(latest)).records:
                targets[key, str(record.partition_key)] = _Target(
                    storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
                )
    return targets


def _latest_at_once(
    storage: PostgresEventLogStorage, partitions: Mapping[AssetKey, set[str]]
) -> dict[tuple[AssetKey, str], _Target]:
    """Return the same by one statement: Dagster asks four a table."""
    if not partitions:
        return {}
    c = SqlEventLogStorageTable.c
    keys = {key.to_string(): key for key in partitions}
    query = (
        select(c.asset_key, c.partition, c.id, c.run_id, c.timestamp)
        .distinct(c.asset_key, c.partition)
        .where(
            c.dagster_event_type == DagsterEventType.ASSET_MATERIALIZATION.value,
            c.asset_key.in_(keys),
            c.partition.in_({p for wanted in partitions.values() for p in wanted}),
        )
        .order_by(c.asset_key, c.partition, c.id.desc())
    )
    with storage._connect() as connection:
        rows = connection.execute(query).fetchall()
    return {
        (keys[row.asset_key], row.partition): _Target(
            storage_id=row.id, run_id=row.run_id, timestamp=row.timestamp.replace(tzinfo=UTC).timestamp()
        )
        for row in rows
    }


def record_verdicts(
    instance: DagsterInstance, step: StepExecutionContext, verdicts: Sequence[AssetCheckEvaluation]
) -> None:
    """Record verdicts as those of a running step; what Dagster planned for them is replaced by them."""
    storage = instance.event_log_storage
    if not isinstance(storage, PostgresEventLogStorage):
        for verdict in verdicts:
            DagsterEvent.asset_check_evaluation(step, verdict)
        return
    writing: Future[None] | None = None
    with storage._connect() as connection, ThreadPoolExecutor(1, "verdicts-written") as other:
        for start in range(0, len(verdicts), CHUNK):
            entries = [_entry(step, verdict) for verdict in verdicts[start : start + CHUNK]]
            texts = [serialized(entry) for entry in entries]  # while those before are copied
            if writing is not None:
                writing.result()
            writing = other.submit(_write, connection, entries, texts)
        if writing is not None:
            writing.result()


def _entry(step: StepExecutionContext, verdict: AssetCheckEvaluation) -> EventLogEntry:
    told = "passed" if verdict.passed else "did not pass"
    message = f"Asset check '{verdict.check_name}' on '{verdict.asset_key.to_user_string()}' {told}."
    if verdict.description:
        message = f"{message} Description: '{verdict.description}'"
    return log_entry(step, DagsterEventType.ASSET_CHECK_EVALUATION, verdict, message)


def _write(connection: Any, entries: Sequence[EventLogEntry], texts: Sequence[str]) -> None:
    ids = insert_entries(connection, entries, texts)
    rows = [_execution(entry, event) for entry, event in zip(entries, texts, strict=True)]
    told = {name: [row[name] for row in rows] for name in ("asset_key", "check_name", "partition")}
    connection.execute(_NO_LONGER_PLANNED, {"run_id": entries[0].run_id, **told})
    found = [{**row, "evaluation_event_storage_id": event_id} for row, event_id in zip(rows, ids, strict=True)]
    copy_into(connection, AssetCheckExecutionsTable, found)


def _execution(entry: EventLogEntry, event: str) -> dict[str, object]:
    """Return the row of an evaluation in the table of check executions; `event` is the entry as it is stored."""
    verdict = entry.get_dagster_event().asset_check_evaluation_data
    target = verdict.target_materialization_data
    return {
        "asset_key": verdict.asset_key.to_string(),
        "check_name": verdict.check_name,
        "partition": verdict.partition,
        "run_id": entry.run_id,
        "materialization_event_storage_id": target.storage_id if target else None,
        "execution_status": "SUCCEEDED" if verdict.passed else "FAILED",
        "evaluation_event": event,
        "evaluation_event_timestamp": stored_time(entry),
    }
