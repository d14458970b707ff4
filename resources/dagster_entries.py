"""Entries of Dagster's event log, made as Dagster makes them and inserted many at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from dagster import DagsterEvent, DagsterEventType, EventLogEntry
from dagster._core.execution.context.system import StepExecutionContext
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from sqlalchemy import Table, text


def log_entry(step: StepExecutionContext, kind: DagsterEventType, data: Any, message: str | None) -> EventLogEntry:
    """Return the log entry that Dagster itself would write for an event of a running step.

    `data` is what it tells, `message` what is said of it, where something is.
    """
    event = DagsterEvent(
        event_type_value=kind.value,
        job_name=step.job_name,
        step_handle=step.step.handle,
        node_handle=step.step.node_handle,
        step_kind_value=step.step.kind.value,
        logging_tags=step.event_tags,
        event_specific_data=data,
        message=message,
        pid=os.getpid(),
    )
    return EventLogEntry(  # type: ignore[no-untyped-call]
        error_info=None,
        level=10,
        user_message=message or f"{kind} for step {step.step.key}",
        run_id=step.run_id,
        timestamp=time.time(),
        step_key=event.step_key,
        job_name=step.job_name,
        dagster_event=event,
    )


def insert_entries(connection: Any, entries: Sequence[EventLogEntry], texts: Sequence[str]) -> list[int]:
    """Insert entries together, of which `texts` are the serialized ones; return their numbers."""
    sequence = text("SELECT nextval(pg_get_serial_sequence('event_logs', 'id')) FROM generate_series(1, :wanted)")
    ids = [int(row[0]) for row in connection.execute(sequence, {"wanted": len(entries)})]
    rows = []
    for event_id, entry, told in zip(ids, entries, texts, strict=True):
        event = entry.get_dagster_event()
        rows.append(
            {
                "id": event_id,
                "run_id": entry.run_id,
                "event": told,
                "dagster_event_type": event.event_type_value,
                "timestamp": stored_time(entry),
                "step_key": event.step_key,
                "asset_key": event.asset_key.to_string() if event.asset_key else None,
                "partition": event.partition,
            }
        )
    copy_into(connection, SqlEventLogStorageTable, rows)
    return ids


def stored_time(entry: EventLogEntry) -> datetime:
    """Return the time of an entry as Dagster stores it: UTC, without saying so."""
    return datetime.fromtimestamp(entry.timestamp, UTC).replace(tzinfo=None)


def copy_into(connection: Any, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Copy rows, all of the same columns, into one of Dagster's tables: to insert them takes twice as long."""
    if not rows:
        return
    lines = "".join("\t".join(map(_copied, row.values())) + "\n" for row in rows)
    names = ", ".join(f'"{name}"' for name in rows[0])
    with connection.connection.cursor() as cursor:
        cursor.copy_expert(f'COPY "{table.name}" ({names}) FROM STDIN', StringIO(lines))


def _copied(value: object) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return str(value)
