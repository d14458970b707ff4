"""Dates fetched from a simulated Stats API over real HTTP: what is asked for, stored, resumed and reported."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from dagster import DagsterInstance, RetryPolicy, build_schedule_context, materialize
from typer.testing import CliRunner

from mlb_platform.assets.ingestion import ingestion_assets
from mlb_platform.assets.partitions import date_partitions
from mlb_platform.cli.main import app
from mlb_platform.definitions import build_definitions
from mlb_platform.ingestion.dates.opened import open_ingestion
from mlb_platform.ingestion.dates.plan import Mode
from mlb_platform.ingestion.dates.report import IngestionReport, Outcome
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from mlb_platform.simulator import simulate_games
from mlb_platform.simulator.api import Faults, ServeOptions, Serving, serving
from mlb_platform.simulator.events import EventRates
from resources.fetch_log import FetchLog
from resources.postgres import Postgres

DAY = date(2024, 7, 1)
LONG_AFTER = datetime(2024, 7, 6, 14, tzinfo=UTC)


def options(**changes: object) -> ServeOptions:
    return ServeOptions(**({"start": LONG_AFTER, "speed": 1.0, "games": 3} | changes))  # type: ignore[arg-type]


@contextmanager
def platform_on(server: Serving, database: Postgres, home: Path) -> Iterator[Platform]:
    made = Platform(
        Settings(
            home=home, database_url=database.url, api_url=server.url, api_clock_url=server.clock_url,
            api_rate_per_second=500, api_attempts=6,
        )
    )  # fmt: skip
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


def test_ingestion_as_assets(database: Postgres, tmp_path: Path) -> None:
    """A run of a partition fills the raw tables and says how; what stays missing fails it, and is tried again."""
    instance = DagsterInstance.ephemeral()
    with serving(options()) as server, platform_on(server, database, tmp_path) as made:
        mappings = [m for _, m in sorted(made.registry.mappings.items())]
        assets = ingestion_assets(mappings, date_partitions(date(2024, 1, 1)), RetryPolicy(max_retries=1, delay=0.1))
        result = materialize(
            [assets], instance=instance, partition_key="2024-07-01", resources={"platform": made}, raise_on_error=False
        )
        assert result.success and set(raw_counts(database).values()) == {3}
        told = {
            e.asset_key.to_user_string(): e.step_materialization_data.materialization.metadata["requests"].value
            for e in result.get_asset_materialization_events()
            if e.asset_key is not None
        }
        assert told["raw/game/live_game_v1"] == 3 and len(told) == len(mappings)
    broken = Settings(home=tmp_path, database_url=database.url, api_url="http://127.0.0.1:9", api_attempts=1)
    failed = materialize(
        [assets], instance=instance, partition_key="2024-07-01", resources={"platform": Platform(broken)},
        run_config={"ops": {"ingest_date": {"config": {"mode": "reconcile"}}}}, raise_on_error=False,
    )  # fmt: skip
    assert not failed.success
    events = Counter(event.event_type_value for event in failed.all_events)
    assert events["STEP_UP_FOR_RETRY"] >= 1  # what failed may pass later


def test_schedules_ask_for_yesterday_and_today(tmp_path: Path) -> None:
    """In the time of New York, where a night game's date is still the evening's."""
    definitions = build_definitions(Settings(home=tmp_path))
    repository = definitions.get_repository_def()
    morning, through = (definitions.get_schedule_def(n) for n in ("ingest_previous_date", "ingest_today"))
    late = datetime(2024, 7, 2, 3, 15, tzinfo=UTC)
    for schedule, day in ((morning, "2024-06-30"), (through, "2024-07-01")):
        context = build_schedule_context(scheduled_execution_time=late, repository_def=repository)
        request = schedule.evaluate_tick(context).run_requests
        assert request is not None and [r.partition_key for r in request] == [day]


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
