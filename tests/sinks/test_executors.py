"""What only the way by executors can do wrong: stages left behind, parts copied twice, frames read without a driver."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyspark
import pytest

from resources import postgres_executors
from resources.errors import PlatformError
from resources.merge import MergeCounts
from resources.merge_batch import arrow_schema
from resources.postgres import Postgres
from resources.postgres_executors import ExecutorPostgresSink
from resources.sinks import make_sinks

from .conftest import make_case
from .harness import Capture, as_frame, batch, expected, new_spec

FIRST = Capture(1, 0, {0: (0, "ball"), 1: (1, None)})
pytestmark = pytest.mark.xdist_group("spark")  # where the session is


def stages(database: Postgres) -> set[str]:
    with database.transaction() as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'merge_stage_%'").fetchall()
    return {row[0] for row in found}


@pytest.fixture
def stage(database: Postgres) -> str:
    """A stage without rows, as a task finds it."""
    name = f"merge_stage_{uuid.uuid4().hex}"
    with database.transaction() as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS quality")
        columns = "game_pk bigint, play int, game_date date, score int, note text, source_captured_at timestamptz, "
        connection.execute(f"CREATE TABLE quality.{name} ({columns} lineage_metadata jsonb)".encode())
        connection.execute(f"CREATE TABLE quality.{name}_parts (part integer PRIMARY KEY, copied bigint)".encode())
    return name


def test_a_part_that_is_tried_twice_is_copied_once(
    database: Postgres, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a task whose success nobody heard of: the second attempt reads its rows and tells the same count."""
    monkeypatch.setattr(pyspark.TaskContext, "get", lambda: SimpleNamespace(partitionId=lambda: 3))
    spec = new_spec()
    rows = batch(spec, FIRST, Capture(2, 0, {0: (5, "x")})).rows.cast(arrow_schema(spec))
    for _ in range(2):
        told = list(postgres_executors._copy_part(database.url, spec, stage, iter(rows.to_batches(max_chunksize=2))))
        assert [part["offered"][0].as_py() for part in told] == [3]
    with database.transaction() as connection:
        assert connection.execute(f"SELECT count(*) FROM quality.{stage}".encode()).fetchone() == (3,)
        assert connection.execute(f"SELECT * FROM quality.{stage}_parts".encode()).fetchall() == [(3, 3)]


def test_a_part_whose_first_attempt_broke_off_is_copied_whole(
    database: Postgres, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyspark.TaskContext, "get", lambda: SimpleNamespace(partitionId=lambda: 0))
    spec = new_spec()
    rows = batch(spec, FIRST).rows.cast(arrow_schema(spec)).to_batches()

    def broken() -> Iterator[pa.RecordBatch]:
        yield from rows
        raise OSError("worker lost")

    with pytest.raises(OSError, match="worker lost"):
        list(postgres_executors._copy_part(database.url, spec, stage, broken()))
    list(postgres_executors._copy_part(database.url, spec, stage, iter(rows)))
    with database.transaction() as connection:
        assert connection.execute(f"SELECT count(*) FROM quality.{stage}".encode()).fetchone() == (2,)


def test_the_stage_of_a_dead_process_is_dropped_and_that_of_a_living_one_stays(
    request: pytest.FixtureRequest, database: Postgres, lake: str, stage: str
) -> None:
    case, spec = make_case("postgres-executors", request, database, lake), new_spec()
    case.make().prepare(spec)
    with database.scope_locks("merge stage", [stage]):
        case.merge(spec, FIRST)
        assert stages(database) == {stage, f"{stage}_parts"}
    case.merge(spec, Capture(1, 1, {0: (1, "later")}))
    assert stages(database) == set()


def test_a_merge_that_fails_after_staging_leaves_nothing(
    request: pytest.FixtureRequest, database: Postgres, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, spec = make_case("postgres-executors", request, database, lake), new_spec()
    case.make().prepare(spec)

    def fails(*_: Any) -> None:
        raise PlatformError("between staging and merging")

    with monkeypatch.context() as patch:
        patch.setattr(ExecutorPostgresSink, "_write", fails)
        with pytest.raises(PlatformError, match="between staging"):
            case.merge(spec, FIRST)
    assert stages(database) == set() and case.held(spec) == [] and case.make().states([spec])[spec.table] == {}
    assert case.merge(spec, FIRST).counts.inserted == 2


@pytest.mark.parametrize("kind", ["postgres-executors", "delta-spark"])
def test_rows_in_spark_are_merged_as_others_are(
    kind: str, request: pytest.FixtureRequest, database: Postgres, lake: str
) -> None:
    """What says the same again is known by its digest, rows in whatever order; a broken batch is refused."""
    case, spec = make_case(kind, request, database, lake), new_spec()
    spark, sink = request.getfixturevalue("spark"), case.make()
    sink.prepare(spec)
    other = Capture(2, 0, {0: (5, "other")})
    newer = Capture(1, 1, {0: (0, "ball"), 1: (2, "homer"), 2: (2, "")})
    told = []
    for captures in ((FIRST, other), (newer,), (Capture(1, 2, newer.plays),), (FIRST,)):
        with case.locked(spec, [c.game for c in captures]):
            told.append(sink.merge(spec, as_frame(spark, batch(spec, *captures))).counts)
    assert told == [
        MergeCounts(3, inserted=3),
        MergeCounts(3, inserted=1, updated=1),
        MergeCounts(3),
        MergeCounts(2, skipped_stale=2),
    ]
    assert case.held(spec) == expected(spec, [newer, other])
    twice = as_frame(spark, batch(spec, Capture(3, 0, {0: (0, "x")})))
    object.__setattr__(twice, "rows", twice.rows.union(twice.rows))
    with pytest.raises(PlatformError, match="1 rows repeat a key"):
        sink.merge(spec, twice)
    assert "3" not in sink.states([spec])[spec.table]


def test_rows_in_spark_need_an_engine_there(request: pytest.FixtureRequest, database: Postgres, lake: str) -> None:
    spark, spec = request.getfixturevalue("spark"), new_spec()
    for sink in make_sinks("driver", database, lake, lambda: spark, 1 << 30):
        sink.prepare(spec)
        with pytest.raises(PlatformError, match="MLB_MERGE_ENGINE"):
            sink.merge(spec, as_frame(spark, batch(spec, FIRST)))
