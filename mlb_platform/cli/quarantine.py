"""`mlb quarantine`: captures that break an error rule, and accepting them by hand."""

from __future__ import annotations

import getpass
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import grid, many, say, show_table
from mlb_platform.cli.context import mapping_of, platform

if TYPE_CHECKING:
    from mlb_platform.mapping.resolve import ResolvedMapping
    from mlb_platform.platform import Platform
    from resources.quality_store import QuarantineRecord

UNSTORABLE = {
    "not_null": "a key, partition or required column is missing in it",
    "unique_key": "differing rows share a key in it",
    "entity_key": "it does not say which game it is",
}
_NAMED = 5
"""How many entities of a response with several are named."""
RawId = Annotated[int, typer.Argument(help="The raw row, as `mlb quarantine list` shows it.", metavar="RAW_ID")]
OfMapping = Annotated[
    str | None, typer.Option("--mapping", help="Only this mapping's raw table.", metavar="ENDPOINT/METHOD")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `mlb`."""
    group = typer.Typer(help="Captures held back by an error rule.", no_args_is_help=True)
    group.command("list")(list_held)
    group.command()(show)
    group.command()(release)
    app.add_typer(group, name="quarantine")


def list_held(
    mapping: OfMapping = None,
    released: Annotated[bool, typer.Option("--all", help="Also what was released.")] = False,
) -> None:
    """List captures that are held back, with the rules they break.

    Example: mlb quarantine list
    """
    with platform() as made:
        records = made.quality.quarantined(_raw_table(made, mapping), released=released)
        held = {(r.raw_table, r.raw_id): r for r in records}
        members = {place: _members(made, r) for place, r in held.items()}
    if not records:
        say("nothing is held back")
        return
    by_row: dict[tuple[str, int], list[QuarantineRecord]] = defaultdict(list)
    for record in records:
        by_row[record.raw_table, record.raw_id].append(record)
    table = grid("raw row", "raw table", "entity", "date", "captured at", "rules broken", "released", right=["raw row"])
    for (raw_table, raw_id), found in by_row.items():
        first = found[0]
        rules = "\n".join(f"{r.table_name or 'whole capture'}: {r.rule} ({many(r.failures, 'row')})" for r in found)
        freed = "; ".join(
            sorted({f"{r.released_at:%Y-%m-%d %H:%M}Z by {r.released_by}" for r in found if r.released_at})
        )
        when = f"{first.captured_at:%Y-%m-%d %H:%M:%S}Z"
        several = members[raw_table, raw_id]
        entity, day = first.entity_key, str(first.partition_date or "")
        if several:
            entity, day = several[0] + (f" and {len(several) - 1} more" if len(several) > 1 else ""), ""
        table.add_row(str(raw_id), raw_table, entity, day, when, rules, freed)
    show_table(table)
    say(f"{many(len(by_row), 'capture')}; look at one with: mlb quarantine show RAW_ID")


def show(raw_id: RawId, mapping: OfMapping = None) -> None:
    """Show the rules that one capture breaks, with samples of the failing rows.

    Example: mlb quarantine show 12
    """
    with platform() as made:
        records = _records(made, raw_id, mapping)
        first = records[0]
        held, several = _mapping(made, first), _members(made, first)
    noun = held.noun if held is not None else "entity"
    captured = f"{first.captured_at:%Y-%m-%d %H:%M:%S}Z"
    about = f"{noun} {first.entity_key}, {first.partition_date}"
    if several:
        more = f" and {len(several) - _NAMED} more" if len(several) > _NAMED else ""
        about = f"{noun} {', '.join(several[:_NAMED])}{more}"
    say(f"{first.raw_table} raw row {raw_id}: {about}, captured {captured}")
    for record in records:
        state = (
            f" - released {record.released_at:%Y-%m-%d %H:%M}Z by {record.released_by}" if record.released_at else ""
        )
        say(f"\n{record.table_name or 'whole capture'}: {record.rule}, {many(record.failures, 'row')}{state}", "bold")
        for sample in record.samples:
            say(f"  {json.dumps(sample, default=str, ensure_ascii=False)}")


def release(
    raw_id: RawId,
    mapping: OfMapping = None,
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
) -> None:
    """Accept a capture by hand although it breaks error rules; the next materialization merges it.

    Refused where its rows cannot be stored at all: a key is missing, or differing rows share one.

    Example: mlb quarantine release 12
    """
    from resources.errors import PlatformError

    with platform() as made:
        records = [r for r in _records(made, raw_id, mapping) if rule is None or r.rule == rule]
        if not records:
            raise PlatformError(f"raw row {raw_id} does not break {rule!r}: see `mlb quarantine show {raw_id}`")
        for record in records:
            if record.rule in UNSTORABLE and record.released_at is None:
                raise PlatformError(
                    f"raw row {raw_id} cannot be released: it breaks {record.rule} of "
                    f"{record.table_name or 'the whole capture'}, so {UNSTORABLE[record.rule]} and its rows cannot be "
                    "stored; correct the mapping, or wait for a newer capture"
                )
        first = records[0]
        released = made.quality.release(first.raw_table, raw_id, released_by=_person(), rule=rule)
        held = _mapping(made, first)
        left = made.quality.quarantined(first.raw_table, [raw_id])
        newer = _newer(made, first, held)
    if left:
        rules = ", ".join(sorted({r.rule for r in left}))
        say(f"{many(released, 'finding')} of raw row {raw_id} released; it is still held back by {rules}")
        return
    if newer is not None:
        say(f"raw row {raw_id} is released, and is not merged: raw row {newer} is newer and not held back", "yellow")
        return
    if held is None:
        again = f"no mapping reads {first.raw_table} any more"
    else:
        again = f"mlb materialize --mapping {held.name}"
        again += "" if held.per_element else f" --game-pk {first.entity_key}"
    if released == 0:
        say(f"raw row {raw_id} was released before; merge it with:")
    else:
        say(f"raw row {raw_id} is released ({many(released, 'finding')}); merge it with:")
    say(f"  {again}")


def _mapping(made: Platform, record: QuarantineRecord) -> ResolvedMapping | None:
    """Return the mapping of a record's raw table, if there is one still."""
    return next((m for m in made.registry.mappings.values() if m.config.source.raw_table == record.raw_table), None)


def _newer(made: Platform, record: QuarantineRecord, mapping: ResolvedMapping | None) -> int | None:
    """Return the newest raw row that goes before a record's, where a table holds one capture of an entity only."""
    if mapping is None or mapping.per_element:
        return None
    rows = made.raw.rows(record.raw_table, entity_keys=[record.entity_key])
    held = {r.raw_id for r in made.quality.quarantined(record.raw_table, [r.raw_id for r in rows])}
    good = [r.raw_id for r in rows if r.raw_id == record.raw_id or r.raw_id not in held]
    return good[-1] if good and good[-1] != record.raw_id else None


def _members(made: Platform, record: QuarantineRecord) -> list[str]:
    """Return the entities of a response with several; none where it is of one."""
    mapping = _mapping(made, record)
    if mapping is None or not mapping.per_element:
        return []
    return [r.entity_key for r in made.raw.rows(record.raw_table, raw_ids=[record.raw_id], by_member=True)]


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _raw_table(made: Platform, mapping: str | None) -> str | None:
    return None if mapping is None else mapping_of(made, mapping).config.source.raw_table


def _records(made: Platform, raw_id: int, mapping: str | None) -> list[QuarantineRecord]:
    from resources.errors import PlatformError

    records = made.quality.quarantined(_raw_table(made, mapping), [raw_id], released=True)
    tables = sorted({r.raw_table for r in records})
    if not records:
        raise PlatformError(f"raw row {raw_id} is not held back: see `mlb quarantine list`")
    if len(tables) > 1:
        raise PlatformError(f"raw row {raw_id} is held back in {' and '.join(tables)}: say which with --mapping")
    return records
