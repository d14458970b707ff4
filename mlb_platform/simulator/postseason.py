"""A simulated postseason: twelve clubs, four rounds, played game by game."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from mlb_platform.simulator.captures import SimulatedCapture, make_capture
from mlb_platform.simulator.clubs import CLUBS, Club
from mlb_platform.simulator.feed import capture_time
from mlb_platform.simulator.game import play_game
from mlb_platform.simulator.listings import Listing, listings, unplayed
from mlb_platform.simulator.response import SimulatedResponse
from mlb_platform.simulator.schedule import ScheduledGame, Series, game_pk
from mlb_platform.simulator.schedule_responses import postseason, postseason_series
from mlb_platform.simulator.season import club_record

_LEAGUES = ("HL", "PL")
_FIRST_POSITION = 15
_SHORT = (0, 1, 2), "HHH"
_MIDDLE = (0, 1, 3, 4, 6), "HHAAH"
_LONG = (0, 1, 3, 4, 5, 7, 8), "HHAAAHH"
_ROUNDS = {"F": (_SHORT, 0, "Wild Card"), "D": (_MIDDLE, 4, "Division Series"),
           "L": (_LONG, 12, "League Championship Series"), "W": (_LONG, 23, "World Series")}  # fmt: skip


@dataclass
class _Matchup:
    """One series: the better-seeded club, the other one, and what has been played."""

    id: str
    better: Club
    other: Club
    wins: dict[int, int] = field(default_factory=dict)
    played: list[SimulatedCapture] = field(default_factory=list)

    @property
    def games(self) -> int:
        return len(_ROUNDS[self.id[0]][0][0])

    @property
    def winner(self) -> Club | None:
        needed = self.games // 2 + 1
        return next((club for club in (self.better, self.other) if self.wins.get(club.id, 0) >= needed), None)

    def scheduled(self, season: int, number: int) -> ScheduledGame:
        """Give a game of the series, counted from 1, with the wins before it."""
        (days, places), first, description = _ROUNDS[self.id[0]]
        home, away = (self.better, self.other) if places[number - 1] == "H" else (self.other, self.better)
        slot = int(self.id[2:]) - 1
        day = date(season, 10, 1) + timedelta(days=first + days[number - 1])
        local = datetime(day.year, day.month, day.day, (13, 16, 17, 20)[slot], 8)
        league = f"{_LEAGUES[self.better.index // 15]} " if self.id[0] != "W" else ""
        series = Series(
            self.id, slot + 1, number, self.games, description, f"{league}{description} Game {number}",
            self.wins.get(away.id, 0), self.wins.get(home.id, 0),
        )  # fmt: skip
        start = local - timedelta(hours=home.offset_on(day))
        return ScheduledGame(
            game_pk(day, _FIRST_POSITION + slot), day, _FIRST_POSITION + slot, home, away, 1, "N", start, local,
            series=series,
        )  # fmt: skip

    def play(self, season: int, number: int, seed: int) -> SimulatedCapture:
        """Play a game of the series and keep it."""
        game = play_game(self.scheduled(season, number), seed)
        capture = make_capture(game, "Final", capture_time(game))
        result = game.plays[-1]["result"]
        scheduled = game.scheduled
        won = scheduled.home if result["homeScore"] > result["awayScore"] else scheduled.away
        self.wins[won.id] = self.wins.get(won.id, 0) + 1
        self.played.append(capture)
        return capture


def seeds(league: int) -> list[Club]:
    """Give the six clubs of a league (0 or 1) that play on, best first: three division winners, three others."""
    clubs = sorted(CLUBS[league * 15 : league * 15 + 15], key=lambda club: (-club_record(club, 162)[0], club.id))
    winners = [next(club for club in clubs if club.index // 5 == league * 3 + part) for part in range(3)]
    winners.sort(key=clubs.index)
    return winners + [club for club in clubs if club not in winners][:3]


class Postseason:
    """A season's postseason, played as far as somebody asked for."""

    def __init__(self, season: int, seed: int) -> None:
        """Set the first round up; the same season and seed give the same games."""
        self.season, self.seed = season, seed
        self.matchups: list[_Matchup] = []
        for league in range(2):
            best = seeds(league)
            self.matchups.append(_Matchup(f"F_{2 * league + 1}", best[2], best[5]))
            self.matchups.append(_Matchup(f"F_{2 * league + 2}", best[3], best[4]))

    def play(self, rounds: str = "FDLW") -> Iterator[SimulatedCapture]:
        """Play these rounds, the first of them not yet played first, and give the final capture of each game."""
        for letter in rounds:
            for matchup in self._round(letter):
                number = len(matchup.played)
                while matchup.winner is None:
                    number += 1
                    yield matchup.play(self.season, number, self.seed)
            self._draw(letter)

    def _round(self, letter: str) -> list[_Matchup]:
        return [matchup for matchup in self.matchups if matchup.id[0] == letter]

    def _draw(self, letter: str) -> None:
        """Set up the round after this one, if it is not yet."""
        following = {"F": "D", "D": "L", "L": "W"}.get(letter)
        if following is None or self._round(following):
            return
        won = [matchup.winner for matchup in self._round(letter)]
        clubs = [club for club in won if club is not None]
        if letter == "F":
            best = [club for league in range(2) for club in seeds(league)[:2]]
            pairs = [(best[0], clubs[1]), (best[1], clubs[0]), (best[2], clubs[3]), (best[3], clubs[2])]
        else:
            pairs = [(clubs[n], clubs[n + 1]) for n in range(0, len(clubs), 2)]
        self.matchups += [_Matchup(f"{following}_{n}", *pair) for n, pair in enumerate(pairs, 1)]

    def listed(self, hydrate: Sequence[str] = ()) -> Iterator[tuple[str, Listing]]:
        """Yield the listings of all games played and of all still to come in the series set up, with their series."""
        for matchup in self.matchups:
            for capture in matchup.played:
                for listing in listings(capture, hydrate):
                    yield matchup.id, listing
            for number in range(len(matchup.played) + 1, matchup.games + 1):
                if matchup.winner is None:
                    yield matchup.id, unplayed(matchup.scheduled(self.season, number), hydrate)

    def responses(self, hydrate: Sequence[str] = ("team", "linescore", "flags")) -> Iterator[SimulatedResponse]:
        """Yield the postseason's schedule and its series, as answered ten minutes after the last game played."""
        played = [capture.captured_at for matchup in self.matchups for capture in matchup.played]
        start = datetime(self.season, 9, 30, 12, tzinfo=UTC)
        when = max(played, default=start) + timedelta(minutes=10)
        season = str(self.season)
        hydrated, plain = list(self.listed(hydrate)), list(self.listed())
        days = sorted(day for _, (day, _) in plain)
        games = [game for _, (_, game) in plain]
        types = ",".join(sorted({game["gameType"] for game in games}))
        states = ",".join(sorted({game["status"]["detailedState"] for game in games}))
        for method, name, params, payload in (
            ("postseason", f"{days[0]}..{days[-1]}", {"season": season, "hydrate": ",".join(hydrate)},
             postseason(listing for _, listing in hydrated)),
            ("postseason_series", season, {"season": season}, postseason_series(plain)),
        ):  # fmt: skip
            path = f"/api/v1/schedule/postseason{'/series' if method == 'postseason_series' else ''}"
            yield SimulatedResponse(
                "schedule", method, name, when, payload, path, {k: v for k, v in params.items() if v}, season=season,
                game_type=types, state=states, count=f"{len(games)} games",
            )  # fmt: skip
