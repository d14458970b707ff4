"""Dagster sees what is merged live: a runless materialization a table and date, now and then."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import date

from dagster import AssetMaterialization, DagsterInstance, MetadataValue

from mlb_platform.assets.specs import table_key
from mlb_platform.live.latency import Latencies
from mlb_platform.live.stream import LiveBatch


class LiveEvents:
    """Adds up the micro-batches of a date and reports them every so many (real) seconds, and at the end."""

    def __init__(
        self, instance: DagsterInstance, day: date, latencies: Callable[[], Latencies], every_seconds: float = 300
    ) -> None:
        self._instance, self._day, self._latencies, self._every = instance, day, latencies, every_seconds
        self._counts: dict[str, Counter[str]] = {}
        self._captures = 0
        self._due = time.monotonic() + every_seconds
        self._guard = threading.Lock()

    def add(self, batch: LiveBatch) -> None:
        """Count a micro-batch, and report where it is time to."""
        with self._guard:
            self._captures += len(batch.raw_ids)
            for table, report in batch.report.tables.items():
                counts = self._counts.setdefault(table, Counter())
                for merged in report.counts.values():
                    counts.update(inserted=merged.inserted, updated=merged.updated, deleted=merged.deleted)
                    counts["rows"] = merged.source_rows
        if time.monotonic() >= self._due:
            self.report()

    def report(self) -> None:
        """Write what was added up since the last time; nothing where nothing was merged."""
        with self._guard:
            counts, captures, self._counts, self._captures = self._counts, self._captures, {}, 0
            self._due = time.monotonic() + self._every
        summary = self._latencies().summary
        for table, found in counts.items():
            changed = {name: MetadataValue.int(found[name]) for name in ("inserted", "updated", "deleted")}
            self._instance.report_runless_asset_event(
                AssetMaterialization(
                    table_key(table),
                    partition=self._day.isoformat(),
                    metadata=changed
                    | {
                        "live": MetadataValue.bool(True),
                        "captures": MetadataValue.int(captures),
                        "latency_p50_seconds": MetadataValue.float(round(summary.p50, 3)),
                        "latency_p95_seconds": MetadataValue.float(round(summary.p95, 3)),
                    },
                )
            )
