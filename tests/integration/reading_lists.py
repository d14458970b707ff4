"""Schedules, series, people, teams, rosters, venues and seasons, read by hand: table -> (entity, row), by names."""

from __future__ import annotations

from collections.abc import Iterator

from reading import Json, Row, at, scalars
from reading_game import SIDES, innings

GAME_NAMES = {
    "gameDate": "game_datetime", "officialDate": "official_date_given", "doubleHeader": "doubleheader_type",
    "calendarEventID": "calendar_event_id", "publicFacing": "is_public", "rescheduleDate": "rescheduled_datetime",
    "rescheduleGameDate": "rescheduled_date", "rescheduledFrom": "rescheduled_from_datetime",
    "resumeDate": "resume_datetime", "resumeGameDate": "resume_date", "resumedFrom": "resumed_from_datetime",
}  # fmt: skip
FLAGS = {"noHitter": "is_no_hitter", "perfectGame": "is_perfect_game"}
MOVES = [
    "status_reason", "rescheduled_datetime", "rescheduled_date", "rescheduled_from_datetime", "rescheduled_from_date",
    "resume_datetime", "resume_date", "resumed_from_datetime", "resumed_from_date",
]  # fmt: skip
GAME_CLEARS = {
    "detailed_state": MOVES, "home_wins": ["home_score", "home_is_winner"],
    "away_wins": ["away_score", "away_is_winner"],
    "current_inning": ["balls", "strikes", "outs", "linescore_note"],
}  # fmt: skip


def listing(game: Json) -> Row:
    """Read what every listing of a game has."""
    row = scalars(game, named=GAME_NAMES)
    row |= scalars(game["status"], named={"reason": "status_reason", "startTimeTBD": "start_time_tbd"})
    row |= {"venue_id": at(game, "venue.id"), "venue_name": at(game, "venue.name")}
    for side in SIDES:
        team = game["teams"].get(side) or {}
        row |= scalars(team, f"{side}_") | scalars(team.get("leagueRecord"), f"{side}_", {"pct": "win_pct"})
        row |= {f"{side}_team_id": at(team, "team.id"), f"{side}_team_name": at(team, "team.name")}
    return row


def line_of(game: Json) -> Row:
    """Read the line score hydrated into a listing."""
    line = game.get("linescore")
    if line is None:
        return {}
    row = scalars(line, named={"note": "linescore_note"}, drop="link scheduledInnings")
    for side in SIDES:
        named = {"runs": "linescore_runs"}
        row |= scalars(at(line, f"teams.{side}"), f"{side}_", named, "isWinner")
    return row


def _date(row: Row, day: str) -> Row:
    """Add the official date: what is given, else the date of the listing, of a postponed game that it is moved to."""
    known = row.get("rescheduled_date") if row["coded_game_state"] == "D" else day
    return row | {"official_date": row.get("official_date_given", known), "schedule_date": day}


def _listings(doc: Json) -> Iterator[tuple[str, Json]]:
    for of_day in doc["dates"]:
        for game in of_day["games"]:
            yield of_day["date"], game


def _innings(doc: Json) -> Iterator[Row]:
    for day, game in _listings(doc):
        for row in innings(game.get("linescore") or {}):
            yield {"game_pk": game["gamePk"], "schedule_date": day} | row


def schedule(doc: Json) -> dict[str, list[Row]]:
    """Read a schedule."""
    games, stats = [], []
    for day, game in _listings(doc):
        row = _date(listing(game) | line_of(game) | scalars(game.get("flags"), named=FLAGS), day)
        people = {f"{side}_probable_pitcher": at(game, f"teams.{side}.probablePitcher") for side in SIDES}
        decided = {"winner": "winning_pitcher", "loser": "losing_pitcher", "save": "save_pitcher"}
        people |= {role: at(game, f"decisions.{name}") for name, role in decided.items()}
        for role, person in people.items():
            row |= {f"{role}_id": at(person, "id"), f"{role}_name": at(person, "fullName")}
        row["listing_rank"] = _rank(row, day)
        games.append(row)
        named = {"onDeck": "on_deck", "inHole": "in_hole"}
        for part in ("defense", "offense"):
            people |= {
                f"{part}_{named.get(k, k)}": v for k, v in (at(game, f"linescore.{part}") or {}).items()
                if isinstance(v, dict)
            }  # fmt: skip
        for role, person in people.items():
            for of_kind in (person or {}).get("stats", []):
                kind = {"stat_type": of_kind["type"]["displayName"], "stat_group": of_kind["group"]["displayName"]}
                who = {"game_pk": game["gamePk"], "schedule_date": day, "role": role, "person_id": person["id"]}
                stats.append(who | kind | {"stats": of_kind["stats"]})
    return {"schedule.games": games, "schedule.game_innings": list(_innings(doc)), "schedule.game_person_stats": stats}


def _rank(row: Row, day: str) -> int:
    """How well a listing stands for its game: over, live, to come, suspended, postponed; and whether it was moved."""
    state = {"D": 4, "T": 3, "U": 3}.get(row["coded_game_state"])
    if state is None:
        state = {"Final": 0, "Live": 1}.get(row["abstract_game_state"], 2)
    return 2 * state + (row.get("official_date_given", day) != day)


def postseason(doc: Json) -> dict[str, list[Row]]:
    """Read a postseason schedule."""
    games = [_date(listing(g) | line_of(g) | scalars(g.get("flags"), named=FLAGS), day) for day, g in _listings(doc)]
    return {"schedule.postseason_games": games, "schedule.postseason_game_innings": list(_innings(doc))}


def postseason_series(doc: Json) -> dict[str, list[Row]]:
    """Read a postseason by series."""
    series, games = [], []
    for entry in doc["series"]:
        first, last = entry["games"][0], entry["games"][-1]
        key = {"series_id": entry["series"]["id"], "season": first["season"]}
        row = scalars(entry["series"], drop="id") | {"sort_order": entry["sortOrder"], "games": entry["totalGames"]}
        row |= {"series_description": first["seriesDescription"], "games_in_series": first["gamesInSeries"]}
        row |= {"games_in_progress": entry["totalGamesInProgress"]}
        series.append(key | row | {"first_date": first["officialDate"], "last_date": last["officialDate"]})
        for game in entry["games"]:
            row = listing(game)
            row["official_date"] = row.pop("official_date_given", None)
            games.append(key | row)
    return {"schedule.postseason_series": series, "schedule.postseason_series_games": games}


def person(doc: Json) -> dict[str, list[Row]]:
    """Read people."""
    people, stats, drafts = [], [], []
    same = {"id": "person_id", "active": "is_active", "nickName": "nickname", "fullFMLName": "full_fml_name",
            "fullLFMName": "full_lfm_name"}  # fmt: skip
    for one in doc["people"]:
        row = scalars(one, named=same)
        for name in ("batSide", "pitchHand", "primaryPosition"):
            prefix = {"batSide": "bat_side_", "pitchHand": "pitch_hand_", "primaryPosition": "primary_position_"}[name]
            row |= scalars(one.get(name), prefix)
        row |= {"current_team_id": at(one, "currentTeam.id"), "current_team_name": at(one, "currentTeam.name")}
        people.append(row)
        for of_kind in one.get("stats", []):
            stats += [{"person_id": one["id"]} | _split(one["id"], of_kind, s) for s in of_kind.get("splits", [])]
        for draft in one.get("drafts", []):
            row = scalars(draft, named={"year": "draft_year", "headshotLink": "headshot_url"})
            row |= scalars(draft["draftType"], "draft_type_") | scalars(draft["home"], "home_")
            row |= {"school_name": draft["school"]["name"], "school_class": draft["school"].get("schoolClass")}
            drafts.append(row | _named(draft, "team") | {"person_id": one["id"]})
    return {"person.person": people, "person.person_stats": stats, "person.person_drafts": drafts}


def _named(value: Json, name: str) -> Row:
    return {f"{name}_id": at(value, f"{name}.id"), f"{name}_name": at(value, f"{name}.name")}


def _split(person_id: int, of_kind: Json, split: Json) -> Row:
    named = {"wRc": "wrc", "wRcPlus": "wrc_plus", "ra9War": "ra9_war", "name": "zone_name"}
    row = scalars(split.get("stat"), named=named, drop="position")
    row |= scalars(split, named={"date": "game_date", "numTeams": "team_count", "numLeagues": "league_count"})
    for name in ("team", "league", "sport", "opponent"):
        row |= _named(split, name)
    for name in ("batter", "pitcher"):
        row |= {f"{name}_id": at(split, f"{name}.id"), f"{name}_name": at(split, f"{name}.fullName")}
    row |= {"pitch_type": at(split, "stat.type.code"), "pitch_description": at(split, "stat.type.description")}
    play = at(split, "stat.play") or {}
    row |= {"play_id": play.get("playId"), "at_bat_number": play.get("atBatNumber"), "is_pitch": play.get("isPitch")}
    row |= {"pitch_number": play.get("pitchNumber"), "play_details": play.get("details")}
    row |= {"play_count": play.get("count")}
    row |= {"game_pk": at(split, "game.gamePk"), "game_number": at(split, "game.gameNumber")}
    row |= {"day_night": at(split, "game.dayNight"), "sport_abbreviation": at(split, "sport.abbreviation")}
    row |= scalars(split.get("position"), "position_") | scalars(split.get("split"), "split_")
    row |= {"positions_played": split.get("positionsPlayed"), "zones": at(split, "stat.zones")}
    kind, group = of_kind["type"]["displayName"], at(of_kind, "group.displayName")
    row |= {"stat_type": kind, "given_group": group}
    of_pitchers = [s["stat"]["name"] for s in of_kind["splits"] if at(s, "stat.name") in PITCHERS_ZONES]
    row["pitching_zone_name"] = of_pitchers[0] if of_pitchers else None
    if group is None and kind == "hotColdZones":
        group = "pitching" if of_pitchers else "hitting"
    if group is None and kind == "sprayChart":
        group = "hitting" if row["batter_id"] == person_id else "pitching"
    row["stat_group"] = group or "none"
    parts = {
        "season": "season", "team": "team_id", "league": "league_id", "sport": "sport_id", "type": "game_type",
        "game": "game_pk", "date": "game_date", "position": "position_code", "opponent": "opponent_id",
        "zones": "zone_name", "split": "split_code",
        **({"home": "is_home", "win": "is_win"} if row["game_pk"] is None else {}),
        "month": "month", "day": "day_of_week", "pitcher": "pitcher_id",
        **({"batter": "batter_id"} if kind != "sprayChart" else {}), "pitch": "pitch_type",
        "at_bat": "at_bat_number", "pitch_number": "pitch_number", "play": "play_id",
    }  # fmt: skip
    told = [f"{label}={row[name]}" for label, name in parts.items() if row.get(name) is not None]
    return row | {"split_key": "/".join(told)}


PITCHERS_ZONES = ("numberOfStrikes", "numberOfPitches", "earnedRunAverage")
"""Names of zone statistics that only pitchers have."""


def team(doc: Json) -> dict[str, list[Row]]:
    """Read teams, and what each was in the season it is described in."""
    names = {"id": "team_id", "name": "team_name", "teamName": "nickname", "active": "is_active",
             "placeholder": "is_placeholder"}  # fmt: skip
    rows = []
    for one in doc["teams"]:
        row = scalars(one, named=names)
        for name, prefix in (("sport", "sport"), ("league", "league"), ("division", "division"), ("venue", "venue")):
            row |= {f"{prefix}_id": at(one, f"{name}.id"), f"{prefix}_name": at(one, f"{name}.name")}
        row |= scalars(one.get("springLeague"), "spring_league_")
        rows.append(row | {"spring_venue_id": at(one, "springVenue.id")})
    lasting = ("first_year_of_play", "is_placeholder")
    seasons = [{k: v for k, v in r.items() if k not in lasting} for r in rows if r.get("season") is not None]
    return {"team.team": rows, "team.team_seasons": seasons}


def roster(doc: Json) -> dict[str, list[Row]]:
    """Read a roster: its kind is the response's own."""
    rows = []
    for entry in doc["roster"]:
        row = scalars(entry) | {"player_id": entry["person"]["id"], "player_name": entry["person"]["fullName"]}
        row |= scalars(entry["position"], "position_") | scalars(entry["status"], "status_")
        rows.append(row | {"team_id": doc["teamId"], "roster_type": doc["rosterType"]})
    return {"team.roster": rows}


def venue(doc: Json) -> dict[str, list[Row]]:
    """Read venues."""
    rows = []
    field = {"leftLine": "left_line_distance", "rightLine": "right_line_distance"}
    field |= {n: f"{c}_distance" for n, c in (("left", "left"), ("leftCenter", "left_center"), ("center", "center"))}
    field |= {"rightCenter": "right_center_distance", "right": "right_distance"}
    place = {"address1": "address", "stateAbbrev": "state_abbreviation"}
    zone = {"id": "time_zone", "offset": "time_zone_offset", "offsetAtGameTime": "time_zone_offset_at_game",
            "tz": "time_zone_abbreviation"}  # fmt: skip
    for one in doc["venues"]:
        row = scalars(one, named={"id": "venue_id", "name": "venue_name", "active": "is_active"})
        row |= scalars(one.get("location"), named=place) | scalars(one.get("fieldInfo"), named=field)
        row |= scalars(one.get("timeZone"), named=zone) | scalars(at(one, "location.defaultCoordinates"))
        rows.append(row)
    return {"venue.venue": rows}


def seasons(doc: Json) -> dict[str, list[Row]]:
    """Read seasons."""
    named = {"lastDate1stHalf": "first_half_end_date", "firstDate2ndHalf": "second_half_start_date",
             "offseasonStartDate": "off_season_start_date"}  # fmt: skip
    return {"season.seasons": [scalars(one, named=named) for one in doc["seasons"]]}
