"""Payloads that are not what they were: a new member, a renamed one, another type, a section gone.

Paths are those of mappings: `$.liveData.plays.allPlays[*].result.rbi`, with `{*}` for objects keyed by id. A payload is
never changed itself: what is above the change is copied, the rest is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

from mlb_platform.mapping.paths import ITEMS, MEMBERS, parse_path
from mlb_platform.simulator.captures import SimulatedCapture
from mlb_platform.simulator.people import Json

JsonType = Literal["text", "number", "boolean", "object", "array", "null"]
Change = Callable[[Json, str], None]


def with_new_field(payload: Json, path: str, value: Any) -> Json:
    """Give a payload in which everything that has the last member's parent has that member, with this value.

    Raises ValueError when nothing is at the parent, or the member is there already.
    """

    def add(parent: Json, name: str) -> None:
        if name in parent:
            raise ValueError(f"{path} is there already: it would not be new")
        parent[name] = value

    return _changed(payload, path, add, there=False)


def with_renamed_field(payload: Json, path: str, name: str) -> Json:
    """Give a payload in which the member at a path is called otherwise, in the same place of its object.

    Raises ValueError when nothing is at the path.
    """

    def rename(parent: Json, old: str) -> None:
        items = [(name if key == old else key, value) for key, value in parent.items()]
        parent.clear()
        parent.update(items)

    return _changed(payload, path, rename)


def with_changed_type(payload: Json, path: str, to: JsonType) -> Json:
    """Give a payload in which the values at a path are of another JSON type.

    A text is what the value was written as, an object or array holds it; numbers and booleans of what is none are 1
    and true. Raises ValueError when nothing is at the path.
    """

    def change(parent: Json, name: str) -> None:
        parent[name] = _as(parent[name], to)

    return _changed(payload, path, change)


def without_section(payload: Json, path: str) -> Json:
    """Give a payload without the member at a path. Raises ValueError when nothing is there."""

    def drop(parent: Json, name: str) -> None:
        del parent[name]

    return _changed(payload, path, drop)


def mutated(capture: SimulatedCapture, change: Callable[[Json], Json], minutes: float = 0) -> SimulatedCapture:
    """Give a capture whose payload is `change(payload)`, received so many minutes later.

    The feed's own time stamp stays: the source does not tell that it changed.
    """
    when = capture.captured_at + timedelta(minutes=minutes)
    return replace(capture, payload=change(capture.payload), captured_at=when)


def _as(value: Any, to: JsonType) -> Any:
    if to == "text":
        return value if isinstance(value, str) else str(value)
    if to == "number":
        try:
            return float(value)
        except (TypeError, ValueError):
            return 1
    shapes: dict[str, Any] = {"boolean": bool(value), "object": {"value": value}, "array": [value], "null": None}
    return shapes[to]


def _changed(payload: Json, path: str, change: Change, there: bool = True) -> Json:
    """Give a payload with `change(parent, name)` made to copies of the parents of the last member of a path."""
    *above, name = parse_path(path, wildcards=True).steps
    made = 0

    def walk(value: Any, steps: tuple[str, ...]) -> Any:
        nonlocal made
        if not steps:
            if not isinstance(value, dict) or (there and name not in value):
                return value
            copy = dict(value)
            change(copy, name)
            made += 1
            return copy
        step, rest = steps[0], steps[1:]
        if step == ITEMS:
            return [walk(inner, rest) for inner in value] if isinstance(value, list) else value
        if not isinstance(value, dict):
            return value
        if step == MEMBERS:
            return {key: walk(inner, rest) for key, inner in value.items()}
        return value | {step: walk(value[step], rest)} if step in value else value

    if name in (ITEMS, MEMBERS):
        raise ValueError(f"{path} ends in {name}: name the member that is to change")
    result = walk(payload, tuple(above))
    if not made:
        raise ValueError(f"{path} matches nothing in the payload")
    assert isinstance(result, dict)
    return result
