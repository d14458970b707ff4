"""How a schedule lists games, and the state a game is in: as far as that decides what is fetched of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from mlb_platform.ingestion.contents import find, iso_day

POSTSEASON = frozenset("FDLW")
"""Game types of the postseason's rounds."""


class GameState(enum.Enum):
    """What a status says of a game, as far as it matters here."""

    PREVIEW = "not started"
    LIVE = "in progress"
    SUSPENDED = "suspended"
    FINAL = "final"
    POSTPONED = "postponed"
    CANCELLED = "cancelled"

    @property
    def played(self) -> bool:
        """Whether there is anything of the game to fetch besides its feed."""
        return self in (GameState.LIVE, GameState.SUSPENDED, GameState.FINAL)

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come but corrections."""
        return self in (GameState.FINAL, GameState.POSTPONED, GameState.CANCELLED)


def game_state(status: Any) -> GameState | None:
    """Return the state that a status object tells, None where it is no status object.

    A postponed or cancelled game is called Final too; Game Over (O) is not Final yet: its decisions may be missing.
    """
    abstract, coded, detailed = (
        find(status, (name,)) for name in ("abstractGameState", "codedGameState", "detailedState")
    )
    if not isinstance(abstract, str):
        return None
    if coded in ("D", "C"):
        return GameState.POSTPONED if coded == "D" else GameState.CANCELLED
    if coded in ("T", "U") or str(detailed).startswith("Suspended"):
        return GameState.SUSPENDED
    if abstract == "Final":
        return GameState.LIVE if coded == "O" else GameState.FINAL
    return GameState.LIVE if abstract == "Live" else GameState.PREVIEW


@dataclass(frozen=True)
class Listing:
    """A game as a schedule lists it under a date, or as its own feed tells it."""

    game_pk: str
    state: GameState
    official: date | None
    season: str | None = None
    game_type: str | None = None
    teams: tuple[int, ...] = ()
    venue: int | None = None
    resumes: date | None = None
    """When a suspended game goes on, where that is told."""


def listed_games(element: Mapping[str, Any]) -> list[Listing] | None:
    """Return the games that a schedule lists under a date (an element of its `dates`), each once.

    None where the listing is cut down: without a state or id of every game nothing can be planned from it.
    """
    games = element.get("games")
    if not isinstance(games, list):
        return None
    found: dict[str, Listing] = {}
    for game in games:
        state, key = game_state(find(game, ("status",))), find(game, ("gamePk",))
        if state is None or key is None or find(game, ("status", "codedGameState")) is None:
            return None
        sides = (find(game, ("teams", side, "team", "id")) for side in ("away", "home"))
        found[str(key)] = Listing(
            str(key),
            state,
            iso_day(game.get("officialDate")),
            _text(game.get("season")),
            _text(game.get("gameType")),
            tuple(team for team in sides if isinstance(team, int)),
            find(game, ("venue", "id")),
            iso_day(game.get("resumeGameDate")),
        )
    return list(found.values())


def listing_of_feed(game_pk: str, game_data: Mapping[str, Any]) -> Listing | None:
    """Return a game as the `gameData` of its feed tells it; None where that has no status."""
    state = game_state(game_data.get("status"))
    if state is None:
        return None
    sides = (find(game_data, ("teams", side, "id")) for side in ("away", "home"))
    days = (iso_day(find(game_data, ("datetime", name))) for name in ("officialDate", "originalDate"))
    return Listing(
        game_pk,
        state,
        next((d for d in days if d is not None), None),
        _text(find(game_data, ("game", "season"))),
        _text(find(game_data, ("game", "type"))),
        tuple(team for team in sides if isinstance(team, int)),
        find(game_data, ("venue", "id")),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
