"""Which tables and columns a proposed mapping has: arrays and objects keyed by id are tables, what is left columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlb_platform.mapping.paths import ITEMS, MEMBERS
from mlb_platform.mapping.profile import PathNode, json_kinds
from mlb_platform.mapping.shape import Steps
from mlb_platform.mapping.suggest_keys import Keys, Row, find_keys, rows_at

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")
_SCALARS = {"text", "boolean", "number"}


@dataclass
class TableDraft:
    """A table to propose: where its rows lie, the scalar paths and whole parts (JSON) of its element, and its key."""

    steps: Steps
    above: TableDraft | None = None
    scalars: list[Steps] = field(default_factory=list)
    parts: list[Steps] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    keys: Keys = field(default_factory=lambda: Keys((), ()))

    @property
    def keyed(self) -> bool:
        """Whether rows are the members of an object keyed by id."""
        return self.steps[-1:] == (MEMBERS,)

    @property
    def holder(self) -> Steps:
        """The path, below the enclosing row's element, of the array or object that holds the rows."""
        above = self.above.steps if self.above is not None else ()
        return self.steps[len(above) : -1]


@dataclass
class Draft:
    """The tables to propose, enclosing ones first, and the paths that no column can take, with the reason."""

    tables: list[TableDraft]
    ignored: list[tuple[Steps, str]]
    left_out: list[str]
    """Members whose names the mapping language cannot write."""


def draft(documents: Sequence[Any], root: PathNode) -> Draft:
    """Return the tables for these documents, whose profile `root` is."""
    made = Draft([], [], [])
    document = TableDraft((), rows=[Row(n, (d,)) for n, d in enumerate(documents)])
    made.tables.append(document)
    children = dict(root.children)
    for name in [n for n in children if n == MEMBERS or not _NAME.fullmatch(n)]:
        made.left_out.append(name)
        del children[name]
    for name in _differing_in_case(children):
        made.ignored.append(((name,), "Differs from another member in case only."))
        del children[name]
    _read_members(made, documents, document, (), children)
    return made


def _read_members(
    made: Draft, documents: Sequence[Any], table: TableDraft, rel: Steps, children: dict[str, PathNode]
) -> None:
    """Sort the members of an object at `rel` in a table's element into columns, tables and what is ignored."""
    for name, node in children.items():
        _read(made, documents, table, (*rel, name), node)


def _read(made: Draft, documents: Sequence[Any], table: TableDraft, rel: Steps, node: PathNode) -> None:
    kinds = set(json_kinds(node))
    absolute = (*table.steps, *rel)
    if not kinds:
        made.ignored.append((absolute, "Nothing but null in the payloads this was proposed from."))
    elif kinds <= _SCALARS:
        table.scalars.append(rel)
    elif kinds <= {"object", "array"} and not node.children:
        made.ignored.append((absolute, "Empty in the payloads this was proposed from."))
    elif kinds == {"object"} and set(node.children) == {MEMBERS}:
        _read_rows(made, documents, table, rel, node.children[MEMBERS], MEMBERS)
    elif kinds == {"object"} and _is_plain(node):
        _read_members(made, documents, table, rel, node.children)
    elif kinds == {"array"}:
        _read_rows(made, documents, table, rel, node.children[ITEMS], ITEMS)
    else:
        table.parts.append(rel)


def _read_rows(made: Draft, documents: Sequence[Any], table: TableDraft, rel: Steps, item: PathNode, step: str) -> None:
    """Make a table of the items of an array, or the members of an object, where they are of one kind and have a key."""
    kinds = set(json_kinds(item))
    absolute = (*table.steps, *rel)
    if not kinds or (kinds == {"object"} and not item.children):
        made.ignored.append((absolute, "Empty in the payloads this was proposed from."))
        return
    if kinds == {"object"} and _is_plain(item):
        found = TableDraft((*absolute, step), table)
        inner = Draft([], [], [])
        found.rows = list(rows_at(documents, found.steps))
        found.scalars = [s for s, node in _scalars(item)]
    elif kinds <= _SCALARS:
        found = TableDraft((*absolute, step), table, scalars=[()])
        inner = Draft([], [], [])
        found.rows = list(rows_at(documents, found.steps))
    else:
        table.parts.append(rel)
        return
    keys = find_keys(found.rows, found.scalars, table.keys, step == MEMBERS)
    if keys is None:
        table.parts.append(rel)
        return
    found.keys = keys
    if kinds == {"object"}:
        found.scalars = []
        _read_members(inner, documents, found, (), item.children)
    made.tables += [found, *inner.tables]
    made.ignored += inner.ignored


def _scalars(node: PathNode, rel: Steps = ()) -> Iterator[tuple[Steps, PathNode]]:
    """Yield the paths below an object that lead to scalars through objects alone."""
    for name, child in node.children.items():
        kinds = set(json_kinds(child))
        if kinds and kinds <= _SCALARS:
            yield (*rel, name), child
        elif kinds == {"object"} and _is_plain(child) and MEMBERS not in child.children:
            yield from _scalars(child, (*rel, name))


def _is_plain(node: PathNode) -> bool:
    """Tell whether paths can name every member of an object, and no two differ in case only."""
    names = node.children
    return all(_NAME.fullmatch(n) for n in names) and not _differing_in_case(names)


def _differing_in_case(names: dict[str, PathNode]) -> list[str]:
    seen: set[str] = set()
    return [n for n in names if n.lower() in seen or seen.add(n.lower())]  # type: ignore[func-returns-value]
