"""Mapped paths that payloads lack although those before had them, judged by how likely that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from mlb_platform.mapping.cover import Cover
from mlb_platform.mapping.paths import ITEMS, MEMBERS
from mlb_platform.mapping.profile import PathNode
from mlb_platform.mapping.shape import Steps

ALWAYS = 0.98
"""A path that so many of the payloads have is one that is always there."""
UNLIKELY = 0.1, 1e-4
"""How unlikely the absence of a path must be to be told, in all captures of a date: of one that was always there, and
of one that was not."""
UNLIKELY_ALONE = 0.01, 1e-6
"""The same for one of several captures of a date."""
UNLIKELY_SECTION = 0.05
"""The same for a part with columns below it that was always there."""
UNLIKELY_AGAIN = 0.3
"""The same for what the entity's capture before has, and was always there."""


@dataclass(frozen=True)
class Absence:
    """A path that is not there: its profile before, the share of the payloads that had it, the objects that lack it.

    `telling`: whether that is unlikely, were all as before; else it comes and goes, and the capture before had it.
    """

    steps: Steps
    was: PathNode
    share: float
    telling: bool
    objects: int = 0
    entity: str = ""
    note: str = ""


@dataclass(frozen=True)
class Profiled:
    """A capture's profile, with that of the capture of the same entity before it where there is one.

    `over`: False for one of an entity that still goes on (a game to come, or one that is off), which lacks by nature
    what others have at their end: it is compared with the capture before it alone.
    """

    raw_id: int
    entity: str
    node: PathNode
    before: PathNode | None = None
    over: bool = True


@dataclass(frozen=True)
class _Limits:
    """How unlikely an absence must be: of what was always there, of what was not, of a part with columns below it."""

    always: float
    sometimes: float
    section: float


_DATE = _Limits(*UNLIKELY, UNLIKELY[0])
_ALONE = _Limits(*UNLIKELY_ALONE, UNLIKELY_SECTION)
_AGAIN = _Limits(UNLIKELY_AGAIN, 0.0, UNLIKELY_AGAIN)


class Absences:
    """Finds the topmost mapped paths that are not there though likely to be.

    What the mapping calls optional counts, too: it need not be there, but where it always was, its absence is news.
    """

    def __init__(self, cover: Cover) -> None:
        self.cover = cover

    @cached_property
    def _mapped(self) -> set[Steps]:
        """Paths that columns read, and those of all that encloses them."""
        return {steps[:n] for steps in self.cover.columns for n in range(1, len(steps) + 1)}

    def find(self, captures: Sequence[Profiled], known: PathNode) -> Iterator[Absence]:
        """Yield what all captures lack, then what some lack; `known` is what was before."""
        if not known.documents:
            return
        over = [c for c in captures if c.over]
        now = PathNode()
        for capture in over:
            now.merge(capture.node)
        told: set[Steps] = set()
        for gone in self._absent((), now, known, _DATE):
            told.add(gone.steps)
            first = next((c.entity for c in over if _objects(c.node, gone.steps[:-1])), "")
            note = "no capture of the date has it" if len(captures) > 1 else ""
            if len(over) < len(captures):
                note = f"none of the {len(over)} captures of the date that are final has it"
            yield replace(gone, objects=_objects(now, gone.steps[:-1]), entity=first, note=note)
        some: dict[Steps, list[tuple[Profiled, Absence]]] = {}
        for capture in captures:
            for steps, gone in self._of_one(capture, known, len(captures) > 1).items():
                if not any(steps[:n] in told for n in range(1, len(steps) + 1)):
                    some.setdefault(steps, []).append((capture, gone))
        for steps, found in some.items():
            gone = next((g for _, g in found if g.telling), found[0][1])
            objects = sum(_objects(c.node, steps[:-1]) for c, _ in found)
            notes = [f"{len(found)} of {len(captures)} captures of the date lack it"] if len(captures) > 1 else []
            if all(c.before is not None and c.before.find(steps) is not None for c, _ in found):
                notes.append("the capture before has it")
            yield replace(gone, objects=objects, entity=found[0][0].entity, note=", ".join(notes))

    def _of_one(self, capture: Profiled, known: PathNode, several: bool) -> dict[Steps, Absence]:
        """Return what one capture lacks: compared with all before, and with that of the same entity before it."""
        found: dict[Steps, Absence] = {}
        if several and capture.over:
            found = {gone.steps: gone for gone in self._absent((), capture.node, known, _ALONE)}
        if capture.before is not None:
            for gone in self._absent((), capture.node, known, _AGAIN, capture.before):
                found.setdefault(gone.steps, gone)
        return {s: gone for s, gone in found.items() if not any(s[:n] in found for n in range(1, len(s)))}

    def _absent(
        self, steps: Steps, now: PathNode, known: PathNode, limits: _Limits, before: PathNode | None = None
    ) -> Iterator[Absence]:
        """Yield the topmost paths below a node; with `before`, all that it has, and only those."""
        for name, was in known.children.items():
            path = (*steps, name)
            there = before.children.get(name) if before is not None else None
            if path not in self._mapped or not was.filled or (before is not None and not (there and there.filled)):
                continue
            here = now.children.get(name)
            if here is not None and here.filled:
                yield from self._absent(path, here, was, limits, there)
                continue
            if name in (ITEMS, MEMBERS) or not now.objects or not now.children:
                continue
            share = was.documents / known.documents
            always = share >= ALWAYS or before is not None
            limit = limits.section if always and was.children else limits.always if always else limits.sometimes
            chance = _chance(was.documents, known.documents, now.documents)
            if here is not None:  # but null everywhere
                chance = max(chance, _chance(was.filled, known.objects, now.objects))
            if chance <= limit or before is not None:
                yield Absence(path, was, share, chance <= limit)


def _objects(node: PathNode, steps: Steps) -> int:
    found = node.find(steps)
    return found.objects if found is not None else 0


def _chance(had: int, of: int, now: int) -> float:
    """Return how likely it is that none of `now` has what `had` of `of` had before."""
    return float((1 - (had + 0.5) / (of + 1)) ** now)
