"""Captures in, tables out, on a cluster of two worker processes one of which dies: run as a script by the tests."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
import pyarrow as pa
from helpers import MAY_1, MAY_2, SMALL, Bench, game, mapping_of

from mlb_platform.settings import load_settings
from resources.postgres import Postgres
from resources.sinks import make_sinks
from resources.spark import open_session, spark_settings

ROWS = {
    "small.plays": [
        (1, MAY_1, 1, 1, "walk"), (1, MAY_1, 3, 0, "out"), (2, MAY_2, 1, 2, "homer"), (3, MAY_1, 1, 0, "é \"'\\,\n")
    ],
    "small.games": [(1, MAY_1, "Final"), (2, MAY_2, "Final"), (3, MAY_1, "Final")],
}  # fmt: skip


def executors() -> list[psutil.Process]:
    """Return the JVMs of the workers; Python workers come and go while one looks."""
    return [p for p in psutil.Process().children(recursive=True) if "CoarseGrainedExecutorBackend" in _command(p)]


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie is one too
        return ""


def workers_of(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Give the id of the process that this partition's Python worker belongs to, slowly: both executors get some."""
    for _ in batches:
        time.sleep(0.7)
        yield pa.record_batch({"pid": [psutil.Process().parent().ppid()]})


def main(url: str, lake: str, work: str) -> None:
    """Extract and merge, an older capture last; every count and row is as it has to be, whoever died meanwhile."""
    master = "local-cluster[2,1,1024]"
    spark = open_session(spark_settings(load_settings().jars, Path(work), master=master, quick_start=True))
    bench = Bench(Postgres(url), Path(lake), spark, mapping_of(SMALL))
    bench.stores.sinks = make_sinks("executors", bench.postgres, lake, lambda: spark, 0)

    bench.put(game(1, [(1, 0, "walk"), (2, 0, "gone later")]), 1)
    bench.put(game(2, [(1, 2, "homer")]), 1)
    first = bench.run()
    found = {row.pid for row in spark.range(0, 8, 1, 4).mapInArrow(workers_of, "pid long").collect()}
    assert found == {p.pid for p in executors()} and len(found) == 2, (found, executors())
    executors()[0].kill()

    bench.put(game(1, [(1, 1, "walk"), (3, 0, "out")]), 5)
    bench.put(game(2, [(1, 2, "homer")], MAY_2), 5)
    bench.put(game(3, [(1, 0, "é \"'\\,\n")]), 5)
    second = bench.run()
    bench.put(game(1, [(9, 4, "older")]), 3)
    third = bench.run()
    for sink in ("postgres", "delta"):
        told = [r.tables["small.plays"].counts[sink] for r in (first, second, third)]
        counts = [(c.inserted, c.updated, c.deleted, c.unchanged) for c in told]
        assert counts == [(3, 0, 0, 0), (2, 2, 1, 0), (0, 0, 0, 4)], (sink, counts)
    for table, rows in ROWS.items():
        assert bench.mapped(table) == rows, bench.mapped(table)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
