"""What time it is for the API: the real time, or that of a simulated API in which days pass in minutes."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

import httpx2

from resources.errors import PlatformError

READ_AGAIN_SECONDS = 30.0


class Clock(Protocol):
    """Tells the time (aware, UTC), and how fast it passes: `speed` seconds a real second."""

    @property
    def speed(self) -> float:
        """Seconds of this clock in a real second."""

    def now(self) -> datetime:
        """Return the time now, in UTC."""

    def sleep(self, seconds: float) -> None:
        """Return when so many seconds of this clock have passed."""


class SystemClock:
    """The real time."""

    speed = 1.0

    def now(self) -> datetime:
        """Return the time now, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        time.sleep(max(0.0, seconds))


class ServerClock:
    """The time of a simulated API: read from `url` ({"now": ISO time, "speed": number}) and carried on from there.

    It never goes back, and is read again every half minute: the server may have been started again.
    """

    def __init__(self, url: str, timeout_seconds: float = 5.0) -> None:
        self.url = url
        self._timeout = timeout_seconds
        self._guard = threading.Lock()
        self._read_at: float | None = None
        self._base = self._latest = datetime.min.replace(tzinfo=UTC)
        self._speed = 1.0

    @property
    def speed(self) -> float:
        """Seconds of the server in a real second."""
        self.now()
        return self._speed

    def now(self) -> datetime:
        """Return the server's time. Raises PlatformError when it never said one."""
        with self._guard:
            if self._read_at is None or time.monotonic() - self._read_at > READ_AGAIN_SECONDS:
                self._read()
            assert self._read_at is not None
            passed = (time.monotonic() - self._read_at) * self._speed
            self._latest = max(self._latest, self._base + timedelta(seconds=passed))
            return self._latest

    def _read(self) -> None:
        asked = time.monotonic()
        try:
            answer = httpx2.get(self.url, timeout=self._timeout)
            told = answer.raise_for_status().json()
            base, speed = datetime.fromisoformat(told["now"]), float(told["speed"])
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            if self._read_at is not None:
                return  # the clock goes on as it did
            raise PlatformError(
                f"no clock at {self.url} ({' '.join(str(error).split())[:120]}): start the simulated API, or unset "
                "MLB_API_CLOCK_URL"
            ) from error
        done = time.monotonic()
        self._base, self._speed, self._read_at = base.astimezone(UTC), speed, (asked + done) / 2

    def sleep(self, seconds: float) -> None:
        """Return when so many seconds of the server have passed."""
        if seconds > 0:
            time.sleep(seconds / max(self.speed, 1e-6))


def open_clock(clock_url: str | None) -> Clock:
    """Return the clock of a simulated API where its URL is given, else the real time."""
    return SystemClock() if clock_url is None else ServerClock(clock_url)
