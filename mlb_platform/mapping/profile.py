"""What documents hold, by folded path: the kinds of values, how many, in how many documents, and examples.

The folding rule: items of arrays are `[*]`; members of an object are `{*}` where the mapping reads that object as keyed
by id, and elsewhere those whose name is an id itself: `ID123`, `123` or `2024-07-01`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mlb_platform.mapping.paths import ITEMS, MEMBERS
from mlb_platform.mapping.shape import Node, Steps

KINDS: dict[type, str] = {
    dict: "object", list: "array", str: "text", bool: "boolean", int: "integer", float: "float", type(None): "null",
}  # fmt: skip
SCALARS = ("text", "boolean", "integer", "float")
NUMBERS = ("integer", "float")
SHOWN = 60
"""Characters of an example that are kept."""

_ID_NAME = re.compile(r"(ID)?\d+(-\d+)*")


class PathNode:
    """One folded path in the documents seen: its values by JSON kind, and what lies below.

    `kinds`: values by kind; `documents`: documents that have the path; `first`: by kind the entity it was first seen
    in; `examples`: by scalar kind one value as JSON text.
    """

    __slots__ = ("children", "documents", "examples", "first", "kinds")

    def __init__(self) -> None:
        self.kinds: dict[str, int] = {}
        self.documents = 0
        self.first: dict[str, str] = {}
        self.examples: dict[str, str] = {}
        self.children: dict[str, PathNode] = {}

    @property
    def count(self) -> int:
        """Values of any kind, null included."""
        return sum(self.kinds.values())

    @property
    def filled(self) -> int:
        """Values that are not null."""
        return self.count - self.kinds.get("null", 0)

    @property
    def objects(self) -> int:
        """How many objects there are, each of which may have a member of a name below."""
        return self.kinds.get("object", 0)

    @property
    def is_leaf(self) -> bool:
        """Whether a value ends here: a text, number or truth value, or nothing but null, `{}` and `[]` anywhere."""
        return any(kind in self.kinds for kind in SCALARS) or not self.children

    @property
    def example(self) -> str:
        """A value as JSON text, or what kind of nothing is there."""
        for kind in SCALARS:
            if kind in self.examples:
                return self.examples[kind]
        return {"object": "{}", "array": "[]"}.get(next(iter(self.kinds), ""), "null")

    @property
    def first_seen(self) -> str:
        """The entity that has the path first."""
        return next(iter(self.first.values()), "")

    def add(self, document: Any, entity: str, hint: Node | None = None) -> None:
        """Count a document into this node as the root; `hint` is the tree of what a mapping reads."""
        self._add([document], entity, hint)

    def _add(self, values: list[Any], entity: str, hint: Node | None) -> None:
        self.documents += 1
        types: dict[type, int] = {type(values[0]): 1} if len(values) == 1 else Counter(map(type, values))
        for python_type, n in types.items():
            kind = KINDS[python_type]
            self.kinds[kind] = self.kinds.get(kind, 0) + n
            if kind not in self.first:
                self.first[kind] = entity
                if kind in SCALARS:
                    self.examples[kind] = _shown(next(v for v in values if type(v) is python_type))
        if dict in types:
            self._add_members(values, len(types) == 1, entity, hint)
        if list in types:
            items = [item for value in values if type(value) is list for item in value]
            if items:
                self._child(ITEMS)._add(items, entity, hint.children.get(ITEMS) if hint else None)

    def _add_members(self, values: list[Any], all_objects: bool, entity: str, hint: Node | None) -> None:
        members: dict[str, list[Any]] = {}
        for value in values:
            if all_objects or type(value) is dict:
                for name, member in value.items():
                    if name in members:
                        members[name].append(member)
                    else:
                        members[name] = [member]
        for name in fold(members, hint):
            self._child(name)._add(members[name], entity, hint.children.get(name) if hint else None)

    def _child(self, step: str) -> PathNode:
        found = self.children.get(step)
        if found is None:
            found = self.children[step] = PathNode()
        return found

    def merge(self, other: PathNode) -> None:
        """Count all that another node counted into this one; firsts and examples already here stay."""
        self.documents += other.documents
        for kind, n in other.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + n
        for mine, theirs in ((self.first, other.first), (self.examples, other.examples)):
            for kind, text in theirs.items():
                mine.setdefault(kind, text)
        for step, child in other.children.items():
            self._child(step).merge(child)

    def find(self, steps: Steps) -> PathNode | None:
        """Return the node at `steps` below this one, if any document has it."""
        node: PathNode | None = self
        for step in steps:
            node = node.children.get(step) if node is not None else None
        return node

    def to_plain(self) -> list[Any]:
        """Return lists and objects that JSON can hold; `from_plain` is the way back."""
        children = {step: child.to_plain() for step, child in self.children.items()}
        return [self.documents, self.kinds, self.first, self.examples, children]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> PathNode:
        """Return the node that `to_plain` wrote."""
        node = cls()
        node.documents, node.kinds, node.first, node.examples, children = plain
        node.children = {step: cls.from_plain(child) for step, child in children.items()}
        return node


def fold(members: dict[str, list[Any]], hint: Node | None) -> dict[str, list[Any]]:
    """Put the members that are keyed by id together under `{*}`; the object given is changed and returned."""
    everything = hint is not None and MEMBERS in hint.children
    keyed = [name for name in members if everything or is_id(name)]
    if keyed:
        members[MEMBERS] = [value for name in keyed for value in members.pop(name)]
    return members


def is_id(name: str) -> bool:
    """Tell whether the name of a member is an id rather than a word: `ID123`, `123`, `2024-07-01`."""
    return name[-1:].isdigit() and _ID_NAME.fullmatch(name) is not None


def _shown(value: Any) -> str:
    text = json.dumps(value[:SHOWN] if isinstance(value, str) else value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def walk(root: PathNode, steps: Steps = (), parent: PathNode | None = None) -> Iterator[tuple[Steps, PathNode, Any]]:
    """Yield (steps, node, node of the enclosing element or None) of every path, the root first."""
    yield steps, root, parent
    for step, child in root.children.items():
        yield from walk(child, (*steps, step), root)


def fill_rate(steps: Steps, node: PathNode | None, parent: PathNode | None) -> float | None:
    """Return the share of the enclosing objects that have a value here; None where there is none to have it.

    Items of arrays and members keyed by id have no rate: there are as many as there are.
    """
    if not steps or steps[-1] in (ITEMS, MEMBERS) or parent is None or not parent.objects:
        return None
    return (node.filled if node is not None else 0) / parent.objects


def json_kinds(node: PathNode, whole: bool = False) -> dict[str, int]:
    """Return the values by kind, null aside; integer and float are one kind, `number`, unless `whole` is asked for."""
    kinds = {kind: n for kind, n in node.kinds.items() if kind != "null"}
    if not whole:
        numbers = sum(kinds.pop(kind, 0) for kind in NUMBERS)
        if numbers:
            kinds["number"] = numbers
    return kinds
