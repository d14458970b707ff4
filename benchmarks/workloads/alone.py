"""Workloads in processes of their own: live, growth, a cold command, a lake, and what Dagster's daemon waits for."""

from __future__ import annotations

import sys
import time

from benchmarks.arena import begin
from benchmarks.figures import Workload
from benchmarks.home import temporary_home
from benchmarks.processes import measured_by, run_quietly
from benchmarks.sensor_tick import evaluations
from benchmarks.workloads.sizes import Size

_DEFINITIONS = "; ".join(
    (
        "import os",
        "from mlb_platform.settings import load_settings",
        "from mlb_platform.definitions import build_definitions",
        "build_definitions(load_settings()).get_repository_def()",
        "os._exit(0)",
    )
)
"""Ends at once when they are there, as a code server does not end at all."""
_LOADS = 3


def live(size: Size) -> Workload:
    """Follow fifteen games, a capture of each at the same moment every ten seconds."""
    workload = begin("live", 15)
    lengths = ("--minutes", str(size.live_minutes), "--warm-up", str(size.live_warm_up))
    workload.facts |= measured_by("live_latency", *lengths, "--at-once")
    return workload


def growth(size: Size) -> Workload:
    """Measure time a game and memory with few games and with many."""
    workload = begin("growth", max(size.growth))
    workload.facts |= measured_by("growth", *(text for n in size.growth for text in ("--games", str(n))))
    return workload


def cold(size: Size) -> Workload:
    """Measure a command for one date in a fresh process, and where its seconds go."""
    workload = begin("cold", 15)
    found = measured_by("cold", "--repeat", str(size.cold_repeat))
    workload.seconds, workload.facts = found["seconds"], found["facts"]
    return workload


def lake(size: Size) -> Workload:
    """Measure files and a date's queries after days of daily merges, before compaction and after."""
    workload = begin("lake", 15 * size.lake_days)
    found = measured_by("lake", "--days", str(size.lake_days))
    workload.facts["days"] = float(size.lake_days)
    for state in ("before compaction", "after compaction"):
        workload.facts[f"files a table, {state}"] = float(found[state]["files a table"]["max"])
        for engine, tables in found[state]["query"].items():
            for when in ("first", "warm"):
                slowest = max(float(seconds[when]) for seconds in tables.values())
                workload.facts[f"slowest query by {engine}, {when}, {state}"] = slowest
    workload.compared = 1
    if not found["same content"]:
        workload.different.append("compaction changed values")
    return workload


def dagster(size: Size) -> Workload:
    """Measure the evaluations of raw-row sensors, and how long a process takes to load the definitions."""
    workload = begin("dagster", 0)
    some = [text for name in size.sensors for text in ("--mapping", name)]
    some += ["--ticks", str(size.ticks)] if size.ticks else []
    found = measured_by("sensor_tick", "--rows", str(size.sensor_rows), *some)
    for mapping, figures in found.items():
        workload.facts[f"slowest tick, {mapping}"] = max(evaluations(figures).values())
    workload.facts["slowest tick"] = max(max(evaluations(figures).values()) for figures in found.values())
    workload.facts["raw rows"] = float(size.sensor_rows)
    with temporary_home() as home:
        for _ in range(_LOADS):
            started = time.perf_counter()
            run_quietly([sys.executable, "-c", _DEFINITIONS], home)
            workload.add("definitions", {"load": time.perf_counter() - started})
    workload.facts["definitions load"] = workload.median("definitions", "load") or 0.0
    return workload
