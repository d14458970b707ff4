"""The thirty invented clubs: names, leagues, parks and rosters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from random import Random

from mlb_platform.simulator import words
from mlb_platform.simulator.people import Json, Player, make_player

LEAGUES = (
    {"id": 103, "name": "Harbor League", "link": "/api/v1/league/103"},
    {"id": 104, "name": "Prairie League", "link": "/api/v1/league/104"},
)
SPRING_LEAGUES = (
    {"id": 114, "name": "Dune League", "link": "/api/v1/league/114", "abbreviation": "DL"},
    {"id": 115, "name": "Citrus Grove League", "link": "/api/v1/league/115", "abbreviation": "CG"},
)
_HITTER_POSITIONS = ("2", "3", "4", "5", "6", "7", "8", "9", "10", "2", "4", "6", "8")
_STANDARD = {"E": "EST", "C": "CST", "M": "MST", "P": "PST"}
_DAYLIGHT = {"E": "EDT", "C": "CDT", "M": "MDT", "P": "PDT"}


@dataclass(eq=False, slots=True)
class Club:
    """A club with its park; `offset` is the standard time offset from UTC in hours."""

    index: int
    id: int
    city: str
    nickname: str
    abbreviation: str
    offset: int
    daylight: bool
    zone: str
    letter: str
    league: Json
    division: Json
    venue: Json
    brief: Json = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Give city and nickname."""
        return f"{self.city} {self.nickname}"

    def offset_on(self, day: date) -> int:
        """Give the offset from UTC in hours on a day, daylight time included."""
        return self.offset + (1 if self.daylight and _is_daylight(day) else 0)

    def venue_on(self, day: date) -> Json:
        """Give the park as the feed of a day shows it."""
        offset = self.offset_on(day)
        letters = (_DAYLIGHT if offset != self.offset else _STANDARD)[self.letter]
        zone = {"id": self.zone, "offset": offset, "offsetAtGameTime": offset, "tz": letters}
        venue = self.venue
        return {
            "id": venue["id"],
            "name": venue["name"],
            "link": venue["link"],
            "location": venue["location"],
            "timeZone": zone,
            "fieldInfo": venue["fieldInfo"],
            "active": True,
            "season": str(day.year),
        }


def _nth_sunday(year: int, month: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (nth - 1))


def _is_daylight(day: date) -> bool:
    return _nth_sunday(day.year, 3, 2) <= day < _nth_sunday(day.year, 11, 1)


def _make_club(index: int) -> Club:
    city, nickname, short, state, state_short, zone, offset, daylight, letter = words.CLUBS[index]
    rng = Random(f"club:{index}")
    venue_id = 9100 + index
    field_info: Json = {
        "capacity": rng.randint(26000, 50000),
        "turfType": "Artificial Turf" if index % 6 == 0 else "Grass",
        "roofType": ("Open", "Open", "Open", "Retractable", "Dome")[index % 5],
        "leftLine": rng.randint(318, 345),
    }
    if index % 2:
        field_info["left"] = rng.randint(350, 375)
    field_info |= {
        "leftCenter": rng.randint(370, 395),
        "center": rng.randint(398, 412),
        "rightCenter": rng.randint(370, 395),
    }
    if index % 2:
        field_info["right"] = rng.randint(350, 375)
    field_info["rightLine"] = rng.randint(318, 345)
    venue: Json = {
        "id": venue_id,
        "name": f"{nickname} {words.PARK_WORDS[index % len(words.PARK_WORDS)]}",
        "link": f"/api/v1/venues/{venue_id}",
        "location": {
            "address1": f"{rng.randint(1, 900)} {rng.choice(words.STREETS)}",
            "city": city,
            "state": state,
            "stateAbbrev": state_short,
            "postalCode": f"{rng.randint(10000, 98000)}",
            "defaultCoordinates": {
                "latitude": round(rng.uniform(26, 47), 6),
                "longitude": round(-75 + (offset + 5) * 15 + rng.uniform(-5, 5), 6),
            },
            "azimuthAngle": float(rng.randint(0, 359)),
            "elevation": rng.choice((8, 35, 120, 430, 640, 1100, 5100)),
            "country": "Canada" if state_short == "ON" else "USA",
            "phone": f"(555) 555-{rng.randint(1000, 9999)}",
        },
        "fieldInfo": field_info,
    }
    league = LEAGUES[index // 15]
    division_id = 200 + index // 5 + 1
    part = ("East", "Central", "West")[index // 5 % 3]
    division = {"id": division_id, "name": f"{league['name']} {part}", "link": f"/api/v1/divisions/{division_id}"}
    club = Club(index, 901 + index, city, nickname, short, offset, daylight, zone, letter, league, division, venue)
    club.brief = {
        "springLeague": SPRING_LEAGUES[index % 2],
        "allStarStatus": "N",
        "id": club.id,
        "name": club.name,
        "link": f"/api/v1/teams/{club.id}",
    }
    return club


CLUBS: tuple[Club, ...] = tuple(_make_club(index) for index in range(30))


def team_data(club: Club, season: int, wins: int, losses: int) -> Json:
    """Give the team object of `gameData.teams` with the record after the game."""
    played = wins + losses
    pct = f"{wins / played if played else 0:.3f}".removeprefix("0")
    short = club.abbreviation.lower()
    record: Json = {
        "gamesPlayed": played,
        "wildCardGamesBack": "-",
        "leagueGamesBack": "-",
        "springLeagueGamesBack": "-",
        "sportGamesBack": "-",
        "divisionGamesBack": "-",
        "conferenceGamesBack": "-",
        "leagueRecord": {"wins": wins, "losses": losses, "ties": 0, "pct": pct},
        "records": {},
        "divisionLeader": False,
        "wins": wins,
        "losses": losses,
        "winningPercentage": pct,
    }
    venue = club.venue
    return club.brief | {
        "season": season,
        "venue": {"id": venue["id"], "name": venue["name"], "link": venue["link"]},
        "springVenue": {"id": 9200 + club.index, "link": f"/api/v1/venues/{9200 + club.index}"},
        "teamCode": short,
        "fileCode": short,
        "abbreviation": club.abbreviation,
        "teamName": club.nickname,
        "locationName": club.city,
        "firstYearOfPlay": str(1901 + club.index * 3),
        "league": club.league,
        "division": club.division,
        "sport": {"id": 1, "link": "/api/v1/sports/1", "name": "Simulated Baseball"},
        "shortName": club.city,
        "record": record,
        "franchiseName": club.city,
        "clubName": club.nickname,
        "active": True,
    }


# three players have died since; the date depends on the feed
_LATER_DEATH = {
    "deathCity": "Heron Bay",
    "deathStateProvince": "CA",
    "deathCountry": "USA",
}


@lru_cache(maxsize=64)
def roster(club_index: int, seed: int) -> tuple[Player, ...]:
    """Give the 26 players of a club: nine regulars, four on the bench, five starting pitchers, eight relievers."""
    rng = Random(f"roster:{seed}:{club_index}")
    lasts = rng.sample(words.LAST_NAMES, 26)
    numbers = rng.sample(range(1, 99), 26)
    base = 900000 + club_index * 100
    players = tuple(
        make_player(
            rng,
            base + n,
            _HITTER_POSITIONS[n] if n < 13 else "1",
            n < 9 or 13 <= n < 18,
            lasts[n],
            numbers[n],
        )
        for n in range(26)
    )
    if club_index < 3:
        players[25].biography.update(_LATER_DEATH)
    return players
