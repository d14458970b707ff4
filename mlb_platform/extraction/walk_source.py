"""Python source of the functions that walk one decoded document for its rows, generated from a mapping.

`walk_N(d, add)` calls `add` with a tuple a row of table N: the values of its columns as JSON has them. It says what
`rows.py` says in Spark SQL. The document is of the types of `walk_types.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from mlb_platform.extraction.walk_types import NOTHING, DocumentTypes
from mlb_platform.mapping.filters import Comparison, Filter, Scalar, filter_paths, parse_filter
from mlb_platform.mapping.models import ElementPick, FieldDefinition, InheritedColumn, Lookup, RowSource
from mlb_platform.mapping.paths import ITEMS, MEMBERS, JsonPath, parse_path
from mlb_platform.mapping.resolve import Column, ResolvedMapping, ResolvedTarget, path_list
from mlb_platform.mapping.shape import Node, source_steps

_DOCUMENT = "d"


class NotWalkable(Exception):
    """A mapping asks for something that the walk does not do; Spark SQL does it."""


@dataclass(frozen=True)
class _Element:
    """One level of the explode chain: its element, what is read of it, key, position, that of the first equal one."""

    value: str
    node: Node
    key: str = "None"
    position: str = "None"
    first_position: str = "None"


@dataclass
class _Code:
    """Lines of source, indented; names of objects already taken out of others, by block."""

    types: DocumentTypes
    lines: list[str] = field(default_factory=list)
    depth: int = 0
    known: list[dict[tuple[str, str], str]] = field(default_factory=lambda: [{}])
    found: list[dict[str, _Element]] = field(default_factory=lambda: [{}])
    """Elements that look-ups and picks found, by block."""
    count: int = 0

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    @contextmanager
    def block(self, opening: str) -> Iterator[None]:
        """Write a line that opens a block, and what is written meanwhile into the block."""
        self.line(opening)
        self.depth += 1
        self.known.append({})
        self.found.append({})
        start = len(self.lines)
        yield
        if len(self.lines) == start:
            self.line("pass")
        self.known.pop()
        self.found.pop()
        self.depth -= 1

    def inner(self, base: str, node: Node, steps: Sequence[str]) -> tuple[str, Node]:
        """Return the name of the object at `steps` below `base`, which is of `node`, and its node.

        It is one without a value where there is none.
        """
        for step in steps:
            found = next((k[base, step] for k in reversed(self.known) if (base, step) in k), None)
            inside = _child(node, step)
            if found is None:
                found = self.name("o")
                self.line(f"{found} = {base}{self.types.member(node, step)} or {self.types.empty(inside)}")
                self.known[-1][base, step] = found
            base, node = found, inside
        return base, node

    def member(self, base: str, node: Node, steps: Sequence[str]) -> tuple[str, Node]:
        """Return the expression of the value at `steps` below `base`, None where there is none; and its node."""
        if not steps:
            return base, node
        held, node = self.inner(base, node, steps[:-1])
        return held + self.types.member(node, steps[-1]), _child(node, steps[-1])


def _child(node: Node, step: str) -> Node:
    if step not in node.children:
        raise NotWalkable(f"{step} is read where the mapping tells of nothing")
    return node.children[step]


def _text(value: str | bool) -> str:
    return value if isinstance(value, str) else str(value).lower()


def _compared(text: str, operator: str, value: Scalar) -> str:
    if isinstance(value, bool | str):
        return f"(text({text}) {operator} {_text(value)!r})"
    return f"(number({text}) {operator} {float(value)!r})"


def _filter(code: _Code, node: Filter, value_of: Callable[[JsonPath], str]) -> str:
    """Return the condition of a filter; a comparison with a missing path is false."""
    if not isinstance(node, Comparison):
        inner = [f"({_filter(code, operand, value_of)})" for operand in node.operands]
        return f"not {inner[0]}" if node.operator == "not" else f" {node.operator} ".join(inner)
    name = code.name("f")
    code.line(f"{name} = {value_of(node.path)}")
    if node.operator == "exists":
        return f"{name} is not None"
    if node.operator == "in":
        values = node.value if isinstance(node.value, tuple) else ()
        either = " or ".join(_compared(name, "==", v) for v in values) or "False"
        return f"{name} is not None and ({either})"
    assert node.value is not None and not isinstance(node.value, tuple)
    return f"{name} is not None and {_compared(name, node.operator, node.value)}"


class _Source:
    """Writes the walk of one source of one target."""

    def __init__(self, code: _Code, target: ResolvedTarget, source: RowSource) -> None:
        self.code, self.tree, self.target, self.source = code, code.types.tree, target, source
        self.steps = source_steps(source)
        self.filters = [parse_filter(t) for t in (source.filter, target.config.filter) if t]

    def value_of(self, path: JsonPath, chain: list[_Element]) -> str:
        here = chain[-1]
        if path.anchor == "key":
            return here.key
        if path.anchor == "position":
            return chain[-1 - path.level].position
        if path.anchor == "first_position":
            return here.first_position
        return self.element_of(path, chain).value

    def element_of(self, path: JsonPath, chain: list[_Element]) -> _Element:
        """Return the expression of what is at a path, and its node."""
        if path.anchor == "lookup" and not path.steps:
            raise NotWalkable(f"{self.target.name}: a look-up as a value")
        base = {
            "lookup": lambda: self.looked_up(str(path.lookup), chain),
            "document": lambda: chain[0],
            "item": lambda: chain[-1],
            "parent": lambda: chain[-1 - path.level],
        }[path.anchor]()
        return _Element(*self.code.member(base.value, base.node, path.steps))

    def looked_up(self, name: str, chain: list[_Element]) -> _Element:
        """Return the object that a look-up finds."""
        known = self.code.found[-1]
        if name in known:
            return known[name]
        lookup: Lookup = self.target.config.lookups[name]
        if lookup.object_source is not None:
            holder, node = self.code.member(_DOCUMENT, self.tree, parse_path(lookup.object_source).steps)
            parts = re.split(r"\{([^}]*)\}", str(lookup.key))
            texts = [repr(p) if i % 2 == 0 else self.value_of(parse_path(p), chain) for i, p in enumerate(parts)]
            listed = ", ".join(t for i, t in enumerate(texts) if i % 2 or t != "''")
            found, node = f"member({holder}, {listed})", _child(node, MEMBERS)
        else:
            holder, node = self.code.member(_DOCUMENT, self.tree, parse_path(str(lookup.array_source)).steps)
            found = f"item({holder}, {self.value_of(parse_path(str(lookup.index)), chain)})"
            node = _child(node, ITEMS)
        known[name] = _Element(self.code.name("l"), node)
        self.code.line(f"{known[name].value} = {found} or {self.code.types.empty(node)}")
        return known[name]

    def picked(self, element: ElementPick, chain: list[_Element]) -> _Element:
        """Return the first or last element of an array that matches."""
        known = self.code.found[-1]
        key = element.model_dump_json()
        if key in known:
            return known[key]
        array = self.element_of(parse_path(element.array_source), chain)
        result, item = self.code.name("p"), self.code.name("y")
        node, backwards = _child(array.node, ITEMS), element.pick == "last"
        empty = self.code.types.empty(node)
        self.code.line(f"{result} = {empty}")
        if not element.filter:
            held = self.code.name("a")
            self.code.line(f"{held} = {array.value}")
            self.code.line(f"if {held}: {result} = {held}[{-1 if backwards else 0}] or {empty}")
        else:
            all_of = f"{array.value} or ()"
            with self.code.block(f"for {item} in {f'reversed({all_of})' if backwards else all_of}:"):
                self.code.line(f"if {item} is None: continue")
                inside = [*chain, _Element(item, node)]
                condition = _filter(self.code, parse_filter(element.filter), lambda p: self.value_of(p, inside))
                with self.code.block(f"if {condition}:"):
                    self.code.line(f"{result} = {item}")
                    self.code.line("break")
        known[key] = _Element(result, node)
        return known[key]

    def raw(self, f: FieldDefinition, chain: list[_Element]) -> str:
        """Return the expression of a field's value as JSON has it."""
        if f.element is not None:
            chain = [*chain, self.picked(f.element, chain)]
        values = [self.value_of(parse_path(text), chain) for text in self.source.paths_of(f)]
        if not values:
            return "None"
        return values[0] if len(values) == 1 else f"first({', '.join(values)})"

    def cell(self, column: Column, chain: list[_Element]) -> str:
        f = column.field
        assert f is not None
        if column.origin == "constant":
            given = self.source.constants.get(f.constant, f.constant) if isinstance(f.constant, str) else f.constant
            return repr(given)
        value = self.raw(f, chain)
        return value if f.default is None else f"first({value}, {f.default!r})"

    def row(self, columns: Sequence[Column], chain: list[_Element]) -> None:
        """Write what adds the row of the innermost element, if it is one."""
        leave = "return" if len(chain) == 1 or self.code.depth == 1 else "continue"
        for node in self.filters:
            condition = _filter(self.code, node, lambda p: self.value_of(p, chain))
            self.code.line(f"if not ({condition}): {leave}")
        cells = [self.cell(c, chain) for c in columns]
        self.code.line(f"add(({', '.join(cells)}{',' if len(cells) == 1 else ''}))")

    def _outer_paths(self) -> Iterator[JsonPath]:
        for f in self.target.config.fields:
            yield from (parse_path(text) for text in self.source.paths_of(f))
        for node in self.filters:
            yield from filter_paths(node)

    def take_out(self, chain: list[_Element], level: int) -> None:
        """Take the objects that rows will read out of an enclosing element once, before its rows."""
        for path in self._outer_paths():
            if (path.anchor == "parent" and path.level == level) or (path.anchor == "document" and len(chain) == 1):
                self.code.inner(chain[-1].value, chain[-1].node, path.steps[:-1])
        for lookup in self.target.config.lookups.values() if len(chain) == 1 else ():
            steps = parse_path(str(lookup.object_source or lookup.array_source)).steps
            if _is_read(self.tree, steps):
                self.code.inner(_DOCUMENT, self.tree, steps[:-1])

    def write(self, columns: Sequence[Column]) -> None:
        self.explode(self.steps, columns, [_Element(_DOCUMENT, self.tree)])

    def explode(self, steps: tuple[str, ...], columns: Sequence[Column], chain: list[_Element]) -> None:
        if not steps:
            self.row(columns, chain)
            return
        levels = sum(s in (ITEMS, MEMBERS) for s in steps)
        if steps[-1] not in (ITEMS, MEMBERS):
            levels += 1
        self.take_out(chain, levels)
        cut = next((i for i, s in enumerate(steps) if s in (ITEMS, MEMBERS)), None)
        holder = self.code.name("h")
        held, node = self.code.member(chain[-1].value, chain[-1].node, steps[:cut])
        self.code.line(f"{holder} = {held}")
        if cut is None:
            with self.code.block(f"if {holder} is not None:"):
                self._present(columns, [*chain, _Element(holder, node)])
            return
        item, counter, key = self.code.name("x"), self.code.name("i"), self.code.name("k")
        node = _child(node, steps[cut])
        if steps[cut] == MEMBERS:
            element = _Element(item, node, key, counter, counter)
            opening = f"for {counter}, ({key}, {item}) in enumerate(({holder} or {NOTHING}).items()):"
        else:
            element = _Element(item, node, position=counter, first_position=f"{holder}.index({item})")
            opening = f"for {counter}, {item} in enumerate({holder} or ()):"
        if any(p.anchor == "first_position" for p in self._outer_paths()) and steps[cut + 1 :] == ():
            if steps[cut] == ITEMS and node.kind != "value":
                raise NotWalkable(f"{self.target.name}: the first position of an object")
            if steps[cut] == ITEMS:
                self.code.line(f"uniform({holder})")
        with self.code.block(opening):
            self.code.line(f"if {item} is None: continue")
            self.explode(steps[cut + 1 :], columns, [*chain, element])

    def _present(self, columns: Sequence[Column], chain: list[_Element]) -> None:
        conditions = [_filter(self.code, node, lambda p: self.value_of(p, chain)) for node in self.filters]
        with self.code.block(f"if {' and '.join(f'({c})' for c in conditions) or 'True'}:"):
            cells = [self.cell(c, chain) for c in columns]
            self.code.line(f"add(({', '.join(cells)},))")


def _is_read(node: Node, steps: Sequence[str]) -> bool:
    return not steps or (steps[0] in node.children and _is_read(node.children[steps[0]], steps[1:]))


def says_itself(mapping: ResolvedMapping, column: InheritedColumn | None) -> bool:
    """Tell whether a document says its own key or date, `column`; otherwise it is that of its raw row, or of a row."""
    return column is not None and not mapping.per_element and bool(path_list(column))


def walk_source(
    mapping: ResolvedMapping, types: DocumentTypes, columns: Callable[[ResolvedTarget], Sequence[Column]]
) -> str:
    """Return the source of `walk_N` for every target, and of `own_0`, `own_1`: the key and date a document says itself.

    `columns` gives the columns of a row, in order. Names the source needs: those of `types.empties`, Odd, text, number,
    member, item, first, uniform (`walk.py`). Raises NotWalkable.
    """
    code = _Code(types)
    for n, column in enumerate((mapping.entity_key, mapping.partition)):
        if column is not None and says_itself(mapping, column):
            with code.block(f"def own_{n}({_DOCUMENT}):"):
                values = [code.member(_DOCUMENT, types.tree, parse_path(p).steps)[0] for p in path_list(column)]
                code.line(f"return first({', '.join(values)})")
    for n, target in enumerate(mapping.targets):
        parts = target.config.row_sources
        for part, source in enumerate(parts):
            with code.block(f"def walk_{n}_{part}({_DOCUMENT}, add):"):
                _Source(code, target, source).write(columns(target))
        with code.block(f"def walk_{n}({_DOCUMENT}, add):"):
            for part in range(len(parts)):
                code.line(f"walk_{n}_{part}({_DOCUMENT}, add)")
    return "\n".join(code.lines) + "\n"
