"""`mlb as-of` and `mlb history`: what a table said of a game at a time, and every version of its rows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import many, note
from mlb_platform.cli.context import instant, time_travel
from mlb_platform.cli.sql import DEFAULT_LIMIT, Format, print_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from mlb_platform.history.query import TimeTravel
    from mlb_platform.history.states import Known
    from mlb_platform.mapping.resolve import ResolvedMapping

Game = Annotated[str, typer.Argument(help="The game, or whatever the table is merged by: a person, a team, a date.")]
Table = Annotated[str, typer.Argument(help="The table, schema.table.", metavar="SCHEMA.TABLE")]
Form = Annotated[Format, typer.Option("--format", help="How to print the rows.")]
Limit = Annotated[
    int | None, typer.Option(help=f"Rows at most; 0: all.  [default: {DEFAULT_LIMIT} in a table, else all]", min=0)
]
HIDDEN = ("transform_timestamp", "lineage_metadata")


def register(app: typer.Typer) -> None:
    """Add the commands to `mlb`."""
    app.command("as-of")(as_of)
    app.command("history")(history)


def as_of(
    game: Game,
    time: Annotated[
        datetime,
        typer.Argument(help="Until when captures count; UTC where no zone is given.", parser=instant, metavar="TIME"),
    ],
    table: Table,
    form: Form = Format.table,
    limit: Limit = None,
) -> None:
    """Print the rows that a table would have of a game if only the captures taken until TIME were there.

    They come from a version of the Delta table that held just that, else they are derived from the raw capture.

    Example: mlb as-of 747175 2024-07-13T05:00Z game.live_game_plays
    """
    from mlb_platform.history.validity import tables_as_of

    with time_travel() as travel:
        mapping = travel.owner(table)
        entity = _known(travel, mapping, game)
        found, known = tables_as_of(travel.states(mapping), [table], time, [entity])
    note(_told(mapping, entity, time, known))
    _print(found[table], form, limit)


def history(
    game: Game,
    table: Table,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only rows of which there is more than one version, or that are gone.")
    ] = False,
    form: Form = Format.table,
    limit: Limit = None,
) -> None:
    """Print every version of a game's rows in a table, with the capture times it was valid from and to.

    Example: mlb history 747175 game.live_game_plays --changed
    """
    from mlb_platform.history.validity import changed_only, table_history

    with time_travel() as travel:
        mapping = travel.owner(table)
        entity = _known(travel, mapping, game)
        states = travel.states(mapping)
        rows = table_history(states, table, [entity])
        if changed:
            rows = changed_only(states.specs[table], rows)
    _print(rows, form, limit)


def _known(travel: TimeTravel, mapping: ResolvedMapping, entity: str) -> str:
    """Return the entity; raise PlatformError when no capture is of it."""
    from mlb_platform.extraction.plan import raw_rows
    from resources.errors import PlatformError

    if not raw_rows(travel.stores, mapping, entity_keys=[entity]):
        raise PlatformError(f"{mapping.config.source.raw_table} has no capture of {mapping.noun} {entity}")
    return entity


def _told(mapping: ResolvedMapping, entity: str, time: datetime, known: Known) -> str:
    what = f"{mapping.noun} {entity} as of {time:%Y-%m-%d %H:%M:%S}Z"
    if not known.moments:
        return f"{what}: no capture was taken until then ({many(known.captures, 'capture')} later, or held back)"
    capture = known.moments[0].capture
    how = "read from a table version" if known.by_version else "derived from the raw capture"
    return f"{what}: raw row {capture.raw_id}, captured {capture.captured_at:%Y-%m-%d %H:%M:%S}Z; {how}"


def _print(rows: pa.Table, form: Format, limit: int | None) -> None:
    shown = (DEFAULT_LIMIT if form is Format.table else 0) if limit is None else limit
    rows = rows.drop_columns([n for n in HIDDEN if n in rows.column_names])
    print_rows(rows.column_names, iter([tuple(row.values()) for row in rows.to_pylist()]), form, shown)
