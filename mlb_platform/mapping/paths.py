"""JSON paths of the mapping language: `$.a.b`, `parent.x`, `lookup.NAME.x`, `$document.x`, `$key`, `$position`, …

`parent.$position` is the position of the enclosing element in its array.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

Anchor = Literal["item", "parent", "lookup", "document", "key", "position", "first_position"]
ITEMS = "[*]"
MEMBERS = "{*}"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")


@dataclass(frozen=True)
class JsonPath:
    """A parsed path: where it starts (`anchor`; `level` parents up; `lookup` name) and its steps.

    A step is a member name, `[*]` (every item of an array) or `{*}` (every member of an object keyed by id).
    """

    anchor: Anchor
    steps: tuple[str, ...] = ()
    level: int = 0
    lookup: str | None = None

    def __str__(self) -> str:
        climb = ["parent"] * self.level
        start = {
            "item": "$", "parent": ".".join(climb), "lookup": f"lookup.{self.lookup}",
            "document": "$document", "key": "$key", "position": ".".join([*climb, "$position"]),
            "first_position": "$first_position",
        }[self.anchor]  # fmt: skip
        return render_steps(self.steps, start)


def render_steps(steps: tuple[str, ...], start: str = "$") -> str:
    """Write steps after `start`: ('a', '[*]', 'b') gives `$.a[*].b`."""
    return start + "".join(s if s in (ITEMS, MEMBERS) else f".{s}" for s in steps)


def _steps(text: str, whole: str, wildcards: bool) -> tuple[str, ...]:
    steps: list[str] = []
    rest = text
    while rest:
        if rest.startswith((ITEMS, MEMBERS)):
            if not wildcards:
                raise ValueError(f"path {whole!r}: {rest[:3]} is allowed in array_source and ignore_paths only")
            steps.append(rest[:3])
            rest = rest[3:]
            continue
        if not rest.startswith("."):
            raise ValueError(f"path {whole!r}: expected '.' before {rest!r}")
        match = _NAME.match(rest[1:])
        if not match:
            raise ValueError(f"path {whole!r}: expected a name after '.', found {rest[1:]!r}")
        steps.append(match[0])
        rest = rest[1 + match.end() :]
    return tuple(steps)


@cache
def parse_path(text: str, *, wildcards: bool = False) -> JsonPath:
    """Parse one path; `wildcards` allows `[*]` and `{*}`. Raise ValueError that quotes it and says what is wrong."""
    if text == "$key":
        return JsonPath("key")
    if text == "$position":
        return JsonPath("position")
    if text == "$first_position":
        return JsonPath("first_position")
    for prefix, anchor in (("$document", "document"), ("$", "item")):
        if text == prefix or text.startswith((f"{prefix}.", f"{prefix}[", f"{prefix}{{")):
            return JsonPath(anchor, _steps(text[len(prefix) :], text, wildcards))  # type: ignore[arg-type]
    if text.startswith("lookup."):
        name = _NAME.match(text[7:])
        if not name:
            raise ValueError(f"path {text!r}: expected lookup.NAME.path")
        return JsonPath("lookup", _steps(text[7 + name.end() :], text, wildcards), lookup=name[0])
    level, rest = 0, "." + text
    while re.match(r"\.parent(?=\.|$)", rest):
        level, rest = level + 1, rest[7:]
    if level and rest == ".$position":
        return JsonPath("position", level=level)
    if not level:
        raise ValueError(f"path {text!r} must start with $, $document, parent or lookup")
    return JsonPath("parent", _steps(rest, text, wildcards), level=level)
