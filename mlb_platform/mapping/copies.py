"""Whether what a mapping ignores as a copy is one: every value of the copy is found in the original."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mlb_platform.mapping.cover import ignore_steps
from mlb_platform.mapping.models import IgnoredPath, MappingConfig
from mlb_platform.mapping.paths import ITEMS, MEMBERS, parse_path, render_steps
from mlb_platform.mapping.profile import is_id
from mlb_platform.mapping.shape import Steps

SAMPLES = 5
"""How many differences of one ignored path are told."""


@dataclass(frozen=True)
class CopyDifference:
    """A value of a copy that the original does not have: where, which, and in which entity's document."""

    path: str
    copy_of: str
    where: str
    value: str
    entity: str


@dataclass
class CopyReport:
    """How many elements ignored as copies were compared, how many differ, and the first differences."""

    path: str
    copy_of: str
    compared: int = 0
    differing: int = 0
    differences: list[CopyDifference] = field(default_factory=list)


class CopyCheck:
    """Compares the copies that a mapping ignores (`copy_of`) with their originals, document by document."""

    def __init__(self, config: MappingConfig) -> None:
        self._entries: list[tuple[IgnoredPath, Steps, Steps]] = [
            (entry, ignore_steps(entry), parse_path(entry.copy_of, wildcards=True).steps)
            for entry in config.ignore_paths
            if entry.copy_of is not None
        ]
        self.reports = [CopyReport(entry.path, str(entry.copy_of)) for entry, _, _ in self._entries]

    def add(self, document: Any, entity: str) -> None:
        """Compare every copy in a document with its original in the same document."""
        for report, (_, copy, original) in zip(self.reports, self._entries, strict=True):
            shared = 0
            while shared < min(len(copy), len(original)) - 1 and copy[shared] == original[shared]:
                shared += 1
            for element, _ in elements(document, copy[:shared]):
                self._compare(report, element, copy[shared:], original[shared:], entity)

    def _compare(self, report: CopyReport, holder: Any, copy: Steps, original: Steps, entity: str) -> None:
        candidates: list[tuple[Any, Steps]] | None = None
        for value, place in elements(holder, copy):
            if value is None:
                continue
            if candidates is None:
                found = list(elements(holder, original))
                candidates = [(v, p) for v, p in found if v is not None]
                if not isinstance(value, list):
                    candidates += [(item, p) for v, p in found if isinstance(v, list) for item in v]
            report.compared += 1
            # those with the same index or id first: most copies lie in the same place
            same = [c for c, p in candidates if p == place]
            if any(is_part(value, c) for c in same) or any(is_part(value, c) for c, p in candidates if p != place):
                continue
            report.differing += 1
            if len(report.differences) < SAMPLES:
                near = same[0] if same else candidates[-1][0] if candidates else None
                where, shown = next(differences(value, near), ((), value))
                full = render_steps(where, report.path)
                report.differences.append(CopyDifference(report.path, report.copy_of, full, repr(shown)[:80], entity))


def check_copies(config: MappingConfig, documents: Iterable[tuple[str, Any]]) -> list[CopyReport]:
    """Compare, over (entity, document) pairs, all that the mapping ignores as a copy with what it is a copy of.

    A copy is part of its original: every member it has is there with an equal value; it may have fewer. Arrays have the
    same items in the same order. Where the original is an array and the copy one object, or both are elements of
    arrays, the copy has to be part of some element. Null says nothing.
    """
    check = CopyCheck(config)
    for entity, document in documents:
        check.add(document, entity)
    return check.reports


def elements(value: Any, steps: Steps, place: Steps = ()) -> Iterator[tuple[Any, Steps]]:
    """Yield the values at a path and, for each, the indexes and ids of the elements it lies in."""
    for n, step in enumerate(steps):
        if step == ITEMS:
            for i, item in enumerate(value if isinstance(value, list) else ()):
                yield from elements(item, steps[n + 1 :], (*place, str(i)))
            return
        if step == MEMBERS:
            for name, member in value.items() if isinstance(value, dict) else ():
                yield from elements(member, steps[n + 1 :], (*place, name))
            return
        if not isinstance(value, dict) or step not in value:
            return
        value = value[step]
    yield value, place


def is_part(copy: Any, original: Any) -> bool:
    """Tell whether an original has everything that a copy has."""
    return next(differences(copy, original), None) is None


def differences(copy: Any, original: Any, steps: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Yield where a copy has a value that the original has not, and that value."""
    if copy is None:
        return
    if isinstance(copy, dict) and isinstance(original, dict):
        for name, member in copy.items():
            step = MEMBERS if is_id(name) else name
            yield from differences(member, original.get(name), (*steps, step))
    elif isinstance(copy, list) and isinstance(original, list) and len(copy) == len(original):
        for mine, theirs in zip(copy, original, strict=True):
            yield from differences(mine, theirs, (*steps, ITEMS))
    elif type(copy) is bool or type(original) is bool or isinstance(copy, dict | list):
        if copy is not original:
            yield steps, copy
    elif copy != original:
        yield steps, copy
