"""Values that Spark takes and PostgreSQL, or who reads the lake, does not: a whole run with them, in every store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Bench, fresh_database, mapping_of
from pyspark.sql import SparkSession

from mlb_platform.extraction.walk import Walk
from mlb_platform.extraction.walk_values import maker
from mlb_platform.mapping.types import SqlType
from resources.lake import lake_connection
from resources.postgres import Postgres

MAPPING = """
version: "1.0"
source:
  endpoint: small
  method: game_v1
  raw_table: small.game_v1
  entity_key: {name: game_pk, type: BIGINT, json_path: $.id}
  partition: {name: game_date, type: DATE, json_path: $.date}
  merge_scope: {key: game_pk, snapshot: true}
targets:
  - name: small.edges
    array_source: $.edges
    primary_key: [game_pk, n]
    fields:
      - {name: n, type: INT, json_path: $position}
      - {name: extra, type: JSONB, json_path: $.extra}
      - {name: born, type: DATE, json_path: $.born}
      - {name: compact, type: DATE, format: yyyyMMdd, json_path: $.compact}
      - {name: until, type: TIMESTAMPTZ, json_path: $.until}
"""
KEPT: list[tuple[str, Any]] = [
    ('{"a": 1}', {"a": 1}), ("[1, 2]", [1, 2]), (" 5 ", 5), ("-0.5e3", -500), ("true", True), ('"a"', "a"),
    ('"\\ud83d\\ude42"', "🙂"), ('["\\\\ud800", "\\\\u0000"]', ["\\ud800", "\\u0000"]), ('{"1e20000": 1e20}',
     {"1e20000": 1e20}), ('"\\"1e20000"', '"1e20000'), ("[" * 900 + "]" * 900, json.loads("[" * 900 + "]" * 900)),
]  # fmt: skip
"""Texts that are JSON, and what they say."""
QUOTED = [
    "1 out", '{"a":1} x', "[1,]", "[1] [2]", "1] [2", '1}, {"a": 2', "1, 2", '1, "a": 2', '1, "a"', "NaN", "Infinity",
    "007", "", " ", "nul", "'a'", '"a', "text", "1e200000", "1e-20000", "[1E+99999]", "1e000001", '"\\u0000"',
    '{"\\u0000": 1}', '"\\\\\\u0000"', '"\\ud800"', '"\\uDC00\\uD800"', '"\\ud83d\\ud83d\\ude42"', "1" * 1200,
    '"\\ud83d\\\\\\ude42"', '"\\ud83d\\ude42\\ude42"',
]  # fmt: skip
"""Texts that are no JSON, or none that PostgreSQL takes."""
PARTS: list[Any] = [
    {"a": "🙂", "b\\u0000": "\\ud800 1e20000 \"1e20000\" \\", "c": [1e20, 1e-20, -5], "d": "\x01\x7f\u2028/"},
    "text" * 100_000, ["\\" * 100_001, "x" * 1_000_000], {}, [], 2**62, -1.5, False,
]  # fmt: skip
"""Parts of a document that a column has as they are."""
IN_YEARS = [
    {"born": "0001-01-01", "compact": "00010101", "until": "0001-01-01T00:00:00Z"},
    {"born": "9999-12-31", "compact": "99991231", "until": "9999-12-31T23:59:59.999999Z"},
    {"until": "0000-12-31T23:00:00-01:00"},
]  # fmt: skip
OUTSIDE = [
    {"born": "0000-01-01", "compact": "00001231", "until": "0001-01-01T00:00:00+05:00"},
    {"born": "0000-12-31", "compact": "00000101", "until": "9999-12-31T23:59:59-05:00"},
    {"until": "0000-12-31T23:59:59Z"}, {"until": "10000-01-01T00:00:00Z"}, {"born": "-001-01-01"},
]  # fmt: skip
"""Days and times that no year from 1 to 9999 has."""
TYPES = {"born": "DATE", "compact": "DATE", "until": "TIMESTAMPTZ"}
EXTRAS = [*(text for text, _ in KEPT), *QUOTED, *PARTS]


@pytest.fixture(scope="module")
def bench(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Game 1 has all texts and parts, game 2 all days and times."""
    with fresh_database(postgres) as database:
        made = Bench(database, tmp_path_factory.mktemp("lake"), spark, mapping_of(MAPPING))
        made.put({"id": 1, "date": "2024-05-01", "edges": [{"extra": value} for value in EXTRAS]})
        made.put({"id": 2, "date": "2024-05-01", "edges": [*IN_YEARS, *OUTSIDE]})
        counts = made.run().tables["small.edges"].counts
        assert {c.inserted for c in counts.values()} == {len(EXTRAS) + len(IN_YEARS) + len(OUTSIDE)}
        yield made


@pytest.mark.parametrize("sink", [0, 1], ids=["postgres", "delta"])
def test_text_is_kept_as_json_where_postgresql_takes_all_of_it_and_is_a_string_otherwise(
    bench: Bench, sink: int
) -> None:
    found = {row["n"]: json.loads(row["extra"]) for row in bench.fetch(sink, "small.edges", [1]).to_pylist()}
    wanted = [*(value for _, value in KEPT), *QUOTED, *PARTS]
    assert [(n, found[n]) for n in range(len(wanted)) if found[n] != wanted[n]] == []


def test_both_ways_say_the_same_of_parts_and_of_plain_text(bench: Bench) -> None:
    """What the walk does not leave to Spark means what Spark's expressions made of it."""
    walked = Walk(bench.mapping).tables[0].makers[1](EXTRAS)
    found = {row["n"]: json.loads(row["extra"]) for row in bench.fetch(1, "small.edges", [1]).to_pylist()}
    settled = [n for n in range(len(EXTRAS)) if n not in walked.odd]
    assert {EXTRAS[n] for n in settled if isinstance(EXTRAS[n], str)} == {"nul", "text", PARTS[1]}
    assert {n: json.loads(walked.array[n].as_py()) for n in settled} == {n: found[n] for n in settled}


@pytest.mark.parametrize("sink", [0, 1], ids=["postgres", "delta"])
def test_days_and_times_outside_of_the_years_1_to_9999_do_not_fit(bench: Bench, sink: int) -> None:
    rows = sorted(bench.fetch(sink, "small.edges", [2]).to_pylist(), key=lambda row: int(row["n"]))
    first, last = rows[:2]
    assert [str(first[c]) for c in TYPES] == ["0001-01-01", "0001-01-01", "0001-01-01 00:00:00+00:00"]
    assert [str(last[c]) for c in TYPES] == ["9999-12-31", "9999-12-31", "9999-12-31 23:59:59.999999+00:00"]
    assert str(rows[2]["until"]) == "0001-01-01 00:00:00+00:00"
    assert all(row[c] is None for row in rows[len(IN_YEARS) :] for c in TYPES)


def test_days_and_times_that_do_not_fit_are_counted_as_failed_casts(bench: Bench) -> None:
    with bench.postgres.transaction() as connection:
        found = connection.execute(
            "SELECT column_name, sum(failures)::int FROM quality.cast_failures GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert found == [(c, sum(c in row for row in OUTSIDE)) for c in sorted(TYPES)]


def test_the_lake_can_be_asked_after_them(bench: Bench) -> None:
    found = lake_connection(str(bench.lake)).execute("SELECT count(born), count(until) FROM small.edges").fetchone()
    assert found == (2, 3)


@pytest.mark.parametrize("column", TYPES)
def test_the_walk_makes_those_that_fit_and_leaves_the_others_to_spark(column: str) -> None:
    fitting, others = ([row[column] for row in rows if column in row] for rows in (IN_YEARS, OUTSIDE))
    made = maker(SqlType(TYPES[column]), "yyyyMMdd" if column == "compact" else None)([*fitting, None, *others])
    assert sorted(made.odd) == list(range(len(fitting) + 1, len(fitting) + 1 + len(others)))


def test_json_that_stays_the_same_is_no_change_whoever_computes_it(
    postgres: Postgres, spark: SparkSession, tmp_path: Path
) -> None:
    """Characters beyond U+FFFF, and those that JSON writes as codes: walked first, then left to Spark, then walked."""
    extras = [{"a\U0001f642": ["\U0010ffff", "\u00e9"]}, {"code": "\x0b"}, ["\\u000b"], "text\U0001f642", "text\x0b"]
    with fresh_database(postgres) as database:
        bench = Bench(database, tmp_path, spark, mapping_of(MAPPING))
        for minute, until in enumerate(["2024-07-01T17:05:00Z", "2024-07-01T17:05:00", "2024-07-01T17:05:00.0Z"]):
            for number, extra in enumerate(extras, start=1):
                edges = [{"extra": extra}, {"until": until}]
                bench.put({"id": number, "date": "2024-05-01", "edges": edges}, minute)
            counts = bench.run().tables["small.edges"].counts
            rows = 2 * len(extras)
            told = {name: (c.source_rows, c.inserted, c.updated) for name, c in counts.items()}
            assert told == dict.fromkeys(("postgres", "delta"), (rows, 0 if minute else rows, 0))
