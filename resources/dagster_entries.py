"""Entries of Dagster's event log, made as Dagster makes them and inserted many at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from dagster import DagsterEvent, DagsterEventType, EventLogEntry
from dagster._core.execution.context.system import StepExecutionContext
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster_postgres.event_log import PostgresEventLogStorage


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


def insert_entries(
    storage: PostgresEventLogStorage, connection: Any, entries: Sequence[EventLogEntry]
) -> tuple[list[int], list[str]]:
    """Insert entries by one statement; return their numbers, and the entries as they are stored."""
    rows = [storage._event_to_row(entry) for entry in entries]
    insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
    return [int(row[0]) for row in connection.execute(insert, rows)], [str(row["event"]) for row in rows]
