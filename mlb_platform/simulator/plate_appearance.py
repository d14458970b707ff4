"""One plate appearance, pitch by pitch."""

from __future__ import annotations

from mlb_platform.simulator import base_running, outcomes
from mlb_platform.simulator.batted_balls import BattedBall
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.pitches import Location
from mlb_platform.simulator.play_builder import PlayBuilder, credit
from mlb_platform.simulator.reviews import review_pitch, review_result
from mlb_platform.simulator.runners import Movement


def play_out(play: PlayBuilder) -> None:
    """Play the plate appearance to its end; the batter stays up only when the half-inning ended on the bases."""
    game = play.game
    if _walk_on_purpose(play):
        return
    bunting = _is_bunt_situation(play)
    while not play.ended:
        if base_running.before_pitch(play):
            return
        stealing = base_running.wants_to_steal(play)
        location = Location(game.rng, play.pitcher, play.batter, play.balls, play.strikes)
        code = "bunt" if bunting and play.strikes < 2 and location.in_zone else _call(play, location)
        if code == "bunt":
            draw = game.rng.random()
            if draw < 0.3:
                play.strikes += 1
                play.pitch("L" if draw < 0.2 else "M", location)
                continue
            _in_play(play, location, BattedBall(game.rng, play.batter, bunt=True))
        elif code == "X":
            _in_play(play, location, BattedBall(game.rng, play.batter))
        elif code == "H":
            _hit_by_pitch(play, location)
        elif code in ("B", "*B"):
            _ball(play, location, code, stealing)
        elif code == "F":
            play.strikes = min(2, play.strikes + 1)
            play.pitch(code, location, going=stealing is not None)
        else:
            _strike(play, location, code, stealing)


def _call(play: PlayBuilder, location: Location) -> str:
    rng, strikes, balls = play.game.rng, play.strikes, play.balls
    draw = rng.random()
    if location.in_zone:
        swings = draw < (0.84 if strikes == 2 else (0.2 if balls == 3 and strikes == 0 else 0.62))
    else:
        if abs(location.px) > 1.5 and rng.random() < 0.035:
            return "H"
        far = abs(location.px) > 1.5 or not 0.8 < location.pz < 4.2
        swings = draw < ((0.4 if strikes == 2 else 0.31) - (0.2 if far else 0) - (0.15 if balls == 3 else 0))
    if not swings:
        return "C" if location.in_zone else ("*B" if location.pz < 0.7 else "B")
    skill = play.batter.contact * 0.012 - play.pitcher.contact * 0.01
    if rng.random() < (0.83 if location.in_zone else 0.63) + skill:
        return "F" if rng.random() < 0.49 else "X"
    return "T" if rng.random() < 0.08 else ("W" if location.pz < 0.9 else "S")


def _walk_on_purpose(play: PlayBuilder) -> bool:
    game = play.game
    first, second, third = game.bases
    late = game.inning >= 7 and -2 <= game.lead <= 0
    if not (late and first is None and (second or third) and play.batter.power > 0.3 and game.rng.random() < 0.2):
        return False
    for _ in range(4):
        play.balls += 1
        play.no_pitch("VB")
    _award_first(play, "Intent Walk", "intent_walk", len(play.events) - 1)
    play.finish("Intent Walk", "intent_walk", f"{play.batter.name} is walked on purpose by {play.pitcher.name}.")
    return True


def _is_bunt_situation(play: PlayBuilder) -> bool:
    game = play.game
    on_first_or_second = (game.bases[0] or game.bases[1]) and game.bases[2] is None
    weak = play.batter.power < -0.2 and abs(game.lead) <= 2
    return bool(on_first_or_second and game.outs == 0 and weak and game.rng.random() < 0.09)


def _award_first(play: PlayBuilder, event: str, kind: str, index: int | None = None, batted_in: bool = True) -> None:
    move = Movement(play, event, kind, rbi=batted_in, index=index)
    move.push_forced()
    move.batter_to(0)


def _ball(play: PlayBuilder, location: Location, code: str, stealing: int | None) -> None:
    play.balls += 1
    if play.balls == 4:
        _award_first(play, "Walk", "walk")
        pitch = play.pitch(code, location)
        play.finish("Walk", "walk", f"{play.batter.name} walks.")
        review_pitch(play, pitch, location)
        return
    pitch = play.pitch(code, location, going=stealing is not None)
    review_pitch(play, pitch, location)
    if stealing is not None:
        base_running.steal(play, stealing)
    else:
        base_running.ball_gets_away(play, code == "*B")


def _hit_by_pitch(play: PlayBuilder, location: Location) -> None:
    _award_first(play, "Hit By Pitch", "hit_by_pitch")
    play.pitch("H", location)
    play.finish("Hit By Pitch", "hit_by_pitch", f"{play.batter.name} is hit by a pitch.")
    review_result(play)


def _strike(play: PlayBuilder, location: Location, code: str, stealing: int | None) -> None:
    game = play.game
    play.strikes += 1
    if play.strikes < 3:
        pitch = play.pitch(code, location, going=stealing is not None)
        if code == "C":
            review_pitch(play, pitch, location)
        if stealing is not None:
            base_running.steal(play, stealing)
        return
    name, catcher = play.batter.name, game.fielding.fielders["2"]
    how = "is called out on strikes" if code == "C" else "strikes out swinging"
    caught = [credit(game.fielding, "2", "f_putout")]
    before = game.outs
    runner = game.bases[stealing] if stealing is not None else None
    if runner is not None and stealing == 0 and game.outs < 2 and game.rng.random() < 0.4:
        Movement(play, "Strikeout Double Play", "strikeout_double_play").batter_out(caught)
        throw = [credit(game.fielding, "2", "f_assist"), credit(game.fielding, "6", "f_putout")]
        move = Movement(play, "Caught Stealing 2B", "caught_stealing_2b")
        move.out(0, "2B", "r_caught_stealing_2b", throw)
        _last_pitch(play, code, location, before, out=True, going=True)
        text = f"{name} {how} and {runner.player.name} is caught stealing by catcher {catcher.name}."
        play.finish("Strikeout Double Play", "strikeout_double_play", text)
        return
    if code == "W" and (game.bases[0] is None or game.outs == 2) and game.rng.random() < 0.05:
        move = Movement(play, "Strikeout", "strikeout")
        move.push_forced()
        move.batter_to(0)
        play.pitch(code, location)
        play.finish("Strikeout", "strikeout", f"{name} strikes out but reaches first as the ball gets away.")
        return
    Movement(play, "Strikeout", "strikeout").batter_out(caught)
    pitch = _last_pitch(play, code, location, before, out=True)
    play.finish("Strikeout", "strikeout", f"{name} {how}.")
    if code == "C":
        review_pitch(play, pitch, location)


def _in_play(play: PlayBuilder, location: Location, ball: BattedBall) -> None:
    game = play.game
    if game.rng.random() < 0.0006:
        move = Movement(play, "Catcher Interference", "catcher_interf")
        move.push_forced()
        move.batter_to(0, move.error("2", "c_catcher_interf"), earned=False)
        play.strikes = min(2, play.strikes + 1)
        play.pitch("F", location)
        play.finish("Catcher Interference", "catcher_interf", f"{play.batter.name} reaches on catcher interference.")
        return
    outs, runs = play.outs_made, play.runs
    before = game.outs
    result = outcomes.resolve(play, ball)
    out, scored = play.outs_made > outs, play.runs > runs
    _last_pitch(play, "E" if scored else ("X" if out else "D"), location, before, out=out, ball=ball)
    play.finish(result.event, result.event_type, result.text)
    review_result(play)


def _last_pitch(
    play: PlayBuilder, code: str, location: Location, before: int, *, out: bool, ball: BattedBall | None = None,
    going: bool = False,
) -> Json:  # fmt: skip
    """Add the pitch that ended the plate appearance; a pitch counts the outs there were before it."""
    after, play.game.outs = play.game.outs, before
    pitch = play.pitch(code, location, out=out, ball=ball, going=going)
    play.game.outs = after
    return pitch


def is_plate_appearance(event_type: str) -> bool:
    """Say whether a play's result counts as a plate appearance of its batter."""
    return event_type not in _RUNNING_RESULTS


_RUNNING_RESULTS = frozenset(
    {
        "caught_stealing_2b", "caught_stealing_3b", "caught_stealing_home", "pickoff_1b", "pickoff_2b", "pickoff_3b",
        "balk", "wild_pitch", "passed_ball", "other_out", "runner_double_play",
    }
)  # fmt: skip
