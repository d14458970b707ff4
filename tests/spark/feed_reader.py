"""An independent reading of a live feed: its tables in plain Python, from the JSON and not from the mapping.

`read_feed(document)` gives table -> rows; a row is column -> value with ints, floats, decimals rounded half up to the
scale of the column, dates, UTC times, texts and booleans; a JSON column has the parsed value. Technical columns are
left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from feed_events import batted_balls, decisions, fielding_credits, play_actions, reviews, substitutions
from feed_json import Json, Row, at, day, first, moment, real, stamp, text, three, two, whole
from feed_lines import lines, team_totals
from feed_plays import pitch_events, plays, runners, scoring_plays
from feed_situation import hit_chart, notes, situation, team_notes, top_performers

SIDES = ("home", "away")


def metadata(doc: Json) -> Iterator[Row]:
    """Yield one row: the game."""
    data, line = doc["gameData"], at(doc, "liveData.linescore") or {}
    game, when, state = data["game"], data["datetime"], data["status"]
    innings = line.get("innings") or []
    row: Row = {
        "game_type": game.get("type"), "season": text(game.get("season")),
        "season_display": text(game.get("seasonDisplay")), "original_date": day(when.get("originalDate")),
        "game_datetime": moment(when.get("dateTime")), "local_time": when.get("time"),
        "local_time_ampm": when.get("ampm"), "day_night": when.get("dayNight"),
        "resume_date": day(when.get("resumeDate")), "resume_datetime": moment(when.get("resumeDateTime")),
        "resumed_from_date": day(when.get("resumedFromDate")),
        "resumed_from_datetime": moment(when.get("resumedFromDateTime")),
        "rescheduled_date": day(when.get("rescheduleGameDate")),
        "rescheduled_datetime": moment(when.get("rescheduleDate")),
        "rescheduled_from_date": day(when.get("rescheduledFromDate")),
        "rescheduled_from_datetime": moment(when.get("rescheduledFrom")),
        "game_number": game.get("gameNumber"), "doubleheader_type": game.get("doubleHeader"),
        "gameday_type": game.get("gamedayType"), "tiebreaker": game.get("tiebreaker"), "gameday_id": game.get("id"),
        "calendar_event_id": game.get("calendarEventID"), "venue_id": at(data, "venue.id"),
        "venue_name": at(data, "venue.name"), "official_venue_id": at(data, "officialVenue.id"),
        "abstract_game_state": state.get("abstractGameState"), "abstract_game_code": state.get("abstractGameCode"),
        "detailed_state": state.get("detailedState"), "coded_game_state": state.get("codedGameState"),
        "status_code": state.get("statusCode"), "status_reason": state.get("reason"),
        "start_time_tbd": state.get("startTimeTBD"), "scheduled_innings": line.get("scheduledInnings"),
        "innings_played": innings[-1]["num"] if innings else None, "current_inning": line.get("currentInning"),
        "current_inning_ordinal": line.get("currentInningOrdinal"), "inning_state": line.get("inningState"),
        "inning_half": line.get("inningHalf"), "is_top_inning": line.get("isTopInning"), "balls": line.get("balls"),
        "strikes": line.get("strikes"), "outs": line.get("outs"), "linescore_note": line.get("note"),
        "weather_condition": at(data, "weather.condition"), "weather_temp": whole(at(data, "weather.temp")),
        "weather_wind": at(data, "weather.wind"), "attendance": at(data, "gameInfo.attendance"),
        "first_pitch_time": moment(at(data, "gameInfo.firstPitch")),
        "game_duration_minutes": at(data, "gameInfo.gameDurationMinutes"),
        "delay_duration_minutes": at(data, "gameInfo.delayDurationMinutes"),
        "is_no_hitter": at(data, "flags.noHitter"), "is_perfect_game": at(data, "flags.perfectGame"),
        "has_challenges": at(data, "review.hasChallenges"),
        "has_abs_challenges": at(data, "absChallenges.hasChallenges"),
        "feed_timestamp": stamp(at(doc, "metaData.timeStamp")),
    }  # fmt: skip
    for column, key in (("winning", "winner"), ("losing", "loser"), ("save", "save")):
        row[f"{column}_pitcher_id"] = at(doc, f"liveData.decisions.{key}.id")
        row[f"{column}_pitcher_name"] = at(doc, f"liveData.decisions.{key}.fullName")
    people = {"official_scorer": "officialScorer", "primary_datacaster": "primaryDatacaster"}
    for column, key in (people | {"secondary_datacaster": "secondaryDatacaster"}).items():
        row[f"{column}_id"], row[f"{column}_name"] = at(data, f"{key}.id"), at(data, f"{key}.fullName")
    for side in SIDES:
        team, score = data["teams"][side], at(line, f"teams.{side}") or {}
        of_side: Row = {
            "team_id": team.get("id"), "team_name": team.get("name"), "team_abbreviation": team.get("abbreviation"),
            "team_code": team.get("teamCode"), "team_file_code": team.get("fileCode"),
            "team_short_name": team.get("shortName"), "team_nickname": team.get("teamName"),
            "team_location": team.get("locationName"), "league_id": at(team, "league.id"),
            "league_name": at(team, "league.name"), "division_id": at(team, "division.id"),
            "division_name": at(team, "division.name"), "games_played": at(team, "record.gamesPlayed"),
            "wins": first(team, "record.leagueRecord.wins", "record.wins"),
            "losses": first(team, "record.leagueRecord.losses", "record.losses"),
            "ties": at(team, "record.leagueRecord.ties"),
            "win_pct": three(first(team, "record.leagueRecord.pct", "record.winningPercentage")),
            "score": score.get("runs"), "hits": score.get("hits"), "errors": score.get("errors"),
            "left_on_base": score.get("leftOnBase"),
            "probable_pitcher_id": at(data, f"probablePitchers.{side}.id"),
            "probable_pitcher_name": at(data, f"probablePitchers.{side}.fullName"),
            "team_no_hitter": at(data, f"flags.{side}TeamNoHitter"),
            "team_perfect_game": at(data, f"flags.{side}TeamPerfectGame"),
            "challenges_used": at(data, f"review.{side}.used"),
            "challenges_remaining": at(data, f"review.{side}.remaining"),
            "mound_visits_used": at(data, f"moundVisits.{side}.used"),
            "mound_visits_remaining": at(data, f"moundVisits.{side}.remaining"),
            "abs_challenges_won": at(data, f"absChallenges.{side}.usedSuccessful"),
            "abs_challenges_lost": at(data, f"absChallenges.{side}.usedFailed"),
            "abs_challenges_remaining": at(data, f"absChallenges.{side}.remaining"),
        }  # fmt: skip
        row |= {f"{side}_{column}": value for column, value in of_side.items()}
    yield row


def linescore_innings(doc: Json) -> Iterator[Row]:
    """Yield a row an inning."""
    for inning in at(doc, "liveData.linescore.innings") or []:
        row = {"inning": inning["num"], "inning_ordinal": inning.get("ordinalNum")}
        for side in SIDES:
            half = inning.get(side) or {}
            row |= {f"{side}_runs": half.get("runs"), f"{side}_hits": half.get("hits")}
            row |= {f"{side}_errors": half.get("errors"), f"{side}_left_on_base": half.get("leftOnBase")}
        yield row


def players(doc: Json) -> Iterator[Row]:
    """Yield a row a person, with what the box scores say of him."""
    same = [
        "fullName", "firstName", "middleName", "lastName", "useName", "useLastName", "boxscoreName", "nameFirstLast",
        "firstLastName", "lastFirstName", "lastInitName", "initLastName", "nameSlug", "nameMatrilineal", "nameSuffix",
        "nameTitle", "pronunciation", "primaryNumber", "currentAge", "birthCity", "birthStateProvince",
        "birthCountry", "height", "weight", "gender", "isPlayer",
        "isVerified", "draftYear",
    ]  # fmt: skip
    teams = {side: at(doc, f"gameData.teams.{side}.id") for side in SIDES}
    for key, person in doc["gameData"]["players"].items():
        entries = {side: at(doc, f"liveData.boxscore.teams.{side}.players.{key}") for side in SIDES}
        listed = [side for side in SIDES if entries[side] is not None]
        both = [entries[side] for side in listed]

        def entry(path: str, both: list[Json] = both) -> Json:
            return next((at(e, path) for e in both if at(e, path) is not None), None)

        row = {"".join("_" + c.lower() if c.isupper() else c for c in name): person.get(name) for name in same}
        row |= {
            "player_id": person["id"], "nickname": person.get("nickName"), "full_fml_name": person.get("fullFMLName"),
            "full_lfm_name": person.get("fullLFMName"), "is_active": person.get("active"),
            "birth_date": day(person.get("birthDate")),
            "mlb_debut_date": day(person.get("mlbDebutDate")), "last_played_date": day(person.get("lastPlayedDate")),
            "strike_zone_top": three(person.get("strikeZoneTop")),
            "strike_zone_bottom": three(person.get("strikeZoneBottom")),
            "home_roster_player_id": at(entries["home"], "person.id"),
            "away_roster_player_id": at(entries["away"], "person.id"),
            "home_team_id": teams["home"], "away_team_id": teams["away"],
            "side": "both" if len(listed) == 2 else listed[0] if listed else None,
            "team_id": teams[listed[0]] if len(listed) == 1 else None, "jersey_number": entry("jerseyNumber"),
            "batting_order": whole(entry("battingOrder")), "roster_status_code": entry("status.code"),
            "roster_status_description": entry("status.description"),
            "is_current_batter": entry("gameStatus.isCurrentBatter"),
            "is_current_pitcher": entry("gameStatus.isCurrentPitcher"),
            "is_on_bench": entry("gameStatus.isOnBench"), "is_substitute": entry("gameStatus.isSubstitute"),
            "parent_team_id": entry("parentTeamId"),
        }  # fmt: skip
        for part in ("code", "description"):
            row[f"bat_side_{part}"], row[f"pitch_hand_{part}"] = (
                at(person, f"batSide.{part}"),
                at(person, f"pitchHand.{part}"),
            )
        for part in ("code", "name", "type", "abbreviation"):
            row[f"primary_position_{part}"] = at(person, f"primaryPosition.{part}")
            row[f"game_position_{part}"] = entry(f"position.{part}")
        yield row


def team_list(doc: Json, side: str, name: str) -> Iterator[Row]:
    """Yield a row a player on a list of a team's box score; a player listed twice counts once."""
    team = doc["liveData"]["boxscore"]["teams"][side]
    for player_id in dict.fromkeys(team[name]):
        index = team[name].index(player_id)
        entry, person = team["players"].get(f"ID{player_id}") or {}, doc["gameData"]["players"].get(f"ID{player_id}")
        order = whole(entry.get("battingOrder"))
        row = {
            "player_id": player_id, "team_id": doc["gameData"]["teams"][side]["id"],
            "player_name": first(entry, "person.fullName") or at(person, "fullName"),
            "jersey_number": entry.get("jerseyNumber") or at(person, "primaryNumber"),
            "roster_status_code": at(entry, "status.code"),
        }  # fmt: skip
        row |= {f"position_{p}": at(entry, f"position.{p}") for p in ("code", "name", "type", "abbreviation")}
        flags: Row = {
            "is_current_batter": at(entry, "gameStatus.isCurrentBatter"),
            "is_current_pitcher": at(entry, "gameStatus.isCurrentPitcher"),
            "is_on_bench": at(entry, "gameStatus.isOnBench"), "is_substitute": at(entry, "gameStatus.isSubstitute"),
            "bat_side_code": at(person, "batSide.code"), "pitch_hand_code": at(person, "pitchHand.code"),
            "batting_order": order, "batting_slot": None if order is None else order // 100, "appearance_index": index,
            "list_index": index,
        }  # fmt: skip
        chosen = {
            "battingOrder": "list_index batting_order batting_slot bat_side_code is_current_batter is_substitute",
            "pitchers": "appearance_index batting_order pitch_hand_code is_current_pitcher is_substitute",
        }.get(name, "list_index bat_side_code pitch_hand_code is_on_bench")
        yield row | {column: flags[column] for column in chosen.split()}


def umpires(doc: Json) -> Iterator[Row]:
    """Yield a row an umpire."""
    for index, entry in enumerate(doc["liveData"]["boxscore"]["officials"]):
        official = entry["official"]
        yield {
            "official_index": index,
            "official_type": entry["officialType"],
            "official_id": official["id"],
            "official_name": official["fullName"],
        }


def venue_details(doc: Json) -> Iterator[Row]:
    """Yield one row: the venue of the game."""
    venue = doc["gameData"]["venue"]
    place, zone, field = venue.get("location") or {}, venue.get("timeZone") or {}, venue.get("fieldInfo") or {}
    yield {
        "venue_id": venue["id"], "venue_name": venue["name"], "is_active": venue.get("active"),
        "season": text(venue.get("season")), "address": place.get("address1"), "city": place.get("city"),
        "state": place.get("state"), "state_abbreviation": place.get("stateAbbrev"), "country": place.get("country"),
        "postal_code": place.get("postalCode"), "phone": place.get("phone"), "elevation": place.get("elevation"),
        "latitude": real(at(place, "defaultCoordinates.latitude")),
        "longitude": real(at(place, "defaultCoordinates.longitude")),
        "azimuth_angle": two(place.get("azimuthAngle")), "time_zone": zone.get("id"),
        "time_zone_abbreviation": zone.get("tz"), "time_zone_offset": two(zone.get("offset")),
        "time_zone_offset_at_game": two(zone.get("offsetAtGameTime")), "capacity": field.get("capacity"),
        "turf_type": field.get("turfType"), "roof_type": field.get("roofType"),
        "left_line_distance": field.get("leftLine"), "left_distance": field.get("left"),
        "left_center_distance": field.get("leftCenter"), "center_distance": field.get("center"),
        "right_center_distance": field.get("rightCenter"), "right_distance": field.get("right"),
        "right_line_distance": field.get("rightLine"),
    }  # fmt: skip


READERS: dict[str, Callable[[Json], Iterator[Row]]] = {
    "metadata": metadata, "linescore_innings": linescore_innings, "players": players, "plays": plays,
    "pitch_events": pitch_events, "runners": runners, "scoring_plays": scoring_plays, "umpires": umpires,
    "venue_details": venue_details, "play_actions": play_actions, "batted_balls": batted_balls,
    "fielding_credits": fielding_credits, "substitutions": substitutions, "reviews": reviews, "decisions": decisions,
    "player_batting": lines("batting"), "player_pitching": lines("pitching"), "player_fielding": lines("fielding"),
    "team_totals": team_totals, "situation": situation, "hit_chart": hit_chart, "notes": notes,
    "team_notes": team_notes, "top_performers": top_performers,
}  # fmt: skip
LISTS = {"batting_order": "battingOrder", "pitchers": "pitchers", "bench": "bench", "bullpen": "bullpen"}


def read_feed(doc: Json) -> dict[str, list[Row]]:
    """Return the rows of all tables of a feed, each with its game and official date."""
    when = doc["gameData"]["datetime"]
    every = {"game_pk": doc["gamePk"], "game_date": day(when.get("officialDate") or when.get("originalDate"))}
    tables = {f"game.live_game_{name}": [every | row for row in reader(doc)] for name, reader in READERS.items()}
    for side in SIDES:
        for table, name in LISTS.items():
            tables[f"game.live_game_{side}_{table}"] = [every | row for row in team_list(doc, side, name)]
    return tables
