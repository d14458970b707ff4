"""Live latency: fifteen simulated games, a capture of each every ten seconds, from raw commit to visible rows.

    python -m benchmarks.live_latency --minutes 5 [--at-once] [--games 15] [--every 10]

A process of its own plays the games and stores their captures, as pollers do; this one merges. It prints latencies,
micro-batches, and the memory of driver, JVM and Spark's Python worker at the beginning and at the end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import orjson

from benchmarks.figures import Fact
from benchmarks.home import temporary_home
from benchmarks.memory import Sizes, memory
from benchmarks.processes import leave
from benchmarks.report import told
from mlb_platform.ingestion.gate import Request, admit, gate_spec, gate_specs
from mlb_platform.live.latency import Latencies, LatencySummary
from mlb_platform.live.stream import FEED, LiveBatch, LiveMerge
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
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


@dataclass(frozen=True)
class Options:
    """How many games for how long, and how often a capture of each."""

    minutes: float = 3
    games: int = 15
    every: float = 10
    at_once: bool = False
    delta_every: float = 60
    warm_up: float = WARM_UP_SECONDS
    verbose: bool = False


@dataclass
class _Batches:
    """The micro-batches merged so far; those of the warm-up are not counted."""

    options: Options
    started: float = 0.0
    warm: Latencies = field(default_factory=Latencies)
    sizes: list[tuple[int, float]] = field(default_factory=list)
    """(captures, seconds) of each."""

    def add(self, batch: LiveBatch) -> None:
        at = time.monotonic() - self.started
        if at > self.options.warm_up:
            self.warm.add(batch.latencies)
            self.sizes.append((len(batch.raw_ids), batch.seconds))
        if self.options.verbose:
            parts = " ".join(f"{k} {v:.2f}" for k, v in batch.report.seconds.items())
            told(
                f"{at:7.1f} {'warm' if at > self.options.warm_up else 'cold'} {len(batch.raw_ids):3} captures "
                f"{batch.seconds:.2f} s, slowest {max(batch.latencies, default=0):.2f} s ({parts})"
            )


def measure(options: Options) -> dict[str, Fact]:
    """Follow simulated games in a home of their own; return latencies, micro-batches and memory, and tell them."""
    with temporary_home() as home:
        platform = Platform(Settings(home=home), quick_start=False)
        batches = _Batches(options, time.monotonic())
        live = LiveMerge(platform, delta_every_seconds=options.delta_every, on_batch=batches.add)
        live.start()
        batches.started = time.monotonic()
        seconds = options.warm_up + options.minutes * 60
        arguments = (platform.postgres.url, options.games, options.every, options.at_once, seconds)
        sender = multiprocessing.get_context("spawn").Process(target=send, args=arguments, daemon=True)
        sender.start()
        time.sleep(options.warm_up)
        before = memory()
        while sender.is_alive():
            sender.join(30)
            live.check()
        if sender.exitcode:
            raise RuntimeError(f"the process that stores captures ended with {sender.exitcode}")
        live.drain()
        after = memory()
        begun = time.perf_counter()
        everything = live.latencies.summary
        live.stop()
        stopped = time.perf_counter() - begun
    _tell(options, everything, batches, before, after)
    told(f"stopped, Delta up to date: {stopped:.1f} s")
    warm = batches.warm.summary
    if not warm.count:
        raise RuntimeError("no capture was merged after the warm-up")
    found: dict[str, Fact] = {"captures": float(warm.count), "p50": warm.p50, "p95": warm.p95, "max": warm.maximum}
    found |= {"p50, warm-up included": everything.p50, "p95, warm-up included": everything.p95}
    found |= {"micro-batches": float(len(batches.sizes)), "stop": stopped}
    found |= {f"MB of {name}, after the warm-up": size for name, size in before.items()}
    return found | {f"MB of {name}, at the end": size for name, size in after.items()}


def _tell(options: Options, everything: LatencySummary, batches: _Batches, before: Sizes, after: Sizes) -> None:
    how = "all at once" if options.at_once else "spread"
    told(f"{options.games} games, a capture of each every {options.every:g} s, {how} for {options.minutes:g} minutes")
    told(f"all:  {everything}")
    told(f"warm: {batches.warm.summary}")
    if batches.sizes:
        captures, spent = sum(n for n, _ in batches.sizes) / len(batches.sizes), [s for _, s in batches.sizes]
        told(
            f"{len(spent)} micro-batches of {captures:.1f} captures, {sum(spent) / len(spent):.2f} s each on average, "
            f"{max(spent):.2f} s at most"
        )
    for name in before:
        told(f"memory of {name}: {before[name]:.0f} MB after the warm-up, {after[name]:.0f} MB at the end")


def main() -> int:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=Options.minutes)
    parser.add_argument("--games", type=int, default=Options.games)
    parser.add_argument("--every", type=float, default=Options.every)
    parser.add_argument("--at-once", action="store_true", help="all games at the same moment")
    parser.add_argument("--delta-every", type=float, default=Options.delta_every)
    parser.add_argument("--warm-up", type=float, default=Options.warm_up)
    parser.add_argument("--verbose", action="store_true", help="a line a micro-batch")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = vars(parser.parse_args())
    out = given.pop("json")
    leave(out, measure(Options(**given)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
