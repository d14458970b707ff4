"""What of the payloads a mapping covers: each leaf path mapped, ignored with a reason, or unmapped, with figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from mlb_platform.mapping.copies import CopyCheck, CopyReport
from mlb_platform.mapping.cover import Cover, ignore_steps, is_exact, is_legal_wildcard
from mlb_platform.mapping.matching import MappedPath, mapped_paths
from mlb_platform.mapping.paths import render_steps
from mlb_platform.mapping.profile import PathNode, fill_rate, json_kinds, walk
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.mapping.shape import Steps


@dataclass(frozen=True)
class PathCoverage:
    """One distinct leaf path: what becomes of it and what was seen there.

    `count`: values, null included; `fill`: by season the share of the enclosing objects that have a value, None where
    the season has no such object or the path is an item of an array.
    """

    path: str
    status: str
    by: str
    wildcard: bool
    note: str
    count: int
    documents: int
    kinds: dict[str, int]
    example: str
    first: str
    fill: dict[str, float | None]


@dataclass(frozen=True)
class TypeChange:
    """A path whose values are of several JSON kinds, or not whole where a column is: by kind count and first entity."""

    path: str
    status: str
    kinds: dict[str, int]
    first: dict[str, str]
    seasons: dict[str, list[str]]
    note: str = ""


@dataclass(frozen=True)
class PathProblem:
    """Something in the mapping file that the payloads contradict."""

    path: str
    problem: str


@dataclass
class CoverageReport:
    """The coverage of one mapping over payloads."""

    mapping: str
    documents: int
    seasons: list[str]
    paths: list[PathCoverage]
    type_changes: list[TypeChange]
    unmatched: list[PathProblem]
    illegal: list[PathProblem]
    copies: list[CopyReport]
    empty: list[str] = field(default_factory=list)
    """Columns declared `optional` whose paths are in no payload."""

    def of(self, status: str) -> list[PathCoverage]:
        """Return the leaf paths of one status."""
        return [p for p in self.paths if p.status == status]

    @property
    def covered(self) -> float:
        """Share of the distinct leaf paths that are mapped, or ignored with a reason."""
        return 1 - len(self.of("unmapped")) / len(self.paths) if self.paths else 1.0

    @property
    def outside(self) -> list[PathCoverage]:
        """The leaf paths outside subtrees that are ignored as a whole."""
        return [p for p in self.paths if not p.wildcard]

    @property
    def mapped(self) -> float:
        """Share of the leaf paths outside wholly ignored subtrees that are mapped."""
        return len(self.of("mapped")) / len(self.outside) if self.outside else 1.0

    @property
    def summary(self) -> dict[str, Any]:
        """The figures of the report."""
        ignored = self.of("ignored")
        return {
            "documents": self.documents,
            "leaf_paths": len(self.paths),
            "mapped": len(self.of("mapped")),
            "ignored": len([p for p in ignored if not p.wildcard]),
            "ignored_by_wildcard": len([p for p in ignored if p.wildcard]),
            "unmapped": len(self.of("unmapped")),
            "covered_percent": round(100 * self.covered, 2),
            "mapped_percent_outside_wildcards": round(100 * self.mapped, 2),
            "unmatched": len(self.unmatched),
            "illegal_ignores": len(self.illegal),
            "type_changes": len(self.type_changes),
            "copies_compared": sum(c.compared for c in self.copies),
            "copies_differing": sum(c.differing for c in self.copies),
        }

    def to_json(self) -> dict[str, Any]:
        """Return everything, as plain values."""
        plain = asdict(self)
        return {"mapping": plain.pop("mapping"), "summary": self.summary, **plain}


class Coverage:
    """Takes payloads in one by one and reports what the mapping covers of them.

    `others`: the mappings, by name, that documents are handed to by `source.embeds`.
    """

    def __init__(self, mapping: ResolvedMapping, others: Mapping[str, ResolvedMapping] | None = None) -> None:
        self.mapping = mapping
        self.cover = Cover(mapping, others)
        self.by_season: dict[str, PathNode] = {}
        self.documents = 0
        self._copies = CopyCheck(mapping.config)

    def add(self, document: Any, entity: str, season: str) -> None:
        """Count a payload of an entity."""
        self.documents += 1
        self.by_season.setdefault(season, PathNode()).add(document, entity, self.cover.tree)
        self._copies.add(document, entity)

    @cached_property
    def _all(self) -> PathNode:
        root = PathNode()
        for season in sorted(self.by_season):
            root.merge(self.by_season[season])
        return root

    def report(self) -> CoverageReport:
        """Return the coverage of all payloads added; nothing may be added after it."""
        nodes = list(walk(self._all)) if self.documents else []
        unmatched = list(_unmatched(mapped_paths(self.mapping.config), self._all))
        return CoverageReport(
            mapping=self.mapping.name,
            documents=self.documents,
            seasons=sorted(self.by_season),
            paths=[self._path(steps, node) for steps, node, _ in nodes if steps and node.is_leaf],
            type_changes=[t for steps, node, _ in nodes for t in self._type_change(steps, node)],
            unmatched=[PathProblem(render_steps(p.steps[0]), f"{p.text} of {p.owner}") for p in unmatched],
            illegal=list(self._illegal(nodes)),
            copies=self._copies.reports,
            empty=list(self._empty()),
        )

    def _path(self, steps: Steps, node: PathNode) -> PathCoverage:
        verdict = self.cover.verdict(steps, node)
        fill = {
            season: fill_rate(steps, root.find(steps), root.find(steps[:-1]))
            for season, root in sorted(self.by_season.items())
        }
        return PathCoverage(
            render_steps(steps),
            verdict.status,
            verdict.by,
            verdict.wildcard,
            verdict.note,
            node.count,
            node.documents,
            node.kinds,
            node.example,
            node.first_seen,
            fill,
        )

    def _type_change(self, steps: Steps, node: PathNode) -> Iterator[TypeChange]:
        column = self.cover.integers.get(steps)
        broken = column is not None and "float" in node.kinds
        if len(json_kinds(node)) < 2 and not broken:
            return
        kinds = json_kinds(node, whole=broken)
        seasons = {
            season: sorted(json_kinds(found, whole=broken))
            for season, root in sorted(self.by_season.items())
            if (found := root.find(steps)) is not None
        }
        first = {k: e for k, e in node.first.items() if k != "null"}
        note = f"{column} is for whole numbers" if broken else ""
        yield TypeChange(render_steps(steps), self.cover.verdict(steps, node).status, kinds, first, seasons, note)

    def _illegal(self, nodes: list[tuple[Steps, PathNode, Any]]) -> Iterator[PathProblem]:
        """Yield the ignored paths that hide a subtree without the right to, and those no payload has."""
        leaves = [steps for steps, node, _ in nodes if node.is_leaf]
        for entry in self.mapping.config.ignore_paths:
            own = ignore_steps(entry)
            below = [s for s in leaves if s[: len(own)] == own and not is_exact(entry, s)]
            if below and not is_legal_wildcard(entry):
                problem = (
                    f"hides {len(below)} leaf paths, such as {render_steps(below[0])}: name each, or say copy_of where "
                    "it repeats another part, or statistics: true for season-to-date statistics"
                )
                yield PathProblem(entry.path, problem)

    def _empty(self) -> Iterator[str]:
        """Yield the optional columns whose paths no payload has."""
        optional = {(t.name, f.name) for t in self.mapping.targets for f in t.config.fields if f.optional}
        seen: dict[str, bool] = {}
        for steps, columns in self.cover.columns.items():
            for column in columns:
                seen[column] = seen.get(column, False) or self._all.find(steps) is not None
        for table, name in sorted(optional):
            if not seen.get(f"{table}.{name}", True):
                yield f"{table}.{name}"


def _unmatched(paths: Iterable[MappedPath], root: PathNode) -> list[MappedPath]:
    """Return the mapped paths that are nowhere below `root`; columns of rows that are absent themselves aside."""
    missing = [p for p in paths if all(root.find(s) is None for s in p.steps)]
    absent = {s for p in missing if p.owner.startswith("rows of ") for s in p.steps}
    return [
        p
        for p in missing
        if p.owner.startswith("rows of ") or not all(any(s[: len(r)] == r for r in absent) for s in p.steps)
    ]


def coverage(
    mapping: ResolvedMapping,
    documents: Iterable[tuple[Any, str, str]],
    others: Mapping[str, ResolvedMapping] | None = None,
) -> CoverageReport:
    """Return the coverage of a mapping over payloads, each given as (document, entity, season)."""
    made = Coverage(mapping, others)
    for document, entity, season in documents:
        made.add(document, entity, season)
    return made.report()
