"""The client against a server that misbehaves: retries, Retry-After, cut answers, 304, one rate; nothing bad stored."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from mlb_platform.ingestion.statsapi import endpoints
from mlb_platform.ingestion.statsapi.client import (
    NOTICE,
    ApiRefused,
    ApiUnreachable,
    CircuitOpen,
    StatsApi,
    notice_once,
)
from mlb_platform.ingestion.statsapi.ingest import Ingestor, UnusableAnswer
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.settings import PROJECT_ROOT, Settings
from mlb_platform.simulator.api import ServeOptions, serving
from resources.http_client import FAILURES_TO_OPEN
from resources.http_limits import SCHEMA, SharedRate
from resources.postgres import Postgres
from resources.quality_store import QualityStore
from resources.raw_store import InsertOutcome, RawStore
from tests.integration.http_server import GOOD, answer, drop, scripted


@cache
def mappings() -> Mapping[str, ResolvedMapping]:
    return MappingRegistry(PROJECT_ROOT / "mapping_configs").mappings


@contextmanager
def client(postgres: Postgres, url: str, **settings: object) -> Iterator[Ingestor]:
    values = {"api_url": url, "api_rate_per_second": 500.0, "api_attempts": 3, "api_timeout_seconds": 30.0} | settings
    api = StatsApi(Settings(**values), postgres)  # type: ignore[arg-type]
    try:
        yield Ingestor(RawStore(postgres), QualityStore(postgres), api, mappings())
    finally:
        api.close()


def stored(postgres: Postgres, table: str = "schedule.schedule_raw") -> list[tuple[object, ...]]:
    with postgres.transaction() as connection:
        found = f"SELECT entity_key, status_code, url, last_seen_at IS NOT NULL FROM {table} ORDER BY raw_id"
        return connection.execute(found.encode()).fetchall()


def rejected(postgres: Postgres) -> list[str]:
    with postgres.transaction() as connection:
        rows = connection.execute("SELECT reason FROM quality.rejected_payloads ORDER BY 1").fetchall()
    return [str(r[0]) for r in rows]


def test_what_passes_is_tried_again(database: Postgres) -> None:
    """A dropped connection, a 503 and a body cut in the middle are asked again; one row is stored, and nothing bad."""
    cut = answer(200, GOOD[:9], Content_Length=str(len(GOOD)))
    with scripted(drop, answer(503), cut, answer(200)) as (url, script), client(database, url, api_attempts=5) as made:
        done = made.ingest(endpoints.schedule(date(2024, 7, 1)))
    assert done.outcome is InsertOutcome.STORED and len(script.times) == 4
    assert [row[:2] for row in stored(database)] == [("2024-07-01", 200)]
    assert "mlb-data-platform/" in script.headers[0]["User-Agent"]


def test_retry_after_is_followed(database: Postgres) -> None:
    """The server says in how many seconds to come back, and that is when the client does."""
    with scripted(answer(429, b"", Retry_After="2"), answer(200)) as (url, script), client(database, url) as made:
        made.ingest(endpoints.schedule(date(2024, 7, 2)))
    assert 1.9 <= script.times[1] - script.times[0] < 6


def test_errors_that_stay_say_what_to_do(database: Postgres) -> None:
    """An error that stays, a refusal and no server at all are each one clear line; a refusal is not asked again."""
    with scripted(answer(500)) as (url, script), client(database, url, api_attempts=2) as made:
        with pytest.raises(ApiRefused, match="HTTP status 500 2 times") as found:
            made.ingest(endpoints.schedule(date(2024, 7, 3)))
        assert found.value.status == 500 and len(script.times) == 2
    with scripted(answer(404)) as (url, script), client(database, url) as made:
        with pytest.raises(ApiRefused, match="HTTP status 404"):
            made.ingest(endpoints.schedule(date(2024, 7, 3)))
        assert len(script.times) == 1
    for url in ("http://127.0.0.1:9", "http://no-such-host.invalid"):
        with client(database, url, api_attempts=1) as made, pytest.raises(ApiUnreachable, match="check the connection"):
            made.ingest(endpoints.schedule(date(2024, 7, 3)))


def test_the_breaker_opens_and_says_until_when(database: Postgres) -> None:
    """After so many failures in a row nothing is asked any more; refusals of single requests do not count."""
    with scripted(answer(404), *[answer(500)] * 50) as (url, script), client(database, url, api_attempts=1) as made:
        for _ in range(1 + FAILURES_TO_OPEN):
            with pytest.raises(ApiRefused):
                made.ingest(endpoints.schedule(date(2024, 7, 4)))
        asked = len(script.times)
        with pytest.raises(CircuitOpen, match="none is made before") as found:
            made.ingest(endpoints.schedule(date(2024, 7, 4)))
        assert found.value.until > datetime.now(UTC) and len(script.times) == asked == 1 + FAILURES_TO_OPEN


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html><title>Oops</title></html>", "an HTML page"),
        (GOOD[:12], "truncated JSON"),
        (b'{"a": 1}', "another shape"),
        (b'{"dates": [], "wait": 1e-20000}', "PostgreSQL cannot store it"),
    ],
)
def test_what_is_no_answer_is_not_stored(database: Postgres, body: bytes, reason: str) -> None:
    """A page, half a document or another document with status 200 is kept as rejected, with the reason."""
    with scripted(answer(200, body)) as (url, _), client(database, url) as made:
        done = made.ingest(endpoints.schedule(date(2024, 7, 5)))
        assert done.outcome is None and done.rejection is not None and reason in done.rejection.reason
        if b"20000" not in body:  # what is only read need not fit into a table
            with pytest.raises(UnusableAnswer, match="rejected_payloads"):
                made.document(endpoints.game_changes(datetime(2024, 7, 5, tzinfo=UTC)))
    RawStore(database).ensure("schedule.schedule_raw")
    assert stored(database) == [] and any(reason in r for r in rejected(database))


def test_not_modified_moves_last_seen(database: Postgres) -> None:
    """What the server says still stands counts as seen; it is not asked so once another content is the newest."""
    tagged = answer(200, GOOD, ETag='"a"')
    other = answer(200, b'{"dates": [], "totalGames": 1}', ETag='"b"')
    with scripted(tagged, answer(304, b""), other, tagged) as (url, script), client(database, url) as made:
        request = endpoints.schedule(date(2024, 7, 6))
        assert made.ingest(request).outcome is InsertOutcome.STORED
        again = made.ingest(request)
        assert again.not_modified and again.outcome is InsertOutcome.SEEN
        assert [row[3] for row in stored(database)] == [True]
        assert made.ingest(request).outcome is InsertOutcome.STORED
        assert [h.get("If-None-Match") for h in script.headers] == [None, '"a"', '"a"']


def test_validators_are_those_of_the_answer_stored(database: Postgres) -> None:
    """An error page's ETag is not kept for the good answer that came next, and a 304 nobody asked for is no answer."""
    page, good = answer(200, b"<html></html>", ETag='"page"'), answer(200, GOOD, ETag='"good"')
    with scripted(page, good, answer(304, b"")) as (url, script), client(database, url) as made:
        request = endpoints.schedule(date(2024, 7, 8))
        assert made.ingest(request).outcome is InsertOutcome.STORED and made.ingest(request).not_modified
        assert [h.get("If-None-Match") for h in script.headers] == [None, None, '"good"']
        never_seen = made.ingest(endpoints.schedule(date(2024, 7, 9)))
        assert never_seen.rejection is not None and never_seen.rejection.reason == "the payload is empty"
    assert [row[0] for row in stored(database)] == ["2024-07-08"]


def test_what_its_own_day_dates_is_told_anew_each_day(database: Postgres) -> None:
    """A roster asked for without a date is that day's: the next day has a row of its own, whatever did not change."""

    class Today:
        speed, today = 1.0, datetime(2024, 7, 1, 12, tzinfo=UTC)

        def now(self) -> datetime:
            return self.today

        def sleep(self, seconds: float) -> None: ...

    def step(handler: BaseHTTPRequestHandler) -> None:
        same = handler.headers.get("If-None-Match") == '"r"'
        body = b'{"roster": [], "teamId": 147, "rosterType": "active"}'
        (answer(304, b"") if same else answer(200, body, ETag='"r"'))(handler)

    with scripted(step) as (url, _), client(database, url) as made:
        made.api.clock = clock = Today()
        for _ in range(2):
            assert made.ingest(endpoints.roster(147)).outcome is InsertOutcome.STORED
            clock.today += timedelta(days=1)
        dated = endpoints.roster(147, "active", date(2024, 7, 9))
        assert made.ingest(dated).outcome is InsertOutcome.STORED and made.ingest(dated).not_modified
    keys = [row[0] for row in stored(database, "team.roster_raw")]
    assert keys == ["147/active/2024-07-01", "147/active/2024-07-02", "147/active/2024-07-09"]


def _take_turns(url: str, count: int) -> None:
    rate = SharedRate(Postgres(url), "test", 10)
    for _ in range(count):
        rate.wait_turn()
    rate.close()


def test_two_processes_share_one_rate(database: Postgres) -> None:
    """Together they keep under the rate in every window, however they interleave: by the times the database gave."""
    SharedRate(database, "test", 10).close()
    table = f"{SCHEMA}.ratelimit___test"
    with database.transaction() as connection:  # turns are forgotten after a while, so note each
        connection.execute("CREATE TABLE public.turns (at timestamp)")
        connection.execute("""
            CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO public.turns VALUES (NEW.item_timestamp); RETURN NEW; END $$
        """)
        made = f"CREATE TRIGGER noted AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION public.note()"
        connection.execute(made.encode())
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_take_turns, args=(database.url, 12)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    with database.transaction() as connection:
        found = [row[0] for row in connection.execute("SELECT at FROM public.turns ORDER BY at").fetchall()]
    assert len(found) == 24
    assert all(found[n + 10] - found[n] >= timedelta(seconds=1) for n in range(len(found) - 10))


def test_a_simulated_day_through_the_client(database: Postgres) -> None:
    """Every endpoint of the simulated API passes the gate; its time is when captures were made."""
    start = datetime(2024, 7, 1, 23, tzinfo=UTC)
    with (
        serving(ServeOptions(start=start, speed=1, games=2)) as server,
        client(database, server.url, api_clock_url=server.clock_url) as made,
    ):
        listed = made.ingest(endpoints.schedule(date(2024, 7, 1)))
        assert listed.capture is not None and 0 <= (listed.capture.captured_at - start).total_seconds() < 60
        pk = "1909440"
        for request in (
            endpoints.live_feed(pk), endpoints.boxscore(pk), endpoints.linescore(pk), endpoints.play_by_play(pk),
            endpoints.people([900000]), endpoints.teams(2024), endpoints.team(919, 2024), endpoints.venues([9100]),
            endpoints.seasons(), endpoints.postseason(2023), endpoints.postseason_series(2023),
        ):  # fmt: skip
            assert made.ingest(request).outcome is InsertOutcome.STORED, request.name
        past = made.ingest(endpoints.live_feed(pk, "20240701_180000"))
        assert past.capture is not None and past.capture.captured_at == datetime(2024, 7, 1, 18, tzinfo=UTC)
        stamps = made.document(endpoints.timestamps(pk))
        patches = made.document(endpoints.diff_patch(pk, stamps[0]))
        assert patches[0]["diff"] and made.document(endpoints.game_status())


def test_the_notice_is_shown_once(tmp_path: Path) -> None:
    """MLB's notice is given the first time in a home, and never again there."""
    settings = Settings(home=tmp_path)
    assert notice_once(settings) == NOTICE and notice_once(settings) is None
