"""Live merging: raw rows stream into the merge that batch runs do, PostgreSQL at once and Delta a little later."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from mlb_platform.extraction.opening import open_work
from mlb_platform.extraction.report import RunReport
from mlb_platform.extraction.stores import Stores
from mlb_platform.extraction.transformation import BaseTransformation, make_transformation
from mlb_platform.extraction.work import TableBatch, Work
from mlb_platform.history.finality import Finality
from mlb_platform.live.delta import DeltaFollower
from mlb_platform.live.latency import Latencies
from mlb_platform.live.query import PAUSES, SINCE, LiveError, RawQuery
from mlb_platform.live.turns import Turns
from mlb_platform.platform import Platform
from resources.postgres_sink import PostgresSink

_log = logging.getLogger(__name__)

FEED = "game/live_game_v1"
WRITERS = 2
"""Tables that a micro-batch merges into PostgreSQL at the same time."""
WARM_UP_SECONDS = 60.0
"""The JVM compiles what the first micro-batches run, and their latencies are counted apart."""
TICK = 0.25
"""Seconds between two looks whether Delta has something to do."""


@dataclass(frozen=True)
class LiveBatch:
    """One micro-batch, merged into PostgreSQL."""

    mapping: str
    raw_ids: list[int]
    entities: list[str]
    report: RunReport
    seconds: float
    latencies: list[float]
    """Seconds from the commit of each raw row until its rows were visible, of those stored while the stream ran."""


OnBatch = Callable[[LiveBatch], None]


class _Follower:
    """One mapping: its stream, its transformation into PostgreSQL, and what Delta lacks."""

    def __init__(self, owner: LiveMerge, mapping: str) -> None:
        platform = owner.platform
        self.owner = owner
        self.mapping = platform.registry.get(mapping)
        stores = owner.stores
        postgres = [s for s in stores.sinks if isinstance(s, PostgresSink)]
        self.at_once = replace(stores, sinks=postgres, after_merge=None)
        transformation: BaseTransformation = make_transformation(self.mapping)(stores)
        self.tables = transformation.tables
        self.raw_table = self.mapping.config.source.raw_table
        self.transformation = transformation
        self.spark_lock = threading.RLock()
        self.delta = DeltaFollower(transformation, platform.settings.lake, owner.turns, self.spark_lock, owner.flushing)
        self.unsettled: dict[str, None] = {}
        checkpoint = platform.settings.home / "live" / "checkpoints" / mapping.replace("/", "_")
        self.query = RawQuery(platform, self.raw_table, checkpoint, self.merge)
        self.started_at = time.monotonic()

    def merge(self, raw_ids: list[int], keys: list[str]) -> None:
        """Merge the newest good captures of the entities of a micro-batch into PostgreSQL."""
        if not raw_ids:
            return
        started = time.perf_counter()
        raw = self.owner.stores.raw
        if self.mapping.per_element:
            keys = [r.entity_key for r in raw.rows(self.raw_table, raw_ids=raw_ids, by_member=True)]
        entities = sorted(set(keys))
        report = RunReport(self.mapping.name, [], {})
        with self.owner.turns.urgent(), self.spark_lock:
            for piece in self.transformation.pieces(entities):
                with open_work(self.at_once, self.mapping, self.tables, piece, job="live") as work:
                    self._write(work)
                report.merge(work.report)
        ran = time.monotonic() - self.started_at
        latencies = [age for age in raw.ages(self.raw_table, raw_ids).values() if age < ran]
        self.owner.latencies.add(latencies)
        if ran > WARM_UP_SECONDS:
            self.owner.warm.add(latencies)
        self.unsettled.update(dict.fromkeys(entities))
        seconds = time.perf_counter() - started
        _log.debug("%s: %s captures in %.2f s", self.mapping.name, len(raw_ids), seconds)
        if self.owner.on_batch is not None:
            self.owner.on_batch(LiveBatch(self.mapping.name, raw_ids, entities, report, seconds, latencies))

    def _write(self, work: Work) -> None:
        """Merge every table, some at a time: each has a transaction of its own, and all are under the locks held."""

        def write(batch: TableBatch) -> None:
            work.write(batch)
            if batch.batch.versions:
                self.delta.backlog.keep(batch.spec, batch.batch)

        with ThreadPoolExecutor(WRITERS, "live merge") as threads:
            for written in [threads.submit(write, batch) for batch in work.batches()]:
                written.result()

    def settle(self) -> None:
        """Bring entities that are over into Delta, as the batch path does."""
        entities = list(self.unsettled)
        if not entities:
            return
        for entity in entities:
            self.unsettled.pop(entity, None)
        try:
            finality = Finality(self.owner.stores.postgres, self.owner.platform.registry.mappings.values())
            newest = {r.entity_key: r for r in self.owner.stores.raw.rows(self.raw_table, entity_keys=entities)}
            over = finality.final(self.mapping, list(newest.values()))
            final = sorted(e for e, r in newest.items() if r.raw_id in over)
            if final:
                self.delta.flush(final)
        except BaseException:
            self.unsettled.update(dict.fromkeys(entities))
            raise


class LiveMerge:
    """Follows the raw tables of mappings: PostgreSQL is merged in each micro-batch, Delta every so many seconds.

    What micro-batches do is what `open_work` does for a batch run of the same entities: the newest good capture, held
    captures passed over, merge locks held. Delta also follows as soon as a game is over, by `flush_delta`, and at the
    end. A failing micro-batch is tried again after a pause; `check` raises what could not be overcome.
    """

    def __init__(
        self,
        platform: Platform,
        mappings: Sequence[str] = (FEED,),
        delta_every_seconds: float = 60,
        on_batch: OnBatch | None = None,
    ) -> None:
        self.platform = platform
        self.on_batch = on_batch
        self.delta_every_seconds = delta_every_seconds
        self.latencies, self.warm = Latencies(), Latencies()
        """From a raw row's commit to its visible rows in PostgreSQL, in real time; those after the warm-up."""
        self.turns = Turns()
        # a stream runs for hours: where Spark is not started yet, the JVM is to compile well
        platform.quick_start = False
        self.stores: Stores = platform.new_stores()
        self.flushing = threading.Lock()
        self._followers = [_Follower(self, name) for name in mappings]
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: LiveError | None = None

    @property
    def error(self) -> LiveError | None:
        """What live merging could not overcome, if anything."""
        return next((f.query.error for f in self._followers if f.query.error is not None), self._error)

    def check(self) -> None:
        """Raise LiveError when a stream or Delta has given up."""
        if self.error is not None:
            raise self.error

    def start(self) -> Self:
        """Prepare the tables and start the streams, each from its checkpoint."""
        for follower in self._followers:
            follower.transformation.prepare()
            follower.transformation.warm_up()
        for follower in self._followers:
            follower.started_at = time.monotonic()
            follower.query.start()
        self._thread = threading.Thread(target=self._follow_with_delta, name="live delta", daemon=True)
        self._thread.start()
        return self

    def stop(self, *, flush: bool = True) -> None:
        """End the streams after what they are at; `flush`: bring Delta up to date first. Nothing is lost without."""
        for follower in self._followers:
            follower.query.stop()
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if flush:
            self.flush_delta()

    def drain(self) -> None:
        """Wait until every raw row committed until now is merged into PostgreSQL. Raises LiveError."""
        for follower in self._followers:
            follower.query.drain()
        self.check()

    def flush_delta(self, entities: Sequence[str] | None = None) -> list[RunReport]:
        """Bring both sinks up to the newest good captures of `entities` (None: of all that Delta lacks).

        Return what was done, by mapping; corrections are looked for too, as after a batch run.
        """
        self.check()
        reports = []
        for follower in self._followers:
            wanted = follower.delta.missing(SINCE) if entities is None else list(entities)
            report = follower.delta.flush(wanted) if wanted else None
            if report is not None:
                reports.append(report)
        return reports

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop(flush=kind is None and self.error is None)

    def _follow_with_delta(self) -> None:
        failures, due = 0, time.monotonic()
        caught_up = False
        while not self._stopping.wait(TICK if not failures else PAUSES[min(failures, len(PAUSES)) - 1]):
            try:
                if not caught_up:
                    self._catch_up()
                    caught_up = True
                    due = time.monotonic() + self.delta_every_seconds
                for follower in self._followers:
                    follower.settle()
                if time.monotonic() >= due:
                    due = time.monotonic() + self.delta_every_seconds
                    for follower in self._followers:
                        follower.delta.flush_tables(self._stopping)
                failures = 0
            except Exception as error:  # noqa: BLE001 - whatever it is: tried again, then told to the owner
                failures += 1
                _log.warning("Delta: %s", error)
                if failures > len(PAUSES):
                    self._error = LiveError(f"Delta cannot follow: {error}; PostgreSQL holds everything merged so far")
                    self._error.__cause__ = error
                    return

    def _catch_up(self) -> None:
        """Bring into Delta what an earlier process merged into PostgreSQL only."""
        for follower in self._followers:
            lagging = follower.delta.missing(SINCE)
            if lagging:
                follower.delta.flush(lagging)
