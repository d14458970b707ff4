"""`mlb run`: from nothing to tables, with a sample of simulated games or with a folder of captures."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import quiet_java, say
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
    """Ingest a sample (30 simulated games on two dates) or a folder of captures, and materialize every table.

    Run again, it reports every row unchanged.

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
    s = made.settings
    if rejected:
        say(
            f"{rejected} payloads were rejected: mlb sql 'SELECT source, reason FROM quality.rejected_payloads'",
            "yellow",
        )
    where = "the external PostgreSQL" if s.database_url else f"PostgreSQL ({made.postgres.place})"
    here = f"{Path.cwd()}{os.sep}"
    say(f"\nThe tables are in {where} and in the Delta lake {s.lake.removeprefix(here)}. Try next:", "bold")
    say('  mlb sql "SELECT event, count(*) FROM game.live_game_plays GROUP BY 1 ORDER BY 2 DESC LIMIT 5"')
    say('  mlb sql --lake "SELECT pitch_type, count(*) FROM game.live_game_pitch_events GROUP BY 1 ORDER BY 2 DESC"')
    say("  mlb status        what is newest, merged and held back, by game")
    say("  make ui           the Dagster UI: lineage, backfills, checks, sensors")
    say("(`mlb` is .venv/bin/mlb; MLB_HOME says where everything is kept)", "dim")
