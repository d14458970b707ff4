"""The tables of the situation, the hit chart, the notes and the top performers of a live feed, in plain Python."""

from __future__ import annotations

from collections.abc import Iterator

from feed_json import Json, Row, at, two

SIDES = ("home", "away")
FIELDERS = {
    "pitcher": "pitcher", "catcher": "catcher", "first": "first_base", "second": "second_base", "third": "third_base",
    "shortstop": "shortstop", "left": "left_field", "center": "center_field", "right": "right_field",
}  # fmt: skip


def situation(doc: Json) -> Iterator[Row]:
    """Yield one row: who is where."""
    offense, defense = doc["liveData"]["linescore"]["offense"], doc["liveData"]["linescore"]["defense"]
    row: Row = {
        "offense_batting_order": offense.get("battingOrder"), "defense_batting_order": defense.get("battingOrder"),
        "feed_events": doc["metaData"].get("gameEvents"), "feed_logical_events": doc["metaData"].get("logicalEvents"),
        "poll_seconds": doc["metaData"].get("wait"),
    }  # fmt: skip
    named = {
        "offense_team": (offense, "team", "name"), "defense_team": (defense, "team", "name"),
        "offense_pitcher": (offense, "pitcher", "fullName"),
    }  # fmt: skip
    for key, column in (("batter", "batter"), ("onDeck", "on_deck"), ("inHole", "in_hole")):
        named[column] = (offense, key, "fullName")
        named[f"defense_{column}"] = (defense, key, "fullName")
    for key, column in FIELDERS.items():
        named[column] = (defense, key, "fullName")
    for base in ("first", "second", "third"):
        named[f"runner_on_{base}"] = (offense, base, "fullName")
        row[f"runner_on_{base}"] = offense.get(base)
    for column, (part, key, name) in named.items():
        row |= {f"{column}_id": at(part, f"{key}.id"), f"{column}_name": at(part, f"{key}.{name}")}
    yield row


def hit_chart(doc: Json) -> Iterator[Row]:
    """Yield a row a ball put in play."""
    for inning in doc["liveData"]["plays"]["playsByInning"]:
        for side in SIDES:
            for index, hit in enumerate(inning["hits"][side]):
                yield {
                    "inning": hit["inning"], "side": side, "hit_index": index, "team_id": hit["team"]["id"],
                    "batter_id": hit["batter"]["id"], "batter_name": hit["batter"]["fullName"],
                    "pitcher_id": hit["pitcher"]["id"], "pitcher_name": hit["pitcher"]["fullName"],
                    "hit_type": hit["type"], "description": hit["description"],
                    "hit_coordinate_x": two(hit["coordinates"]["x"]), "hit_coordinate_y": two(hit["coordinates"]["y"]),
                }  # fmt: skip


def notes(doc: Json) -> Iterator[Row]:
    """Yield a row a line under the box score of the game."""
    box = doc["liveData"]["boxscore"]
    for index, line in enumerate(box.get("info") or []):
        yield {"note_kind": "info", "note_index": index, "label": line.get("label"), "note": line.get("value")}
    for index, words in enumerate(box.get("pitchingNotes") or []):
        yield {"note_kind": "pitching", "note_index": index, "label": None, "note": words}


def team_notes(doc: Json) -> Iterator[Row]:
    """Yield a row a line under the box score of a team."""
    for side in SIDES:
        team = doc["liveData"]["boxscore"]["teams"][side]
        listed = [(part["title"], part["fieldList"]) for part in team.get("info") or []]
        for title, found in [*listed, (None, team.get("note") or [])]:
            for index, line in enumerate(found):
                yield {
                    "team_id": team["team"]["id"], "side": side, "section_title": title, "section": title or "NOTE",
                    "note_index": index, "label": line.get("label"), "note": line.get("value"),
                }  # fmt: skip


def top_performers(doc: Json) -> Iterator[Row]:
    """Yield a row a top performer."""
    for index, one in enumerate(doc["liveData"]["boxscore"].get("topPerformers") or []):
        player = one["player"]
        yield {
            "performer_index": index, "player_id": player["person"]["id"], "player_name": player["person"]["fullName"],
            "parent_team_id": player.get("parentTeamId"), "position_abbreviation": player["position"]["abbreviation"],
            "performer_type": one.get("type"), "game_score": one.get("gameScore"),
            "pitching_game_score": one.get("pitchingGameScore"), "hitting_game_score": one.get("hittingGameScore"),
            "stats": player["stats"],
        }  # fmt: skip
