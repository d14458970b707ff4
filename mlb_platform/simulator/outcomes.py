"""What comes of a batted ball: hits, outs, errors, and where everybody ends up."""

from __future__ import annotations

from dataclasses import dataclass

from mlb_platform.simulator.batted_balls import BattedBall
from mlb_platform.simulator.people import FIELDER_NAMES, Json
from mlb_platform.simulator.play_builder import PlayBuilder, credit, throw_in
from mlb_platform.simulator.runners import Movement

_HITS = (("Single", "single"), ("Double", "double"), ("Triple", "triple"), ("Home Run", "home_run"))
_HIT_VERBS = ("singles", "doubles", "triples", "homers")
_SHAPES = {
    "ground_ball": "ground ball",
    "line_drive": "line drive",
    "fly_ball": "fly ball",
    "popup": "pop-up",
    "bunt_grounder": "bunt",
}


@dataclass(slots=True)
class Outcome:
    """Event name, event type and text of a play's result."""

    event: str
    event_type: str
    text: str


def _fielder(play: PlayBuilder, code: str) -> str:
    return f"{FIELDER_NAMES[code]} {play.game.fielding.fielders[code].name}"


def resolve(play: PlayBuilder, ball: BattedBall) -> Outcome:
    """Decide a ball in play and write its runner rows; the pitch event itself is added by the caller afterwards."""
    rng = play.game.rng
    if ball.trajectory == "bunt_grounder":
        return _sac_bunt(play, ball)
    bases = _hit_bases(play, ball)
    if bases:
        return _hit(play, ball, bases)
    if ball.trajectory == "ground_ball" or (ball.trajectory == "line_drive" and rng.random() < 0.03):
        if rng.random() < 0.026 and ball.fielder != "2":
            return _error(play, ball)
        return _ground_out(play, ball)
    if rng.random() < 0.004:
        return _error(play, ball)
    return _air_out(play, ball)


def _hit_bases(play: PlayBuilder, ball: BattedBall) -> int:
    rng = play.game.rng
    draw = rng.random() - play.batter.contact * 0.012
    wide = abs(ball.spray)
    if ball.trajectory == "ground_ball":
        if draw >= 0.20 + max(0.0, ball.speed - 85) * 0.004:
            return 0
        ball.fielder = "7" if ball.spray < -15 else ("8" if ball.spray < 15 else "9")
        return 2 if wide > 36 and rng.random() < 0.35 else 1
    if ball.trajectory == "line_drive":
        if draw >= 0.63:
            return 0
        ball.fielder = "7" if ball.spray < -15 else ("8" if ball.spray < 15 else "9")
        if ball.distance > 385:
            return 4
        extra = 0.38 if wide > 18 else 0.22
        step = rng.random()
        return 3 if step < 0.018 else (2 if step < extra else 1)
    if ball.trajectory == "fly_ball":
        fence = 341 + 66 * (1 - (wide / 45) ** 1.6)
        if ball.distance >= fence:
            return 4
        if draw < (0.19 if ball.distance > 290 else 0.09):
            return 3 if rng.random() < 0.1 else (2 if rng.random() < 0.65 else 1)
        return 0
    return 1 if draw < 0.015 else 0


def _cap_at_winning_run(play: PlayBuilder, bases: int) -> int:
    """Give the bases a walk-off hit counts for: as many as the winning run needs, unless it leaves the park."""
    game = play.game
    if game.top or game.inning < 9 or bases == 4:
        return bases
    needed = 1 - game.lead
    for base in (2, 1, 0):
        if game.bases[base] is not None:
            needed -= 1
            if needed == 0:
                return min(bases, 3 - base)
    return bases


def _hit(play: PlayBuilder, ball: BattedBall, bases: int) -> Outcome:
    game, rng = play.game, play.game.rng
    bases = _cap_at_winning_run(play, bases)
    event, kind = _HITS[bases - 1]
    move = Movement(play, event, kind, rbi=True)
    note = ""
    if bases >= 3:
        for base in (2, 1, 0):
            move.advance(base, 3, "r_adv_force" if bases == 4 or move.forced(base) else "r_adv_play")
    else:
        note = _runners_on_hit(play, move, bases, ball)
    fielded = [] if bases == 4 else [credit(game.fielding, ball.fielder, "f_fielded_ball")]
    move.batter_to(bases - 1, fielded)
    if bases < 3 and not game.half_over and game.bases[bases] is None and rng.random() < 0.02 and ball.fielder in "789":
        move.batter_further(
            bases - 1, bases, "r_adv_throw", ("Error", "error"), move.error(ball.fielder, "f_throwing_error")
        )
    shape = _SHAPES[ball.trajectory]
    where = f"over the fence, {ball.distance:.0f} feet" if bases == 4 else f"to {_fielder(play, ball.fielder)}"
    return Outcome(event, kind, f"{play.batter.name} {_HIT_VERBS[bases - 1]} on a {shape} {where}.{note}")


def _runners_on_hit(play: PlayBuilder, move: Movement, bases: int, ball: BattedBall) -> str:
    game, rng = play.game, play.game.rng
    forced = [move.forced(base) for base in range(3)]
    move.advance(2, 3)
    second = game.bases[1]
    note = ""
    if second is not None:
        runs_home = bases == 2 or rng.random() < (0.82 if game.outs == 2 else 0.58)
        if not runs_home or game.half_over:
            move.advance(1, 2, "r_adv_force" if forced[1] else "r_adv_play")
        elif bases == 1 and ball.fielder in "789" and (game.outs < 2 or game.bases[0] is None) and rng.random() < 0.06:
            throw = [*throw_in(game.fielding, ball.fielder), credit(game.fielding, "2", "f_putout")]
            move.out(1, "4B", "r_thrown_out", throw, ("Runner Out", "other_out"))
            note = f" {second.player.name} out at home on the throw."
        elif forced[1]:
            move.advance(1, 2, "r_adv_force")
            move.advance(2, 3, origin=1)
        else:
            move.advance(1, 3)
    if game.bases[0] is not None:
        if bases == 1:
            move.advance(0, 1, "r_adv_force")
            if game.bases[2] is None and rng.random() < 0.28 and game.bases[1] is not None:
                move.advance(1, 2, origin=0)
        else:
            move.advance(0, 2, "r_adv_force")
            if not game.half_over and rng.random() < 0.42:
                move.advance(2, 3, origin=0)
    return note


def _throw_to_first(play: PlayBuilder, code: str) -> list[Json]:
    defence = play.game.fielding
    if code == "3":
        return [credit(defence, "3", "f_putout")]
    return [credit(defence, code, "f_assist"), credit(defence, "3", "f_putout")]


def _ground_out(play: PlayBuilder, ball: BattedBall) -> Outcome:
    game, rng = play.game, play.game.rng
    code = ball.fielder if ball.fielder in "123456" else "6"
    ball.fielder = code
    name, first = play.batter.name, game.bases[0]
    if first is not None and game.outs < 2 and code in "13456" and rng.random() < 0.42:
        return _double_play(play, code)
    if first is not None and rng.random() < 0.33:
        move = Movement(play, "Forceout", "force_out", rbi=True)
        cover = "6" if code in "134" else "4"
        throw = [credit(game.fielding, code, "f_assist"), credit(game.fielding, cover, "f_putout")]
        out_name = first.player.name
        move.out(0, "2B", "r_force_out", throw)
        if game.outs < 3:
            crowded = game.bases[1] is not None
            if crowded or rng.random() < 0.5:
                move.advance(2, 3)
            move.advance(1, 2)
            move.batter_to(0)
        else:
            move.batter_to(0)
        text = (
            f"{name} grounds into a forceout, {_fielder(play, code)} to {_fielder(play, cover)}. {out_name} out at 2nd."
        )
        return Outcome("Forceout", "force_out", text)
    if first is None and game.bases[2] is not None and game.outs < 2 and code in "1345" and rng.random() < 0.12:
        if rng.random() < 0.75:
            move = Movement(play, "Fielders Choice Out", "fielders_choice_out")
            out_name = game.bases[2].player.name
            throw = [credit(game.fielding, code, "f_assist"), credit(game.fielding, "2", "f_putout")]
            move.out(2, "4B", "r_runner_out", throw)
            move.batter_to(0)
            text = f"{name} reaches on a fielder's choice, {_fielder(play, code)} throws out {out_name} at home."
            return Outcome("Fielders Choice Out", "fielders_choice_out", text)
        move = Movement(play, "Fielders Choice", "fielders_choice", rbi=True)
        move.advance(2, 3)
        move.batter_to(0)
        return Outcome("Fielders Choice", "fielders_choice", f"{name} reaches on a fielder's choice, all safe.")
    move = Movement(play, "Groundout", "field_out", rbi=True)
    forced = [move.forced(base) for base in range(3)]
    move.batter_out(_throw_to_first(play, code))
    if game.outs < 3:
        if forced[2] or (game.bases[2] is not None and rng.random() < 0.5):
            move.advance(2, 3)
        if forced[1] or rng.random() < 0.55:
            move.advance(1, 2, "r_adv_force" if forced[1] else "r_adv_play")
        move.advance(0, 1, "r_adv_force")
    if code == "3":
        return Outcome("Groundout", "field_out", f"{name} grounds out to {_fielder(play, code)}, unassisted.")
    return Outcome("Groundout", "field_out", f"{name} grounds out, {_fielder(play, code)} to {_fielder(play, '3')}.")


def _double_play(play: PlayBuilder, code: str) -> Outcome:
    game = play.game
    move = Movement(play, "Grounded Into DP", "grounded_into_double_play")
    cover = "6" if code in "134" else "4"
    assert game.bases[0] is not None
    out_name = game.bases[0].player.name
    throw = [credit(game.fielding, code, "f_assist"), credit(game.fielding, cover, "f_putout")]
    move.out(0, "2B", "r_force_out", throw)
    move.batter_out([credit(game.fielding, cover, "f_assist"), credit(game.fielding, "3", "f_putout")])
    if game.outs < 3:
        move.advance(2, 3)
        move.advance(1, 2)
    text = (
        f"{play.batter.name} grounds into a double play, {_fielder(play, code)} to {_fielder(play, cover)} "
        f"to {_fielder(play, '3')}. {out_name} out at 2nd."
    )
    return Outcome("Grounded Into DP", "grounded_into_double_play", text)


def _air_out(play: PlayBuilder, ball: BattedBall) -> Outcome:
    game, rng = play.game, play.game.rng
    name, code = play.batter.name, ball.fielder
    caught = [credit(game.fielding, code, "f_putout")]
    deep = ball.distance > 205 and code in "789" and game.outs < 2
    if ball.trajectory == "line_drive" and game.bases[0] is not None and game.outs < 2 and rng.random() < 0.08:
        move = Movement(play, "Double Play", "double_play")
        move.batter_out(caught)
        out_name = game.bases[0].player.name
        back = throw_in(game.fielding, code) if code != "3" else []
        move.out(0, "1B", "r_doubled_off", [*back, credit(game.fielding, "3", "f_putout")])
        text = f"{name} lines into a double play, {_fielder(play, code)} doubles off {out_name} at 1st."
        return Outcome("Double Play", "double_play", text)
    if deep and game.bases[2] is not None and rng.random() < 0.88:
        move = Movement(play, "Sac Fly", "sac_fly", rbi=True)
        scorer = game.bases[2].player.name
        move.batter_out(caught)
        move.advance(2, 3)
        if ball.distance > 300 and rng.random() < 0.4 and not game.half_over:
            move.advance(1, 2)
        return Outcome("Sac Fly", "sac_fly", f"{name} hits a sacrifice fly to {_fielder(play, code)}. {scorer} scores.")
    event, verb = {"line_drive": ("Lineout", "lines out"), "popup": ("Pop Out", "pops out")}.get(
        ball.trajectory, ("Flyout", "flies out")
    )
    move = Movement(play, event, "field_out", rbi=True)
    move.batter_out(caught)
    if deep and ball.distance > 280 and game.bases[2] is None and rng.random() < 0.25:
        move.advance(1, 2)
    return Outcome(event, "field_out", f"{name} {verb} to {_fielder(play, code)}.")


def _error(play: PlayBuilder, ball: BattedBall) -> Outcome:
    game, rng = play.game, play.game.rng
    code = ball.fielder
    throwing = code in "456" and rng.random() < 0.5
    move = Movement(play, "Field Error", "field_error")
    for base in (2, 1, 0):
        move.advance(base, base + 1, "r_adv_force" if move.forced(base) else "r_adv_play")
    move.batter_to(0, move.error(code, "f_throwing_error" if throwing else "f_fielding_error"), earned=False)
    if throwing and not game.half_over and rng.random() < 0.3:
        move.batter_further(0, 1, "r_adv_play", ("Field Error", "field_error"), [])
    kind = "throwing" if throwing else "fielding"
    return Outcome(
        "Field Error", "field_error", f"{play.batter.name} reaches on a {kind} error by {_fielder(play, code)}."
    )


def _sac_bunt(play: PlayBuilder, ball: BattedBall) -> Outcome:
    game = play.game
    move = Movement(play, "Sac Bunt", "sac_bunt")
    code = ball.fielder
    cover = "4" if code == "3" else "3"
    forced = [move.forced(base) for base in range(3)]
    move.batter_out([credit(game.fielding, code, "f_assist"), credit(game.fielding, cover, "f_putout")])
    for base in (1, 0):
        move.advance(base, base + 1, "r_adv_force" if forced[base] else "r_adv_play")
    text = f"{play.batter.name} lays down a sacrifice bunt, {_fielder(play, code)} to {_fielder(play, cover)}."
    return Outcome("Sac Bunt", "sac_bunt", text)
