"""What is asked for, and why: decided from what the schedule lists and what the raw store has. Pure: asks nobody."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from mlb_platform.ingestion.dates.listings import POSTSEASON, GameState, Listing
from mlb_platform.ingestion.statsapi import endpoints
from mlb_platform.ingestion.statsapi.endpoints import ApiRequest

SCHEDULE, FEED = "schedule/schedule", "game/live_game_v1"
OF_GAME: Mapping[str, Callable[[str], ApiRequest]] = {
    "game/boxscore": lambda pk: endpoints.boxscore(pk),
    "game/linescore": lambda pk: endpoints.linescore(pk),
    "game/play_by_play": lambda pk: endpoints.play_by_play(pk),
}
"""What is fetched of a game besides its feed, which comes first."""
GAME_ENDPOINTS = (FEED, *OF_GAME)
"""All that is fetched of one game."""
TEAMS, TEAM, ROSTER, PEOPLE = "team/teams", "team/team", "team/roster", "person/person"
VENUES, SEASONS, POSTSEASON_GAMES = "venue/venue", "season/seasons", "schedule/postseason"
REFERENCE_ROUNDS = ((SEASONS, TEAMS, POSTSEASON_GAMES, ROSTER), (TEAM, PEOPLE, VENUES))
"""Reference data in two rounds: what the first brings says what the second has to ask for."""
ENDPOINTS = (SCHEDULE, *GAME_ENDPOINTS, *REFERENCE_ROUNDS[0], *REFERENCE_ROUNDS[1])
"""All that a date may need, in the order in which it is fetched."""
BATCHED = (PEOPLE, VENUES)
"""Asked for by their ids, many in a request: which ones go together depends on what is known by then."""
ROSTER_KIND = "active"
_NEW_YORK = ZoneInfo("America/New_York")


class Mode(enum.StrEnum):
    """What is asked for: what is missing, everything again, or everything without storing anything."""

    missing = "missing"
    reconcile = "reconcile"
    verify = "verify"


@dataclass(frozen=True)
class Planned:
    """A request and why it is made."""

    request: ApiRequest
    reason: str


@dataclass(frozen=True)
class Known:
    """The newest answer in the raw store: when its content was first received, when last, and whether it is held."""

    captured_at: datetime
    observed_at: datetime
    held: bool = False


@dataclass(frozen=True)
class GameFacts:
    """What the raw store has of one game: its newest feed with state and date, and its other answers by endpoint."""

    feed: Known | None = None
    feed_state: GameState | None = None
    feed_day: date | None = None
    others: Mapping[str, Known] = field(default_factory=dict)


@dataclass(frozen=True)
class ReferenceFacts:
    """What the raw store has besides games.

    `seasons` and `teams` say when a season's dates and teams were answered last, `told_teams` which teams a season's
    answers told. `people` and `venues` are those that the answers of the date only name; `told_*` of them those that
    were told whole elsewhere, or asked for before.
    """

    seasons: Mapping[str, datetime] = field(default_factory=dict)
    teams: Mapping[str, datetime] = field(default_factory=dict)
    told_teams: Mapping[str, Collection[int]] = field(default_factory=dict)
    rosters: Collection[int] = ()
    people: Collection[int] = ()
    told_people: Collection[int] = ()
    venues: Collection[int] = ()
    told_venues: Collection[int] = ()
    postseasons: Mapping[str, datetime] = field(default_factory=dict)


def local_day(instant: datetime) -> date:
    """Return the date by the clock of New York, by which the leagues count."""
    return instant.astimezone(_NEW_YORK).date()


def plan_schedule(day: date, known: Known | None, listed: Sequence[Listing] | None, mode: Mode) -> list[Planned]:
    """Return the request for a date's schedule, where one is needed.

    In `missing` it is not once the date was over when it was answered last, and all its games were settled.
    """
    if mode is not Mode.missing:
        reason = mode.value
    elif known is None or listed is None:
        reason = "not fetched yet"
    elif known.held:
        reason = "the newest answer is held back"
    elif open_games := [g for g in listed if not g.state.settled]:
        reason = f"{len(open_games)} of {len(listed)} games were not over"
    elif local_day(known.observed_at) <= day:
        reason = "the date was not over"
    else:
        return []
    return [Planned(endpoints.schedule(day), reason)]


def is_elsewhere(game: Listing, day: date) -> bool:
    """Tell whether a listing only says that the game was moved to another date: it is fetched there."""
    return game.state is GameState.POSTPONED and game.official not in (None, day)


def plan_game(
    game: Listing, day: date | None, facts: GameFacts, mode: Mode, wanted: Collection[str], final_since: datetime | None
) -> list[Planned]:
    """Return the requests for one game listed under `day`, its feed first; `wanted` are endpoint methods.

    `final_since` is when the schedule was received, which tells what is older than the game's end where no feed does.
    """
    moved_away = day is not None and is_elsewhere(game, day)
    if moved_away and facts.feed_day != day:
        return []
    found = []
    why_feed = f"moved to {game.official}" if moved_away else _why_feed(game, facts, mode)
    if why_feed is not None and FEED in wanted:
        found.append(Planned(endpoints.live_feed(game.game_pk), why_feed))
    if not game.state.played:
        return found
    if facts.feed is not None and facts.feed_state is GameState.FINAL:
        final_since = facts.feed.captured_at
    for name, request in OF_GAME.items():
        why = _why_other(game, facts.others.get(name), mode, final_since)
        if why is not None and name in wanted:
            found.append(Planned(request(game.game_pk), why))
    return found


def _why_feed(game: Listing, facts: GameFacts, mode: Mode) -> str | None:
    known, state = facts.feed, facts.feed_state
    if mode is not Mode.missing:
        return mode.value
    if known is None or state is None:
        return "not fetched yet"
    if known.held:
        return "the newest answer is held back"
    if not state.settled:
        return f"{state.value} when fetched last"
    if state is not game.state:
        return f"{state.value} when fetched last, now {game.state.value}"
    if state is not GameState.FINAL and facts.feed_day != game.official:
        return f"of {facts.feed_day} when fetched last, now of {game.official}"
    return None


def _why_other(game: Listing, known: Known | None, mode: Mode, final_since: datetime | None) -> str | None:
    if mode is not Mode.missing:
        return mode.value
    if known is None:
        return "not fetched yet"
    if known.held:
        return "the newest answer is held back"
    if not game.state.settled:
        return game.state.value
    if final_since is None or known.observed_at < final_since:
        return "older than the final feed"
    return None


def plan_reference(
    games: Iterable[Listing], day: date, facts: ReferenceFacts, mode: Mode, wanted: Collection[str], now: datetime
) -> list[Planned]:
    """Return the requests for seasons, teams, rosters, people and venues that a date's games call for.

    `games` are those of the date, without the ones moved elsewhere; `wanted` should be of one of REFERENCE_ROUNDS. The
    running season is asked about once a day.
    """
    games = list(games)
    found: list[Planned] = []

    def due(at: datetime | None, season: str) -> str | None:
        if mode is not Mode.missing:
            return mode.value
        if at is None:
            return "not fetched yet"
        running = season == str(local_day(now).year)
        return f"of {local_day(at)}" if running and local_day(at) < local_day(now) else None

    def add(name: str, reason: str | None, *requests: ApiRequest) -> None:
        if reason is not None and name in wanted:
            found.extend(Planned(request, reason) for request in requests)

    by_season = {s: [g for g in games if g.season == s] for s in sorted({g.season for g in games if g.season})}
    again = mode is not Mode.missing
    for season, played in by_season.items():
        add(SEASONS, due(facts.seasons.get(season), season), endpoints.seasons())
        add(TEAMS, due(facts.teams.get(season), season), endpoints.teams(season))
        clubs = {team for g in played for team in g.teams}
        for team in sorted(clubs - set(facts.told_teams.get(season, ()))):
            add(TEAM, "no answer about teams tells it", endpoints.team(team, season))
        if any(g.game_type in POSTSEASON for g in played):
            add(POSTSEASON_GAMES, due(facts.postseasons.get(season), season), endpoints.postseason(season))
    for team in sorted({team for g in games for team in g.teams}):
        if again or team not in facts.rosters:
            add(ROSTER, mode.value if again else "not fetched yet", endpoints.roster(team, ROSTER_KIND, day))
    people = sorted(set(facts.people) - (set() if again else set(facts.told_people)))
    if people:
        add(PEOPLE, f"{len(people)} only named so far", *endpoints.people_batches(people))
    venues = sorted(set(facts.venues) - (set() if again else set(facts.told_venues)))
    if venues:
        add(VENUES, f"{len(venues)} only named so far", endpoints.venues(venues))
    return _each_once(found)


def _each_once(planned: Iterable[Planned]) -> list[Planned]:
    seen: dict[tuple[str, str | None, str], Planned] = {}
    for p in planned:
        r = p.request
        seen.setdefault((r.name, r.entity_id, repr(sorted(r.params.items()))), p)
    return list(seen.values())
