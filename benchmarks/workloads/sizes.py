"""How much is measured: `bench` has the shape of `full` and takes minutes; `tiny` shows that everything runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Numbers of games, repetitions, and minutes."""

    season: int
    season_repeat: int
    repeat: int
    """Repetitions of what is short: a date, unchanged dates, a corrected game."""
    parts: tuple[int, ...]
    """Games that the usual Spark jobs run with, in whole dates of 15: two to draw a line through, or one."""
    unchanged: int
    growth: tuple[int, int]
    live_minutes: float
    live_warm_up: int
    """Seconds of following games before the minutes that count."""
    lake_days: int
    sensor_rows: int = 100_000
    cold_repeat: int = 2
    sensors: tuple[str, ...] = ()
    """Mappings whose sensors are measured; none named: all."""
    ticks: int | None = None
    """Ticks of a sensor that reads what there is; None: until it has read all."""


_SENSORS = ("game/live_game_v1", "person/person", "schedule/schedule")
"""One of each kind: dated by the document, without dates, and with several entities in a response."""


SIZES = {
    "tiny": Size(30, 1, 1, (15,), 15, (15, 30), 0.5, 30, 3, sensor_rows=2_000, cold_repeat=1, sensors=_SENSORS),
    "bench": Size(240, 3, 3, (15,), 75, (50, 200), 0.5, 40, 4, cold_repeat=1, sensors=_SENSORS, ticks=100),
    "full": Size(2_430, 3, 7, (30, 150), 450, (500, 10_000), 5, 60, 180, cold_repeat=5),
}
