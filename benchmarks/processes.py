"""Measurements in a process of their own: they leave their figures as JSON, and no one pays for their memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from benchmarks.home import end_orderly
from benchmarks.report import told
from mlb_platform.settings import PROJECT_ROOT

_TO_END = 60
"""Seconds that a process has to stop its server and remove its home, when this one is told to end."""


def measured_by(module: str, *arguments: str) -> dict[str, Any]:
    """Run a module of the benchmarks with `--json FILE` added and return what it left there.

    Raises:
        RuntimeError: it left nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        command = [sys.executable, "-m", f"benchmarks.{module}", *arguments, "--json", str(out)]
        code = ended(command)
        if not out.exists():
            raise RuntimeError(f"benchmarks.{module} ended with {code} and left no figures")
        found: dict[str, Any] = orjson.loads(out.read_bytes())
        return found


def ended(command: Sequence[str]) -> int:
    """Run a command to its end, also where this process is interrupted (`subprocess.run` would kill it)."""
    end_orderly()
    process = subprocess.Popen(command, cwd=PROJECT_ROOT)
    try:
        return process.wait()
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt):  # of which a terminal tells both
            process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TO_END)
        process.kill()
        raise


def leave(out: Path | None, figures: Mapping[str, Any]) -> None:
    """Write figures for the process that asked for them; None: nobody did."""
    if out is not None:
        out.write_text(json.dumps(figures))


def run_quietly(command: list[str], home: Path) -> str:
    """Run a command on a home and return its standard error.

    Raises:
        RuntimeError: the exit code is not 0; what the command wrote is said before.
    """
    environment = {**os.environ, "MLB_HOME": str(home)}
    done = subprocess.run(command, check=False, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        told(f"{done.stdout[-2_000:]}{done.stderr[-2_000:]}", style="red")
        raise RuntimeError(f"{' '.join(command[:4])} … ended with {done.returncode}")
    return done.stderr
