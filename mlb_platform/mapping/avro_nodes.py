"""Avro schemas as a graph: names resolved, aliases qualified, unions and references told apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


class AvroSchemaError(ValueError):
    """What was given is no Avro schema; says which part of it."""


@dataclass(eq=False)
class Node:
    """One type of a schema. Which members count depends on `kind`: a primitive, or record, enum, fixed, array, …"""

    kind: str
    name: str = ""
    aliases: frozenset[str] = frozenset()
    fields: list[FieldNode] = field(default_factory=list)
    items: Node | None = None
    branches: list[Node] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)
    default: str | None = None
    size: int = 0
    logical: str | None = None
    decimal: tuple[int, int] = (0, 0)

    @property
    def short_name(self) -> str:
        """The name without its namespace."""
        return self.name.rpartition(".")[2]

    def __str__(self) -> str:
        if self.kind == "union":
            return "union of " + ", ".join(map(str, self.branches))
        if self.logical == "decimal":
            return f"decimal({self.decimal[0]},{self.decimal[1]})"
        if self.name:
            return f"{self.kind} {self.name}"
        if self.items is not None:
            return f"{self.kind} of {self.items}"
        return f"{self.logical} ({self.kind})" if self.logical else self.kind


@dataclass(eq=False)
class FieldNode:
    """A field of a record."""

    name: str
    type: Node
    has_default: bool
    aliases: tuple[str, ...] = ()


def _member(schema: dict[str, Any], name: str) -> Any:
    if name not in schema:
        raise AvroSchemaError(f"Avro {schema.get('type')} {schema.get('name', '')} has no {name!r}".replace("  ", " "))
    return schema[name]


class _Parser:
    """Reads one schema; `names` are the named types seen so far, by full name."""

    def __init__(self) -> None:
        self.names: dict[str, Node] = {}

    def node(self, schema: Any, namespace: str) -> Node:
        if isinstance(schema, list):
            return Node("union", branches=[self.node(branch, namespace) for branch in schema])
        if isinstance(schema, str):
            return self._named(schema, namespace)
        if not isinstance(schema, dict):
            raise AvroSchemaError(f"{schema!r} is no Avro schema")
        kind = _member(schema, "type")
        if isinstance(kind, list | dict):
            return self.node(kind, namespace)
        if kind == "array":
            return Node("array", items=self.node(_member(schema, "items"), namespace))
        if kind == "map":
            return Node("map", items=self.node(_member(schema, "values"), namespace))
        if kind in ("record", "error", "enum", "fixed"):
            return self._definition(schema, namespace)
        return self._with_logical(self._named(kind, namespace), schema)

    def _named(self, name: str, namespace: str) -> Node:
        if name in PRIMITIVES:
            return Node(name)
        for full in (name if "." in name or not namespace else f"{namespace}.{name}", name):
            if full in self.names:
                return self.names[full]
        raise AvroSchemaError(f"Avro type {name!r} is not known")

    def _definition(self, schema: dict[str, Any], namespace: str) -> Node:
        name = str(_member(schema, "name"))
        space = name.rpartition(".")[0] or str(schema.get("namespace") or namespace)
        short = name.rpartition(".")[2]
        aliases = (str(a) for a in schema.get("aliases", ()))
        made = Node(
            "record" if schema["type"] == "error" else str(schema["type"]),
            name=f"{space}.{short}" if space else short,
            aliases=frozenset(a if "." in a or not space else f"{space}.{a}" for a in aliases),
        )
        self.names[made.name] = made
        if made.kind == "enum":
            made.symbols, made.default = list(_member(schema, "symbols")), schema.get("default")
        elif made.kind == "fixed":
            made.size = int(_member(schema, "size"))
            self._with_logical(made, schema)
        else:
            made.fields = [self._field(f, space) for f in _member(schema, "fields")]
        return made

    def _field(self, schema: dict[str, Any], namespace: str) -> FieldNode:
        kind = self.node(_member(schema, "type"), namespace)
        return FieldNode(str(_member(schema, "name")), kind, "default" in schema, tuple(schema.get("aliases", ())))

    def _with_logical(self, node: Node, schema: dict[str, Any]) -> Node:
        logical = schema.get("logicalType")
        if logical is not None and not node.logical:
            node.logical = str(logical)
            if logical == "decimal":
                node.decimal = (int(_member(schema, "precision")), int(schema.get("scale", 0)))
        return node


def parse_avro(schema: Any) -> Node:
    """Return the graph of an Avro schema (JSON values); raise AvroSchemaError for what is none."""
    return _Parser().node(schema, "")
