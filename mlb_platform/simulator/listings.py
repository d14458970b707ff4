"""How the schedule lists a game: under its date, and under the date it was moved or resumed from or to as well."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date
from random import Random
from uuid import UUID

from mlb_platform.simulator.captures import SimulatedCapture
from mlb_platform.simulator.clubs import Club, team_data
from mlb_platform.simulator.feed import iso, status_object
from mlb_platform.simulator.game_responses import line_score
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.schedule import ScheduledGame, series_place
from mlb_platform.simulator.season import club_record, games_before
from mlb_platform.simulator.stat_lines import average

Listing = tuple[date, Json]
HYDRATIONS = ("team", "linescore", "probablePitcher", "decisions", "flags", "venue")


def listings(capture: SimulatedCapture, hydrate: Collection[str] = ()) -> list[Listing]:
    """Give every listing of a captured game, with the date it stands under; the first is that of its official date.

    A postponed game stands under the old date as Postponed; a suspended one under both dates, as it ended.
    """
    game = capture.game.scheduled
    own = _captured_game(capture, hydrate)
    found = [(game.day, own)]
    if game.makeup_of is not None:
        found.append((game.makeup_of, postponed_listing(game, game.makeup_of)))
    if game.resumed_on is not None:
        later = own | {"gameDate": iso(game.start + (game.resumed_on - game.day)), "resumedFrom": iso(game.start),
                       "resumedFromDate": game.day.isoformat()}  # fmt: skip
        del later["resumeDate"], later["resumeGameDate"]
        found.append((game.resumed_on, later))
    return found


def unplayed(game: ScheduledGame, hydrate: Collection[str] = ()) -> Listing:
    """Give the listing of a game of which nothing is known but when it is to be played."""
    listed = _listing(game, status_object("Preview"))
    for side, club in (("away", game.away), ("home", game.home)):
        if "team" in hydrate:
            listed["teams"][side] |= _team(club, game.day.year)
    return game.day, listed


def whole_team(club: Club, season: int) -> Json:
    """Give a club as the team endpoint and `hydrate=team` show it."""
    team = team_data(club, season, 0, 0)
    del team["record"]
    return team


def _team(club: Club, season: int) -> Json:
    team = whole_team(club, season)
    return {"team": team, "springLeague": team["springLeague"]}


def _captured_game(capture: SimulatedCapture, hydrate: Collection[str]) -> Json:
    game = capture.game.scheduled
    game_data, live = capture.payload["gameData"], capture.payload["liveData"]
    status, state = game_data["status"], game_data["status"]["abstractGameState"]
    listed = _listing(game, status)
    runs = {side: live["linescore"]["teams"][side].get("runs") for side in ("away", "home")}
    for side, other in (("away", "home"), ("home", "away")):
        row = listed["teams"][side]
        won = state == "Final" and runs[side] > runs[other]
        if game.series is None:
            record = game_data["teams"][side]["record"]["leagueRecord"]
            row["leagueRecord"] = {key: record[key] for key in ("wins", "losses", "pct")}
        elif state == "Final":
            row["leagueRecord"] = _series_record(game, side, won)
        if state != "Preview":
            row["score"] = runs[side]
        if state == "Final":
            row["isWinner"] = won
        if "team" in hydrate:
            row |= _team(game.home if side == "home" else game.away, game.day.year)
        if "probablePitcher" in hydrate:
            row["probablePitcher"] = game_data["probablePitchers"][side]
    if state == "Final":
        listed["isTie"] = False
    if game.makeup_of is not None:
        was = game.start - (game.day - game.makeup_of)
        listed |= {"rescheduledFrom": iso(was), "rescheduledFromDate": game.makeup_of.isoformat(),
                   "description": f"Makeup of {game.makeup_of.month}/{game.makeup_of.day} ppd"}  # fmt: skip
    if game.resumed_on is not None:
        later = game.start + (game.resumed_on - game.day)
        listed |= {"resumeDate": iso(later), "resumeGameDate": game.resumed_on.isoformat()}
    extras: dict[str, Callable[[], Json | None]] = {
        "linescore": lambda: _without_notice(line_score(capture)),
        "decisions": lambda: live.get("decisions"),
        "flags": lambda: game_data["flags"],
        "venue": lambda: game_data["venue"],
    }
    for name in HYDRATIONS:
        value = extras[name]() if name in hydrate and name in extras else None
        if value is not None:
            listed[name] = value
    return listed


def _without_notice(payload: Json) -> Json:
    return {key: value for key, value in payload.items() if key != "copyright"}


def postponed_listing(game: ScheduledGame, day: date) -> Json:
    """Give the listing under the date a game was first planned for: no score, the new date as official date."""
    status = status_object("Final") | {"codedGameState": "D", "detailedState": "Postponed", "statusCode": "DR",
                                       "reason": "Rain"}  # fmt: skip
    listed = _listing(game, status)
    return listed | {
        "gameDate": iso(game.start - (game.day - day)),
        "rescheduleDate": iso(game.start),
        "rescheduleGameDate": game.day.isoformat(),
        "gameNumber": 1,
        "doubleHeader": "N",
        "calendarEventID": f"14-{game.pk}-{day.isoformat()}",
    }


def _series_record(game: ScheduledGame, side: str, won: bool | None) -> Json:
    """Give wins and losses of a side in its postseason series; `won` is None before the game."""
    series = game.series
    assert series is not None
    wins, losses = (series.home_wins, series.away_wins) if side == "home" else (series.away_wins, series.home_wins)
    if won is not None:
        wins, losses = wins + won, losses + (not won)
    return {"wins": wins, "losses": losses, "pct": average(wins, wins + losses, ".000")}


def _record(game: ScheduledGame, side: str) -> Json:
    """Give the record of a side before a game."""
    if game.series is not None:
        return _series_record(game, side, None)
    club = game.home if side == "home" else game.away
    wins, losses = club_record(club, games_before(game.day) + game.game_number - 1)
    return {"wins": wins, "losses": losses, "pct": average(wins, wins + losses, ".000")}


def _guid(game: ScheduledGame) -> str:
    return str(UUID(int=Random(f"guid:{game.pk}").getrandbits(128), version=4))


def _listing(game: ScheduledGame, status: Json) -> Json:
    """Give what every listing of a game has; the sides without scores."""
    number, place, games = series_place(game)
    season = str(game.day.year)
    venue = game.home.venue
    sides = {}
    for side, club in (("away", game.away), ("home", game.home)):
        sides[side] = {
            "team": {"id": club.id, "name": club.name, "link": f"/api/v1/teams/{club.id}"},
            "leagueRecord": _record(game, side),
            "splitSquad": False,
            "seriesNumber": number,
        }
    series = game.series
    listed: Json = {
        "gamePk": game.pk,
        "gameGuid": _guid(game),
        "link": f"/api/v1.1/game/{game.pk}/feed/live",
        "gameType": series.game_type if series is not None else "R",
        "season": season,
        "gameDate": iso(game.start),
        "officialDate": game.day.isoformat(),
        "status": status,
        "teams": sides,
        "venue": {"id": venue["id"], "name": venue["name"], "link": venue["link"]},
        "content": {"link": f"/api/v1/game/{game.pk}/content"},
        "gameNumber": game.game_number,
        "publicFacing": True,
        "doubleHeader": game.doubleheader,
        "gamedayType": "P",
        "tiebreaker": "N",
        "calendarEventID": f"14-{game.pk}-{game.day.isoformat()}",
        "seasonDisplay": season,
        "dayNight": "day" if game.local_start.hour < 17 else "night",
        "scheduledInnings": 9,
        "reverseHomeAwayStatus": False,
        "inningBreakLength": 120,
        "gamesInSeries": games,
        "seriesGameNumber": place,
        "seriesDescription": series.description if series is not None else "Regular Season",
        "recordSource": "S",
        "ifNecessary": "Y" if series is not None and series.if_necessary else "N",
        "ifNecessaryDescription": "If Necessary Game" if series is not None and series.if_necessary else "Normal Game",
    }
    if series is not None:
        listed |= {"description": series.game_description, "isFeaturedGame": False}
    return listed
