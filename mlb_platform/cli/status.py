"""`mlb status`: what is newest, merged and held back, by game and date, and what the tables hold."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import grid, many, note, say, show_table
from mlb_platform.cli.context import check_range, day, mapping_of, platform

if TYPE_CHECKING:
    from mlb_platform.extraction.pending import Pending
    from mlb_platform.extraction.plan import EntityPlan
    from mlb_platform.mapping.resolve import ResolvedMapping
    from mlb_platform.platform import Platform
    from resources.raw_store import RawRow


def register(app: typer.Typer) -> None:
    """Add the command to `mlb`."""
    app.command("status")(status)


def status(
    mapping: Annotated[str | None, typer.Option(help="Only this mapping.", metavar="ENDPOINT/METHOD")] = None,
    start: Annotated[
        date | None, typer.Option("--from", help="First official date.", parser=day, metavar="DATE")
    ] = None,
    end: Annotated[date | None, typer.Option("--to", help="Last official date.", parser=day, metavar="DATE")] = None,
    limit: Annotated[int, typer.Option(help="Games to show at most, the latest first; 0: all.", min=0)] = 50,
) -> None:
    """Show by game the latest capture, what each sink has merged and what is held back; and rows by table.

    Example: mlb status --from 2024-07-01 --to 2024-07-02
    """
    check_range(start, end)
    with platform() as made:
        wanted = [mapping_of(made, mapping)] if mapping else list(made.registry.mappings.values())
        for resolved in wanted:
            _print_mapping(made, resolved, start, end, limit)


def _print_mapping(made: Platform, mapping: ResolvedMapping, start: date | None, end: date | None, limit: int) -> None:
    from mlb_platform.extraction.pending import find_pending

    tables = [t.name for t in mapping.targets]
    found = find_pending(made.stores, mapping, tables, start=start, end=end)
    if not found.plans:
        say(f"{mapping.name}: no raw rows{' in this range' if start or end else ''}: see `mlb run` or `mlb ingest`")
        return
    sinks = [s.name for s in made.stores.sinks]
    table = grid("date", mapping.noun, "captures", "latest capture", *sinks, "held back", right=["captures"])
    plans = sorted(found.plans.values(), key=lambda p: (_newest(p).partition_date or date.min, p.entity), reverse=True)
    shown = plans[:limit] if limit else plans
    for plan in reversed(shown):
        newest = _newest(plan)
        cells = [_merged(found, plan, sink, mapping) for sink in sinks]
        held = ", ".join(f"raw row {r.raw_id} ({_time(r.captured_at)})" for r in plan.passed_over)
        captures = len(plan.candidates) + len(plan.passed_over)
        latest = _time(newest.observed_at)
        table.add_row(
            str(newest.partition_date or "no date"), plan.entity, str(captures), latest, *cells, f"[red]{held}[/red]"
        )
    show_table(table)
    if len(shown) < len(plans):
        note(
            f"the latest {len(shown)} of {many(len(plans), mapping.noun)} are shown: "
            "--limit 0 shows all, --from and --to narrow it"
        )
    totals = grid("table", *[f"rows in {s}" for s in sinks], right=[f"rows in {s}" for s in sinks])
    for name in tables:
        totals.add_row(name, *[f"{found.rows(s, name):,}" for s in sinks])
    show_table(totals)
    held_games, waiting = len(found.held), len(found.entities)
    say(
        f"{mapping.name}: {many(found.captures, 'capture')} of {many(len(plans), mapping.noun)} on "
        f"{many(len(found.dates), 'date')}; {waiting} to be merged, {held_games} with captures held back"
    )
    if found.waiting:
        say(
            f"{many(len(found.waiting), mapping.noun)} waiting for a date that a feed or schedule tells: "
            f"{', '.join(found.waiting[:5])}{' …' if len(found.waiting) > 5 else ''}",
            "yellow",
        )
    if waiting:
        say(f"merge them with: mlb materialize --mapping {mapping.name}")


def _newest(plan: EntityPlan) -> RawRow:
    return (plan.passed_over or plan.candidates)[0]


def _merged(found: Pending, plan: EntityPlan, sink: str, mapping: ResolvedMapping) -> str:
    """Return what a sink has of a game: the newest good capture, an older one, some tables, or nothing."""
    states = [found.states[sink, t.name].get(plan.entity) for t in mapping.targets]
    present = [s for s in states if s is not None]
    if not present:
        return "[yellow]waits for its date[/yellow]" if plan.waits else "—"
    good = plan.newest
    current = [
        s
        for s, t in zip(states, mapping.targets, strict=True)
        if s and good and s.content_hash == plan.content_hash and s.derivation_hash == t.derivation_hash
    ]
    if good is not None and any(s.partition != good.partition_date for s in current):
        return "[yellow]newest, under another date[/yellow]"
    if good is not None and len(current) == len(states):
        return (
            f"[yellow]newest good, {_time(good.observed_at)}[/yellow]" if plan.passed_over else "[green]newest[/green]"
        )
    if current:
        return f"[yellow]newest in {len(current)} of {len(states)} tables[/yellow]"
    if good is not None and all(s.content_hash == plan.content_hash for s in present):
        return "[yellow]newest, by an earlier mapping[/yellow]"
    return f"[yellow]{_time(max(s.observed_at for s in present))}[/yellow]"


def _time(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}Z"
