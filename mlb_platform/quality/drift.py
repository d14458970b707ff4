"""What payloads have that they had not, and lack what they had: new and vanished paths, other types, other fill rates.

Payloads are compared by their profiles with those of earlier dates. A path that is not always there says little by not
being there once; so what counts is how likely that is, were all as before. Responses that may be filtered or hydrated
otherwise, as the mapping says (no snapshot), may lack anything: that is noted, and nothing to worry about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlb_platform.mapping.cover import Cover, Verdict
from mlb_platform.mapping.paths import render_steps
from mlb_platform.mapping.profile import NUMBERS, PathNode, fill_rate, json_kinds, walk
from mlb_platform.mapping.shape import Steps
from mlb_platform.quality.drift_absent import Absence, Absences, Profiled
from resources.drift_store import DriftRecord

DriftKind = Literal["unmapped", "new", "vanished", "lacking", "type", "fill"]
KINDS: dict[DriftKind, str] = {
    "new": "unmapped paths that earlier payloads did not have",
    "unmapped": "unmapped paths",
    "vanished": "mapped paths that are gone",
    "lacking": "mapped paths that are not there, which may mean nothing",
    "type": "values of another type",
    "fill": "fill rates that changed",
}
ALARMING: tuple[DriftKind, ...] = ("new", "unmapped", "vanished", "type")
"""What a check does not pass with; a fill rate may change with what happens in games."""
CHANGED = 0.5
MANY = 20
"""By how much a fill rate must change, and over how many objects on both sides, to be told."""


@dataclass
class Drift:
    """What was found in some captures."""

    found: list[DriftRecord]
    statuses: dict[str, int] = field(default_factory=dict)
    """Distinct leaf paths by what becomes of them."""


class DriftJudge:
    """Compares captures with earlier ones, in the light of what one mapping covers."""

    def __init__(self, cover: Cover) -> None:
        self.cover = cover
        scope = cover.mapping.config.source.merge_scope
        self.complete = scope is not None and scope.snapshot
        self._absences = Absences(cover)
        self._verdicts: dict[Steps, Verdict] = {}

    def judge(self, captures: Sequence[Profiled], earlier: PathNode) -> Drift:
        """Return what is unlike `earlier` (profiles of earlier dates taken together, or an empty node)."""
        now, known = PathNode(), PathNode()
        for capture in captures:
            now.merge(capture.node)
        known.merge(earlier)
        for capture in captures:
            if capture.before is not None:
                known.merge(capture.before)
        result = Drift([])
        vanished = [self._gone(found) for found in self._absences.find(captures, known)]
        result.found += self._unmapped(now, known, vanished, result.statuses)
        result.found += vanished
        result.found += self._types(now, known)
        told = {f.path for f in vanished}
        result.found += (f for f in self._fill(now, known) if f.path not in told)
        return result

    def verdict(self, steps: Steps, node: PathNode) -> Verdict:
        """Return what becomes of a leaf path."""
        if not node.children and not node.examples:
            return self.cover.verdict(steps, node)
        if steps not in self._verdicts:
            self._verdicts[steps] = self.cover.verdict(steps, node)
        return self._verdicts[steps]

    def _unmapped(
        self, now: PathNode, known: PathNode, gone: Sequence[DriftRecord], statuses: dict[str, int]
    ) -> Iterator[DriftRecord]:
        for steps, node, _ in walk(now):
            if not steps or not node.is_leaf:
                continue
            verdict = self.verdict(steps, node)
            statuses[verdict.status] = statuses.get(verdict.status, 0) + 1
            if verdict.status != "unmapped":
                continue
            new = bool(known.documents) and known.find(steps) is None
            note = verdict.note
            if new:
                near = [f.path for f in gone if f.entity == node.first_seen and _is_beside(f.path, steps)]
                note = f"perhaps {' or '.join(near[:3])} under another name" if near else note
            kind: DriftKind = "new" if new else "unmapped"
            yield DriftRecord(kind, render_steps(steps), node.count, node.first_seen, node.example, note)

    def _gone(self, gone: Absence) -> DriftRecord:
        below = ["all below it too"] if gone.was.children else []
        parts = [f"{gone.share:.0%} of the payloads before had it", *below, gone.note]
        kind: DriftKind = "vanished" if self.complete and gone.telling else "lacking"
        example = gone.was.example if gone.was.is_leaf else ""
        text = "; ".join(p for p in parts if p)
        return DriftRecord(kind, render_steps(gone.steps), gone.objects, gone.entity, example, text)

    def _types(self, now: PathNode, known: PathNode) -> Iterator[DriftRecord]:
        for steps, node, _ in walk(now):
            column = self.cover.integers.get(steps)
            whole = column is not None and "float" in node.kinds
            if not whole and len(node.kinds) < 2 and not known.documents:
                continue
            kinds = json_kinds(node, whole=whole)
            was = known.find(steps)
            before = json_kinds(was, whole=whole) if was is not None else {}
            surprising = sorted(set(kinds) - set(before)) if before else sorted(kinds) if len(kinds) > 1 else []
            if whole and "float" not in before and "float" not in surprising:
                surprising.append("float")
            if not surprising or self._is_hidden(steps, node):
                continue
            raw = [r for kind in surprising for r in (NUMBERS if kind == "number" else (kind,))]
            entity = next((node.first[k] for k in raw if k in node.first), node.first_seen)
            shown = next((node.examples[k] for k in raw if k in node.examples), node.example)
            told = f"{' and '.join(surprising)}, was {' or '.join(before)}" if before else " and ".join(surprising)
            note = f"{told}; {column} is for whole numbers" if whole else told
            count = sum(kinds.get(k, 0) for k in surprising)
            yield DriftRecord("type", render_steps(steps), count, entity, shown, note)

    def _is_hidden(self, steps: Steps, node: PathNode) -> bool:
        """Tell whether a path lies in a part that is ignored as a whole."""
        return node.is_leaf and self.verdict(steps, node).wildcard

    def _fill(self, now: PathNode, known: PathNode) -> Iterator[DriftRecord]:
        """Yield the mapped leaf paths that the objects around them have far more, or less, often than before."""
        for steps in self.cover.columns:
            holder, was_holder = now.find(steps[:-1]), known.find(steps[:-1])
            if holder is None or was_holder is None or min(holder.objects, was_holder.objects) < MANY:
                continue
            node, was = now.find(steps), known.find(steps)
            rate, before = fill_rate(steps, node, holder), fill_rate(steps, was, was_holder)
            if rate is None or before is None or abs(rate - before) < CHANGED or node is None:
                continue
            note = f"{rate:.0%} of {holder.objects:,}, was {before:.0%} of {was_holder.objects:,}"
            yield DriftRecord("fill", render_steps(steps), node.filled, node.first_seen, node.example, note)


def _is_beside(path: str, steps: Steps) -> bool:
    """Tell whether a path names another member of the same object."""
    holder = render_steps(steps[:-1])
    name = path.removeprefix(holder)
    return path.startswith(holder) and name[:1] == "." and not any(c in name[1:] for c in ".[{")
