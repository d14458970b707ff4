"""Processor seconds of everything a contender uses: this process, Spark, the peer's processes, PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock and seconds of processor time."""

    wall: float
    cpu: float


class CpuClock:
    """Counts processor seconds of this process and of a PostgreSQL server, with all their children, ended ones too."""

    def __init__(self, postgres_dir: Path | None = None) -> None:
        """`postgres_dir` is the data folder of the embedded server, which must be running; None counts no server."""
        self._roots = [psutil.Process()]
        if postgres_dir is not None:
            pid_file = next(iter(postgres_dir.rglob("postmaster.pid")))
            self._roots.append(psutil.Process(int(pid_file.read_text().split()[0])))

    def now(self) -> float:
        """Return the processor seconds used so far."""
        ended, total = self._ended(), self._total()
        while ended != (ended := self._ended()):
            total = self._total()  # one ended meanwhile: it may have been counted twice or not at all
        return total

    def _ended(self) -> float:
        """Return the seconds of children that have ended."""
        return sum(t.children_user + t.children_system for t in (root.cpu_times() for root in self._roots))

    def _total(self) -> float:
        total = 0.0
        for root in self._roots:
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):  # its parent counts it from now on
                    t = process.cpu_times()
                    total += t.user + t.system + t.children_user + t.children_system
        return total

    def spent(self, action: Callable[[], _Result]) -> tuple[_Result, Spent]:
        """Run an action and return its result with what it took."""
        cpu, wall = self.now(), time.perf_counter()
        result = action()
        return result, Spent(time.perf_counter() - wall, self.now() - cpu)
