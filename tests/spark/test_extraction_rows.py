"""Which rows a mapping makes of a document: arrays, objects, parents, look-ups, elements, filters; one job for all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from helpers import Bench, fresh_database, mapping_of, rows_of
from pyspark.sql import SparkSession

from mlb_platform.extraction.extract import Extracted
from resources.postgres import Postgres

HEAD = """
version: "1.0"
source:
  endpoint: rows
  method: v1
  raw_table: rows.v1
  entity_key: {name: game_pk, type: BIGINT, json_path: $.id}
targets:
  - {name: r.document, primary_key: [game_pk], fields: [
      {name: state, type: TEXT, json_path: [$.state.detailed, $.state.short]},
      {name: fixed, type: SMALLINT, constant: 7},
      {name: total, type: INT, expression: "home + away"},
      {name: home, type: INT, json_path: $.score.home, default: 0},
      {name: away, type: INT, json_path: $.score.away}]}
  - {name: r.events, primary_key: [game_pk, play, n], array_source: "$.plays[*].events", fields: [
      {name: play, type: INT, json_path: parent.index},
      {name: n, type: INT, json_path: $position},
      {name: state, type: TEXT, json_path: parent.parent.state.short},
      {name: venue, type: TEXT, json_path: $document.venue.name},
      {name: kind, type: TEXT, json_path: $.kind},
      {name: pk_again, type: BIGINT, json_path: parent.game_pk}]}
  - {name: r.pitches, primary_key: [game_pk, play, n], array_source: "$.plays[*].events", filter: $.kind == 'pitch',
     fields: [
      {name: play, type: INT, json_path: parent.index},
      {name: n, type: INT, json_path: $position}]}
  - {name: r.players, primary_key: [game_pk, key], object_source: $.players, fields: [
      {name: key, type: TEXT, json_path: $key},
      {name: name, type: TEXT, json_path: $.name}]}
  - {name: r.bases, primary_key: [game_pk, key, base], array_source: "$.teams{*}.bases", fields: [
      {name: key, type: TEXT, json_path: parent.side},
      {name: base, type: TEXT, json_path: $}]}
  - name: r.lineup
    primary_key: [game_pk, side, spot]
    sources:
      - {array_source: $.order.home, constants: {side: home, rank: 1}}
      - {array_source: $.order.away, constants: {side: away, rank: 2}, filter: $ != 99}
    filter: $ > 0
    lookups:
      player: {object_source: $.players, key: "ID{$}"}
      play: {array_source: $.plays, index: $}
    fields:
      - {name: side, type: VARCHAR(4), constant: side}
      - {name: rank, type: INT, constant: rank}
      - {name: other, type: TEXT, constant: some}
      - {name: spot, type: INT, json_path: $position}
      - {name: player_id, type: INT, json_path: $}
      - {name: name, type: TEXT, json_path: lookup.player.name}
      - {name: play, type: TEXT, json_path: lookup.play.what}
  - name: r.plays
    primary_key: [game_pk, play]
    array_source: $.plays
    fields:
      - {name: play, type: INT, json_path: $.index}
      - {name: last_pitch, type: TEXT, json_path: $.id, element: {array_source: $.events, filter: $.kind == 'pitch'}}
      - {name: first_event, type: TEXT, json_path: $.kind, element: {array_source: $.events, pick: first}}
      - {name: later, type: TEXT, json_path: $.id,
         element: {array_source: $.events, pick: first, filter: "$.n > 1 and not $.kind in ['pitch']"}}
"""

GAME: dict[str, Any] = {
    "id": 1,
    "state": {"short": "F"},
    "venue": {"name": "Park"},
    "score": {"home": None, "away": 3},
    "players": {"ID5": {"name": "Five"}, "ID6": {"name": "Six"}, "ID7": None},
    "teams": {"a": {"side": "home", "bases": ["1B", None, "3B"]}, "b": {"side": "away", "bases": []},
              "c": {"side": "x"}},
    "order": {"home": [5, 0, 6, None, 8], "away": [99, 6, -1]},
    "plays": [
        {"index": 0, "what": "walk", "events": [
            {"n": 1, "kind": "pitch", "id": "p1"}, {"n": 2, "kind": "action", "id": "a1"},
            {"n": 3, "kind": "pitch", "id": "p2"}]},
        {"index": 1, "what": "out", "events": [{"n": 1, "kind": "action", "id": "a2"}]},
        {"index": 2, "what": "balk", "events": []},
        {"index": 3, "what": "hit"},
        None,
        {"index": 5, "what": "steal", "events": [None, {"n": 1, "kind": "pitch", "id": None}]},
    ],
}  # fmt: skip
EMPTY: dict[str, Any] = {"id": 2, "score": {"home": 4}, "state": {"short": "P", "detailed": "Preview"}, "plays": None}


@pytest.fixture(scope="module")
def extracted(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extracted]:
    """A full document and a nearly empty one, in one job for all tables."""
    with fresh_database(postgres) as database:
        bench = Bench(database, tmp_path_factory.mktemp("lake"), spark, mapping_of(HEAD))
        yield bench.extract([GAME, EMPTY])


def values(extracted: Extracted, table: str, *names: str) -> list[tuple[Any, ...]]:
    """Return some columns of the first document's rows, in order."""
    return [tuple(row[n] for n in names) for row in rows_of(extracted, f"r.{table}", 1)]


def test_nothing_is_found_fault_with(extracted: Extracted) -> None:
    """Null items, missing arrays and missing members are no failures."""
    assert extracted.findings == [] and extracted.cast_failures == [] and extracted.collapsed == {}


def test_a_document_is_one_row_with_constants_defaults_and_expressions(extracted: Extracted) -> None:
    """The first path that exists wins; a default stands in for null and for what is missing, also in expressions."""
    assert values(extracted, "document", "state", "fixed", "home", "away", "total") == [("F", 7, 0, 3, 3)]
    second = rows_of(extracted, "r.document", 2)[0]
    assert (second["state"], second["home"], second["away"], second["total"]) == ("Preview", 4, None, None)


def test_nested_arrays_have_parents_at_two_depths(extracted: Extracted) -> None:
    """Every event of every play, with its play's, its document's and the inherited values; null items make no row."""
    assert values(extracted, "events", "play", "n", "state", "venue", "kind", "pk_again") == [
        (0, 0, "F", "Park", "pitch", 1),
        (0, 1, "F", "Park", "action", 1),
        (0, 2, "F", "Park", "pitch", 1),
        (1, 0, "F", "Park", "action", 1),
        (5, 1, "F", "Park", "pitch", 1),
    ]


def test_the_position_is_that_before_the_filter(extracted: Extracted) -> None:
    """A pitch keeps its place among all events."""
    assert values(extracted, "pitches", "play", "n") == [(0, 0), (0, 2), (5, 1)]


def test_members_of_an_object_are_rows_with_their_key(extracted: Extracted) -> None:
    """A member that is null makes no row."""
    assert values(extracted, "players", "key", "name") == [("ID5", "Five"), ("ID6", "Six")]


def test_scalar_items_below_members_are_rows(extracted: Extracted) -> None:
    """The item itself is `$`; nulls, an empty and a missing array make no row."""
    assert values(extracted, "bases", "key", "base") == [("home", "1B"), ("home", "3B")]


def test_several_sources_bring_their_constants_and_look_things_up(extracted: Extracted) -> None:
    """Filters of a source and of the table both hold; what is not found is null: no such key, an index out of range."""
    names = ("side", "rank", "other", "spot", "player_id", "name", "play")
    assert values(extracted, "lineup", *names) == [
        ("home", 1, "some", 0, 5, "Five", "steal"),
        ("home", 1, "some", 2, 6, "Six", None),
        ("home", 1, "some", 4, 8, None, None),
        ("away", 2, "some", 1, 6, "Six", None),
    ]


def test_the_first_or_last_element_that_matches_gives_the_value(extracted: Extracted) -> None:
    """None that matches, an empty and a missing array give null."""
    assert values(extracted, "plays", "play", "last_pitch", "first_event", "later") == [
        (0, "p2", "pitch", "a1"),
        (1, None, "action", None),
        (2, None, None, None),
        (3, None, None, None),
        (5, None, None, None),
    ]


def test_a_document_without_the_arrays_has_no_rows_there(extracted: Extracted) -> None:
    """Null or missing: every other table is empty for that document."""
    for table in ("events", "pitches", "players", "bases", "lineup", "plays"):
        assert rows_of(extracted, f"r.{table}", 2) == []
