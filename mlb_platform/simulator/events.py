"""What happens to whole games: rain delays, suspensions, postponements, cancellations, and calls that are overturned.

`draw_events` says what happens to a scheduled game, `play_with_events` plays it so, `in_state` shows a capture of it in
any state of the real API's list, and `before_review` what a live feed says until a call is overturned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random

from mlb_platform.simulator.captures import SimulatedCapture
from mlb_platform.simulator.corrections import moved_game
from mlb_platform.simulator.feed import iso
from mlb_platform.simulator.game import Game, play_extra_innings, play_game
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.reviews import FIRST_BASE, review_of_team, reviews_of, with_review
from mlb_platform.simulator.schedule import ScheduledGame

# abstract state, coded state, detailed state, status code, abstract code, reason
_STATES: dict[str, tuple[str, str, str, str, str, str | None]] = {
    "Scheduled": ("Preview", "S", "Scheduled", "S", "P", None),
    "Pre-Game": ("Preview", "P", "Pre-Game", "P", "P", None),
    "Warmup": ("Live", "P", "Warmup", "PW", "L", None),
    "Delayed Start: Rain": ("Preview", "P", "Delayed Start: Rain", "PR", "P", "Rain"),
    "In Progress": ("Live", "I", "In Progress", "I", "L", None),
    "Delayed: Rain": ("Live", "I", "Delayed: Rain", "IR", "L", "Rain"),
    "Manager challenge": ("Live", "M", "Manager challenge", "MX", "L", None),
    "Suspended: Rain": ("Live", "U", "Suspended: Rain", "UR", "L", "Rain"),
    "Game Over": ("Final", "O", "Game Over", "O", "F", None),
    "Final": ("Final", "F", "Final", "F", "F", None),
    "Postponed: Rain": ("Final", "D", "Postponed", "DR", "F", "Rain"),
    "Cancelled": ("Final", "C", "Cancelled", "CO", "F", None),
}
STATES = tuple(_STATES)
UNPLAYED = ("Postponed: Rain", "Cancelled")
"""States that are final although nothing was played: the feed has no plays."""


def feed_status(state: str) -> Json:
    """Give the status object of a state by its name (`STATES`). Raises ValueError for another name."""
    if state not in _STATES:
        raise ValueError(f"no game state {state!r}; there are: {', '.join(STATES)}")
    abstract, coded, detailed, code, abstract_code, reason = _STATES[state]
    told = {"reason": reason} if reason is not None else {}
    return {
        "abstractGameState": abstract,
        "codedGameState": coded,
        "detailedState": detailed,
        "statusCode": code,
        "startTimeTBD": False,
        **told,
        "abstractGameCode": abstract_code,
    }


@dataclass(frozen=True)
class EventRates:
    """How often, of all games, each thing happens: 0 never, 1 always."""

    delay: float = 0.05
    suspension: float = 0.01
    postponement: float = 0.02
    cancellation: float = 0.0
    overturned: float = 0.3
    extra_innings: float = 0.0
    """Made sure of, beside those that come of themselves."""


@dataclass(frozen=True)
class GameEvents:
    """What happens to one game. `delay_at_play` 0 is a delayed start; plays count from 0.

    With `suspended_after_play`, that many plays are played on the game's date and the rest on `resumes_on`. A game with
    `postponed_to` is played on that date under the same id. `overturned_play` is one whose first call does not stand.
    """

    delay_minutes: int = 0
    delay_at_play: int = 0
    suspended_after_play: int | None = None
    resumes_on: date | None = None
    postponed_to: date | None = None
    cancelled: bool = False
    overturned_play: bool = False
    extra_innings: bool = False


def draw_events(scheduled: ScheduledGame, seed: int, rates: EventRates | None = None) -> GameEvents:
    """Draw what happens to a game: by the seed and its id alone, at most one thing of the weather."""
    rates = rates or EventRates()
    long = Random(f"extra innings:{seed}:{scheduled.pk}").random() < rates.extra_innings
    return replace(_drawn(scheduled, seed, rates), extra_innings=long)


def _drawn(scheduled: ScheduledGame, seed: int, rates: EventRates) -> GameEvents:
    rng = Random(f"events:{seed}:{scheduled.pk}")
    overturned = rng.random() < rates.overturned
    draw, days, minutes, play = (
        rng.random(),
        rng.randint(1, 4),
        rng.randint(20, 150),
        rng.choice((0, rng.randint(1, 50))),
    )
    later = scheduled.day + timedelta(days=days)
    # a game that the schedule itself moves or resumes has had its rain
    if scheduled.makeup_of is None and scheduled.resumed_on is None:
        if draw < rates.cancellation:
            return GameEvents(cancelled=True)
        draw -= rates.cancellation
        if 0 <= draw < rates.postponement:
            return GameEvents(postponed_to=later, overturned_play=overturned)
        draw -= rates.postponement
        if 0 <= draw < rates.suspension:
            return GameEvents(
                suspended_after_play=max(play, 12), resumes_on=scheduled.day + timedelta(days=1),
                overturned_play=overturned,
            )  # fmt: skip
        draw -= rates.suspension
    if 0 <= draw < rates.delay:
        return GameEvents(delay_minutes=minutes, delay_at_play=play, overturned_play=overturned)
    return GameEvents(overturned_play=overturned)


def play_with_events(scheduled: ScheduledGame, seed: int, events: GameEvents) -> Game:
    """Play a game to its end with what happens to it; its plays stay those of the same game without events.

    Raises:
        ValueError: the game is cancelled.
    """
    if events.cancelled:
        raise ValueError(f"game {scheduled.pk} is cancelled: nothing is played")
    game = play_extra_innings(scheduled, seed) if events.extra_innings else play_game(scheduled, seed)
    if events.overturned_play:
        game = _with_overturned_call(game)
    if events.postponed_to is not None:
        game = moved_game(game, (events.postponed_to - scheduled.day).days)
    if events.suspended_after_play is not None and events.resumes_on is not None:
        game = _suspended(game, min(events.suspended_after_play, len(game.plays) - 1), events.resumes_on)
    if events.delay_minutes:
        game = _delayed(game, min(events.delay_at_play, len(game.plays) - 1), events.delay_minutes)
    return game


def in_state(capture: SimulatedCapture, state: str) -> SimulatedCapture:
    """Give a capture that says the game is in a state; the rest of it stays.

    For states before the first pitch give `preview_capture`, for those during play `live_capture`, for Game Over and
    Final the last one. Raises ValueError where plays and state do not go together.
    """
    status = feed_status(state)
    played = bool(capture.payload["liveData"]["plays"]["allPlays"])
    before = status["abstractGameState"] == "Preview" or state in ("Warmup", *UNPLAYED)
    if played == before:
        what = "has plays" if played else "has no plays"
        raise ValueError(f"game {capture.game_pk} {what}: it cannot be in the state {state!r}")
    data = capture.payload["gameData"] | {"status": status}
    return replace(capture, payload=capture.payload | {"gameData": data})


def postponed(preview: SimulatedCapture, to: date | None, hours: float = 1) -> SimulatedCapture:
    """Give the capture, so many hours after a preview, that tells the game is off and when it will be played.

    Its official date is still the old one: the makeup's feeds move it. None: cancelled.
    """
    told = in_state(preview, "Cancelled" if to is None else "Postponed: Rain")
    when = preview.captured_at + timedelta(hours=hours)
    data = told.payload["gameData"]
    if to is not None:
        scheduled = preview.game.scheduled
        start = scheduled.start + (to - scheduled.day)
        dates = {"rescheduleDate": iso(start), "rescheduleGameDate": to.isoformat()}
        data = data | {"datetime": data["datetime"] | dates}
    meta = told.payload["metaData"] | {"timeStamp": f"{when:%Y%m%d_%H%M%S}"}
    return replace(told, payload=told.payload | {"gameData": data, "metaData": meta}, captured_at=when)


def overturned_plays(game: Game) -> list[int]:
    """Give the plays whose first call was another, by position: outs at first that were called safe."""
    return [
        n
        for n, play in enumerate(game.plays)
        if play.get("reviewDetails", {}).get("isOverturned") and _is_lone_out(game, n)
    ]


def before_review(game: Game, play: int) -> Game:
    """Give the game through a play of `overturned_plays`, with the call that stood until the review: a single."""
    if play not in overturned_plays(game):
        raise ValueError(f"play {play} of game {game.scheduled.pk} is none whose call was overturned")
    done = game.plays[play]
    batter = done["matchup"]["batter"]
    name = batter["fullName"]
    single = {"event": "Single", "eventType": "single"}
    (row,) = done["runners"]
    safe = row | {
        "movement": row["movement"] | {"end": "1B", "outBase": None, "isOut": False, "outNumber": None},
        "details": row["details"] | single,
        "credits": [],
    }
    last = done["playEvents"][-1]
    count = last["count"] | {"outs": last["count"]["outs"]}
    result = done["result"] | single | {"description": f"{name} singles on a ground ball.", "isOut": False}
    about = done["about"] | {"hasOut": False, "hasReview": True}
    review = done["reviewDetails"] | {"isOverturned": False, "inProgress": True}
    called = done | {
        "result": result,
        "about": about,
        "count": done["count"] | {"outs": done["count"]["outs"] - 1},
        "matchup": done["matchup"] | {"postOnFirst": batter},
        "runners": [safe],
        "playEvents": [*done["playEvents"][:-1], last | {"count": count, "details": last["details"] | _SAFE}],
        "reviewDetails": {key: value for key, value in review.items() if key != "additionalReviews"},
    }
    return replace(game, plays=(*game.plays[:play], called))


_SAFE: Json = {
    "call": {"code": "D", "description": "In play, no out"},
    "description": "In play, no out",
    "code": "D",
    "isOut": False,
}


def _is_lone_out(game: Game, n: int) -> bool:
    """Say whether a play is a ground out with nobody on base, its one row that of the batter."""
    play = game.plays[n]
    rows = play["runners"]
    if play["result"]["eventType"] != "field_out" or len(rows) != 1 or rows[0]["movement"]["start"] is not None:
        return False
    before = game.plays[n - 1] if n else None
    same_half = before is not None and all(before["about"][k] == play["about"][k] for k in ("inning", "isTopInning"))
    # after a third out nobody is on base any more: who was there before tells
    standing = [play["matchup"], before["matchup"] if before is not None and same_half else {}]
    on_base = any(key in told for told in standing for key in ("postOnFirst", "postOnSecond", "postOnThird"))
    grounded = play["playEvents"][-1].get("hitData", {}).get("trajectory") == "ground_ball"
    return grounded and not on_base and bool(rows[0]["movement"]["isOut"])


def _with_overturned_call(game: Game) -> Game:
    """Let the side in the field have one call overturned, where a play allows it and it has lost no challenge."""
    rng = Random(f"overturned:{game.seed}:{game.scheduled.pk}")
    candidates = [n for n in range(len(game.plays)) if _is_lone_out(game, n) and not reviews_of(game.plays[n])]
    rng.shuffle(candidates)
    for n in candidates:
        play = game.plays[n]
        side = game.side(play["about"]["isTopInning"])  # who is in the field
        if any(review.get("challengeTeamId") == side.club.id for p in game.plays for review in reviews_of(p)):
            continue
        reviewed = with_review(play, review_of_team(FIRST_BASE, side.club, overturned=True), side.club.name)
        return replace(game, plays=(*game.plays[:n], reviewed, *game.plays[n + 1 :]))
    return game


def _shifted(play: Json, gap: timedelta, after_event: int = 0) -> Json:
    """Give a play later by a gap; of its events those from a place on."""

    def later(text: str) -> str:
        return (datetime.fromisoformat(text.removesuffix("Z")) + gap).isoformat(timespec="milliseconds") + "Z"

    events = [
        event if n < after_event else event | {key: later(event[key]) for key in ("startTime", "endTime")}
        for n, event in enumerate(play["playEvents"])
    ]
    times = ("startTime", "endTime") if after_event == 0 else ("endTime",)
    about = play["about"] | {key: later(play["about"][key]) for key in times}
    return play | {"about": about, "playEvents": events, "playEndTime": later(play["playEndTime"])}


def _delayed(game: Game, at: int, minutes: int) -> Game:
    """Let it rain before a play: everything from there on is later, and two advisories begin the play."""
    gap = timedelta(minutes=minutes)
    word = "Delayed Start: Rain" if at == 0 else "Delayed: Rain"
    back = game.plays[at]["about"]["startTime"] if at else game.plays[0]["playEvents"][0]["startTime"]
    later = [_shifted(play, gap) for play in game.plays[at:]]
    later[0] = _with_advisories(later[0], word, back)
    first_pitch = game.first_pitch + gap if at == 0 else game.first_pitch
    paused = 0 if at == 0 else minutes
    return replace(
        game, plays=(*game.plays[:at], *later), first_pitch=first_pitch, delay=minutes, pause=game.pause + paused
    )


def _suspended(game: Game, after: int, resumes_on: date) -> Game:
    """Let the rest of a game be played on another date, from the hour it was to begin on its own."""
    scheduled = replace(game.scheduled, resumes_on=resumes_on)
    restart = game.scheduled.start + (resumes_on - game.scheduled.day)
    was = datetime.fromisoformat(game.plays[after]["about"]["startTime"].removesuffix("Z"))
    gap = restart - was
    back = game.plays[after]["about"]["startTime"]
    later = [_shifted(play, gap) for play in game.plays[after:]]
    later[0] = _with_advisories(later[0], "Suspended: Rain", back)
    pause = game.pause + round(gap.total_seconds() / 60)
    return replace(game, scheduled=scheduled, plays=(*game.plays[:after], *later), pause=pause)


def _with_advisories(play: Json, state: str, since: str) -> Json:
    """Give a play that begins with the advisories of an interruption: that it began at a time, and that it is over."""
    first = play["playEvents"][0]
    begun = play["about"]["startTime"]
    details = {"event": "Game Advisory", "eventType": "game_advisory"} | {
        "awayScore": play["result"]["awayScore"], "homeScore": play["result"]["homeScore"], "isScoringPlay": False,
        "isOut": False, "hasReview": False,
    }  # fmt: skip
    runs = sum(row["movement"]["end"] == "score" for row in play["runners"])
    details["awayScore" if play["about"]["isTopInning"] else "homeScore"] -= runs
    count = {"balls": 0, "strikes": 0, "outs": first["count"]["outs"]}
    told = [
        {
            "details": {"description": f"Status Change - {name}"} | details,
            "count": count,
            "index": n,
            "startTime": start,
            "endTime": begun,
            "isPitch": False,
            "type": "action",
            "player": {key: play["matchup"]["batter"][key] for key in ("id", "link")},
        }
        for n, (name, start) in enumerate(((state, since), ("In Progress", begun)))
    ]
    by = len(told)
    rows = [
        row | {"details": row["details"] | {"playIndex": row["details"]["playIndex"] + by}} for row in play["runners"]
    ]
    return play | {
        "about": play["about"] | {"startTime": since},
        "playEvents": [*told, *(event | {"index": event["index"] + by} for event in play["playEvents"])],
        "pitchIndex": [n + by for n in play["pitchIndex"]],
        "actionIndex": [*range(by), *(n + by for n in play["actionIndex"])],
        "runners": rows,
    }
