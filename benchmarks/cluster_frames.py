"""Raw rows to tables without a row of them on the driver: parsed, projected and merged by Spark's executors."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date

from pyspark.sql import functions as F

from benchmarks.ours import Ours
from mlb_platform.extraction.plan import lock_names
from mlb_platform.extraction.project import Projection
from mlb_platform.extraction.specs import merge_spec
from resources.merge import LINEAGE_METADATA, FrameBatch, MergeSpec, ScopeVersion, Sink


def run_frames(ours: Ours, first: date, last: date) -> dict[str, float]:
    """Bring the tables up to the newest captures of these dates, unjudged; return the seconds by phase."""
    platform, transformation = ours.platform, ours.transformation()
    newest = {row.entity_key: row for row in transformation.captures(start_date=first, end_date=last)}
    versions = [
        ScopeVersion(r.entity_key, r.observed_at, r.content_hash, r.raw_id, r.partition_date) for r in newest.values()
    ]
    for name in ("wholeStage", "factoryMode"):  # as the extractor does: these plans are not worth compiling
        platform.spark().conf.set(f"spark.sql.codegen.{name}", "false" if name == "wholeStage" else "NO_CODEGEN")
    projection = Projection(ours.mapping, ours.tables, thorough=True)
    seconds = {"compute": 0.0, "postgres": 0.0, "delta": 0.0, "merge": 0.0}
    with platform.postgres.scope_locks(ours.mapping.name, lock_names(ours.mapping, list(newest))):
        parsed = projection.parse(transformation.read_source([r.raw_id for r in newest.values()])).persist()
        for table in projection.tables:
            spec, started = merge_spec(table.target), time.perf_counter()
            frame = projection.frame(parsed, table).withColumn(LINEAGE_METADATA, F.lit("{}")).persist()
            frame.count()
            seconds["compute"] += time.perf_counter() - started
            _merge(platform.stores.sinks, spec, FrameBatch(frame, versions), seconds)
            frame.unpersist()
        parsed.unpersist()
    return seconds


def _merge(sinks: list[Sink], spec: MergeSpec, batch: FrameBatch, seconds: dict[str, float]) -> None:
    """Merge a batch into both sinks at once, as a run does, and add what it took."""

    def timed(sink: Sink) -> float:
        started = time.perf_counter()
        sink.merge(spec, batch)
        return time.perf_counter() - started

    started = time.perf_counter()
    with ThreadPoolExecutor(len(sinks)) as threads:
        for sink, took in zip(sinks, threads.map(timed, sinks), strict=True):
            seconds[sink.name] += took
    seconds["merge"] += time.perf_counter() - started
