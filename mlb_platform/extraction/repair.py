"""Documents whose structure is not the expected: what is wrong where, and the document without it.

An array where an object is expected, or the reverse, is a structure error: the capture is held. A plain value where an
array or object is expected is a failed cast: it is taken out and counted, and the rest of the document is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from mlb_platform.mapping.paths import ITEMS, MEMBERS, render_steps
from mlb_platform.mapping.shape import Node

_KINDS = {"array": "array", "object": "object", "members": "object"}


@dataclass(frozen=True)
class Misplaced:
    """A part of a document of another kind than expected; `steps` is folded ([*], {*}), `pointer` is a JSON pointer."""

    steps: tuple[str, ...]
    pointer: str
    expected: str
    found: str
    value: str

    @property
    def path(self) -> str:
        """The folded path as text."""
        return render_steps(self.steps)

    @property
    def is_structure_error(self) -> bool:
        """Whether an array stands for an object or the reverse."""
        return self.expected != "value" and self.found != "value"


def _found(value: Any) -> str:
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "value"


def misplaced_parts(document: Any, tree: Node) -> list[Misplaced]:
    """Take out of `document` (changed in place) what is not of the kind `tree` expects, and return it."""
    found: list[Misplaced] = []

    def walk(value: Any, node: Node, steps: tuple[str, ...], pointer: str) -> bool:
        """Return whether the value may stay."""
        if value is None or node.any_kind or (node.kind == "value" and _found(value) == "value"):
            return True
        expected = _KINDS.get(node.kind, "value")
        if _found(value) != expected:
            text = orjson.dumps(value).decode()[:200]
            found.append(Misplaced(steps, pointer, expected, _found(value), text))
            return False
        if node.kind == "array":
            child = node.children[ITEMS]
            for i, item in enumerate(value):
                if not walk(item, child, (*steps, ITEMS), f"{pointer}/{i}"):
                    value[i] = None
            return True
        pairs = (
            [(name, node.children[MEMBERS], MEMBERS) for name in value]
            if node.kind == "members"
            else [(name, child, name) for name, child in node.children.items() if name in value]
        )
        for name, child, step in pairs:
            escaped = name.replace("~", "~0").replace("/", "~1")
            if not walk(value[name], child, (*steps, step), f"{pointer}/{escaped}"):
                value[name] = None
        return True

    walk(document, tree, (), "")
    return found
