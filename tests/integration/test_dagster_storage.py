"""Dagster's storage, for every process that reads dagster.yaml: connections are kept, plans are stored at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import AssetKey, DagsterEvent, DagsterEventType, DagsterInstance, EventLogEntry
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.events import AssetMaterializationPlannedData
from dagster._core.instance.ref import InstanceRef
from dagster._core.test_utils import create_run_for_test
from dagster_postgres.event_log import PostgresEventLogStorage

from mlb_platform.dagster_home import SCHEMA, prepare_dagster_home
from mlb_platform.settings import Settings
from resources.dagster_storage import BatchedEventLogStorage
from resources.postgres import Postgres

BACKENDS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def test_events_share_a_connection_and_a_lost_one_is_replaced(database: Postgres, tmp_path: Path) -> None:
    """By the server's own list of its processes; it ends them all, as a restart does, and the next event is there."""
    home = prepare_dagster_home(Settings(home=tmp_path, database_url=database.url), database)
    with (
        DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as instance,
        database.connect(autocommit=True) as own,
    ):
        run = create_run_for_test(instance, job_name="one")

        def backends(event: bool = True) -> set[int]:
            if event:
                instance.report_engine_event("an event", dagster_run=run)
            return {pid for (pid,) in own.execute(f"SELECT pid {BACKENDS}".encode()).fetchall()}

        before, first = backends(event=False), backends()
        assert first > before and all(backends() == first for _ in range(5))
        own.execute(f"SELECT pg_terminate_backend(pid) {BACKENDS}".encode())
        assert not backends() & first
        assert len(instance.all_logs(run.run_id)) == 7


def planned(run_id: str) -> list[EventLogEntry]:
    """What is planned of one table and three checks: of no partition, of one, and of two."""
    key = AssetKey(["game", "plays"])
    subsets = [None, {"2024-07-01"}, {"2024-07-01", "2024-07-02"}]
    events = [
        DagsterEvent(
            event_type_value=DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value,
            job_name="one",
            message="intends to \t execute \\ it",
            event_specific_data=AssetCheckEvaluationPlanned(
                asset_key=key, check_name=f"check_{n}", partitions_subset=subset and DefaultPartitionsSubset(subset)
            ),
            step_key="tables",
        )
        for n, subset in enumerate(subsets)
    ]
    table = AssetMaterializationPlannedData(key, partition="2024-07-01", partitions_subset=None)
    events.append(DagsterEvent.build_asset_materialization_planned_event("one", "tables", table))
    return [
        EventLogEntry(  # type: ignore[no-untyped-call]
            error_info=None, level=10, user_message="", run_id=run_id, timestamp=1720000000.25, dagster_event=event
        )
        for event in events
    ]


def test_plans_that_are_stored_together_are_those_that_dagster_stores(database: Postgres, tmp_path: Path) -> None:
    """The same plans of two runs, by Dagster and by ours: equal rows of both tables, and equal answers."""
    home = prepare_dagster_home(Settings(home=tmp_path, database_url=database.url), database)
    with DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as instance, database.connect() as connection:
        ours = instance.event_log_storage
        assert isinstance(ours, BatchedEventLogStorage)
        dagsters = PostgresEventLogStorage(ours.postgres_url)
        ours.store_event_batch(planned("ours"))
        dagsters.store_event_batch(planned("dagsters"))

        def rows(run_id: str) -> list[list[tuple[object, ...]]]:
            events = (
                "SELECT dagster_event_type, timestamp, step_key, asset_key, partition, "
                f"replace(event, run_id, '')::jsonb FROM {SCHEMA}.event_logs WHERE run_id = %s ORDER BY 6"
            )
            executions = (
                "SELECT c.asset_key, c.check_name, c.partition, execution_status, evaluation_event_timestamp, "
                "replace(evaluation_event, c.run_id, '')::jsonb, materialization_event_storage_id, e.event::jsonb = "
                f"evaluation_event::jsonb FROM {SCHEMA}.asset_check_executions c LEFT JOIN {SCHEMA}.event_logs e "
                "ON e.id = evaluation_event_storage_id WHERE c.run_id = %s ORDER BY 2, 3"
            )
            return [connection.execute(query.encode(), (run_id,)).fetchall() for query in (events, executions)]

        assert [len(found) for found in rows("ours")] == [4, 4]
        assert rows("ours") == rows("dagsters")
        assert [e.dagster_event for e in instance.all_logs("ours")] != []


def test_plans_of_a_batch_that_fails_are_not_half_there(
    database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster stores the events of a failed batch one by one: what of it was there would be there twice."""
    home = prepare_dagster_home(Settings(home=tmp_path, database_url=database.url), database)
    with DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as instance:
        with database.connect(autocommit=True) as connection:
            refuse = f"ALTER TABLE {SCHEMA}.asset_check_executions ADD CONSTRAINT c CHECK (check_name <> 'check_2')"
            connection.execute(refuse.encode())
        with pytest.raises(Exception, match="violates check constraint"):
            instance.event_log_storage.store_event_batch(planned("ours"))
        assert instance.all_logs("ours") == []
