"""Documents that are not shaped as expected, rows that share a key, filters on values of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from helpers import SMALL, Bench, fresh_database, game, mapping_of, rows_of
from pyspark.sql import SparkSession

from mlb_platform.extraction.extract import Extracted
from mlb_platform.quality.findings import Finding
from resources.postgres import Postgres

FILTERS = {
    "equal_text": ("$.kind == 'pitch'", ["text"]),
    "equal_number": ("$.v == 5", ["int", "float", "digits"]),
    "equal_fraction": ("$.v == 5.5", ["half"]),
    "equal_true": ("$.v == true", ["true"]),
    "unequal_number": ("$.v != 5", ["half", "text", "true", "word"]),
    "unequal_text": ("$.v != 'word'", ["int", "float", "digits", "half", "text", "true"]),
    "less": ("$.v < 5.5", ["int", "float", "digits", "text"]),
    "at_most": ("$.v <= 5.5", ["int", "float", "digits", "half", "text"]),
    "more": ("$.v > 5", ["half"]),
    "at_least": ("$.v >= 5", ["int", "float", "digits", "half"]),
    "later_text": ("$.v > 'v'", ["word"]),
    "among": ("$.v in [5.5, 'word', true]", ["half", "true", "word"]),
    "there": ("$.v exists", ["int", "float", "digits", "half", "text", "true", "word"]),
    "not_there": ("not $.v exists", ["null", "missing"]),
    "not_five": ("not $.v == 5", ["half", "text", "true", "word", "null", "missing"]),
    "both": ("$.v > 5 and $.v < 6 or $.v == 'word'", ["half", "word"]),
    "grouped": ("($.v > 5 or $.v == 'word') and not $.v < 6", ["word"]),
    "of_parent": ("$.v == 5 and parent.state == 'Final' and $document.id == 9", ["int", "float", "digits"]),
}
ITEMS: list[dict[str, Any]] = [
    {"name": "int", "v": 5},
    {"name": "float", "v": 5.0},
    {"name": "digits", "v": "5"},
    {"name": "half", "v": 5.5},
    {"name": "text", "v": -1, "kind": "pitch"},
    {"name": "true", "v": True},
    {"name": "word", "v": "word"},
    {"name": "null", "v": None},
    {"name": "missing"},
]

TABLES = """\
  - name: small.players
    primary_key: [game_pk, key]
    object_source: $.players
    fields:
      - {name: key, type: TEXT, json_path: $key}
      - {name: name, type: TEXT, json_path: $.name.full}
      - {name: born, type: DATE, json_path: $.born, nullable: false}
"""
FILTERED = """\
  - name: f.%s
    primary_key: [game_pk, n]
    array_source: $.items
    filter: "%s"
    fields: [{name: n, type: TEXT, json_path: $.name}]
"""
MAPPING = SMALL + TABLES + "".join(FILTERED % (name, text) for name, (text, _) in FILTERS.items())


PLAYERS = {"ID1": {"name": {"full": "One"}, "born": "2000-01-01"}}
PLAYS = [(1, 0, "a"), (2, 1, "b")]
DOCUMENTS: dict[str, dict[str, Any]] = {
    "good": game(1, PLAYS) | {"players": PLAYERS},
    "array for object": game(2, PLAYS) | {"players": [PLAYERS["ID1"]]},
    "object for array": game(3) | {"players": PLAYERS, "plays": {"0": {"n": 1, "runs": 0}}},
    "deep array for object": game(4, PLAYS) | {"players": PLAYERS | {"ID/2": {"name": ["x"], "born": "2000-01-02"}}},
    "text for array": game(5) | {"players": PLAYERS, "plays": "none yet"},
    "text for object": game(6, PLAYS) | {"players": PLAYERS | {"ID2": {"name": "Two", "born": "2000-01-02"}, "ID3": 7}},
    "empty text for object": game(7, PLAYS) | {"players": ""},
    "identical rows": game(8, [*PLAYS, PLAYS[0], PLAYS[0]]) | {"players": PLAYERS},
    "filters": game(9) | {"items": ITEMS},
    "differing rows": game(10, [*PLAYS, (1, 2, "a")]),
    "no key": game(11, [*PLAYS, (None, 2, "a")]),  # type: ignore[list-item]
    "misfit key": game(12, [*PLAYS, ("first", 2, "a")]),  # type: ignore[list-item]
    "no date": game(13, PLAYS) | {"date": None},
    "misfit date": game(14, PLAYS) | {"date": "May 1"},
    "misfit of a column that must be there": game(15) | {"players": {"ID1": {"born": "2000"}}},
    "long name": game(16) | {"plays": [{"n": 1, "runs": 2.0, "note": "a", "n" * 60_000: 1}]},
    "long number": game(17, [(1, 2.0, orjson.Fragment(f"0.{'0' * 1_100}1")), (2, 0, "b")]),  # type: ignore[list-item]
    "long text": game(18, [(1, 2.0, "a" * 20_000_001), (2, 0, "b")]),
}
IDS = {name: i for i, name in enumerate(DOCUMENTS, start=1)}


@pytest.fixture(scope="module")
def extracted(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extracted]:
    """All documents in one go."""
    with fresh_database(postgres) as database:
        bench = Bench(database, tmp_path_factory.mktemp("lake"), spark, mapping_of(MAPPING))
        yield bench.extract(list(DOCUMENTS.values()))


def errors(extracted: Extracted, name: str) -> list[Finding]:
    """Return what a document breaks."""
    return [f for f in extracted.findings if f.raw_id == IDS[name] and f.severity == "error"]


@pytest.mark.parametrize("name", FILTERS)
def test_filters_keep_what_they_must(extracted: Extracted, name: str) -> None:
    """Every operator on numbers, texts, booleans, null and what is missing (false, so `not` is true)."""
    found = {row["n"] for row in rows_of(extracted, f"f.{name}", IDS["filters"])}
    assert found == set(FILTERS[name][1])


def test_a_good_document_is_not_touched_by_its_neighbours(extracted: Extracted) -> None:
    """What is wrong with one capture of a job is told of that one only."""
    assert errors(extracted, "good") == []
    assert len(rows_of(extracted, "small.plays", 1)) == 2 and len(rows_of(extracted, "small.players", 1)) == 1
    assert not any(f.raw_id == 1 for f in extracted.cast_failures)


@pytest.mark.parametrize(
    ("name", "table", "sample"),
    [
        ("array for object", "small.players", {"pointer": "/players", "expected": "object", "found": "array"}),
        ("object for array", "small.plays", {"pointer": "/plays", "expected": "array", "found": "object"}),
        (
            "deep array for object",
            "small.players",
            {"pointer": "/players/ID~12/name", "expected": "object", "found": "array"},
        ),
    ],
)
def test_an_array_for_an_object_or_the_reverse_breaks_the_structure(
    extracted: Extracted, name: str, table: str, sample: dict[str, str]
) -> None:
    """The capture is to be held; the finding names the table and points at the place."""
    (finding,) = errors(extracted, name)
    assert (finding.rule, finding.table, finding.failed) == ("structure", table, 1)
    assert {k: finding.samples[0][k] for k in sample} == sample


def test_a_text_for_an_array_is_a_failed_cast_of_its_columns(extracted: Extracted) -> None:
    """The rest of the document is used."""
    assert errors(extracted, "text for array") == []
    found = {(f.table, f.column): f for f in extracted.cast_failures if f.raw_id == IDS["text for array"]}
    assert set(found) == {("small.plays", c) for c in ("play", "runs", "note")}
    one = found["small.plays", "runs"]
    assert (one.path, one.expected, one.value, one.failures) == ("$.plays", "array", '"none yet"', 1)
    assert len(rows_of(extracted, "small.players", IDS["text for array"])) == 1


def test_a_scalar_for_an_object_is_a_failed_cast_and_the_rest_is_used(extracted: Extracted) -> None:
    """A member that is a number makes no row; an inner one leaves its columns null."""
    assert errors(extracted, "text for object") == []
    rows = rows_of(extracted, "small.players", IDS["text for object"])
    assert [(r["key"], r["name"]) for r in rows] == [("ID1", "One"), ("ID2", None)]
    found = {f.column: f.failures for f in extracted.cast_failures if f.raw_id == IDS["text for object"]}
    assert found == {"name": 2, "born": 1}
    assert len(rows_of(extracted, "small.plays", IDS["text for object"])) == 2


def test_what_spark_stops_at_holds_the_capture(extracted: Extracted) -> None:
    """All that follows in the document is missing from the rows: they must not stand for all there is."""
    finding = errors(extracted, "long name")[0]
    assert finding.rule == "structure" and "50,000 characters" in finding.samples[0]["found"]
    assert not any(f.rule == "entity_key" for f in errors(extracted, "long name"))


@pytest.mark.parametrize(("name", "note"), [("long number", "0.0"), ("long text", "a" * 20_000_001)])
def test_numbers_and_texts_that_jsonb_has_are_read_to_their_end(extracted: Extracted, name: str, note: str) -> None:
    """Beside a value that only Spark casts; what is too small for a double is zero, as where it is walked."""
    assert errors(extracted, name) == []
    found = [(r["play"], r["runs"], r["note"] == note) for r in rows_of(extracted, "small.plays", IDS[name])]
    assert found == [(1, 2, True), (2, 0, False)]


def test_an_empty_text_for_an_object_is_counted_too(extracted: Extracted) -> None:
    """Older feeds write "" where there is nothing; it is no silent absence."""
    assert errors(extracted, "empty text for object") == []
    assert {f.value for f in extracted.cast_failures if f.raw_id == IDS["empty text for object"]} == {'""'}
    assert len(rows_of(extracted, "small.plays", IDS["empty text for object"])) == 2


def test_identical_rows_with_one_key_collapse_and_are_counted(extracted: Extracted) -> None:
    """Three times the same play is one row; two were taken away."""
    assert errors(extracted, "identical rows") == []
    assert len(rows_of(extracted, "small.plays", IDS["identical rows"])) == 2
    assert extracted.collapsed == {"small.plays": 2}


def test_differing_rows_with_one_key_break_its_rule(extracted: Extracted) -> None:
    """Both rows are told, with their key."""
    (finding,) = errors(extracted, "differing rows")
    assert (finding.table, finding.rule, finding.failed, finding.checked) == ("small.plays", "unique_key", 2, 3)
    assert [s["play"] for s in finding.samples] == [1, 1]


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("no key", {("small.plays", "not_null")}),
        ("misfit key", {("small.plays", "not_null")}),
        ("no date", {("small.plays", "not_null"), ("small.games", "not_null")}),
        ("misfit date", {("small.plays", "not_null"), ("small.games", "not_null")}),
        ("misfit of a column that must be there", {("small.players", "not_null")}),
    ],
)
def test_a_missing_or_misfit_key_or_date_breaks_an_error_rule(
    extracted: Extracted, name: str, rules: set[tuple[str, str]]
) -> None:
    """The whole capture is to be held."""
    assert {(f.table, f.rule) for f in errors(extracted, name)} == rules


def test_the_misfits_behind_a_broken_rule_are_counted(extracted: Extracted) -> None:
    """What did not fit is told with its value, besides the rule it breaks."""
    found = {f.raw_id: (f.column, f.value) for f in extracted.cast_failures}
    assert found[IDS["misfit key"]] == ("play", "first")
    assert found[IDS["misfit of a column that must be there"]] == ("born", "2000")
