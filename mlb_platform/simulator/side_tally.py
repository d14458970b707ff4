"""What one side of a game did, counted: lines by player, by inning, and who stood where."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlb_platform.simulator.game_state import StartingSide
from mlb_platform.simulator.people import Json, Player
from mlb_platform.simulator.stat_lines import Line


@dataclass(slots=True)
class Appearance:
    """One pitcher's stay: the lead he came in with and went with, runners he found, whether he lost the lead."""

    player_id: int
    entered_lead: int
    inherited: int
    left_lead: int = 0
    lost_lead: bool = False


@dataclass(slots=True)
class SideTally:
    """What one side did: by player, by inning, and who stood where."""

    start: StartingSide
    players: dict[int, Player]
    batting: dict[int, Line] = field(default_factory=dict)
    pitching: dict[int, Line] = field(default_factory=dict)
    fielding: dict[int, Line] = field(default_factory=dict)
    slots: list[list[int]] = field(default_factory=list)
    fielders: dict[str, int] = field(default_factory=dict)
    positions: dict[int, list[str]] = field(default_factory=dict)
    order_codes: dict[int, str] = field(default_factory=dict)
    notes: list[tuple[int, str, str]] = field(default_factory=list)
    appearances: list[Appearance] = field(default_factory=list)
    innings: dict[int, list[int]] = field(default_factory=dict)
    next_slot: int = 0
    challenges_lost: int = 0
    challenges_used: int = 0
    mound_visits: int = 0
    left_scoring_two_out: dict[int, int] = field(default_factory=dict)
    two_out_rbi: dict[int, int] = field(default_factory=dict)
    risp: list[int] = field(default_factory=lambda: [0, 0])
    double_plays: list[str] = field(default_factory=list)
    pitched_to: dict[tuple[int, int], int] = field(default_factory=dict)
    outs_in: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def runs(self) -> int:
        """Give the runs of the side."""
        return sum(inning[0] for inning in self.innings.values())

    def inning(self, number: int) -> list[int]:
        """Give runs, hits, errors and left on base of an inning, to be counted up."""
        return self.innings.setdefault(number, [0, 0, 0, 0])


@dataclass(slots=True)
class Tally:
    """Both sides counted, and what the line score needs of the end."""

    away: SideTally
    home: SideTally
    plays: tuple[Json, ...]

    def side(self, home: bool) -> SideTally:
        """Give one of the two sides."""
        return self.home if home else self.away
