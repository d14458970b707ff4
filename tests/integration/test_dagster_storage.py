"""Dagster's storage keeps its connections, for every process that reads dagster.yaml."""

from __future__ import annotations

from pathlib import Path

from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef
from dagster._core.test_utils import create_run_for_test

from mlb_platform.dagster_home import prepare_dagster_home
from mlb_platform.settings import Settings
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
