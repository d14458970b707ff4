"""Dagster's storage in PostgreSQL, as dagster.yaml names it: connections are kept, plans of checks stored at once.

Dagster keeps connections in its webserver only. Its daemon and its runs open one or two for each event, each of which
is a new process of the server: 8 and 15 ms instead of 2 and 4. And who asks for a run of all tables waits until each of
its two hundred checks was noted as planned, in four statements.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

from dagster import DagsterEventType, EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import create_pg_engine

from resources.dagster_entries import copy_into, insert_entries, stored_time
from resources.dagster_serialization import serialized

_KEPT: dict[str, Any] = {
    "isolation_level": "AUTOCOMMIT",
    "pool_size": 1,
    "max_overflow": 10,
    "pool_recycle": 3600,
    "pool_pre_ping": True,
}
"""A connection that the server ended meanwhile, by a restart, is replaced when it is next taken."""


class BatchedEventLogStorage(PostgresEventLogStorage):
    """Dagster's event log, where planned checks that come together are stored together."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events as Dagster does one by one; of planned checks all or none."""
        planned = [e for e in events if e.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED]
        others = [e for e in events if e.dagster_event_type != DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED]
        if planned:
            texts = [serialized(entry) for entry in planned]
            with self.index_transaction() as connection:
                ids = insert_entries(connection, planned, texts)
                found = zip(planned, texts, ids, strict=True)
                copy_into(connection, AssetCheckExecutionsTable, [row for f in found for row in _executions(*f)])
        if others:
            super().store_event_batch(others)


def _executions(entry: EventLogEntry, event: str, event_id: int) -> Iterator[dict[str, object]]:
    """Return the rows of a planned check in the table of check executions, one a partition."""
    plan = entry.get_dagster_event().asset_check_planned_data
    for partition in plan.partitions_subset.get_partition_keys() if plan.partitions_subset else [None]:
        yield {
            "asset_key": plan.asset_key.to_string(),
            "check_name": plan.check_name,
            "partition": partition,
            "run_id": entry.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": event,
            "evaluation_event_timestamp": stored_time(entry),
            "evaluation_event_storage_id": event_id,
        }


class KeptPostgresStorage(DagsterPostgresStorage):
    """Storage of runs, events and ticks that keeps one connection for each, and more while they are needed."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        """`postgres_url` is SQLAlchemy's, with psycopg2 by name."""
        super().__init__(postgres_url, inst_data=inst_data)
        self._event_log_storage = BatchedEventLogStorage(postgres_url, should_autocreate_tables=False)
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = create_pg_engine(postgres_url, **_KEPT)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return what dagster.yaml gives."""
        return {"postgres_url": str}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Return the storage of a dagster.yaml."""
        return cls(config_value["postgres_url"], inst_data)
