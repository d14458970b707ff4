"""Who plays whom, when: fifteen games a date, some dates with a doubleheader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Literal

from mlb_platform.simulator.clubs import CLUBS, Club

GAMES_PER_DATE = 15
Doubleheader = Literal["N", "S", "Y"]
_EPOCH = date(1900, 1, 1)
_FIRST_PK = 1_000_000
_PKS_PER_DATE = 20
_LOCAL_STARTS = ((13, 10), (18, 40), (13, 10), (18, 40), (19, 10), (18, 35), (12, 35), (19, 40))


@dataclass(frozen=True, slots=True)
class Series:
    """A game's place in a postseason series; `away_wins` and `home_wins` are those before the game."""

    id: str
    number: int
    game: int
    games: int
    description: str
    game_description: str
    away_wins: int = 0
    home_wins: int = 0

    @property
    def game_type(self) -> str:
        """Give F, D, L or W."""
        return self.id[0]

    @property
    def if_necessary(self) -> bool:
        """Say whether the game is played only if nobody has won the series before."""
        return self.game > self.games // 2 + 1


@dataclass(frozen=True, slots=True)
class ScheduledGame:
    """A game of the schedule; `start` is the scheduled start in UTC without zone, `local_start` that of the park."""

    pk: int
    day: date
    position: int
    home: Club
    away: Club
    game_number: int
    doubleheader: str
    start: datetime
    local_start: datetime
    moved_from: date | None = None
    resumes_on: date | None = None
    series: Series | None = None

    @property
    def first_day(self) -> date:
        """Give the date for which the game got its id; moving it does not change that."""
        day = first_day_of(self.pk)
        assert day is not None
        return day

    @property
    def makeup_of(self) -> date | None:
        """Give the date this game was first planned for, when it was moved or makes up for a rained-out one."""
        if self.moved_from is not None:
            return self.moved_from
        return self.day - timedelta(days=1) if self.game_number == 2 else None

    @property
    def resumed_on(self) -> date | None:
        """Give the date on which this game, suspended on its own, was finished; else None."""
        if self.resumes_on is not None:
            return self.resumes_on
        if self.moved_from is not None or self.position != 6 or self.day.toordinal() % 2 == 0:
            return None
        return self.day + timedelta(days=1)


def _pairs(day: date) -> list[tuple[Club, Club]]:
    """Give the fifteen pairings of a date (circle method; a pairing lasts a series of three dates)."""
    turn = day.toordinal() // 3
    ring = [1 + (n + turn) % 29 for n in range(29)]
    order = [0, *ring]
    pairs = []
    for n in range(15):
        one, two = CLUBS[order[n]], CLUBS[order[29 - n]]
        pairs.append((one, two) if (turn + n) % 2 else (two, one))
    shift = day.toordinal() * 4 % 15
    return pairs[shift:] + pairs[:shift]


def game_pk(day: date, position: int) -> int:
    """Give the id of a game by its date and position; the fifteen regular ones are followed by room for five more."""
    return _FIRST_PK + (day - _EPOCH).days * _PKS_PER_DATE + position


def first_day_of(pk: int) -> date | None:
    """Give the date for which a game got its id; None for what is no id of a game."""
    try:
        return _EPOCH + timedelta(days=(pk - _FIRST_PK) // _PKS_PER_DATE)
    except OverflowError:
        return None


@lru_cache(maxsize=64)
def games_of_pairs(day: date) -> dict[frozenset[int], int]:
    """Give how many games each pairing of a date plays, by the ids of its clubs."""
    return dict(Counter(frozenset((game.home.id, game.away.id)) for game in games_on(day)))


def series_place(game: ScheduledGame) -> tuple[int, int, int]:
    """Give the number of the series in the season, the game's number in it, and how many games the series has."""
    if game.series is not None:
        return game.series.number, game.series.game, game.series.games
    day = game.first_day
    turn = day.toordinal() // 3
    pair = frozenset((game.home.id, game.away.id))
    days = [date.fromordinal(turn * 3 + n) for n in range(3)]
    counts = [games_of_pairs(d).get(pair, 0) for d in days]
    before = sum(counts[: days.index(day)])
    number = max(1, turn - date(day.year, 3, 28).toordinal() // 3 + 1)
    place = before + game.game_number
    return number, place, max(place, sum(counts))


def games_on(day: date, doubleheader: Doubleheader | None = None) -> list[ScheduledGame]:
    """Give the fifteen games of a date, in order of their position.

    `doubleheader`: whether two of them are one, straight (Y) or split (S); None: every second date has one.
    """
    pairs = _pairs(day)
    kind = doubleheader or ("Y", "N", "S", "N")[day.toordinal() % 4]
    slots: list[tuple[Club, Club, int, str]] = []
    if kind == "N":
        slots = [(home, away, 1, "N") for home, away in pairs]
    else:
        home, away = pairs[1]
        doubled = [(home, away, 1, kind), (home, away, 2, kind)]
        slots = [(*pairs[0], 1, "N"), *doubled, *((h, a, 1, "N") for h, a in pairs[2:14])]
    games = []
    first_pk = game_pk(day, 0)
    for position, (home, away, number, double) in enumerate(slots):
        hour, minute = _LOCAL_STARTS[(position + day.toordinal()) % len(_LOCAL_STARTS)]
        if double != "N":
            hour, minute = ((12, 35) if number == 1 else (18, 10)) if double == "S" else ((12, 5), (17, 5))[number - 1]
        local = datetime(day.year, day.month, day.day, hour, minute)
        start = local - timedelta(hours=home.offset_on(day))
        games.append(ScheduledGame(first_pk + position, day, position, home, away, number, double, start, local))
    return games


def schedule(games: int, first_date: date) -> Iterator[ScheduledGame]:
    """Give that many games: fifteen on the first date, then the next date."""

    def endless() -> Iterator[ScheduledGame]:
        day = first_date
        while True:
            yield from games_on(day)
            day += timedelta(days=1)

    return islice(endless(), max(games, 0))
