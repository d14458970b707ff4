"""Which paths of a mapping match nothing in documents: likely misspelled, unless the mapping says `optional`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mlb_platform.mapping.filters import filter_paths, parse_filter
from mlb_platform.mapping.models import FieldDefinition, MappingConfig, TargetTable
from mlb_platform.mapping.paths import ITEMS, MEMBERS, parse_path, render_steps
from mlb_platform.mapping.resolve import infer_entity_key, infer_partition
from mlb_platform.mapping.shape import Steps, absolute, field_paths, source_steps

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class MappedPath:
    """Something a mapping reads: where the mapping says so, as it is written there, and the paths it stands for.

    It matches when any of `steps` is in a document.
    """

    location: Location
    text: str
    owner: str
    steps: tuple[Steps, ...]


def mapped_paths(config: MappingConfig) -> Iterator[MappedPath]:
    """Yield every path that a mapping expects to find: sources of rows, columns, filters."""
    inherited = {c.name for c in (infer_entity_key(config), infer_partition(config)) if c is not None}
    for i, target in enumerate(config.targets):
        bases = [source_steps(s) for s in target.row_sources]
        for n, source in enumerate(target.row_sources):
            place: Location = ("targets", i, "sources", n) if target.sources is not None else ("targets", i)
            if bases[n]:
                kinds = ("array_source", "object_source", "element_source")
                kind = next(k for k in kinds if getattr(source, k) is not None)
                yield MappedPath((*place, kind), str(source.source), f"rows of {target.name}", (bases[n],))
            if source.filter:
                yield from _filter((*place, "filter"), source.filter, target, [bases[n]])
        if target.filter:
            yield from _filter(("targets", i, "filter"), target.filter, target, bases)
        for n, f in enumerate(target.fields):
            if f.optional or _is_inherited(f, inherited):
                continue
            found = tuple(p for source in target.row_sources for p in field_paths(f, source, target))
            if found:
                text = " or ".join(f.paths)
                yield MappedPath(("targets", i, "fields", n, "json_path"), text, f"{target.name}.{f.name}", found)


def _is_inherited(f: FieldDefinition, names: set[str]) -> bool:
    """Tell whether a field names an inherited column (`$.game_pk` in an array), no place in the JSON."""
    return any(
        p.anchor in ("item", "parent") and p.steps[0:1] and p.steps[0] in names for p in map(parse_path, f.paths)
    )


def _filter(location: Location, text: str, target: TargetTable, bases: list[Steps]) -> Iterator[MappedPath]:
    for path in filter_paths(parse_filter(text)):
        found = tuple(p for p in (absolute(path, base, target) for base in bases) if p is not None)
        if found:
            yield MappedPath(location, str(path), f"the filter of {target.name}", found)


def find_unmatched(paths: Iterable[MappedPath], documents: Iterable[Any]) -> tuple[list[MappedPath], int]:
    """Return the paths that are in none of the documents (stopping when all were met), and how many were read."""
    open_paths = list(paths)
    read = 0
    for document in documents:
        if not open_paths:
            break
        read += 1
        open_paths = [p for p in open_paths if not any(is_there(document, s) for s in p.steps)]
    return _without_followers(open_paths), read


def is_there(value: Any, steps: Steps) -> bool:
    """Tell whether a path leads anywhere in a document, be it to null."""
    for n, step in enumerate(steps):
        if step in (ITEMS, MEMBERS):
            members = value if step == ITEMS else value.values() if isinstance(value, dict) else None
            if not isinstance(members, list) and step == ITEMS:
                return False
            return members is not None and any(is_there(member, steps[n + 1 :]) for member in members)
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return True


def _without_followers(paths: list[MappedPath]) -> list[MappedPath]:
    """Leave out columns of rows whose source is absent itself: one finding says it."""
    sources = {s for p in paths if p.owner.startswith("rows of ") for s in p.steps}
    return [
        p
        for p in paths
        if p.owner.startswith("rows of ") or not all(any(s[: len(r)] == r for r in sources) for s in p.steps)
    ]


def describe(path: MappedPath, documents: str) -> str:
    """Return the warning about a path; `documents` names what was looked at."""
    full = " or ".join(dict.fromkeys(render_steps(s) for s in path.steps))
    return f"path {path.text} of {path.owner} matches nothing in {documents} (looked for {full})"
