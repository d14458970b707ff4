"""Delta follows PostgreSQL at its own pace: table by table between micro-batches, and whole games when asked."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import timedelta

from mlb_platform.extraction.plan import lock_names
from mlb_platform.extraction.report import RunReport
from mlb_platform.extraction.stores import Stores
from mlb_platform.extraction.transformation import BaseTransformation
from mlb_platform.live.backlog import DeltaBacklog
from mlb_platform.live.turns import Turns
from resources.delta_sink import DeltaSink
from resources.lake import open_table, sink_id
from resources.merge_state import MergeStates

_log = logging.getLogger(__name__)

PIECE = 2
"""Entities that the batch path takes at once: micro-batches of them wait meanwhile."""


class DeltaFollower:
    """Brings one mapping's tables in the lake up to what micro-batches merged into PostgreSQL."""

    def __init__(
        self,
        transformation: BaseTransformation,
        lake: str,
        turns: Turns,
        spark_lock: threading.RLock,
        flushing: threading.Lock,
    ) -> None:
        """`spark_lock` is held by who uses the transformation's extractor, `flushing` by who uses the Delta sink."""
        self._transformation = transformation
        self._stores: Stores = transformation.stores
        self._sink = next(s for s in self._stores.sinks if isinstance(s, DeltaSink))
        self._lake = lake
        self._turns = turns
        self._spark_lock = spark_lock
        self._flushing = flushing
        self.backlog = DeltaBacklog()

    def flush_tables(self, stopping: threading.Event | None = None) -> int:
        """Merge what waits, table by table, each between micro-batches; return how many tables were written."""
        with self._flushing:
            return self._flush_tables(None, stopping)

    def _flush_tables(self, entities: Sequence[str] | None, stopping: threading.Event | None = None) -> int:
        mapping, tables = self._transformation.mapping, 0
        for table in self.backlog.tables():
            if stopping is not None and stopping.is_set():
                break
            self._turns.wait()
            wanted = self.backlog.entities() if entities is None else set(entities)
            with self._stores.postgres.scope_locks(mapping.name, lock_names(mapping, sorted(wanted))):
                found = self.backlog.batch(table, wanted)
                if found is None:
                    continue
                spec, batch = found
                self._sink.prepare(spec)
                self._sink.merge(spec, batch)
            self.backlog.done(table, batch.versions)
            tables += 1
        return tables

    def flush(self, entities: Sequence[str]) -> RunReport | None:
        """Bring entities up to their newest good captures in every sink by the batch path; return what it did.

        What waits is merged first, so that the batch path, which looks for corrections too, finds most of it done.
        """
        report: RunReport | None = None
        with self._flushing:
            self._flush_tables(entities)
        for start in range(0, len(entities), PIECE):
            piece = list(entities[start : start + PIECE])
            self._turns.wait()
            with self._flushing, self._spark_lock:
                done = self._transformation.run_entities(piece, job="live")
                self.backlog.forget(piece)
            if report is None:
                report = done
            else:
                report.merge(done)
        return report

    def missing(self, since: timedelta) -> list[str]:
        """Return the entities merged lately into PostgreSQL of which Delta holds something else, in any table.

        By the states of the sinks, so those are found too that an earlier process merged.
        """
        states = MergeStates(self._stores.postgres)
        states.ensure()
        found = self.backlog.entities()
        for table in self._transformation.tables:
            delta = open_table(self._lake, table)
            with self._stores.postgres.transaction() as connection:
                found |= states.lagging(connection, table, sink_id(delta) if delta is not None else "", since)
        return sorted(found)
