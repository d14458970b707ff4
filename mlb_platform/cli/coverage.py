"""`mlb mapping coverage` and `mlb mapping suggest`: what payloads become, and a mapping for those that have none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import grid, many, note, say, show_table
from mlb_platform.cli.context import check_range, day, mapping_of, platform
from mlb_platform.cli.drift import drift

if TYPE_CHECKING:
    from mlb_platform.cli.payloads import Payload
    from mlb_platform.mapping.coverage import CoverageReport
    from mlb_platform.mapping.resolve import ResolvedMapping
    from mlb_platform.platform import Platform

CHANGED = 0.5
"""How far the fill rates of two seasons must lie apart to be told."""


def register(group: typer.Typer) -> None:
    """Add the commands to `mlb mapping`."""
    for command in (coverage, drift, suggest):
        group.command()(command)


def coverage(
    mapping: Annotated[
        str | None, typer.Argument(help="The mapping (default: all there are payloads for).", metavar="ENDPOINT/METHOD")
    ] = None,
    captures: Annotated[Path | None, typer.Option(help="Look at the captures in this folder.", metavar="DIR")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Look at the rows of the raw table.")] = False,
    start: Annotated[str | None, typer.Option("--from", help="First date, with --raw.", metavar="DATE")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last date, with --raw.", metavar="DATE")] = None,
    season: Annotated[int | None, typer.Option(help="Only payloads of this season.", metavar="YEAR")] = None,
    rows: Annotated[int, typer.Option(help="Lines shown of each list; 0 is all.", min=0)] = 25,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say of every path in payloads whether it is mapped, ignored with a reason, or unmapped.

    Without --captures or --raw, simulated feeds are looked at.

    Example: mlb mapping coverage game/live_game_v1 --captures ../shared/captures
    """
    first, last = (day(start) if start else None), (day(end) if end else None)
    check_range(first, last)
    if captures is not None and raw:
        raise typer.BadParameter("--captures and --raw exclude each other")
    if (first or last) and not raw:
        raise typer.BadParameter("--from and --to are for --raw")
    from mlb_platform.mapping.coverage import coverage as cover

    reports = []
    with platform() as made:
        mappings = [mapping_of(made, mapping)] if mapping else list(made.registry.mappings.values())
        for one in mappings:
            payloads = _payloads(made, one, captures, raw, (first, last))
            wanted = (p for p in payloads if season is None or p[2] == str(season))
            report = cover(one, wanted, made.registry.mappings)
            if report.documents:
                reports.append(report)
    _check_any(reports, mapping, captures, raw, season, (first, last))
    if as_json:
        plain = [r.to_json() for r in reports]
        typer.echo(json.dumps(plain[0] if mapping else plain, indent=2, ensure_ascii=False))
        return
    for report in reports:
        _show(report, rows or None)


def _check_any(
    reports: list[CoverageReport],
    mapping: str | None,
    captures: Path | None,
    raw: bool,
    season: int | None,
    dates: tuple[date | None, date | None],
) -> None:
    from resources.errors import PlatformError

    if not reports:
        when = "" if season is None else f" of season {season}"
        when += "" if dates == (None, None) else " in this range of dates"
        where = (
            f"in {captures}" if captures else "in the raw tables" if raw else "to simulate: give --captures or --raw"
        )
        raise PlatformError(f"there are no payloads of {mapping or 'any mapping'}{when} {where}")


def _payloads(
    made: Platform,
    mapping: ResolvedMapping,
    captures: Path | None,
    raw: bool,
    dates: tuple[date | None, date | None],
) -> Iterator[Payload]:
    from mlb_platform.cli import payloads

    if captures is not None:
        return payloads.captured(captures, mapping)
    if raw:
        return payloads.stored(made, mapping, *dates)
    return payloads.simulated() if mapping.name == payloads.FEED else iter(())


def _show(report: CoverageReport, rows: int | None) -> None:
    from rich.markup import escape

    s = report.summary
    seasons = ", ".join(report.seasons)
    say(f"{report.mapping}: {many(report.documents, 'payload')} of {seasons}", "bold")
    say(
        f"{many(s['leaf_paths'], 'distinct leaf path')}: {s['mapped']:,} mapped, {s['ignored']:,} ignored by name, "
        f"{s['ignored_by_wildcard']:,} in subtrees ignored as a whole, {s['unmapped']:,} unmapped"
    )
    style = "yellow" if s["unmapped"] else "green"
    say(f"mapped or ignored with a reason: {s['covered_percent']} %", style)
    say(f"mapped, of those outside wholly ignored subtrees: {s['mapped_percent_outside_wildcards']} %")
    unmapped = grid("unmapped path", "count", "payloads", "kinds", "example", "first in", "note", right=["count"])
    found = sorted(report.of("unmapped"), key=lambda p: p.path)
    for p in found[:rows]:
        cells = (p.path, f"{p.count:,}", str(p.documents), ", ".join(p.kinds), p.example, p.first, p.note)
        unmapped.add_row(*map(escape, cells))
    _list(unmapped, len(found), rows)
    changes = grid("path of several types", "status", "values by type", "first in", "by season")
    for t in report.type_changes[:rows]:
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in t.kinds.items())
        seen = ", ".join(f"{kind}: {entity}" for kind, entity in t.first.items())
        by_season = ", ".join(f"{s} {'/'.join(k)}" for s, k in t.seasons.items())
        kinds += f" ({t.note})" if t.note else ""
        changes.add_row(*map(escape, (t.path, t.status, kinds, seen, by_season)))
    _list(changes, len(report.type_changes), rows)
    problems = grid("path in the mapping", "problem")
    for absent in report.unmatched:
        problems.add_row(escape(absent.path), escape(f"matches nothing: {absent.problem}"))
    for hiding in report.illegal:
        problems.add_row(escape(hiding.path), escape(hiding.problem))
    for c in (c for c in report.copies if c.differing):
        first = c.differences[0]
        text = f"{c.differing:,} of {c.compared:,} differ from {c.copy_of}, first {first.where} = {first.value} "
        problems.add_row(escape(c.path), escape(f"{text}in {first.entity}"))
    _list(problems, len(problems.rows), None)
    _show_rates(report, rows)
    compared = sum(c.compared for c in report.copies)
    if report.copies:
        say(f"copies: {many(len(report.copies), 'path')} ignored as copies, {compared:,} elements compared, "
            f"{s['copies_differing']:,} differ")  # fmt: skip
    if report.empty:
        say(f"{many(len(report.empty), 'column')} declared optional and in none of the payloads", "dim")
    say()


def _show_rates(report: CoverageReport, rows: int | None) -> None:
    """Print the mapped paths that some seasons have far more often than others."""
    from rich.markup import escape

    rates = grid("path filled differently by season", *report.seasons, right=report.seasons)
    told = 0
    for p in report.of("mapped"):
        known = [r for r in p.fill.values() if r is not None]
        if known and max(known) - min(known) >= CHANGED:
            told += 1
            if rows is None or told <= rows:
                rates.add_row(escape(p.path), *("" if r is None else f"{r:.0%}" for r in p.fill.values()))
    _list(rates, told, rows)


def _list(table: object, count: int, rows: int | None) -> None:
    """Print a table unless it is empty, and how many lines were left out."""
    if not count:
        return
    show_table(table)
    if rows is not None and count > rows:
        say(f"… and {count - rows:,} more (--rows 0 shows all)", "dim")


def suggest(
    files: Annotated[list[Path], typer.Argument(help="Payloads of one kind, JSON or gzipped JSON.", metavar="FILE")],
    endpoint: Annotated[str, typer.Option(help="The endpoint's name, which is the tables' schema.")] = "new",
    method: Annotated[str, typer.Option(help="The method's name, with which table names start.")] = "payload",
    out: Annotated[Path | None, typer.Option(help="Write to this file.", metavar="YAML")] = None,
) -> None:
    """Propose a mapping for payloads that have none; what it proposes loads, and is to be read before it is used.

    Arrays of objects and objects keyed by id become tables, types are those of the values, keys what is unique.

    Example: mlb mapping suggest standings.json --endpoint league --method standings --out standings.yaml
    """
    from mlb_platform.cli.payloads import read_json
    from mlb_platform.mapping.loader import load_text
    from mlb_platform.mapping.suggest import suggest as propose
    from resources.errors import PlatformError

    try:
        text = propose([read_json(f) for f in files], endpoint, method)
    except ValueError as error:
        raise PlatformError(f"no mapping can be proposed for {', '.join(map(str, files))}: {error}") from error
    if out is None:
        typer.echo(text, nl=False)
    else:
        try:
            out.write_text(text, "utf-8")
        except OSError as error:
            raise PlatformError(f"{out} cannot be written: {error.strerror or error}") from error
    config, problems = load_text(text, str(out or "proposal"))
    for problem in problems:
        note(str(problem), None)
    if config is not None:
        columns = sum(len(t.fields) for t in config.targets)
        note(f"{many(len(config.targets), 'table')}, {many(columns, 'column')}", None)
    raise typer.Exit(1 if any(p.level == "error" for p in problems) else 0)
