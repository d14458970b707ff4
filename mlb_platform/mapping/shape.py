"""Which parts of a document a mapping reads: absolute paths by column, and the tree of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from mlb_platform.mapping.filters import filter_paths, parse_filter
from mlb_platform.mapping.models import ElementPick, FieldDefinition, Lookup, RowSource, TargetTable
from mlb_platform.mapping.paths import ITEMS, MEMBERS, JsonPath, parse_path, render_steps
from mlb_platform.mapping.resolve import ResolvedMapping, inherited_name, path_list

Steps = tuple[str, ...]


@dataclass
class Node:
    """A part of a document: a value (no children), an object, an array (`[*]`) or an object keyed by id (`{*}`)."""

    children: dict[str, Node] = field(default_factory=dict)
    any_kind: bool = False
    """A JSONB column takes the value as it is, whatever its kind."""

    @property
    def kind(self) -> str:
        """`value`, `object`, `array` or `members`."""
        if ITEMS in self.children:
            return "array"
        if MEMBERS in self.children:
            return "members"
        return "object" if self.children else "value"


def source_steps(source: RowSource) -> Steps:
    """Return the steps to one row's element: `()` for the document, ending in `[*]` or `{*}` for one of several."""
    text = source.source
    if text is None:
        return ()
    steps = parse_path(text, wildcards=True).steps
    if source.element_source is not None or (steps and steps[-1] in (ITEMS, MEMBERS)):
        return steps
    return (*steps, ITEMS if source.array_source else MEMBERS)


def enclosing(steps: Steps, level: int) -> Steps:
    """Return the steps to the element `level` levels above the one at `steps`; the document is the last."""
    for _ in range(level):
        cut = len(steps) - 1
        while cut > 0 and steps[cut - 1] not in (ITEMS, MEMBERS):
            cut -= 1
        steps = steps[:cut]
    return steps


def lookup_steps(lookup: Lookup) -> Steps:
    """Return the steps to the element that a look-up finds."""
    if lookup.object_source is not None:
        return (*parse_path(lookup.object_source, wildcards=True).steps, MEMBERS)
    return (*parse_path(str(lookup.array_source), wildcards=True).steps, ITEMS)


def key_paths(key: str) -> list[JsonPath]:
    """Return the paths in a look-up's key template."""
    return [parse_path(text) for text in re.findall(r"\{([^}]*)\}", key)]


def absolute(path: JsonPath, base: Steps, target: TargetTable) -> Steps | None:
    """Return the steps of `path` from the document, for a row whose element is at `base`; None for $key, $position."""
    if path.anchor == "item":
        return (*base, *path.steps)
    if path.anchor == "parent":
        return (*enclosing(base, path.level), *path.steps)
    if path.anchor == "document":
        return path.steps
    if path.anchor == "lookup":
        return (*lookup_steps(target.lookups[str(path.lookup)]), *path.steps)
    return None


def field_paths(f: FieldDefinition, source: RowSource, target: TargetTable) -> list[Steps]:
    """Return the absolute paths that a field's values come from, in the rows of one source."""
    base = source_steps(source)
    paths = [parse_path(text) for text in source.paths_of(f)]
    found = [
        absolute(path, base, target) if f.element is None else _of_picked(path, f.element, base, target)
        for path in paths
    ]
    return [steps for steps in found if steps is not None]


def _of_picked(path: JsonPath, element: ElementPick, base: Steps, target: TargetTable) -> Steps | None:
    """Return the steps of `path` for an element that a field picks; its parent is the row's, wherever it lies."""
    if path.anchor == "parent":
        return (*enclosing(base, path.level - 1), *path.steps)
    array = absolute(parse_path(element.array_source), base, target)
    return absolute(path, (*(array or ()), ITEMS), target)


@lru_cache(maxsize=64)
def column_paths(mapping: ResolvedMapping) -> dict[tuple[str, str], list[Steps]]:
    """Return the absolute JSON paths of each (table, column) that comes from the document; not to be changed."""
    inherited = {c.name: path_list(c) for c in (mapping.entity_key, mapping.partition) if c is not None}
    roots = {name: [parse_path(p).steps for p in paths] for name, paths in inherited.items()}
    result: dict[tuple[str, str], list[Steps]] = {}
    for target in mapping.targets:
        for column in target.columns:
            if column.origin in ("entity", "partition"):
                name = column.name if column.field is None else inherited_name(column.field, set(inherited))
                if roots[str(name)]:
                    result[target.name, column.name] = roots[str(name)]
            elif column.origin == "path" and column.field is not None:
                sources = target.config.row_sources
                found = [p for source in sources for p in field_paths(column.field, source, target.config)]
                if found:
                    result[target.name, column.name] = list(dict.fromkeys(found))
    return result


def _read_paths(target: TargetTable) -> Iterator[Steps]:
    """Yield what a target reads besides its columns: filters, look-up keys and picked elements."""
    for source in target.row_sources:
        base = source_steps(source)
        if base:
            yield base
        paths: list[JsonPath] = []
        for text in (source.filter, target.filter):
            paths += filter_paths(parse_filter(text)) if text else []
        for lookup in target.lookups.values():
            paths += key_paths(lookup.key) if lookup.key is not None else [parse_path(str(lookup.index))]
        yield from (s for s in (absolute(p, base, target) for p in paths) if s is not None)
        for f in target.fields:
            if f.element is not None:
                array = (*(absolute(parse_path(f.element.array_source), base, target) or ()), ITEMS)
                yield array
                for path in filter_paths(parse_filter(f.element.filter)) if f.element.filter else []:
                    yield _of_picked(path, f.element, base, target) or ()


def build_tree(paths: Iterable[Steps]) -> Node:
    """Build the tree of paths; raise ValueError that names a path used both as an array and as an object."""
    root = Node()
    for steps in paths:
        node = root
        for step in steps:
            node = node.children.setdefault(step, Node())
    _refuse_mixed(root, ())
    return root


def _refuse_mixed(node: Node, steps: Steps) -> None:
    names = [s for s in node.children if s not in (ITEMS, MEMBERS)]
    if len(node.children) > 1 and len(names) < len(node.children):
        raise ValueError(f"{render_steps(steps)} is read both as an array and as an object: {', '.join(node.children)}")
    folded: dict[str, str] = {}
    for name in names:
        if folded.setdefault(name.lower(), name) != name:
            raise ValueError(f"{render_steps(steps)}: members {name} and {folded[name.lower()]} differ in case only")
    for step, child in node.children.items():
        _refuse_mixed(child, (*steps, step))


def mixed_reads(mapping: ResolvedMapping) -> Iterator[tuple[str, str, str]]:
    """Yield (table, column, path) of what a column takes as one value, though values below it are read too."""
    tree = document_tree(mapping)
    for (table, name), found in column_paths(mapping).items():
        for steps in found:
            node = tree
            for step in steps:
                node = node.children[step]
            if node.children:
                yield table, name, render_steps(steps)


@lru_cache(maxsize=64)
def document_tree(mapping: ResolvedMapping) -> Node:
    """Return the tree of everything a mapping reads from a document: the same one each time, to be left as it is."""
    paths = [p for found in column_paths(mapping).values() for p in found]
    paths += [p for target in mapping.targets for p in _read_paths(target.config)]
    for column in (mapping.entity_key, mapping.partition):
        if column is not None and not mapping.per_element:
            paths += [parse_path(p).steps for p in path_list(column)]
    tree = build_tree(paths)
    for (table, name), found in column_paths(mapping).items():
        if mapping.by_name[table].by_name[name].type.name == "JSONB":
            for steps in found:
                node = tree
                for step in steps:
                    node = node.children[step]
                node.any_kind = True
    return tree
