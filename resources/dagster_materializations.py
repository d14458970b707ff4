"""What a step has materialized and observed, written to Dagster's event log together.

Dagster writes the events of one asset at once, in four statements, while the step waits. A run over one date of
seventeen tables has as many such batches: a quarter of its time. Here events of many assets share their statements.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self

from dagster import (
    AssetMaterialization,
    AssetObservation,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    EventLogRecord,
)
from dagster._core.events import AssetObservationData, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.context.system import StepExecutionContext
from dagster._core.storage.event_log.schema import AssetKeyTable
from dagster_postgres.event_log import PostgresEventLogStorage
from sqlalchemy.dialects.postgresql import insert

from resources.dagster_entries import insert_entries, log_entry
from resources.dagster_serialization import serialized

Told = AssetMaterialization | AssetObservation
EVERY = 1.0
"""Seconds after which what waits is written."""


class MaterializationLog:
    """Keeps the events of a running step until there is reason to write them: at the latest when the context ends."""

    def __init__(self, instance: DagsterInstance, step: StepExecutionContext, every: float = EVERY) -> None:
        """Events wait for `every` seconds at most, as long as more of them come."""
        self._storage = instance.event_log_storage
        self._step = step
        self._every = every
        self._waiting: list[EventLogEntry] = []
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()

    def add(self, events: Sequence[Told]) -> None:
        """Take events, and write what waits when that is long ago."""
        if not isinstance(self._storage, PostgresEventLogStorage):
            for event in events:
                if isinstance(event, AssetMaterialization):
                    DagsterEvent.asset_materialization(self._step, event)
                else:
                    DagsterEvent.asset_observation(self._step, event)
            return
        self._waiting += [self._entry(event) for event in events]
        if time.monotonic() - self._written >= self._every:
            self._flush()

    def _flush(self) -> None:
        if self._waiting and isinstance(self._storage, PostgresEventLogStorage):
            entries, self._waiting = self._waiting, []
            _write(self._storage, entries)
        self._written = time.monotonic()

    def _entry(self, event: Told) -> EventLogEntry:
        if isinstance(event, AssetObservation):
            return log_entry(self._step, DagsterEventType.ASSET_OBSERVATION, AssetObservationData(event), None)
        message = event.description or f"Materialized value {event.label}."
        return log_entry(self._step, DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(event), message)


def _write(storage: PostgresEventLogStorage, entries: Sequence[EventLogEntry]) -> None:
    texts = [serialized(entry) for entry in entries]
    with storage._connect() as connection:
        ids = insert_entries(connection, entries, texts)
    latest: dict[tuple[str, str], tuple[EventLogEntry, int]] = {}
    for entry, event_id in zip(entries, ids, strict=True):
        event = entry.get_dagster_event()
        assert event.asset_key is not None
        latest[event.event_type_value, event.asset_key.to_string()] = (entry, event_id)
    with storage.index_transaction() as connection:
        storage._store_asset_event_tags(connection, entries, ids)
        for kind in sorted({kind for kind, _ in latest}):
            # the same order everywhere: two runs that write some assets both do not wait for each other
            rows = [
                {"asset_key": key, **_asset_values(*latest[kind, key])}
                for of_kind, key in sorted(latest)
                if of_kind == kind
            ]
            upsert = insert(AssetKeyTable).values(rows)
            updated = {name: upsert.excluded[name] for name in rows[0] if name != "asset_key"}
            connection.execute(upsert.on_conflict_do_update(index_elements=[AssetKeyTable.c.asset_key], set_=updated))


def _asset_values(entry: EventLogEntry, event_id: int) -> dict[str, object]:
    """Return what the table of assets has to say of the latest event of one, as Dagster says it."""
    values: dict[str, object] = {"last_materialization_timestamp": datetime.fromtimestamp(entry.timestamp, UTC)}
    if entry.get_dagster_event().is_step_materialization:
        record = EventLogRecord(storage_id=event_id, event_log_entry=entry)
        values |= {"last_materialization": serialized(record), "last_run_id": entry.run_id}
    return values
