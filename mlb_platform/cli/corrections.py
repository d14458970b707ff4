"""`mlb corrections`: what changed in games that were over."""

from __future__ import annotations

import dataclasses
import json
import sys
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_platform.cli.console import grid, many, note, quiet_java, say, show_table
from mlb_platform.cli.context import check_range, day, platform
from mlb_platform.cli.materialize import check_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlb_platform.history.corrections_store import Correction, CorrectionsOfDay
    from mlb_platform.platform import Platform

SHOWN = 50
_VALUES = 200
"""Values that a row has at most, more or less: a row that came or went is shown on one line."""


def register(app: typer.Typer) -> None:
    """Add the command to `mlb`."""
    app.command("corrections")(corrections)


def corrections(
    game_pk: Annotated[int | None, typer.Option(help="Only this game.", metavar="N")] = None,
    start: Annotated[
        date | None, typer.Option("--from", help="First date of the games.", parser=day, metavar="DATE")
    ] = None,
    end: Annotated[
        date | None, typer.Option("--to", help="Last date of the games.", parser=day, metavar="DATE")
    ] = None,
    table: Annotated[str | None, typer.Option(help="Only this table.", metavar="SCHEMA.TABLE")] = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="Numbers by day of the capture (UTC), table and column.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    limit: Annotated[int, typer.Option(help="Lines at most; 0: all.", min=0)] = SHOWN,
) -> None:
    """Show what changed in games after they were over: one row a changed value, with the captures before and after.

    Merges that were not looked at yet (a run was interrupted) are, first. The same is in SQL: quality.corrections and
    quality.corrections_daily.

    Example: mlb corrections --game-pk 747175
    Example: mlb corrections --from 2024-07-01 --to 2024-07-31 --summary
    """
    check_range(start, end)
    with platform() as made, quiet_java(made.settings.logs / "spark.log"):
        if table is not None:
            _check_known(made, table)
        store = _examined(made)
        asked: dict[str, Any] = {
            "entity": None if game_pk is None else str(game_pk), "table": table, "start": start, "end": end,
        }  # fmt: skip
        daily = store.daily(**asked)
        rows = [] if summary else store.find(**asked, limit=None if as_json or not limit else limit * _VALUES)
    if as_json:
        found = [dataclasses.asdict(r) for r in (daily if summary else rows)]
        sys.stdout.write(json.dumps(found, default=str, ensure_ascii=False, indent=1) + "\n")
        return
    total = sum(d.corrections for d in daily)
    if not total:
        say("no corrections: nothing changed in games that were over")
        return
    if summary:
        _print_summary(daily)
    shown = total if summary else _print_rows(rows, limit)
    say(f"{many(total, 'correction')}" + (f", the first {shown:,} are shown" if shown < total else ""))


def _check_known(made: Platform, table: str) -> None:
    try:
        check_tables(made.registry.table_owner(table), [table])
    except KeyError:
        known = [t for m in made.registry.mappings.values() for t in m.by_name]
        raise typer.BadParameter(f"there is no table {table!r}; there are {len(known)}, such as {known[0]}") from None


def _examined(made: Platform) -> Any:
    """Examine what was not, and return the store of corrections."""
    from mlb_platform.history.corrections import Examiner

    examiner = Examiner(made.stores, made.settings.lake, made.registry.mappings.values())
    for name, count in examiner.examine_waiting(made.registry).items():
        note(f"{name}: {many(count, 'correction')} found in merges that were not looked at yet")
    return examiner.corrections


def _print_rows(rows: Sequence[Correction], limit: int) -> int:
    """Print corrections, a row that came or went on one line; return how many of them are on the lines printed."""
    from itertools import groupby

    from rich.markup import escape

    def line(c: Correction) -> tuple[Any, ...]:
        key = ", ".join(f"{k} {v}" for k, v in c.key.items())
        return (c.new_captured_at, c.table_name, key, c.column_name if c.change == "update" else "", c.change)

    table = grid("captured at", "table", "row", "column", "old", "new", "change", "raw rows")
    shown = 0
    for number, ((when, name, key, column, change), group) in enumerate(groupby(rows, line)):
        if number == limit > 0:
            break
        found = list(group)
        shown += len(found)
        c = found[0]
        whole = f"({many(len(found), 'value')})"
        old, new = (
            (_short(c.old), _short(c.new)) if change == "update" else ("", whole) if change == "insert" else (whole, "")
        )
        raw = f"{c.old_raw_id} → {c.new_raw_id}"
        table.add_row(
            f"{when:%Y-%m-%d %H:%M:%S}Z", name, escape(key), column or "(whole row)", escape(old), escape(new), change,
            raw,
        )  # fmt: skip
    show_table(table)
    return shown


def _print_summary(daily: Sequence[CorrectionsOfDay]) -> None:
    numbers = ("corrections", "rows", "games")
    table = grid("captured on", "table", "column", "change", *numbers, right=numbers)
    for d in daily:
        table.add_row(
            str(d.captured_on), d.table_name, d.column_name or "(row)", d.change, f"{d.corrections:,}", f"{d.rows:,}",
            f"{d.games:,}",
        )  # fmt: skip
    show_table(table)


def _short(value: Any) -> str:
    text = "NULL" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
