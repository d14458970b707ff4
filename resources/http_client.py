"""GET over HTTP, politely: a shared rate, retries with jitter, Retry-After, and a breaker that opens when all fails."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import httpx2
import pybreaker
import stamina

from resources.errors import PlatformError

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""The statuses of which the same request may succeed a little later."""
LONGEST_WAIT = 60.0
"""Seconds that a `Retry-After` is followed at most; a longer one is cut to it."""
FAILURES_TO_OPEN = 5
"""Requests in a row that failed, retries included, before no more are made for a while."""
OPEN_SECONDS = 60.0
ANSWER_SECONDS = 120.0
"""Seconds in which an answer has to be complete, however steadily its bytes come."""


class Unreachable(PlatformError):
    """No complete answer came, however often it was tried."""


class Refused(PlatformError):
    """The server answered with an error status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class CircuitOpen(PlatformError):
    """Too many requests failed in a row: none is made before `until`."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


@dataclass(frozen=True)
class HttpOptions:
    """How to ask: seconds for connecting and between bytes, tries in all, and who asks."""

    user_agent: str
    timeout_seconds: float = 20.0
    attempts: int = 5
    open_seconds: float = OPEN_SECONDS
    answer_seconds: float = ANSWER_SECONDS


@dataclass(frozen=True)
class HttpAnswer:
    """A complete answer (2xx or 304); `seconds` are those of all its `attempts`, without waiting."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    attempts: int
    seconds: float


class _Retry(Exception):
    """An answer that may be better next time."""

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__(f"HTTP status {answer.status_code}")
        self.status = answer.status_code
        self.wait = retry_after(answer.headers.get("retry-after"))


class HttpClient:
    """One server's client; safe to share between threads. `wait_turn` is called before every attempt: the rate."""

    def __init__(self, options: HttpOptions, wait_turn: Callable[[], None]) -> None:
        # to our own log: by default retries are told on stdout where structlog is installed
        stamina.instrumentation.set_on_retry_hooks([stamina.instrumentation.LoggingOnRetryHook])
        self.options = options
        self._wait_turn = wait_turn
        self._client = httpx2.Client(
            headers={"User-Agent": options.user_agent, "Accept": "application/json"},
            timeout=httpx2.Timeout(options.timeout_seconds),
            follow_redirects=True,
        )
        self._state = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=FAILURES_TO_OPEN, reset_timeout=options.open_seconds, exclude=[_is_no_failure],
            throw_new_error_on_trip=False, state_storage=self._state,
        )  # fmt: skip
        self._trial = threading.Lock()

    def get(self, url: str, params: Mapping[str, str], headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """Return the complete answer to a GET.

        Statuses 408, 425, 429 and 5xx, timeouts, dropped connections and bodies cut off are tried again, after what
        `Retry-After` says or an exponential wait with jitter. Raises Unreachable, Refused or CircuitOpen.
        """
        with self._passage(url):
            try:
                answer = self._get(url, params, headers or {})
            except (Unreachable, Refused) as error:
                self._note(error)
                raise
            self._note(None)
            return answer

    @contextmanager
    def _passage(self, url: str) -> Iterator[None]:
        """Let a request pass where the breaker is closed, and one at a time where its time is over: the trial."""
        opened = self._state.opened_at if self._state.state == pybreaker.STATE_OPEN else None
        if opened is None:
            yield
            return
        now = datetime.now(UTC)
        until = opened + timedelta(seconds=self.options.open_seconds)
        if now < until or not self._trial.acquire(blocking=False):
            until = max(until, now + timedelta(seconds=1))
            raise CircuitOpen(
                f"{FAILURES_TO_OPEN} requests in a row failed at {_server(url)}: none is made before "
                f"{until:%H:%M:%S} UTC; run it again later, what is stored stays",
                until,
            )
        try:
            yield
        finally:
            self._trial.release()

    def _note(self, error: Unreachable | Refused | None) -> None:
        """Tell the breaker how a request ended. Only that: it locks while it calls, and would make requests queue."""
        with suppress(pybreaker.CircuitBreakerError, Unreachable, Refused):  # open already, or the error itself
            self._breaker.call(_outcome, error)

    def _get(self, url: str, params: Mapping[str, str], headers: Mapping[str, str]) -> HttpAnswer:
        attempts, seconds = 0, 0.0
        try:
            for attempt in stamina.retry_context(
                on=_wait_before_next, attempts=self.options.attempts, timeout=None, wait_initial=0.5, wait_max=15.0,
                wait_jitter=1.0,
            ):  # fmt: skip
                with attempt:
                    self._wait_turn()
                    attempts, started = attempts + 1, time.monotonic()
                    try:
                        answer, body = self._read(url, params, headers)
                    finally:
                        seconds += time.monotonic() - started
                    if answer.status_code in RETRIED:
                        raise _Retry(answer)
        except _Retry as error:
            raise Refused(f"{url} answered {error} {_times(attempts)}: try it again later", error.status) from error
        except httpx2.HTTPError as error:
            raise Unreachable(
                f"no answer from {url}, asked {_times(attempts)}: {_why(error)}; check the connection to the "
                "internet and the address, then run it again"
            ) from error
        if answer.status_code >= 400:
            raise Refused(f"{answer.url} answered HTTP status {answer.status_code}", answer.status_code)
        return HttpAnswer(str(answer.url), answer.status_code, answer.headers, body, attempts, seconds)

    def _read(self, url: str, params: Mapping[str, str], headers: Mapping[str, str]) -> tuple[httpx2.Response, bytes]:
        """Return an answer and its complete body; raises httpx2.ReadTimeout where that takes too long in all."""
        by = time.monotonic() + self.options.answer_seconds
        parts: list[bytes] = []
        with self._client.stream("GET", url, params=dict(params), headers=dict(headers)) as answer:
            for part in answer.iter_bytes():
                parts.append(part)
                if time.monotonic() > by:
                    raise httpx2.ReadTimeout(f"the answer was not complete after {self.options.answer_seconds:g} s")
        return answer, b"".join(parts)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def retry_after(text: str | None) -> float | None:
    """Return the seconds a `Retry-After` asks for (RFC 9110, 10.2.3: seconds or a date), at most LONGEST_WAIT."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_WAIT)


def _wait_before_next(error: Exception) -> bool | float:
    """Tell whether, or after how many seconds, a failed attempt is made again."""
    if isinstance(error, _Retry):
        return True if error.wait is None else max(error.wait, 0.05)
    if isinstance(error, httpx2.UnsupportedProtocol):
        return False  # no URL of a server: it stays so
    return isinstance(error, httpx2.TransportError | httpx2.DecodingError)


def _outcome(error: Exception | None) -> None:
    if error is not None:
        raise error


def _is_no_failure(error: Exception) -> bool:
    """Tell whether an error says nothing against the server: it answered, and did not like the request."""
    return isinstance(error, Refused) and error.status not in RETRIED


def _times(attempts: int) -> str:
    return "once" if attempts == 1 else f"{attempts} times"


def _server(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


def _why(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
