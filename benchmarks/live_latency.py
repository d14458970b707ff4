"""Live latency: fifteen simulated games, a capture of each every ten seconds, from raw commit to visible rows.

    python -m benchmarks.live_latency --minutes 5 [--at-once] [--games 15] [--every 10]

A process of its own plays the games and stores their captures, as pollers do; this one merges. It prints latencies,
micro-batches, and the memory of driver, JVM and Spark's Python worker at the beginning and at the end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import orjson
import psutil

from mlb_platform.ingestion.gate import Request, admit, gate_spec, gate_specs
from mlb_platform.live.latency import Latencies
from mlb_platform.live.stream import FEED, LiveBatch, LiveMerge
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings, load_settings
from mlb_platform.simulator.captures import SimulatedCapture, live_capture, simulate_games
from resources.postgres import Postgres
from resources.raw_store import RawCapture, RawStore

WARM_UP_SECONDS = 60


def states(final: SimulatedCapture, start: int) -> Iterator[SimulatedCapture]:
    """Give a game in progress from play `start` on, pitch by pitch, over and over."""
    plays, last = len(final.game.plays), None
    while True:
        for play in range(max(1, start), plays):
            for pitches in range(3):
                found = live_capture(final, play, pitches)
                if found.payload["liveData"] != last:
                    last = found.payload["liveData"]
                    yield found
        start = 1


def send(url: str, games: int, every: float, at_once: bool, seconds: float) -> None:
    """Store a capture of each game every so many seconds."""
    registry = Platform(Settings()).registry
    spec = gate_spec(registry.get(FEED), gate_specs(registry.mappings))
    store = RawStore(Postgres(url))
    playing = [states(f, 5 + 4 * n) for n, f in enumerate(simulate_games(games, date(2024, 7, 1), 7))]

    def capture(n: int) -> RawCapture:
        body = orjson.dumps(next(playing[n]).payload)
        found = admit(body, Request(f"game {n}", datetime.now(UTC)), spec)
        assert isinstance(found, RawCapture), found
        return found

    begin = time.monotonic() + 15
    turn = 0
    while (due := begin + turn * every) < begin + seconds:
        if at_once:
            captures = [capture(n) for n in range(games)]
            time.sleep(max(0, due - time.monotonic()))
            store.insert_many(spec.raw_table, captures, poll=True)
        else:
            for n in range(games):
                found = capture(n)
                time.sleep(max(0, due + n * every / games - time.monotonic()))
                store.insert_many(spec.raw_table, [found], poll=True)
        turn += 1


def memory() -> dict[str, float]:
    """Return the MB resident in this process, its JVM and its Python workers."""
    own = psutil.Process()
    found = {"driver": own.memory_info().rss / 1e6, "jvm": 0.0, "workers": 0.0}
    for child in own.children(recursive=True):
        try:
            kind = "jvm" if "java" in child.name() else "workers" if "pyspark" in " ".join(child.cmdline()) else None
            if kind:
                found[kind] += child.memory_info().rss / 1e6
        except psutil.Error:
            continue
    return found


def main() -> None:
    """Run the benchmark and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--games", type=int, default=15)
    parser.add_argument("--every", type=float, default=10)
    parser.add_argument("--at-once", action="store_true", help="all games at the same moment")
    parser.add_argument("--delta-every", type=float, default=60)
    parser.add_argument("--warm-up", type=float, default=WARM_UP_SECONDS)
    parser.add_argument("--verbose", action="store_true", help="a line a micro-batch")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="mlb-live-"))
    (home / "jars").symlink_to(load_settings().jars)
    platform = Platform(Settings(home=home), quick_start=False)
    warm = Latencies()
    started = time.monotonic()
    sizes: list[tuple[int, float]] = []

    def on_batch(batch: LiveBatch) -> None:
        is_warm = time.monotonic() - started > options.warm_up
        if is_warm:
            warm.add(batch.latencies)
            sizes.append((len(batch.raw_ids), batch.seconds))
        if options.verbose:
            parts = " ".join(f"{k} {v:.2f}" for k, v in batch.report.seconds.items())
            slowest = max(batch.latencies, default=0)
            print(
                f"{time.monotonic() - started:7.1f} {'warm' if is_warm else 'cold'} {len(batch.raw_ids):3} captures "
                f"{batch.seconds:.2f} s, slowest {slowest:.2f} s ({parts})",
                flush=True,
            )

    live = LiveMerge(platform, delta_every_seconds=options.delta_every, on_batch=on_batch)
    try:
        live.start()
        started = time.monotonic()
        seconds = options.warm_up + options.minutes * 60
        arguments = (platform.postgres.url, options.games, options.every, options.at_once, seconds)
        sender = multiprocessing.get_context("spawn").Process(target=send, args=arguments)
        sender.start()
        time.sleep(options.warm_up)
        before = memory()
        while sender.is_alive():
            sender.join(30)
            live.check()
        live.drain()
        after = memory()
        print(f"{options.games} games, a capture of each every {options.every:g} s, ", end="")
        print("all at once" if options.at_once else "spread", f"for {options.minutes:g} minutes")
        print(f"all:  {live.latencies.summary}")
        print(f"warm: {warm.summary}")
        if sizes:
            captures, spent = sum(n for n, _ in sizes) / len(sizes), [s for _, s in sizes]
            print(f"{len(sizes)} micro-batches of {captures:.1f} captures, ", end="")
            print(f"{sum(spent) / len(spent):.2f} s each on average, {max(spent):.2f} s at most")
        for name in before:
            print(f"memory of {name}: {before[name]:.0f} MB after the warm-up, {after[name]:.0f} MB at the end")
        begun = time.perf_counter()
        live.stop()
        print(f"stopped, Delta up to date: {time.perf_counter() - begun:.1f} s")
    finally:
        from resources.embedded_postgres import EmbeddedPostgres

        EmbeddedPostgres(platform.settings.postgres_dir, platform.settings.logs).stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
