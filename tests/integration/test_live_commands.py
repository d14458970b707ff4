"""`mlb live` and `mlb watch` as people use them: what cannot be followed, a date followed, and what is seen of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from dagster import AssetKey, DagsterInstance, EventLogEntry
from helpers import fresh_database
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from mlb_platform.cli.live import LiveRun, follow_date
from mlb_platform.cli.main import app
from mlb_platform.dagster_home import open_instance
from mlb_platform.ingestion.gate import Request, admit, gate_spec
from mlb_platform.live.game_follow import Pace
from mlb_platform.live.stream import FEED
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings, load_settings
from mlb_platform.simulator import live_capture, simulate_games
from mlb_platform.simulator.api import ServeOptions, serving
from resources.postgres import Postgres
from resources.raw_store import RawCapture

DAY = date(2024, 7, 3)
AFTERNOON = datetime(2024, 7, 3, 16, tzinfo=UTC)
PACE = Pace(least=timedelta(minutes=5), most=timedelta(minutes=10), idle=timedelta(minutes=10))
FINAL = next(simulate_games(1, DAY, 1))
PLAYING = live_capture(next(simulate_games(1, date(2024, 6, 20), 5)), 20, 2)
"""A game in progress, of another date: its capture is in the raw store when following begins."""


# --- what cannot be followed ---------------------------------------------------------------------------------------


@contextmanager
def home_of(folder: Path) -> Iterator[Path]:
    """Give a home with the jars that were fetched."""
    folder.mkdir(exist_ok=True)
    (folder / "jars").symlink_to(load_settings().jars)
    yield folder


def mlb(words: list[str], home: Path, database: Postgres, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `mlb` as people do: a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLB_")}
    environment = {**kept, "MLB_HOME": str(home), "MLB_DATABASE_URL": database.url, **settings}
    command = [sys.executable, "-m", "mlb_platform.cli.main", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_without_a_way_to_the_api_following_ends_with_one_clear_line(database: Postgres, tmp_path: Path) -> None:
    """Exit code 1 and an address to check; nothing waits for ever, and Spark is not started for it."""
    with socket.socket() as unused, home_of(tmp_path / "home") as home:
        unused.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        done = mlb(["live", "--date", f"{DAY}"], home, database, MLB_API_URL=url, MLB_API_ATTEMPTS="2")
    told = [line for line in done.stderr.splitlines() if line.startswith("mlb: ")]
    assert done.returncode == 1 and len(told) == 1, done.stdout + done.stderr
    assert f"no answer from {url}" in told[0] and "check the connection" in told[0]
    assert "Traceback" not in done.stderr and "nanobind" not in done.stderr
    assert not (home / "live").exists(), "a stream was started"


def test_a_date_without_games_ends_at_once_and_well(database: Postgres, tmp_path: Path) -> None:
    """Exit code 0 and a line that says so, before Spark is started."""
    with serving(ServeOptions(start=AFTERNOON, games=0)) as server, home_of(tmp_path / "home") as home:
        api = {"MLB_API_URL": server.url, "MLB_API_CLOCK_URL": str(server.clock_url)}
        done = mlb(["live", "--date", f"{DAY}"], home, database, **api)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the schedule lists no games on 2024-07-03" in done.stdout
    assert not (home / "live").exists(), "a stream was started"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["live", "--date", "2024-7-3"], "is no date: write YYYY-MM-DD"),
        (["live", "--least", "9", "--most", "3"], "--most 3 is shorter than --least 9"),
    ],
)
def test_wrong_options_of_live_are_one_line(words: list[str], told: str, database: Postgres, tmp_path: Path) -> None:
    """A wrong question is exit code 2, as it is for every command."""
    done = mlb(words, tmp_path, database)
    assert (done.returncode, done.stdout) == (2, "") and told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


# --- a date followed -----------------------------------------------------------------------------------------------


@dataclass
class Followed:
    """What `mlb live` left of a date with one game."""

    platform: Platform
    run: LiveRun
    instance: DagsterInstance


@pytest.fixture(scope="module")
def followed(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    with fresh_database(postgres) as database, serving(
        ServeOptions(start=AFTERNOON, speed=1_000.0, games=1, together=True)
    ) as server, home_of(tmp_path_factory.mktemp("live") / "home") as home:  # fmt: skip
        settings = Settings(
            home=home, database_url=database.url, api_url=server.url, api_clock_url=server.clock_url,
            api_rate_per_second=500,
        )  # fmt: skip
        platform = Platform(settings, spark_factory=lambda: spark)
        spec = gate_spec(platform.registry.get(FEED))
        playing = admit(orjson.dumps(PLAYING.payload), Request("simulated", PLAYING.captured_at), spec)
        assert isinstance(playing, RawCapture)
        platform.raw.ensure(spec.raw_table)
        platform.raw.insert_many(spec.raw_table, [playing])
        run = follow_date(platform, DAY, (), PACE, delta_every=60, events_every=300)
        with open_instance(settings, platform.postgres) as instance:
            yield Followed(platform, run, instance)
        platform.postgres.close()


def test_a_date_is_followed_to_its_end(followed: Followed) -> None:
    """The game is over and handed over, and its rows have a latency."""
    assert followed.run.complete and followed.run.report.phases == {str(FINAL.game_pk): "over"}
    assert 0 < followed.run.latency.p50 <= followed.run.latency.maximum


def live_events(followed: Followed, table: str) -> list[EventLogEntry]:
    found = followed.instance.fetch_materializations(AssetKey(table.split(".")), limit=100).records
    events = [record.event_log_entry for record in found]
    return [e for e in events if e.asset_materialization and "live" in e.asset_materialization.metadata]


def test_dagster_sees_what_was_merged_live(followed: Followed) -> None:
    """Runless materializations of the date: as many rows as there are plays, and how far tables were behind."""
    (event,) = live_events(followed, "game.live_game_plays")
    made = event.asset_materialization
    assert made is not None and made.partition == DAY.isoformat() and not event.run_id
    values: dict[str, Any] = {name: value.value for name, value in made.metadata.items()}
    plays = sum(len(c.payload["liveData"]["plays"]["allPlays"]) for c in (FINAL, PLAYING))
    assert 0 < values["inserted"] - values["deleted"] <= plays  # the hand-over may be first with the last ones
    assert values["captures"] >= 2
    assert values["latency_p50_seconds"] == pytest.approx(followed.run.latency.p50, abs=0.001)
    assert values["latency_p95_seconds"] == pytest.approx(followed.run.latency.p95, abs=0.001)


def watch(followed: Followed, game_pk: int) -> tuple[int, list[str]]:
    settings = followed.platform.settings
    environment = {"MLB_HOME": str(settings.home), "MLB_DATABASE_URL": str(settings.database_url), "COLUMNS": "200"}
    result = CliRunner().invoke(app, ["watch", str(game_pk), "--once"], env=environment)
    return result.exit_code, result.output.splitlines()


def cells(line: str) -> list[str]:
    return line.replace("│", " ").split()


@pytest.mark.parametrize("capture", [FINAL, PLAYING], ids=["final", "in progress"])
def test_the_scoreboard_is_that_of_the_capture(followed: Followed, capture: Any) -> None:
    """Runs of each inning, totals, count, outs, bases and names, as they are in the JSON; and each table's age."""
    code, lines = watch(followed, capture.game_pk)
    assert code == 0, lines
    data, score = capture.payload["gameData"], capture.payload["liveData"]["linescore"]
    for side in ("away", "home"):
        innings = [str(i[side]["runs"]) for i in score["innings"] if "runs" in i.get(side, {})]
        totals = [str(score["teams"][side][name]) for name in ("runs", "hits", "errors")]
        expected = [data["teams"][side]["abbreviation"], *innings, *totals]
        assert expected in [cells(line) for line in lines], (expected, lines)
    text = "\n".join(lines)
    assert f"{data['teams']['away']['name']} at {data['teams']['home']['name']}" in lines[0]
    assert data["status"]["detailedState"] in lines[0]
    if capture is PLAYING:
        on = [base for base in ("first", "second", "third") if base in score["offense"]]
        bases = f"on {' and '.join(on)}" if on else "bases empty"
        assert f"{score['balls']}-{score['strikes']}, {score['outs']} out, {bases}" in lines
        assert f"at bat {score['offense']['batter']['fullName']}" in text
    else:
        assert "at bat" not in text
    plays = len(capture.payload["liveData"]["plays"]["allPlays"])
    (row,) = [line for line in lines if cells(line)[:1] == ["game.live_game_plays"]]
    assert cells(row)[1] == str(plays) and " UTC" in row and row.rstrip(" │").endswith("ago")


def test_a_game_that_is_not_there_is_said_so(followed: Followed) -> None:
    """An id without rows names the command that brings them."""
    from mlb_platform.live.board import NoGame, read_board

    with pytest.raises(NoGame, match="no rows of game 12: follow it with `mlb live --game-pk 12`"):
        read_board(followed.platform.postgres, 12, ["game.live_game_plays"])
