"""All games of a simulated API: found by id and by the dates they are listed under, as they are at a time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from threading import RLock

from mlb_platform.simulator.api.options import ServeOptions
from mlb_platform.simulator.api.timeline import Later, Timeline
from mlb_platform.simulator.events import GameEvents, draw_events
from mlb_platform.simulator.feed import iso
from mlb_platform.simulator.listings import Listing, listings, postponed_listing, unplayed
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.schedule import Doubleheader, ScheduledGame, first_day_of, games_on

_DOUBLED: tuple[Doubleheader, ...] = ("S", "Y")
KEPT = 80
"""Timelines kept in memory: those of five dates."""
LISTINGS_KEPT = 4096
FARTHEST = 4
"""How many dates a game can be moved by rain."""
LISTED_AHEAD = timedelta(days=2)
"""How long before its date a game can change first."""
LONGEST = timedelta(hours=18)
"""No game goes on for longer after its start, delays included."""


class World:
    """The games of a season by its options; safe to share between threads."""

    def __init__(self, options: ServeOptions) -> None:
        self.options = options
        self._lines: OrderedDict[int, Timeline] = OrderedDict()
        self._listed: OrderedDict[tuple[int, datetime], list[Listing]] = OrderedDict()
        self._guard = RLock()

    def timeline(self, game_pk: int) -> Timeline | None:
        """Return a game by its id; None where there is none."""
        day = first_day_of(game_pk)
        if day is None or day.year != self.options.season:
            return None
        found = next((game for game in self._on(day) if game.pk == game_pk), None)
        return None if found is None else self._line(found)

    def listed(self, day: date, when: datetime) -> list[Json]:
        """Return how the games of a date are listed at a time (aware)."""
        found = []
        for scheduled in self._candidates(day):
            found += [row for listed_on, row in self._listings(self._line(scheduled), when) if listed_on == day]
        return sorted(found, key=lambda row: (row["gameDate"], row["gamePk"]))

    def changed(self, since: datetime, when: datetime) -> list[Json]:
        """Return the listings of games whose feed changed after `since` up to a time (aware), oldest change first."""
        season, found = self.options.season, []
        day = max(since.astimezone(UTC).date() - timedelta(days=FARTHEST + 3), date(season, 1, 1))
        last = min(when.astimezone(UTC).date() + LISTED_AHEAD, date(season, 12, 31))
        since_bare = since.astimezone(UTC).replace(tzinfo=None)
        while day <= last:
            for scheduled in self._on(day):
                if self._settled(scheduled) <= since_bare:
                    continue
                stamps = self._line(scheduled).stamps(when)
                if stamps and stamps[-1] > since_bare:
                    row = self._listings(self._line(scheduled), when)[0][1]
                    found.append((stamps[-1], row["gamePk"], row))
            day += timedelta(days=1)
        return [row for _, _, row in sorted(found, key=lambda change: change[:2])]

    def _settled(self, scheduled: ScheduledGame) -> datetime:
        """Return a time (UTC, without zone) after which nothing of a game changes any more, without playing it."""
        events = self._events(scheduled)
        played_on = events.postponed_to or events.resumes_on or scheduled.day
        later = max((change.minutes for change in self._later(scheduled)), default=0.0)
        return scheduled.start + (played_on - scheduled.day) + LONGEST + timedelta(minutes=later)

    def _line(self, scheduled: ScheduledGame) -> Timeline:
        with self._guard:
            line = self._lines.get(scheduled.pk)
            if line is None:
                o = self.options
                line = Timeline(scheduled, o.seed, self._events(scheduled), self._later(scheduled), o.odd)
            self._lines[scheduled.pk] = line
            self._lines.move_to_end(scheduled.pk)
            while len(self._lines) > KEPT:
                self._lines.popitem(last=False)
            return line

    def _on(self, day: date) -> list[ScheduledGame]:
        games = games_on(day, self._doubleheader(day))[: self.options.games]
        if not self.options.together:
            return games
        first = min(game.start for game in games)
        return [replace(game, start=first, local_start=game.local_start + (first - game.start)) for game in games]

    def _doubleheader(self, day: date) -> Doubleheader | None:
        share, rng = self.options.doubleheaders, Random(f"doubleheader:{self.options.seed}:{day}")
        if share is None:
            return None
        return rng.choice(_DOUBLED) if rng.random() < share else "N"

    def _events(self, scheduled: ScheduledGame) -> GameEvents:
        return draw_events(scheduled, self.options.seed, self.options.events)

    def _later(self, scheduled: ScheduledGame) -> tuple[Later, ...]:
        o, rng = self.options, Random(f"later:{self.options.seed}:{scheduled.pk}")
        found = []
        if rng.random() < o.corrections:
            found.append(Later("correction", o.correction_minutes))
        if rng.random() < o.vanishing:
            found.append(Later("vanished", o.correction_minutes * 2))
        return tuple(found)

    def _candidates(self, day: date) -> list[ScheduledGame]:
        """Return the games that can be listed under a date at some time."""
        found = []
        for back in range(-1, FARTHEST + 1):
            for game in self._on(day - timedelta(days=back)):
                events = self._events(game)
                dates = {game.day, game.makeup_of, game.resumed_on, events.postponed_to, events.resumes_on}
                if day in dates:
                    found.append(game)
        return found

    def _listings(self, line: Timeline, when: datetime) -> list[Listing]:
        moment = line.moment(when)
        key = (line.scheduled.pk, moment.at)
        with self._guard:
            known = self._listed.get(key)
        if known is not None:
            return known
        capture = line.capture(when)
        status = capture.payload["gameData"]["status"]
        if status["codedGameState"] in ("C", "D"):
            made = _called_off(line, status)
        elif status["abstractGameState"] == "Preview" or not capture.payload["liveData"]["plays"]["allPlays"]:
            made = [(day, row | {"status": status}) for day, row in _to_come(capture.game.scheduled)]
        else:
            made = listings(capture)
        with self._guard:
            self._listed[key] = made
            while len(self._listed) > LISTINGS_KEPT:
                self._listed.popitem(last=False)
        return made


def _called_off(line: Timeline, status: Json) -> list[Listing]:
    day, row = unplayed(line.scheduled)
    told = row | {"status": status}
    to = line.events.postponed_to
    if to is None:
        return [(day, told)]
    start = line.scheduled.start + (to - day)
    told |= {"officialDate": to.isoformat(), "rescheduleDate": iso(start), "rescheduleGameDate": to.isoformat()}
    _, new = unplayed(line.game.scheduled)
    moved = {"rescheduledFrom": iso(line.scheduled.start), "rescheduledFromDate": day.isoformat()}
    return [(day, told), (to, new | moved)]


def _to_come(scheduled: ScheduledGame) -> list[Listing]:
    """Return the listings of a game not begun; under the date it makes up for it is Postponed already."""
    day, row = unplayed(scheduled)
    if scheduled.makeup_of is None:
        return [(day, row)]
    was = scheduled.start - (day - scheduled.makeup_of)
    row |= {"rescheduledFrom": iso(was), "rescheduledFromDate": scheduled.makeup_of.isoformat()}
    return [(day, row), (scheduled.makeup_of, postponed_listing(scheduled, scheduled.makeup_of))]
