"""The walk in Python says of every document what Spark SQL says, or leaves it to Spark; both from the same mapping."""

from __future__ import annotations

import copy
import json
import logging
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from helpers import Bench, mapping_of, rows_of
from pyspark.sql import SparkSession

from mlb_platform.extraction.collect import TableRows, collect
from mlb_platform.extraction.extract import interpreting_session
from mlb_platform.extraction.project import Projection
from mlb_platform.extraction.walk import Walk
from mlb_platform.extraction.walk_source import NotWalkable
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from mlb_platform.simulator import simulate_games
from resources.postgres import Postgres
from resources.raw_frames import RawFrame
from resources.raw_store import RawStore

RAW = "raw_id BIGINT, captured_at TIMESTAMP, entity_key STRING, partition_date DATE, data STRING"
NOW = datetime(2024, 7, 2, 3, 4, 5, tzinfo=UTC)
ODD_VALUES = [
    None, "", "x", "7", "-3", "007", "5.0", 5.0, 5.5, -1, 0, True, False, "true", "TRUE", [], {}, [1], {"a": 1}, ".325",
    "-.--", ".---", "3.60", "1e3", 1e3, 1e22, 2**40, -(2**70), 10**30, 10**400, "2024-07-01", "2024-07-01T17:05:00Z",
    "2024-02-30", "2024-07-01T17:05:00.123456Z", "2024-07-01 17:05:00", "17:05", "é" * 60, "[1]", "null", "NaN",
    "Infinity", 0.1 + 0.2, 2.675, 1.005, "1.005", " 5 ", "+5",
]  # fmt: skip
"""What a value may turn into: of another type, written in another way, near a half, too long, JSON as text."""


@pytest.fixture(scope="module")
def feed() -> ResolvedMapping:
    """The mapping of the live feed, which uses all of the language."""
    return Platform(Settings()).registry.get("game/live_game_v1")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of all parts of a document, the containers too."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from leaves(inner, (*path, key))


def changed(document: dict[str, Any], seed: int, changes: int) -> dict[str, Any]:
    """Return a copy in which some values are others."""
    chance, made = random.Random(seed), copy.deepcopy(document)
    paths = list(leaves(document))
    for path in chance.sample(paths, changes):
        holder: Any = made
        try:
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = chance.choice(ODD_VALUES)
        except (KeyError, IndexError, TypeError):
            continue  # what it lay in was changed before
    return made


def text_of(document: dict[str, Any]) -> str:
    """Write a document as PostgreSQL writes jsonb: with a blank after comma and colon."""
    return json.dumps(document, ensure_ascii=False)


def by_spark(spark: SparkSession, mapping: ResolvedMapping, documents: list[dict[str, Any]]) -> list[TableRows]:
    """Return the rows of all tables as Spark SQL computes them."""
    rows = [(n, NOW, "1", date(2024, 7, 1), text_of(d)) for n, d in enumerate(documents)]
    source = interpreting_session(spark).createDataFrame(rows, RAW)
    projection = Projection(mapping, thorough=True)
    return collect(projection, projection.collectable(projection.parse(source.repartition(2))).toArrow())[1]


def by_walk(
    mapping: ResolvedMapping, documents: list[dict[str, Any]], keys: list[str] | None = None
) -> tuple[set[int], list[pa.Table]]:
    """Return the documents that are left to Spark, and the columns read of all tables, with the raw id."""
    walk = Walk(mapping)
    given = [
        (
            n,
            str(d.get("gamePk")) if keys is None else keys[n],
            d.get("gameData", {}).get("datetime", {}).get("officialDate") if keys is None else "2024-07-01",
            NOW,
            text_of(d).encode(),
        )
        for n, d in enumerate(documents)
    ]
    walked = pa.Table.from_batches(walk.batches(given), walk.schema)
    odd = {n for n, is_odd in enumerate(walked["odd"].to_pylist()) if is_odd}
    tables = []
    for n in range(len(mapping.targets)):
        lists = walked[f"t{n}"].combine_chunks()
        rows = lists.flatten().field("v")
        raw_ids = walked["raw_id"].take(pa.compute.list_parent_indices(lists))
        tables.append(pa.table({"_raw_id": raw_ids, **dict(zip(rows.type.names, rows.flatten(), strict=True))}))
    return odd, tables


def differing(
    mapping: ResolvedMapping, spark_rows: list[TableRows], odd: set[int], walked: list[pa.Table]
) -> list[str]:
    """Tell where the two say something else of a document that was walked."""
    found = []
    for target, rows, table in zip(mapping.targets, spark_rows, walked, strict=True):
        names = [n for n in table.column_names if n != "_raw_id"]
        theirs: dict[int, list[Any]] = {}
        for row in rows.rows.select(["_raw_id", *names]).to_pylist():
            theirs.setdefault(row.pop("_raw_id"), []).append(row)
        mine: dict[int, list[Any]] = {}
        for row in table.to_pylist():
            mine.setdefault(row.pop("_raw_id"), []).append(row)
        for raw_id in (theirs.keys() | mine.keys()) - odd:
            a, b = mine.get(raw_id, []), theirs.get(raw_id, [])
            if a != b:
                cells = [(n, x[n], y[n]) for x, y in zip(a, b, strict=False) for n in names if x[n] != y[n]][:3]
                found.append(f"{target.name} of {raw_id}: {len(a)} and {len(b)} rows, {cells}")
    return found


def test_documents_as_they_usually_are_are_walked_and_say_the_same(spark: SparkSession, feed: ResolvedMapping) -> None:
    """Whole simulated games: none is left to Spark, and every value of every table is the same."""
    documents = [c.payload for c in simulate_games(2, date(2024, 7, 1), 11)]
    odd, walked = by_walk(feed, documents)
    assert not odd
    assert all(t.num_rows for t in walked)
    assert differing(feed, by_spark(spark, feed, documents), odd, walked) == []


def test_whatever_a_document_has_in_place_of_a_value_both_say_the_same(
    spark: SparkSession, feed: ResolvedMapping
) -> None:
    """Values at random places turned into others: a document is left to Spark, or all its values are the same."""
    documents = []
    for seed, game in enumerate(simulate_games(3, date(2024, 7, 1), 0)):
        plays = game.payload["liveData"]["plays"]["allPlays"]
        del plays[12:]  # more of them are more of the same, and Spark's interpreted expressions take their time
        documents += [changed(game.payload, 1000 * seed + n, 1 + n % 4) for n in range(20)]
    odd, walked = by_walk(feed, documents)
    assert len(odd) < len(documents), "nothing was walked"
    assert differing(feed, by_spark(spark, feed, documents), odd, walked) == []


def test_numbers_in_json_columns_are_written_as_spark_writes_them(spark: SparkSession) -> None:
    """However the response writes them; left to Spark only where Java and Python may not give the same digits."""
    mapping = Platform(Settings()).registry.get("game/play_by_play")
    documents = [c.payload["liveData"]["plays"] for c in simulate_games(4, date(2024, 7, 1), 5)]
    chance = random.Random(7)
    numbers = [0.0, -0.0, 95.0, -0.5, 0.1 + 0.2, 0.001, 9999999.5, 0.0006, -0.00069, 1e-7, 1e7, 12345678.5, 1e14, 2**62]
    numbers += [chance.uniform(-10, 10) * 10.0 ** chance.randint(-8, 13) for _ in range(200)]
    documents[1]["allPlays"][0]["playEvents"].append({"pitchData": {"coordinates": numbers}})
    for number, document in zip((1.7e16, 1e-300), documents[2:], strict=True):
        document["allPlays"][0]["playEvents"].append({"pitchData": number})
    for document in documents:
        del document["allPlays"][6:]
    odd, walked = by_walk(mapping, documents, [str(n) for n in range(len(documents))])
    assert odd == {2, 3}
    assert "startSpeed" in "".join(walked[0]["play_events"].to_pylist())
    assert differing(mapping, by_spark(spark, mapping, documents), odd, walked) == []


def test_an_odd_document_among_others_takes_no_rows_of_theirs_away(feed: ResolvedMapping) -> None:
    """One that is no JSON, one of another structure, one with a value that is written in no usual way."""
    good = [c.payload for c in simulate_games(4, date(2024, 7, 1), 5)]
    alone = by_walk(feed, [good[0], good[2]])[1]
    wrong = copy.deepcopy(good[1])
    wrong["liveData"]["plays"]["allPlays"][0]["matchup"] = []
    strange = copy.deepcopy(good[3])
    strange["liveData"]["plays"]["allPlays"][3]["about"]["inning"] = "3rd"
    odd, walked = by_walk(feed, [good[0], wrong, good[2], strange])
    assert odd == {1, 3}
    for before, after in zip(alone, walked, strict=True):
        assert before.drop_columns(["_raw_id"]).equals(after.drop_columns(["_raw_id"]))
        assert set(after["_raw_id"].to_pylist()) <= {0, 2}


UNWALKED = """
version: "1.0"
source:
  {endpoint: small, method: game_v1, raw_table: "small.game_v1",
  entity_key: {name: game_pk, type: BIGINT, json_path: $.id}}
targets:
  - {name: small.days, primary_key: [game_pk], fields: [
      {name: played, type: DATE, json_path: $.played, format: dd MMM yyyy}]}
"""


def test_a_mapping_that_cannot_be_walked_is_computed_by_spark(
    database: Postgres, spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A pattern with the name of a month: the rows are there, and the log says why they were not walked."""
    bench = Bench(database, tmp_path, spark, mapping_of(UNWALKED))
    with pytest.raises(NotWalkable):
        Walk(bench.mapping)
    with caplog.at_level(logging.INFO, "mlb_platform.extraction.extract"):
        extracted = bench.extract([{"id": 1, "played": "01 Jul 2024"}])
    assert rows_of(extracted, "small.days") == [{"game_pk": 1, "played": date(2024, 7, 1)}]
    assert "not walked: pattern 'dd MMM yyyy'" in caplog.text


def test_a_worker_whose_connection_was_ended_makes_another(database: Postgres) -> None:
    """As after a restart of the server: workers keep their connection from task to task."""
    raw_table = "small.game_v1"
    RawStore(database).ensure(raw_table)
    reader = RawFrame(None, database, raw_table, 1).reader  # type: ignore[arg-type]
    assert list(reader.rows(0)) == []
    with database.connect(autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert list(reader.rows(0)) == []
