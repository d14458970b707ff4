"""The complete feed of a game, in the shape of the live game feed, for a given number of its plays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from mlb_platform.simulator.box_score import empty_box_score, make_box_score
from mlb_platform.simulator.clubs import team_data
from mlb_platform.simulator.decisions import Decisions, decide
from mlb_platform.simulator.game import Game
from mlb_platform.simulator.game_state import CHALLENGES
from mlb_platform.simulator.hot_zones import with_hot_zones
from mlb_platform.simulator.inning_index import plays_by_inning
from mlb_platform.simulator.line_score import empty_line_score, make_line_score
from mlb_platform.simulator.officials import datacaster, scorer
from mlb_platform.simulator.people import Json, biography_on
from mlb_platform.simulator.reviews import judges_pitches, pitch_challenge_counts
from mlb_platform.simulator.season import club_record, games_before
from mlb_platform.simulator.side_tally import SideTally, Tally
from mlb_platform.simulator.surroundings import attendance, delay_minutes, minutes_played, weather
from mlb_platform.simulator.tally import tally_plays

State = Literal["Preview", "Live", "Final"]
NOTICE = "Simulated data: every club, person, place and number in this feed is invented."
_MOUND_VISITS = 5
_STATUS = {
    "Preview": ("Preview", "S", "Scheduled", "S", "P"),
    "Live": ("Live", "I", "In Progress", "I", "L"),
    "Final": ("Final", "F", "Final", "F", "F"),
}


def iso(when: datetime) -> str:
    """Give a UTC time, without zone, as the feed writes scheduled times."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def status_object(state: State) -> Json:
    """Give the status object of a state."""
    abstract, coded, detailed, code, abstract_code = _STATUS[state]
    return {
        "abstractGameState": abstract,
        "codedGameState": coded,
        "detailedState": detailed,
        "statusCode": code,
        "startTimeTBD": False,
        "abstractGameCode": abstract_code,
    }


def make_feed(game: Game, state: State, captured_at: datetime) -> Json:
    """Make the feed of a game as captured at a time (UTC); a Live game has the plays given and goes on."""
    scheduled = game.scheduled
    tally = tally_plays(game.away, game.home, game.plays, state == "Final") if state != "Preview" else None
    decisions = decide(tally) if tally is not None and state == "Final" else None
    return {
        "copyright": NOTICE,
        "gamePk": scheduled.pk,
        "link": f"/api/v1.1/game/{scheduled.pk}/feed/live",
        "metaData": _meta_data(game, state, captured_at),
        "gameData": _game_data(game, state, tally),
        "liveData": _live_data(game, state, tally, decisions),
    }


def _meta_data(game: Game, state: State, captured_at: datetime) -> Json:
    events: list[str] = []
    logical: list[str] = []
    if state != "Preview":
        last = game.plays[-1]
        events = [last["result"]["eventType"]] if last["about"]["isComplete"] else []
        count = last["count"]
        logical = ["countChange", f"count{count['balls']}{count['strikes']}"]
        logical.append("midInning" if count["outs"] == 3 else "basesEmpty")
        if state == "Final":
            events.append("game_finished")
            logical.append("gameStateChangeToGameOver")
    stamp = f"{captured_at:%Y%m%d_%H%M%S}"
    return {"wait": 10, "timeStamp": stamp, "gameEvents": events, "logicalEvents": logical}


def date_time(game: Game) -> Json:
    """Make the `datetime` object with what is known of moves and resumptions."""
    scheduled = game.scheduled
    local = scheduled.local_start
    day = scheduled.day.isoformat()
    result: Json = {
        "dateTime": iso(scheduled.start),
        "originalDate": day,
        "officialDate": day,
        "dayNight": "day" if local.hour < 17 else "night",
        "time": f"{local.hour % 12 or 12}:{local.minute:02d}",
        "ampm": f"{local:%p}",
    }
    if scheduled.makeup_of is not None:
        was = scheduled.start - (scheduled.day - scheduled.makeup_of)
        result |= {
            "originalDate": scheduled.makeup_of.isoformat(),
            "rescheduleDate": iso(scheduled.start),
            "rescheduleGameDate": day,
            "rescheduledFrom": iso(was),
            "rescheduledFromDate": scheduled.makeup_of.isoformat(),
        }
    if scheduled.resumed_on is not None:
        later = scheduled.start + (scheduled.resumed_on - scheduled.day)
        result |= {
            "resumeDate": scheduled.resumed_on.isoformat(),
            "resumeDateTime": iso(later),
            "resumedFromDate": day,
            "resumedFromDateTime": iso(scheduled.start),
        }
    return result


def _game_data(game: Game, state: State, tally: Tally | None) -> Json:
    scheduled = game.scheduled
    day, home, away = scheduled.day, scheduled.home, scheduled.away
    season = str(day.year)
    played = games_before(day) + scheduled.game_number - 1
    lead = tally.home.runs - tally.away.runs if tally is not None and state == "Final" else 0
    teams = {}
    for name, club, won in (("away", away, lead < 0), ("home", home, lead > 0)):
        wins, losses = club_record(club, played)
        teams[name] = team_data(club, day.year, wins + won, losses + (lead != 0 and not won))
    venue = home.venue_on(day)
    status = status_object(state)
    if state == "Final" and scheduled.makeup_of is not None:
        status["reason"] = "Rain"
    game_number = scheduled.game_number
    result: Json = {
        "game": {
            "pk": scheduled.pk,
            "type": scheduled.series.game_type if scheduled.series is not None else "R",
            "doubleHeader": scheduled.doubleheader,
            "id": f"{day:%Y/%m/%d}/{away.abbreviation.lower()}sim-{home.abbreviation.lower()}sim-{game_number}",
            "gamedayType": "P",
            "tiebreaker": "N",
            "gameNumber": game_number,
            "calendarEventID": f"14-{scheduled.pk}-{day.isoformat()}",
            "season": season,
            "seasonDisplay": season,
        },
        "datetime": date_time(game),
        "status": status,
        "teams": teams,
        "players": {
            f"ID{player.id}": biography_on(player, day) for player in (*game.away.roster, *game.home.roster)
        },
        "venue": venue,
        "officialVenue": {"id": venue["id"], "link": venue["link"]},
        "weather": weather(game) if tally is not None else {},
        "gameInfo": _game_info(game, state),
        "review": {"hasChallenges": True} | {
            name: _review(tally.side(name == "home") if tally else None) for name in ("away", "home")
        },
        "flags": _flags(tally),
        "alerts": [],
        "probablePitchers": {"away": game.away.pitcher.ref, "home": game.home.pitcher.ref},
    }  # fmt: skip
    if judges_pitches(scheduled):
        plays = game.plays if tally is not None else ()
        result["absChallenges"] = {"hasChallenges": True} | {
            name: pitch_challenge_counts(plays, club.id) for name, club in (("away", away), ("home", home))
        }
    if tally is not None:
        result["officialScorer"] = scorer(scheduled)
        result["primaryDatacaster"] = datacaster(scheduled)
        if scheduled.position % 5 == 2:
            result["secondaryDatacaster"] = datacaster(scheduled, second=True)
        result["moundVisits"] = {
            name: {"used": side.mound_visits, "remaining": max(0, _MOUND_VISITS - side.mound_visits)}
            for name, side in (("away", tally.away), ("home", tally.home))
        }
    return result


def _game_info(game: Game, state: State) -> Json:
    if state == "Preview":
        return {}
    first = {"firstPitch": f"{game.first_pitch:%Y-%m-%dT%H:%M:%S}.000Z"}
    if state == "Live":
        return first
    delay = delay_minutes(game)
    info = {"attendance": attendance(game), **first, "gameDurationMinutes": minutes_played(game)}
    return info | ({"delayDurationMinutes": delay} if delay else {})


def _review(side: SideTally | None) -> Json:
    if side is None:
        return {"used": 0, "remaining": CHALLENGES}
    return {"used": side.challenges_used, "remaining": max(0, CHALLENGES - side.challenges_lost)}


def _flags(tally: Tally | None) -> Json:
    none: dict[bool, bool] = {}
    perfect: dict[bool, bool] = {}
    for home in (False, True):
        against = tally.side(not home) if tally is not None else None
        hits = sum(inning[1] for inning in against.innings.values()) if against is not None else 1
        reached = sum(line["plateAppearances"] for line in against.batting.values()) if against is not None else 1
        outs = sum(line["outs"] for line in tally.side(home).pitching.values()) if tally is not None else 0
        none[home] = hits == 0 and outs >= 18
        perfect[home] = none[home] and reached == outs
    return {
        "noHitter": any(none.values()),
        "perfectGame": any(perfect.values()),
        "awayTeamNoHitter": none[False],
        "awayTeamPerfectGame": perfect[False],
        "homeTeamNoHitter": none[True],
        "homeTeamPerfectGame": perfect[True],
    }


def _live_data(game: Game, state: State, tally: Tally | None, decisions: Decisions | None) -> Json:
    leaders: Json = {"hitDistance": {}, "hitSpeed": {}, "pitchSpeed": {}}
    if tally is None:
        return {
            "plays": {"allPlays": [], "scoringPlays": [], "playsByInning": []},
            "linescore": empty_line_score(game.scheduled.away, game.scheduled.home),
            "boxscore": empty_box_score(game),
            "leaders": leaders,
        }
    plays = list(game.plays)
    plays[-1] = with_hot_zones(plays[-1])
    line_score = make_line_score(tally, state == "Final")
    result: Json = {
        "plays": {
            "allPlays": plays,
            "currentPlay": plays[-1],
            "scoringPlays": [play["atBatIndex"] for play in plays if play["about"]["isScoringPlay"]],
            "playsByInning": plays_by_inning(tally),
        },
        "linescore": line_score,
        "boxscore": make_box_score(game, tally, decisions, line_score),
    }
    if decisions is not None:
        result["decisions"] = _decisions_object(tally, decisions)
    return result | {"leaders": leaders}


def _decisions_object(tally: Tally, decisions: Decisions) -> Json:
    people = tally.away.players | tally.home.players
    result = {"winner": people[decisions.winner].ref, "loser": people[decisions.loser].ref}
    if decisions.save is not None:
        result["save"] = people[decisions.save].ref
    return result


def capture_time(game: Game, minutes: float = 3) -> datetime:
    """Give the UTC time, without zone, that many minutes after the last play of a game ended."""
    end = datetime.fromisoformat(game.plays[-1]["about"]["endTime"].removesuffix("Z"))
    return end.replace(microsecond=0) + timedelta(minutes=minutes)
