"""`python -m benchmarks.cold`: `mlb materialize` for one date as a command nobody has warmed up, and its steps."""

from __future__ import annotations

import argparse
import logging
import re
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks import raw
from benchmarks.figures import Workload
from benchmarks.home import temporary_home
from benchmarks.ours import MAPPING, Ours
from benchmarks.processes import leave, run_quietly
from benchmarks.report import told
from mlb_platform.settings import load_settings

_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)")
_MOST = 8


def measure(repeat: int) -> Workload:
    """Run the command and its steps in turns, each time into empty tables; return seconds of both."""
    workload, day = Workload("cold", raw.GAMES_A_DATE), raw.FIRST_DATE.isoformat()
    with temporary_home() as home:
        ours = Ours(home, load_settings().jars)
        told("cold: simulating and ingesting 15 games")
        ours.ingest(raw.GAMES_A_DATE)
        tables = [argument for table in ours.tables for argument in ("--table", table)]
        command = ["-m", "mlb_platform.cli.main", "materialize", "--mapping", MAPPING, "--from", day, "--to", day]
        for _ in range(repeat):
            ours.reset()
            ours.prepare()
            started = time.perf_counter()
            run_quietly([sys.executable, *command, *tables], home)
            workload.add("command", {"end to end": time.perf_counter() - started})
            ours.games()
            ours.reset()
            ours.prepare()
            workload.add("steps", _steps(home, day, tables))
            ours.games()
        for package, seconds in imports(home).items():
            workload.facts[f"import of {package}"] = seconds
    told(
        f"cold: command {workload.median('command', 'end to end'):.1f} s; "
        + ", ".join(f"{name} {workload.median('steps', name):.1f}" for name in workload.seconds["steps"])
    )
    return workload


def _steps(home: Path, day: str, tables: list[str]) -> dict[str, float]:
    out = home / "steps.json"
    started = time.perf_counter()
    options = ["--spawned", repr(time.time()), "--date", day, "--json", str(out)]
    run_quietly([sys.executable, "-m", "benchmarks.cold_steps", *options, *tables], home)
    whole = time.perf_counter() - started
    found = figures_in(out)
    return {**found, "exit": whole - sum(found.values()), "end to end": whole}


def figures_in(out: Path) -> dict[str, float]:
    """Return the figures a process has left."""
    import orjson

    return {str(name): float(seconds) for name, seconds in orjson.loads(out.read_bytes()).items()}


def imports(home: Path) -> dict[str, float]:
    """Return the seconds that imports of a command take, by package, the longest first."""
    code = "import mlb_platform.cli.main, mlb_platform.assets.aside, mlb_platform.assets.command, mlb_platform.platform"
    return import_seconds(run_quietly([sys.executable, "-X", "importtime", "-c", code], home))


def import_seconds(told_by_python: str) -> dict[str, float]:
    """Return seconds by top-level package from what `-X importtime` writes: the longest ones, the others together."""
    found: Counter[str] = Counter()
    for microseconds, module in _IMPORT.findall(told_by_python):
        found[module.split(".")[0]] += int(microseconds)
    most = {package: spent / 1e6 for package, spent in found.most_common(_MOST)}
    return {**most, "others": sum(found.values()) / 1e6 - sum(most.values())}


def main() -> int:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold", description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    workload = measure(arguments.repeat)
    leave(arguments.json, {"seconds": workload.seconds, "facts": workload.facts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
