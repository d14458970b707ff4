"""Answers about clubs, their people, their parks and the season: team, teams, roster, people, venues, seasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import lru_cache
from random import Random
from typing import Literal

from mlb_platform.simulator import words
from mlb_platform.simulator.clubs import CLUBS, Club, roster
from mlb_platform.simulator.feed import NOTICE
from mlb_platform.simulator.listings import whole_team
from mlb_platform.simulator.people import POSITIONS, Json, Player, biography_on, make_player

RosterType = Literal["active", "40Man", "fullSeason"]
_FIRST_PERSON = 900000
_FIRST_PARK, _FIRST_SPRING_PARK = 9100, 9200
_RESERVES = (("40M", "Forty Man"), ("40M", "Forty Man"), ("D60", "Injured 60-Day"), ("MIN", "Minor League Contract"))


def teams(clubs: Iterable[Club], season: int) -> Json:
    """Give the answer about clubs in a season; of one club it is `/teams/ID`, of all `/teams`."""
    return {"copyright": NOTICE, "teams": [whole_team(club, season) for club in clubs]}


@lru_cache(maxsize=64)
def reserves(club_index: int, seed: int) -> tuple[Player, ...]:
    """Give four players of a club who are not with it: two optioned, one hurt, one in the minor leagues."""
    rng = Random(f"reserves:{seed}:{club_index}")
    taken = {player.last for player in roster(club_index, seed)}
    lasts = rng.sample([name for name in words.LAST_NAMES if name not in taken], 4)
    first = _FIRST_PERSON + club_index * 100 + 26
    return tuple(
        make_player(rng, first + n, ("1", "4", "1", "8")[n], False, lasts[n], rng.randint(60, 98)) for n in range(4)
    )


def roster_of(club: Club, kind: RosterType, seed: int) -> Json:
    """Give the answer of `/teams/ID/roster`: the 26 active players, the 40-man list, or all of the season."""
    rows = [_entry(player, "A", "Active", club) for player in roster(club.index, seed)]
    if kind != "active":
        listed = zip(reserves(club.index, seed), _RESERVES, strict=True)
        rows += [_entry(player, code, text, club) for player, (code, text) in listed
                 if kind == "fullSeason" or code in ("40M", "D60")]  # fmt: skip
    if kind == "fullSeason":
        rows = [{key: value for key, value in row.items() if key != "parentTeamId"} for row in rows]
    link = f"/api/v1/teams/{club.id}/roster"
    return {"copyright": NOTICE, "roster": rows, "link": link, "teamId": club.id, "rosterType": kind}


def _entry(player: Player, code: str, description: str, club: Club) -> Json:
    return {
        "person": player.ref,
        "jerseyNumber": player.number,
        "position": POSITIONS[player.position],
        "status": {"code": code, "description": description},
        "parentTeamId": club.id,
    }


def member(person_id: int, seed: int) -> tuple[Player, Club] | None:
    """Give a player and the club by the player's id; None for anybody else."""
    index, place = divmod(person_id - _FIRST_PERSON, 100)
    if not (0 <= index < len(CLUBS) and 0 <= place < 30):
        return None
    return (*roster(index, seed), *reserves(index, seed))[place], CLUBS[index]


def people(person_ids: Sequence[int], day: date, seed: int, *, current_team: bool = False) -> Json:
    """Give the answer of `/people?personIds=…` on a day; ids of nobody are left out. `current_team` hydrates it."""
    found = []
    for person_id in person_ids:
        known = member(person_id, seed)
        if known is None:
            continue
        player, club = known
        biography = biography_on(player, day)
        if current_team:
            biography["currentTeam"] = {"id": club.id, "name": club.name, "link": f"/api/v1/teams/{club.id}"}
        found.append(biography)
    return {"copyright": NOTICE, "people": found}


def venues(venue_ids: Iterable[int], day: date, *, hydrated: bool = True) -> Json:
    """Give the answer of `/venues?venueIds=…`: the clubs' parks and those of spring; unknown ids are left out.

    `hydrated` adds place, time zone and field, which only the clubs' own parks have.
    """
    found = []
    for venue_id in venue_ids:
        if 0 <= venue_id - _FIRST_PARK < len(CLUBS):
            venue = CLUBS[venue_id - _FIRST_PARK].venue_on(day)
            brief = ("id", "name", "link", "active", "season")
            found.append(venue if hydrated else {key: venue[key] for key in brief})
        elif 0 <= venue_id - _FIRST_SPRING_PARK < len(CLUBS):
            name = f"{CLUBS[venue_id - _FIRST_SPRING_PARK].nickname} Spring Field"
            found.append(
                {"id": venue_id, "name": name, "link": f"/api/v1/venues/{venue_id}", "active": True,
                 "season": str(day.year)}
            )  # fmt: skip
    return {"copyright": NOTICE, "venues": found}


def venue_ids() -> tuple[list[int], list[int]]:
    """Give the ids of the clubs' parks and of the parks of spring."""
    count = len(CLUBS)
    return [*range(_FIRST_PARK, _FIRST_PARK + count)], [*range(_FIRST_SPRING_PARK, _FIRST_SPRING_PARK + count)]


def seasons(years: Iterable[int]) -> Json:
    """Give the answer of `/seasons`: the dates between which things happen, the same every year."""
    return {"copyright": NOTICE, "seasons": [_season(year) for year in years]}


def _season(year: int) -> Json:
    opening, all_stars, end = date(year, 3, 28), date(year, 7, 16), date(year, 9, 29)
    spring, last = date(year, 2, 22), date(year, 11, 2)

    def text(day: date, days: int = 0) -> str:
        return (day + timedelta(days=days)).isoformat()

    return {
        "seasonId": str(year),
        "hasWildcard": True,
        "preSeasonStartDate": f"{year}-01-01",
        "preSeasonEndDate": text(spring, -1),
        "seasonStartDate": text(spring),
        "springStartDate": text(spring),
        "springEndDate": text(opening, -2),
        "regularSeasonStartDate": text(opening),
        "lastDate1stHalf": text(all_stars, -2),
        "allStarDate": text(all_stars),
        "firstDate2ndHalf": text(all_stars, 3),
        "regularSeasonEndDate": text(end),
        "postSeasonStartDate": text(end, 2),
        "postSeasonEndDate": text(last),
        "seasonEndDate": text(last),
        "offseasonStartDate": text(last, 1),
        "offSeasonEndDate": f"{year}-12-31",
        "seasonLevelGamedayType": "P",
        "gameLevelGamedayType": "P",
        "qualifierPlateAppearances": 3.1,
        "qualifierOutsPitched": 3.0,
    }
