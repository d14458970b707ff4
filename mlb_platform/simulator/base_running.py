"""What happens between pitches: steals, wild pitches, passed balls, balks, pickoffs, visits and time-outs."""

from __future__ import annotations

from mlb_platform.simulator.game_state import BASES
from mlb_platform.simulator.play_builder import PlayBuilder, credit
from mlb_platform.simulator.reviews import review_action
from mlb_platform.simulator.runners import Movement

_ORDINALS = ("1st", "2nd", "3rd")
MOUND_VISITS = 5


def before_pitch(play: PlayBuilder) -> bool:
    """Let things happen before a pitch; true when the half-inning ended by them."""
    game, rng = play.game, play.game.rng
    draw = rng.random()
    if draw < 0.021:
        play.action("batter_timeout", "Batter Timeout", "The batter asks for time.", play.batter, seconds=20)
    elif draw < 0.036 and game.fielding.mound_visits < MOUND_VISITS and play.pitch_number:
        game.fielding.mound_visits += 1
        play.action("mound_visit", "Mound Visit", "A visit to the mound.", None, seconds=30)
    elif draw < 0.037:
        strikes = play.strikes + 1
        if strikes < 3:
            play.strikes = strikes
            play.no_pitch("AC", play.batter)
    elif draw < 0.038 and play.balls < 3:
        play.balls += 1
        play.no_pitch("VP", play.pitcher)
    if any(game.bases) and draw > 0.9:
        return _with_runners(play)
    return False


def _with_runners(play: PlayBuilder) -> bool:
    game, rng = play.game, play.game.rng
    draw = rng.random()
    first = game.bases[0]
    if draw < 0.08 and play.disengagements < 2:
        play.disengage("PSO", "Pitcher steps off")
    elif draw < 0.004 + 0.08:
        move = Movement(play, "Balk", "balk", index=len(play.events))
        score = game.away_score + game.home_score
        move.everyone_one_base()
        scored = game.away_score + game.home_score > score
        text = f"Balk by {play.pitcher.name}, runners advance."
        play.action("balk", "Balk", text, play.pitcher, scoring=scored, running=True)
    elif first is not None and draw < 0.5 and play.disengagements < 2:
        play.disengage("1", "Throw over to first base")
        if rng.random() < 0.03:
            move = Movement(play, "Pickoff 1B", "pickoff_1b", index=len(play.events))
            throw = [credit(game.fielding, "1", "f_assist"), credit(game.fielding, "3", "f_putout")]
            text = f"{play.pitcher.name} picks off {first.player.name} at 1st."
            move.out(0, "1B", "r_pickoff_1b", throw)
            action = play.action("pickoff_1b", "Pickoff 1B", text, first.player, out=True, running=True)
            review_action(play, action, out=True)
    elif game.bases[1] is not None and draw > 0.9 and play.disengagements < 2:
        play.disengage("2", "Throw to second base")
    if game.half_over:
        _end_on_the_bases(play)
        return True
    return False


def wants_to_steal(play: PlayBuilder) -> int | None:
    """Give the base (0 or 1) from which a runner goes on this pitch, or None."""
    game, rng = play.game, play.game.rng
    first, second, third = game.bases
    if first is not None and second is None and rng.random() < 0.04 + first.player.speed * 0.015:
        return 0
    if second is not None and third is None and first is None and game.outs < 2 and rng.random() < 0.004:
        return 1
    return None


def steal(play: PlayBuilder, base: int) -> bool:
    """Let the runner steal after a pitch; true when the half-inning ended by it."""
    game, rng = play.game, play.game.rng
    runner = game.bases[base]
    if runner is None:
        return False
    name, where = runner.player.name, _ORDINALS[base + 1]
    if base == 0 and game.inning >= 9 and game.lead <= -3 and rng.random() < 0.7:
        move = Movement(play, "Defensive Indiff", "defensive_indiff", index=len(play.events))
        text = f"{name} takes {where} on defensive indifference."
        play.action("defensive_indiff", "Defensive Indiff", text, runner.player, running=True)
        move.advance(base, base + 1, "r_defensive_indiff")
        return False
    target = BASES[base + 1]
    if rng.random() < 0.76 + runner.player.speed * 0.04:
        kind = f"stolen_base_{target.lower()}"
        move = Movement(play, f"Stolen Base {target}", kind, index=len(play.events))
        text = f"{name} steals {where} base."
        action = play.action(kind, f"Stolen Base {target}", text, runner.player, running=True)
        review_action(play, action, out=False)
        move.advance(base, base + 1, f"r_{kind}")
        return False
    kind = f"caught_stealing_{target.lower()}"
    cover = "6" if base == 0 else "5"
    move = Movement(play, f"Caught Stealing {target}", kind, index=len(play.events))
    throw = [credit(game.fielding, "2", "f_assist"), credit(game.fielding, cover, "f_putout")]
    text = f"{name} is caught stealing {where} base, catcher to {game.fielding.fielders[cover].name}."
    move.out(base, target, f"r_{kind}", throw)
    action = play.action(kind, f"Caught Stealing {target}", text, runner.player, out=True, running=True)
    review_action(play, action, out=True)
    if game.half_over:
        _end_on_the_bases(play)
        return True
    return False


def ball_gets_away(play: PlayBuilder, low: bool) -> bool:
    """Maybe let a pitch get away from the catcher; true when a run that ends the game scored on it."""
    game, rng = play.game, play.game.rng
    if not any(game.bases) or rng.random() > (0.17 if low else 0.004):
        return False
    passed = rng.random() < 0.2
    event, kind = ("Passed Ball", "passed_ball") if passed else ("Wild Pitch", "wild_pitch")
    index = len(play.events)
    move = Movement(play, event, kind, index=index)
    lead_runner = next(runner for runner in reversed(game.bases) if runner is not None)
    score = game.away_score + game.home_score
    move.everyone_one_base()
    scored = game.away_score + game.home_score > score
    who = game.fielding.fielders["2"] if passed else play.pitcher
    text = f"{event} by {who.name}, {lead_runner.player.name} advances."
    play.action(kind, event, text, lead_runner.player, scoring=scored, running=True)
    if game.half_over:
        play.finish(event, kind, text)
        return True
    return False


def _end_on_the_bases(play: PlayBuilder) -> None:
    """Finish a play whose batter was still up when the third out was made on the bases, or a balk won the game."""
    last = next(event for event in reversed(play.events) if event["type"] == "action")["details"]
    play.finish(last["event"], last["eventType"], f"{last['description']} The half-inning is over.")
