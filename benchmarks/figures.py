"""What one workload measured: samples by contender and phase, and single facts; medians are taken of the samples."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OURS, DAGSTER, HAND, DUCKDB, PER_TABLE = "ours", "ours through Dagster", "handwritten", "duckdb", "per_table_spark"
UNCHECKED = "through Dagster, unchecked"
"""Ours through Dagster without what its checks ask of the tables and without lineage in its events."""
SIDE_BY_SIDE = (HAND, OURS, DAGSTER)
"""The contenders of every workload; the others fill empty tables only."""
Samples = dict[str, list[float]]
Fact = float | str


@dataclass
class Workload:
    """What was measured: seconds by contender and phase, one sample a repetition, and what is measured but once."""

    name: str
    games: int = 0
    rows: int = 0
    load: float = 0.0
    """Load average of the machine when it began: above 1, others were at work."""
    seconds: dict[str, Samples] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    compared: int = 0
    """How many times tables were compared."""
    different: list[str] = field(default_factory=list)
    """A line for every table whose contents differ between contenders."""

    def add(self, contender: str, measured: Mapping[str, float]) -> None:
        """Add one sample of some phases."""
        for phase, seconds in measured.items():
            self.seconds.setdefault(contender, {}).setdefault(phase, []).append(seconds)

    def median(self, contender: str, phase: str) -> float | None:
        """Return the median of a phase; None when it was not measured."""
        samples = self.seconds.get(contender, {}).get(phase)
        return statistics.median(samples) if samples else None

    def to_json(self) -> dict[str, Any]:
        """Return plain values: medians, samples and facts."""
        samples = {c: {p: [round(x, 4) for x in s] for p, s in found.items()} for c, found in self.seconds.items()}
        medians = {c: {p: statistics.median(s) for p, s in found.items()} for c, found in samples.items()}
        facts = {name: round(x, 4) if isinstance(x, float) else x for name, x in self.facts.items()}
        return {
            "games": self.games, "rows": self.rows, "load_before": round(self.load, 2), "median": medians,
            "samples": samples, "facts": facts, "same_content": not self.different if self.compared else None,
        }  # fmt: skip
