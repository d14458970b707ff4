"""What a run did, by table and date."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date

from resources.merge import MergeCounts, StaleScope


@dataclass
class TableReport:
    """One table of a run: merge counts by sink, and by sink and date."""

    table: str
    counts: dict[str, MergeCounts] = field(default_factory=dict)
    by_date: dict[str, dict[date | None, MergeCounts]] = field(default_factory=lambda: defaultdict(dict))
    stale: dict[str, list[StaleScope]] = field(default_factory=dict)
    collapsed: int = 0
    corrections: Counter[date | None] = field(default_factory=Counter)
    """Values that changed after their game was over, by the date of the game."""

    def add(self, sink: str, counts: MergeCounts, by_date: dict[date | None, MergeCounts]) -> None:
        """Add the counts of one merge."""
        self.counts[sink] = self.counts.get(sink, MergeCounts()) + counts
        known = self.by_date[sink]
        for day, count in by_date.items():
            known[day] = known.get(day, MergeCounts()) + count


@dataclass(frozen=True)
class HeldCapture:
    """A capture that broke an error rule and was passed over."""

    raw_id: int
    entity: str
    partition: date | None
    table: str
    rule: str
    failed: int


@dataclass
class RunReport:
    """One run over some dates or entities of a mapping."""

    mapping: str
    dates: list[date]
    tables: dict[str, TableReport]
    entities: int = 0
    parsed: int = 0
    held: list[HeldCapture] = field(default_factory=list)
    moved: list[tuple[str, date, date | None]] = field(default_factory=list)
    """Entities whose rows went from one date to another."""
    cast_failures: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    problems: list[str] = field(default_factory=list)
    """What went wrong and did not stop the run: its rows are merged."""

    def total(self, sink: str) -> MergeCounts:
        """Return the counts of all tables in one sink."""
        result = MergeCounts()
        for table in self.tables.values():
            result = result + table.counts.get(sink, MergeCounts())
        return result

    def merge(self, other: RunReport) -> None:
        """Add what another run of the same mapping did."""
        self.dates = sorted({*self.dates, *other.dates})
        self.entities += other.entities
        self.parsed += other.parsed
        self.cast_failures += other.cast_failures
        self.held += other.held
        self.moved += other.moved
        self.problems += [p for p in other.problems if p not in self.problems]
        for name, seconds in other.seconds.items():
            self.seconds[name] += seconds
        for name, table in other.tables.items():
            mine = self.tables.setdefault(name, TableReport(name))
            mine.collapsed += table.collapsed
            mine.corrections.update(table.corrections)
            for sink, counts in table.counts.items():
                mine.add(sink, counts, dict(table.by_date[sink]))
                mine.stale.setdefault(sink, []).extend(table.stale.get(sink, []))
