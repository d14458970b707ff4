"""Random documents, read by Spark and by an independent reader in plain Python, give the same rows and findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from helpers import Bench, fresh_database, mapping_of, rows_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from mlb_platform.extraction.extract import Extracted, Extractor
from mlb_platform.extraction.repair import misplaced_parts
from mlb_platform.lineage.pointers import source_rows
from mlb_platform.lineage.rows import Evaluator, row_values
from mlb_platform.lineage.values import read_document
from mlb_platform.mapping.shape import document_tree
from resources.postgres import Postgres

MAPPING = """
version: "1.0"
source:
  endpoint: random
  method: v1
  raw_table: random.v1
  entity_key: {name: game_pk, type: BIGINT, json_path: $.id}
targets:
  - name: x.plays
    primary_key: [game_pk, n]
    array_source: $.plays
    fields:
      - {name: n, type: INT, json_path: $position}
      - {name: runs, type: INT, json_path: [$.runs, $.score], default: 0}
      - {name: speed, type: "NUMERIC(4,1)", json_path: $.speed}
      - {name: last_id, type: TEXT, json_path: $.id, element: {array_source: $.events, filter: $.pitch == true}}
  - name: x.events
    primary_key: [game_pk, play, n]
    array_source: "$.plays[*].events"
    filter: $.n > 0 or not $.pitch exists
    lookups:
      player: {object_source: $.players, key: "ID{$.player}"}
    fields:
      - {name: play, type: INT, json_path: parent.no, default: -1}
      - {name: n, type: INT, json_path: $position}
      - {name: pitch, type: BOOLEAN, json_path: $.pitch}
      - {name: number, type: INT, json_path: $.n}
      - {name: name, type: VARCHAR(3), json_path: lookup.player.name}
      - {name: twice, type: INT, expression: number * 2}
"""
EVENT_COLUMNS = [("x.events", c) for c in ("pitch", "number")] + [("x.plays", "last_id")]
PLAY_COLUMNS = [("x.plays", c) for c in ("runs", "speed")] + [("x.events", "play")]

plain_numbers = st.sampled_from([0, 1, 7, 2.0, "3", "4.0", 5.5, "six", -8, None, True])
numbers = plain_numbers | st.sampled_from([{"a": 1}, []])
speeds = st.sampled_from([93.45, -93.45, 0.05, "88.25", 99, 999.94, 999.96, ".---", None, "NaN", 1e-7])
flags = st.sampled_from([True, True, False, "true", None, 1])
event = st.fixed_dictionaries(
    {},
    optional={
        "n": plain_numbers,
        "pitch": flags,
        "id": st.sampled_from(["a", "b", None, ""]),
        "player": st.integers(1, 4),
    },
)
play = st.fixed_dictionaries(
    {},
    optional={
        "no": st.sampled_from([0, 1, 2.0, "x", None]),
        "runs": numbers,
        "score": plain_numbers,
        "speed": speeds,
        "events": st.lists(event | event | st.sampled_from([None, 5, []]), max_size=3)
        | st.sampled_from([None, "none", {}]),
    },
)
player = st.fixed_dictionaries({}, optional={"name": st.sampled_from(["Abe", "Bob", "Charles", None, 12])})
document = st.fixed_dictionaries(
    {},
    optional={
        "plays": st.lists(play | play | play | st.sampled_from([None, "x"]), max_size=3)
        | st.sampled_from([None, 0, {}]),
        "players": st.dictionaries(st.sampled_from(["ID1", "ID2", "ID3"]), player | st.none(), max_size=3) | st.none(),
    },
)


class Reader:
    """Reads one document as the mapping says; `failures` counts misfits by (table, column)."""

    def __init__(self, doc: dict[str, Any]) -> None:
        self.doc = doc
        self.failures: Counter[tuple[str, str]] = Counter()
        self.broken_structure = False
        self.tables: dict[str, list[dict[str, Any]]] = {"x.plays": [], "x.events": []}
        plays = self.expect(list, doc.get("plays"), PLAY_COLUMNS + EVENT_COLUMNS) or []
        for i, item in enumerate(plays):
            one = self.expect(dict, item, PLAY_COLUMNS + EVENT_COLUMNS)
            if one is not None:
                self.read_play(i, one)

    def expect(self, kind: type, value: Any, columns: list[tuple[str, str]]) -> Any:
        """Return a value of this kind; a scalar in its place fails the columns below, the other kind the structure."""
        if value is None or isinstance(value, kind):
            return value
        if isinstance(value, list | dict):
            self.broken_structure = True
        else:
            self.failures.update(columns)
        return None

    def leaf(self, holder: dict[str, Any], name: str, columns: list[tuple[str, str]]) -> Any:
        """Return a plain value; an array or object in its place fails every column that reads it."""
        value = holder.get(name)
        if isinstance(value, list | dict):
            self.failures.update(columns)
            return None
        return value

    def cast(self, value: Any, column: tuple[str, str], kind: str) -> Any:
        """Cast a plain value."""
        if value is None:
            return None
        result = CASTS[kind](value)
        if result is None:
            self.failures[column] += 1
        return result

    def read_play(self, i: int, one: dict[str, Any]) -> None:
        runs = self.leaf(one, "runs", [("x.plays", "runs")])
        chosen = one.get("score") if runs is None else runs
        row = {
            "game_pk": self.doc["id"],
            "n": i,
            "runs": 0 if chosen is None else self.cast(chosen, ("x.plays", "runs"), "int"),
            "speed": self.cast(one.get("speed"), ("x.plays", "speed"), "number"),
            "last_id": None,
        }
        self.tables["x.plays"].append(row)
        number = one.get("no")
        found = self.expect(list, one.get("events"), EVENT_COLUMNS) or []
        for k, item in enumerate(found):
            event = self.expect(dict, item, EVENT_COLUMNS)
            if event is None:
                continue
            n = event.get("n")
            if text(event.get("pitch")) == "true":
                row["last_id"] = event.get("id")
            if not ((numeric(n) or 0) > 0 or event.get("pitch") is None):
                continue
            whole = self.cast(n, ("x.events", "number"), "int")
            self.tables["x.events"].append(
                {
                    "game_pk": self.doc["id"],
                    "play": -1 if number is None else self.cast(number, ("x.events", "play"), "int"),
                    "n": k,
                    "pitch": self.cast(event.get("pitch"), ("x.events", "pitch"), "boolean"),
                    "number": whole,
                    "name": self.cast(self.player(event), ("x.events", "name"), "short"),
                    "twice": None if whole is None else whole * 2,
                }
            )

    def player(self, event: dict[str, Any]) -> Any:
        players = self.doc.get("players") or {}
        return (players.get(f"ID{event.get('player')}") or {}).get("name")


def text(value: Any) -> Any:
    """Return the text of a plain value."""
    return str(value).lower() if isinstance(value, bool) else value if value is None else str(value)


def numeric(value: Any) -> float | None:
    """Return the number that a plain value is or spells."""
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except ValueError:
        return None


def whole_number(value: Any) -> int | None:
    number = numeric(value)
    return int(number) if number is not None and number == number and number.is_integer() else None


def decimal_number(value: Any) -> Decimal | None:
    if numeric(value) is None or str(value) == "NaN":
        return None
    rounded = Decimal(str(value)).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)
    return rounded if abs(rounded) < 1000 else None


CASTS = {
    "int": whole_number,
    "number": decimal_number,
    "boolean": lambda v: {"true": True, "false": False}.get(str(text(v))),
    "short": lambda v: str(v) if len(str(v)) <= 3 else None,
}


@pytest.fixture(scope="module")
def bench(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with fresh_database(postgres) as database:
        yield Bench(database, tmp_path_factory.mktemp("lake"), spark, mapping_of(MAPPING))


@pytest.fixture(scope="module")
def extractor(bench: Bench) -> Extractor:
    return Extractor(bench.spark, bench.postgres, bench.mapping, [t.name for t in bench.mapping.targets])


numbering = iter(range(1, 10**6))


@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(documents=st.lists(document, min_size=40, max_size=40))
def test_random_documents_are_read_as_by_hand(
    bench: Bench, extractor: Extractor, documents: list[dict[str, Any]]
) -> None:
    """Rows, defaults, look-ups, failed casts and broken structures of forty documents a job are those of the reader.

    And so are the rows that `mlb explain` finds without Spark.
    """
    numbered = [{"id": next(numbering)} | d for d in documents]
    ids = {bench.put(d): d for d in numbered}
    extracted = extractor.extract(
        {i: str(d["id"]) for i, d in ids.items()}, lambda i: bench.stores.raw.payload(bench.raw_table, i)
    )
    wrong = [text for raw_id, doc in ids.items() for text in differences(extracted, raw_id, doc)]
    wrong += [text for raw_id in ids for text in unexplained(bench, extracted, raw_id)]
    assert not wrong, "\n".join(wrong[:3])


def differences(extracted: Extracted, raw_id: int, doc: dict[str, Any]) -> Iterator[str]:
    """Tell where Spark and the reader differ over a document."""
    reader = Reader(doc)
    held = any(f.raw_id == raw_id and f.rule == "structure" for f in extracted.findings)
    if held or reader.broken_structure:
        if held != reader.broken_structure:
            yield f"{doc}: structure error is {held}"
        return
    for table, rows in reader.tables.items():
        if (found := rows_of(extracted, table, raw_id)) != rows:
            yield f"{doc}: {table} is\n{found}, by hand\n{rows}"
    failures = {(f.table, f.column): f.failures for f in extracted.cast_failures if f.raw_id == raw_id}
    if failures != dict(reader.failures):
        yield f"{doc}: failed casts {failures}, by hand {dict(reader.failures)}"


def unexplained(bench: Bench, extracted: Extracted, raw_id: int) -> Iterator[str]:
    """Tell where Spark and the walk of passports differ over a document."""
    if any(f.raw_id == raw_id and f.rule == "structure" for f in extracted.findings):
        return
    body = read_document(bench.stores.raw.payload(bench.raw_table, raw_id))
    tree = document_tree(bench.mapping)
    misplaced_parts(body, tree)
    evaluator = Evaluator()
    for target in bench.mapping.targets:
        walked = [row_values(row, {"game_pk": body["id"]}, evaluator) for row in source_rows(body, target, tree)]
        if (found := rows_of(extracted, target.name, raw_id)) != walked:
            yield f"{body}: {target.name} is\n{found}, walked\n{walked}"
    evaluator.close()
