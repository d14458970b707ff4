"""What a mapping reads of one entity's element, where a response has several: two that agree on it make equal rows."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mlb_platform.mapping.models import FieldDefinition, RowSource, TargetTable
from mlb_platform.mapping.paths import ITEMS, MEMBERS, parse_path, render_steps
from mlb_platform.mapping.resolve import ResolvedMapping, path_list
from mlb_platform.mapping.shape import Node, Steps, document_tree, source_steps


@dataclass(frozen=True)
class ElementReads:
    """The parts of an element that rows are made of, and what tells this set of parts from that of another mapping."""

    tree: Node
    fingerprint: str

    def of(self, element: Any) -> Any:
        """Return the parts of an element that are read; what is of another kind than expected is kept as it is."""
        return _part(element, self.tree)


@lru_cache(maxsize=64)
def element_reads(mapping: ResolvedMapping) -> ElementReads | None:
    """Return what the rows of an entity are made of; None where that is not its element alone.

    Rows that read the document around the element, look something up, or tell the place of the element among the others
    depend on the whole response.
    """
    if mapping.config.source.entities is None:
        return None
    base = parse_path(mapping.config.source.entities, wildcards=True).steps
    base = base if base and base[-1] in (ITEMS, MEMBERS) else (*base, ITEMS)
    if any(_reads_outside(t.config, base) for t in mapping.targets):
        return None
    node = document_tree(mapping)
    for step in base:
        if list(node.children) != [step]:
            return None
        node = node.children[step]
    tree = copy.deepcopy(node)
    if not tree.any_kind:
        for column in (mapping.entity_key, mapping.partition):
            for text in path_list(column) if column is not None else ():
                _add(tree, parse_path(text).steps)
    lines = "\n".join(sorted(_paths(tree, ())))
    return ElementReads(tree, hashlib.sha256(lines.encode()).hexdigest()[:12])


def _reads_outside(target: TargetTable, base: Steps) -> bool:
    if target.lookups:
        return True
    for source in target.row_sources:
        steps = source_steps(source)
        if steps[: len(base)] != base:
            return True
        inside = sum(s in (ITEMS, MEMBERS) for s in steps) - sum(s in (ITEMS, MEMBERS) for s in base)
        if any(_field_reads_outside(f, source, inside) for f in target.fields):
            return True
        filters = [source.filter, target.filter]
        if any(text and ("parent" in text or "$document" in text or "position" in text) for text in filters):
            return True
    return False


def _field_reads_outside(f: FieldDefinition, source: RowSource, inside: int) -> bool:
    """Tell whether a field leaves the entity's element; `inside` counts the arrays from there to the row's."""
    texts = list(source.paths_of(f)) + ([f.element.array_source] if f.element is not None else [])
    for text in texts:
        path = parse_path(text, wildcards=True)
        if path.anchor in ("document", "lookup", "first_position") or path.level > inside:
            return True
        if path.anchor in ("key", "position") and path.level >= inside:
            return True
    return False


def _add(node: Node, steps: Steps) -> None:
    for n, step in enumerate(steps):
        if not node.children and n:
            return  # read whole
        node = node.children.setdefault(step, Node())


def _paths(node: Node, steps: Steps) -> Iterator[str]:
    if not node.children or node.any_kind:
        yield render_steps(steps) + ("=" if node.any_kind else "")
    for step, child in node.children.items():
        yield from _paths(child, (*steps, step))


def _part(value: Any, node: Node) -> Any:
    if node.any_kind or not node.children:
        return value
    if node.kind == "array" and isinstance(value, list):
        return [_part(v, node.children[ITEMS]) for v in value]
    if node.kind == "members" and isinstance(value, dict):
        return {name: _part(v, node.children[MEMBERS]) for name, v in value.items()}
    if node.kind == "object" and isinstance(value, dict):
        return {name: _part(value[name], child) for name, child in node.children.items() if name in value}
    return value
