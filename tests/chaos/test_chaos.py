"""Everything is killed at random while games are followed live, and nothing is lost, doubled or set back.

Bounded (some five minutes) and on this machine alone: `make test-chaos`. CHAOS_SEED repeats an order of kills.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path

import httpx2
import orjson
import psutil
import psycopg
import pytest
from pyspark.sql import SparkSession

from mlb_platform.dagster_home import merged_environment, prepare_dagster_home, ui_commands
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.ingestion.dates.plan import FEED, GAME_ENDPOINTS
from mlb_platform.ingestion.gate import Rejection, Request, admit, gate_specs
from mlb_platform.live.same_tables import copy_newest, differing_tables, drop_database, scratch_database
from mlb_platform.mapping.resolve import ResolvedMapping, ResolvedTarget
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings, load_settings
from resources.delta_sink import DeltaSink
from resources.embedded_postgres import EmbeddedPostgres
from resources.errors import PlatformError

DAY = date(2024, 7, 3)
GAMES, SPEED = 3, 90.0
KINDS = ("follower", "spark", "postgres", "daemon")
CHAOS_SECONDS = 110.0


class Processes:
    """The processes of a platform under test; each in a group of its own."""

    def __init__(self, home: Path, url: str) -> None:
        self.settings = Settings(
            home=home, api_url=url, api_clock_url=f"{url}/simulator/clock", api_rate_per_second=100
        )
        self.environment = merged_environment(self.settings, os.environ)
        self.log = (home / "chaos.log").open("ab")
        self.follower: subprocess.Popen[bytes] | None = None
        self.dagster: list[subprocess.Popen[bytes]] = []
        self.restarts = self.unexplained = 0

    def mlb(self, *words: str, patience: float = 240) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mlb_platform.cli.main", *words]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=patience, check=False
        )

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, env=self.environment, cwd=self.settings.home, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, start_new_session=True,
        )  # fmt: skip

    def follow(self) -> None:
        words = ["live", "--date", DAY.isoformat(), "--least", "90", "--most", "180", "--delta-every", "5"]
        self.follower = self.start([sys.executable, "-m", "mlb_platform.cli.main", *words])
        self.restarts += 1

    def start_dagster(self) -> None:
        platform = Platform(self.settings)
        prepare_dagster_home(self.settings, platform.postgres)
        code, _, daemon = ui_commands(self.settings, 1)
        self.dagster = [self.start(code), self.start(daemon)]
        self._daemon = daemon
        platform.postgres.close()

    def kill(self, kind: str) -> bool:
        """Kill one of them with SIGKILL; False where there was nothing to kill."""
        if kind == "follower" and self.follower is not None and self.follower.poll() is None:
            os.killpg(self.follower.pid, signal.SIGKILL)
            return True
        if kind == "spark" and self.follower is not None and self.follower.poll() is None:
            java = [c for c in psutil.Process(self.follower.pid).children(recursive=True) if "java" in c.name()]
            for child in java:
                child.kill()
            return bool(java)
        if kind == "postgres":
            pid = EmbeddedPostgres(self.settings.postgres_dir, self.settings.logs).status().pid
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
            return pid is not None
        if kind == "daemon" and self.dagster:
            os.killpg(self.dagster[1].pid, signal.SIGKILL)
            self.dagster[1].wait(10)
            self.dagster[1] = self.start(self._daemon)
            return True
        return False

    def stop(self) -> None:
        for process in [*self.dagster, *([self.follower] if self.follower else [])]:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self.mlb("db", "stop")
        self.log.close()


class Meddler:
    """Stores old states of the feeds, in any order and twice, through the gate: as a late or repeated poller would."""

    def __init__(self, settings: Settings, url: str, seed: int) -> None:
        self._settings, self._url, self._random = settings, url, random.Random(seed)
        self.stored = 0
        self._last: list[tuple[str, bytes, datetime]] = []

    def once(self) -> None:
        try:
            game, body, at = self._some_state()
        except (httpx2.HTTPError, ValueError, KeyError):
            return
        platform = Platform(self._settings)
        try:
            spec = gate_specs(platform.registry.mappings)[FEED]
            found = admit(body, Request("meddler", at, game), spec)
            if not isinstance(found, Rejection):
                platform.raw.insert_many(spec.raw_table, [found, found])
                self.stored += 1
        finally:
            platform.postgres.close()

    def _some_state(self) -> tuple[str, bytes, datetime]:
        if self._last and self._random.random() < 0.4:
            return self._random.choice(self._last)
        listed = httpx2.get(f"{self._url}/api/v1/schedule", params={"date": DAY.isoformat()}).json()
        game = str(self._random.choice(listed["dates"][0]["games"])["gamePk"])
        feed = f"{self._url}/api/v1.1/game/{game}/feed/live"
        code = self._random.choice(httpx2.get(f"{feed}/timestamps").json())
        answer = httpx2.get(feed, params={"timecode": code})
        answer.raise_for_status()
        at = datetime.strptime(code, "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
        self._last.append((game, answer.content, at))
        return self._last[-1]


class Monitor:
    """Watches that no table ever goes back to an older capture."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.looks = 0
        self.went_back: list[str] = []
        self._seen: dict[tuple[str, str, str], datetime] = {}

    def once(self) -> None:
        platform = Platform(self._settings)
        try:
            with platform.postgres.transaction() as connection:
                rows = connection.execute(
                    b"SELECT sink, table_name, scope, observed_at FROM quality.merge_state "
                    b"WHERE table_name LIKE 'game.%'"
                ).fetchall()
        finally:
            platform.postgres.close()
        self.looks += 1
        for sink, table, scope, at in rows:
            key = (sink, table, scope)
            if key in self._seen and at < self._seen[key]:
                self.went_back.append(f"{sink} {table} {scope}: {self._seen[key]} to {at}")
            self._seen[key] = at


@contextmanager
def repeated(action: Callable[[], None], seconds: float) -> Iterator[None]:
    """Do something every so many seconds; what fails while things are down is done again."""
    done = threading.Event()

    def go() -> None:
        while not done.wait(seconds):
            with suppress(PlatformError, psycopg.Error, OSError):
                action()

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(60)


@contextmanager
def served(seed: int) -> Iterator[str]:
    """A simulated API that misbehaves, in a process of its own."""
    command = [
        sys.executable, "-m", "mlb_platform.cli.main", "simulate", "serve", "--port", "0", "--together", "--games",
        str(GAMES), "--start", "2024-07-03T16:20Z", "--speed", str(SPEED), "--seed", str(seed), "--overturned", "0.6",
        "--corrections", "1.0", "--correction-minutes", "10", "--too-many", "0.02", "--errors", "0.04", "--cut", "0.04",
        "--html", "0.03", "--slow", "0.02", "--slow-seconds", "1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    try:
        line = next(line for line in process.stdout if "MLB_API_URL=" in line)
        yield line.split("MLB_API_URL=")[1].split()[0]
    finally:
        process.terminate()
        process.wait(10)


def in_delta(platform: Platform, target: ResolvedTarget) -> list[str]:
    """The rows of a table in the lake, without what says when and from what they were written."""
    (sink,) = [s for s in platform.stores.sinks if isinstance(s, DeltaSink)]
    spec = merge_spec(target)
    kept = [c.name for c in spec.columns if not c.technical]
    return sorted(map(str, sink.fetch(spec).select(kept).to_pylist()))


def content(body: bytes) -> str:
    return hashlib.sha256(orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)).hexdigest()


def final_feeds(url: str, games: list[str]) -> dict[str, str]:
    """What the server says in the end, by game: asked until it answers well."""
    found: dict[str, str] = {}
    while len(found) < len(games):
        for game in games:
            with suppress(httpx2.HTTPError, orjson.JSONDecodeError):
                answer = httpx2.get(f"{url}/api/v1.1/game/{game}/feed/live")
                if answer.status_code == 200:
                    found[game] = content(answer.content)
    return found


@pytest.mark.timeout(900)
def test_killed_at_random_points(tmp_path: Path, spark: SparkSession) -> None:
    """Nothing is lost, nothing doubled, older never over newer; live tables equal a batch run of the same captures."""
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(1000))
    print(f"CHAOS_SEED={seed}")  # noqa: T201
    (tmp_path / "jars").symlink_to(load_settings().jars)
    chance, kills = random.Random(seed), Counter[str]()
    with served(seed) as url:
        processes = Processes(tmp_path, url)
        meddler, monitor = Meddler(processes.settings, url, seed), Monitor(processes.settings)
        try:
            processes.start_dagster()
            processes.follow()
            with repeated(meddler.once, 1.5), repeated(monitor.once, 1.0):
                time.sleep(30)
                end, order, explained_until = time.monotonic() + CHAOS_SECONDS, list(KINDS), 0.0
                while time.monotonic() < end:
                    if not order:
                        order = list(KINDS)
                    kind = order.pop(chance.randrange(len(order)))
                    kills[kind] += processes.kill(kind)
                    # a query tries for a quarter of a minute before the follower ends with it
                    explained_until = time.monotonic() + 20 if kind != "daemon" else explained_until
                    pause = time.monotonic() + chance.uniform(6, 14)
                    while time.monotonic() < pause:
                        if processes.follower is not None and processes.follower.poll() is not None:
                            processes.unexplained += time.monotonic() > explained_until
                            processes.follow()
                        time.sleep(0.5)
                assert processes.follower is not None
                _finish(processes)
            _check(processes, url, spark, tmp_path, monitor)
        finally:
            processes.stop()
    told = f"kills {dict(kills)}, {processes.restarts} starts, {meddler.stored} meddled, {monitor.looks} looks"
    print(f"{told}, {processes.unexplained} ends of the follower that no kill explains")  # noqa: T201
    assert processes.unexplained == 0
    assert all(kills[kind] for kind in KINDS), kills
    assert meddler.stored > 5 and monitor.looks > 20


def _finish(processes: Processes) -> None:
    """Let the follower come to its end, fetch what was corrected after it, and bring all tables up."""
    deadline = time.monotonic() + 240
    assert processes.follower is not None
    while (code := processes.follower.poll()) != 0 and time.monotonic() < deadline:
        if code is not None:
            processes.follow()
        time.sleep(0.5)
    assert processes.follower.poll() == 0, "the follower came to no good end"
    time.sleep(12 * 60 / SPEED)  # the corrections
    for _ in range(6):
        done = processes.mlb("ingest", "statsapi", "--date", DAY.isoformat(), "--mode", "reconcile")
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stdout + done.stderr
    for mapping in GAME_ENDPOINTS:
        words = ("materialize", "--mapping", mapping, "--from", DAY.isoformat(), "--to", DAY.isoformat())
        done = processes.mlb(*words)
        assert done.returncode == 0, done.stdout + done.stderr  # parity of PostgreSQL and Delta is part of it


def _check(processes: Processes, url: str, spark: SparkSession, folder: Path, monitor: Monitor) -> None:
    platform = Platform(processes.settings, spark_factory=lambda: spark)
    feed = platform.registry.get(FEED)
    raw_table = feed.config.source.raw_table
    newest = {r.entity_key: r.content_hash for r in platform.raw.rows(raw_table)}
    assert len(newest) == GAMES and newest == final_feeds(url, sorted(newest)), "the last state of a game is not there"
    with platform.postgres.transaction() as connection:
        for mapping in platform.registry.mappings.values():
            table = mapping.config.source.raw_table
            if connection.execute("SELECT to_regclass(%s)", [table]).fetchone() != (None,):
                doubled = f"SELECT entity_key FROM {table} GROUP BY entity_key, params, captured_at, content_hash"
                assert connection.execute(f"{doubled} HAVING count(*) > 1".encode()).fetchall() == []
    assert monitor.went_back == []
    name = "mlb_chaos_batch"
    batch = Platform(
        processes.settings.model_copy(
            update={"database_url": scratch_database(platform.postgres, name), "lake_url": str(folder / "batch")}
        ),
        spark_factory=lambda: spark,
    )
    mappings: list[ResolvedMapping] = [platform.registry.get(m) for m in GAME_ENDPOINTS]
    for mapping in mappings:
        assert copy_newest(platform.postgres, batch.postgres, mapping, sorted(newest)) == GAMES
        assert differing_tables(platform.postgres, batch, mapping, sorted(newest)) == {}
        for target in mapping.targets:
            assert in_delta(platform, target) == in_delta(batch, target), f"{target.name} differs in Delta"
    batch.postgres.close()
    with platform.postgres.connect(autocommit=True) as connection:
        drop_database(connection, name)
    platform.postgres.close()
