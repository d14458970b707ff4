"""Later captures of a game that differ: a scoring change, rows that vanished, a move to another date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, timedelta
from random import Random
from typing import Literal

from mlb_platform.simulator.captures import SimulatedCapture, make_capture
from mlb_platform.simulator.feed import State, capture_time
from mlb_platform.simulator.game import Game
from mlb_platform.simulator.people import FIELDER_NAMES, Json
from mlb_platform.simulator.pitches import zone_of

Kind = Literal["correction", "vanished", "moved"]


def later_capture(capture: SimulatedCapture, kind: Kind, seed: int = 0) -> SimulatedCapture:
    """Give a new capture of the same game, taken later, that differs in the way named.

    `correction` turns a single into an error and rewrites the strike zone of a pitch; `vanished` has a play (unless the
    last one scored), a runner row and a pitch less; `moved` is the same game on another official date.

    Raises:
        ValueError: the kind is unknown, or the game has no play to change.
    """
    game = _shown_part(capture)
    state: State = capture.payload["gameData"]["status"]["abstractGameState"]
    rng = Random(f"later:{kind}:{seed}:{capture.game_pk}:{capture.captured_at.isoformat()}")
    after = capture.captured_at.replace(tzinfo=None) + timedelta(hours=rng.randint(10, 40), minutes=rng.randrange(60))
    if kind == "moved":
        moved = moved_game(game, rng.randint(1, 4))
        if state == "Final":
            after = max(after, capture_time(moved))
        result = make_capture(moved, state, after)
        return replace(result, captured_at=after.replace(tzinfo=UTC))
    if not game.plays or state == "Preview":
        raise ValueError(f"game {capture.game_pk} has no plays yet: nothing to change")
    change: Callable[[Game, Random], Game]
    if kind == "correction":
        change = _corrected
    elif kind == "vanished":
        change = _with_less
    else:
        raise ValueError(f"unknown kind of later capture: {kind!r}; give correction, vanished or moved")
    return make_capture(change(game, rng), state, after)


def _shown_part(capture: SimulatedCapture) -> Game:
    plays = capture.payload["liveData"]["plays"]["allPlays"]
    complete = sum(play["about"]["isComplete"] for play in plays)
    if not plays or complete == len(capture.game.plays):
        return capture.game
    return replace(capture.game, plays=capture.game.plays[:complete])


def _corrected(game: Game, rng: Random) -> Game:
    plays = list(game.plays)
    singles = [n for n, play in enumerate(plays) if _is_plain_single(play)]
    if not singles:
        raise ValueError(f"game {game.scheduled.pk} has no single that could be an error")
    changed = rng.choice(singles)
    _make_error(plays, changed)
    thrown = [(n, e) for n, play in enumerate(plays) for e, event in enumerate(play["playEvents"]) if event["isPitch"]]
    n, e = rng.choice(thrown)
    event = plays[n]["playEvents"][e]
    data = event["pitchData"]
    top, bottom = data["strikeZoneTop"] + rng.uniform(0.05, 0.2), data["strikeZoneBottom"] - rng.uniform(0.02, 0.1)
    where = data["coordinates"]
    judged = data | {
        "strikeZoneTop": top,
        "strikeZoneBottom": bottom,
        "zone": zone_of(where["pX"], where["pZ"], top, bottom),
    }
    events = list(plays[n]["playEvents"])
    events[e] = event | {"pitchData": judged}
    plays[n] = plays[n] | {"playEvents": events}
    return replace(game, plays=tuple(plays))


def _is_plain_single(play: Json) -> bool:
    if play["result"]["eventType"] != "single":
        return False
    return all(row["details"]["eventType"] not in ("error", "other_out") for row in play["runners"])


def _make_error(plays: list[Json], changed: int) -> None:
    """Score the single of a play as a fielding error, and the runs that follow from it in the half as unearned."""
    play = plays[changed]
    batter = play["matchup"]["batter"]["id"]
    rows, guilty = [], "fielder"
    for row in play["runners"]:
        details, fielders = row["details"], row["credits"]
        if details["eventType"] == "single":
            details = details | {"event": "Field Error", "eventType": "field_error", "rbi": False, "earned": False}
            fielders = [credit | {"credit": "f_fielding_error"} for credit in fielders]
            if fielders:
                guilty = FIELDER_NAMES[fielders[0]["position"]["code"]]
        rows.append(row | {"details": details, "credits": fielders})
    result = play["result"]
    rbi = sum(row["details"]["rbi"] for row in rows)
    text = f"{play['matchup']['batter']['fullName']} reaches on a fielding error by the {guilty} (scoring changed)."
    plays[changed] = play | {
        "runners": rows,
        "result": result | {"event": "Field Error", "eventType": "field_error", "description": text, "rbi": rbi},
    }
    half = (play["about"]["inning"], play["about"]["isTopInning"])
    for n in range(changed + 1, len(plays)):
        later = plays[n]
        if (later["about"]["inning"], later["about"]["isTopInning"]) != half:
            break
        # with the error as an out, the half would have been over after the second one
        over = plays[n - 1]["count"]["outs"] >= 2
        unearned = [
            row | {"details": row["details"] | {"earned": False}}
            if row["details"]["earned"] and (over or row["details"]["runner"]["id"] == batter)
            else row
            for row in later["runners"]
        ]
        plays[n] = later | {"runners": unearned}


def _with_less(game: Game, rng: Random) -> Game:
    plays = list(game.plays)
    if len(plays) > 1 and not plays[-1]["about"]["isScoringPlay"]:
        plays.pop()
    moves = [
        (n, r)
        for n, play in enumerate(plays)
        for r, row in enumerate(play["runners"])
        if len(play["runners"]) > 1 and row["movement"]["start"] and row["movement"]["end"] in ("2B", "3B")
        and row["details"]["eventType"] == play["result"]["eventType"]
    ]  # fmt: skip
    if moves:
        n, r = rng.choice(moves)
        rows = plays[n]["runners"][:r] + plays[n]["runners"][r + 1 :]
        plays[n] = plays[n] | {"runners": rows, "runnerIndex": list(range(len(rows)))}
    pitches = [
        (n, e)
        for n, play in enumerate(plays)
        for e, event in enumerate(play["playEvents"][:-1])
        if event["isPitch"]
    ]  # fmt: skip
    if pitches:
        n, e = rng.choice(pitches)
        plays[n] = _without_event(plays[n], e)
    return replace(game, plays=tuple(plays))


def _without_event(play: Json, gone: int) -> Json:
    """Give a play without one of its pitches, everything after it numbered anew."""
    events = []
    for event in play["playEvents"]:
        if event["index"] == gone:
            continue
        if event["index"] > gone:
            event = event | {"index": event["index"] - 1}
            if "pitchNumber" in event:
                event["pitchNumber"] -= 1
        events.append(event)

    def renumbered(indexes: list[int]) -> list[int]:
        return [index - (index > gone) for index in indexes if index != gone]

    rows = []
    for row in play["runners"]:
        index = row["details"]["playIndex"]
        rows.append(row | {"details": row["details"] | {"playIndex": index - (index > gone)}})
    return play | {
        "playEvents": events,
        "runners": rows,
        "pitchIndex": renumbered(play["pitchIndex"]),
        "actionIndex": renumbered(play["actionIndex"]),
    }


def moved_game(game: Game, days: int) -> Game:
    """Give the same game played so many days later."""
    shift = timedelta(days=days)
    was = game.scheduled
    scheduled = replace(
        was, day=was.day + shift, start=was.start + shift, local_start=was.local_start + shift, moved_from=was.day
    )

    def later(text: str) -> str:
        return (date.fromisoformat(text[:10]) + shift).isoformat() + text[10:]

    plays = tuple(
        play
        | {
            "about": play["about"] | {key: later(play["about"][key]) for key in ("startTime", "endTime")},
            "playEndTime": later(play["playEndTime"]),
            "playEvents": [
                event | {"startTime": later(event["startTime"]), "endTime": later(event["endTime"])}
                for event in play["playEvents"]
            ],
        }
        for play in game.plays
    )
    return replace(game, scheduled=scheduled, first_pitch=game.first_pitch + shift, plays=plays)
