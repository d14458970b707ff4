"""`mlb db`: the database the platform uses, embedded or external."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import say
from mlb_platform.cli.context import settings

if TYPE_CHECKING:
    from mlb_platform.settings import Settings
    from resources.embedded_postgres import EmbeddedPostgres


def register(app: typer.Typer) -> None:
    """Add the commands to `mlb`."""
    db = typer.Typer(help="The database: its URL, a shell, a backup, start, stop.", no_args_is_help=True)
    for command in (url, psql, dump, start, stop, status):
        db.command()(command)
    app.add_typer(db, name="db")


def _embedded(s: Settings, what: str) -> EmbeddedPostgres:
    from resources.embedded_postgres import EmbeddedPostgres
    from resources.errors import PlatformError

    if s.database_url is not None:
        raise PlatformError(
            f"MLB_DATABASE_URL names an external server, which `mlb` does not {what}: use its own tools"
        )
    return EmbeddedPostgres(s.postgres_dir, s.logs)


def _url(s: Settings) -> str:
    from resources.postgres import open_postgres

    return open_postgres(s.database_url, s.postgres_dir, s.logs).url


def url() -> None:
    """Print the URL (with the password) for other tools; starts the embedded server.

    Example: psql "$(mlb db url)"
    """
    say(_url(settings()))


def psql(
    arguments: Annotated[list[str] | None, typer.Argument(help="Passed on to psql, after --.")] = None,
) -> None:
    """Open a PostgreSQL shell; starts the embedded server.

    Example: mlb db psql
    Example: mlb db psql -- -c '\\dt game.*'
    Example: mlb db psql -- -q -v ON_ERROR_STOP=1 -f backup.sql
    """
    s = settings()
    _become("psql", arguments, s, own=s.database_url is None)


def dump(
    arguments: Annotated[list[str] | None, typer.Argument(help="Passed on to pg_dump, after --.")] = None,
) -> None:
    """Write a backup by the pg_dump that the platform brings; starts the embedded server.

    One of an older version than the server refuses. `mlb db psql` restores it into an empty database.

    Example: mlb db dump -- -f backup.sql
    """
    _become("pg_dump", arguments, settings(), own=True)


def _become(name: str, arguments: list[str] | None, s: Settings, *, own: bool) -> None:
    """Go on as a program of PostgreSQL, told where the database is; `own`: the one brought rather than PATH's."""
    from psycopg.conninfo import conninfo_to_dict

    from resources.errors import PlatformError
    from resources.server_account import binaries, choose_account

    values = {k: str(v) for k, v in conninfo_to_dict(_url(s)).items()}
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    names |= {"sslmode": "PGSSLMODE", "options": "PGOPTIONS"}
    environment = {names[k]: v for k, v in values.items() if k in names}
    program = shutil.which(name)
    if program is None or own:
        brought = binaries(choose_account(s.postgres_dir)) / name
        program = str(brought) if Path(brought).exists() else program
    if program is None:
        raise PlatformError(f"no {name} program is on PATH: install the PostgreSQL client, or use `mlb sql`")
    os.execve(program, [program, *(arguments or [])], {**os.environ, **environment})


def start() -> None:
    """Start the embedded server (every command does so by itself).

    Example: mlb db start
    """
    server = _embedded(settings(), "start")
    server.ensure_running()
    found = server.status()
    say(f"PostgreSQL runs on 127.0.0.1:{found.port} (process {found.pid}), data in {found.data_dir}")


def stop() -> None:
    """Stop the embedded server, ending its sessions; the data stays.

    Example: mlb db stop
    """
    say("PostgreSQL is stopped" if _embedded(settings(), "stop").stop() else "PostgreSQL was not running")


def status() -> None:
    """Say whether the database runs, without starting it.

    Example: mlb db status
    """
    s = settings()
    if s.database_url is not None:
        from resources.postgres import open_postgres

        say(f"external PostgreSQL at {open_postgres(s.database_url, s.postgres_dir, s.logs).place} answers")
        return
    found = _embedded(s, "show").status()
    if not found.running:
        say(f"PostgreSQL is stopped; data in {found.data_dir}")
        raise typer.Exit(1)
    say(f"PostgreSQL runs on 127.0.0.1:{found.port} (process {found.pid}), data in {found.data_dir}")
