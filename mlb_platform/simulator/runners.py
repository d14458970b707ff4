"""Movements of runners: advancing, scoring, being put out."""

from __future__ import annotations

from mlb_platform.simulator.game_state import BASES, Runner
from mlb_platform.simulator.people import Json, Player
from mlb_platform.simulator.play_builder import PlayBuilder, base_name, credit


class Movement:
    """Moves runners within one event of a play and writes their rows, all with that event's name and type."""

    def __init__(self, play: PlayBuilder, event: str, event_type: str, *, rbi: bool = False, index: int | None = None):
        """Name the event; `rbi` says whether runs that score on it are batted in."""
        self.play = play
        self.game = play.game
        self.event = event
        self.event_type = event_type
        self.rbi = rbi
        self.index = index

    def forced(self, base: int) -> bool:
        """Say whether the runner on a base (0 to 2) is forced by the batter becoming a runner."""
        return all(self.game.bases[lower] is not None for lower in range(base))

    def can_score(self) -> bool:
        """Say whether a run would still count: not after three outs, nor after a winning one but on a home run."""
        return self.game.outs < 3 and (self.event_type == "home_run" or not self.game.walked_off)

    def advance(self, base: int, to: int, reason: str = "r_adv_play", *, origin: int | None = None) -> None:
        """Move the runner on a base to a higher one (3 is home); what is taken or over is left as it is."""
        runner = self.game.bases[base]
        if runner is None or self.game.outs >= 3:
            return
        if to == 3 and not self.can_score():
            to = 2
        while to > base and to < 3 and self.game.bases[to] is not None:
            to -= 1
        if to == base:
            return
        self.game.bases[base] = None
        start = BASES[base if origin is None else origin]
        if to == 3:
            self._score(runner, start, BASES[base], reason)
        else:
            self.game.bases[to] = runner
            self._row(runner.player, origin=start, start=BASES[base], end=base_name(to), reason=reason)

    def out(self, base: int, at: str, reason: str, credits_: list[Json], event: tuple[str, str] | None = None,
            origin: int | None = None) -> None:  # fmt: skip
        """Put out the runner on a base at a base; `event` overrides name and type of the row."""
        runner = self.game.bases[base]
        if runner is None:
            return
        self.game.bases[base] = None
        name, kind = event or (self.event, self.event_type)
        start = BASES[base if origin is None else origin]
        self.play.row(
            runner.player, name, kind, origin=start, start=BASES[base], end=None, out_base=at, reason=reason,
            credits_=credits_, index=self.index,
        )  # fmt: skip

    def batter_out(self, credits_: list[Json], at: str = "1B") -> None:
        """Put out the batter."""
        self._row(self.play.batter, origin=None, start=None, end=None, out_base=at, credits_=credits_)

    def batter_to(self, base: int, credits_: list[Json] | None = None, *, earned: bool = True) -> None:
        """Put the batter on a base; 3 is a home run."""
        runner = Runner(self.play.batter, self.play.pitcher, earned)
        if base == 3:
            self._score(runner, None, None, None, credits_)
        else:
            self.game.bases[base] = runner
            self._row(runner.player, origin=None, start=None, end=BASES[base], credits_=credits_)

    def batter_further(self, base: int, to: int, reason: str, event: tuple[str, str], credits_: list[Json]) -> None:
        """Move the batter, already on a base, on to a free one on the same play."""
        runner = self.game.bases[base]
        if runner is None or self.game.bases[to] is not None:
            return
        self.game.bases[base], self.game.bases[to] = None, runner
        self.play.row(
            runner.player, *event, origin=None, start=BASES[base], end=BASES[to], reason=reason, credits_=credits_,
            index=self.index,
        )  # fmt: skip

    def push_forced(self) -> None:
        """Advance every runner the batter forces by one base (walk, hit batter ...)."""
        for base in (2, 1, 0):
            if self.game.bases[base] is not None and self.forced(base):
                self.advance(base, base + 1, "r_adv_force")

    def everyone_one_base(self, reason: str = "r_adv_play") -> None:
        """Advance every runner by one base (wild pitch, balk ...)."""
        for base in (2, 1, 0):
            self.advance(base, base + 1, reason)

    def _score(self, runner: Runner, origin: str | None, start: str | None, reason: str | None,
               credits_: list[Json] | None = None) -> None:  # fmt: skip
        earned = runner.earned and self.game.outs + self.game.errors < 3 and self.event_type not in _NEVER_EARNED
        self.play.row(
            runner.player, self.event, self.event_type, origin=origin, start=start, end="score", reason=reason,
            credits_=credits_, rbi=self.rbi, earned=earned, responsible=runner.pitcher, index=self.index,
        )  # fmt: skip

    def _row(
        self, player: Player, *, origin: str | None, start: str | None, end: str | None, out_base: str | None = None,
        reason: str | None = None, credits_: list[Json] | None = None,
    ) -> None:  # fmt: skip
        self.play.row(
            player, self.event, self.event_type, origin=origin, start=start, end=end, out_base=out_base, reason=reason,
            credits_=credits_, index=self.index,
        )  # fmt: skip

    def error(self, code: str, kind: str) -> list[Json]:
        """Give the credits of an error by a fielder and count the out it cost."""
        self.game.errors += 1
        return [credit(self.game.fielding, code, kind)]


_NEVER_EARNED = frozenset({"field_error", "passed_ball", "error", "catcher_interf"})
