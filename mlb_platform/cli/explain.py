"""`mlb explain`: where the values of a row come from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_platform.cli.console import grid, many, say, show_table
from mlb_platform.cli.context import platform

if TYPE_CHECKING:
    from mlb_platform.lineage.captures import Capture
    from mlb_platform.lineage.columns import ColumnPassport
    from mlb_platform.lineage.passport import Passport

LONGEST = 60
"""Characters of a value that are shown in the table of all columns."""
_WITHOUT_RAW = ("run", "expression", "nothing", "default")


def register(app: typer.Typer) -> None:
    """Add the command to `mlb`."""
    app.command("explain")(explain)


def explain(
    table: Annotated[str, typer.Argument(help="The table, such as game.live_game_plays.", metavar="SCHEMA.TABLE")],
    key: Annotated[
        list[str] | None, typer.Argument(help="The row's key: every key column.", metavar="COLUMN=VALUE...")
    ] = None,
    column: Annotated[str | None, typer.Option(help="Only this column, with all there is to say.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say where each value of a row comes from: raw row, URL, time, hash, JSON pointer, raw value, rules, version.

    Example: mlb explain game.live_game_pitch_events game_pk=745612 at_bat_index=3 event_index=2
    Example: mlb explain game.live_game_metadata game_pk=745612 --column home_score
    """
    from mlb_platform.lineage.passport import gather
    from mlb_platform.lineage.stored import AskedWrongly

    with platform() as made:
        try:
            found = gather(made.stores, made.registry, made.settings.lake, table, key or [], column=column)
        except AskedWrongly as error:
            raise typer.BadParameter(str(error)) from error
    if as_json:
        from mlb_platform.lineage.plain import to_json

        typer.echo(json.dumps(to_json(found), indent=2, ensure_ascii=False))
        return
    _print_row(found)
    if column is None:
        _print_columns(found)
        _print_rules(found)
    else:
        _print_column(found, found.columns[0])


def _print_row(p: Passport) -> None:
    from mlb_platform.lineage.stored import key_text

    say(f"{p.target.name} {key_text(p.key)}", "bold")
    _print_capture(p.capture)
    if p.confirmed is not None and p.confirmed.raw_id != p.capture.raw_id:
        say(f"  unchanged   since; merged last: raw_id {p.confirmed.raw_id}, captured {_time(p.confirmed.captured_at)}")
    if p.part_of is not None:
        outer = p.part_of.capture
        say(f"  part of     {outer.raw_table} raw_id {outer.raw_id}, at {p.part_of.pointer}")
    if len(p.captures) > 1:
        say(f"  put together from {many(len(p.captures), 'capture')} that have this row; the newest value counts")
    say(f"  element     {p.element or 'the whole document'}")
    say(f"  mapping     {p.mapping.name} version {p.mapping.config.version}, derivation {p.target.derivation_hash}")
    say(f"  Delta       {_delta(p)}")
    counts = _counts([r.verdict for r in p.rules])
    say(f"  rules       {many(len(p.rules), 'rule')}{': ' if p.rules else ''}{counts}")
    for text in p.outdated:
        say(f"  note        {text}", "yellow")


def _print_capture(c: Capture) -> None:
    seen = f", seen unchanged until {_time(c.last_seen_at)}" if c.last_seen_at else ""
    say(f"  raw row     {c.raw_table} raw_id {c.raw_id}, entity {c.entity_key}")
    say(f"  captured    {_time(c.captured_at)}{seen}")
    say(f"  URL         {c.url or 'not known (the response came as a file)'}")
    asked = ", ".join(f"{name}={value}" for name, value in c.params.items())
    if asked:
        say(f"  asked for   {asked}")
    say(f"  content     sha256 {c.content_hash}")


def _delta(p: Passport) -> str:
    d = p.delta
    if d.current is None:
        return "the lake has no such table"
    written = "before versions were noted" if d.written is None else f"in version {d.written}"
    same = "holds the same row" if d.same else "DOES NOT hold the same row"
    return f"written {written} of the table; its version now, {d.current}, {same}"


def _counts(verdicts: list[str]) -> str:
    found = {v: verdicts.count(v) for v in ("passed", "warned", "broken", "unknown") if v in verdicts}
    return ", ".join(f"{count} {verdict}" for verdict, count in found.items())


def _print_columns(p: Passport) -> None:
    from rich.markup import escape

    several = len({c.capture.raw_id for c in p.columns if c.capture}) > 1
    table = grid("column", "value", "raw value", *(["raw_id"] if several else []), "JSON pointer", "rules", dense=True)
    for c in p.columns:
        cells = [c.name, _shown(c.value), "" if c.how in _WITHOUT_RAW else _shown(c.raw)]
        cells += [_cited(p, c)] if several else []
        cells += [_where(c), _counts([r.verdict for r in c.rules])]
        table.add_row(*map(escape, cells), style="dim" if c.value is None or c.how == "run" else None)
    say()
    show_table(table)
    wrong = [c.name for c in p.columns if c.agrees is False]
    if wrong:
        say(f"worked out anew, these are not as stored: {', '.join(wrong)}", "red")
    else:
        checked = sum(c.agrees is True for c in p.columns)
        say(f"{checked} of {many(len(p.columns), 'column')} worked out anew from the raw values: as stored", "green")


def _cited(p: Passport, c: ColumnPassport) -> str:
    if c.capture is None:
        return ""
    elsewhere = c.capture.raw_table != p.mapping.config.source.raw_table
    return f"{c.capture.raw_table} {c.capture.raw_id}" if elsewhere else str(c.capture.raw_id)


def _where(c: ColumnPassport) -> str:
    """Say in one cell where a value stands, or why it stands nowhere."""
    if c.how == "expression":
        read = ", ".join(f"{r.column} {r.pointer}" if r.pointer else r.column for r in c.reads)
        return f"{c.expression} with {read}" if read else str(c.expression)
    if c.how == "json" and c.pointer is not None:
        return f"{c.pointer} ({c.why})" if c.why else c.pointer
    if c.how in ("key", "position", "told", "misfit") and c.pointer is not None:
        return f"{c.pointer}: {c.why}"
    return f"constant, {c.why}" if c.how == "constant" else c.why


def _print_rules(p: Passport) -> None:
    for r in p.rules:
        if r.verdict != "passed":
            note = f": {r.note}" if r.note else ""
            say(f"  {r.verdict}: {r.rule} ({r.kind}, {r.severity}){note}", "yellow")


def _print_column(p: Passport, c: ColumnPassport) -> None:
    say()
    say(f"{c.name} {c.type}: {_shown(c.value, None)}", "bold")
    if c.capture is not None and (c.capture.raw_table, c.capture.raw_id) != (p.capture.raw_table, p.capture.raw_id):
        _print_capture(c.capture)
    say(f"  pointer     {_pointer(c)}")
    if c.how not in _WITHOUT_RAW:
        say(f"  raw value   {_shown(c.raw, None)}")
    if c.path:
        say(f"  path        {c.path}")
    if c.expression:
        say(f"  expression  {c.expression}")
        for read in c.reads:
            say(f"    {read.column} = {_shown(read.raw, None)}" + (f" at {read.pointer}" if read.pointer else ""))
    if c.why:
        say(f"  why         {c.why}")
    verdict = {True: "the same", False: f"NOT the same: {c.how}", None: "not possible"}[c.agrees]
    say(f"  anew        worked out from the raw value: {verdict}", None if c.agrees is not False else "red")
    for r in c.rules:
        note = f": {r.note}" if r.note else ""
        say(f"  rule        {r.verdict}: {r.rule} ({r.kind}, {r.severity}){note}")


def _pointer(c: ColumnPassport) -> str:
    if c.how == "expression":
        return "none: worked out from the columns below"
    if c.pointer is None:
        return f"none: {c.why or c.how}"
    return c.pointer or '"" (the whole document)'


def _shown(value: Any, longest: int | None = LONGEST) -> str:
    from mlb_platform.lineage.plain import plain

    if value is None:
        return "NULL"
    text = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
    text = text.strip('"') if not isinstance(value, str | dict | list) else text
    return text if longest is None or len(text) <= longest else f"{text[: longest - 1]}…"


def _time(value: Any) -> str:
    return value.isoformat(sep=" ").replace("+00:00", "Z") if value is not None else "at an unknown time"
