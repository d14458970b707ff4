"""The walk by hand: one function a section of the feed, a tuple of the table's own columns a row.

Numbers that are decimals in the tables stay floats until they are a column.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

Json = dict[str, Any]
Out = list[tuple[Any, ...]]
NONE: Json = {}


def _first(value: Any, other: Any) -> Any:
    return other if value is None else value


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _percentage(value: Any) -> float | None:
    """Return a winning percentage such as .416; .--- stands there before the first game."""
    try:
        return None if value is None else float(Decimal(value).quantize(Decimal("0.001"), ROUND_HALF_UP))
    except InvalidOperation:
        return None


def _stamp(value: str | None) -> str | None:
    """Return the ISO time of a feed stamp such as 20240713_041909."""
    if value is None:
        return None
    return f"{value[:4]}-{value[4:6]}-{value[6:8]}T{value[9:11]}:{value[11:13]}:{value[13:15]}Z"


def metadata(doc: Json, out: Out) -> None:
    """Add the row of the game."""
    game_data = doc.get("gameData") or NONE
    game = game_data.get("game") or NONE
    when = game_data.get("datetime") or NONE
    venue = game_data.get("venue") or NONE
    official_venue = game_data.get("officialVenue") or NONE
    status = game_data.get("status") or NONE
    teams = game_data.get("teams") or NONE
    home = teams.get("home") or NONE
    league = home.get("league") or NONE
    division = home.get("division") or NONE
    record = home.get("record") or NONE
    league_record = record.get("leagueRecord") or NONE
    away = teams.get("away") or NONE
    away_league = away.get("league") or NONE
    away_division = away.get("division") or NONE
    away_record = away.get("record") or NONE
    record_league_record = away_record.get("leagueRecord") or NONE
    live_data = doc.get("liveData") or NONE
    linescore = live_data.get("linescore") or NONE
    linescore_teams = linescore.get("teams") or NONE
    teams_home = linescore_teams.get("home") or NONE
    teams_away = linescore_teams.get("away") or NONE
    weather = game_data.get("weather") or NONE
    game_info = game_data.get("gameInfo") or NONE
    probable_pitchers = game_data.get("probablePitchers") or NONE
    probable_pitchers_home = probable_pitchers.get("home") or NONE
    probable_pitchers_away = probable_pitchers.get("away") or NONE
    decisions = live_data.get("decisions") or NONE
    winner = decisions.get("winner") or NONE
    loser = decisions.get("loser") or NONE
    save = decisions.get("save") or NONE
    flags = game_data.get("flags") or NONE
    review = game_data.get("review") or NONE
    review_home = review.get("home") or NONE
    review_away = review.get("away") or NONE
    mound_visits = game_data.get("moundVisits") or NONE
    mound_visits_home = mound_visits.get("home") or NONE
    mound_visits_away = mound_visits.get("away") or NONE
    abs_challenges = game_data.get("absChallenges") or NONE
    abs_challenges_home = abs_challenges.get("home") or NONE
    abs_challenges_away = abs_challenges.get("away") or NONE
    official_scorer = game_data.get("officialScorer") or NONE
    primary_datacaster = game_data.get("primaryDatacaster") or NONE
    secondary_datacaster = game_data.get("secondaryDatacaster") or NONE
    meta_data = doc.get("metaData") or NONE
    innings = linescore.get("innings") or ()
    out.append((
        game.get("type"), game.get("season"), game.get("seasonDisplay"), when.get("originalDate"),
        when.get("dateTime"), when.get("time"), when.get("ampm"), when.get("dayNight"), when.get("resumeDate"),
        when.get("resumeDateTime"), when.get("resumedFromDate"), when.get("resumedFromDateTime"),
        when.get("rescheduleGameDate"), when.get("rescheduleDate"), when.get("rescheduledFromDate"),
        when.get("rescheduledFrom"), game.get("gameNumber"), game.get("doubleHeader"), game.get("gamedayType"),
        game.get("tiebreaker"), game.get("id"), game.get("calendarEventID"), venue.get("id"), venue.get("name"),
        official_venue.get("id"), status.get("abstractGameState"), status.get("abstractGameCode"),
        status.get("detailedState"), status.get("codedGameState"), status.get("statusCode"), status.get("reason"),
        status.get("startTimeTBD"), home.get("id"), home.get("name"), home.get("abbreviation"), home.get("teamCode"),
        home.get("fileCode"), home.get("shortName"), home.get("teamName"), home.get("locationName"),
        league.get("id"), league.get("name"), division.get("id"), division.get("name"), record.get("gamesPlayed"),
        _first(league_record.get("wins"), record.get("wins")),
        _first(league_record.get("losses"), record.get("losses")), league_record.get("ties"),
        _percentage(_first(league_record.get("pct"), record.get("winningPercentage"))), away.get("id"),
        away.get("name"), away.get("abbreviation"), away.get("teamCode"), away.get("fileCode"),
        away.get("shortName"), away.get("teamName"), away.get("locationName"), away_league.get("id"),
        away_league.get("name"), away_division.get("id"), away_division.get("name"), away_record.get("gamesPlayed"),
        _first(record_league_record.get("wins"), away_record.get("wins")),
        _first(record_league_record.get("losses"), away_record.get("losses")), record_league_record.get("ties"),
        _percentage(_first(record_league_record.get("pct"), away_record.get("winningPercentage"))),
        teams_home.get("runs"), teams_home.get("hits"), teams_home.get("errors"), teams_home.get("leftOnBase"),
        teams_away.get("runs"), teams_away.get("hits"), teams_away.get("errors"), teams_away.get("leftOnBase"),
        linescore.get("scheduledInnings"), innings[-1].get("num") if innings else None,
        linescore.get("currentInning"), linescore.get("currentInningOrdinal"), linescore.get("inningState"),
        linescore.get("inningHalf"), linescore.get("isTopInning"), linescore.get("balls"), linescore.get("strikes"),
        linescore.get("outs"), linescore.get("note"), weather.get("condition"), _number(weather.get("temp")),
        weather.get("wind"), game_info.get("attendance"), game_info.get("firstPitch"),
        game_info.get("gameDurationMinutes"), game_info.get("delayDurationMinutes"),
        probable_pitchers_home.get("id"), probable_pitchers_home.get("fullName"), probable_pitchers_away.get("id"),
        probable_pitchers_away.get("fullName"), winner.get("id"), winner.get("fullName"), loser.get("id"),
        loser.get("fullName"), save.get("id"), save.get("fullName"), flags.get("noHitter"), flags.get("perfectGame"),
        flags.get("homeTeamNoHitter"), flags.get("homeTeamPerfectGame"), flags.get("awayTeamNoHitter"),
        flags.get("awayTeamPerfectGame"), review.get("hasChallenges"), review_home.get("used"),
        review_home.get("remaining"), review_away.get("used"), review_away.get("remaining"),
        mound_visits_home.get("used"), mound_visits_home.get("remaining"), mound_visits_away.get("used"),
        mound_visits_away.get("remaining"), abs_challenges.get("hasChallenges"),
        abs_challenges_home.get("usedSuccessful"), abs_challenges_home.get("usedFailed"),
        abs_challenges_home.get("remaining"), abs_challenges_away.get("usedSuccessful"),
        abs_challenges_away.get("usedFailed"), abs_challenges_away.get("remaining"), official_scorer.get("id"),
        official_scorer.get("fullName"), primary_datacaster.get("id"), primary_datacaster.get("fullName"),
        secondary_datacaster.get("id"), secondary_datacaster.get("fullName"), _stamp(meta_data.get("timeStamp")),
    ))  # fmt: skip


def innings(doc: Json, out: Out) -> None:
    """Add a row an inning."""
    for inning in (doc["liveData"].get("linescore") or NONE).get("innings") or ():
        home, away = inning.get("home") or NONE, inning.get("away") or NONE
        out.append((
            inning.get("num"), inning.get("ordinalNum"), home.get("runs"), home.get("hits"), home.get("errors"),
            home.get("leftOnBase"), away.get("runs"), away.get("hits"), away.get("errors"), away.get("leftOnBase"),
        ))  # fmt: skip


def players(doc: Json, out: Out) -> None:
    """Add a row a person, with what the box scores say of him."""
    data = doc["gameData"]
    teams, boxes = data["teams"], (doc["liveData"].get("boxscore") or NONE).get("teams") or NONE
    home_team, away_team = teams["home"].get("id"), teams["away"].get("id")
    home_players = (boxes.get("home") or NONE).get("players") or NONE
    away_players = (boxes.get("away") or NONE).get("players") or NONE
    for item in data["players"].values():
        get = item.get
        home, away = home_players.get(f"ID{item['id']}") or NONE, away_players.get(f"ID{item['id']}") or NONE
        home_id, away_id = (home.get("person") or NONE).get("id"), (away.get("person") or NONE).get("id")
        side = team_id = None
        if home_id is not None:
            side, team_id = ("both", None) if away_id is not None else ("home", home_team)
        elif away_id is not None:
            side, team_id = "away", away_team
        bat_side = get("batSide") or NONE
        pitch_hand = get("pitchHand") or NONE
        primary_position = get("primaryPosition") or NONE
        position = home.get("position") or NONE
        away_position = away.get("position") or NONE
        status = home.get("status") or NONE
        away_status = away.get("status") or NONE
        game_status = home.get("gameStatus") or NONE
        away_game_status = away.get("gameStatus") or NONE
        out.append((
            get("id"), get("fullName"), get("firstName"), get("middleName"), get("lastName"), get("useName"),
            get("useLastName"), get("nickName"), get("boxscoreName"), get("nameFirstLast"), get("firstLastName"),
            get("lastFirstName"), get("lastInitName"), get("initLastName"), get("fullFMLName"), get("fullLFMName"),
            get("nameSlug"), get("nameMatrilineal"), get("nameSuffix"), get("nameTitle"), get("pronunciation"),
            get("primaryNumber"), get("birthDate"), get("currentAge"), get("birthCity"), get("birthStateProvince"),
            get("birthCountry"), get("height"), get("weight"), get("gender"), get("active"), get("isPlayer"),
            get("isVerified"), get("draftYear"), get("mlbDebutDate"), get("lastPlayedDate"), bat_side.get("code"),
            bat_side.get("description"), pitch_hand.get("code"), pitch_hand.get("description"),
            primary_position.get("code"), primary_position.get("name"), primary_position.get("type"),
            primary_position.get("abbreviation"), get("strikeZoneTop"), get("strikeZoneBottom"), home_id, away_id,
            home_team, away_team, side, team_id, _first(home.get("jerseyNumber"), away.get("jerseyNumber")),
            _first(position.get("code"), away_position.get("code")),
            _first(position.get("name"), away_position.get("name")),
            _first(position.get("type"), away_position.get("type")),
            _first(position.get("abbreviation"), away_position.get("abbreviation")),
            _number(_first(home.get("battingOrder"), away.get("battingOrder"))),
            _first(status.get("code"), away_status.get("code")),
            _first(status.get("description"), away_status.get("description")),
            _first(game_status.get("isCurrentBatter"), away_game_status.get("isCurrentBatter")),
            _first(game_status.get("isCurrentPitcher"), away_game_status.get("isCurrentPitcher")),
            _first(game_status.get("isOnBench"), away_game_status.get("isOnBench")),
            _first(game_status.get("isSubstitute"), away_game_status.get("isSubstitute")),
            _first(home.get("parentTeamId"), away.get("parentTeamId")),
        ))  # fmt: skip


def plays(doc: Json, out: Out, pitches: Out, runners: Out) -> None:
    """Add a row a play, a row a pitch and a row a movement of a runner."""
    for play in (doc["liveData"].get("plays") or NONE).get("allPlays") or ():
        about = play.get("about") or NONE
        result = play.get("result") or NONE
        count = play.get("count") or NONE
        matchup = play.get("matchup") or NONE
        batter = matchup.get("batter") or NONE
        bat_side = matchup.get("batSide") or NONE
        pitcher = matchup.get("pitcher") or NONE
        pitch_hand = matchup.get("pitchHand") or NONE
        splits = matchup.get("splits") or NONE
        post_on_first = matchup.get("postOnFirst") or NONE
        post_on_second = matchup.get("postOnSecond") or NONE
        post_on_third = matchup.get("postOnThird") or NONE
        index = _first(play.get("atBatIndex"), about.get("atBatIndex"))
        inning, half = about.get("inning"), about.get("halfInning")
        batter_id, pitcher_id = batter.get("id"), pitcher.get("id")
        bat_side_code, pitch_hand_code = bat_side.get("code"), pitch_hand.get("code")
        play_id = None
        for position, item in enumerate(play.get("playEvents") or ()):
            if item.get("isPitch") is not True:
                continue
            event = item.get
            play_id = event("playId")
            detail = (event("details") or NONE).get
            kind, call, count_then = detail("type") or NONE, detail("call") or NONE, event("count") or NONE
            pitch_data, hit_data = event("pitchData") or NONE, event("hitData") or NONE
            pitch, hit = pitch_data.get, hit_data.get
            place, bend = (pitch("coordinates") or NONE).get, (pitch("breaks") or NONE).get
            spot = (hit("coordinates") or NONE).get
            pitches.append((
                index, _first(event("index"), position), play_id, event("pitchNumber"), event("type"), inning, half,
                batter_id, pitcher_id, bat_side_code, pitch_hand_code, kind.get("code"), kind.get("description"),
                call.get("code"), call.get("description"), detail("code"), detail("description"), detail("isInPlay"),
                detail("isStrike"), detail("isBall"), detail("isOut"), detail("hasReview"), detail("runnerGoing"),
                detail("disengagementNum"), detail("ballColor"), detail("trailColor"), count_then.get("balls"),
                count_then.get("strikes"), count_then.get("outs"), event("startTime"), event("endTime"),
                event("pfxId"), pitch("startSpeed"), pitch("endSpeed"), pitch("strikeZoneTop"),
                pitch("strikeZoneBottom"), pitch("strikeZoneWidth"), pitch("strikeZoneDepth"), pitch("zone"),
                pitch("typeConfidence"), pitch("nastyFactor"), pitch("plateTime"), pitch("extension"), place("x"),
                place("y"), place("pX"), place("pZ"), place("pfxX"), place("pfxZ"), place("x0"), place("y0"),
                place("z0"), place("vX0"), place("vY0"), place("vZ0"), place("aX"), place("aY"), place("aZ"),
                bend("breakAngle"), bend("breakLength"), bend("breakY"), bend("breakVertical"),
                bend("breakVerticalInduced"), bend("breakHorizontal"), bend("spinRate"), bend("spinDirection"),
                hit("launchSpeed"), hit("launchAngle"), hit("totalDistance"), hit("trajectory"), hit("hardness"),
                hit("location"), spot("coordX"), spot("coordY"),
            ))  # fmt: skip
        for position, item in enumerate(play.get("runners") or ()):
            move, detail = (item.get("movement") or NONE).get, (item.get("details") or NONE).get
            runner, responsible = detail("runner") or NONE, detail("responsiblePitcher") or NONE
            runners.append((
                index, position, detail("playIndex"), inning, half, runner.get("id"), runner.get("fullName"),
                move("originBase"), move("start"), move("end"), move("outBase"), move("isOut"), move("outNumber"),
                detail("event"), detail("eventType"), detail("movementReason"), responsible.get("id"),
                detail("isScoringEvent"), detail("rbi"), detail("earned"), detail("teamUnearned"),
            ))  # fmt: skip
        out.append((
            play_id, inning, half, about.get("isTopInning"), index, result.get("type"), result.get("event"),
            result.get("eventType"), result.get("description"), _first(result.get("rbi"), 0),
            result.get("awayScore"), result.get("homeScore"), result.get("isOut"), about.get("startTime"),
            about.get("endTime"), play.get("playEndTime"), about.get("isComplete"), about.get("isScoringPlay"),
            about.get("hasReview"), about.get("hasOut"), about.get("captivatingIndex"), count.get("balls"),
            count.get("strikes"), count.get("outs"), batter_id, batter.get("fullName"), bat_side_code,
            bat_side.get("description"), pitcher_id, pitcher.get("fullName"), pitch_hand_code,
            pitch_hand.get("description"), splits.get("batter"), splits.get("pitcher"), splits.get("menOnBase"),
            post_on_first.get("id"), post_on_first.get("fullName"), post_on_second.get("id"),
            post_on_second.get("fullName"), post_on_third.get("id"), post_on_third.get("fullName"),
        ))  # fmt: skip


def scoring_plays(doc: Json, out: Out) -> None:
    """Add a row an entry of the list of scoring plays."""
    every = doc["liveData"].get("plays") or NONE
    all_plays = every.get("allPlays") or ()
    for index in every.get("scoringPlays") or ():
        play = all_plays[index] if index < len(all_plays) else NONE
        about = play.get("about") or NONE
        result = play.get("result") or NONE
        count = play.get("count") or NONE
        matchup = play.get("matchup") or NONE
        batter = matchup.get("batter") or NONE
        pitcher = matchup.get("pitcher") or NONE
        out.append((
            _first(_first(play.get("atBatIndex"), about.get("atBatIndex")), index), about.get("inning"),
            about.get("halfInning"), result.get("event"), result.get("eventType"), result.get("description"),
            _first(result.get("rbi"), 0), result.get("awayScore"), result.get("homeScore"),
            about.get("isScoringPlay"), count.get("outs"), batter.get("id"), batter.get("fullName"),
            pitcher.get("id"), pitcher.get("fullName"), about.get("startTime"), about.get("endTime"),
            about.get("captivatingIndex"),
        ))  # fmt: skip


def team(doc: Json, side: str, batting_order: Out, pitchers: Out, bench: Out, bullpen: Out) -> None:
    """Add the rows of a team's lists; a player listed twice counts once, where he is listed first."""
    people = doc["gameData"]["players"]
    box = ((doc["liveData"].get("boxscore") or NONE).get("teams") or NONE).get(side) or NONE
    players = box.get("players") or NONE
    team_id = _first(doc["gameData"]["teams"][side].get("id"), (box.get("team") or NONE).get("id"))

    def common(player_id: int) -> tuple[Json, Json, Json, tuple[Any, ...]]:
        player, person = players.get(f"ID{player_id}") or NONE, people.get(f"ID{player_id}") or NONE
        position = player.get("position") or NONE
        shown = (
            player_id, team_id, _first((player.get("person") or NONE).get("fullName"), person.get("fullName")),
            _first(player.get("jerseyNumber"), person.get("primaryNumber")), position.get("code"), position.get("name"),
            position.get("type"), position.get("abbreviation"), (player.get("status") or NONE).get("code"),
        )  # fmt: skip
        return player, person, player.get("gameStatus") or NONE, shown

    for index, player_id in _listed(box, "battingOrder"):
        player, person, state, shown = common(player_id)
        order = _number(player.get("battingOrder"))
        slot, side_code = None if order is None else order // 100, (person.get("batSide") or NONE).get("code")
        current, substitute = state.get("isCurrentBatter"), state.get("isSubstitute")
        batting_order.append((index, *shown, order, slot, side_code, current, substitute))
    for index, player_id in _listed(box, "pitchers"):
        player, person, state, shown = common(player_id)
        order, hand = _number(player.get("battingOrder")), (person.get("pitchHand") or NONE).get("code")
        pitchers.append((index, *shown, order, hand, state.get("isCurrentPitcher"), state.get("isSubstitute")))
    for name, out in (("bench", bench), ("bullpen", bullpen)):
        for index, player_id in _listed(box, name):
            player, person, state, shown = common(player_id)
            side_code, hand = (person.get("batSide") or NONE).get("code"), (person.get("pitchHand") or NONE).get("code")
            out.append((index, *shown, side_code, hand, state.get("isOnBench")))


def _listed(box: Json, name: str) -> Iterable[tuple[int, int]]:
    """Return (place, player) of a list of a box score, once for each player."""
    places: dict[int, int] = {}
    for index, player_id in enumerate(box.get(name) or ()):
        places.setdefault(player_id, index)
    return [(index, player_id) for player_id, index in places.items()]


def umpires(doc: Json, out: Out) -> None:
    """Add a row an umpire."""
    for index, entry in enumerate((doc["liveData"].get("boxscore") or NONE).get("officials") or ()):
        official = entry.get("official") or NONE
        out.append((index, entry.get("officialType"), official.get("id"), official.get("fullName")))


def venue_details(doc: Json, out: Out) -> None:
    """Add the row of the venue."""
    venue = doc["gameData"].get("venue") or NONE
    location = venue.get("location") or NONE
    default_coordinates = location.get("defaultCoordinates") or NONE
    time_zone = venue.get("timeZone") or NONE
    field_info = venue.get("fieldInfo") or NONE
    out.append((
        venue.get("id"), venue.get("name"), venue.get("active"), venue.get("season"), location.get("address1"),
        location.get("city"), location.get("state"), location.get("stateAbbrev"), location.get("postalCode"),
        location.get("country"), location.get("phone"), default_coordinates.get("latitude"),
        default_coordinates.get("longitude"), location.get("azimuthAngle"), location.get("elevation"),
        time_zone.get("id"), time_zone.get("offset"), time_zone.get("offsetAtGameTime"), time_zone.get("tz"),
        field_info.get("capacity"), field_info.get("turfType"), field_info.get("roofType"),
        field_info.get("leftLine"), field_info.get("left"), field_info.get("leftCenter"), field_info.get("center"),
        field_info.get("rightCenter"), field_info.get("right"), field_info.get("rightLine"),
    ))  # fmt: skip
