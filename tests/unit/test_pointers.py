"""The JSON pointer of every kind of column, written by hand for a document that has them all."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from helpers import mapping_of

from mlb_platform.lineage.pointers import SourceRow, source_rows
from mlb_platform.lineage.rows import Evaluator, needed_for, row_values
from mlb_platform.lineage.values import Number, cast, holds, read_document, text_of
from mlb_platform.mapping.filters import parse_filter
from mlb_platform.mapping.shape import document_tree
from mlb_platform.mapping.types import parse_type

KINDS = """
version: "1.0"
source:
  endpoint: kinds
  method: v1
  raw_table: kinds.v1
  required: [id]
  entity_key: {name: game_pk, type: BIGINT, json_path: $.id}
targets:
  - name: kinds.documents
    primary_key: [game_pk]
    fields:
      - {name: day, type: DATE, json_path: [$.day.official, $.day.original]}
      - {name: last_inning, type: INT, json_path: $.n, element: {array_source: $.innings, pick: last}}
      - {name: no_inning, type: INT, json_path: $.n,
         element: {array_source: $.innings, pick: first, filter: "$.n > 7"}}
      - {name: tags, type: JSONB, json_path: $.tags}
      - {name: odd, type: TEXT, json_path: "$.odd-name"}
  - name: kinds.events
    primary_key: [game_pk, play, event]
    array_source: $.plays[*].events
    filter: "$.kind != 'action' and parent.done == true"
    lookups:
      person: {object_source: $.people, key: "ID{$.who.id}"}
      next: {array_source: $.innings, index: $.inning}
    fields:
      - {name: play, type: INT, json_path: parent.$position}
      - {name: event, type: INT, json_path: [$.index, $position]}
      - {name: kind, type: TEXT, json_path: $.kind}
      - {name: batter, type: TEXT, json_path: parent.batter}
      - {name: who, type: TEXT, json_path: [lookup.person.nick, lookup.person.name]}
      - {name: inning, type: INT, json_path: lookup.next.n}
      - {name: pitch, type: TEXT, json_path: $.id,
         element: {array_source: parent.events, pick: last, filter: "$.kind == 'pitch'"}}
      - {name: venue, type: TEXT, json_path: $document.venue}
      - {name: runs, type: INT, json_path: $.runs, default: 0}
      - {name: double_runs, type: INT, expression: "runs * 2"}
  - name: kinds.people
    primary_key: [game_pk, person]
    object_source: $.people
    fields:
      - {name: person, type: TEXT, json_path: $key}
      - {name: place, type: INT, json_path: $position}
      - {name: name, type: TEXT, json_path: $.name}
  - name: kinds.lists
    primary_key: [game_pk, side, player]
    sources:
      - {array_source: $.home.bench, constants: {side: home}}
      - {array_source: $.away.bench, constants: {side: away}, paths: {team: $document.away.team, coach: null}}
    fields:
      - {name: side, type: TEXT, constant: side}
      - {name: player, type: INT, json_path: $}
      - {name: place, type: INT, json_path: $first_position}
      - {name: team, type: TEXT, json_path: $document.home.team}
      - {name: coach, type: TEXT, json_path: $document.home.coach}
"""
DOCUMENT = b"""{
  "id": 5, "day": {"original": "2024-07-01", "official": null}, "venue": "Park", "tags": {"a": [1.50]}, "odd-name": "x",
  "innings": [{"n": 1}, {"n": 2}, {"n": 3}],
  "plays": [
    {"done": true, "batter": "B0", "events": [
      {"kind": "pitch", "id": "p0", "index": 7, "who": {"id": 1}, "inning": 2},
      {"kind": "action"},
      {"kind": "pitch", "id": "p1", "who": {"id": 2}, "inning": 9, "runs": 3}]},
    {"done": false, "batter": "B1", "events": [{"kind": "pitch"}]},
    null,
    {"done": true, "batter": "B3", "events": [{"kind": "throw", "who": {}}]}],
  "people": {"ID1": {"name": "Ann", "nick": null}, "ID2": {"name": "Bo", "nick": "B/o"}, "a/b~c": {"name": "Odd"}},
  "home": {"team": "H", "coach": "C", "bench": [10, 11, 10]}, "away": {"team": "A", "bench": [20]}
}"""
MAPPING = mapping_of(KINDS)


def rows(table: str, document: Any = None) -> list[SourceRow]:
    """The rows of a table in the document."""
    body = read_document(DOCUMENT) if document is None else document
    return list(source_rows(body, MAPPING.by_name[table], document_tree(MAPPING)))


def places(row: SourceRow) -> dict[str, tuple[str | None, Any]]:
    """Pointer and raw value of each column that is read by path."""
    found = {}
    for c in row.target.columns:
        if c.origin == "path" and c.field is not None:
            cell = row.cell(c.field)
            found[c.name] = (cell.place.pointer, cell.raw)
    return found


def test_one_row_a_document() -> None:
    """The first path with a value counts and the others are told; elements are picked; what is not there is nothing."""
    (row,) = rows("kinds.documents")
    assert row.pointer == ""
    assert places(row) == {
        "day": ("/day/original", "2024-07-01"),
        "last_inning": ("/innings/2/n", 3),
        "no_inning": (None, None),
        "tags": ("/tags", {"a": [1.5]}),
        "odd": ("/odd-name", "x"),
    }
    day = row.cell(row.target.by_name["day"].field)
    assert [(p.pointer, p.there) for p in day.passed] == [("/day/official", True)] and day.path == "$.day.original"


def test_rows_of_arrays_in_arrays() -> None:
    """Filtered rows keep their places; parents, look-ups by key and index, picks, positions and the document."""
    first, second, third = rows("kinds.events")
    assert [r.pointer for r in (first, second, third)] == [
        "/plays/0/events/0",
        "/plays/0/events/2",
        "/plays/3/events/0",
    ]
    assert places(first) == {
        "play": ("/plays/0", 0),
        "event": ("/plays/0/events/0/index", 7),
        "kind": ("/plays/0/events/0/kind", "pitch"),
        "batter": ("/plays/0/batter", "B0"),
        "who": ("/people/ID1/name", "Ann"),
        "inning": ("/innings/2/n", 3),
        "pitch": ("/plays/0/events/2/id", "p1"),
        "venue": ("/venue", "Park"),
        "runs": ("/plays/0/events/0/runs", None),
    }
    assert places(second)["event"] == ("/plays/0/events/2", 2)
    assert places(second)["who"] == ("/people/ID2/nick", "B/o")
    assert places(second)["inning"] == ("/innings/9/n", None)
    assert places(third)["play"] == ("/plays/3", 3)
    assert places(third)["who"] == places(third)["inning"] == places(third)["pitch"] == (None, None)


def test_members_of_an_object() -> None:
    """Their names are read, and escaped in the pointer."""
    found = [places(r) for r in rows("kinds.people")]
    assert found[2] == {"person": ("/people/a~1b~0c", "a/b~c"), "place": ("/people/a~1b~0c", 2),
                        "name": ("/people/a~1b~0c/name", "Odd")}  # fmt: skip
    assert [f["person"][1] for f in found] == ["ID1", "ID2", "a/b~c"]


def test_several_sources_with_constants() -> None:
    """A source may have other paths, or none; an item that stands twice has the place of the first."""
    found = rows("kinds.lists")
    side = MAPPING.by_name["kinds.lists"].by_name["side"].field
    assert side is not None and [r.constant(side) for r in found] == ["home", "home", "home", "away"]
    assert places(found[2]) == {
        "player": ("/home/bench/2", 10),
        "place": ("/home/bench/0", 0),
        "team": ("/home/team", "H"),
        "coach": ("/home/coach", "C"),
    }
    assert places(found[3]) == {
        "player": ("/away/bench/0", 20),
        "place": ("/away/bench/0", 0),
        "team": ("/away/team", "A"),
        "coach": (None, None),
    }
    assert found[3].cell(MAPPING.by_name["kinds.lists"].by_name["coach"].field).path == ""  # type: ignore[arg-type]


def test_values_defaults_and_expressions() -> None:
    """What a row holds: values cast, the default where there is none, expressions over both."""
    evaluator = Evaluator()
    first, second, _ = rows("kinds.events")
    values = [row_values(r, {"game_pk": 5}, evaluator) for r in (first, second)]
    assert [(v["event"], v["runs"], v["double_runs"]) for v in values] == [(7, 0, 0), (2, 3, 6)]
    (row,) = rows("kinds.documents")
    assert row_values(row, {}, evaluator)["day"] == date(2024, 7, 1)
    target = MAPPING.by_name["kinds.events"]
    assert [c.name for c in needed_for(target, target.by_name["double_runs"])] == ["runs"]
    evaluator.close()


CASTS = [
    ("5.0", "INT", 5), ("5.5", "INT", None), ("2147483648", "INT", None), ("2147483648", "BIGINT", 2147483648),
    ("x", "INT", None), ("1.005", "NUMERIC(5,2)", Decimal("1.01")), ("-1.005", "NUMERIC(5,2)", Decimal("-1.01")),
    ("1000", "NUMERIC(5,2)", None), (".---", "NUMERIC(5,3)", None), ("1e400", "DOUBLE", None),
    ("TRUE", "BOOLEAN", True), ("1", "BOOLEAN", None), ("2024-07-01", "DATE", date(2024, 7, 1)), 
    ("20240701", "DATE", None), ("2024-07-13T01:40:00Z", "TIMESTAMPTZ", datetime(2024, 7, 13, 1, 40, tzinfo=UTC)),
    ("2024-07-13T01:40:00.123-04:00", "TIMESTAMPTZ", datetime(2024, 7, 13, 5, 40, 0, 123000, tzinfo=UTC)),
    ("2024-07-13", "TIMESTAMPTZ", None), ("abcd", "VARCHAR(3)", None), ("äöü", "VARCHAR(3)", "äöü"),
    ("plain", "JSONB", '"plain"'), ('{"a": 1}', "JSONB", '{"a": 1}'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "value"), CASTS, ids=[f"{t} {k}" for t, k, _ in CASTS])
def test_casts(text: str, kind: str, value: Any) -> None:
    """As the tables have them: halves away from zero, nothing cut off, nothing made up."""
    assert cast(text, parse_type(kind)) == value


def test_numbers_keep_how_they_are_written() -> None:
    """In a text column 1.50 is 1.50, and it is a number all the same."""
    value = read_document(b'{"a": 1.50, "b": 7, "c": true, "d": null, "e": [1.50]}')
    assert [text_of(v) for v in value.values()] == ["1.50", "7", "true", None, "[1.5]"]
    assert value["a"] == 1.5 and isinstance(value["a"], Number)
    assert cast("20240713_014000", parse_type("TIMESTAMPTZ"), "yyyyMMdd_HHmmss") == datetime(
        2024, 7, 13, 1, 40, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("$.n == 5", True), ("$.n != 5", False), ("$.s != 5", True), ("$.s > 5", False), ("$.none == 5", False),
        ("$.none != 5", False), ("not $.none == 5", True), ("$.b == true", True), ("$.n in [1, 5]", True),
        ("$.s in ['x']", True), ("$.n exists and not $.none exists", True), ("$.none exists or $.n >= 5", True),
    ],
)  # fmt: skip
def test_filters(text: str, verdict: bool) -> None:
    """A comparison with nothing is false; what is no number is not equal to one."""
    document = {"n": 5, "s": "x", "b": True}
    assert holds(parse_filter(text), lambda path: document.get(path.steps[0])) is verdict
