"""Umpires, official scorers and data casters of a game: invented people outside the rosters."""

from __future__ import annotations

from random import Random

from mlb_platform.simulator import words
from mlb_platform.simulator.people import Json, reference
from mlb_platform.simulator.schedule import ScheduledGame

_UMPIRE_SPOTS = ("Home Plate", "First Base", "Second Base", "Third Base")
_CREWS = 20


def _official(number: int) -> Json:
    rng = Random(f"official:{number}")
    return reference(980000 + number, f"{rng.choice(words.FIRST_NAMES)} {rng.choice(words.LAST_NAMES)}")


_PEOPLE = tuple(_official(number) for number in range(_CREWS * 4 + 90))


def umpires(scheduled: ScheduledGame) -> list[Json]:
    """Give the umpires of a game; a crew works one game a date."""
    crew = (scheduled.day.toordinal() + scheduled.position) % _CREWS
    turn = scheduled.day.toordinal() % 4
    spots = enumerate(_UMPIRE_SPOTS)
    return [{"official": _PEOPLE[crew * 4 + (n + turn) % 4], "officialType": spot} for n, spot in spots]


def scorer(scheduled: ScheduledGame) -> Json:
    """Give the official scorer of the home park."""
    return _PEOPLE[_CREWS * 4 + scheduled.home.index]


def datacaster(scheduled: ScheduledGame, second: bool = False) -> Json:
    """Give the data caster of the home park, or the second one."""
    return _PEOPLE[_CREWS * 4 + (60 if second else 30) + scheduled.home.index]
