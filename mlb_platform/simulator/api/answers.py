"""What a simulated API answers: one function a path, from the games as they are at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import jsonpatch  # type: ignore[import-untyped]

from mlb_platform.simulator import league
from mlb_platform.simulator.api.timeline import Timeline
from mlb_platform.simulator.api.world import World
from mlb_platform.simulator.clubs import CLUBS
from mlb_platform.simulator.events import STATES, feed_status
from mlb_platform.simulator.feed import NOTICE
from mlb_platform.simulator.game_responses import box_score, line_score, play_by_play
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.postseason import Postseason
from mlb_platform.simulator.response import only_fields
from mlb_platform.simulator.schedule_responses import schedule

Params = Mapping[str, str]
TIMECODE = "%Y%m%d_%H%M%S"
MOST_DATES = 200
ROSTERS = ("active", "40Man", "fullSeason")


class NotAnswered(Exception):
    """A request that is answered with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Answers:
    """The answers of one world; `now` is the time of the request (aware)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._postseasons: dict[tuple[int, str], Json] = {}

    def feed(self, pk: int, params: Params, now: datetime) -> Json:
        """`/v1.1/game/{game_pk}/feed/live`."""
        line = self._line(pk)
        return line.capture(_at(params.get("timecode"), now)).payload

    def timestamps(self, pk: int, params: Params, now: datetime) -> list[str]:
        """`/v1.1/game/{game_pk}/feed/live/timestamps`."""
        return list(dict.fromkeys(f"{at:{TIMECODE}}" for at in self._line(pk).stamps(now)))

    def diff_patch(self, pk: int, params: Params, now: datetime) -> Any:
        """`/v1.1/game/{game_pk}/feed/live/diffPatch`: one patch from start to end; without a start the whole feed."""
        line = self._line(pk)
        end = line.capture(_at(params.get("endTimecode"), now)).payload
        if "startTimecode" not in params:
            return end
        start = line.capture(_at(params["startTimecode"], now)).payload
        operations = jsonpatch.make_patch(start, end).patch
        return [{"diff": operations}] if operations else []

    def boxscore(self, pk: int, params: Params, now: datetime) -> Json:
        """`/v1/game/{game_pk}/boxscore`."""
        return box_score(self._line(pk).capture(_at(params.get("timecode"), now)))

    def linescore(self, pk: int, params: Params, now: datetime) -> Json:
        """`/v1/game/{game_pk}/linescore`."""
        return line_score(self._line(pk).capture(_at(params.get("timecode"), now)))

    def plays(self, pk: int, params: Params, now: datetime) -> Json:
        """`/v1/game/{game_pk}/playByPlay`."""
        return play_by_play(self._line(pk).capture(_at(params.get("timecode"), now)))

    def schedule(self, params: Params, now: datetime) -> Json:
        """`/v1/schedule`: of a date, or from `startDate` to `endDate`; without either of today."""
        first = _day(params, "date") or _day(params, "startDate") or now.astimezone(UTC).date()
        last = first if "date" in params else _day(params, "endDate") or first
        if (last - first).days > MOST_DATES:
            raise NotAnswered(400, f"the span is longer than {MOST_DATES} dates")
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        wanted = set(params["gamePk"].split(",")) if "gamePk" in params else None
        listed = [
            (day, row)
            for day in days
            if day.year == self.world.options.season
            for row in self.world.listed(day, now)
            if wanted is None or str(row["gamePk"]) in wanted
        ]
        payload = schedule(listed, first, last)
        return only_fields(payload, params["fields"]) if "fields" in params else payload

    def postseason(self, params: Params, now: datetime, method: str = "postseason") -> Json:
        """`/v1/schedule/postseason` and its series: of a season before this one; this one's is not set up."""
        season = _season(params, self.world.options.season)
        if season >= self.world.options.season:
            return {"copyright": NOTICE, "totalItems": 0, "totalEvents": 0, "totalGames": 0, "totalGamesInProgress": 0,
                    **({"dates": []} if method == "postseason" else {"wait": 10, "series": []})}  # fmt: skip
        if (season, method) not in self._postseasons:
            played = Postseason(season, self.world.options.seed)
            for _ in played.play():
                pass
            self._postseasons |= {(season, r.method): r.payload for r in played.responses()}
        return self._postseasons[season, method]

    def postseason_series(self, params: Params, now: datetime) -> Json:
        """`/v1/schedule/postseason/series`."""
        return self.postseason(params, now, "postseason_series")

    def changes(self, params: Params, now: datetime) -> Json:
        """`/v1/game/changes`: the games that changed after `updatedSince`, in pages of `limit` from `offset` on."""
        if "updatedSince" not in params:
            raise NotAnswered(400, "updatedSince is required")
        try:
            since = datetime.fromisoformat(params["updatedSince"])
        except ValueError as error:
            raise NotAnswered(400, "updatedSince is no time") from error
        since = since if since.tzinfo is not None else since.replace(tzinfo=UTC)
        rows = self.world.changed(since, now)
        offset, limit = int(params.get("offset", 0)), int(params.get("limit", 1000))
        shown: dict[str, list[Json]] = {}
        for row in rows[offset : offset + limit]:
            shown.setdefault(row["officialDate"], []).append(row)
        dates = [{"date": day, "totalItems": len(games), "totalGames": len(games), "games": games, "events": []}
                 for day, games in sorted(shown.items())]  # fmt: skip
        return {"copyright": NOTICE, "totalItems": len(rows), "totalGames": len(rows), "dates": dates}

    def people(self, params: Params, now: datetime) -> Json:
        """`/v1/people`."""
        hydrated = "currentTeam" in params.get("hydrate", "")
        ids = _ids(params, "personIds")
        return league.people(ids, now.date(), self.world.options.seed, current_team=hydrated)

    def teams(self, params: Params, now: datetime) -> Json:
        """`/v1/teams`: all, or the one of `teamId`."""
        if "teamId" in params:
            return self.team(int(params["teamId"]), params, now)
        return league.teams(CLUBS, _season(params, self.world.options.season))

    def team(self, team_id: int, params: Params, now: datetime) -> Json:
        """`/v1/teams/{teamId}`."""
        clubs = [club for club in CLUBS if club.id == team_id]
        if not clubs:
            raise NotAnswered(404, f"Object not found: team {team_id}")
        return league.teams(clubs, _season(params, self.world.options.season))

    def roster(self, team_id: int, params: Params, now: datetime) -> Json:
        """`/v1/teams/{teamId}/roster/{rosterType}`."""
        club = next((club for club in CLUBS if club.id == team_id), None)
        kind = next((k for k in ROSTERS if k == params.get("rosterType", "active")), None)
        if club is None or kind is None:
            raise NotAnswered(404, f"Object not found: roster of team {team_id}")
        return league.roster_of(club, kind, self.world.options.seed)  # type: ignore[arg-type]

    def venues(self, params: Params, now: datetime) -> Json:
        """`/v1/venues`."""
        return league.venues(_ids(params, "venueIds"), now.date(), hydrated="hydrate" in params)

    def seasons(self, params: Params, now: datetime) -> Json:
        """`/v1/seasons`."""
        this = self.world.options.season
        years = [_season(params, this)] if "season" in params else [this - 1, this]
        return league.seasons(years)

    def game_status(self, params: Params, now: datetime) -> list[Json]:
        """`/v1/gameStatus`."""
        return [{k: v for k, v in feed_status(name).items() if k != "startTimeTBD"} for name in STATES]

    def _line(self, pk: int) -> Timeline:
        line = self.world.timeline(pk)
        if line is None:
            raise NotAnswered(404, f"Object not found: game {pk}")
        return line


Answer = Callable[..., Any]


def _at(code: str | None, now: datetime) -> datetime:
    """Return the instant of a time code, the end of its second; nothing later than now can be asked for."""
    if code is None:
        return now
    try:
        return min(now, datetime.strptime(code, TIMECODE).replace(tzinfo=UTC, microsecond=999_999))
    except ValueError as error:
        raise NotAnswered(400, f"{code!r} is no time code") from error


def _day(params: Params, name: str) -> date | None:
    if name not in params:
        return None
    text = params[name]
    for form in ("%Y-%m-%d", "%m/%d/%Y"):
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    raise NotAnswered(400, f"{name} {text!r} is no date")


def _season(params: Params, this: int) -> int:
    year = int(params.get("season", this))
    if not date.min.year <= year < date.max.year:
        raise NotAnswered(400, f"there is no season {year}")
    return year


def _ids(params: Params, name: str) -> list[int]:
    try:
        return [int(part) for part in params.get(name, "").split(",") if part]
    except ValueError as error:
        raise NotAnswered(400, f"{name} has something that is no id") from error
