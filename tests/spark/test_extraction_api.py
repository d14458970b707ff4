"""The Python API without sinks, and expressions that cannot be computed for some row."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from helpers import MAY_1, SMALL, Bench, at, fresh_database, game, mapping_of, rows_of
from pyspark.sql import SparkSession

from mlb_platform.extraction.transformation import TransformError
from resources.postgres import Postgres


@pytest.fixture(scope="module")
def bench(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Two captures of one game and one of another."""
    with fresh_database(postgres) as database:
        made = Bench(database, tmp_path_factory.mktemp("lake"), spark, mapping_of(SMALL))
        made.put(game(1, [(1, 0, "old")]), 0)
        made.put(game(1, [(1, 2, "new"), (2, "x", "misfit")]), 3)
        made.put(game(2, []), 1)
        yield made


def test_transform_gives_each_table_as_a_frame_of_the_mapping(bench: Bench) -> None:
    """The newest captures, columns in the mapping's order and types, times of the raw row; nothing is written."""
    transformation = bench.transformation()
    frames = transformation.transform(transformation.read_source())
    transformation.validate_schema(frames)
    assert frames["small.plays"].columns == [
        "game_pk", "game_date", "play", "runs", "note", "source_captured_at", "transform_timestamp",
    ]  # fmt: skip
    found = frames["small.plays"].select("game_pk", "game_date", "play", "runs", "note").toArrow().to_pylist()
    assert sorted((tuple(row.values()) for row in found), key=repr) == [
        (1, MAY_1, 1, 2, "new"),
        (1, MAY_1, 2, None, "misfit"),
    ]
    times = frames["small.games"].select("game_pk", "source_captured_at").toArrow().to_pylist()
    assert {row["game_pk"]: row["source_captured_at"] for row in times} == {1: at(3), 2: at(1)}
    with bench.postgres.connect() as connection:
        assert connection.execute("SELECT to_regclass('small.plays')").fetchone() == (None,)


def test_a_frame_that_differs_from_the_mapping_is_told(bench: Bench) -> None:
    """Table and column are named: a missing one, another type, one too many."""
    transformation = bench.transformation(["small.games"])
    frames = transformation.transform(transformation.read_source([1]))
    frame = frames["small.games"]
    for changed, reason in [
        (frame.drop("state"), r"small\.games: column state is missing"),
        (frame.withColumn("state", frame.game_pk), r"small\.games\.state is BIGINT, the mapping says STRING"),
        (frame.withColumn("more", frame.game_pk), r"small\.games: column more is not in the mapping"),
    ]:
        with pytest.raises(TransformError, match=reason):
            transformation.validate_schema({"small.games": changed})


def test_what_is_asked_for_must_exist(bench: Bench) -> None:
    """An unknown table and a game without captures are told by name."""
    with pytest.raises(TransformError, match=r"no table small\.other; it has: small\.games, small\.plays"):
        bench.transformation(["small.other"])
    with pytest.raises(TransformError, match="no capture of 99: ingest it first"):
        bench.run(game_pks=[1, 99])


def test_an_expression_that_cannot_be_computed_is_null_and_stops_nothing(bench: Bench) -> None:
    """A division by zero or a text that is no number, in a column or a rule, concerns that row only; a rule passes."""
    text = SMALL.replace(
        "json_path: $.note, description: What happened.}",
        "json_path: $.note, description: What happened.}\n"
        '      - {name: share, type: "NUMERIC(5,2)", expression: "100 / runs", description: Share.}\n'
        "      - {name: number, type: INT, expression: CAST(note AS INT), description: Number.}",
    ).replace('"runs <= 4"', '"1 / runs < 2 AND CAST(note AS INT) < 100"')
    made = Bench(bench.postgres, bench.lake, bench.spark, mapping_of(text))
    extracted = made.extract([game(5, [(1, 0, "7"), (2, 4, "text"), (3, 4, "200")])])
    found = [(r["share"], r["number"]) for r in rows_of(extracted, "small.plays")]
    assert found == [(None, 7), (Decimal("25.00"), None), (Decimal("25.00"), 200)]
    assert [(f.rule, f.failed) for f in extracted.findings] == [("runs_possible", 1)]


def test_a_computed_text_that_its_column_does_not_take_ends_no_run(postgres: Postgres, bench: Bench) -> None:
    """One too long is NULL like any other cast that fails, one that is no JSON a string; other games are merged."""
    text = SMALL.replace(
        "json_path: $.note, description: What happened.}",
        "json_path: $.note, description: What happened.}\n"
        '      - {name: twice, type: VARCHAR(4), expression: "concat(note, note)", description: Twice.}\n'
        '      - {name: told, type: JSONB, expression: "concat(note, note)", description: As JSON.}',
    )
    with fresh_database(postgres) as database:
        made = Bench(database, bench.lake / "computed", bench.spark, mapping_of(text))
        made.put(game(6, [(1, 0, "abc"), (2, 0, "é1")]))
        made.put(game(7, [(1, 2.0, "abc"), (2, 0, "2")]))  # 2.0: left to Spark
        made.run()
        rows = made.fetch(0, "small.plays").sort_by([("game_pk", "ascending"), ("play", "ascending")])
        lake = made.fetch(1, "small.plays").sort_by([("game_pk", "ascending"), ("play", "ascending")])
    assert rows["twice"].to_pylist() == lake["twice"].to_pylist() == [None, "é1é1", None, "22"]
    assert rows["told"].to_pylist() == lake["told"].to_pylist() == ['"abcabc"', '"é1é1"', '"abcabc"', "22"]
