"""Streaming reads the same rows as batch, through the same transformation."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pyspark.sql import DataFrame

from mlb_platform.extraction.transformation import TransformMode
from mlb_platform.ingestion.gate import Request, admit, gate_spec
from mlb_platform.platform import Platform
from mlb_platform.simulator import simulate_games
from resources.postgres import Postgres
from resources.raw_store import RawCapture, RawStore
from resources.raw_stream import _RawRowReader

MAPPING = "game/live_game_v1"
TABLE = "game.live_game_umpires"


def test_a_stream_of_raw_rows_gives_the_rows_of_batch_and_resumes_from_its_checkpoint(
    platform: Platform, tmp_path: Path
) -> None:
    import orjson

    spec = gate_spec(platform.registry.get(MAPPING))
    raw_table = spec.raw_table
    captures = list(simulate_games(2, date(2024, 7, 1), seed=3))
    transformation = platform.transformation(MAPPING, [TABLE])
    seen: list[tuple[object, ...]] = []

    def keep(batch: DataFrame, _: int) -> None:
        frame = transformation.transform(batch)[TABLE]
        seen.extend(tuple(r) for r in frame.drop("transform_timestamp").collect())

    for i, capture in enumerate(captures):
        stored = admit(orjson.dumps(capture.payload), Request(f"game {i}", capture.captured_at), spec)
        assert isinstance(stored, RawCapture)
        platform.raw.insert(raw_table, stored)
        stream = transformation.read_source(mode=TransformMode.STREAMING)
        query = (
            stream.writeStream.foreachBatch(keep)
            .option("checkpointLocation", str(tmp_path / "checkpoint"))
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()
    batch = transformation.transform(transformation.read_source())[TABLE]
    expected = [tuple(r) for r in batch.drop("transform_timestamp").collect()]
    assert len(expected) >= 6
    assert sorted(seen) == sorted(expected)


@pytest.mark.parametrize("limit", [1, 4, 7, 50])
def test_a_batch_that_was_planned_with_another_limit_is_read_whole(database: Postgres, limit: int) -> None:
    """After a restart, from the offsets in the checkpoint, and not a row more."""
    store, table = RawStore(database), "game.live_game_v1"
    at = datetime(2024, 7, 1, tzinfo=UTC)
    for n in range(9):
        capture = RawCapture(str(n), "game", "live_game_v1", {}, None, 200, at, None, str(n) * 64, b"{}")
        store.insert(table, capture)
    first = _RawRowReader(database.url, table, 7, False, None)
    start = first.initialOffset()
    planned, end = first.read(start)
    again = _RawRowReader(database.url, table, limit, False, None)
    assert [row[1] for row in again.readBetweenOffsets(start, end)] == [row[1] for row in planned]
    rest, _ = again.read(end)
    assert [row[1] for row in rest] == ["7", "8"][:limit]
