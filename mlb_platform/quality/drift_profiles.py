"""The profiles of a mapping's captures, by date: made once a capture, kept, and put together for comparison."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import orjson

from mlb_platform.mapping.cover import Cover
from mlb_platform.mapping.filters import filter_paths, parse_filter
from mlb_platform.mapping.paths import MEMBERS
from mlb_platform.mapping.profile import PathNode
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.mapping.shape import Node, Steps
from mlb_platform.quality.drift import DriftJudge
from mlb_platform.quality.drift_absent import Profiled
from resources.drift_days import DriftDays
from resources.drift_store import DateDrift, DriftStore
from resources.raw_store import RawRow, RawStore

VERSION = 1
"""To be raised when profiles are made otherwise."""
JUDGED = 2
"""To be raised when profiles are compared otherwise."""
MOST = 40
"""Captures of a date that are profiled at one look."""
FEW = 20
"""The same where many dates are looked at in one run, without the captures before them: all games of most dates."""
MANY_DATES = 5
COMPARED = 10
"""Earlier dates with which one is compared …"""
WINDOW = timedelta(days=400)
"""… and how far back they lie at most."""


@dataclass
class DateSlice:
    """The newest captures of one date, profiled; `known`: how many newest captures there are."""

    day: date
    captures: list[Profiled] = field(default_factory=list)
    known: int = 0


class Endings(Protocol):
    """Tells of captures whether their entity was over."""

    def teller(self, mapping: ResolvedMapping) -> ResolvedMapping | None:
        """Return the mapping whose responses tell when this one's entities are over; None: nothing does."""
        ...

    def final(self, mapping: ResolvedMapping, captures: Sequence[RawRow]) -> set[int]:
        """Return the raw ids of those captures, of one mapping, that were taken when the entity was over."""
        ...


class DriftProfiles:
    """Profiles and drift of one mapping's raw table.

    Captures are of the date of their partition; where the mapping has none, of the day they were captured (UTC).
    `endings` tells which are of entities that are over (None: all are); others lack by nature what comes at the end.
    """

    def __init__(
        self,
        raw: RawStore,
        store: DriftStore,
        mapping: ResolvedMapping,
        others: Mapping[str, ResolvedMapping],
        endings: Endings | None = None,
    ) -> None:
        self.raw, self.store, self.mapping, self.endings = raw, store, mapping, endings
        self.cover = Cover(mapping, others)
        self.judge = DriftJudge(self.cover)
        self.raw_table = mapping.config.source.raw_table
        self.made_by = made_by(self.cover.tree)
        self._totals: dict[date, PathNode] = {}
        self._days = DriftDays(
            raw, store, self.raw_table, by_member=mapping.per_element, captured=mapping.partition is None
        )

    def days(self, first: date | None = None, last: date | None = None) -> list[date]:
        """Return the dates in a range that have captures, in order."""
        source = self.mapping.config.source
        if source.dated_by is not None:
            self.raw.redate(source.raw_table, source.dated_by)
        return self._days.all(first, last)

    def look_at(self, day: date, most: int = MOST) -> DateDrift:
        """Profile the newest captures of a date, up to `most` new ones, compare them with earlier dates, and keep both.

        What is profiled already is not read again, and what was compared already with the same not compared again.
        """
        by_entity = self._by_entity(day)
        compared = self.store.days(self.raw_table, day - WINDOW, day, self.made_by, COMPARED)
        ids = sorted({r.raw_id for rows in by_entity.values() for r in rows[-2:]})
        kept = self.store.kept(self.raw_table, ids, self.made_by)
        if kept >= {rows[-1].raw_id for rows in by_entity.values()}:
            basis = self._basis(kept, compared)
            for before in self.store.drift(self.mapping.name, day, day):
                if before.basis == basis:
                    return before
        found = self._slice(day, by_entity, most)
        self._totals = {d: node for d, node in self._totals.items() if d == day or d in compared}
        drift = self.judge.judge(found.captures, self._together(compared))
        paths = drift.statuses
        result = DateDrift(
            day=day,
            captures=len(found.captures),
            known=found.known,
            mapped=paths.get("mapped", 0),
            ignored=paths.get("ignored", 0),
            unmapped=paths.get("unmapped", 0),
            basis=self._basis(self.store.kept(self.raw_table, ids, self.made_by), compared),
            found=tuple(drift.found),
        )
        self.store.keep_drift(self.mapping.name, result)
        return result

    def unseen(self) -> list[date]:
        """Return the dates that have newest captures without a profile, in order."""
        return self._days.unseen(self.made_by)

    def seasons(self, days: Sequence[date]) -> dict[str, PathNode]:
        """Return the profiles kept of some dates, put together by year."""
        result: dict[str, PathNode] = {}
        for day in days:  # one at a time: those of a season together fill the memory
            for kept in self.store.dates(self.raw_table, [day], self.made_by):
                result.setdefault(str(kept.day.year), PathNode()).merge(PathNode.from_plain(kept.profile))
        return result

    def before(self, day: date) -> PathNode:
        """Return the profiles of the dates that a date is compared with, put together."""
        return self._together(self.store.days(self.raw_table, day - WINDOW, day, self.made_by, COMPARED))

    def total(self, day: date) -> PathNode:
        """Return the profile of a date that was looked at."""
        self._load([day])
        return self._totals.get(day, PathNode())

    def _by_entity(self, day: date) -> dict[str, list[RawRow]]:
        """Return the captures of a date by entity, oldest first."""
        of_day: dict[str, Sequence[Any]] = {"dates": [day]}
        if self.mapping.partition is None:
            of_day = {"raw_ids": self._days.raw_ids(day)}
        found: dict[str, list[RawRow]] = {}
        for row in self.raw.rows(self.raw_table, by_member=self.mapping.per_element, **of_day):
            found.setdefault(row.entity_key, []).append(row)
        return found

    def _basis(self, raw_ids: Iterable[int], compared: Sequence[date]) -> str:
        """Return what decides what is found: captures, the dates before, and the mapping."""
        text = repr((VERSION, JUDGED, sorted(raw_ids), sorted(compared), self._said))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def _said(self) -> str:
        return hashlib.sha256(self.mapping.config.model_dump_json().encode()).hexdigest()

    def _slice(self, day: date, by_entity: Mapping[str, list[RawRow]], most: int) -> DateSlice:
        newest = {rows[-1].raw_id: rows for rows in by_entity.values()}
        ids = {r.raw_id for rows in newest.values() for r in rows[-2:]}
        plain = self.store.captures(self.raw_table, sorted(ids), self.made_by)
        nodes = {raw_id: PathNode.from_plain(p) for raw_id, p in plain.items()}
        missing = sorted((i for i in newest if i not in nodes), key=lambda i: (newest[i][-1].captured_at, i))
        new: dict[int, PathNode] = {}
        for raw_id in reversed(missing[-most:]):
            rows = newest[raw_id]
            new[raw_id] = self._profile(raw_id, rows[-1].entity_key)
            if len(rows) > 1 and most > FEW and rows[-2].raw_id not in nodes:
                new[rows[-2].raw_id] = self._profile(rows[-2].raw_id, rows[-2].entity_key)
        nodes |= new
        found = DateSlice(day, known=len(newest))
        total = PathNode()
        over = self._over({rows[-1]: nodes[raw_id] for raw_id, rows in newest.items() if raw_id in nodes})
        for raw_id, rows in newest.items():
            if raw_id in nodes:
                before = nodes.get(rows[-2].raw_id) if len(rows) > 1 else None
                found.captures.append(Profiled(raw_id, rows[-1].entity_key, nodes[raw_id], before, raw_id in over))
                total.merge(nodes[raw_id])
        self._totals[day] = total
        kept = self.store.dates(self.raw_table, [day], self.made_by) if not new else []
        if new or not kept or kept[0].captures != len(found.captures):
            made = {raw_id: node.to_plain() for raw_id, node in new.items()}
            count = len(found.captures)
            self.store.keep(self.raw_table, day, self.made_by, made, sorted(nodes), total.to_plain(), count)
        return found

    def _over(self, captures: Mapping[RawRow, PathNode]) -> set[int]:
        """Return the raw ids of the captures of entities that were over, or of which nothing tells whether they were.

        What lacks the very part that would tell is compared with all the others, or its absence would hide itself.
        """
        teller = self.endings.teller(self.mapping) if self.endings is not None else None
        if self.endings is None or teller is None:
            return {c.raw_id for c in captures}
        if teller.name == self.mapping.name:
            told = {c.entity_key for c, node in captures.items() if all(node.find(s) for s in self._telling)}
        else:
            entities = sorted({c.entity_key for c in captures})
            told = {r.entity_key for r in self.raw.rows(teller.config.source.raw_table, entity_keys=entities)}
        untold = {c.raw_id for c in captures if c.entity_key not in told}
        return untold | self.endings.final(self.mapping, list(captures))

    @cached_property
    def _telling(self) -> list[Steps]:
        """The paths by which responses of this mapping say that their entity is over."""
        return [path.steps for path in filter_paths(parse_filter(str(self.mapping.config.source.final_when)))]

    def _profile(self, raw_id: int, entity: str) -> PathNode:
        node = PathNode()
        node.add(orjson.loads(self.raw.payload(self.raw_table, raw_id)), entity, self.cover.tree)
        return node

    def _together(self, days: Sequence[date]) -> PathNode:
        """Return the profiles kept of some dates, put together."""
        self._load(days)
        result = PathNode()
        for earlier in sorted(days):
            result.merge(self._totals[earlier])
        return result

    def _load(self, days: Sequence[date]) -> None:
        absent = [d for d in days if d not in self._totals]
        for kept in self.store.dates(self.raw_table, absent, self.made_by) if absent else ():
            self._totals[kept.day] = PathNode.from_plain(kept.profile)


def made_by(tree: Node) -> str:
    """Return what decides how a payload is profiled: the version of this, and which objects are keyed by id."""
    keyed = sorted("/".join(steps) for steps in _keyed(tree, ()))
    return hashlib.sha256("\n".join([str(VERSION), *keyed]).encode()).hexdigest()[:16]


def _keyed(node: Node, steps: Steps) -> Iterable[Steps]:
    if MEMBERS in node.children:
        yield steps
    for step, child in node.children.items():
        yield from _keyed(child, (*steps, step))


def report_folder(home: Path, mapping: ResolvedMapping) -> Path:
    """Return the folder of a mapping's drift reports by date; the one over all dates lies beside it."""
    return home / "reports" / "drift" / mapping.name.replace("/", "_")
