"""What a mapping says of one path of a document: a column takes it, it is ignored with a reason, or neither."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mlb_platform.mapping.models import IgnoredPath
from mlb_platform.mapping.paths import ITEMS, MEMBERS, parse_path, render_steps
from mlb_platform.mapping.profile import SCALARS, PathNode
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.mapping.shape import Node, Steps, column_paths, document_tree

Status = Literal["mapped", "ignored", "unmapped"]


@dataclass(frozen=True)
class Verdict:
    """What becomes of a path: `by` names the columns or gives the reason; `wildcard`: a whole subtree is ignored.

    `note` says, of what is unmapped, how near it is to being covered.
    """

    status: Status
    by: str = ""
    wildcard: bool = False
    note: str = ""


def ignore_steps(entry: IgnoredPath) -> Steps:
    """Return the steps of an ignored path."""
    return parse_path(entry.path, wildcards=True).steps


def is_exact(entry: IgnoredPath, steps: Steps) -> bool:
    """Tell whether an entry is about exactly this path, or the plain items of an array there."""
    own = ignore_steps(entry)
    return steps[: len(own)] == own and all(s in (ITEMS, MEMBERS) for s in steps[len(own) :])


def is_legal_wildcard(entry: IgnoredPath) -> bool:
    """Tell whether an entry may ignore all that lies below its path."""
    return entry.copy_of is not None or entry.statistics


class Cover:
    """The verdicts of one mapping.

    A path is mapped when a column takes its value: directly, through a look-up or a picked element, as part of a JSONB
    column, in the text of the entity key, or in a table of another mapping that the documents it lies in are handed to
    (`source.embeds`; `others` are those mappings by name). A path that only a filter, the key of a look-up or a date
    for other entities reads is not mapped: its value is in no table.
    """

    def __init__(self, mapping: ResolvedMapping, others: Mapping[str, ResolvedMapping] | None = None) -> None:
        self.mapping = mapping
        self.tree: Node = document_tree(mapping)
        self.columns: dict[Steps, list[str]] = {}
        self.integers: dict[Steps, str] = {}
        self._json: set[Steps] = set()
        for (table, name), found in column_paths(mapping).items():
            column = mapping.by_name[table].by_name[name]
            for steps in found:
                self.columns.setdefault(steps, []).append(f"{table}.{name}")
                if column.type.name == "JSONB":
                    self._json.add(steps)
                if column.type.is_integer:
                    self.integers.setdefault(steps, f"{table}.{name}")
        key = mapping.config.source.entity_key
        for text in re.findall(r"\{(\$[^}@]*)\}", (key.template or "") if key else ""):
            self.columns.setdefault(parse_path(text).steps, []).append(f"the entity key {mapping.entity_key.name}")
        self._above = {steps[:n] for steps in self.columns for n in range(len(steps))}
        self._ignored = [(ignore_steps(entry), entry) for entry in mapping.config.ignore_paths]
        self._embedded = self._embeds(others or {})

    def _embeds(self, others: Mapping[str, ResolvedMapping]) -> list[tuple[Steps, Steps, Cover]]:
        found: list[tuple[Steps, Steps, Cover]] = []
        for embed in self.mapping.config.source.embeds:
            if embed.into in others and embed.into != self.mapping.name:
                cover = Cover(others[embed.into])
                for text in embed.from_paths:
                    found.append((parse_path(text, wildcards=True).steps, (embed.member, ITEMS), cover))
        return found

    def verdict(self, steps: Steps, node: PathNode | None = None) -> Verdict:
        """Return what becomes of a leaf path; `node` is what documents have there, where that is known."""
        return self._verdict(steps, node, ())

    def _verdict(self, steps: Steps, node: PathNode | None, asking: tuple[Steps, ...]) -> Verdict:
        columns = self._columns(steps, node)
        if columns:
            return Verdict("mapped", ", ".join(dict.fromkeys(columns)))
        ignored = self._ignore(steps, node, asking)
        if ignored is not None and ignored.status == "ignored":
            return ignored
        for source, target, cover in self._embedded:
            if steps[: len(source)] == source:
                there = cover._verdict((*target, *steps[len(source) :]), node, ())
                if there.status != "unmapped":
                    return Verdict(there.status, f"{cover.mapping.name}: {there.by}", there.wildcard)
        if ignored is not None:
            return ignored
        return Verdict("unmapped", note="only a filter or look-up reads it" if self.is_read(steps) else "")

    def _columns(self, steps: Steps, node: PathNode | None) -> list[str]:
        if steps in self.columns:
            return self.columns[steps]
        for n in range(len(steps)):
            if steps[:n] in self._json:
                return self.columns[steps[:n]]
        empty = node is not None and not node.children and not any(kind in node.kinds for kind in SCALARS)
        if empty and steps in self._above:
            return ["nothing is there; columns read what lies below"]
        return []

    def _ignore(self, steps: Steps, node: PathNode | None, asking: tuple[Steps, ...]) -> Verdict | None:
        """Return the verdict of the ignored paths: an exact one first, then a legal wildcard, then an illegal one."""
        found = [(own, entry) for own, entry in self._ignored if steps[: len(own)] == own]
        for _, entry in found:
            if is_exact(entry, steps):
                return Verdict("ignored", entry.reason)
        refused = None
        for own, entry in found:
            if entry.statistics:
                return Verdict("ignored", entry.reason, wildcard=True)
            if entry.copy_of is None:
                refused = Verdict("unmapped", note=f"ignoring all of {entry.path} is not legal")
            elif self._is_known(entry.copy_of, steps[len(own) :], node, (*asking, own)):
                return Verdict("ignored", f"{entry.reason} (copy of {entry.copy_of})", wildcard=True)
            else:
                original = render_steps(steps[len(own) :], entry.copy_of)
                refused = Verdict("unmapped", note=f"{original}, of which it is said to be a copy, is not covered")
        return refused

    def _is_known(self, source: str, rest: Steps, node: PathNode | None, asking: tuple[Steps, ...]) -> bool:
        """Tell whether what a copy repeats is itself mapped or ignored, other than as a copy of this copy."""
        base = parse_path(source, wildcards=True).steps
        if any(base[: len(a)] == a for a in asking):
            return False
        for step in ((), (ITEMS,), (MEMBERS,)):
            if self._verdict((*base, *step, *rest), node, asking).status != "unmapped":
                return True
        return False

    def is_read(self, steps: Steps) -> bool:
        """Tell whether the mapping reads a path at all, be it for a filter."""
        node: Node | None = self.tree
        for step in steps:
            node = node.children.get(step) if node is not None else None
        return node is not None
