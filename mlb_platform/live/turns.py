"""Who is at work: micro-batches first, what can wait in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_WAIT = 2.0
"""Seconds that what can wait lets urgent work go first."""


class Turns:
    """Lets work that is not urgent wait until no urgent work is under way, but not for ever."""

    def __init__(self) -> None:
        self._urgent = 0
        self._changed = threading.Condition()

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """Be at urgent work."""
        with self._changed:
            self._urgent += 1
        try:
            yield
        finally:
            with self._changed:
                self._urgent -= 1
                self._changed.notify_all()

    def wait(self, longest: float = LONGEST_WAIT) -> None:
        """Wait until nobody is at urgent work, or so many seconds."""
        end = time.monotonic() + longest
        with self._changed:
            while self._urgent and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
