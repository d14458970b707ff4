"""The HTTP client by itself: threads beside each other, the breaker's trial, dates to come back at, endless answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

import pytest

from resources.http_client import (
    FAILURES_TO_OPEN,
    CircuitOpen,
    HttpClient,
    HttpOptions,
    Refused,
    Unreachable,
    retry_after,
)
from resources.postgres import DatabaseError
from tests.integration.http_server import answer, scripted


def plain(wait_turn: Callable[[], None] = lambda: None, **options: object) -> HttpClient:
    values = {"user_agent": "test", "timeout_seconds": 60.0, "attempts": 3} | options
    return HttpClient(HttpOptions(**values), wait_turn)  # type: ignore[arg-type]


def test_retry_after_is_followed_as_a_date() -> None:
    """The server names the instant to come back at, and the client is there then; nonsense is passed over."""
    named = list[datetime]()

    def later(handler: BaseHTTPRequestHandler) -> None:
        named.append((datetime.now(UTC) + timedelta(seconds=3)).replace(microsecond=0))
        answer(503, b"", Retry_After=format_datetime(named[0], usegmt=True))(handler)

    def back(handler: BaseHTTPRequestHandler) -> None:
        named.append(datetime.now(UTC))
        answer(200)(handler)

    with scripted(later, back) as (url, _), plain() as asked:
        asked.get(url, {})
    assert timedelta(0) <= named[1] - named[0] < timedelta(seconds=30)
    assert [retry_after(text) for text in ("86400", "-1", "nan", "soon", None)] == [60.0, 0.0, None, None, None]


def test_threads_do_not_wait_for_each_other() -> None:
    """Four requests are at the server at once: it answers none of them before all have come."""
    all_there = threading.Barrier(4)

    def step(handler: BaseHTTPRequestHandler) -> None:
        all_there.wait(timeout=60)
        answer(200)(handler)

    with scripted(step) as (url, _), plain(attempts=1) as asked, ThreadPoolExecutor(4) as threads:
        assert [a.status for a in threads.map(lambda _: asked.get(url, {}), range(4))] == [200] * 4


def test_one_request_tries_whether_it_works_again() -> None:
    """When the breaker's time is over one request is made, the others still are not; its success lets all pass."""
    come, go = threading.Event(), threading.Event()

    def trial(handler: BaseHTTPRequestHandler) -> None:
        come.set()
        assert go.wait(60)
        answer(200)(handler)

    steps = [*[answer(500)] * FAILURES_TO_OPEN, trial, answer(200)]
    with scripted(*steps) as (url, script), plain(attempts=1, open_seconds=1.5) as asked, ThreadPoolExecutor(1) as one:
        for _ in range(FAILURES_TO_OPEN):
            with pytest.raises(Refused):
                asked.get(url, {})
        with pytest.raises(CircuitOpen):
            asked.get(url, {})
        time.sleep(1.6)
        first = one.submit(asked.get, url, {})
        assert come.wait(60)
        with pytest.raises(CircuitOpen) as found:
            asked.get(url, {})
        assert found.value.until > datetime.now(UTC) - timedelta(seconds=1)
        go.set()
        assert first.result(60).status == asked.get(url, {}).status == 200
        assert len(script.times) == FAILURES_TO_OPEN + 2


def test_a_lost_database_says_nothing_against_the_server() -> None:
    """The rate is the database's: while that is away nothing is asked, and afterwards the breaker is not open."""
    away = [True] * (FAILURES_TO_OPEN + 1)

    def wait_turn() -> None:
        if away:
            away.pop()
            raise DatabaseError("PostgreSQL does not answer")

    with scripted(answer(200)) as (url, script), plain(wait_turn) as asked:
        for _ in range(FAILURES_TO_OPEN + 1):
            with pytest.raises(DatabaseError):
                asked.get(url, {})
        assert asked.get(url, {}).status == 200 and len(script.times) == 1


def test_an_answer_that_never_ends_is_given_up() -> None:
    """Bytes that come one by one keep every single wait short: the whole answer has its time too."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(b" ")
                time.sleep(0.1)
        except OSError:
            pass  # the client has left

    started = time.monotonic()
    with scripted(drip) as (url, script), plain(attempts=2, answer_seconds=0.5) as asked:
        with pytest.raises(Unreachable, match=r"2 times: the answer was not complete after 0\.5 s"):
            asked.get(url, {})
        assert len(script.times) == 2 and time.monotonic() - started < 15
