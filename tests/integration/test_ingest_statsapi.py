"""Dates fetched from a simulated Stats API over real HTTP: what is asked for, stored, resumed and reported."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    ExecuteInProcessResult,
    RetryPolicy,
    build_schedule_context,
    materialize,
)
from helpers import fresh_database
from http_server import answer, scripted
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from mlb_platform.assets.ingestion import INGESTION, ingestion_assets
from mlb_platform.assets.jobs import job_name
from mlb_platform.assets.partitions import date_partitions
from mlb_platform.cli.main import app, run
from mlb_platform.dagster_home import open_instance
from mlb_platform.definitions import build_definitions
from mlb_platform.ingestion.dates.opened import open_ingestion
from mlb_platform.ingestion.dates.plan import Mode
from mlb_platform.ingestion.dates.report import IngestionReport, Outcome
from mlb_platform.ingestion.gate import Request, admit, gate_specs
from mlb_platform.live.same_tables import differing_tables
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.platform import Platform
from mlb_platform.sensors.raw_rows import tick
from mlb_platform.settings import Settings
from mlb_platform.simulator import simulate_games
from mlb_platform.simulator.api import Faults, ServeOptions, Serving, serving
from mlb_platform.simulator.api.answers import Answers
from mlb_platform.simulator.api.world import World
from mlb_platform.simulator.events import EventRates
from resources.fetch_log import FetchLog
from resources.postgres import Postgres
from resources.raw_store import RawCapture

DAY = date(2024, 7, 1)
LONG_AFTER = datetime(2024, 7, 6, 14, tzinfo=UTC)


def options(**changes: object) -> ServeOptions:
    return ServeOptions(**({"start": LONG_AFTER, "speed": 1.0, "games": 3} | changes))  # type: ignore[arg-type]


@contextmanager
def platform_on(
    server: Serving, database: Postgres, home: Path, spark: SparkSession | None = None
) -> Iterator[Platform]:
    settings = Settings(
        home=home, database_url=database.url, api_url=server.url, api_clock_url=server.clock_url,
        api_rate_per_second=500, api_attempts=6,
    )  # fmt: skip
    made = Platform(settings, spark_factory=None if spark is None else lambda: spark)
    yield made
    made.postgres.close()


def ingested(made: Platform, *days: date, mode: Mode = Mode.missing) -> IngestionReport:
    with open_ingestion(made, mode) as ingestion:
        return ingestion.dates(days)


def raw_counts(database: Postgres) -> dict[str, int]:
    tables = ("game.live_game_v1", "game.boxscore_raw", "game.linescore_raw", "game.play_by_play_raw")
    with database.transaction() as connection:
        rows = {t: connection.execute(f"SELECT count(*) FROM {t}".encode()).fetchone() for t in tables}
        doubled = connection.execute(
            b"SELECT 1 FROM game.live_game_v1 GROUP BY entity_key, captured_at, content_hash HAVING count(*) > 1"
        ).fetchall()
    assert not doubled
    return {t: int(r[0]) for t, r in rows.items() if r}


def final_hashes(database: Postgres) -> set[tuple[str, str]]:
    query = b"SELECT entity_key, content_hash FROM game.live_game_v1"
    with database.transaction() as connection:
        return {(str(k), str(h)) for k, h in connection.execute(query).fetchall()}


def test_a_date_is_fetched_once(database: Postgres, tmp_path: Path) -> None:
    """All a date needs is in after one run, feeds as the simulator ends its games; a second run asks for nothing."""
    with serving(options()) as server, platform_on(server, database, tmp_path) as made:
        first = ingested(made, DAY)
        assert first.complete and first.total(Outcome.stored, "game/live_game_v1") == 3
        assert set(raw_counts(database).values()) == {3}
        expected = {str(capture.game_pk) for capture in simulate_games(3, DAY, 1)}
        assert {key for key, _ in final_hashes(database)} == expected
        for name in ("team/roster", "person/person", "team/teams", "venue/venue", "season/seasons"):
            assert any(first.total(outcome, name) for outcome in Outcome), name
        assert ingested(made, DAY).requests == 0


def test_modes(database: Postgres, tmp_path: Path) -> None:
    """After a correction `verify` says what differs and stores nothing, and `reconcile` stores it."""
    corrected = options(start=datetime(2024, 7, 2, 6, tzinfo=UTC), corrections=1.0, correction_minutes=60 * 24)
    with serving(corrected) as server, platform_on(server, database, tmp_path) as made:
        ingested(made, DAY)
        before = raw_counts(database)
        server.clock.forward(timedelta(days=3))
        with platform_on(server, database, tmp_path) as later:
            verified = ingested(later, DAY, mode=Mode.verify)
            assert not verified.complete and verified.total(Outcome.differs, "game/live_game_v1") == 3
            assert raw_counts(database) == before
            reconciled = ingested(later, DAY, mode=Mode.reconcile)
            assert reconciled.complete and reconciled.total(Outcome.stored, "game/live_game_v1") == 3
            assert raw_counts(database)["game.live_game_v1"] == before["game.live_game_v1"] + 3
            assert ingested(later, DAY, mode=Mode.verify).complete


def test_verify_finds_people_and_parks_whichever_request_brought_them(database: Postgres, tmp_path: Path) -> None:
    """Those of a second date came partly with the first: all are there, although no request was for just these."""
    days = [DAY, DAY + timedelta(days=1)]
    with serving(options(games=7)) as server, platform_on(server, database, tmp_path) as made:
        assert ingested(made, *days).complete
        verified = ingested(made, *days, mode=Mode.verify)
        assert verified.complete, [p.text for p in verified.problems]
        assert verified.total(Outcome.same, "venue/venue") == 2
        with database.transaction() as connection:
            connection.execute("UPDATE quality.raw_members SET told = 'other' WHERE raw_table = 'venue.venue_raw'")
        (differing,) = ingested(made, *days, mode=Mode.verify).problems
        assert "venue/venue" in differing.text and "differs, the raw store has another content of" in differing.text


def test_faults_of_the_server_lose_nothing(database: Postgres, tmp_path: Path) -> None:
    """Errors, cut answers and HTML pages end in the same raw rows; what could not be had is in the log of fetches."""
    faults = Faults(too_many=0.03, error=0.1, html=0.1, cut=0.1)
    with serving(options(faults=faults)) as server, platform_on(server, database, tmp_path) as made:
        reports = [ingested(made, DAY)]
        while not reports[-1].complete and len(reports) < 6:
            assert reports[-1].bare or FetchLog(database).failures([DAY])
            reports.append(ingested(made, DAY))
    assert reports[-1].complete and FetchLog(database).failures([DAY]) == []
    assert set(raw_counts(database).values()) == {3}


def test_games_that_are_off_are_not_asked_for_box_scores(database: Postgres, tmp_path: Path) -> None:
    """A postponed game is fetched under its new date, once, and under the old one it is no gap."""
    moved = options(events=EventRates(0, 0, 1.0, 0, 0), start=datetime(2024, 7, 1, 23, tzinfo=UTC), games=2)
    with serving(moved) as server, platform_on(server, database, tmp_path) as made:
        assert ingested(made, DAY).complete
    with database.transaction() as connection:
        feeds = {r[0] for r in connection.execute(b"SELECT entity_key FROM game.live_game_v1").fetchall()}
        scores = {r[0] for r in connection.execute(b"SELECT entity_key FROM game.boxscore_raw").fetchall()}
    off = {str(capture.game_pk) for capture in simulate_games(2, DAY, 1)}
    assert not scores & off and scores <= feeds


def test_resumed_after_kill(database: Postgres, tmp_path: Path) -> None:
    """Killed in the middle and run again, everything is there, once."""
    slow = options(games=6, faults=Faults(slow=1.0, slow_seconds=0.25))
    with serving(slow) as server:
        environment = os.environ | {
            "MLB_HOME": str(tmp_path), "MLB_DATABASE_URL": database.url, "MLB_API_URL": server.url,
            "MLB_API_CLOCK_URL": server.clock_url, "MLB_API_RATE_PER_SECOND": "500",
        }  # fmt: skip
        command = [sys.executable, "-m", "mlb_platform.cli.main", "ingest", "statsapi", "--date", DAY.isoformat()]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None and not _some_feeds(database):
            time.sleep(0.05)
        assert process.poll() is None, "it ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        there = raw_counts_or_none(database)
        assert 0 < there < 6
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert set(raw_counts(database).values()) == {6}
    stored = re.search(r"game/live_game_v1 +(\d+)", done.stdout)
    assert stored is not None and int(stored[1]) == 6 - there


def _some_feeds(database: Postgres) -> bool:
    return raw_counts_or_none(database) > 0


def raw_counts_or_none(database: Postgres) -> int:
    with database.transaction() as connection:
        there = connection.execute(b"SELECT to_regclass('game.live_game_v1')").fetchone()
        if there is None or there[0] is None:
            return 0
        row = connection.execute(b"SELECT count(*) FROM game.live_game_v1").fetchone()
    return int(row[0]) if row else 0


def materialized(
    made: Platform, instance: DagsterInstance, day: str = "2024-07-01", **config: str
) -> ExecuteInProcessResult:
    """Run the ingestion asset of a date."""
    mappings = [m for _, m in sorted(made.registry.mappings.items())]
    assets = ingestion_assets(mappings, date_partitions(date(2024, 1, 1)), RetryPolicy(max_retries=1, delay=0.1))
    return materialize(
        [assets], instance=instance, partition_key=day, resources={"platform": made}, raise_on_error=False,
        run_config={"ops": {"ingest_date": {"config": config}}},
    )  # fmt: skip


def events_of(result: ExecuteInProcessResult, kind: str) -> dict[str, tuple[str | None, dict[str, object]]]:
    """Partition and metadata of the events of a kind (materialization or observation), by asset."""
    found = {}
    for event in result.all_events:
        told = event.event_specific_data
        one = getattr(told, kind, None) or getattr(told, f"asset_{kind}", None)
        if one is not None:
            metadata = {name: value.value for name, value in one.metadata.items()}
            found[one.asset_key.to_user_string()] = (one.partition, metadata)
    return found


def test_ingestion_as_an_asset(database: Postgres, tmp_path: Path) -> None:
    """A run of a date fills the raw tables and says how, of each; `verify` observes and records nothing as made."""
    instance = DagsterInstance.ephemeral()
    with serving(options()) as server, platform_on(server, database, tmp_path) as made:
        result = materialized(made, instance)
        assert result.success and set(raw_counts(database).values()) == {3}
        told = events_of(result, "materialization")
        assert len(told) == len(made.registry.mappings) + 1 and {day for day, _ in told.values()} == {"2024-07-01"}
        counts = told["raw/game/live_game_v1"][1]
        assert (counts["requests"], counts["stored"]) == (3, 3)
        whole = told["ingestion/statsapi"][1]
        assert whole["stored"] == whole["requests"] and int(str(whole["bytes"])) > 100_000
        verified = materialized(made, instance, mode="verify")
        assert verified.success and list(events_of(verified, "materialization")) == ["ingestion/statsapi"]
        assert events_of(verified, "observation")["raw/game/boxscore_raw"][1]["same"] == 3


def test_what_may_pass_is_tried_again_and_bad_data_is_not(database: Postgres, tmp_path: Path) -> None:
    """No answer: the step is tried again. Pages of HTML: it fails at once. Neither records a materialization."""
    instance = DagsterInstance.ephemeral()
    settings = Settings(home=tmp_path, database_url=database.url, api_url="http://127.0.0.1:9", api_attempts=1)
    unreachable = Platform(settings)
    failed = materialized(unreachable, instance)
    unreachable.postgres.close()
    assert not failed.success and "STEP_UP_FOR_RETRY" in {e.event_type_value for e in failed.all_events}
    assert not events_of(failed, "materialization")
    with serving(options(faults=Faults(html=1.0))) as server, platform_on(server, database, tmp_path) as made:
        failed = materialized(made, instance)
    assert not failed.success and "STEP_UP_FOR_RETRY" not in {e.event_type_value for e in failed.all_events}
    assert not events_of(failed, "materialization")


def test_from_the_api_to_the_tables(
    database: Postgres, postgres: Postgres, spark: SparkSession, tmp_path: Path
) -> None:
    """The job fetches a date, the sensors ask for it and nothing else, and the tables are those of the games.

    What is fetched is compared with what the simulator's answers give that went through the gate without server or
    client: the contents of all answers about the games, and the tables of one mapping, which the feed gives its date.
    """
    games = options(games=2)
    answers, specs = Answers(World(games)), gate_specs(MappingRegistry(Settings().mappings).mappings)
    ways = {"live_game_v1": answers.feed, "boxscore": answers.boxscore, "play_by_play": answers.plays}
    ways["linescore"] = answers.linescore
    keys = [str(capture.game_pk) for capture in simulate_games(2, DAY, 1)]
    with (
        serving(games) as server,
        platform_on(server, database, tmp_path / "api", spark) as made,
        open_instance(made.settings, database) as instance,
        fresh_database(postgres) as other,
    ):
        definitions = build_definitions(made.settings, made)
        ingested = definitions.resolve_job_def("ingest_dates").execute_in_process(
            instance=instance, partition_key=DAY.isoformat()
        )
        assert ingested.success
        direct = Platform(Settings(home=tmp_path / "direct", database_url=other.url), spark_factory=lambda: spark)
        for method, answer in ways.items():
            spec = specs[f"game/{method}"]
            for key in keys:
                body = orjson.dumps(answer(int(key), {}, LONG_AFTER))
                admitted = admit(body, Request("the simulator", LONG_AFTER, key), spec)
                assert isinstance(admitted, RawCapture)
                direct.raw.insert(spec.raw_table, admitted)
            found, expected = (
                [(r.entity_key, r.content_hash) for r in p.raw.rows(spec.raw_table)] for p in (made, direct)
            )
            assert len(found) == 2 and found == expected, method
        mapping = made.registry.get("game/linescore")
        partitions = date_partitions(made.settings.first_partition_date)
        asked = tick(instance, None, mapping, partitions, made, logging.getLogger("sensor"))
        assert [r.partition_key for r in asked.run_requests or []] == [DAY.isoformat()]
        job = definitions.resolve_job_def(job_name(mapping))
        assert job.execute_in_process(instance=instance, partition_key=DAY.isoformat()).success
        direct.raw.redate(mapping.config.source.raw_table, "game_pk")
        assert differing_tables(database, direct, mapping, keys) == {}
        with database.transaction() as connection:
            assert connection.execute(b"SELECT count(*) >= 18 FROM game.linescore_innings").fetchone() == (True,)
        direct.postgres.close()


def test_materializing_the_tables_of_an_endpoint_asks_no_api(tmp_path: Path) -> None:
    """Raw tables come after ingestion in the graph, and are no assets that a run of their group would fetch."""
    graph = build_definitions(Settings(home=tmp_path)).resolve_asset_graph()
    raw = AssetKey(["raw", "game", "live_game_v1"])
    assert graph.get(raw).parent_keys == {INGESTION} and not graph.get(raw).is_executable
    assert [k for k in graph.executable_asset_keys if graph.get(k).group_name == "ingestion"] == [INGESTION]
    assert INGESTION in graph.get(raw).parent_keys and graph.get(INGESTION).group_name == "ingestion"


def test_the_pool_of_the_api_has_one_slot(database: Postgres, tmp_path: Path) -> None:
    """Two runs that ask the API do not go on at once; a limit that someone changed stays."""
    settings = Settings(home=tmp_path, database_url=database.url)
    with open_instance(settings, database) as instance:
        assert {p.name: p.limit for p in instance.event_log_storage.get_pool_limits()}["statsapi"] == 1
        instance.event_log_storage.set_concurrency_slots("statsapi", 3)
    with open_instance(settings, database) as instance:
        assert {p.name: p.limit for p in instance.event_log_storage.get_pool_limits()}["statsapi"] == 3


def test_schedules_ask_for_yesterday_and_today(database: Postgres, tmp_path: Path) -> None:
    """In the time of New York, where after midnight the evening's games go on; not while a run of the date is on."""
    settings = Settings(home=tmp_path, database_url=database.url)
    definitions = build_definitions(settings)
    repository, job = definitions.get_repository_def(), definitions.resolve_job_def("ingest_dates")
    night, morning = datetime(2024, 7, 2, 6, 45, tzinfo=UTC), datetime(2024, 7, 2, 13, tzinfo=UTC)
    with open_instance(settings, database) as instance:
        for name, at, day in (
            ("ingest_today", datetime(2024, 7, 1, 15, tzinfo=UTC), "2024-07-01"),
            ("ingest_today", night, "2024-07-01"),
            ("ingest_previous_date", morning, "2024-07-01"),
        ):
            schedule = definitions.get_schedule_def(name)
            with build_schedule_context(instance, scheduled_execution_time=at, repository_def=repository) as context:
                asked = schedule.evaluate_tick(context).run_requests
                assert asked is not None and [r.partition_key for r in asked] == [day]
                run = instance.create_run_for_job(job, tags={"dagster/partition": day}, status=DagsterRunStatus.STARTED)
                assert not schedule.evaluate_tick(context).run_requests
                instance.report_run_failed(run)
                assert schedule.evaluate_tick(context).run_requests


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--date", "2024-07-01", "--season", "2024"], "give one of"),
        (["--from", "2024-07-01"], "give both"),
        (["--date", "2024-07-01", "--mode", "all"], "missing|reconcile|verify"),
        (["--date", "2024-07-01", "--endpoint", "game/nothing"], "give one of schedule/schedule"),
        ([], "give one of"),
    ],
)
def test_wrong_questions(words: list[str], problem: str) -> None:
    """What cannot be asked is refused with what can."""
    result = CliRunner().invoke(app, ["ingest", "statsapi", *words], env={"COLUMNS": "300"})
    assert result.exit_code == 2 and problem in result.output


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<html><title>Try again</title></html>", "an HTML page titled 'Try again' instead of JSON"),
        (b'{"seasons": [{"seasonId": "20', "truncated JSON"),
        (b"[]", "another shape: the payload is list, not a JSON object"),
        (b'{"seasons": 5}', "the API knows no season 2024"),
        (b'{"seasons": [{"seasonId": "2024"}]}', "the API tells no dates of the season 2024"),
        (
            b'{"seasons": [{"seasonId": "2024", "regularSeasonStartDate": "2999-03-28", "regularSeasonEndDate": '
            b'"2999-09-29"}]}',
            "the season 2024 begins on 2999-03-28: there is nothing to fetch before",
        ),
    ],
)
def test_a_season_whose_dates_cannot_be_read_is_told(
    body: bytes, problem: str, database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The answer about seasons is looked at as any other, and a season without dates yet is no success."""
    with scripted(answer(200, body)) as (url, _):
        for name, value in (("HOME", str(tmp_path)), ("DATABASE_URL", database.url), ("API_URL", url)):
            monkeypatch.setenv(f"MLB_{name}", value)
        assert run(["ingest", "statsapi", "--season", "2024"]) == 1
    told = capfd.readouterr().err
    assert problem in told and "unexpected" not in told
