"""Live merging gives what batch gives, whatever arrives in whatever order, wherever it is interrupted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from helpers import SMALL, Bench, fresh_database, game
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from mlb_platform.extraction.specs import merge_spec
from mlb_platform.ingestion.gate import Request, admit, gate_spec
from mlb_platform.live import query
from mlb_platform.live.query import LiveError
from mlb_platform.live.stream import FEED, LiveBatch, LiveMerge
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from mlb_platform.simulator import later_capture, live_capture, preview_capture, simulate_games
from resources.postgres import Postgres
from resources.raw_store import RawCapture

GAMES, STATES = 2, 6
NAME = "small/game_v1"


# --- the feed: any chunking equals batch ---------------------------------------------------------------------------


def captures_of_games() -> list[list[RawCapture]]:
    """Return, of each game, captures of six states, those after its end included."""
    spec = gate_spec(Platform(Settings()).registry.get(FEED))
    found = []
    for final in simulate_games(GAMES, date(2024, 7, 1), seed=11):
        late = live_capture(final, len(final.game.plays) - 3, 1)
        between = final.captured_at - (final.captured_at - late.captured_at) / 2
        late = replace(late, captured_at=between.replace(microsecond=0))
        corrected = later_capture(final, "correction", 1)
        vanished = later_capture(final, "vanished", 2)
        states = [preview_capture(final), live_capture(final, 9, 1), late, final, corrected, vanished]
        admitted = [admit(orjson.dumps(s.payload), Request("simulated", s.captured_at), spec) for s in states]
        assert all(isinstance(a, RawCapture) for a in admitted)
        found.append([replace(a, embedded=()) for a in admitted if isinstance(a, RawCapture)])
    return found


@pytest.fixture(scope="module")
def batch_and_live(
    postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Platform, Platform, list[list[RawCapture]]]]:
    """A platform on which batch has merged every game, and an empty one."""
    games = captures_of_games()
    with fresh_database(postgres) as one, fresh_database(postgres) as other:
        batch, live = (
            Platform(Settings(home=tmp_path_factory.mktemp("home"), database_url=d.url), spark_factory=lambda: spark)
            for d in (one, other)
        )
        batch.raw.insert_many("game.live_game_v1", [c for captures in games for c in captures])
        batch.transformation(FEED).run()
        yield batch, live, games
        batch.postgres.close()
        live.postgres.close()


def mapped(platform: Platform, sink: int, entity: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return the mapped columns of a game's rows in each table of the feed."""
    found = {}
    for target in platform.registry.get(FEED).targets:
        names = [c.name for c in target.columns if not c.technical]
        rows = platform.stores.sinks[sink].fetch(merge_spec(target), [entity]).select(names)
        found[target.name] = sorted((tuple(r.values()) for r in rows.to_pylist()), key=repr)
    return found


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[list[int], bool]]:
    """Chunks of the states' numbers, each at least once, in any order; and whether it is merged before the next."""
    order = draw(st.permutations(range(STATES)))
    order = [*order, *draw(st.lists(st.integers(0, STATES - 1), max_size=3))]
    cuts = sorted(draw(st.sets(st.integers(1, len(order) - 1), max_size=2)))
    chunks = [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    return [(chunk, draw(st.booleans())) for chunk in chunks]


def test_a_game_streamed_in_any_chunks_equals_the_batch_result_in_both_sinks(
    batch_and_live: tuple[Platform, Platform, list[list[RawCapture]]],
) -> None:
    batch, platform, games = batch_and_live
    left = iter(games)
    with LiveMerge(platform, delta_every_seconds=1) as live:

        def deliver(captures: list[RawCapture], chunks: list[tuple[list[int], bool]]) -> None:
            for chunk, merged in chunks:
                platform.raw.insert_many("game.live_game_v1", [captures[i] for i in chunk])
                if merged:
                    live.drain()
            live.drain()

        @settings(max_examples=GAMES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(deliveries())
        def any_chunks(chunks: list[tuple[list[int], bool]]) -> None:
            captures = next(left, None)
            if captures is None:
                return
            deliver(captures, chunks)
            entity = captures[0].entity_key
            expected = mapped(batch, 0, entity)
            assert len(expected["game.live_game_plays"]) > 40
            assert mapped(platform, 0, entity) == expected
            live.flush_delta([entity])
            assert mapped(platform, 1, entity) == mapped(batch, 1, entity)

        any_chunks()
    assert next(left, None) is None
    assert live.latencies.summary.count == GAMES * STATES


# --- a small mapping: restarts, kills, company, failures -----------------------------------------------------------


@pytest.fixture
def small(database: Postgres, spark: SparkSession, tmp_path: Path) -> Bench:
    """A small mapping on an empty platform in `tmp_path`."""
    folder = tmp_path / "mappings" / "small"
    folder.mkdir(parents=True)
    (folder / "game_v1.yaml").write_text(SMALL)
    return Bench(database, tmp_path / "lake", spark, platform_of(database.url, tmp_path, spark).registry.get(NAME))


def platform_of(url: str, home: Path, spark: SparkSession) -> Platform:
    chosen = Settings(home=home, database_url=url, mappings=home / "mappings")
    return Platform(chosen, spark_factory=lambda: spark)


def live_on(bench: Bench, seen: list[LiveBatch] | None = None, **options: Any) -> LiveMerge:
    platform = platform_of(bench.postgres.url, bench.lake.parent, bench.spark)
    return LiveMerge(platform, [NAME], on_batch=None if seen is None else seen.append, **options)


def stamps(bench: Bench) -> list[Any]:
    """When each row was written last, in both sinks."""
    return [bench.fetch(sink, "small.plays").column("transform_timestamp").to_pylist() for sink in (0, 1)]


def test_a_stream_resumes_from_its_checkpoint_and_a_lost_or_foreign_one_changes_nothing(small: Bench) -> None:
    first = [small.put(game(1, [(0, 0, "ball")], state="Live"), 1), small.put(game(2, [(0, 1, "run")]), 1)]
    seen: list[LiveBatch] = []
    with live_on(small, seen) as live:
        live.drain()
    assert sorted(i for b in seen for i in b.raw_ids) == first
    second = [small.put(game(1, [(0, 0, "ball"), (1, 2, "double")]), 2)]
    seen.clear()
    with live_on(small, seen) as live:
        live.drain()
    assert [i for b in seen for i in b.raw_ids] == second
    expected = [(1, date(2024, 5, 1), 0, 0, "ball"), (1, date(2024, 5, 1), 1, 2, "double")]
    assert {tuple(map(str, r)) for r in small.mapped("small.plays", [1])} == {tuple(map(str, r)) for r in expected}
    written, checkpoint = stamps(small), small.lake.parent / "live" / "checkpoints" / "small_game_v1"
    for offsets in (checkpoint / "offsets").iterdir():
        if not offsets.name.startswith("."):
            known = str(small.postgres.identity())
            offsets.write_text(offsets.read_text().replace(known, "1" * len(known)))
            (checkpoint / "offsets" / f".{offsets.name}.crc").unlink(missing_ok=True)
    for lost in (False, True):
        if lost:
            shutil.rmtree(checkpoint)
        small.put(game(2, [(0, 1, "run")]), 0.5)
        seen.clear()
        with live_on(small, seen) as live:
            live.drain()
        assert {i for b in seen for i in b.raw_ids} >= {*first, *second}
        assert stamps(small) == written


KILLED = """
import sys, threading, time
from pathlib import Path
from mlb_platform.live.stream import LiveMerge
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings, load_settings
from resources.postgres_sink import PostgresSink
from resources.spark import open_session, spark_settings

home, url = Path(sys.argv[1]), sys.argv[2]
merge = PostgresSink.merge
first = threading.Event()  # tables are merged two at a time

def held_up(self, spec, batch):
    if spec.table == "small.plays":
        first.wait()
        print("midway", flush=True)
        time.sleep(600)
    result = merge(self, spec, batch)
    first.set()
    return result

PostgresSink.merge = held_up
spark = open_session(spark_settings(load_settings().jars, home / "tmp", "local[1]", quick_start=True))
chosen = Settings(home=home, database_url=url, mappings=home / "mappings")
with LiveMerge(Platform(chosen, spark_factory=lambda: spark), ["small/game_v1"]) as live:
    live.drain()
"""


def test_a_process_killed_in_the_middle_of_a_micro_batch_loses_and_doubles_nothing(small: Bench) -> None:
    small.put(game(1, [(0, 0, "ball"), (1, 1, "single")], state="Live"), 1)
    small.put(game(2, [(0, 4, "slam")]), 1)
    home = small.lake.parent
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(home), small.postgres.url],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert any("midway" in line for line in child.stdout)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert len(small.fetch(0, "small.games")) == 2, "the first table was merged"
    assert len(small.fetch(0, "small.plays")) == 0, "the second one was not"
    small.put(game(1, [(0, 0, "ball")], state="Live"), 2)
    with live_on(small) as live:
        live.drain()
    plays = [(r["game_pk"], r["play"], r["runs"], r["note"]) for r in small.fetch(0, "small.plays").to_pylist()]
    assert sorted(plays) == [(1, 0, 0, "ball"), (2, 0, 4, "slam")]
    assert len(small.mapped("small.plays")) == 2 and len(small.mapped("small.games")) == 2


def test_batch_runs_of_a_game_that_is_streamed_leave_its_newest_capture(small: Bench) -> None:
    with live_on(small, delta_every_seconds=0.2) as live:
        runs = threading.Thread(target=lambda: [small.run(job="batch") for _ in range(6)])
        runs.start()
        for n in range(1, 13):
            # every other one is older than what is there
            small.put(game(1, [(i, i % 5, f"capture {n}") for i in range(1 + n % 4)], state="Live"), n if n % 2 else -n)
        runs.join()
        live.drain()
        live.flush_delta()
    rows = small.mapped("small.plays")  # asserts that both sinks hold the same
    assert [r[-1] for r in rows] == ["capture 11"] * 4


def test_a_held_capture_is_passed_over_as_in_batch(small: Bench) -> None:
    small.put(game(1, [(0, 1, "good")], state="Live"), 1)
    with live_on(small) as live:
        live.drain()
        bad = small.put(game(1, [(0, -1, "bad")], state="Live"), 2)
        live.drain()
    assert [r[-1] for r in small.mapped("small.plays")] == ["good"]
    assert [r.raw_id for r in small.stores.quality.quarantined("small.game_v1")] == [bad]


def test_lost_connections_are_overcome_and_what_is_not_reaches_the_owner(
    small: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "PAUSES", (0.05, 0.1, 0.2, 0.4))
    refuse = threading.Event()

    def refusing(batch: LiveBatch) -> None:
        if refuse.is_set():
            raise RuntimeError("the scoreboard is gone")

    live = live_on(small)
    live.on_batch = refusing
    live.start()
    live.drain()
    with small.postgres.transaction() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    small.put(game(1, [(0, 1, "after the loss")]), 1)
    live.drain()
    assert [r["note"] for r in small.fetch(0, "small.plays").to_pylist()] == ["after the loss"]
    refuse.set()
    small.put(game(1, [(0, 1, "refused")]), 2)
    with pytest.raises(LiveError, match="failed 5 times: the scoreboard is gone"):
        live.drain()
    live.stop(flush=False)


def test_a_query_that_is_begun_again_can_be_stopped(small: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped while it gets over a failure, when there is nothing yet that Spark could stop."""
    monkeypatch.setattr(query, "PAUSES", (0.05,))
    platform = platform_of(small.postgres.url, small.lake.parent, small.spark)
    beginning, go_on, failed = threading.Event(), threading.Event(), threading.Event()

    def fail_once(_: list[int], __: list[str]) -> None:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("once")

    def revive() -> None:
        beginning.set()
        go_on.wait()

    small.put(game(1, [(0, 1, "seen")]), 1)
    one = query.RawQuery(platform, "small.game_v1", small.lake.parent / "checkpoint", fail_once)
    monkeypatch.setattr(one, "_revive_database", revive)
    one.start()
    assert beginning.wait(60)
    stopping = threading.Thread(target=one.stop, daemon=True)
    stopping.start()
    stopping.join(0.5)
    go_on.set()
    stopping.join(60)
    assert not stopping.is_alive() and one.ended.is_set() and one.error is None
