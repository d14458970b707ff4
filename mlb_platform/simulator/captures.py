"""Captures of simulated games: at the end, during play and before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from mlb_platform.simulator.feed import State, capture_time, make_feed
from mlb_platform.simulator.game import Game, play_game
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.schedule import schedule
from mlb_platform.simulator.unfinished import unfinished_play


@dataclass(frozen=True)
class SimulatedCapture:
    """A feed as captured at a time (aware, UTC); `game` is the played game it was made from."""

    game_pk: int
    official_date: date
    captured_at: datetime
    payload: Json
    game: Game = field(repr=False, compare=False)


def make_capture(
    game: Game, state: State, captured_at: datetime, official_date: date | None = None
) -> SimulatedCapture:
    """Make the capture of a game in a state; `captured_at` is UTC without zone."""
    scheduled = game.scheduled
    payload = make_feed(game, state, captured_at)
    aware = captured_at.replace(tzinfo=UTC)
    return SimulatedCapture(scheduled.pk, official_date or scheduled.day, aware, payload, game)


def simulate_games(games: int, first_date: date, seed: int) -> Iterator[SimulatedCapture]:
    """Give final captures of that many games, fifteen a date from the first date on; the same seed, the same bytes."""
    for scheduled in schedule(games, first_date):
        game = play_game(scheduled, seed)
        yield make_capture(game, "Final", capture_time(game))


def live_capture(capture: SimulatedCapture, through_play: int, pitches: int = 0) -> SimulatedCapture:
    """Give the capture of the same game in progress, after so many of its plays and pitches of the next one.

    Raises:
        ValueError: `through_play` is not between 1 and one less than the plays of the game.
    """
    plays = capture.game.plays
    if not 0 < through_play < len(plays):
        raise ValueError(f"through_play is {through_play}; the game has {len(plays)} plays: give 1 to {len(plays) - 1}")
    game = shown_part(capture.game, through_play, pitches)
    return replace(make_capture(game, "Live", capture_time(game, 0.2)), game=capture.game)


def shown_part(game: Game, through_play: int, pitches: int = 0) -> Game:
    """Give a game as far as it is played: so many of its plays (at least one), and pitches of the next one."""
    shown = game.plays[:through_play]
    if not pitches:
        return replace(game, plays=shown)
    people = {player.id: player.ref for side in (game.away, game.home) for player in side.roster}
    going_on = unfinished_play(shown[-1], game.plays[through_play], pitches, people)
    return replace(game, plays=(*shown, going_on) if going_on is not None else shown)


def preview_capture(capture: SimulatedCapture, hours: float = 6) -> SimulatedCapture:
    """Give the capture of the same game so many hours before its start: no line-ups, no plays."""
    when = capture.game.scheduled.start - timedelta(hours=hours)
    return make_capture(capture.game, "Preview", when)
