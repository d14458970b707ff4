"""Runs whose process ended without a word: found by Dagster's own monitor, so that others get their place."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from mlb_platform.dagster_home import open_instance
from mlb_platform.settings import Settings
from resources.dagster_launcher import HOST_TAG, this_host
from resources.postgres import Postgres

COMMAND = """
import sys, time
from pathlib import Path
from mlb_platform.assets.in_process import run_in_process
from mlb_platform.cli.main import end_with_the_terminal
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings

def work(context):
    print("at work", flush=True)
    time.sleep(600)
    yield None

end_with_the_terminal()
platform = Platform(Settings(home=Path(sys.argv[1]), database_url=sys.argv[2]))
run_in_process(platform, "game_live_game_v1", "merge_and_check", work, {"mapping": "game/live_game_v1"})
"""


@contextmanager
def command(home: Path, database: Postgres) -> Iterator[subprocess.Popen[str]]:
    """A command in the middle of its run."""
    file = home / "command.py"
    file.write_text(COMMAND)
    with subprocess.Popen(
        [sys.executable, file, str(home), database.url], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert any("at work" in line for line in process.stdout)
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def instance(database: Postgres, tmp_path: Path) -> Iterator[DagsterInstance]:
    """Dagster's instance of the platform in `tmp_path`."""
    with open_instance(Settings(home=tmp_path, database_url=database.url), database) as opened:
        yield opened


def statuses(instance: DagsterInstance, *, monitored: bool = True) -> list[DagsterRunStatus]:
    """Let the monitor of Dagster's daemon look at the runs once; return how all of them stand."""
    if monitored:
        with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as workspace:
            assert not any(execute_run_monitoring_iteration(workspace, logging.getLogger("monitor")))
    return [record.dagster_run.status for record in instance.get_run_records()]


def test_a_run_whose_process_was_killed_fails_and_one_at_work_does_not(
    instance: DagsterInstance, database: Postgres, tmp_path: Path
) -> None:
    """As by the kernel when memory is short: the run says why it failed, no longer counts, and can be tried again."""
    with command(tmp_path, database) as process:
        assert statuses(instance) == [DagsterRunStatus.STARTED]
        process.kill()
        process.wait()
    (record,) = instance.get_run_records()
    instance.add_run_tags(record.dagster_run.run_id, {HOST_TAG: "another"})  # whose numbers mean nothing here
    assert statuses(instance) == [DagsterRunStatus.STARTED]
    instance.add_run_tags(record.dagster_run.run_id, {HOST_TAG: this_host()})
    assert statuses(instance) == [DagsterRunStatus.FAILURE]
    told = [event.message for event in instance.all_logs(record.dagster_run.run_id)]
    assert any(f"process {process.pid} on {this_host()} has ended" in text for text in told)


def test_a_command_whose_terminal_is_closed_ends_its_run(
    instance: DagsterInstance, database: Postgres, tmp_path: Path
) -> None:
    """As by SIGTERM: the run has failed by itself, before any monitor looks."""
    with command(tmp_path, database) as process:
        process.send_signal(signal.SIGHUP)
        process.wait(60)
    assert statuses(instance, monitored=False) == [DagsterRunStatus.FAILURE]
