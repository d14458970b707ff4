"""How long raw rows took to become visible: exact counts, and quantiles over the latest of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

KEPT = 20_000
"""Latencies that quantiles are taken of: the latest ones, hours of fifteen games; memory stays where it is."""


@dataclass(frozen=True)
class LatencySummary:
    """Seconds from a raw row's commit to its visible rows."""

    count: int
    p50: float
    p95: float
    maximum: float

    def __str__(self) -> str:
        if not self.count:
            return "no captures"
        return f"{self.count} captures: p50 {self.p50:.2f} s, p95 {self.p95:.2f} s, max {self.maximum:.2f} s"


class Latencies:
    """Latencies of captures as they are merged; safe to use from several threads."""

    def __init__(self, kept: int = KEPT) -> None:
        self._latest: deque[float] = deque(maxlen=kept)
        self._count, self._maximum = 0, 0.0
        self._lock = Lock()

    def add(self, seconds: Iterable[float]) -> None:
        """Count the captures of one micro-batch."""
        with self._lock:
            for value in seconds:
                self._latest.append(value)
                self._count += 1
                self._maximum = max(self._maximum, value)

    def quantile(self, fraction: float) -> float:
        """Return the smallest latency that at least this fraction of the latest captures did not exceed; 0 of none."""
        with self._lock:
            ordered = sorted(self._latest)
        if not ordered:
            return 0.0
        return ordered[max(0, -int(-fraction * len(ordered) // 1) - 1)]

    @property
    def summary(self) -> LatencySummary:
        """Return count, p50, p95 and maximum."""
        return LatencySummary(self._count, self.quantile(0.5), self.quantile(0.95), self._maximum)
