"""Runs of Dagster whose process has ended without a word: found dead, so that they do not keep their place for ever.

Dagster's own launcher cannot tell. A run whose process was killed, one of a command included, would be "started" until
somebody deletes it, count as one of the two that may run, and keep sensors waiting for it.
"""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
from dagster import DagsterEventType, DagsterRun, DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus

HOST_TAG = "mlb/host"
"""Tag of a run: the host that it runs on."""
_CLOCKS = 5.0
"""Seconds by which a process may seem to be younger than what it told."""


def this_host() -> str:
    """Return what the runs of this host are tagged with."""
    return socket.gethostname()


class WatchedRunLauncher(DefaultRunLauncher):
    """Launches runs as Dagster does, and tells Dagster's monitor whether the process of a run still lives."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch a run, noted as one of this host."""
        self._instance.add_run_tags(context.dagster_run.run_id, {HOST_TAG: this_host()})
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: the monitor asks."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return FAILED where a run of this host was begun by a process that is no more, and otherwise RUNNING.

        Of other hosts' processes nothing is known here.
        """
        alive = CheckRunHealthResult(WorkerStatus.RUNNING)
        if run.tags.get(HOST_TAG) != this_host():
            return alive
        begun = self._instance.all_logs(run.run_id, of_type=DagsterEventType.RUN_START)
        event = begun[-1].dagster_event if begun else None
        if event is None or event.pid is None or _lives(event.pid, begun[-1].timestamp):
            return alive
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {event.pid} on {this_host()} has ended: killed?")


def _lives(pid: int, since: float) -> bool:
    """Tell whether a process has been there since a time (seconds of the epoch): another may have its number now.

    One that seems younger is another only if it is no Python: the clock may have been set meanwhile.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.create_time() <= since + _CLOCKS or "python" in Path(process.exe()).name
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # somebody else's: nothing is known
        return True
