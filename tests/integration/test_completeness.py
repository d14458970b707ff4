"""Completeness: each gap that can be is made, found with its reason, and its repair is a command there is."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import orjson
import pytest
import typer

from asset_checks.completeness import evaluate_completeness
from mlb_platform.cli.main import app
from mlb_platform.ingestion.completeness.gaps import Answer, Gap, colour_of, judge
from mlb_platform.ingestion.completeness.look import Completeness, dates_with_schedule, look_at
from mlb_platform.ingestion.completeness.page import calendar_svg, write_page
from mlb_platform.ingestion.completeness.store import CompletenessTable
from mlb_platform.ingestion.dates.listings import GameState, Listing
from mlb_platform.ingestion.dates.opened import open_ingestion
from mlb_platform.ingestion.dates.plan import ENDPOINTS, FEED, Known
from mlb_platform.ingestion.gate import Request, admit, gate_specs
from mlb_platform.ingestion.recaptures import refetch
from mlb_platform.ingestion.statsapi.ingest import open_ingestor
from mlb_platform.live.games_table import LiveGame, LiveGames
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from mlb_platform.simulator.api import ServeOptions, serving
from mlb_platform.simulator.api.serve import Serving
from mlb_platform.simulator.events import EventRates
from resources.fetch_log import FetchLog
from resources.merge_state import MergeStates
from resources.postgres import Postgres
from resources.raw_store import RawCapture

DAY = date(2024, 7, 1)
AT = datetime(2024, 7, 2, 6, tzinfo=UTC)
PK = "1909440"


@pytest.fixture
def made(database: Postgres, tmp_path: Path) -> Iterator[Platform]:
    """A platform whose raw store has a finished date of three games, without Spark."""
    with serving(ServeOptions(start=datetime(2024, 7, 3, 14, tzinfo=UTC), speed=1, games=3)) as server:
        made = Platform(
            Settings(home=tmp_path, database_url=database.url, api_url=server.url, api_clock_url=server.clock_url,
                     api_rate_per_second=500)
        )  # fmt: skip
        with open_ingestion(made, wanted=ENDPOINTS[:5]) as ingestion:
            assert ingestion.dates([DAY]).complete
        yield made
        made.postgres.close()


def execute(made: Platform, statement: str) -> None:
    with made.postgres.transaction() as connection:
        connection.execute(statement.encode())


def looked(made: Platform, *days: date, now: datetime | None = None) -> Completeness:
    return look_at(made.raw, made.registry.mappings, list(days or [DAY]), now=now)


def line(look: Completeness, endpoint: str, pk: str = PK) -> Gap:
    (found,) = [g for g in look.gaps if g.game_pk == pk and g.endpoint == endpoint]
    return found


def command_exists(text: str) -> bool:
    """Tell whether a command line is one that `mlb` takes, its options included."""
    words = shlex.split(text)
    assert words.pop(0) == "mlb"
    command: click.Command = typer.main.get_command(app)
    context = click.Context(command)
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
        context = click.Context(command, parent=context)
    command.parse_args(context, words)
    return True


def test_every_gap_in_the_store_has_its_reason(made: Platform) -> None:
    """Not fetched, failed n times, held, older, not materialized, stale: each is told, written, and can be repaired."""
    pending = looked(made)
    assert {g.gap for g in pending.gaps if g.game_pk == PK} == {"pending"}
    execute(made, f"DELETE FROM game.boxscore_raw WHERE entity_key = '{PK}'")
    assert line(looked(made), "game/boxscore").reason == "not fetched"
    for _ in range(3):
        FetchLog(made.postgres).record(DAY, "game/boxscore", PK, "failed", error="HTTP status 503", status=503)
    assert line(looked(made), "game/boxscore").reason == "fetch failed 3 times: HTTP status 503"
    execute(made, f"UPDATE game.linescore_raw SET captured_at = captured_at - interval '9 days', last_seen_at = NULL "
                  f"WHERE entity_key = '{PK}'")  # fmt: skip
    assert line(looked(made), "game/linescore").reason == "older than the final feed"
    execute(made, f"""INSERT INTO quality.quarantine (raw_table, raw_id, table_name, rule, failures, samples,
            derivation_hash, entity_key, captured_at) SELECT 'game.live_game_v1', raw_id, 't', 'at_bat_index >= 0', 1,
            '[]', 'x', entity_key, captured_at FROM game.live_game_v1 WHERE entity_key = '{PK}'""")  # fmt: skip
    held = line(looked(made), FEED)
    assert held.reason == "quarantined: at_bat_index >= 0" and str(held.repair).startswith("mlb quarantine show")
    written = CompletenessTable(made.postgres).of_dates(DAY, DAY)
    assert {(g.endpoint, g.reason) for g in written if g.game_pk == PK} >= {(FEED, held.reason)}
    repairs = {g.repair for g in looked(made).gaps if g.repair is not None}
    assert len(repairs) > 4 and all(command_exists(r) for r in repairs)


def test_a_feed_that_stands_is_stale(made: Platform) -> None:
    """In progress by the schedule, and the feed's own clock an hour behind its last poll; or as the follower says."""
    execute(made, f"""UPDATE game.live_game_v1 SET data = jsonb_set(jsonb_set(data, '{{gameData,status}}',
            '{{"abstractGameState": "Live", "codedGameState": "I", "detailedState": "In Progress"}}'),
            '{{metaData,timeStamp}}', '"20240702_010000"'), captured_at = '2024-07-02T01:05:00Z',
            last_seen_at = '2024-07-02T02:00:00Z' WHERE entity_key = '{PK}'""")  # fmt: skip
    live = Listing(PK, GameState.LIVE, DAY)
    answer = Answer(Known(AT, AT), 1, GameState.LIVE, stale_since=AT)
    assert judge(live, DAY, FEED, answer).gap == "stale"
    assert line(looked(made), FEED).reason == "not final yet: the newest feed was captured before the end"
    execute(made, """UPDATE schedule.schedule_raw SET data = replace(data::text, '"detailedState": "Final"',
            '"detailedState": "In Progress"')::jsonb""")  # fmt: skip
    execute(
        made,
        """UPDATE schedule.schedule_raw SET data = replace(replace(data::text, '"codedGameState": "F"',
            '"codedGameState": "I"'), '"abstractGameState": "Final"',
            '"abstractGameState": "Live"')::jsonb""",
    )
    assert "stale since 2024-07-02 01:00" in str(line(looked(made), FEED).reason)
    LiveGames(made.postgres).save([LiveGame(PK, DAY, "following", "In Progress", stale_since=AT - timedelta(hours=1))])
    assert "stale since 2024-07-02 05:00" in str(line(looked(made), FEED).reason)


@pytest.mark.parametrize(
    ("game", "answer", "expected", "reason"),
    [
        (Listing(PK, GameState.PREVIEW, DAY), Answer(), False, "not started"),
        (Listing(PK, GameState.POSTPONED, date(2024, 7, 4)), Answer(), False, "postponed to 2024-07-04"),
        (
            Listing(PK, GameState.SUSPENDED, DAY, resumes=date(2024, 7, 2)),
            Answer(),
            False,
            "suspended until 2024-07-02",
        ),
        (Listing(PK, GameState.CANCELLED, DAY), Answer(), False, "cancelled"),
        (Listing(PK, GameState.LIVE, DAY), Answer(Known(AT, AT), 1, GameState.LIVE), True, "in progress"),
        (
            Listing(PK, GameState.FINAL, DAY),
            Answer(Known(AT, AT), 1, GameState.FINAL, final=True, merged=True),
            True,
            None,
        ),
    ],
)
def test_what_is_no_gap_says_why(game: Listing, answer: Answer, expected: bool, reason: str | None) -> None:
    """Games that are off, not begun or going on are no gaps, and say what they are."""
    found = judge(game, DAY, FEED, answer)
    assert (found.expected, found.gap, found.reason, found.repair) == (expected, None, reason, None)


def test_postponed_games_of_the_simulator(database: Postgres, tmp_path: Path) -> None:
    """A postponed game has a line under its old date that says where it went, from the real listing."""
    options = ServeOptions(
        start=datetime(2024, 7, 1, 23, tzinfo=UTC), speed=1, games=2, events=EventRates(0, 0, 1.0, 0, 0)
    )
    with serving(options) as server:
        made = Platform(
            Settings(home=tmp_path, database_url=database.url, api_url=server.url, api_clock_url=server.clock_url,
                     api_rate_per_second=500)
        )  # fmt: skip
        with open_ingestion(made, wanted=ENDPOINTS[:5]) as ingestion:
            ingestion.dates([DAY])
        reasons = {g.reason for g in looked(made).gaps if g.game_pk == PK}
    assert len(reasons) == 1 and str(reasons.pop()).startswith("postponed to 2024-07-0")


def test_page_calendar_and_check(made: Platform, tmp_path: Path) -> None:
    """The season's page shows dates by colour and gaps with repairs; the check warns where a game is not there."""
    look = looked(made, DAY, date(2024, 7, 2))
    assert colour_of(look.of(DAY)) == "pending" and colour_of(look.of(date(2024, 7, 2))) == "gaps"
    assert calendar_svg(look).count("<rect") == 2
    text = write_page(look, "Season", tmp_path / "page.html").read_text("utf-8")
    assert "mlb ingest statsapi --date 2024-07-02" in text
    assert DAY in dates_with_schedule(made.raw, made.registry.mappings, 2024)
    feed = made.registry.get(FEED)
    (passed,) = evaluate_completeness(made, feed, [DAY])
    assert passed.passed and passed.metadata["to_be_materialized"].value == 3 * 4
    execute(made, f"DELETE FROM game.live_game_v1 WHERE entity_key = '{PK}'")
    (failed,) = evaluate_completeness(made, feed, [DAY])
    assert not failed.passed and "not fetched" in str(failed.description) and failed.metadata["gaps"].value == 1


@contextmanager
def served(database: Postgres, tmp_path: Path, start: datetime, **options: Any) -> Iterator[tuple[Serving, Platform]]:
    """A server at a time of the season, and a platform that has nothing yet."""
    with serving(ServeOptions(start=start, speed=1, **options)) as server:
        made = Platform(
            Settings(home=tmp_path, database_url=database.url, api_url=server.url, api_clock_url=server.clock_url,
                     api_rate_per_second=500)
        )  # fmt: skip
        yield server, made
        made.postgres.close()


def fetch(made: Platform, *wanted: str, game: str | None = None) -> None:
    with open_ingestion(made, wanted=wanted) as ingestion:
        assert (ingestion.dates([DAY]) if game is None else ingestion.single_games([game])).complete


def test_a_schedule_of_the_morning_is_not_believed_for_ever(database: Postgres, tmp_path: Path) -> None:
    """What had not begun then is due once its date is over; a feed that is over says what else is missing."""
    with served(database, tmp_path, datetime(2024, 7, 1, 12, tzinfo=UTC), games=1) as (server, made):
        fetch(made, "schedule/schedule")
        evening = line(looked(made, now=datetime(2024, 7, 2, 1, tzinfo=UTC)), FEED)
        assert (evening.gap, evening.reason) == (None, "not started")
        next_day = line(looked(made, now=datetime(2024, 7, 2, 12, tzinfo=UTC)), FEED)
        assert next_day.gap == "outdated" and "by the schedule of 2024-07-01 12:00 UTC" in str(next_day.reason)
        assert next_day.repair == f"mlb ingest statsapi --date {DAY}" and command_exists(next_day.repair)
        server.clock.forward(timedelta(hours=40))
        fetch(made, FEED, game=PK)
        found = looked(made)
        assert (line(found, FEED).gap, line(found, FEED).final_captured) == ("pending", True)
        assert (line(found, "game/boxscore").state, line(found, "game/boxscore").reason) == ("final", "not fetched")


def test_answers_of_a_game_going_on(database: Postgres, tmp_path: Path) -> None:
    """Nobody polls on: stale. Over by now: what was received in mid-game is older, and fetches that failed are told."""
    with served(database, tmp_path, datetime(2024, 7, 1, 23, 50, tzinfo=UTC), games=4) as (server, made):
        fetch(made, *ENDPOINTS[:5])
        at = server.clock.now()
        pk = min(g.game_pk for g in looked(made).gaps if g.state == "in progress")
        assert line(looked(made, now=at + timedelta(hours=2)), FEED, pk).gap is None
        left = line(looked(made, now=at + timedelta(hours=4)), FEED, pk)
        assert left.gap == "stale" and "stale since 2024-07-01 23:5" in str(left.reason)
        assert command_exists(str(left.repair))
        server.clock.forward(timedelta(hours=20))
        fetch(made, "schedule/schedule")
        FetchLog(made.postgres).record(DAY, FEED, pk, "failed", error="HTTP status 503", status=503)
        found = looked(made)
        assert str(line(found, FEED, pk).reason).startswith("fetch failed once: HTTP status 503 (not final yet")
        box = line(found, "game/boxscore", pk)
        assert (box.reason, box.final_captured) == ("older than the final feed", False)
        fetch(made, *ENDPOINTS[:5])
        assert {g.gap for g in looked(made).gaps if g.game_pk == pk} == {"pending"}  # the repair repairs


def test_a_corrected_game_fetched_again_is_complete(database: Postgres, tmp_path: Path) -> None:
    """Its feed is fetched last, so it is the newest of all; the other answers are of the finished game all the same."""
    start = datetime(2024, 7, 2, 6, tzinfo=UTC)
    with served(database, tmp_path, start, games=1, corrections=1.0, correction_minutes=26 * 60) as (server, made):
        fetch(made, *ENDPOINTS[:5])
        server.clock.forward(timedelta(hours=40))
        with open_ingestor(made) as ingestor:
            assert len(refetch(ingestor, [PK]).changed) == 4
        found = looked(made)
        assert line(found, FEED).newest_captured_at > line(found, "game/boxscore").newest_captured_at  # type: ignore
        assert {(g.gap, g.final_captured) for g in found.gaps} == {("pending", True)}


def test_only_all_tables_of_both_sinks_are_in_the_tables(made: Platform) -> None:
    """A game merged into PostgreSQL alone, or into all tables but one, is still to be materialized."""
    MergeStates(made.postgres).ensure()
    feed = made.registry.get(FEED)
    insert = """INSERT INTO quality.merge_state (sink, table_name, scope, observed_at, content_hash, raw_id,
        derivation_hash, rows) SELECT CASE %s WHEN 'postgres' THEN 'postgres' ELSE 'delta:' || gen_random_uuid() END, t,
        entity_key, captured_at, content_hash, raw_id, 'x', 1
        FROM game.live_game_v1, unnest(%s::text[]) t WHERE entity_key = %s"""
    names = [t.name for t in feed.targets]
    expected = [("postgres", names, "pending"), ("delta", names[1:], "pending"), ("delta", names[:1], None)]
    for sink, tables, gap in expected:
        with made.postgres.transaction() as connection:
            connection.execute(insert, [sink, tables, PK])
        found = line(looked(made), FEED)
        assert (found.gap, found.in_tables) == (gap, gap is None)


def test_a_date_without_schedule_expects_nothing_of_a_run(made: Platform) -> None:
    """Captures without a schedule: the check passes and writes no gap; doctor, who asks for that date, is told."""
    other = date(2024, 8, 1)
    (verdict,) = evaluate_completeness(made, made.registry.get(FEED), [other])
    assert verdict.passed and CompletenessTable(made.postgres).of_dates(other, other) == []
    assert [g.reason for g in looked(made, other).gaps] == ["the schedule is not known"]


def test_an_evening_in_new_york_is_not_the_next_day(made: Platform) -> None:
    """At 21:00 there, UTC has the next date: by season it is expected once New York has it."""
    spec = gate_specs(made.registry.mappings)["season/seasons"]
    season = {"seasonId": "2024", "regularSeasonStartDate": "2024-07-01", "regularSeasonEndDate": "2024-09-29"}
    capture = admit(orjson.dumps({"seasons": [season]}), Request("t", AT, "seasons"), spec)
    assert isinstance(capture, RawCapture)
    made.raw.insert(spec.raw_table, capture)
    for hour, last in ((1, 12), (4, 13)):
        now = datetime(2024, 7, 13, hour, tzinfo=UTC)
        days = dates_with_schedule(made.raw, made.registry.mappings, 2024, now=now)
        assert days == [date(2024, 7, n) for n in range(1, last + 1)]
