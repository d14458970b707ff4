"""Weather, crowd, length and delay of a game."""

from __future__ import annotations

from datetime import datetime
from random import Random

from mlb_platform.simulator.game import Game
from mlb_platform.simulator.people import Json

_SKIES = ("Clear", "Sunny", "Partly Cloudy", "Cloudy", "Overcast")
_WINDS = ("Out To CF", "In From LF", "Out To RF", "L To R", "R To L", "In From CF")


def _random(game: Game) -> Random:
    return Random(f"surroundings:{game.scheduled.pk}")


def weather(game: Game) -> Json:
    """Give condition, temperature (Fahrenheit) and wind as texts."""
    roof = game.scheduled.home.venue["fieldInfo"]["roofType"]
    if roof != "Open":
        return {"condition": "Dome" if roof == "Dome" else "Roof Closed", "temp": "72", "wind": "0 mph, None"}
    rng = _random(game)
    temperature = rng.randint(52, 91)
    return {
        "condition": rng.choice(_SKIES),
        "temp": str(temperature),
        "wind": f"{rng.randint(2, 16)} mph, {rng.choice(_WINDS)}",
    }


def attendance(game: Game) -> int:
    """Give how many people came."""
    return int(game.scheduled.home.venue["fieldInfo"]["capacity"] * _random(game).uniform(0.35, 0.98))


def delay_minutes(game: Game) -> int:
    """Give the minutes of delay by rain; mostly 0."""
    if game.delay is not None:
        return game.delay
    return 25 + game.scheduled.day.day if game.scheduled.position == 11 else 0


def last_instant(game: Game) -> datetime:
    """Give the UTC time, without zone, at which the last play ended."""
    return datetime.fromisoformat(game.plays[-1]["about"]["endTime"].removesuffix("Z"))


def minutes_played(game: Game) -> int:
    """Give the length of the game in minutes."""
    return round((last_instant(game) - game.first_pitch).total_seconds() / 60) - game.pause
