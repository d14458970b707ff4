"""When the feed of one game is asked for, and when it is over: decided from what schedule and feed tell."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mlb_platform.ingestion.contents import find, iso_day
from mlb_platform.ingestion.dates.listings import GameState, game_state
from mlb_platform.ingestion.statsapi.endpoints import feed_clock

LONGEST_BACK_OFF = timedelta(minutes=5)
_ON = (GameState.PREVIEW, GameState.LIVE)


class Phase(enum.StrEnum):
    """Where the following of a game stands."""

    waiting = "waiting"
    """Before its time."""
    following = "following"
    ending = "ending"
    """Final: fetched once more after a while."""
    over = "over"
    """Final, and fetched after that."""
    off = "off"
    """Postponed or cancelled."""
    suspended = "suspended"
    """To be resumed on another date."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to follow on this date."""
        return self in (Phase.over, Phase.off, Phase.suspended)


@dataclass(frozen=True)
class Pace:
    """How often a feed is asked for, in the API's time. A feed's own `wait` is followed between `least` and `most`."""

    least: timedelta = timedelta(seconds=5)
    most: timedelta = timedelta(seconds=30)
    lead: timedelta = timedelta(minutes=30)
    """How long before the first pitch following begins."""
    idle: timedelta = timedelta(minutes=1)
    """Between two polls of a game that is delayed, suspended or not begun."""
    once_more: timedelta = timedelta(minutes=1)
    """From Final to the last fetch."""
    stale_after: timedelta = timedelta(minutes=15)
    """How long a feed's clock may stand while the game is in progress."""


@dataclass
class GameFollow:
    """One game followed on `day`; times are aware."""

    game_pk: str
    day: date
    pace: Pace = field(default_factory=Pace)
    phase: Phase = Phase.waiting
    state: str = "unknown"
    start: datetime | None = None
    next_at: datetime = datetime.min.replace(tzinfo=UTC)
    feed_clock: datetime | None = None
    last_change: datetime | None = None
    stale_since: datetime | None = None
    failures: int = 0
    note: str | None = None
    final_since: datetime | None = None
    in_progress: dict[str, bool] = field(default_factory=dict)
    """Whether the schedule, and the feed, say that the game goes on."""

    def listed(self, game: Mapping[str, Any], now: datetime) -> None:
        """Take in how the schedule lists the game: its start may have moved, or it is off.

        A game whose time is not known (`startTimeTBD`) or that follows another of the day is looked at from now on.
        """
        start = _instant(game.get("gameDate"))
        status = game.get("status")
        unsure = find(status, ("startTimeTBD",)) is True or str(game.get("gameNumber", 1)) not in ("1", "None")
        state = game_state(status)
        self.in_progress["schedule"] = _in_progress(status)
        if self.phase is Phase.waiting:
            self.start = start
            self.state = _detailed(status)
            begun = state in (GameState.LIVE, GameState.FINAL, GameState.SUSPENDED) or unsure or start is None
            self.next_at = now if begun or start is None else max(start - self.pace.lead, now)
        elif start is not None:
            self.start = start
        if state in (GameState.POSTPONED, GameState.CANCELLED) and self.phase in (Phase.waiting, Phase.following):
            self._end(Phase.off, status, _moved_to(game))
        elif (self.phase is Phase.off and state in _ON) or (
            self.phase is Phase.suspended and (state in _ON or state is GameState.FINAL)
        ):
            # it is on after all, or was declared over: the feed tells how it ended
            self.phase, self.note, self.next_at = Phase.following, None, now

    def told(self, feed: Mapping[str, Any], now: datetime, *, changed: bool) -> None:
        """Take in an answer of the feed: its `gameData.status`, `gameData.datetime` and `metaData` are what counts."""
        if self.phase.ended:
            return  # the schedule, which told so while this was asked for, has the last word
        data, meta = feed.get("gameData") or {}, feed.get("metaData") or {}
        status = data.get("status")
        self.failures = 0
        self.in_progress["feed"] = _in_progress(status)
        self.state = _detailed(status)
        clock = feed_clock(meta.get("timeStamp"))
        if changed or clock != self.feed_clock or self.last_change is None:
            self.feed_clock, self.last_change = clock, now
        state = game_state(status)
        if state in (GameState.POSTPONED, GameState.CANCELLED):
            self._end(Phase.off, status, _moved_to(data.get("datetime") or {}))
        elif state is GameState.SUSPENDED:
            self._suspended(data.get("datetime") or {}, now)
        elif state is GameState.FINAL:
            self._final(now)
        else:
            self._going_on(state, meta, now)

    def failed(self, now: datetime) -> None:
        """Take in that a poll failed: it is made again after longer and longer, and the game is never given up."""
        self.failures += 1
        pause = self.pace.least * 2 ** min(self.failures - 1, 10)
        self.next_at = now + min(pause, LONGEST_BACK_OFF)
        if self.phase is Phase.following:
            self._look_whether_it_stands(now)

    def _going_on(self, state: GameState | None, meta: Mapping[str, Any], now: datetime) -> None:
        self.phase, self.final_since = Phase.following, None  # a game called Final may go on
        self._look_whether_it_stands(now)
        if state is not GameState.LIVE or "delay" in self.state.lower():
            self.next_at = now + self.pace.idle
            return
        least, most = self.pace.least.total_seconds(), self.pace.most.total_seconds()
        wait = meta.get("wait")
        asked = wait if isinstance(wait, int | float) and not isinstance(wait, bool) else most
        self.next_at = now + timedelta(seconds=min(max(asked, least), most))

    def _look_whether_it_stands(self, now: datetime) -> None:
        """Note since when the feed has told nothing new, or has not answered, though the game goes on."""
        stands = self.last_change is not None and now - self.last_change > self.pace.stale_after
        self.stale_since = self.last_change if stands and any(self.in_progress.values()) else None

    def _final(self, now: datetime) -> None:
        self.stale_since = None
        if self.final_since is None:
            self.phase, self.final_since, self.next_at = Phase.ending, now, now + self.pace.once_more
        elif now - self.final_since >= self.pace.once_more:
            self.phase = Phase.over
        else:
            self.next_at = self.final_since + self.pace.once_more

    def _suspended(self, dates: Mapping[str, Any], now: datetime) -> None:
        self.stale_since = None
        resumes = next((d for d in map(iso_day, (dates.get("resumeDate"), dates.get("resumeGameDate"))) if d), None)
        if resumes is not None and resumes <= self.day:
            # the game of an earlier date that goes on today, not yet begun again
            self.phase, self.next_at = Phase.following, now + self.pace.idle
        else:
            self._end(Phase.suspended, None, f"suspended until {resumes}" if resumes else "suspended")

    def _end(self, phase: Phase, status: Any, note: str | None) -> None:
        self.phase, self.note, self.stale_since = phase, note, None
        if status is not None:
            self.state = _detailed(status)


def _detailed(status: Any) -> str:
    return str(find(status, ("detailedState",)) or "unknown")


def _in_progress(status: Any) -> bool:
    """Tell whether pitches are to be expected: not in a delay, before the first, or after the last one."""
    coded = find(status, ("codedGameState",))
    return game_state(status) is GameState.LIVE and coded not in ("P", "O") and "delay" not in _detailed(status).lower()


def _moved_to(dates: Mapping[str, Any]) -> str | None:
    day = iso_day(dates.get("rescheduleGameDate"))
    return None if day is None else f"postponed to {day}"


def _instant(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
