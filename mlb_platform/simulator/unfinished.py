"""A play still going on, as a feed captured in the middle of it shows it."""

from __future__ import annotations

from mlb_platform.simulator.people import Json

_ON_BASE = {"1B": "postOnFirst", "2B": "postOnSecond", "3B": "postOnThird"}


def unfinished_play(before: Json, play: Json, pitches: int, people: dict[int, Json]) -> Json | None:
    """Give a play cut after so many of its pitches, never its last event; None when no pitch would be left.

    `before` is the play that came before it, `people` how the feed refers to each player.
    """
    indexes = [i for i in play["pitchIndex"][:pitches] if i < len(play["playEvents"]) - 1]
    if not indexes or pitches < 1:
        return None
    shown = indexes[-1] + 1
    events = play["playEvents"][:shown]
    rows = [row for row in play["runners"] if row["details"]["playIndex"] < shown]
    about = play["about"]
    same_half = all(before["about"][key] == about[key] for key in ("inning", "isTopInning"))
    bases = {base: before["matchup"][key] for base, key in _ON_BASE.items() if same_half and key in before["matchup"]}
    _move(bases, events, rows, people)
    runs = sum(row["movement"]["end"] == "score" for row in rows)
    away = before["result"]["awayScore"] + (runs if about["isTopInning"] else 0)
    home = before["result"]["homeScore"] + (0 if about["isTopInning"] else runs)
    outs = sum(row["movement"]["isOut"] for row in rows)
    result: Json = {"type": "atBat"}
    last_action = next((event["details"] for event in reversed(events) if event["type"] == "action"), None)
    if last_action is not None:
        result |= {key: last_action[key] for key in ("event", "eventType", "description")}
    result |= {"rbi": 0, "awayScore": away, "homeScore": home, "isOut": False}
    end = events[-1]["endTime"]
    matchup = {key: value for key, value in play["matchup"].items() if key not in _ON_BASE.values()}
    matchup |= {_ON_BASE[base]: person for base, person in bases.items()}
    count = events[-1]["count"]
    known = {key: value for key, value in play.items() if key != "reviewDetails"}
    return known | {
        "result": result,
        "about": {key: value for key, value in about.items() if key != "hasReview"}
        | {"endTime": end, "isComplete": False, "isScoringPlay": runs > 0, "hasOut": outs > 0, "captivatingIndex": 0},
        "count": count | {"outs": (before["count"]["outs"] if same_half else 0) + outs},
        "matchup": matchup,
        "pitchIndex": indexes,
        "actionIndex": [i for i in play["actionIndex"] if i < shown],
        "runnerIndex": list(range(len(rows))),
        "runners": rows,
        "playEvents": events,
        "playEndTime": end,
    }


def _move(bases: dict[str, Json], events: list[Json], rows: list[Json], people: dict[int, Json]) -> None:
    """Bring the runners to where the events and rows shown have put them."""
    for event in events:
        if event.get("position", {}).get("code") == "12":
            person_id = event["replacedPlayer"]["id"]
            base = next((base for base, person in bases.items() if person["id"] == person_id), None)
            if base is not None:
                bases[base] = people[event["player"]["id"]]
    for row in rows:
        movement = row["movement"]
        if movement["start"] is not None:
            bases.pop(movement["start"], None)
        if movement["end"] in _ON_BASE:
            bases[movement["end"]] = row["details"]["runner"]
