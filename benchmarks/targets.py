"""What the platform is to reach, and whether a run's figures are within it: ratios of one run, and a few seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.figures import DAGSTER, HAND, OURS, UNCHECKED


@dataclass(frozen=True)
class Figures:
    """The workloads of a run, as they are in its JSON."""

    workloads: Mapping[str, Mapping[str, Any]]

    def median(self, workload: str, contender: str, phase: str) -> float | None:
        """Return the median seconds of a phase; None when it was not measured."""
        found = self.workloads.get(workload, {}).get("median", {}).get(contender, {}).get(phase)
        return None if found is None else float(found)

    def fact(self, workload: str, name: str) -> float | None:
        """Return a number that was measured once; None when it was not."""
        found = self.workloads.get(workload, {}).get("facts", {}).get(name)
        return None if found is None else float(found)


@dataclass(frozen=True)
class Target:
    """One row of the table: how its value is had from the figures, and what it may be."""

    key: str
    workload: str
    what: str
    limit: float
    value: Callable[[Figures], float | None]
    unit: str = ""
    at_most: bool = True


@dataclass(frozen=True)
class Result:
    """A target and what was measured; `value` and `passed` are None when it was not."""

    key: str
    workload: str
    what: str
    value: float | None
    limit: float
    unit: str
    at_most: bool
    passed: bool | None

    @property
    def verdict(self) -> str:
        """Whether the target is reached, in a word or two."""
        return "not measured" if self.passed is None else "reached" if self.passed else "missed"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "value": None if self.value is None else round(self.value, 4)}


def ratio(above: float | None, below: float | None) -> float | None:
    """Return a quotient; None where one of the two was not measured, or there is nothing to divide by."""
    return above / below if above is not None and below else None


def _beside(workload: str, contender: str, phase: str) -> Callable[[Figures], float | None]:
    """Return how the ratio of a contender to the hand-written peer is had."""
    return lambda f: ratio(f.median(workload, contender, phase), f.median(workload, HAND, phase))


def _share(workload: str, contender: str, part: str, whole: str) -> Callable[[Figures], float | None]:
    """Return how the share of one phase in another of the same contender is had."""
    return lambda f: ratio(f.median(workload, contender, part), f.median(workload, contender, whole))


def _fact(workload: str, name: str) -> Callable[[Figures], float | None]:
    return lambda f: f.fact(workload, name)


def _less(workload: str, less: str) -> Callable[[Figures], float | None]:
    """Return how the share is had of what one run through Dagster does and another contender does not."""

    def share(f: Figures) -> float | None:
        with_, without = (f.median(workload, c, "end to end") for c in (DAGSTER, less))
        return None if with_ is None or without is None or not with_ else (with_ - without) / with_

    return share


def _times_slower(f: Figures) -> float | None:
    return ratio(f.fact("season", "per_table_spark, scaled"), f.median("season", DAGSTER, "end to end"))


def _cold(f: Figures) -> float | None:
    cold, warm = f.median("cold", "command", "end to end"), f.median("date", DAGSTER, "end to end")
    return None if cold is None or warm is None else cold - warm


def _growth(f: Figures) -> float | None:
    return ratio(f.fact("growth", "seconds a game, most"), f.fact("growth", "seconds a game, fewest"))


def _memory(f: Figures) -> float | None:
    """Return the peak of memory with most games by that with the fewest, of all parts together."""
    most, fewest = (
        sum(f.fact("growth", f"peak MB of {kind}, {size}") or 0.0 for kind in ("driver", "jvm", "workers"))
        for size in ("most", "fewest")
    )
    return ratio(most, fewest)


_THROUGH, _WITHOUT = "through Dagster / handwritten", "without Dagster / handwritten"
TARGETS = (
    Target("season", "season", _THROUGH, 1.0, _beside("season", DAGSTER, "end to end")),
    Target("season_bare", "season", _WITHOUT, 1.0, _beside("season", OURS, "end to end")),
    Target("per_table", "season", "per_table_spark (scaled) / through Dagster", 8.0, _times_slower, at_most=False),
    Target("date", "date", f"empty: {_THROUGH}", 1.5, _beside("date", DAGSTER, "end to end")),
    Target("date_bare", "date", f"empty: {_WITHOUT}", 1.5, _beside("date", OURS, "end to end")),
    Target("recaptured", "date", f"re-captured: {_THROUGH}", 1.5, _beside("date", DAGSTER, "re-captured")),
    Target("recaptured_bare", "date", f"re-captured: {_WITHOUT}", 1.5, _beside("date", OURS, "re-captured")),
    Target("cold", "cold", "cold command less a warm date", 15.0, _cold, "s"),
    Target("unchanged", "unchanged", "share of the first time, through Dagster, as by the command", 0.10,
           _share("unchanged", DAGSTER, "unchanged", "end to end")),
    Target("recorded_again", "unchanged", "the same, every date recorded and judged again as by the UI", 0.10,
           _share("unchanged", DAGSTER, "recorded again", "end to end")),
    Target("unchanged_bare", "unchanged", "share of the first time, without Dagster", 0.10,
           _share("unchanged", OURS, "unchanged", "end to end")),
    Target("corrected", "corrected", "one game's share of the date, through Dagster", 0.25,
           _share("corrected", DAGSTER, "corrected", "end to end")),
    Target("corrected_bare", "corrected", "one game's share of the date, without Dagster", 0.25,
           _share("corrected", OURS, "corrected", "end to end")),
    Target("checks", "season", "checks and lineage: share of the season", 0.10, _less("season", UNCHECKED)),
    Target("checks_date", "date", "checks and lineage: share of a date", 0.10, _less("date", UNCHECKED)),
    Target("live", "live", "raw commit to visible rows, p95", 2.0, _fact("live", "p95"), "s"),
    Target("growth", "growth", "time per game, most games / fewest", 1.2, _growth),
    Target("memory", "growth", "peak of memory, most games / fewest", 1.2, _memory),
    Target("duckdb_query", "lake", "a date's slowest query by DuckDB, warm", 1.0,
           _fact("lake", "slowest query by duckdb, warm, after compaction"), "s"),
    Target("spark_query", "lake", "a date's slowest query by Spark, warm", 1.0,
           _fact("lake", "slowest query by spark, warm, after compaction"), "s"),
    Target("sensor", "dagster", "slowest sensor evaluation", 1.0, _fact("dagster", "slowest tick"), "s"),
    Target("definitions", "dagster", "definitions load", 3.0, _fact("dagster", "definitions load"), "s"),
)  # fmt: skip


def judged(workloads: Mapping[str, Mapping[str, Any]], limits: Mapping[str, float] | None = None) -> list[Result]:
    """Return every target with what a run measured of it; `workloads` are those of its JSON.

    `limits` gives other limits by key; then only those targets are judged. Raises KeyError for a key there is not.
    """
    figures = Figures(workloads)
    if limits is None:
        return [_judge(target, target.limit, figures) for target in TARGETS]
    by_key = {target.key: target for target in TARGETS}
    return [_judge(by_key[key], limit, figures) for key, limit in limits.items()]


def _judge(target: Target, limit: float, figures: Figures) -> Result:
    value = target.value(figures)
    passed = None if value is None else value <= limit if target.at_most else value >= limit
    return Result(target.key, target.workload, target.what, value, limit, target.unit, target.at_most, passed)
