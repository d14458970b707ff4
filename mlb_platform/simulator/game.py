"""A whole game, played from the first pitch to the last out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import count

from mlb_platform.simulator import substitutions
from mlb_platform.simulator.game_state import GameState, Runner, StartingSide
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.plate_appearance import is_plate_appearance, play_out
from mlb_platform.simulator.play_builder import PlayBuilder
from mlb_platform.simulator.schedule import ScheduledGame

REGULATION = 9


@dataclass(frozen=True, slots=True)
class Game:
    """A played game: its plays and what they began from. Everything a feed holds is derived from this."""

    scheduled: ScheduledGame
    seed: int
    away: StartingSide
    home: StartingSide
    first_pitch: datetime
    plays: tuple[Json, ...]
    delay: int | None = None
    """Minutes of a rain delay that came over it; None: what the schedule has for it."""
    pause: int = 0
    """Minutes between first pitch and last out in which nothing was played."""

    def side(self, home: bool) -> StartingSide:
        """Give one of the two sides."""
        return self.home if home else self.away


def play_game(scheduled: ScheduledGame, seed: int, course: int = 0) -> Game:
    """Play a scheduled game; the same game, seed and course give the same plays."""
    state = GameState(scheduled, seed, course)
    while not _is_over(state):
        _play_half(state)
        state.clock += 130
        if not state.top:
            state.inning += 1
        state.top = not state.top
    return Game(scheduled, seed, state.start_away, state.start_home, state.first_pitch, tuple(state.plays))


def play_extra_innings(scheduled: ScheduledGame, seed: int) -> Game:
    """Play a scheduled game on the first of its courses that is tied after nine innings: one in eleven is."""
    courses = (play_game(scheduled, seed, course) for course in count())
    return next(game for game in courses if game.plays[-1]["about"]["inning"] > REGULATION)


def _is_over(state: GameState) -> bool:
    if state.top:
        return state.inning > REGULATION and state.home_score != state.away_score
    return state.inning >= REGULATION and state.home_score > state.away_score


def _play_half(state: GameState) -> None:
    state.outs = state.errors = 0
    state.bases = [None, None, None]
    first = True
    while not state.half_over:
        play = PlayBuilder(state)
        if not state.plays:
            for text in ("before the game", "warm-up", "in progress"):
                play.action("game_advisory", "Game Advisory", f"Status: {text}.", play.batter, seconds=0.5)
        if first:
            substitutions.before_half(play)
            if state.inning > REGULATION and state.scheduled.series is None:  # not in the postseason
                _place_runner(play)
        substitutions.before_batter(play)
        play_out(play)
        state.fielding.pitcher_faced += 1
        if is_plate_appearance(state.plays[-1]["result"]["eventType"]):
            batting = state.batting
            batting.next_slot = (batting.next_slot + 1) % 9
        first = False


def _place_runner(play: PlayBuilder) -> None:
    """Put the batter before the one who is up on second base, as extra innings begin."""
    state = play.game
    batting = state.batting
    runner = batting.lineup[(batting.next_slot - 1) % 9]
    text = f"{runner.name} starts the inning at 2nd base."
    state.bases[1] = Runner(runner, play.pitcher, earned=False)
    play.row(runner, "Runner Placed On Base", "runner_placed", origin=None, start=None, end="2B")
    play.action("runner_placed", "Runner Placed On Base", text, runner, base=2)
