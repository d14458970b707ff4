"""`mlb run`: from nothing to tables, with a sample of simulated games or with a folder of captures."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import many, quiet_java, say
from mlb_platform.cli.context import platform

if TYPE_CHECKING:
    from mlb_platform.platform import Platform

GAMES, FIRST_DATE, SEED = 30, date(2024, 7, 1), 1


def register(app: typer.Typer) -> None:
    """Add the command to `mlb`."""
    app.command("run")(run)


def run(
    captures: Annotated[
        Path | None, typer.Option(help="A folder of captures instead of simulated games.", metavar="DIR")
    ] = None,
) -> None:
    """Ingest a sample or a folder of captures, and materialize every table of every mapping.

    The sample is thirty simulated games on two dates, and what the other endpoints say of them. Run again, it reports
    every row unchanged.

    Example: mlb run --captures ../shared/captures
    """
    from mlb_platform.cli.data import ingest, simulate_into
    from mlb_platform.cli.materialize import check_spark, materialize_all

    with platform() as made, quiet_java(made.settings.logs / "spark.log"):
        check_spark(made)
        rejected = 0
        if captures is None:
            simulate_into(made, GAMES, FIRST_DATE, SEED, [])
        else:
            report = ingest(made, captures)
            rejected = report.rejected
        code = max(materialize_all(made))
        _say_what_next(made, rejected)
    raise typer.Exit(code)


def _say_what_next(made: Platform, rejected: int) -> None:
    from mlb_platform.cli.summary import row_count

    s = made.settings
    if rejected:
        say(
            f"{rejected} payloads were rejected: mlb sql 'SELECT source, reason FROM quality.rejected_payloads'",
            "yellow",
        )
    tables = [t for m in made.registry.mappings.values() for t in m.by_name]
    rows = sum(row_count(made, "postgres", table) for table in tables)
    of = many(len(made.registry.mappings), "mapping")
    say(f"\n{many(len(tables), 'table')} of {of}: {many(rows, 'row')}", "bold")
    where = "the external PostgreSQL" if s.database_url else f"PostgreSQL ({made.postgres.place})"
    here = f"{Path.cwd()}{os.sep}"
    say(f"The tables are in {where} and in the Delta lake {s.lake.removeprefix(here)}. Try next:", "bold")
    say('  mlb sql "SELECT event, count(*) FROM game.live_game_plays GROUP BY 1 ORDER BY 2 DESC LIMIT 5"')
    say('  mlb sql --lake "SELECT pitch_type, count(*) FROM game.live_game_pitch_events GROUP BY 1 ORDER BY 2 DESC"')
    say("  mlb quality reconcile    the numbers compared with one another, by game")
    say("  mlb explain game.live_game_plays game_pk=N at_bat_index=0    where each value comes from")
    say("  mlb status        what is newest, merged and held back, by game")
    say("  make ui           the Dagster UI: lineage, backfills, checks, sensors")
    say("(`mlb` is .venv/bin/mlb; MLB_HOME says where everything is kept)", "dim")
