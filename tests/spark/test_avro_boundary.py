"""Frames are held against their Avro schema where a run reads and where it writes: by name, at no extra Spark job."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from helpers import SMALL, Bench, fresh_database, game, mapping_of
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from mlb_platform.extraction import extract, work
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.mapping.avro import mapping_schemas
from mlb_platform.mapping.loader import load_file
from mlb_platform.mapping.resolve import resolve
from mlb_platform.quality.avro_frames import ContractBroken, check_batch, compile_contract
from mlb_platform.settings import load_settings
from resources.postgres import Postgres
from resources.raw_frames import RawFrame
from resources.sql_types import arrow_type


@pytest.fixture
def bench(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A bench with one game of two plays in the raw store."""
    with fresh_database(postgres) as database:
        made = Bench(database, tmp_path_factory.mktemp("lake"), spark, mapping_of(SMALL))
        made.put(game(1, [(1, 0, "a"), (2, 1, "b")]))
        yield made


def jobs_of(bench: Bench, action: Any) -> int:
    """How many Spark jobs an action starts."""
    context, group = bench.spark.sparkContext, uuid.uuid4().hex
    context.setJobGroup(group, "counted")
    try:
        action()
    finally:
        context.setLocalProperty("spark.jobGroup.id", None)
    return len(context.statusTracker().getJobIdsForGroup(group))


def test_the_checks_start_no_spark_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run with both checks has the jobs of a run without them; each is called once a source and once a table."""
    called: list[str] = []
    raw, batch = extract.check_raw_frame, work.check_batch

    def check_raw(frame: DataFrame, table: str) -> None:
        called.append(table)
        raw(frame, table)

    def check(rows: pa.Table, contract: Any) -> None:
        called.append(contract.table)
        batch(rows, contract)

    monkeypatch.setattr(extract, "check_raw_frame", check_raw)
    monkeypatch.setattr(work, "check_batch", check)
    checked = jobs_of(bench, lambda: bench.run(full=True))
    assert called == ["small.game_v1", "small.games", "small.plays"]
    monkeypatch.setattr(extract, "check_raw_frame", lambda *_: None)
    monkeypatch.setattr(work, "check_batch", lambda *_: None)
    bench.stores.extractors.clear()
    assert jobs_of(bench, lambda: bench.run(full=True)) == checked > 0
    assert len(called) == 3


def test_a_raw_frame_of_another_type_ends_the_run_before_it_is_parsed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raw table and column are named, and no Spark job has run."""

    class BinaryFrame(RawFrame):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.frame = self.frame.withColumn("data", F.col("data").cast("binary"))

    monkeypatch.setattr(extract, "RawFrame", BinaryFrame)

    def run() -> None:
        with pytest.raises(ContractBroken, match=r"small\.game_v1 does not keep its schema: column data: binary"):
            bench.run()

    assert jobs_of(bench, run) == 0


BROKEN = [
    ("runs", lambda a: a.cast(pa.int64()), r"column runs: long, the schema says int"),
    ("play", lambda a: pa.nulls(len(a), a.type), r"column play: 2 of 2 values are null, but it takes no null"),
    ("note", None, r"column note: is missing from the frame"),
]


@pytest.mark.parametrize(("column", "change", "says"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_batch_that_breaks_its_schema_is_merged_nowhere(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, column: str, change: Any, says: str
) -> None:
    """Table and column are named; neither sink holds a row of it, and nothing is noted as merged."""
    finished = work.Work._finished

    def broken(self: work.Work, spec: Any, rows: pa.Table) -> pa.Table:
        made = finished(self, spec, rows)
        if spec.table != "small.plays":
            return made
        place = made.column_names.index(column)
        values = None if change is None else change(made.column(column).combine_chunks())
        return made.remove_column(place) if values is None else made.set_column(place, column, values)

    monkeypatch.setattr(work.Work, "_finished", broken)
    with pytest.raises(ContractBroken, match=rf"small\.plays does not keep its schema: {says}"):
        bench.run()
    spec = merge_spec(bench.mapping.by_name["small.plays"])
    assert all(sink.fetch(spec).num_rows == 0 and sink.states([spec])[spec.table] == {} for sink in bench.stores.sinks)
    monkeypatch.undo()
    bench.run()
    assert [row[2:4] for row in bench.mapped("small.plays")] == [(1, 0), (2, 1)]


def test_checking_the_batches_of_300_games_costs_next_to_nothing() -> None:
    """100,000 rows of the widest table: less than 0.2 s of a run that takes several seconds; schemas compiled once."""
    mapping = resolve(load_file(load_settings().mappings / "game" / "live_game_v1.yaml"))
    target = mapping.by_name["game.live_game_pitch_events"]
    sample: dict[str, Any] = {
        "BIGINT": 1, "INT": 1, "SMALLINT": 1, "DOUBLE": 0.5, "NUMERIC": 1, "BOOLEAN": True, "VARCHAR": "x", "TEXT": "x",
        "JSONB": "{}", "DATE": datetime(2024, 7, 1, tzinfo=UTC).date(), "TIMESTAMPTZ": datetime(2024, 7, 1, tzinfo=UTC),
    }  # fmt: skip
    kinds = {c.name: arrow_type(str(c.type)) for c in target.columns}
    rows = pa.table({c.name: pa.repeat(pa.scalar(sample[c.type.name], kinds[c.name]), 100_000) for c in target.columns})
    contract = compile_contract(mapping_schemas(mapping)[target.name])
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        check_batch(rows, contract)
        taken.append(time.perf_counter() - started)
    assert min(taken) < 0.2, taken
