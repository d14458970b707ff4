"""State of a game while it is played: the two sides, the bases, the outs, the score and the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from mlb_platform.simulator.clubs import Club, roster
from mlb_platform.simulator.people import Json, Player
from mlb_platform.simulator.schedule import ScheduledGame

BASES = ("1B", "2B", "3B")
CHALLENGES, PITCH_CHALLENGES = 1, 2
"""How often a side may ask for a replay, and for a call of a pitch, until it is wrong as often."""


@dataclass(eq=False, slots=True)
class Runner:
    """A runner on base, the pitcher answerable for him, and whether his run would be earned."""

    player: Player
    pitcher: Player
    earned: bool = True


@dataclass(eq=False, slots=True)
class Side:
    """One club in this game: line-up, fielders by position code, and who is left on bench and in bullpen."""

    club: Club
    home: bool
    roster: tuple[Player, ...]
    lineup: list[Player] = field(default_factory=list)
    entries: list[int] = field(default_factory=lambda: [0] * 9)
    fielders: dict[str, Player] = field(default_factory=dict)
    position_of: dict[int, str] = field(default_factory=dict)
    bench: list[Player] = field(default_factory=list)
    bullpen: list[Player] = field(default_factory=list)
    next_slot: int = 0
    pitcher_pitches: int = 0
    pitcher_faced: int = 0
    pitcher_limit: int = 95
    mound_visits: int = 0
    challenges: int = CHALLENGES
    pitch_challenges: int = PITCH_CHALLENGES
    pending_switches: list[tuple[Player, str, Player]] = field(default_factory=list)

    @property
    def pitcher(self) -> Player:
        """Give who pitches now."""
        return self.fielders["1"]

    @property
    def batter(self) -> Player:
        """Give who bats next."""
        return self.lineup[self.next_slot]

    def slot_code(self, slot: int) -> str:
        """Give the batting-order text of a slot: hundreds are the slot, the rest counts its substitutes."""
        return str((slot + 1) * 100 + self.entries[slot])


@dataclass(frozen=True, slots=True)
class StartingSide:
    """What a side began with; with the plays this is enough to derive every table of a game."""

    club: Club
    roster: tuple[Player, ...]
    lineup: tuple[Player, ...]
    positions: dict[int, str]
    pitcher: Player


def make_side(rng: Random, club: Club, home: bool, seed: int, day_number: int) -> Side:
    """Give a side with its starting line-up and pitcher of the day."""
    players = roster(club.index, seed)
    regulars = list(players[:9])
    bench = list(players[9:13])
    if rng.random() < 0.3:  # the second catcher starts
        regulars[0], bench[0] = bench[0], regulars[0]
    order = regulars[:]
    rng.shuffle(order)
    order.sort(key=lambda player: -player.contact + rng.random())
    starter = players[13 + (day_number + club.index) % 5]
    side = Side(club, home, players, lineup=order, bench=bench)
    side.bullpen = list(players[18:])
    rng.shuffle(side.bullpen)
    codes = ("2", "3", "4", "5", "6", "7", "8", "9", "10")
    for code, player in zip(codes, regulars, strict=True):
        side.position_of[player.id] = code
        if code != "10":
            side.fielders[code] = player
    side.fielders["1"] = starter
    side.position_of[starter.id] = "1"
    side.pitcher_limit = rng.randint(78, 104)
    return side


class GameState:
    """The game in progress; changed by the modules that play it."""

    def __init__(self, scheduled: ScheduledGame, seed: int, course: int = 0) -> None:
        """Set up a scheduled game; the seed, the game's id and the `course` it takes decide everything that follows."""
        self.scheduled = scheduled
        self.seed = seed
        self.rng = Random(f"game:{seed}:{scheduled.pk}" + (f":{course}" if course else ""))
        number = scheduled.day.toordinal() + scheduled.game_number - 1
        self.away = make_side(self.rng, scheduled.away, False, seed, number)
        self.home = make_side(self.rng, scheduled.home, True, seed, number)
        self.start_away, self.start_home = _starting(self.away), _starting(self.home)
        self.inning = 1
        self.top = True
        self.outs = 0
        self.errors = 0
        self.bases: list[Runner | None] = [None, None, None]
        self.away_score = 0
        self.home_score = 0
        self.plays: list[Json] = []
        self.first_pitch = scheduled.start + timedelta(minutes=self.rng.randrange(0, 4))
        self.clock = 0.0

    @property
    def batting(self) -> Side:
        """Give the side at bat."""
        return self.away if self.top else self.home

    @property
    def fielding(self) -> Side:
        """Give the side in the field."""
        return self.home if self.top else self.away

    @property
    def lead(self) -> int:
        """Give the lead of the batting side in runs."""
        lead = self.away_score - self.home_score
        return lead if self.top else -lead

    @property
    def walked_off(self) -> bool:
        """Say whether the home side just won in its last turn."""
        return not self.top and self.inning >= 9 and self.home_score > self.away_score

    @property
    def half_over(self) -> bool:
        """Say whether this half-inning is done."""
        return self.outs >= 3 or self.walked_off

    def now(self, ahead: float = 0.0) -> str:
        """Give the clock as the feed writes it; `ahead` is in seconds."""
        return stamp(self.first_pitch, self.clock + ahead)


def stamp(base: datetime, seconds: float) -> str:
    """Give base plus seconds as ISO text in UTC with milliseconds."""
    return (base + timedelta(seconds=seconds)).isoformat(timespec="milliseconds") + "Z"


def _starting(side: Side) -> StartingSide:
    return StartingSide(side.club, side.roster, tuple(side.lineup), dict(side.position_of), side.pitcher)
