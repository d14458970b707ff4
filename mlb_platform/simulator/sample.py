"""Everything the API would have answered about some captured games: what a clone without captures works on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from mlb_platform.simulator import league
from mlb_platform.simulator.captures import SimulatedCapture
from mlb_platform.simulator.clubs import CLUBS, Club, roster
from mlb_platform.simulator.game_responses import feed_response, game_responses
from mlb_platform.simulator.listings import HYDRATIONS, Listing, listings
from mlb_platform.simulator.person_stats import people_with_stats
from mlb_platform.simulator.postseason import Postseason
from mlb_platform.simulator.response import SimulatedResponse
from mlb_platform.simulator.schedule_responses import schedule_response

_FIELDS = "dates,date,games,gamePk,officialDate,status,abstractGameState,detailedState,statusCode"
_STATS = "currentTeam,stats(group=[hitting,pitching,fielding],type=[season,yearByYear,career,gameLog])"
_LOGGED = 10


@dataclass
class _Listed:
    """The listings of one game as first captured and as captured last."""

    first: list[Listing]
    first_at: datetime
    last: list[Listing] | None = None
    last_at: datetime | None = None


@dataclass
class _Seen:
    """What is kept of the captures that went by, to answer about their dates, clubs and people afterwards."""

    games: dict[int, _Listed] = field(default_factory=dict)
    hydrated: list[Listing] = field(default_factory=list)
    logged: list[SimulatedCapture] = field(default_factory=list)
    clubs: dict[int, Club] = field(default_factory=dict)
    first_day: date | None = None
    club: Club | None = None
    seed: int = 0

    def add(self, capture: SimulatedCapture) -> None:
        game = capture.game.scheduled
        known = self.games.get(capture.game_pk)
        if known is not None:
            known.last, known.last_at = listings(capture), capture.captured_at
            return
        self.games[capture.game_pk] = _Listed(listings(capture), capture.captured_at)
        self.clubs |= {club.id: club for club in (game.away, game.home)}
        if self.first_day is None or self.club is None:
            self.first_day, self.club, self.seed = game.day, game.home, capture.game.seed
        if game.day == self.first_day:
            self.hydrated += listings(capture, HYDRATIONS)
        if self.club in (game.away, game.home) and len(self.logged) < _LOGGED:
            self.logged.append(capture)


def feeds(captures: Iterable[SimulatedCapture]) -> Iterator[SimulatedResponse]:
    """Yield the captured feeds alone, as responses."""
    return (feed_response(capture) for capture in captures)


def responses(captures: Iterable[SimulatedCapture]) -> Iterator[SimulatedResponse]:
    """Yield every captured feed with its box score, line score and play-by-play, then what belongs to all of them.

    That is: the schedule of every date a game is listed under (as it was after the games; once more where later
    captures changed them; of the first date also hydrated and with `fields=`), the season's teams, parks and dates,
    rosters and people of the clubs, statistics of one club's people, and the last postseason after its first round.
    The captures are used one at a time; of each only its listing in the schedule is kept.
    """
    seen = _Seen()
    for capture in captures:
        seen.add(capture)
        yield from game_responses(capture)
    if seen.first_day is None:
        return
    yield from _schedules(seen)
    yield from _league(seen, seen.first_day)


def _schedules(seen: _Seen) -> Iterator[SimulatedResponse]:
    games = seen.games.values()
    first = _by_date((listing, game.first_at) for game in games for listing in game.first)
    last = _by_date((listing, game.last_at or game.first_at) for game in games for listing in game.last or game.first)
    changed = {day for game in games if game.last is not None for day, _ in (*game.first, *game.last)}
    for day, (listed, when) in sorted(first.items()):
        yield schedule_response(listed, when + timedelta(minutes=10), day)
    for day in sorted(changed):
        # a date that lost its games keeps none: the answer is empty
        latest = max(game.last_at for game in games if game.last_at is not None)
        listed, when = last.get(day, ([], latest))
        yield schedule_response(listed, max(when, latest) + timedelta(minutes=30), day)
    assert seen.first_day is not None
    _, when = first[seen.first_day]
    hydrate = ",".join(HYDRATIONS)
    yield schedule_response(seen.hydrated, when + timedelta(minutes=15), seen.first_day, hydrate=hydrate)
    yield schedule_response(seen.hydrated, when + timedelta(minutes=20), seen.first_day, fields=_FIELDS)


def _by_date(listed: Iterable[tuple[Listing, datetime]]) -> dict[date, tuple[list[Listing], datetime]]:
    found: dict[date, tuple[list[Listing], datetime]] = {}
    for listing, when in listed:
        rows, latest = found.setdefault(listing[0], ([], when))
        rows.append(listing)
        found[listing[0]] = (rows, max(latest, when))
    return found


def _league(seen: _Seen, day: date) -> Iterator[SimulatedResponse]:
    """Yield what was asked for in the morning of the first date, and one club's statistics after the last game."""
    morning = datetime.combine(day, time(12), UTC)
    season, seed = str(day.year), seen.seed
    club = seen.club
    assert club is not None

    def answer(
        endpoint: str, method: str, name: str, payload: object, path: str, minutes: float, count: int, **params: str
    ) -> SimulatedResponse:
        assert isinstance(payload, dict)
        return SimulatedResponse(
            endpoint, method, name, morning + timedelta(minutes=minutes), payload, f"/api/v1/{path}", params,
            season=season, count=str(count),
        )  # fmt: skip

    years = [day.year - 1, day.year]
    yield answer("season", "seasons", season, league.seasons(years), "seasons", 0, 2, sportId="1")
    yield answer("team", "teams", f"{len(CLUBS)}teams", league.teams(CLUBS, day.year), "teams", 1, len(CLUBS),
                 sportId="1", season=season)  # fmt: skip
    yield answer("team", "team", str(club.id), league.teams([club], day.year), f"teams/{club.id}", 2, 1, season=season)
    for number, ids in enumerate(league.venue_ids()):
        text = ",".join(map(str, ids))
        hydrate = {"hydrate": "location,timezone,fieldInfo"} if number == 0 else {}
        payload = league.venues(ids, day, hydrated=number == 0)
        yield answer("venue", "venue", text, payload, "venues", 3 + number, len(ids), venueIds=text, **hydrate)
    for one in sorted(seen.clubs.values(), key=lambda club: club.id):
        ids = [player.id for player in (*roster(one.index, seed), *league.reserves(one.index, seed))]
        kinds: tuple[league.RosterType, ...] = ("active", "40Man", "fullSeason") if one is club else ("active",)
        for number, kind in enumerate(kinds):
            rows = league.roster_of(one, kind, seed)
            yield answer("team", "roster", str(one.id), rows, f"teams/{one.id}/roster", 5 + number,
                         len(rows["roster"]), rosterType=kind, date=day.isoformat())  # fmt: skip
        text = ",".join(map(str, ids))
        yield answer("person", "person", text, league.people(ids, day, seed), "people", 10, len(ids), personIds=text)
    yield _statistics(seen, club)
    last = Postseason(day.year - 1, seed)
    for _ in last.play("F"):
        pass
    yield from last.responses()


def _statistics(seen: _Seen, club: Club) -> SimulatedResponse:
    ids = [player.id for player in roster(club.index, seen.seed)]
    final = [c for c in seen.logged if c.payload["gameData"]["status"]["abstractGameState"] == "Final"]
    after = max(capture.captured_at for capture in seen.logged) + timedelta(hours=1)
    text = ",".join(map(str, ids))
    payload = people_with_stats(ids, after.date(), seen.seed, final)
    params = {"personIds": text, "hydrate": _STATS}
    return SimulatedResponse("person", "person", text, after, payload, "/api/v1/people", params, count=str(len(ids)))
