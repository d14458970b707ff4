"""Statistics of people, as `hydrate=stats(…)` adds them: seasons from rates, single games from captured box scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from mlb_platform.simulator.captures import SimulatedCapture
from mlb_platform.simulator.clubs import Club
from mlb_platform.simulator.feed import NOTICE
from mlb_platform.simulator.league import member, people
from mlb_platform.simulator.people import POSITIONS, Json, Player
from mlb_platform.simulator.season import batting_before, fielding_before, games_before, pitching_before
from mlb_platform.simulator.stat_lines import (
    Line,
    batting_line,
    batting_season,
    fielding_line,
    fielding_season,
    pitching_line,
    pitching_season,
    total,
)

_SPORT = {"id": 1, "link": "/api/v1/sports/1", "abbreviation": "SIM"}
_BOX_GROUPS = {"hitting": "batting", "pitching": "pitching", "fielding": "fielding"}
_GAMES = 161


def people_with_stats(
    person_ids: Sequence[int], day: date, seed: int, captures: Iterable[SimulatedCapture] = ()
) -> Json:
    """Give the answer of `/people?personIds=…&hydrate=currentTeam,stats(…)` on a day.

    Everybody has the season before that day, the last two seasons, both together as career, and a log of the final
    games among `captures`. The season is made from rates: it is not the sum of simulated games.
    """
    answer = people(person_ids, day, seed, current_team=True)
    logged = list(captures)
    for person in answer["people"]:
        known = member(person["id"], seed)
        assert known is not None
        person["stats"] = _stats(*known, day, person["currentAge"], logged)
    return {"copyright": NOTICE, "people": answer["people"]}


def _groups(player: Player) -> tuple[str, ...]:
    return ("pitching", "fielding") if player.position == "1" else ("hitting", "fielding")


def _line(group: str, player: Player, games: int) -> Line:
    before: dict[str, Callable[[Player, int], Line]] = {
        "hitting": batting_before, "pitching": pitching_before, "fielding": fielding_before
    }  # fmt: skip
    return before[group](player, games)


def _shown(group: str, line: Line) -> Json:
    if group == "hitting":
        return batting_season(line)
    return pitching_season(line) if group == "pitching" else fielding_season(line, False)


def _block(kind: str, group: str, splits: list[Json]) -> Json:
    return {"type": {"displayName": kind}, "group": {"displayName": group}, "exemptions": [], "splits": splits}


def _stats(player: Player, club: Club, day: date, age: int, captures: list[SimulatedCapture]) -> list[Json]:
    blocks = []
    for group in _groups(player):
        now, last = _line(group, player, games_before(day)), _line(group, player, _GAMES)
        empty = {"hitting": batting_line, "pitching": pitching_line, "fielding": fielding_line}[group]()
        position = {"position": POSITIONS[player.position]} if group == "fielding" else {}
        season, before = (
            {
                "season": str(day.year - ago),
                "stat": {"age": age - ago, **_shown(group, line)},
                **_whose(player, club),
                **position,
            }
            for ago, line in ((0, now), (1, last))
        )
        both = _shown(group, total([now, last], empty))
        career: Json = {
            "stat": both,
            "player": player.ref,
            "sport": _SPORT,
            "gameType": "R",
            "numTeams": 1,
            "numLeagues": 1,
            **position,
        }
        blocks += [
            _block("season", group, [season]),
            _block("yearByYear", group, [before, season]),
            _block("career", group, [career]),
        ]
        log = [split for capture in captures if (split := _game(player, club, group, capture)) is not None]
        if log:
            blocks.append(_block("gameLog", group, log))
    return blocks


def _whose(player: Player, club: Club) -> Json:
    return {
        "team": {"id": club.id, "name": club.name, "link": f"/api/v1/teams/{club.id}"},
        "player": player.ref,
        "league": club.league,
        "sport": _SPORT,
        "gameType": "R",
    }


def _game(player: Player, club: Club, group: str, capture: SimulatedCapture) -> Json | None:
    """Give a player's split of one game, with the very line of the box score; None when he had none in it."""
    scheduled = capture.game.scheduled
    if club not in (scheduled.home, scheduled.away):
        return None
    at_home = club is scheduled.home
    side = capture.payload["liveData"]["boxscore"]["teams"]["home" if at_home else "away"]
    shown = side["players"].get(f"ID{player.id}", {})
    line = shown.get("stats", {}).get(_BOX_GROUPS[group])
    if not line:
        return None
    other = scheduled.away if at_home else scheduled.home
    lines = capture.payload["liveData"]["linescore"]["teams"]
    won = (lines["home"]["runs"] > lines["away"]["runs"]) == at_home
    return {
        "season": str(scheduled.day.year),
        "stat": line,
        **_whose(player, club),
        "opponent": {"id": other.id, "name": other.name, "link": f"/api/v1/teams/{other.id}"},
        "date": scheduled.day.isoformat(),
        "isHome": at_home,
        "isWin": won,
        **({"positionsPlayed": shown["allPositions"]} if group == "hitting" else {}),
        "game": {
            "gamePk": scheduled.pk,
            "link": f"/api/v1.1/game/{scheduled.pk}/feed/live",
            "content": {"link": f"/api/v1/game/{scheduled.pk}/content"},
            "gameNumber": scheduled.game_number,
            "dayNight": "day" if scheduled.local_start.hour < 17 else "night",
        },
    }
