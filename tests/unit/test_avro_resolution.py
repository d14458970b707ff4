"""Avro's resolution rules, with fastavro as the referee: what we call compatible it reads, and nothing else."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from fastavro.read import SchemaResolutionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlb_platform.mapping.avro_compatibility import check_compatibility, find_incompatibilities
from mlb_platform.mapping.avro_nodes import AvroSchemaError, parse_avro

LENIENT = {"decimal", "logical_type"}
"""Rules that fastavro does not keep: it reads a decimal with the writer's scale, and any logical type as any other."""

PRIMITIVES = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
LOGICAL = [
    {"type": "int", "logicalType": "date"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2},
    {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
]
DEFAULTS: dict[str, Any] = {
    "null": None, "boolean": True, "int": 7, "long": 7, "float": 0.5, "double": 0.5, "bytes": "b", "string": "s",
    "array": [], "map": {},
}  # fmt: skip
SYMBOLS = ["A", "B", "C", "D"]


def kind_of(schema: Any) -> str:
    """The kind of a type: union, or its name among Avro's types."""
    return "union" if isinstance(schema, list) else schema["type"] if isinstance(schema, dict) else schema


class Maker:
    """Draws schemas, changed copies of them, and data. Records, enums and fixed types share no names.

    (Where they do, fastavro takes one for the other.)
    """

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.names = 0

    def pick(self, values: list[Any]) -> Any:
        return self.draw(st.sampled_from(values))

    def often(self, times_in_ten: int) -> bool:
        return self.draw(st.integers(1, 10)) <= times_in_ten

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def schema(self, depth: int, union: bool = True) -> Any:
        kinds = ["primitive", "primitive", "logical", "enum", "fixed"]
        kinds += ["array", "map", "record", *(["union"] if union else [])] if depth else []
        kind = self.pick(kinds)
        if kind == "primitive":
            return self.pick(PRIMITIVES)
        if kind == "logical":
            return dict(self.pick(LOGICAL))
        if kind == "enum":
            return {"type": "enum", "name": self.name("E"), "symbols": SYMBOLS[: self.draw(st.integers(1, 4))]}
        if kind == "fixed":
            return {"type": "fixed", "name": self.name("F"), "size": self.draw(st.integers(1, 3))}
        if kind == "array":
            return {"type": "array", "items": self.schema(depth - 1)}
        if kind == "map":
            return {"type": "map", "values": self.schema(depth - 1)}
        if kind == "record":
            return self.record(depth)
        return self.union([self.schema(depth - 1, union=False) for _ in range(self.draw(st.integers(1, 4)))])

    def union(self, branches: list[Any]) -> list[Any]:
        """Only one branch of each kind, named ones aside."""
        distinct: dict[str, Any] = {}
        for b in branches:
            distinct.setdefault(b["name"] if isinstance(b, dict) and "name" in b else kind_of(b), b)
        return list(distinct.values())

    def record(self, depth: int) -> dict[str, Any]:
        fields = [{"name": f"f{n}", "type": self.schema(depth - 1)} for n in range(self.draw(st.integers(1, 4)))]
        return {"type": "record", "name": self.name("R"), "fields": fields}

    def changed(self, schema: Any, depth: int) -> Any:
        """A reader's copy of a writer's schema: most often the same, else changed in a way that people do."""
        kind = kind_of(schema)
        if kind != "union" and self.often(1):
            return self.union(["null", schema, *([] if self.often(5) else [self.pick(PRIMITIVES)])])
        if self.often(1):
            return self.schema(depth)
        if kind == "union":
            kept = [self.changed(b, depth) for b in schema if not self.often(1)]
            flat = [b for k in kept for b in (k if isinstance(k, list) else [k])]
            if flat and self.often(1):
                return flat[0]
            return self.union(flat or ["null"])
        if isinstance(schema, str):
            return self.pick(PRIMITIVES) if self.often(3) else schema
        copy = dict(schema)
        if "name" in copy and self.often(1):
            copy["name"] = self.name(copy["name"][0])
            if self.often(5):
                copy["aliases"] = [schema["name"]]
        if kind == "array":
            copy["items"] = self.changed(schema["items"], depth - 1)
        elif kind == "map":
            copy["values"] = self.changed(schema["values"], depth - 1)
        elif kind == "enum" and self.often(4):
            copy["symbols"] = SYMBOLS[: self.draw(st.integers(1, 4))]
            if self.often(5):
                copy["default"] = copy["symbols"][0]
        elif kind == "fixed" and self.often(2):
            copy["size"] = self.draw(st.integers(1, 3))
        elif kind == "record":
            copy["fields"] = self.changed_fields(schema["fields"], depth)
        elif copy.get("logicalType") and self.often(2):
            return self.pick([copy["type"], *(dict(x) for x in LOGICAL)])
        return copy

    def changed_fields(self, fields: list[Any], depth: int) -> list[Any]:
        made = []
        for f in fields:
            if self.often(1):
                continue
            copy = {**f, "type": self.changed(f["type"], depth - 1)}
            if self.often(1):
                copy |= {"name": "n_" + f["name"], "aliases": [f["name"]] if self.often(7) else []}
            made.append(copy)
        if self.often(3):
            kind = self.schema(0)
            new = {"name": "added", "type": kind}
            if kind_of(kind) in DEFAULTS and "logicalType" not in kind and self.often(6):
                new["default"] = DEFAULTS[kind_of(kind)]
            made.append(new)
        return self.draw(st.permutations(made))

    def data(self, schema: Any) -> list[Any]:
        """Values that between them take every branch of every union and every symbol of every enum."""
        kind = kind_of(schema)
        if kind == "union":
            return [(b["name"] if "name" in b else kind_of(b), v) for b in schema for v in self.data(b)]
        if kind == "enum":
            return list(schema["symbols"])
        if kind == "array":
            return [self.data(schema["items"])]
        if kind == "map":
            return [{f"k{n}": v for n, v in enumerate(self.data(schema["values"]))}]
        if kind == "record":
            columns = {f["name"]: self.data(f["type"]) for f in schema["fields"]}
            rows = max(map(len, columns.values()))
            return [{name: values[n % len(values)] for name, values in columns.items()} for n in range(rows)]
        if kind == "fixed":
            return [bytes(schema["size"])]
        if isinstance(schema, dict) and schema.get("logicalType") == "decimal":
            return [Decimal(self.draw(st.integers(-99999, 99999))).scaleb(-2)]
        leaf = {
            "null": st.none(),
            "boolean": st.booleans(),
            "int": st.integers(0, 20_000),
            "long": st.integers(0, 2**45),
            "float": st.floats(width=32, allow_nan=False),
            "double": st.floats(allow_nan=False),
            # what is no UTF-8 is bytes that no rule lets be read as string, though the types match
            "bytes": st.text(max_size=3).map(str.encode),
            "string": st.text(max_size=3),
        }
        return [self.draw(leaf[kind])]


def reads(writer: Any, reader: Any, data: list[Any]) -> bool:
    """Whether fastavro reads all of `data`, written with `writer`, by `reader`."""
    w, r = fastavro.parse_schema(writer), fastavro.parse_schema(reader)
    for value in data:
        file = io.BytesIO()
        fastavro.schemaless_writer(file, w, value)
        file.seek(0)
        try:
            fastavro.schemaless_reader(file, w, r)
        except SchemaResolutionError:
            return False
    return True


@st.composite
def pairs(draw: Any) -> tuple[Any, Any, list[Any]]:
    """A writer's schema, a reader's, and data of the writer that take every branch."""
    maker = Maker(draw)
    writer = maker.record(3) if draw(st.booleans()) else maker.schema(3)
    reader = maker.changed(writer, 2)
    return writer, reader, maker.data(writer)


@settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs())
def test_the_verdict_is_fastavros(pair: tuple[Any, Any, list[Any]]) -> None:
    """Compatible: all data are read. Not compatible: of data that take every branch, some are not."""
    writer, reader, data = pair
    broken = [p for p in find_incompatibilities(reader, writer) if p.rule not in LENIENT]
    assert reads(writer, reader, data) == (not broken), [str(b) for b in broken]


ALLOWED = {
    ("int", "long"), ("int", "float"), ("int", "double"), ("long", "float"), ("long", "double"), ("float", "double"),
    ("string", "bytes"), ("bytes", "string"),
}  # fmt: skip
"""The promotions of the specification, written out of it."""


def test_exactly_the_promotions_of_the_specification() -> None:
    """Of all 64 pairs of primitive types, as a field and as a branch of a union."""
    for writer in PRIMITIVES:
        for reader in PRIMITIVES:
            expected = writer == reader or (writer, reader) in ALLOWED
            assert (not find_incompatibilities(reader, writer)) == expected, (writer, reader)
            assert (not find_incompatibilities([reader], writer)) == expected
            assert (not find_incompatibilities(reader, [writer])) == expected


def record(*fields: dict[str, Any], name: str = "plays", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


INNING = {"name": "inning", "type": "int"}
BROKEN = [
    (record(INNING), record(INNING, {"name": "x", "type": "int"}), "backward", "default", "field x was added without"),
    (record(INNING, {"name": "x", "type": "int"}), record(INNING), "forward", "default", "field x, which has no"),
    (record(INNING), record({"name": "inning", "type": "string"}), "backward", "type", "field inning: int written"),
    (record(INNING), record({"name": "inning", "type": "long"}), "forward", "type", "field inning: long written from"),
    (record({"name": "x", "type": ["null", "int"]}), record({"name": "x", "type": "int"}), "backward", "union",
     "field x: null written before cannot be read as int"),
    (record(INNING), record(INNING, name="pitches"), "backward", "name", "record plays written before"),
    ({"type": "fixed", "name": "F", "size": 2}, {"type": "fixed", "name": "F", "size": 3}, "backward", "size", "fixed"),
    ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, {"type": "enum", "name": "E", "symbols": ["B"]}, "backward",
     "symbols", "symbol A of enum E"),
    (record({"name": "x", "type": LOGICAL[2]}), record({"name": "x", "type": LOGICAL[3]}), "backward", "decimal",
     "field x: decimal(5,2) written before cannot be read as decimal(9,2)"),
    (record({"name": "x", "type": LOGICAL[0]}), record({"name": "x", "type": LOGICAL[1]}), "backward", "logical_type",
     "field x: date (int) written before cannot be read as timestamp-micros (long)"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "direction", "rule", "says"), BROKEN, ids=[f"{b[2]} {b[3]}" for b in BROKEN])
def test_the_broken_rule_is_named(old: Any, new: Any, direction: Any, rule: str, says: str) -> None:
    """With the direction, the field and both types; and full is backward and forward together."""
    found = check_compatibility(old, new, direction)
    assert [(b.direction, b.rule) for b in found] == [(direction, rule)]
    assert says in str(found[0]) and str(found[0]).startswith(f"{direction}: ")
    assert check_compatibility(old, new) == [
        *check_compatibility(old, new, "backward"), *check_compatibility(old, new, "forward")
    ]  # fmt: skip


def test_names_match_by_alias_and_without_namespace() -> None:
    """Of a record and of a field; a field that the reader has by name is not taken for another's alias."""
    writer = record({"name": "old", "type": "int"}, name="a.plays")
    reader = record({"name": "new", "type": "int", "aliases": ["old"]}, name="b.events", aliases=["a.plays"])
    assert find_incompatibilities(reader, writer) == []
    assert reads(writer, reader, [{"old": 1}])
    assert find_incompatibilities(record({"name": "old", "type": "int"}, name="b.plays"), writer) == []
    both = record({"name": "old", "type": "int"}, {"name": "new", "type": "int", "aliases": ["old"]})
    assert [b.path for b in find_incompatibilities(both, record({"name": "old", "type": "int"}))] == ["new"]


def test_types_that_hold_themselves_are_resolved_once() -> None:
    """A list of plays, each with the next, ends; and a change deep in it is found."""

    def chain(kind: str) -> dict[str, Any]:
        return record({"name": "value", "type": kind}, {"name": "next", "type": ["null", "plays"]})

    assert find_incompatibilities(chain("long"), chain("int")) == []
    assert [b.path for b in find_incompatibilities(chain("int"), chain("long"))] == ["value"]


def test_where_fastavro_departs_from_the_specification() -> None:
    """It reads other decimals, other logical types, and for a type one of another kind with the same name.

    These are left out of the property above; where a later fastavro differs, this test says so.
    """
    cases: list[tuple[Any, Any, Any, str]] = [
        (LOGICAL[2], LOGICAL[3], Decimal("1.25"), "decimal"),
        (LOGICAL[1], "long", 5, "logical_type"),
        ({"type": "fixed", "name": "N", "size": 1}, record(name="N"), b"x", "type"),
    ]
    for writer, reader, value, rule in cases:
        assert [b.rule for b in find_incompatibilities(reader, writer)] == [rule]
        assert reads(record({"name": "x", "type": writer}), record({"name": "x", "type": reader}), [{"x": value}])


def test_a_type_may_be_defined_and_named_in_other_places() -> None:
    """The writer defines it where the reader names it, and the reverse."""
    inner = record(INNING, name="inner")
    writer = record({"name": "a", "type": inner}, {"name": "b", "type": "inner"})
    reader = record({"name": "b", "type": inner}, {"name": "a", "type": "inner"})
    assert find_incompatibilities(reader, writer) == []
    assert reads(writer, reader, [{"a": {"inning": 1}, "b": {"inning": 2}}])


@pytest.mark.parametrize("schema", ["plays", {"type": "array"}, 5, {"type": "record", "name": "x"}])
def test_what_is_no_schema_is_told(schema: Any) -> None:
    """Instead of being compatible with everything."""
    with pytest.raises(AvroSchemaError):
        parse_avro(schema)
