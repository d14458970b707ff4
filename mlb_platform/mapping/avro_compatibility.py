"""Whether data written with one Avro schema can be read with another, by the specification's resolution rules.

Source: Apache Avro 1.12 specification, "Schema Resolution" and "Aliases"; for decimals "Logical Types". One rule is
stricter than the specification, which reads the underlying type: another logical type (`logical_type`: a date read as a
plain number, an instant as a date) resolves there, but the values mean something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mlb_platform.mapping.avro_nodes import FieldNode, Node, parse_avro

Direction = Literal["backward", "forward"]
Mode = Literal["backward", "forward", "full"]
Rule = Literal["default", "type", "union", "name", "size", "symbols", "decimal", "logical_type"]

PROMOTIONS = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}
"""What a value of a type may be read as, besides its own type."""

RULES: dict[Rule, str] = {
    "default": "a field that the reader has and the writer has not needs a default",
    "type": "types are equal, or int is promoted to long, float, double; long to float, double; float to double; "
    "string to bytes and back",
    "union": "every type a writer may write matches a type of the reader",
    "name": "records, enums and fixed types have the same name, or the reader has the writer's as an alias",
    "size": "fixed types have the same size",
    "symbols": "the reader has every symbol of the writer's enum, or a default symbol",
    "decimal": "decimals have the same precision and scale",
    "logical_type": "a value keeps its logical type (stricter than the specification)",
}


@dataclass(frozen=True)
class Incompatibility:
    """One rule that is broken, and where: `path` is the field, with dots; empty for the schema itself."""

    path: str
    rule: Rule
    message: str
    direction: Direction | None = None

    def __str__(self) -> str:
        return f"{self.direction}: {self.message}" if self.direction else self.message


def _same_name(reader: Node, writer: Node) -> bool:
    """Names match without their namespace; so do aliases of the reader."""
    return writer.short_name in {reader.short_name, *(a.rpartition(".")[2] for a in reader.aliases)}


def matches(reader: Node, writer: Node) -> bool:
    """Tell whether two types match in the specification's sense: without a look into records and unions."""
    if "union" in (reader.kind, writer.kind):
        return True
    if reader.kind != writer.kind:
        return reader.kind in PROMOTIONS.get(writer.kind, ())
    if reader.items is not None and writer.items is not None:
        return matches(reader.items, writer.items)
    if reader.kind in ("record", "enum", "fixed"):
        return _same_name(reader, writer) and reader.size == writer.size
    return True


class _Resolution:
    """Resolves one pair of schemas and notes every rule that is broken."""

    def __init__(self, direction: Direction | None) -> None:
        self.direction = direction
        self.found: list[Incompatibility] = []
        self._seen: set[tuple[int, int]] = set()

    def resolve(self, reader: Node, writer: Node, path: str) -> None:
        if writer.kind == "union":
            for branch in writer.branches:
                self._resolve_branch(reader, branch, path)
        elif reader.kind == "union":
            self._resolve_branch(reader, writer, path)
        elif not matches(reader, writer):
            self._mismatch(reader, writer, path)
        else:
            self._resolve_matching(reader, writer, path)

    def _resolve_branch(self, reader: Node, writer: Node, path: str) -> None:
        candidates = reader.branches if reader.kind == "union" else [reader]
        chosen = next((c for c in candidates if matches(c, writer)), None)
        if chosen is None:
            self._cannot_read(reader, writer, path, "union")
        else:
            self._resolve_matching(chosen, writer, path)

    def _resolve_matching(self, reader: Node, writer: Node, path: str) -> None:
        if reader.items is not None and writer.items is not None:
            self.resolve(reader.items, writer.items, f"{path}[]" if path else "[]")
        elif reader.kind == "record":
            if (id(reader), id(writer)) not in self._seen:
                self._seen.add((id(reader), id(writer)))
                self._resolve_fields(reader, writer, path)
        elif reader.kind == "enum":
            missing = [s for s in writer.symbols if s not in reader.symbols]
            if missing and reader.default is None:
                self._note(path, "symbols", f"symbol {', '.join(missing)} of {writer} has no place in the other enum")
        elif "decimal" == reader.logical == writer.logical:
            if reader.decimal != writer.decimal:
                self._cannot_read(reader, writer, path, "decimal")
        elif reader.logical != writer.logical:
            self._cannot_read(reader, writer, path, "logical_type")

    def _resolve_fields(self, reader: Node, writer: Node, path: str) -> None:
        names = {f.name for f in reader.fields}
        for f in reader.fields:
            inner = f"{path}.{f.name}" if path else f.name
            other = _field_of(writer, f, names)
            if other is not None:
                self.resolve(f.type, other.type, inner)
            elif not f.has_default:
                changed = {
                    "backward": f"field {inner} was added without a default",
                    "forward": f"field {inner}, which has no default, was removed",
                    None: f"field {inner} has no default, and the writer lacks it",
                }
                self.found.append(Incompatibility(inner, "default", changed[self.direction], self.direction))

    def _mismatch(self, reader: Node, writer: Node, path: str) -> None:
        rule: Rule = "type"
        if reader.kind == writer.kind and not reader.items:
            rule = "size" if _same_name(reader, writer) else "name"
        self._cannot_read(reader, writer, path, rule)

    def _cannot_read(self, reader: Node, writer: Node, path: str, rule: Rule) -> None:
        when = {"backward": " written before", "forward": " written from now on", None: ""}[self.direction]
        self._note(path, rule, f"{writer}{when} cannot be read as {reader}")

    def _note(self, path: str, rule: Rule, message: str) -> None:
        place = f"field {path}: " if path else ""
        self.found.append(Incompatibility(path, rule, f"{place}{message} ({RULES[rule]})", self.direction))


def _field_of(writer: Node, reader_field: FieldNode, reader_names: set[str]) -> FieldNode | None:
    """Return the writer's field that a reader's field takes: of its name, else of the first alias that is free."""
    fields = {f.name: f for f in writer.fields}
    if reader_field.name in fields:
        return fields[reader_field.name]
    free = (fields[a] for a in reader_field.aliases if a in fields and a not in reader_names)
    return next(free, None)


def find_incompatibilities(reader: Any, writer: Any, direction: Direction | None = None) -> list[Incompatibility]:
    """Return every rule that keeps data written with `writer` from being read with `reader` (both Avro JSON).

    `direction` only words the messages. Raises AvroSchemaError for what is no Avro schema.
    """
    resolution = _Resolution(direction)
    resolution.resolve(parse_avro(reader), parse_avro(writer), "")
    return list(dict.fromkeys(resolution.found))


def check_compatibility(old: Any, new: Any, mode: Mode = "full") -> list[Incompatibility]:
    """Return what a change from `old` to `new` breaks.

    Backward: what was written with the old schema is read with the new one. Forward: what is written with the new one
    is read with the old. Full: both.
    """
    found: list[Incompatibility] = []
    if mode != "forward":
        found += find_incompatibilities(new, old, "backward")
    if mode != "backward":
        found += find_incompatibilities(old, new, "forward")
    return found
