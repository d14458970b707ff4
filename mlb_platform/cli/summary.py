"""What a run did, as a table: rows now, merge counts of both sinks, what the checks found."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from mlb_platform.cli.console import grid, many, say, stdout

if TYPE_CHECKING:
    from dagster import AssetCheckEvaluation
    from rich.table import Table

    from mlb_platform.cli.materialize import Question
    from mlb_platform.extraction.pending import Pending
    from mlb_platform.extraction.report import RunReport
    from mlb_platform.mapping.resolve import ResolvedMapping
    from mlb_platform.platform import Platform
    from resources.merge import MergeCounts

COUNTS = ("inserted", "updated", "unchanged", "deleted")
SHOWN = 20
SHORT = {"rows now": "rows", "inserted": "new"}
WIDTH = 118
"""Columns of a terminal that the whole table fits into."""


CHECKS = {"error_rules": "error rules", "warn_rules": "warn rules", "parity": "parity"}
"""The checks that every table has; a column each."""
RELATIONSHIPS = "relationships"
ORPHANED = 3
"""Tables with rows that name no row: so many are told of."""


class Verdicts:
    """What the checks of the dates said, by table and check."""

    def __init__(self, evaluations: Iterable[AssetCheckEvaluation]) -> None:
        self.evaluations = list(evaluations)

    def cell(self, table: str, check: str) -> str:
        """Return a cell of the table: on how many dates the check of a table passed, or did not."""
        found = [e for e in self.evaluations if e.check_name == check and ".".join(e.asset_key.path) == table]
        if not found:
            return "[dim]-[/dim]"
        failed = sum(not e.passed for e in found)
        if not failed:
            return f"[green]✓ {len(found)}[/green]"
        color, mark = ("yellow", "!") if check == "warn_rules" else ("red", "✗")
        return f"[{color}]{mark} {failed} of {len(found)}[/{color}]"

    def failed(self, check: str) -> list[AssetCheckEvaluation]:
        """Return the verdicts of a check that did not pass."""
        return [e for e in self.evaluations if e.check_name == check and not e.passed]

    @property
    def line(self) -> str:
        """All of them in one line."""
        parts = []
        for name, words in {**CHECKS, RELATIONSHIPS: "relationships"}.items():
            of_kind = sum(e.check_name == name for e in self.evaluations)
            if of_kind or name in CHECKS:
                parts.append(f"{words} {of_kind - len(self.failed(name)):,} of {of_kind:,}")
        reconciled = [e for e in self.evaluations if e.check_name in self.reconciliations]
        if reconciled:
            parts.append(f"reconciliation {sum(e.passed for e in reconciled):,} of {len(reconciled):,}")
        return "checks passed, by table and date: " + ", ".join(parts)

    @property
    def reconciliations(self) -> Collection[str]:
        """The names of the checks of reconciliation."""
        from asset_checks.reconciliation import NAMES

        return NAMES

    def unreconciled(self, severity: str) -> list[AssetCheckEvaluation]:
        """Return the verdicts of this severity (ERROR, WARN) on what two sides say differently."""
        found = [e for e in self.evaluations if e.check_name in self.reconciliations and not e.passed]
        return [e for e in found if e.severity.value == severity]


def print_summary(
    made: Platform,
    mapping: ResolvedMapping,
    asked: Question,
    pending: Pending,
    report: RunReport | None,
    evaluations: Sequence[AssetCheckEvaluation],
) -> int:
    """Print what was done and what the tables hold now; return 1 when an error rule or parity fails.

    `evaluations` are the verdicts of the run; those of dates that were not run are looked up here.
    """
    from asset_checks.evaluate import evaluate
    from asset_checks.reconciliation import evaluate_reconciliation
    from mlb_platform.extraction.pending import find_pending
    from mlb_platform.quality.known import known_orphans
    from resources.merge import MergeCounts

    sinks = [s.name for s in made.stores.sinks]
    after = find_pending(made.stores, mapping, asked.tables, entities=asked.games, start=asked.start, end=asked.end)
    judged = {e.partition for e in evaluations}
    idle = [d for d in after.dates if d.isoformat() not in judged]
    known = known_orphans(made.settings.mappings)
    lake, mappings = made.settings.lake, made.registry.mappings
    looked_up = evaluate(made.stores, lake, mapping, asked.tables, idle, known=known, mappings=mappings)
    compared = evaluate_reconciliation(made, mapping, asked.tables, idle) if idle else ()
    verdicts = Verdicts([*evaluations, *looked_up, *compared])
    worked = _worked(made, mapping, asked, pending)
    counts: dict[tuple[str, str], MergeCounts] = {}
    for sink in sinks:
        for table in asked.tables:
            done = report.tables[table].counts.get(sink, MergeCounts()) if report else MergeCounts()
            counts[sink, table] = done + MergeCounts(source_rows=pending.rows(sink, table, worked))
    rows = {(sink, table): row_count(made, sink, table) for sink in sinks for table in asked.tables}
    if report is None and not after.waiting:
        say("Everything is merged already: nothing to do.", "green")
    stdout().print(_table(asked, sinks, counts, rows, report, verdicts))
    say(
        f"Numbers hold for {' and '.join(sinks)} alike; where they differ both are given, as {' / '.join(sinks)}. "
        "Checks: on how many dates.",
        "dim",
    )
    if report is not None:
        parts = ", ".join(f"{n} {s:.1f}" for n, s in report.seconds.items() if n not in ("wall", "merge") and s >= 0.05)
        read = f"{many(report.parsed, 'capture')} of {many(report.entities, mapping.noun)} parsed"
        say(f"{read}; {report.seconds['wall']:.1f} seconds in all ({parts})", "dim")
        if corrected := sum(sum(t.corrections.values()) for t in report.tables.values()):
            say(f"{many(corrected, 'correction')} in games that were over: see `mlb corrections`")
    differing = [t for t in asked.tables if len({rows[s, t] for s in sinks}) > 1]
    _print_findings(made, asked, report, after, differing, verdicts)
    failed = verdicts.failed("error_rules") or verdicts.failed("parity") or verdicts.unreconciled("ERROR")
    return 1 if after.held or differing or failed else 0


def _worked(made: Platform, mapping: ResolvedMapping, asked: Question, pending: Pending) -> set[str]:
    """Return the entities whose rows the run's own counts contain already."""
    from mlb_platform.extraction.plan import entities_of_dates

    if asked.games is not None:
        return pending.entities
    dates = sorted(pending.work)
    found = set(entities_of_dates(made.stores, mapping, asked.tables, dates)) if dates else set()
    return found | set(pending.undated)


def row_count(made: Platform, sink: str, table: str) -> int:
    """Return the rows of a table in a sink; 0 where it is not there."""
    if sink == "postgres":
        from psycopg import sql

        from resources.own_tables import table_exists

        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table.split(".")))
        with made.postgres.transaction() as connection:
            row = connection.execute(query).fetchone() if table_exists(connection, table) else None
        return int(row[0]) if row else 0
    from resources.lake import dataset, open_table

    delta = open_table(made.settings.lake, table)
    return 0 if delta is None else int(dataset(delta).count_rows())


def _warnings(made: Platform, asked: Question, after: Pending) -> dict[tuple[str, str], int]:
    """Return the rows that break a warn rule, by table and rule, in the games asked for."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for result in made.quality.check_results():
        if result.table_name in asked.tables and result.failed and result.entity_key in after.plans:
            found[result.table_name, f"{result.rule} ({result.severity})"] += result.failed
    return found


def _either(values: Iterable[int]) -> str:
    """Return the number, or those of both sinks where they differ."""
    listed = list(values)
    return f"{listed[0]:,}" if len(set(listed)) == 1 else " / ".join(f"{v:,}" for v in listed)


def _table(
    asked: Question,
    sinks: list[str],
    counts: dict[tuple[str, str], MergeCounts],
    rows: dict[tuple[str, str], int],
    report: RunReport | None,
    verdicts: Verdicts,
) -> Table:
    extra = [
        name
        for name in ("skipped_stale", "collapsed")
        if any(
            (report.tables[t].collapsed if name == "collapsed" and report else 0)
            or (name == "skipped_stale" and any(counts[s, t].skipped_stale for s in sinks))
            for t in asked.tables
        )
    ]
    narrow = stdout().width < WIDTH
    checks = ["checks"] if narrow else list(CHECKS.values())
    numbers = ["rows now", *COUNTS, *[n.replace("_", " ") for n in extra]]
    headings = [SHORT.get(n, n) for n in numbers] if narrow else numbers
    table = grid("table", *headings, *checks, right=headings, dense=narrow)
    totals: dict[str, list[int]] = defaultdict(lambda: [0] * len(sinks))
    for name in asked.tables:
        cells: dict[str, list[int]] = {"rows now": [rows[s, name] for s in sinks]}
        cells |= {c: [getattr(counts[s, name], c) for s in sinks] for c in COUNTS}
        if "skipped_stale" in extra:
            cells["skipped stale"] = [counts[s, name].skipped_stale for s in sinks]
        if "collapsed" in extra:
            cells["collapsed"] = [report.tables[name].collapsed if report else 0] * len(sinks)
        for heading, values in cells.items():
            totals[heading] = [a + b for a, b in zip(totals[heading], values, strict=True)]
        passed = [verdicts.cell(name, c) for c in CHECKS]
        if narrow:
            passed = ["".join(re.sub(r"([✓!✗]) [^\[]*", r"\1", cell) for cell in passed)]
        shown = name.split(".")[1] if narrow else name
        table.add_row(shown, *[_either(cells[n]) for n in numbers], *passed)
    table.add_section()
    table.add_row(many(len(asked.tables), "table"), *[_either(totals[n]) for n in numbers], style="bold")
    return table


def _print_findings(
    made: Platform,
    asked: Question,
    report: RunReport | None,
    after: Pending,
    differing: list[str],
    verdicts: Verdicts,
) -> None:
    broken = verdicts.failed("error_rules") or verdicts.failed("parity") or verdicts.unreconciled("ERROR") or differing
    say(f"{'✗' if broken else '✓'} {verdicts.line}", "red" if broken else "green")
    for table in differing:
        say(
            f"✗ {table}: {' and '.join(s.name for s in made.stores.sinks)} differ in rows: run again with --full", "red"
        )
    for failed in verdicts.failed("parity")[:SHOWN]:
        say(f"✗ parity of {'.'.join(failed.asset_key.path)} on {failed.partition}: {failed.description}", "red")
    for severity, mark, style in (("ERROR", "✗", "red"), ("WARN", "!", "yellow")):
        for failed in verdicts.unreconciled(severity)[:SHOWN]:
            place = f"{'.'.join(failed.asset_key.path)} on {failed.partition}"
            say(f"{mark} {failed.check_name} of {place}: {failed.description}", style)
    for entity, raw_ids in list(after.held.items())[:SHOWN]:
        for raw_id in raw_ids:
            kept = "its previous good capture stays" if after.plans[entity].newest else "it has no good capture yet"
            say(f"✗ held back: game {entity}, raw row {raw_id}: {kept}; see `mlb quarantine show {raw_id}`", "red")
    warned = _warnings(made, asked, after)
    for (table, rule), rows in list(warned.items())[:SHOWN]:
        say(f"! {many(rows, 'row')} of {table} break {rule}", "yellow")
    if len(warned) > SHOWN:
        say(f"! … and {len(warned) - SHOWN} more: see quality.check_results", "yellow")
    orphaned: dict[str, list[AssetCheckEvaluation]] = defaultdict(list)
    for failed in verdicts.failed(RELATIONSHIPS):
        orphaned[".".join(failed.asset_key.path)].append(failed)
    for table, of_table in list(orphaned.items())[:ORPHANED]:
        on = f" (on {many(len(of_table), 'date')})" if of_table[0].partition else ""
        say(f"! relationships of {table}{on}: {of_table[0].description}", "yellow")
    if len(orphaned) > ORPHANED:
        say(f"! … and of {many(len(orphaned) - ORPHANED, 'more table')}: see the check `relationships`", "yellow")
    uncovered = sorted(verdicts.failed("coverage"), key=lambda e: e.partition or "")
    if uncovered:
        on = f" on {many(len(uncovered), 'date')}, last {uncovered[-1].partition}" if uncovered[-1].partition else ""
        say(f"! coverage{on}: {uncovered[-1].description}; see `mlb mapping drift`", "yellow")
    if report is not None:
        for entity, old, new in report.moved[:SHOWN]:
            say(f"→ moved: game {entity} from {old} to {new or 'no date'}")
        for problem in report.problems:
            say(f"! {problem}", "yellow")
        if report.cast_failures:
            say(f"! {many(report.cast_failures, 'failed cast')}, now NULL: see quality.cast_failures", "yellow")
    if after.waiting:
        named = ", ".join(after.waiting[:5]) + (f" and {len(after.waiting) - 5} more" if len(after.waiting) > 5 else "")
        say(f"! {many(len(after.waiting), 'game')} waiting for a date that a feed or schedule tells: {named}", "yellow")
    if after.undated:
        say(f"! {many(len(after.undated), 'game')} without an official date still to be merged", "yellow")
