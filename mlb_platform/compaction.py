"""Keeping the lake quick to read: which tables are compacted, how they are laid out, and that writers go first."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from mlb_platform.mapping.resolve import ResolvedMapping
from resources.errors import PlatformError
from resources.lake import LakeError, lake_error, lake_tables, open_table
from resources.lake_compaction import Compaction, compact_table
from resources.lake_files import TableFiles, measure

ROUNDS, PAUSE_SECONDS = 3, 5.0
"""How often tables are tried whose writers were first, and how long they are left alone between."""
Layouts = dict[str, tuple[str, ...]]


@dataclass
class Upkeep:
    """What compacting a lake did, by table."""

    done: dict[str, Compaction] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def gave_way(self) -> list[Compaction]:
        """Tables that writers kept from being compacted."""
        return [c for c in self.done.values() if c.gave_way]

    @property
    def troubles(self) -> list[str]:
        """A line for everything that was asked for and did not happen."""
        found = [f"{c.table}: not compacted, {c.gave_way}" for c in self.gave_way]
        found += [f"{c.table}: {c.swept.trouble}" for c in self.done.values() if c.swept.trouble]
        return found + [f"{table}: {text}" for table, text in self.failed.items()]

    @property
    def summary(self) -> str:
        """One line of what was done."""
        done = list(self.done.values())
        changed = sum(c.did != "nothing to do" for c in done)
        before, after = sum(c.before.files for c in done), sum(c.after.files for c in done)
        freed = sum(c.swept.bytes for c in done)
        seconds = sum(c.seconds for c in done)
        return (
            f"{changed} of {len(done)} tables compacted in {seconds:.1f} s: {before:,} files before, {after:,} after; "
            f"{freed / 1e6:,.1f} MB of what is older than the history removed"
        )


def layouts(mappings: Iterable[ResolvedMapping]) -> Layouts:
    """Return the columns by which each table is laid out: what queries ask for first, its date, then its scope."""
    return {t.name: tuple(c for c in (t.partition, t.scope) if c) for m in mappings for t in m.targets}


def chosen_tables(lake: str, tables: Sequence[str]) -> list[str]:
    """Return these tables, or all of the lake. Raises PlatformError, naming those that come close, for another."""
    known = list(lake_tables(lake))
    for name in tables:
        if name not in known:
            close = difflib.get_close_matches(name, known, 3, 0.5) or known[:5]
            there = f"close to it: {', '.join(close)}" if close else "it has no tables yet"
            raise PlatformError(f"no table {name} in the lake {lake}; {there}")
    return list(dict.fromkeys(tables)) or known


def table_files(lake: str, table: str, order: Sequence[str]) -> TableFiles:
    """Return what a table consists of now. Raises LakeError when that cannot be read."""
    opened = open_table(lake, table)
    if opened is None:
        raise LakeError(f"Delta table {table} is not in the lake {lake} any more")
    try:
        return measure(opened, order)
    except OSError as error:
        raise lake_error(opened.table_uri, error) from error


def compact_tables(
    lake: str,
    tables: Sequence[str],
    order: Layouts,
    history_days: int,
    on_table: Callable[[str, Compaction | LakeError], None] = lambda *_: None,
    pause: float = PAUSE_SECONDS,
) -> Upkeep:
    """Compact tables one by one, calling `on_table` after each; those that gave way to writers again after the others.

    A table that fails does not keep the others from being compacted.
    """
    found, left = Upkeep(), list(tables)
    for number in range(ROUNDS):
        if number and left:
            time.sleep(pause)
        for table in left:
            try:
                done = compact_table(lake, table, order.get(table, ()), history_days=history_days)
            except LakeError as error:
                found.failed[table] = str(error)
                on_table(table, error)
                continue
            found.done[table] = done
            on_table(table, done)
        left = [c.table for c in found.gave_way]
    return found
