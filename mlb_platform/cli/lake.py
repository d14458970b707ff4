"""`mlb lake`: the files of the Delta lake, and putting them together."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_platform.cli.console import Progress, grid, many, note, say, show_table
from mlb_platform.cli.context import settings

if TYPE_CHECKING:
    from mlb_platform.compaction import Layouts
    from mlb_platform.settings import Settings
    from resources.lake_files import TableFiles

Tables = Annotated[
    list[str] | None, typer.Option("--table", help="A table, schema.table; may be given again. [default: all]")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `mlb`."""
    lake = typer.Typer(help="The Delta lake: its files, and putting them together.", no_args_is_help=True)
    for command in (files, compact):
        lake.command()(command)
    app.add_typer(lake, name="lake")


def files(table: Tables = None, as_json: Json = False) -> None:
    """Show what each table consists of: files, small ones, how many a date's query may read, log and past.

    Example: mlb lake files --table game.live_game_pitch_events
    """
    from mlb_platform.compaction import chosen_tables, table_files

    s = settings()
    order = _layouts(s)
    found = {name: table_files(s.lake, name, order.get(name, ())) for name in chosen_tables(s.lake, table or [])}
    if as_json:
        say(json.dumps([_document(name, f) for name, f in found.items()], indent=2))
        return
    numbers = ("files", "small", "rows", "rows a file", "files a date", "MB", "versions", "log files", "past MB")
    shown = grid("table", *numbers, right=numbers)
    for name, f in found.items():
        shown.add_row(
            name, f"{f.files:,}", f"{f.small:,}", f"{f.rows:,}", f"{f.rows_a_file:,}", f"{f.depth:,}", _mb(f.bytes),
            f"{f.versions:,}", f"{f.log_files:,}", _mb(f.past_bytes),
        )  # fmt: skip
    show_table(shown)
    every = list(found.values())
    total, most = sum(f.files for f in every), max((f.files for f in every), default=0)
    say(
        f"{many(len(every), 'table')}, {many(total, 'file')}, {most:,} in one table at most; "
        f"{_mb(sum(f.bytes for f in every))} MB, and {_mb(sum(f.past_bytes for f in every))} MB of the past"
    )


def compact(table: Tables = None, as_json: Json = False) -> None:
    """Put small files together, sort tables whose dates lie in many files, remove what is older than the history.

    No row changes, and every version of the last MLB_LAKE_HISTORY_DAYS days stays readable. Writers go first: a table
    that they keep busy is named, and the exit code is 1.

    Example: mlb lake compact
    Example: mlb lake compact --table game.live_game_plays
    """
    from mlb_platform.compaction import chosen_tables, compact_tables
    from resources.lake_compaction import Compaction

    s = settings()
    names = chosen_tables(s.lake, table or [])
    with Progress("compacting", "tables", len(names)) as progress:
        tried = set[str]()

        def told(name: str, _: object) -> None:
            tried.add(name)
            progress.update(len(tried), name)

        found = compact_tables(s.lake, names, _layouts(s), s.lake_history_days, told)
    if as_json:
        said = [{**_document(c.table, c.after), "did": c.did, "gave_way": c.gave_way or None,
                 "files_before": c.before.files, "bytes_before": c.before.bytes, "seconds": round(c.seconds, 3),
                 "bytes_removed": c.swept.bytes} for c in found.done.values()]  # fmt: skip
        say(json.dumps(said, indent=2))
    else:
        numbers = ("files before", "after", "rows a file", "MB before", "MB after", "versions", "removed MB", "s")
        shown = grid("table", "did", *numbers, right=numbers)

        def row(c: Compaction) -> tuple[str, ...]:
            return (
                c.table, "gave way" if c.gave_way else c.did, f"{c.before.files:,}", f"{c.after.files:,}",
                f"{c.after.rows_a_file:,}", _mb(c.before.bytes), _mb(c.after.bytes), f"{c.after.versions:,}",
                _mb(c.swept.bytes), f"{c.seconds:.2f}",
            )  # fmt: skip

        for done in found.done.values():
            shown.add_row(*row(done), style="yellow" if done.gave_way else None)
        show_table(shown)
        say(found.summary)
    for line in found.troubles:
        note(line, "yellow")
    if found.gave_way or found.failed:
        raise typer.Exit(1)


def _layouts(s: Settings) -> Layouts:
    from mlb_platform.compaction import layouts
    from mlb_platform.mapping.loader import MappingRegistry

    return layouts(MappingRegistry(s.mappings).mappings.values())


def _document(name: str, found: TableFiles) -> dict[str, Any]:
    return {"table": name, **asdict(found), "versions": found.versions, "rows_a_file": found.rows_a_file}


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f}"
