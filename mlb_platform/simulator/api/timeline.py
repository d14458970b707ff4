"""One game in time: the moments at which what the API tells of it changes, and what it tells from each on."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from random import Random
from threading import RLock

from mlb_platform.simulator.api.options import Odd
from mlb_platform.simulator.captures import SimulatedCapture, make_capture, shown_part
from mlb_platform.simulator.corrections import Kind, later_capture
from mlb_platform.simulator.events import (
    GameEvents,
    before_review,
    in_state,
    overturned_plays,
    play_with_events,
    postponed,
)
from mlb_platform.simulator.feed import State
from mlb_platform.simulator.game import Game
from mlb_platform.simulator.mutations import with_changed_type, with_new_field, with_renamed_field
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.schedule import ScheduledGame

PRE_GAME, WARM_UP = timedelta(minutes=90), timedelta(minutes=20)
TOLD_BEFORE = timedelta(hours=1)
"""How long before its start a game is called off."""
KEPT = 2
"""Captures of a game kept in memory: the last, and one asked for beside it."""
Make = Callable[[datetime], SimulatedCapture]


@dataclass(frozen=True)
class Moment:
    """From `at` (UTC, without zone) on, the feed is what `make` gives."""

    at: datetime
    make: Make


@dataclass(frozen=True)
class Later:
    """What changes after the end, and how many minutes after it."""

    kind: Kind
    minutes: float


class Timeline:
    """The moments of one game, played when it is first needed; safe to share between threads."""

    def __init__(
        self,
        scheduled: ScheduledGame,
        seed: int,
        events: GameEvents,
        later: tuple[Later, ...] = (),
        odd: Odd | None = None,
    ) -> None:
        self.scheduled, self.seed, self.events, self.later = scheduled, seed, events, later
        self._odd = odd or Odd()
        self._made: OrderedDict[datetime, SimulatedCapture] = OrderedDict()
        self._guard = RLock()

    @cached_property
    def game(self) -> Game:
        """The game as it ends."""
        events = replace(self.events, cancelled=False)
        return play_with_events(self.scheduled, self.seed, events)

    @cached_property
    def moments(self) -> list[Moment]:
        """All moments, oldest first."""
        found = sorted(self._moments(), key=lambda m: m.at)
        # of two at one instant the later one counts
        return [m for m, after in zip(found, [*found[1:], None], strict=True) if after is None or after.at > m.at]

    def moment(self, when: datetime) -> Moment:
        """Return the moment whose state holds at a time (aware); before all of them the first."""
        at = bisect_right(self.moments, when.astimezone(UTC).replace(tzinfo=None), key=lambda m: m.at)
        return self.moments[max(0, at - 1)]

    def capture(self, when: datetime) -> SimulatedCapture:
        """Return the feed as it is at a time (aware); its own time stamp is that of its last change."""
        moment = self.moment(when)
        with self._guard:
            made = self._made.get(moment.at)
            if made is None:
                made = self._made[moment.at] = self._with_odd(moment.make(moment.at))
                while len(self._made) > KEPT:
                    self._made.popitem(last=False)
            return made

    def stamps(self, until: datetime) -> list[datetime]:
        """Return the times (UTC, without zone) of all changes up to a time (aware)."""
        last = until.astimezone(UTC).replace(tzinfo=None)
        return [m.at for m in self.moments if m.at <= last]

    def _moments(self) -> Iterator[Moment]:
        if self.events.cancelled or self.events.postponed_to is not None:
            off = self.scheduled.start - TOLD_BEFORE
            yield from self._before(replace(self.game, scheduled=self.scheduled), until=off)
            yield Moment(off, lambda at: self._called_off(at, self.events.postponed_to))
            if self.events.cancelled:
                return
            begins = self.game.scheduled.start - timedelta(hours=10)
            yield Moment(begins, lambda at: make_capture(self.game, "Preview", at))
            yield from self._before(self.game, since=begins)
        else:
            yield from self._before(self._until_suspended())
        yield from self._played()

    def _called_off(self, at: datetime, to: date | None) -> SimulatedCapture:
        game = replace(self.game, scheduled=self.scheduled)
        return postponed(make_capture(game, "Preview", at - TOLD_BEFORE), to, TOLD_BEFORE.total_seconds() / 3600)

    def _before(self, game: Game, since: datetime = datetime.min, until: datetime = datetime.max) -> Iterator[Moment]:
        start = game.scheduled.start
        yield from (
            Moment(at, make)
            for at, make in (
                (start - timedelta(hours=30), _stated(game, "Preview", "Scheduled")),
                (start - PRE_GAME, _stated(game, "Preview", "Pre-Game")),
                (start - WARM_UP, _stated(game, "Preview", "Warmup")),
            )
            if since < at < until
        )
        if self.events.delay_minutes and self.events.delay_at_play == 0 and start < until:
            yield Moment(start, _stated(game, "Preview", "Delayed Start: Rain"))
            yield Moment(game.first_pitch - timedelta(minutes=5), _stated(game, "Preview", "Warmup"))

    def _until_suspended(self) -> Game:
        """Return the game as it is known before it is suspended."""
        if self.events.suspended_after_play is None:
            return self.game
        return replace(self.game, scheduled=replace(self.game.scheduled, resumes_on=None))

    def _played(self) -> Iterator[Moment]:
        """Yield the moments from the first finished plate appearance on: each pitch, each play, and what is after."""
        game, plays = self._until_suspended(), self.game.plays
        overturned = set(overturned_plays(self.game))
        suspended = self.events.suspended_after_play
        suspended = None if suspended is None else min(suspended, len(plays) - 1)
        for n, play in enumerate(plays):
            if n:
                events = play["playEvents"]
                for k, index in enumerate(play["pitchIndex"], 1):
                    if index < len(events) - 1:
                        yield Moment(_instant(events[index]["endTime"]), _live(game, n, k))
            end = _instant(play["about"]["endTime"])
            if n + 1 == len(plays):
                break
            if n in overturned:
                yield Moment(end, _called_first(game, n))
                following = plays[n + 1]["playEvents"][0]
                end += (_instant(following["endTime"]) - end) / 2
            yield Moment(end, _live(game, n + 1))
            if n + 1 == suspended:
                game = self.game
                yield Moment(end + timedelta(seconds=20), _live(game, n + 1, state="Suspended: Rain"))
            elif self.events.delay_minutes and n + 1 == min(self.events.delay_at_play, len(plays) - 1):
                yield Moment(end + timedelta(seconds=20), _live(game, n + 1, state="Delayed: Rain"))
        yield from self._over(_instant(plays[-1]["about"]["endTime"]))

    def _over(self, end: datetime) -> Iterator[Moment]:
        final = (end + timedelta(minutes=3)).replace(microsecond=0)
        yield Moment(end, _stated(self.game, "Final", "Game Over"))
        yield Moment(final, _final(self.game))
        changed = self.game
        for change in sorted(self.later, key=lambda later: later.minutes):
            try:
                changed = later_capture(make_capture(changed, "Final", final), change.kind, self.seed).game
            except ValueError:
                continue  # nothing in this game can be changed that way
            yield Moment(final + timedelta(minutes=change.minutes), _final(changed))

    def _with_odd(self, capture: SimulatedCapture) -> SimulatedCapture:
        """Give the capture of a game whose feeds have another shape, where it is one of those."""
        rng = Random(f"odd:{self.seed}:{capture.game_pk}")
        payload: Json = capture.payload
        if rng.random() < self._odd.new_fields:
            payload = with_new_field(payload, "$.gameData.game.simulatedExtra", "not known before")
        if rng.random() < self._odd.renamed_fields:
            payload = with_renamed_field(payload, "$.gameData.venue.active", "isActive")
        if rng.random() < self._odd.changed_types:
            payload = with_changed_type(payload, "$.gameData.game.gameNumber", "text")
        return capture if payload is capture.payload else replace(capture, payload=payload)


def _stated(game: Game, state: State, name: str) -> Make:
    return lambda at: in_state(make_capture(game, state, at), name)


def _final(game: Game) -> Make:
    """Give what `simulate_games` gives of the same game: a status with the reason of a makeup, too."""
    return lambda at: make_capture(game, "Final", at)


def _live(game: Game, through: int, pitches: int = 0, state: str = "In Progress") -> Make:
    return lambda at: in_state(replace(make_capture(shown_part(game, through, pitches), "Live", at), game=game), state)


def _called_first(game: Game, play: int) -> Make:
    return lambda at: replace(make_capture(before_review(game, play), "Live", at), game=game)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z"))
