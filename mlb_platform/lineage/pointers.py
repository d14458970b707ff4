"""The rows of a table in one document, each column with the JSON pointer (RFC 6901) that its value stands at.

A walk through the document in plain Python by the mapping's paths, without Spark: what a passport says can be checked
by anybody who has the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

from mlb_platform.lineage.values import holds, text_of
from mlb_platform.mapping.filters import parse_filter
from mlb_platform.mapping.models import ElementPick, FieldDefinition, Lookup, RowSource
from mlb_platform.mapping.paths import ITEMS, MEMBERS, JsonPath, parse_path
from mlb_platform.mapping.resolve import ResolvedTarget
from mlb_platform.mapping.shape import Node, build_tree, source_steps

Kind = Literal["value", "key", "position", "nothing"]
_path = cache(parse_path)
_filter = cache(parse_filter)


@dataclass(frozen=True)
class Place:
    """A place in a document: what is there (None: null or nothing), and the pointer to it.

    `pointer` is None where not even a place can be named: a look-up without a key. `there`: whether something is, if
    only a null. `kind` says whether the value is what stands there, the member's name, or the item's number.
    """

    value: Any
    pointer: str | None
    there: bool = True
    kind: Kind = "value"

    def member(self, name: str) -> Place:
        """Return the place of a member, whether it is there or not."""
        pointer = None if self.pointer is None else f"{self.pointer}/{escape(name)}"
        if isinstance(self.value, dict) and name in self.value:
            return Place(self.value[name], pointer)
        return Place(None, pointer, there=False)

    def item(self, index: int) -> Place:
        """Return the place of an item, whether it is there or not."""
        pointer = None if self.pointer is None else f"{self.pointer}/{index}"
        if isinstance(self.value, list) and 0 <= index < len(self.value):
            return Place(self.value[index], pointer)
        return Place(None, pointer, there=False)

    def follow(self, steps: tuple[str, ...]) -> Place:
        """Return the place at the end of members' names."""
        place = self
        for step in steps:
            place = place.member(step)
        return place


def escape(name: str) -> str:
    """Write a member's name as a token of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def last_token(pointer: str) -> str:
    """Return the last token of a JSON pointer: a member's name or an item's number."""
    return pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")


@dataclass(frozen=True)
class Element:
    """One level of the way to a row: the element, and the array or object it is one of."""

    place: Place
    holder: Place | None = None
    number: int | None = None
    steps: tuple[str, ...] = ()
    """The steps to it from the document, with wildcards."""


@dataclass(frozen=True)
class Cell:
    """Where a column's value of one row comes from, and what was looked at before: places with nothing, or null."""

    place: Place
    path: str
    passed: tuple[Place, ...] = ()

    @property
    def raw(self) -> Any:
        """The JSON value; None where there is none."""
        return self.place.value


NOTHING = Place(None, None, there=False, kind="nothing")


class SourceRow:
    """One row of a table in a document. Its cells are looked up when they are asked for."""

    def __init__(self, target: ResolvedTarget, source: RowSource, chain: tuple[Element, ...], tree: Node) -> None:
        self.target = target
        self.source = source
        self.chain = chain
        self._tree = tree

    @property
    def pointer(self) -> str:
        """The pointer of the element that the row is made of; empty for the document."""
        return str(self.chain[-1].place.pointer)

    def constant(self, f: FieldDefinition) -> Any:
        """Return the value of a constant column in this source."""
        return self.source.constants.get(f.constant, f.constant) if isinstance(f.constant, str) else f.constant

    def cell(self, f: FieldDefinition) -> Cell:
        """Return where the value of a column read by path stands: the first of its paths with a value, else the last.

        A field that the source has no path for has a cell with an empty path.
        """
        chain = self.chain
        if f.element is not None:
            chain = (*chain, Element(self._picked(f.element, chain)))
        passed: list[Place] = []
        found, path = NOTHING, ""
        for path in self.source.paths_of(f):
            found = self._at(_path(path), chain)
            if found.value is not None:
                break
            passed.append(found)
        return Cell(found, path, tuple(passed if found.value is not None else passed[:-1]))

    def passes(self) -> bool:
        """Whether the filters of the source and of the table let the row in."""
        texts = [text for text in (self.source.filter, self.target.config.filter) if text]
        return all(holds(_filter(text), partial(self._value, chain=self.chain)) for text in texts)

    def _value(self, path: JsonPath, chain: tuple[Element, ...]) -> Any:
        return self._at(path, chain).value

    def _at(self, path: JsonPath, chain: tuple[Element, ...]) -> Place:
        here = chain[-1]
        if path.anchor == "key":
            pointer = here.place.pointer
            named = here.holder is not None and isinstance(here.holder.value, dict) and pointer is not None
            return Place(last_token(str(pointer)), pointer, kind="key") if named else NOTHING
        if path.anchor == "position":
            level = chain[-1 - path.level]
            return NOTHING if level.number is None else Place(level.number, level.place.pointer, kind="position")
        if path.anchor == "first_position":
            return self._first_equal(here)
        if path.anchor == "item":
            return here.place.follow(path.steps)
        if path.anchor == "parent":
            return chain[-1 - path.level].place.follow(path.steps)
        if path.anchor == "document":
            return chain[0].place.follow(path.steps)
        return self._found(self.target.config.lookups[str(path.lookup)], chain).follow(path.steps)

    def _found(self, lookup: Lookup, chain: tuple[Element, ...]) -> Place:
        """Return the element that a look-up finds."""
        document = chain[0].place
        if lookup.object_source is not None:
            parts = re.split(r"\{([^}]*)\}", str(lookup.key))
            texts = [p if i % 2 == 0 else text_of(self._at(_path(p), chain).value) for i, p in enumerate(parts)]
            holder = document.follow(_path(lookup.object_source).steps)
            return NOTHING if None in texts else holder.member("".join(map(str, texts)))
        holder = document.follow(_path(str(lookup.array_source)).steps)
        index = text_of(self._at(_path(str(lookup.index)), chain).value)
        return holder.item(int(index)) if index is not None and re.fullmatch(r"\s*[+-]?\d+\s*", index) else NOTHING

    def _picked(self, element: ElementPick, chain: tuple[Element, ...]) -> Place:
        """Return the first or last element of an array that matches."""
        array = self._at(_path(element.array_source), chain)
        numbers = range(len(array.value) if isinstance(array.value, list) else 0)
        for number in numbers if element.pick == "first" else reversed(numbers):
            item = array.item(number)
            if element.filter is None:
                return item
            if holds(_filter(element.filter), partial(self._value, chain=(*chain, Element(item)))):
                return item
        return NOTHING

    def _first_equal(self, here: Element) -> Place:
        if here.number is None or here.holder is None or not isinstance(here.holder.value, list):
            return Place(here.number, here.place.pointer, kind="position") if here.number is not None else NOTHING
        wanted = _pruned(here.place.value, node := _node(self._tree, here.steps))
        number = next(i for i, item in enumerate(here.holder.value) if _pruned(item, node) == wanted)
        return Place(number, here.holder.item(number).pointer, kind="position")


def _node(tree: Node, steps: tuple[str, ...]) -> Node:
    for step in steps:
        tree = tree.children.get(step, Node())
    return tree


def _pruned(value: Any, node: Node) -> Any:
    """Return what of a value the mapping reads, to be compared with another."""
    if value is None or node.kind == "value":
        return text_of(value)
    if node.kind == "array":
        return [_pruned(v, node.children[ITEMS]) for v in value]
    if node.kind == "members":
        return {k: _pruned(v, node.children[MEMBERS]) for k, v in value.items()}
    return {name: _pruned(value.get(name), child) for name, child in node.children.items()}


def _elements(steps: tuple[str, ...], chain: tuple[Element, ...]) -> Iterator[tuple[Element, ...]]:
    """Yield the way to every element at `steps`, in the order of the document."""
    here = chain[-1]
    cut = next((i for i, s in enumerate(steps) if s in (ITEMS, MEMBERS)), len(steps))
    holder, walked = here.place.follow(steps[:cut]), (*here.steps, *steps[:cut])
    if cut == len(steps):
        if holder.value is not None:
            yield (*chain, Element(holder, steps=walked))
        return
    inner, kind = steps[cut + 1 :], steps[cut]
    items: list[Place] = []
    if kind == MEMBERS and isinstance(holder.value, dict):
        items = [holder.member(name) for name in holder.value]
    elif kind == ITEMS and isinstance(holder.value, list):
        items = [holder.item(i) for i in range(len(holder.value))]
    for number, item in enumerate(items):
        way = (*chain, Element(item, holder, number, (*walked, kind)))
        if inner:
            yield from _elements(inner, way)
        elif item.value is not None:
            yield way


def places(document: Any, steps: tuple[str, ...]) -> Iterator[tuple[Place, ...]]:
    """Yield the places at `steps` (with wildcards) that hold something, each after the document and what it lies in."""
    for chain in _elements(steps, (Element(Place(document, "")),)):
        yield tuple(e.place for e in chain)


def source_rows(document: Any, target: ResolvedTarget, tree: Node | None = None) -> Iterator[SourceRow]:
    """Yield the rows of a table in a document, in its order; those of several sources follow each other.

    `tree` is what the mapping reads of a document; without it, `$first_position` compares whole elements.
    """
    top = Element(Place(document, ""))
    for source in target.config.row_sources:
        steps = source_steps(source)
        for chain in _elements(steps, (top,)) if steps else [(top,)]:
            row = SourceRow(target, source, chain, tree or build_tree(()))
            if row.passes():
                yield row
