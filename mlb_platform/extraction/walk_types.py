"""The types that documents are decoded into: of each object a struct of the members that a mapping reads.

What a mapping does not read is passed over, which makes decoding three times as fast; a part of another kind than the
mapping reads is refused, an object in the place of a value too, even where no row has it: it is counted as a failed
cast. Values, and all that is below a JSONB column, are as JSON has them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mlb_platform.mapping.paths import ITEMS, MEMBERS
from mlb_platform.mapping.shape import Node

NOTHING = "E"
"""Name of what stands for an object that is not there, of any kind: an empty dict."""


class DocumentTypes:
    """The types of the parts of a document, by their node in the tree of what is read."""

    def __init__(self, tree: Node) -> None:
        self._structs: dict[int, type[msgspec.Struct]] = {}
        self._numbers: dict[int, str] = {}
        self.tree = tree
        """The tree of what is read; its nodes are known by their identity."""
        self.document = self._type_of(tree) if tree.children else self._struct(tree)
        """Type of a whole document."""

    @property
    def empties(self) -> dict[str, Any]:
        """Names and values of what stands for objects that are not there: structs without a value, an empty dict."""
        return {NOTHING: {}, **{name: self._structs[node]() for node, name in self._numbers.items()}}

    def member(self, node: Node, step: str) -> str:
        """Return what is written after an object for its member, `.m2` or `.get('x')`."""
        if id(node) not in self._structs:
            return f".get({step!r})"
        return f".m{list(node.children).index(step)}"

    def empty(self, node: Node) -> str:
        """Return the name of what stands for an object that is not there."""
        return self._numbers.get(id(node), NOTHING)

    def _type_of(self, node: Node) -> Any:
        if node.any_kind:
            return Any
        if not node.children:
            return bool | int | float | str
        if ITEMS in node.children:
            return list[self._type_of(node.children[ITEMS]) | None]  # type: ignore[misc]
        if MEMBERS in node.children:
            return dict[str, self._type_of(node.children[MEMBERS]) | None]  # type: ignore[misc]
        return self._struct(node)

    def _struct(self, node: Node) -> type[msgspec.Struct]:
        names = {f"m{n}": step for n, step in enumerate(node.children)}
        fields = [(name, self._type_of(node.children[step]) | None, None) for name, step in names.items()]
        number = len(self._numbers)
        self._numbers[id(node)] = f"{NOTHING}{number}"
        # documents hold no cycles: the collector need not look at them
        self._structs[id(node)] = msgspec.defstruct(f"Part{number}", fields, rename=names, gc=False)
        return self._structs[id(node)]
