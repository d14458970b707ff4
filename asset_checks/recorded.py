"""What is on record about tables and dates: rules that failed, captures held back, values that did not fit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from psycopg import sql

from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.lake import sink_id
from resources.lake_handles import opened
from resources.quality_store import CheckResult
from resources.raw_store import table_name


@dataclass(frozen=True)
class HeldRule:
    """A rule that a capture newer than what is merged breaks; the capture is held back for it."""

    table: str
    rule: str
    entity: str
    raw_id: int
    captured_at: Any
    failures: int
    samples: list[Any]


@dataclass(frozen=True)
class MisfitColumn:
    """A column some of whose merged values were not of its type."""

    column: str
    path: str
    expected: str
    failures: int
    value: str


@dataclass
class DateRecord:
    """What is on record about one table and date."""

    rows: dict[str, int] = field(default_factory=dict)
    """Rows by sink, as the merges left them."""
    held: list[HeldRule] = field(default_factory=list)
    found: list[CheckResult] = field(default_factory=list)
    misfits: list[MisfitColumn] = field(default_factory=list)

    @property
    def checked(self) -> int:
        """How many rows the rules looked at."""
        return max(self.rows.values(), default=0)


Records = dict[tuple[str, date | None], DateRecord]


def read_records(
    stores: Stores, lake: str, mapping: ResolvedMapping, tables: Sequence[str], dates: Sequence[date | None]
) -> Records:
    """Read the records of tables and dates in five queries, however many they are; None is what has no date.

    What was merged into a table that the lake no longer has, or into another lake, is not counted.
    """
    stores.quality.ensure()
    raw_table = mapping.config.source.raw_table
    stores.raw.ensure(raw_table)
    held = sql.SQL(_HELD_OF_MEMBERS if mapping.per_element else _HELD)
    records: Records = defaultdict(DateRecord)
    hashes = {t.name: t.derivation_hash for t in mapping.targets}
    days = [d for d in dates if d is not None]
    values = {
        "raw": raw_table,
        "folds": mapping.per_element,
        "tables": list(tables),
        "dates": days,
        "undated": None in dates,
        "sinks": ["postgres", *_sinks_of(lake, tables)],
    }
    with stores.postgres.transaction() as connection:
        for table, day, sink, rows in connection.execute(_ROWS, values):
            records[table, day].rows[sink] = int(rows)
        for row in connection.execute(held.format(table_name(raw_table)), values):
            table, day, derivation = row[0], row[1], row[2]
            if table == "" or hashes.get(table) == derivation:
                for name in tables if table == "" else [table]:
                    records[name, day].held.append(HeldRule(*(name, *row[3:])))
        for table, day, *misfit in connection.execute(_MISFITS, values):
            records[table, day].misfits.append(MisfitColumn(*misfit))
    for result in stores.quality.check_results(None, None if None in dates else days):
        if result.table_name in tables and result.partition_date in dates:
            records[result.table_name, result.partition_date].found.append(result)
    return records


def _sinks_of(lake: str, tables: Sequence[str]) -> Iterator[str]:
    for name in tables:
        with opened(lake, name) as table:
            if table is not None:
                yield sink_id(table)


_ROWS = """
SELECT table_name, partition_date, split_part(sink, ':', 1), sum(rows) FROM quality.merge_state
WHERE sink = ANY(%(sinks)s) AND table_name = ANY(%(tables)s)
  AND (partition_date = ANY(%(dates)s) OR %(undated)s AND partition_date IS NULL)
GROUP BY 1, 2, 3
"""

_HELD = """
SELECT q.table_name, coalesce(q.partition_date, s.partition_date), q.derivation_hash,
       q.rule, q.entity_key, q.raw_id, q.captured_at, q.failures, q.samples
FROM quality.quarantine q
JOIN {} r USING (raw_id)
LEFT JOIN LATERAL (
    SELECT partition_date, observed_at, content_hash FROM quality.merge_state m
    WHERE m.sink = 'postgres' AND m.scope = q.entity_key
      AND (m.table_name = q.table_name OR q.table_name = '' AND m.table_name = ANY(%(tables)s))
    LIMIT 1) s ON true
WHERE q.raw_table = %(raw)s AND q.released_at IS NULL AND (q.table_name = '' OR q.table_name = ANY(%(tables)s))
  AND (coalesce(q.partition_date, s.partition_date) = ANY(%(dates)s)
       OR %(undated)s AND coalesce(q.partition_date, s.partition_date) IS NULL)
  AND (s.observed_at IS NULL
       OR (coalesce(r.last_seen_at, r.captured_at), r.content_hash COLLATE "C")
          > (s.observed_at, s.content_hash COLLATE "C"))
ORDER BY q.raw_id, q.rule
"""

_HELD_OF_MEMBERS = """
SELECT q.table_name, m.partition_date, q.derivation_hash, q.rule,
       min(m.entity_key) || CASE WHEN count(*) > 1 THEN ' and ' || count(*) - 1 || ' more' ELSE '' END,
       q.raw_id, q.captured_at, q.failures, q.samples
FROM quality.quarantine q
JOIN {} r USING (raw_id)
JOIN quality.raw_members m ON m.raw_table = q.raw_table AND m.raw_id = q.raw_id
WHERE q.raw_table = %(raw)s AND q.released_at IS NULL AND (q.table_name = '' OR q.table_name = ANY(%(tables)s))
  AND (m.partition_date = ANY(%(dates)s) OR %(undated)s AND m.partition_date IS NULL)
GROUP BY q.raw_table, q.raw_id, q.table_name, q.rule, m.partition_date
ORDER BY q.raw_id, q.rule
"""
"""A response with several entities is held back for each of them; what is merged of them may be newer or older."""

_MISFITS = """
SELECT c.table_name, s.partition_date, c.column_name, min(c.path), min(c.expected), sum(c.failures)::bigint,
       min(c.value)
FROM quality.cast_failures c
JOIN quality.merge_state s ON s.sink = 'postgres' AND s.table_name = c.table_name AND s.scope = c.entity_key
     AND (%(folds)s OR s.raw_id = c.raw_id)
WHERE c.raw_table = %(raw)s AND NOT c.lenient AND c.table_name = ANY(%(tables)s)
  AND (s.partition_date = ANY(%(dates)s) OR %(undated)s AND s.partition_date IS NULL)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
