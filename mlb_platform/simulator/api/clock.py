"""The time of a simulated API."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class VirtualClock:
    """Passes `speed` seconds a real second, from `start` on (aware); it can be set forward."""

    def __init__(self, start: datetime, speed: float) -> None:
        self.speed = speed
        self._start, self._began = start.astimezone(UTC), time.monotonic()

    def now(self) -> datetime:
        """Return the time now, in UTC."""
        return self._start + timedelta(seconds=(time.monotonic() - self._began) * self.speed)

    def forward(self, by: timedelta) -> None:
        """Let some time have passed."""
        self._start += by
