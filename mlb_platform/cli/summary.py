"""What a run did, as a table: rows now, merge counts of both sinks, what the checks found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlb_platform.cli.console import grid, many, say, stdout

if TYPE_CHECKING:
    from mlb_platform.cli.materialize import Question
    from mlb_platform.extraction.pending import Pending
    from mlb_platform.extraction.report import RunReport
    from mlb_platform.mapping.resolve import ResolvedMapping
    from mlb_platform.platform import Platform
    from resources.merge import MergeCounts

COUNTS = ("inserted", "updated", "unchanged", "deleted")
SHOWN = 20


@dataclass
class Checks:
    """The rules of one table and how many of them found something, in the dates asked for."""

    errors: int = 0
    warnings: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    """Failing rows by warn rule."""
    held: int = 0

    @property
    def text(self) -> str:
        """The cell of the table."""
        error = f"[red]{self.held} held back[/red]" if self.held else f"[green]{self.errors} ok[/green]"
        if not self.broken:
            return f"{error}, [green]{self.warnings} ok[/green]"
        rows = many(sum(self.broken.values()), "row")
        return f"{error}, [yellow]{len(self.broken)} of {self.warnings} found {rows}[/yellow]"


def print_summary(
    made: Platform, mapping: ResolvedMapping, asked: Question, pending: Pending, report: RunReport | None
) -> int:
    """Print what was done and what the tables hold now; return 1 when a capture is held back or the sinks differ."""
    from mlb_platform.extraction.pending import find_pending
    from resources.merge import MergeCounts

    sinks = [s.name for s in made.stores.sinks]
    after = find_pending(made.stores, mapping, asked.tables, entities=asked.games, start=asked.start, end=asked.end)
    worked = _worked(made, mapping, asked, pending)
    checks = _checks(made, mapping, asked, after)
    counts: dict[tuple[str, str], MergeCounts] = {}
    for sink in sinks:
        for table in asked.tables:
            done = report.tables[table].counts.get(sink, MergeCounts()) if report else MergeCounts()
            counts[sink, table] = done + MergeCounts(source_rows=pending.rows(sink, table, worked))
    rows = {(sink, table): _row_count(made, sink, table) for sink in sinks for table in asked.tables}
    if report is None:
        say("Everything is merged already: nothing to do.", "green")
    stdout().print(_table(asked, sinks, counts, rows, report, checks))
    if report is not None and report.seconds:
        parts = ", ".join(f"{n} {s:.1f}" for n, s in report.seconds.items() if n != "wall" and s >= 0.05)
        wall = report.seconds.get("wall", sum(report.seconds.values()))
        say(f"{many(report.parsed, 'capture')} of {many(report.entities, 'game')} parsed; {wall:.1f} seconds ({parts})", "dim")
    differing = [t for t in asked.tables if len({rows[s, t] for s in sinks}) > 1]
    _print_findings(made, mapping, report, after, differing, checks)
    return 1 if after.held or differing else 0


def _worked(made: Platform, mapping: ResolvedMapping, asked: Question, pending: Pending) -> set[str]:
    """Return the entities whose rows the run's own counts contain already."""
    from mlb_platform.extraction.work import entities_of_dates

    if asked.games is not None:
        return pending.entities
    dates = sorted(pending.work)
    found = set(entities_of_dates(made.stores, mapping, asked.tables, dates)) if dates else set()
    return found | set(pending.undated)


def _row_count(made: Platform, sink: str, table: str) -> int:
    if sink == "postgres":
        from psycopg import sql

        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table.split(".")))
        with made.postgres.transaction() as connection:
            found = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
            row = connection.execute(query).fetchone() if found and found[0] else None
        return int(row[0]) if row else 0
    from resources.lake import dataset, open_table

    delta = open_table(made.settings.lake, table)
    return 0 if delta is None else int(dataset(delta).count_rows())


def _checks(made: Platform, mapping: ResolvedMapping, asked: Question, after: Pending) -> dict[str, Checks]:
    found = {t: Checks() for t in asked.tables}
    for table in asked.tables:
        for rule in mapping.by_name[table].rules:
            if rule.severity == "error":
                found[table].errors += 1
            else:
                found[table].warnings += 1
    for result in made.quality.check_results():
        if result.table_name in found and result.failed and result.entity_key in after.plans:
            broken = found[result.table_name].broken
            broken[result.rule] = broken.get(result.rule, 0) + result.failed
    held = {raw_id for ids in after.held.values() for raw_id in ids}
    if held:
        per_table: dict[str, set[int]] = defaultdict(set)
        for record in made.quality.quarantined(mapping.config.source.raw_table, sorted(held)):
            per_table[record.table_name].add(record.raw_id)
        for table, ids in per_table.items():
            if table in found:
                found[table].held = len(ids)
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
    checks: dict[str, Checks],
) -> object:
    extra = [
        name
        for name in ("skipped_stale", "collapsed")
        if any(
            (report.tables[t].collapsed if name == "collapsed" and report else 0)
            or (name == "skipped_stale" and any(counts[s, t].skipped_stale for s in sinks))
            for t in asked.tables
        )
    ]
    numbers = ["rows now", *COUNTS, *[n.replace("_", " ") for n in extra]]
    table = grid("table", *numbers, "error rules, warn rules", right=numbers)
    totals = defaultdict(lambda: [0] * len(sinks))
    for name in asked.tables:
        cells: dict[str, list[int]] = {"rows now": [rows[s, name] for s in sinks]}
        cells |= {c: [getattr(counts[s, name], c) for s in sinks] for c in COUNTS}
        if "skipped_stale" in extra:
            cells["skipped stale"] = [counts[s, name].skipped_stale for s in sinks]
        if "collapsed" in extra:
            cells["collapsed"] = [report.tables[name].collapsed if report else 0] * len(sinks)
        for heading, values in cells.items():
            totals[heading] = [a + b for a, b in zip(totals[heading], values, strict=True)]
        table.add_row(name, *[_either(cells[n]) for n in numbers], checks[name].text)
    table.add_section()
    table.add_row(f"{len(asked.tables)} tables", *[_either(totals[n]) for n in numbers], "", style="bold")
    return table


def _print_findings(
    made: Platform,
    mapping: ResolvedMapping,
    report: RunReport | None,
    after: Pending,
    differing: list[str],
    checks: dict[str, Checks],
) -> None:
    names = " and ".join(s.name for s in made.stores.sinks)
    if differing:
        say(f"✗ parity: {names} differ in rows of {', '.join(differing)}: run again with --full", "red")
    else:
        say(f"✓ parity: {names} hold the same number of rows in every table (both sinks in one column above)", "green")
    if not after.held:
        say("✓ error rules: nothing is held back", "green")
    for entity, raw_ids in list(after.held.items())[:SHOWN]:
        for raw_id in raw_ids:
            say(
                f"✗ held back: game {entity}, raw row {raw_id}: its previous good capture stays; "
                f"see `mlb quarantine show {raw_id}`",
                "red",
            )
    warned = [(t, rule, n) for t, c in checks.items() for rule, n in c.broken.items()]
    for table, rule, failed in warned[:SHOWN]:
        say(f"! warning: {many(failed, 'row')} of {table} break {rule}", "yellow")
    if len(warned) > SHOWN:
        say(f"! … and {len(warned) - SHOWN} more: see quality.check_results", "yellow")
    if report is not None:
        for entity, old, new in report.moved[:SHOWN]:
            say(f"→ moved: game {entity} from {old} to {new or 'no date'}")
        if report.cast_failures:
            say(f"! failed casts: {report.cast_failures} values became NULL; see quality.cast_failures", "yellow")
    if after.undated:
        say(f"! {len(after.undated)} games without an official date are still to be merged", "yellow")
