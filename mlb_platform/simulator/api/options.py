"""What a simulated API is to be like."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path

from mlb_platform.simulator.events import EventRates

NO_EVENTS = EventRates(0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Faults:
    """How often, of all requests, the server misbehaves: shares from 0 to 1; `slow_seconds` are real ones."""

    too_many: float = 0.0
    """429 with `Retry-After: 1`."""
    error: float = 0.0
    """500 or 503."""
    html: float = 0.0
    """A page of HTML with status 200."""
    cut: float = 0.0
    """The connection ends in the middle of the body."""
    slow: float = 0.0
    slow_seconds: float = 3.0

    @property
    def any(self) -> bool:
        """Whether anything can go wrong at all."""
        return any((self.too_many, self.error, self.html, self.cut, self.slow))


@dataclass(frozen=True)
class Odd:
    """Which share of the games has feeds of another shape than known."""

    new_fields: float = 0.0
    renamed_fields: float = 0.0
    changed_types: float = 0.0


@dataclass(frozen=True)
class ServeOptions:
    """A season, when its time begins and how fast it passes, and what happens in it. The same options, the same games.

    `games` are those of each date that are there (fifteen at most); with `together` all of a date begin at once.
    """

    season: int = 2024
    start: datetime | None = None
    """The simulated time (aware) at which the server begins; None is the morning of July 1st of the season."""
    speed: float = 60.0
    seed: int = 1
    games: int = 15
    together: bool = False
    doubleheaders: float | None = None
    """The share of dates with a doubleheader; None: as the schedule has them, every second date."""
    events: EventRates = NO_EVENTS
    corrections: float = 0.0
    """The share of games that are corrected after their end."""
    correction_minutes: float = 45.0
    vanishing: float = 0.0
    """The share of games from which rows vanish after their end."""
    odd: Odd = field(default_factory=Odd)
    faults: Faults = field(default_factory=Faults)
    replay: Path | None = None
    """A folder of captures to answer from, instead of simulated games."""

    @property
    def begins(self) -> datetime:
        """The simulated time at which the server begins."""
        return self.start or datetime.combine(date(self.season, 7, 1), time(14), UTC)
