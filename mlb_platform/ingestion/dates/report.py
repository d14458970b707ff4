"""What became of the requests of an ingestion: counted as they end, by endpoint method and outcome."""

from __future__ import annotations

import enum
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from mlb_platform.ingestion.dates.plan import Mode, Planned


class Outcome(enum.StrEnum):
    """How a request ended."""

    stored = "stored"
    unchanged = "unchanged"
    not_modified = "not modified"
    rejected = "rejected"
    failed = "failed"
    same = "same"
    differs = "differs"
    missing = "missing"

    @property
    def good(self) -> bool:
        """Whether the raw store has (for `verify`: had) what was asked for."""
        return self not in (Outcome.rejected, Outcome.failed, Outcome.differs, Outcome.missing)


@dataclass(frozen=True)
class Done:
    """A request that ended: for which date, how, how many bytes came, and what went wrong."""

    planned: Planned
    day: date
    outcome: Outcome
    bytes: int = 0
    told: str | None = None
    status: int | None = None

    @property
    def name(self) -> str:
        """endpoint/method."""
        return self.planned.request.name

    @property
    def text(self) -> str:
        """One line for people."""
        what = f"{self.name} {self.planned.request.entity_id or ''}".strip()
        return f"{what} of {self.day}: {self.outcome}" + (f", {self.told}" if self.told else "")


@dataclass
class IngestionReport:
    """The requests that ended, and how far the games are; safe to add to from several threads.

    `games` is the number of games there are to look at, `games_done` of how many all requests have ended; `bare` are
    the dates of which not even the schedule is known. `stopped` says why nothing more was asked for.
    """

    mode: Mode
    on_change: Callable[[IngestionReport], None] | None = None
    counts: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    problems: list[Done] = field(default_factory=list)
    bytes: int = 0
    games: int = 0
    games_done: int = 0
    dates: list[date] = field(default_factory=list)
    bare: list[date] = field(default_factory=list)
    stopped: str | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, done: Done) -> None:
        """Count a request that ended."""
        with self._guard:
            self.counts[done.name, done.outcome] += 1
            self.bytes += done.bytes
            if not done.outcome.good:
                self.problems.append(done)
        self._changed()

    def add_games(self, count: int) -> None:
        """Learn of games to look at."""
        with self._guard:
            self.games += count
        self._changed()

    def end_game(self, count: int = 1) -> None:
        """Count games of which all requests have ended, or of which none was needed."""
        with self._guard:
            self.games_done += count
        self._changed()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change(self)

    @property
    def requests(self) -> int:
        """How many requests have ended."""
        return self.counts.total()

    def total(self, outcome: Outcome, name: str | None = None) -> int:
        """Return how many requests (of one endpoint method) ended so."""
        return sum(n for (of, how), n in self.counts.items() if how is outcome and name in (None, of))

    @property
    def names(self) -> list[str]:
        """The endpoint methods that were asked."""
        return list(dict.fromkeys(name for name, _ in self.counts))

    @property
    def complete(self) -> bool:
        """Whether all that was asked for is in the raw store; for `verify`: is there as the API has it."""
        return not (self.problems or self.bare or self.stopped)

    def worked(self, name: str) -> bool:
        """Tell whether every request of an endpoint method brought something good."""
        return not any(p.name == name for p in self.problems)
