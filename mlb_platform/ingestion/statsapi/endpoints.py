"""The endpoints of the Stats API that the platform asks, with the paths and parameters of the API's own documentation.

Source: that documentation as the package pymlb_statsapi keeps it; of venues, what the API answers. A test holds every
request made here against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

MLB = "1"
"""sportId of the major leagues."""
IDS_A_REQUEST = 100
"""How many people or venues one request asks for at most."""


@dataclass(frozen=True)
class ApiRequest:
    """One GET: `path` from the API's root, `params` of the query, and what it is of, as the raw store is to key it."""

    endpoint: str
    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    entity_id: str | None = None
    as_of: datetime | None = None
    """The instant whose state is asked for; None for the state now."""

    @property
    def name(self) -> str:
        """endpoint/method."""
        return f"{self.endpoint}/{self.method}"


def timecode(when: datetime) -> str:
    """Return an instant as the API writes it: 20240713_041909, UTC."""
    return f"{when.astimezone(UTC):%Y%m%d_%H%M%S}"


def read_timecode(text: str) -> datetime:
    """Return the instant (UTC) of a time code; ValueError where it is none."""
    return datetime.strptime(text, "%Y%m%d_%H%M%S").replace(tzinfo=UTC)


def feed_clock(text: object) -> datetime | None:
    """Return the instant (UTC) of a feed's `metaData.timeStamp`; None where that is no time code."""
    try:
        return read_timecode(str(text))
    except ValueError:
        return None


def schedule(day: date, end: date | None = None, *, hydrate: str = "") -> ApiRequest:
    """Ask for the games listed under a date, or under the dates from `day` to `end`."""
    if end is None or end == day:
        params, of = {"sportId": MLB, "date": day.isoformat()}, day.isoformat()
    else:
        params = {"sportId": MLB, "startDate": day.isoformat(), "endDate": end.isoformat()}
        of = f"{day.isoformat()}..{end.isoformat()}"
    return ApiRequest("schedule", "schedule", "/api/v1/schedule", params | _hydrated(hydrate), of)


def postseason(season: int | str) -> ApiRequest:
    """Ask for the postseason games of a season."""
    params = {"season": str(season), "sportId": MLB}
    return ApiRequest("schedule", "postseason", "/api/v1/schedule/postseason", params, f"postseason-{season}")


def postseason_series(season: int | str) -> ApiRequest:
    """Ask for the postseason of a season, series by series."""
    params = {"season": str(season), "sportId": MLB}
    of = f"postseason-{season}"
    return ApiRequest("schedule", "postseason_series", "/api/v1/schedule/postseason/series", params, of)


def live_feed(game_pk: int | str, at: str | None = None) -> ApiRequest:
    """Ask for the live feed of a game; with the time code `at`, for its state then."""
    params = {} if at is None else {"timecode": at}
    path = f"/api/v1.1/game/{game_pk}/feed/live"
    return ApiRequest("game", "live_game_v1", path, params, str(game_pk), None if at is None else read_timecode(at))


def timestamps(game_pk: int | str) -> ApiRequest:
    """Ask for the time codes at which a game's feed changed."""
    path = f"/api/v1.1/game/{game_pk}/feed/live/timestamps"
    return ApiRequest("game", "live_timestamp_v1", path, {}, str(game_pk))


def diff_patch(game_pk: int | str, start: str, end: str | None = None) -> ApiRequest:
    """Ask for how a game's feed changed since the time code `start` (to `end`)."""
    params = {"startTimecode": start} | ({} if end is None else {"endTimecode": end})
    path = f"/api/v1.1/game/{game_pk}/feed/live/diffPatch"
    return ApiRequest("game", "live_game_diff_patch_v1", path, params, str(game_pk))


def boxscore(game_pk: int | str) -> ApiRequest:
    """Ask for the box score of a game."""
    return _of_game("boxscore", "boxscore", game_pk)


def linescore(game_pk: int | str) -> ApiRequest:
    """Ask for the line score of a game."""
    return _of_game("linescore", "linescore", game_pk)


def play_by_play(game_pk: int | str) -> ApiRequest:
    """Ask for the plays of a game."""
    return _of_game("play_by_play", "playByPlay", game_pk)


def _of_game(method: str, path: str, game_pk: int | str) -> ApiRequest:
    return ApiRequest("game", method, f"/api/v1/game/{game_pk}/{path}", {}, str(game_pk))


def people(ids: Iterable[int | str], *, hydrate: str = "") -> ApiRequest:
    """Ask for some people, at most IDS_A_REQUEST; see `people_batches`."""
    text = _ids(ids)
    params = {"personIds": text} | _hydrated(hydrate)
    return ApiRequest("person", "person", "/api/v1/people", params, text)


def people_batches(ids: Iterable[int | str], *, hydrate: str = "") -> Iterator[ApiRequest]:
    """Ask for any number of people, so many a request, each once and in order."""
    for some in _batches(ids):
        yield people(some, hydrate=hydrate)


def teams(season: int | str) -> ApiRequest:
    """Ask for the major league teams of a season."""
    params = {"sportId": MLB, "season": str(season)}
    return ApiRequest("team", "teams", "/api/v1/teams", params, f"teams-{season}")


def team(team_id: int | str, season: int | str | None = None) -> ApiRequest:
    """Ask for one team, as it was in a season."""
    params = {"teamId": str(team_id)} | ({} if season is None else {"season": str(season)})
    return ApiRequest("team", "team", "/api/v1/teams", params, str(team_id))


def roster(team_id: int | str, kind: str = "active", day: date | None = None) -> ApiRequest:
    """Ask for a team's roster of a kind (active, 40Man, fullSeason) on a date."""
    params = {} if day is None else {"date": day.isoformat()}
    return ApiRequest("team", "roster", f"/api/v1/teams/{team_id}/roster/{kind}", params, str(team_id))


def venues(ids: Iterable[int | str]) -> ApiRequest:
    """Ask for some venues, with where they are and how large their fields are; at most IDS_A_REQUEST."""
    text = _ids(ids)
    params = {"venueIds": text, "hydrate": "location,timezone,fieldInfo"}
    return ApiRequest("venue", "venue", "/api/v1/venues", params, text)


def seasons() -> ApiRequest:
    """Ask for the dates of all seasons."""
    return ApiRequest("season", "seasons", "/api/v1/seasons/all", {"sportId": MLB}, "seasons")


def game_status() -> ApiRequest:
    """Ask for the states a game can be in."""
    return ApiRequest("meta", "game_status", "/api/v1/gameStatus", {}, "gameStatus")


def game_changes(updated_since: datetime, *, limit: int | None = None, offset: int | None = None) -> ApiRequest:
    """Ask for the games that changed since an instant, a page of them where `limit` and `offset` are given."""
    params = {"updatedSince": f"{updated_since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", "sportId": MLB}
    params |= {name: str(n) for name, n in (("limit", limit), ("offset", offset)) if n is not None}
    return ApiRequest("game", "changes", "/api/v1/game/changes", params, None)


def _hydrated(hydrate: str) -> dict[str, str]:
    return {"hydrate": hydrate} if hydrate else {}


def _ids(ids: Iterable[int | str]) -> str:
    found = list(dict.fromkeys(str(i) for i in ids))
    if not 0 < len(found) <= IDS_A_REQUEST:
        raise ValueError(f"{len(found)} ids in one request: give 1 to {IDS_A_REQUEST}")
    return ",".join(found)


def _batches(ids: Iterable[int | str]) -> Iterator[list[str]]:
    found = list(dict.fromkeys(str(i) for i in ids))
    for start in range(0, len(found), IDS_A_REQUEST):
        yield found[start : start + IDS_A_REQUEST]
