"""A mapping with what is wrong taken out, so that everything else in it can be checked in the same go."""

from __future__ import annotations

import copy
import re
from typing import Any

from pydantic import ValidationError

from mlb_platform.mapping.models import MappingConfig

Location = tuple[str | int, ...]

_ATTEMPTS = 5
_FIELD = {"type": "TEXT", "json_path": "$.x", "description": "x"}
_ITEMS: dict[str, dict[str, Any]] = {
    "fields": _FIELD,
    "data_quality": {"rule": "true"},
    "relationships": {"to_table": "x.x", "from_field": "x", "to_field": "x"},
    "indexes": {"columns": ["x"]},
    "sources": {},
    "lookups": {"object_source": "$.x", "key": "x"},
}
"""What stands in for a broken part of a target; findings in it are left out."""


def without_errors(data: dict[str, Any], error: ValidationError) -> tuple[MappingConfig | None, set[Location]]:
    """Return the mapping without what `error` tells of, and the places whose findings then mean nothing.

    None where too little is left to be checked.
    """
    try:
        rest = copy.deepcopy(data)
    except RecursionError:
        return None, set()
    mended: set[Location] = set()
    for _ in range(_ATTEMPTS):
        for e in error.errors():
            place = _mend(rest, e["loc"], e["type"])
            if place is None:
                return None, mended
            if e["type"] != "extra_forbidden":
                mended.add(place)
        try:
            return MappingConfig.model_validate(rest), mended
        except ValidationError as next_error:
            error = next_error
    return None, mended


def _mend(rest: dict[str, Any], location: Location, kind: str) -> Location | None:
    """Replace the smallest part around `location` that can be; return where, None if there is none."""
    if kind == "extra_forbidden":
        _drop(rest, location)
        return location
    if location[0] == "targets":
        return _mend_target(rest, location)
    if location[0] == "source":
        return _mend_source(rest, location)
    if location[0] == "version":
        rest["version"] = "1.0"
        return location
    rest.pop(str(location[0]), None)
    return location[:1]


def _mend_target(rest: dict[str, Any], location: Location) -> Location | None:
    targets = rest.get("targets")
    if len(location) < 2 or not isinstance(targets, list) or not isinstance(location[1], int):
        return None
    i = int(location[1])
    target = targets[i]
    part = str(location[2]) if len(location) > 2 else ""
    if isinstance(target, dict) and part in _ITEMS and len(location) > 3:
        items, at = target[part], location[3]
        if isinstance(items, list) and isinstance(at, int):
            old = items[at]
            name = old.get("name") if isinstance(old, dict) else None
            items[at] = {
                **_ITEMS[part],
                **({"name": _name(name, f"invalid_{at}")} if part in ("fields", "data_quality") else {}),
            }
            return location[:4]
        if isinstance(items, dict) and at in items:
            items[at] = dict(_ITEMS[part])
            return location[:4]
    if isinstance(target, dict) and part and part not in ("name", "primary_key", "fields") and part in target:
        target.pop(part)
        return location[:3]
    targets[i] = {
        "name": f"x.invalid_{i}",
        "description": "x",
        "primary_key": ["x"],
        "merge_scope": {"key": "x"},
        "fields": [{"name": "x", **_FIELD}],
    }
    return location[:2]


def _mend_source(rest: dict[str, Any], location: Location) -> Location | None:
    source = rest.get("source")
    if not isinstance(source, dict):
        rest["source"] = source = {}
    part = str(location[1]) if len(location) > 1 else ""
    if part in ("entity_key", "partition"):
        old = source[part]
        name = _name(old.get("name") if isinstance(old, dict) else None, "invalid")
        source[part] = {"name": name, "type": "BIGINT" if part == "entity_key" else "DATE", "json_path": "$.x"}
        return location[:2]
    if part in ("merge_scope", "required"):
        source.pop(part)
        return location[:2]
    for name, value in (("endpoint", "x"), ("method", "x"), ("raw_table", "x.x")):
        if part in (name, "") and not (part == "" and name in source):
            source[name] = value
    return location[:2]


def _name(value: Any, otherwise: str) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value) else otherwise


def _drop(rest: Any, location: Location) -> None:
    """Take the last step of `location` out; steps that pydantic adds for unions are passed by."""
    holder: Any = rest
    for step in location[:-1]:
        known = range(len(holder)) if isinstance(holder, list) else holder if isinstance(holder, dict) else ()
        holder = holder[step] if step in known else holder
    if isinstance(holder, dict):
        holder.pop(location[-1], None)
