"""`python -m benchmarks.charts`: one chart a workload from the JSON of a run, and the figures of docs/performance.md.

The same figures give the same bytes. Workloads that were not measured get no chart and keep the one they have.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import orjson
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figures import DAGSTER, DUCKDB, HAND, OURS, PER_TABLE, SIDE_BY_SIDE
from benchmarks.markdown import put_into, section
from benchmarks.report import RESULTS, told
from benchmarks.targets import TARGETS, judged
from mlb_platform.settings import PROJECT_ROOT

IMAGES = PROJECT_ROOT / "docs" / "images" / "performance"
PAGE = PROJECT_ROOT / "docs" / "performance.md"
COLOURS = {DAGSTER: "#1f6f8b", OURS: "#64b5cd", HAND: "#e08e45", DUCKDB: "#c9b458", PER_TABLE: "#9a9a9a"}
_GREYS = ("#1f6f8b", "#64b5cd", "#e08e45", "#c9b458", "#9a9a9a", "#7b6d8d", "#a3c4bc", "#bf6b63", "#4d4d4d")
_STYLE = {
    "svg.hashsalt": "mlb", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.xmargin": 0.08, "axes.ymargin": 0.1,
}  # fmt: skip
Found = Mapping[str, Any]


def season(axes: Axes, found: Found) -> None:
    """Draw the seconds of every contender; the usual Spark jobs as scaled."""
    seconds = {c: m["end to end"] for c, m in found["median"].items() if "end to end" in m}
    scaled, parts = (found["facts"].get(f"per_table_spark, scaled{more}") for more in ("", " from"))
    names = {c: c for c in seconds}
    if scaled is not None:
        seconds[PER_TABLE] = scaled
        whole = " and " in str(parts)  # by a line through two parts; a single part's own time is told of the part
        names[PER_TABLE] = f"{PER_TABLE}, scaled\nfrom {parts}" if whole else f"{PER_TABLE},\n{parts}"
    order = [c for c in (PER_TABLE, DUCKDB, HAND, OURS, DAGSTER) if c in seconds]
    bars = axes.barh([names[c] for c in order], [seconds[c] for c in order], color=[COLOURS[c] for c in order])
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set_xlabel("seconds")
    axes.set_title(f"{found['games']:,} games into empty tables, {found['rows']:,} rows")


def phases(*names: str) -> Callable[[Axes, Found], None]:
    """Return how phases of the three contenders are drawn beside each other."""

    def draw(axes: Axes, found: Found) -> None:
        shown = [c for c in SIDE_BY_SIDE if c in found["median"]]
        width = 0.8 / len(shown)
        for n, contender in enumerate(shown):
            values = {x: found["median"][contender].get(name) for x, name in enumerate(names)}
            measured = {x: seconds for x, seconds in values.items() if seconds is not None}
            places = [x + (n - (len(shown) - 1) / 2) * width for x in measured]
            bars = axes.bar(places, list(measured.values()), width, label=contender, color=COLOURS[contender])
            axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=8)
        axes.set_xticks(range(len(names)), ["empty tables" if name == "end to end" else name for name in names])
        axes.set_ylabel("seconds")
        axes.legend(frameon=False)
        axes.set_title(f"{found['games']:,} games, warm")

    return draw


def cold(axes: Axes, found: Found) -> None:
    """Draw the command's seconds, and under it the steps it is made of."""
    steps = {n: s for n, s in found["median"]["steps"].items() if n != "end to end" and not n.startswith("CPU")}
    begun = 0.0
    for n, (name, seconds) in enumerate(sorted(steps.items(), key=lambda item: -item[1])):
        axes.barh("steps", seconds, left=begun, label=f"{name} {seconds:.1f}", color=_GREYS[n % len(_GREYS)])
        begun += seconds
    bars = axes.barh("command", found["median"]["command"]["end to end"], color=COLOURS[DAGSTER])
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set_xlabel("seconds")
    axes.legend(frameon=False, fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.3))
    axes.set_title("mlb materialize of one date, cold")


def live(axes: Axes, found: Found) -> None:
    """Draw the quantiles of the latency beside what is aimed at."""
    names = ("p50", "p95", "max")
    bars = axes.barh(names[::-1], [found["facts"][n] for n in names[::-1]], color=COLOURS[DAGSTER])
    axes.bar_label(bars, fmt="%.2f", padding=3)
    _aim(axes, "live")
    axes.set_xlabel("seconds from raw commit to visible rows")
    axes.set_title(f"{found['games']} games, a capture of each every ten seconds at the same moment")


def growth(axes: Axes, found: Found) -> None:
    """Draw milliseconds a game, and the peak of each part's memory."""
    facts, kinds = found["facts"], ("driver", "jvm", "workers")
    sizes = [f"{facts[f'games, {n}']:,.0f} games" for n in ("fewest", "most")]
    bars = axes.bar(
        [0, 1], [1000 * facts[f"seconds a game, {n}"] for n in ("fewest", "most")], 0.6, color=COLOURS[DAGSTER]
    )
    axes.bar_label(bars, fmt="%.1f", padding=2)
    axes.set_ylabel("milliseconds a game")
    beside, under = axes.twinx(), [0.0, 0.0]
    for n, kind in enumerate(kinds):
        values = [facts[f"peak MB of {kind}, {size}"] / 1000 for size in ("fewest", "most")]
        beside.bar([3, 4], values, 0.6, bottom=under, label=kind, color=_GREYS[n + 1])
        under = [a + b for a, b in zip(under, values, strict=True)]
    beside.set_ylabel("peak of memory, GB")
    beside.spines["right"].set_visible(True)
    beside.legend(frameon=False, loc="upper center")
    axes.set_xticks([0, 1, 3, 4], sizes * 2)
    axes.set_title("time a game and memory, through Dagster")


def lake(axes: Axes, found: Found) -> None:
    """Draw a date's slowest query in both engines, before compaction and after."""
    facts, states, engines = found["facts"], ("before compaction", "after compaction"), ("duckdb", "spark")
    for n, engine in enumerate(engines):
        values = [facts[f"slowest query by {engine}, warm, {state}"] for state in states]
        bars = axes.bar([x + 0.4 * n - 0.2 for x in range(2)], values, 0.4, label=engine, color=_GREYS[n])
        axes.bar_label(bars, fmt="%.2f", padding=2)
    files = [f"{state}\n{facts[f'files a table, {state}']:.0f} files a table at most" for state in states]
    axes.set_xticks([0, 1], files)
    axes.set_ylabel("seconds")
    axes.legend(frameon=False)
    axes.set_title(f"a date's slowest query after {facts['days']:.0f} days of merges, warm")


def dagster(axes: Axes, found: Found) -> None:
    """Draw the slowest evaluation of every sensor, and the load of the definitions."""
    start = "slowest tick, "
    ticks = {n.removeprefix(start): s for n, s in found["facts"].items() if n.startswith(start)}
    bars = axes.barh(list(ticks)[::-1], list(ticks.values())[::-1], color=COLOURS[OURS])
    axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=7)
    _aim(axes, "sensor")
    axes.set_xlabel("seconds of the slowest evaluation")
    load, rows = found["facts"]["definitions load"], found["facts"]["raw rows"]
    axes.set_title(f"sensors at {rows:,.0f} raw rows each; definitions load in {load:.1f} s")


def _aim(axes: Axes, key: str) -> None:
    limit = next(target.limit for target in TARGETS if target.key == key)
    axes.axvline(limit, color="#bf6b63", linestyle="--", linewidth=1, label=f"at most {limit:g} s")
    axes.legend(frameon=False)


CHARTS: Mapping[str, Callable[[Axes, Found], None]] = {
    "season": season, "date": phases("end to end", "re-captured"), "cold": cold,
    "unchanged": phases("end to end", "unchanged", "recorded again"), "corrected": phases("end to end", "corrected"),
    "live": live, "growth": growth, "lake": lake, "dagster": dagster,
}  # fmt: skip


def draw(result: Found, folder: Path) -> list[Path]:
    """Draw a chart for every workload of a run; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with matplotlib.rc_context(_STYLE):
        for name, how in CHARTS.items():
            if name in result["workloads"]:
                figure = Figure(figsize=(7.2, 3.4), layout="constrained")
                how(figure.subplots(), result["workloads"][name])
                files.append(folder / f"{name}.svg")
                figure.savefig(files[-1], metadata={"Date": None, "Creator": None})
    return files


def together(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the workloads of several runs together, as a long run may be made in parts; of one measured twice the later.

    Targets are judged anew; what the runs say of the machine is the last one's.

    Raises:
        ValueError: the runs are of different sizes.
    """
    days = sorted({str(result["at"])[:10] for result in results})
    if len(sizes := {str(result["size"]) for result in results}) > 1:
        raise ValueError(f"runs of one size can be put together, not of {', '.join(sorted(sizes))}")
    workloads = {name: found for result in results for name, found in result["workloads"].items()}
    targets = [r.to_json() for r in judged(workloads)]
    return {
        **results[-1],
        "at": " to ".join(dict.fromkeys((days[0], days[-1]))),
        "workloads": workloads,
        "targets": targets,
    }


def main(given: Sequence[str] | None = None) -> int:
    """Read the arguments, draw, and with `--docs` put figures and charts into the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.charts", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, action="append", help="figures of a run (repeatable: of its parts)")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for the charts")
    parser.add_argument("--docs", action="store_true", help=f"put them into {PAGE.relative_to(PROJECT_ROOT)} too")
    arguments = parser.parse_args(given)
    result = together([orjson.loads(file.read_bytes()) for file in arguments.json or [RESULTS / "latest.json"]])
    for file in draw(result, arguments.out):
        told(str(file))
    if arguments.docs:
        PAGE.write_text(put_into(PAGE.read_text(), section(result, [n for n in CHARTS if n in result["workloads"]])))
        told(str(PAGE))
    return 0


if __name__ == "__main__":
    sys.exit(main())
