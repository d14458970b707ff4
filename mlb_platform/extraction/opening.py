"""Pieces of work: what is to be done of some entities, begun under their locks, or looked at beforehand."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from mlb_platform.extraction.plan import dates_of, held_ids, lock_names, merged_states, plan_entities, raw_rows
from mlb_platform.extraction.report import RunReport, TableReport
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.extraction.stores import Stores
from mlb_platform.extraction.work import Work, begin_pieces, pieces_of
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.merge import MergeSpec


@contextmanager
def open_work(
    stores: Stores,
    mapping: ResolvedMapping,
    tables: Sequence[str],
    entities: Sequence[str],
    *,
    dates: Sequence[date] = (),
    job: str = "materialize",
    full: bool = False,
) -> Iterator[Work]:
    """Lock `entities`, find out what has to be merged, and compute it; the locks go when the context ends.

    The tables are there: the caller has prepared them.
    """
    specs = [merge_spec(mapping.by_name[t]) for t in tables]
    with stores.postgres.scope_locks(mapping.name, lock_names(mapping, entities)):
        started = time.perf_counter()
        report = RunReport(mapping.name, sorted(dates), {t: TableReport(t) for t in tables}, entities=len(entities))
        work = _planned(stores, mapping, specs, entities, report, job=job, full=full)
        _report_moves(work, set(dates))
        report.seconds["plan"] += time.perf_counter() - started
        work.compute()
        yield work
        work.finish()


def begin_ahead(stores: Stores, mapping: ResolvedMapping, tables: Sequence[str], entities: Sequence[str]) -> None:
    """Begin to compute, in another thread, what the next piece of work will ask for: that of these entities.

    To be called while a piece of work over the same tables is merged, or while its run begins. What changes until then
    is computed again.
    """
    specs = [merge_spec(mapping.by_name[t]) for t in tables]
    work = _planned(stores, mapping, specs, entities, RunReport(mapping.name, [], {}), locked=False)
    captures = [r for p in work.todo for r in p.offered]
    if captures:
        begin_pieces(stores, mapping, specs, pieces_of(captures, stores.games_per_job))


def _planned(
    stores: Stores,
    mapping: ResolvedMapping,
    specs: list[MergeSpec],
    entities: Sequence[str],
    report: RunReport,
    *,
    job: str = "",
    full: bool = False,
    locked: bool = True,
) -> Work:
    """Find out what has to be merged; the locks of the entities are held, or not."""
    states = merged_states(stores, specs, entities, locked=locked)
    rows = raw_rows(stores, mapping, entity_keys=entities)
    raw_table = mapping.config.source.raw_table
    records = stores.quality.quarantined(raw_table, [r.raw_id for r in rows], released=True)
    plans = plan_entities(rows, set() if full else held_ids(records, specs), mapping)
    work = Work(mapping, stores, specs, plans, states, report, job, full)
    work.todo = [p for p in plans.values() if work.still_needed(p) and p.newest is not None and not p.waits]
    return work


def _report_moves(work: Work, dates: set[date]) -> None:
    for plan in work.plans.values():
        target = plan.newest.partition_date if plan.newest else None
        tables = [s.table for s in work.specs]
        for old in sorted(dates_of(plan, work.states, tables, work.sinks)):
            if old != target and (not dates or old in dates):
                work.report.moved.append((plan.entity, old, target))
