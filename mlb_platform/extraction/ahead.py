"""Captures computed before they are asked for, in a thread of their own, while what was computed before is merged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

_Computed = TypeVar("_Computed")
_Captures = Mapping[int, str]
_log = logging.getLogger(__name__)


class Ahead(Generic[_Computed]):
    """Computes pieces, each some captures (raw_id to entity key), one after the other, and keeps what came of them."""

    def __init__(self, compute: Callable[[_Captures], _Computed]) -> None:
        """`compute` depends on the captures alone: what it gives now is what it would give later."""
        self._compute = compute
        self._thread = ThreadPoolExecutor(1, "ahead")
        self._pieces: dict[frozenset[int], Future[_Computed]] = {}

    @property
    def waiting(self) -> bool:
        """Whether something was begun and not taken."""
        return bool(self._pieces)

    def begin(self, pieces: Sequence[_Captures]) -> None:
        """Compute these pieces, in this order, and no other: what was begun and is not among them is dropped."""
        wanted = {frozenset(piece): piece for piece in pieces}
        for key in [k for k in self._pieces if k not in wanted]:
            self._pieces.pop(key).cancel()
        for key, piece in wanted.items():
            if key not in self._pieces:
                self._pieces[key] = self._thread.submit(self._compute, piece)

    def take(self, captures: _Captures) -> _Computed | None:
        """Return what was computed of exactly these captures, waiting for it; None where it was not begun or failed.

        It is given once. Whoever asks then computes it, and sees what fails.
        """
        future = self._pieces.pop(frozenset(captures), None)
        if future is None:
            return None
        try:
            return future.result()
        except CancelledError:
            return None
        except Exception as error:  # noqa: BLE001 (whatever it is, it comes again where it can be told of)
            _log.info("%s captures could not be computed ahead: %s", len(captures), error)
            return None
