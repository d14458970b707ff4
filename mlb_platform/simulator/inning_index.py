"""Plays by inning: indexes of the plays of each half, and where the batted balls went."""

from __future__ import annotations

from mlb_platform.simulator.people import Json
from mlb_platform.simulator.side_tally import Tally

_HITS = frozenset({"single", "double", "triple", "home_run"})


def plays_by_inning(tally: Tally) -> list[Json]:
    """Give one row an inning, in order."""
    rows: list[Json] = []
    for play in tally.plays:
        about = play["about"]
        index, inning, top = about["atBatIndex"], about["inning"], about["isTopInning"]
        if inning > len(rows):
            rows.append({"startIndex": index, "endIndex": index, "top": [], "bottom": [],
                         "hits": {"away": [], "home": []}})  # fmt: skip
        row = rows[-1]
        row["endIndex"] = index
        row["top" if top else "bottom"].append(index)
        ball = next((event["hitData"] for event in reversed(play["playEvents"]) if "hitData" in event), None)
        if ball is None:
            continue
        kind = play["result"]["eventType"]
        side, matchup = tally.side(not top), play["matchup"]
        row["hits"]["away" if top else "home"].append(
            {
                "team": side.start.club.brief,
                "inning": inning,
                "pitcher": matchup["pitcher"],
                "batter": matchup["batter"],
                "coordinates": {"x": ball["coordinates"]["coordX"], "y": ball["coordinates"]["coordY"]},
                "type": "H" if kind in _HITS else ("E" if kind == "field_error" else "O"),
                "description": play["result"]["event"],
            }
        )
    return rows
