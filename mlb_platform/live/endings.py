"""Games that are over, brought through the batch path; what fails is tried again, and does not stop the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

_log = logging.getLogger(__name__)
PAUSES = (2.0, 10.0, 30.0)
"""Real seconds until the next attempt, after each that failed; then a game is given to the report."""


REST = 60.0
"""Real seconds between two hand-overs while other games go on, whose rows come first."""


class Endings:
    """Calls `end`, in a thread of its own, with games that are over: those that wait at once, after a failure alone.

    While other games go on, it rests for `rest` seconds after each time.
    """

    def __init__(
        self, end: Callable[[Sequence[str]], None], pauses: Sequence[float] = PAUSES, rest: float = REST
    ) -> None:
        self._end, self._pauses, self._rest = end, pauses, rest
        self._rested_at = 0.0
        self._thread = ThreadPoolExecutor(1, "hand over")
        self._under_way: tuple[Future[None], list[str]] | None = None
        self._done: set[str] = set()
        self._failures: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self.failed: dict[str, str] = {}
        """Games that were given up, with what went wrong last."""
        self.errors = 0

    def look(self, over: Collection[str], *, others: bool = False) -> None:
        """Take in what was done, and begin with games of `over` whose turn it is; `others`: more games go on."""
        if self._under_way is not None and self._under_way[0].done():
            self._take()
        if self._under_way is not None:
            return
        now = time.monotonic()
        if others and now < self._rested_at:
            return
        waiting = [g for g in over if not self._settled(g) and self._due.get(g, now) <= now]
        fresh = [g for g in waiting if g not in self._failures]
        turn = fresh or waiting[:1]
        if turn:
            self._under_way = (self._thread.submit(self._end, turn), turn)

    def settled(self, over: Collection[str]) -> bool:
        """Tell whether nothing more is to be done for these games."""
        return self._under_way is None and all(map(self._settled, over))

    def close(self) -> None:
        """Finish what is under way."""
        self._thread.shutdown(wait=True)
        if self._under_way is not None:
            self._take()

    def _settled(self, game_pk: str) -> bool:
        return game_pk in self._done or game_pk in self.failed

    def _take(self) -> None:
        assert self._under_way is not None
        (future, games), self._under_way = self._under_way, None
        error = future.exception()
        if error is None:
            self._rested_at = time.monotonic() + self._rest
            self._done.update(games)
            return
        if not isinstance(error, Exception):
            raise error  # Ctrl-C
        self.errors += 1
        told = " ".join(str(error).split())[:300] or type(error).__name__
        _log.warning("game %s is not handed over: %s", ", ".join(games), told, exc_info=error)
        for game in games:
            failures = self._failures[game] = self._failures.get(game, 0) + 1
            if failures > len(self._pauses):
                self.failed[game] = told
            else:
                self._due[game] = time.monotonic() + self._pauses[failures - 1]
