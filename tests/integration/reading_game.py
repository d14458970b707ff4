"""Box scores, line scores and plays of a game, read by hand: table -> rows, by members' names."""

from __future__ import annotations

from collections.abc import Iterator

from reading import Json, Row, at, outs_of, scalars, snake

SIDES = ("home", "away")
FIELDERS = {"first": "first_base", "second": "second_base", "third": "third_base", "left": "left_field",
            "center": "center_field", "right": "right_field"}  # fmt: skip
RUNNERS = {"first": "on_first", "second": "on_second", "third": "on_third"}


def pitching(line: Json, prefix: str = "") -> Row:
    """Return a pitching line: pitches under either name, and outs of the innings where they are not given."""
    row = scalars(line, prefix, {"outs": "outs_given", "numberOfPitches": "number"}, "fielding")
    number = row.pop(f"{prefix}number", None)
    row[f"{prefix}pitches_thrown"] = row.get(f"{prefix}pitches_thrown", number)
    given = row.get(f"{prefix}outs_given")
    row[f"{prefix}outs"] = outs_of(line.get("inningsPitched")) if given is None else given
    return row


def boxscore(doc: Json) -> dict[str, list[Row]]:
    """Read a box score."""
    found: dict[str, list[Row]] = {
        name: []
        for name in ("teams", "players", "batting", "pitching", "fielding", "lineups", "officials", "notes")
    }  # fmt: skip
    found |= {"team_notes": [], "top_performers": []}
    for side in SIDES:
        team = doc["teams"][side]
        who = {"team_id": team["team"]["id"], "side": side}
        found["teams"].append(who | _team(team))
        for entry in team["players"].values():
            person = who | {"player_id": entry["person"]["id"], "player_name": entry["person"]["fullName"]}
            place = person | {
                "position_code": at(entry, "position.code"), "is_substitute": at(entry, "gameStatus.isSubstitute"),
                "position_abbreviation": at(entry, "position.abbreviation"),
            }  # fmt: skip
            found["players"].append(person | _player(entry))
            lines = entry["stats"]
            if lines["batting"]:
                order = entry.get("battingOrder")
                slot = None if order is None else int(order) // 100
                found["batting"].append(
                    place | scalars(lines["batting"]) | {"batting_order": order, "batting_slot": slot}
                )
            if lines["pitching"]:
                found["pitching"].append(place | pitching(lines["pitching"]))
            if lines["fielding"]:
                positions = {"positions": entry.get("allPositions")}
                found["fielding"].append(place | scalars(lines["fielding"], drop="fielding") | positions)
        for name in ("battingOrder", "batters", "pitchers", "bench", "bullpen"):
            for player in dict.fromkeys(team[name]):
                row = {"list_name": snake(name), "player_id": player, "list_index": team[name].index(player)}
                found["lineups"].append(who | row)
        for section in team["info"]:
            for index, line in enumerate(section["fieldList"]):
                title = {"section": section["title"], "section_title": section["title"]}
                found["team_notes"].append(who | title | _note(index, line))
        found["team_notes"] += [who | {"section": "NOTE"} | _note(i, line) for i, line in enumerate(team["note"])]
    for index, official in enumerate(doc["officials"]):
        person = {"official_id": official["official"]["id"], "official_name": official["official"]["fullName"]}
        found["officials"].append(scalars(official) | person | {"official_index": index})
    found["notes"] = [{"note_kind": "info"} | _note(i, line) for i, line in enumerate(doc["info"])]
    found["notes"] += [
        {"note_kind": "pitching", "note_index": i, "note": text} for i, text in enumerate(doc["pitchingNotes"])
    ]
    for index, best in enumerate(doc["topPerformers"]):
        person = best["player"]["person"]
        row = {"player_id": person["id"], "player_name": person["fullName"], "performer_index": index}
        stats = {"stats": best["player"]["stats"]}
        found["top_performers"].append(scalars(best, named={"type": "performer_type"}) | row | stats)
    return {f"game.boxscore_{name}": rows for name, rows in found.items()}


def _note(index: int, line: Json) -> Row:
    return {"note_index": index} | scalars(line, named={"value": "note"})


def _team(team: Json) -> Row:
    row = scalars(
        {k: v for k, v in team["team"]["record"].items() if k not in ("wins", "losses", "winningPercentage")},
        named={"gamesPlayed": "record_games_played", "divisionLeader": "is_division_leader"},
    )
    row |= scalars(team["team"]["record"]["leagueRecord"], "record_", {"pct": "win_pct"})
    row |= {"team_name": team["team"]["name"], "team_abbreviation": team["team"]["abbreviation"]}
    totals = team["teamStats"]
    row |= scalars(totals["batting"], "batting_") | pitching(totals["pitching"], "pitching_")
    return row | scalars(totals["fielding"], "fielding_", drop="fielding")


def _player(entry: Json) -> Row:
    row = scalars(entry) | {"boxscore_name": entry["person"]["boxscoreName"], "positions": entry.get("allPositions")}
    row |= scalars(entry["position"], "position_") | scalars(entry["status"], "roster_status_")
    return row | scalars(entry["gameStatus"])


def linescore(doc: Json) -> dict[str, list[Row]]:
    """Read a line score."""
    row = scalars(doc) | {"innings_played": doc["innings"][-1]["num"] if doc["innings"] else None}
    for side in SIDES:
        row |= scalars(doc["teams"][side], f"{side}_")
    for part, names in (("defense", FIELDERS), ("offense", RUNNERS)):
        for name, who in doc[part].items():
            if isinstance(who, dict):
                place = f"{part}_{names.get(name, snake(name))}_"
                row |= {f"{place}id": who["id"], f"{place}name": who.get("fullName", who.get("name"))}
        row[f"{part}_batting_order"] = doc[part]["battingOrder"]
    return {"game.linescore": [row], "game.linescore_innings": list(innings(doc))}


def innings(line: Json) -> Iterator[Row]:
    """Read the innings of a line score."""
    for inning in line.get("innings") or []:
        row = {"inning": inning["num"], "inning_ordinal": inning.get("ordinalNum")}
        for side in SIDES:
            row |= scalars(inning.get(side), f"{side}_")
        yield row


def play_by_play(doc: Json) -> dict[str, list[Row]]:
    """Read the plays of a game."""
    rows = []
    for play in doc["allPlays"]:
        row = scalars(play) | scalars(play["result"], named={"type": "result_type"}) | scalars(play["about"])
        row |= scalars(play["count"])
        for name, value in play["matchup"].items():
            if name in ("batter", "pitcher", "postOnFirst", "postOnSecond", "postOnThird"):
                row |= {f"{snake(name)}_id": value["id"], f"{snake(name)}_name": value["fullName"]}
            elif name in ("batSide", "pitchHand"):
                row |= scalars(value, f"{snake(name)}_")
        splits = at(play, "matchup.splits") or {}
        row |= {"batter_split": splits.get("batter"), "pitcher_split": splits.get("pitcher")}
        row |= {"men_on_base": splits.get("menOnBase"), "play_events": play["playEvents"], "runners": play["runners"]}
        rows.append(row | {"review_details": play.get("reviewDetails")})
    return {"game.play_by_play_plays": rows}
