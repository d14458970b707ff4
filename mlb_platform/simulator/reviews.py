"""Reviewed calls: managers' challenges, the umpires' own reviews, and challenged balls and strikes.

What a play or an event says is the call as it stands after the review. So an out that was overturned into was asked for
by the side in the field, an out that was upheld by the side at bat, and the reverse for whoever is safe.
"""

from __future__ import annotations

from random import Random

from mlb_platform.simulator.clubs import Club
from mlb_platform.simulator.game_state import PITCH_CHALLENGES, Side
from mlb_platform.simulator.people import Json, Player
from mlb_platform.simulator.pitches import Location
from mlb_platform.simulator.play_builder import PlayBuilder
from mlb_platform.simulator.schedule import ScheduledGame

TAG, FIRST_BASE, HIT_BY_PITCH, HOME_RUN, PITCH = "MA", "MF", "MI", "NH", "MJ"
_WORDS = {
    TAG: "tag play", FIRST_BASE: "play at 1st", HIT_BY_PITCH: "hit by pitch", HOME_RUN: "home run",
    PITCH: "pitch result",
}  # fmt: skip
_EDGE = 0.22


def judges_pitches(scheduled: ScheduledGame) -> bool:
    """Say whether the players of a game may challenge calls of balls and strikes."""
    return scheduled.day.year >= 2026 or scheduled.position == 4


def review_result(play: PlayBuilder) -> None:
    """Maybe have the result of the play just finished reviewed: challenged, or a home run by the umpires themselves."""
    game = play.game
    finished = game.plays[-1]
    result = finished["result"]
    rng = _rng(play)
    kind = result["eventType"]
    if kind == "home_run":
        if rng.random() < 0.06:
            _attach(finished, _details(HOME_RUN, overturned=False), "The umpires")
        return
    if kind == "hit_by_pitch":
        _challenge(play, finished, rng, HIT_BY_PITCH, chance=0.1, out=False)
    else:
        ball: Json = next((event["hitData"] for event in reversed(play.events) if "hitData" in event), {})
        on_the_ground = ball.get("trajectory") == "ground_ball"
        code, chance = (FIRST_BASE, 0.025) if on_the_ground else (TAG, 0.006)
        _challenge(play, finished, rng, code, chance=chance, out=play.outs_made > 0)


def review_action(play: PlayBuilder, action: Json, *, out: bool) -> None:
    """Maybe have a tag on a runner reviewed, as part of the action it belongs to."""
    _challenge(play, action, _rng(play), TAG, chance=0.16, out=out)


def review_pitch(play: PlayBuilder, pitch: Json, location: Location) -> None:
    """Maybe have the call of a taken pitch near the edge of the zone challenged by the batter or the catcher.

    Of the pitch that ends the plate appearance the whole play tells it.
    """
    game = play.game
    if not judges_pitches(game.scheduled) or not _is_close(location, play.batter):
        return
    rng = _rng(play)
    finished = game.plays[-1] if play.ended else None
    if rng.random() >= (0.45 if finished is not None else 0.06):
        return
    overturned = rng.random() < 0.5
    ball = pitch["details"]["isBall"]
    batter_asked = ball == overturned
    side = game.batting if batter_asked else game.fielding
    if side.pitch_challenges <= 0:
        return
    side.pitch_challenges -= not overturned
    player = play.batter if batter_asked else game.fielding.fielders["2"]
    review = _details(PITCH, overturned=overturned, side=side) | {"player": player.ref}
    _attach(finished if finished is not None else pitch, review, side.club.name)


def _rng(play: PlayBuilder) -> Random:
    """Give numbers of their own: what is reviewed does not change how the game goes on."""
    game = play.game
    return Random(f"review:{game.seed}:{game.scheduled.pk}:{len(game.plays)}:{len(play.events)}:{play.ended}")


def _challenge(play: PlayBuilder, reviewed: Json, rng: Random, code: str, *, chance: float, out: bool) -> None:
    if rng.random() >= chance:
        return
    game, overturned = play.game, rng.random() < 0.5
    side = game.fielding if out == overturned else game.batting
    if side.challenges <= 0:
        return
    side.challenges -= not overturned
    review = _details(code, overturned=overturned, side=side)
    if rng.random() < 0.4:
        review["additionalReviews"] = [_details(TAG if code != TAG else FIRST_BASE, overturned=False)]
    _attach(reviewed, review, side.club.name)


def review_of_team(code: str, club: Club, *, overturned: bool) -> Json:
    """Give a review that a club asked for and that is over."""
    return _details(code, overturned=overturned) | {"challengeTeamId": club.id}


def with_review(play: Json, review: Json, who: str) -> Json:
    """Give a play with a review in it; the play itself stays as it is."""
    reviewed = play | {"about": dict(play["about"]), "result": dict(play["result"])}
    _attach(reviewed, review, who)
    return reviewed


def _details(code: str, *, overturned: bool, side: Side | None = None) -> Json:
    team = {"challengeTeamId": side.club.id} if side is not None else {}
    return {"isOverturned": overturned, "inProgress": False, "reviewType": code, **team}


def _attach(reviewed: Json, review: Json, who: str) -> None:
    """Put a review into a play or an event, and into its words."""
    reviewed["reviewDetails"] = review
    outcome = "overturned" if review["isOverturned"] else "upheld"
    asked = "challenged" if "challengeTeamId" in review else "reviewed"
    said = f"{who} {asked} ({_WORDS[review['reviewType']]}), call on the field was {outcome}: "
    if "playEvents" in reviewed:
        reviewed["about"]["hasReview"] = True
        reviewed["result"]["description"] = said + reviewed["result"]["description"]
    else:
        reviewed["details"]["hasReview"] = True
        if reviewed["type"] == "action":
            reviewed["details"]["description"] = said + reviewed["details"]["description"]


def _is_close(location: Location, batter: Player) -> bool:
    """Say whether a pitch crosses the plate within a ball's width of the edge of the zone."""
    across = abs(abs(location.px) - 0.83) < _EDGE and batter.zone_bottom - _EDGE < location.pz < batter.zone_top + _EDGE
    near = min(abs(location.pz - batter.zone_top), abs(location.pz - batter.zone_bottom)) < _EDGE
    return across or (near and abs(location.px) < 0.83 + _EDGE)


def reviews_of(play: Json) -> list[Json]:
    """Give the reviews of a play's events in order, then its own."""
    found = [event["reviewDetails"] for event in play["playEvents"] if "reviewDetails" in event]
    return found + ([play["reviewDetails"]] if "reviewDetails" in play else [])


def pitch_challenge_counts(plays: tuple[Json, ...], team_id: int) -> Json:
    """Count the challenges of balls and strikes of a team: won, lost, and left."""
    asked = [
        review["isOverturned"]
        for play in plays
        for review in reviews_of(play)
        if review["reviewType"] == PITCH and review["challengeTeamId"] == team_id
    ]
    lost = asked.count(False)
    return {"usedSuccessful": asked.count(True), "usedFailed": lost, "remaining": PITCH_CHALLENGES - lost}
