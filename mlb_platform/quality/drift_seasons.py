"""How payloads differ from season to season: leaf paths that came and went, and fill rates of mapped ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlb_platform.mapping.cover import Cover
from mlb_platform.mapping.paths import render_steps
from mlb_platform.mapping.profile import PathNode, fill_rate, walk
from mlb_platform.mapping.shape import Steps

FEWEST = 20
"""A fill rate is told of at least so many objects."""


@dataclass(frozen=True)
class SeasonChange:
    """The leaf paths of one season: how many, and those that the season before did not have, or had alone."""

    season: str
    documents: int
    leaf_paths: int
    came: tuple[str, ...]
    went: tuple[str, ...]


@dataclass(frozen=True)
class FillRow:
    """A mapped path, the columns that read it, and the share of the objects around it that have it, by label."""

    path: str
    columns: str
    rates: tuple[float | None, ...]

    @property
    def spread(self) -> float:
        """How far the rates lie apart."""
        known = [r for r in self.rates if r is not None]
        return max(known) - min(known) if known else 0.0


def season_changes(seasons: Mapping[str, PathNode]) -> list[SeasonChange]:
    """Return what came and went with each season, in order; the first one has nothing to be compared with."""
    result = []
    before: set[Steps] | None = None
    for season, root in sorted(seasons.items()):
        leaves = {steps for steps, node, _ in walk(root) if steps and node.is_leaf}
        came = () if before is None else tuple(sorted(render_steps(s) for s in leaves if s not in before))
        went = () if before is None else tuple(sorted(render_steps(s) for s in before if root.find(s) is None))
        result.append(SeasonChange(season, root.documents, len(leaves), came, went))
        before = leaves
    return result


def fill_rows(cover: Cover, nodes: Mapping[str, PathNode], apart: float = 0.2) -> list[FillRow]:
    """Return the mapped paths whose fill rates lie that far apart, those that do most first."""
    rows = []
    for steps, columns in cover.columns.items():
        rates = []
        for root in nodes.values():
            holder = root.find(steps[:-1])
            known = holder is not None and holder.objects >= FEWEST
            rates.append(fill_rate(steps, root.find(steps), holder) if known else None)
        rows.append(FillRow(render_steps(steps), ", ".join(dict.fromkeys(columns)), tuple(rates)))
    return sorted((r for r in rows if r.spread >= apart), key=lambda r: (-r.spread, r.path))
