"""`mlb ui`, `mlb doctor` and `mlb setup`: the Dagster pages, and whether this machine has what is needed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import Progress, many, note, say
from mlb_platform.cli.context import day, settings

if TYPE_CHECKING:
    from mlb_platform.settings import Settings
    from resources.postgres import Postgres

DEFAULT_PORT = 3000
LOW_DISK_GB = 5


def register(app: typer.Typer) -> None:
    """Add the commands to `mlb`."""
    app.command("ui")(ui)
    app.command("doctor")(doctor)
    app.command("setup")(setup)


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def ui(
    port: Annotated[int, typer.Option(help="Port of the pages.", min=1, max=65535)] = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Open the Dagster UI with its daemon: materialize, backfill, lineage, and sensors that react to new raw rows.

    Ctrl-C stops both. A port in use is named, and a free one offered.

    Example: mlb ui --port 3001
    """
    from mlb_platform.platform import Platform

    s = settings()
    check_port(port)
    log = s.logs / "dagster.log"
    note(f"starting the Dagster UI and its daemon (log: {log}) …")
    _watch(start_ui(s, Platform(s).postgres, port, host), log, host, port)


def check_port(port: int, command: str = "mlb ui") -> None:
    """Raise PlatformError where a port is in use, with a free one to take instead."""
    from resources.errors import PlatformError

    if not is_free(port):
        free = next((p for p in range(port + 1, min(port + 100, 65536)) if is_free(p)), None)
        offer = "" if free is None else f"; {free} is free: {command} --port {free}"
        offer += f" (or make ui PORT={free})" if free is not None and command == "mlb ui" else ""
        raise PlatformError(f"port {port} is in use{offer}")


def start_ui(s: Settings, postgres: Postgres, port: int, host: str = "127.0.0.1") -> list[subprocess.Popen[bytes]]:
    """Start the processes of the Dagster UI and its daemon; what they print goes to the log."""
    from mlb_platform.dagster_home import merged_environment, prepare_dagster_home, ui_commands

    home = prepare_dagster_home(s, postgres)
    environment = merged_environment(s, os.environ)
    with (s.logs / "dagster.log").open("ab") as output:
        return [
            subprocess.Popen(
                command, env=environment, cwd=home, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )
            for command in ui_commands(s, port, host)
        ]  # fmt: skip


def _watch(children: list[subprocess.Popen[bytes]], log: Path, host: str, port: int) -> None:
    """Wait until one of the processes ends or we are told to stop; then stop them all."""
    from resources.errors import PlatformError

    def on_terminate(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_terminate)
    ended, told = None, False
    try:
        while ended is None:
            time.sleep(0.3)
            if not told and not is_free(port):
                told = True
                say(f"Dagster UI on http://{host}:{port} - Ctrl-C stops it and its daemon", "bold")
            ended = next((c for c in children if c.poll() is not None), None)
    except KeyboardInterrupt:
        note("stopping …")
    finally:
        stop_all(children)
    if ended is not None:
        name = str(ended.args[2]) if isinstance(ended.args, list) else "a process"
        raise PlatformError(f"{name} ended by itself with code {ended.returncode}: see {log}")


def stop_all(children: list[subprocess.Popen[bytes]], patience: float = 20) -> None:
    """Ask processes and what they started to stop; after `patience` seconds make them."""
    for number, wait in ((signal.SIGINT, patience), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        for child in children:
            if child.poll() is None or number is signal.SIGKILL:
                try:
                    os.killpg(child.pid, number)
                except ProcessLookupError:
                    continue
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and any(c.poll() is None for c in children):
            time.sleep(0.1)
        if all(c.poll() is not None for c in children):
            return


def setup() -> None:
    """Fetch what Spark needs besides the Python packages: its jars, checked against their hashes.

    The classes it loads at its start are kept beside them: it starts two seconds sooner.

    Example: mlb setup
    """
    from resources.spark import SparkError, class_archive, install_jars, locked_jars, missing_jars
    from resources.spark_archive import make_class_archive

    s = settings()
    absent = missing_jars(s.jars)
    if absent:
        with Progress(f"Fetching {many(len(absent), 'Spark jar')}", "", None) as bar:
            bar.update(text=f"into {s.jars}")
            install_jars(s.jars, s.home / "ivy")
        shutil.rmtree(s.home / "ivy", ignore_errors=True)
    say(f"{len(locked_jars())} Spark jars in {s.jars}: {'fetched' if absent else 'there already'}, hashes are right")
    place = class_archive(s.jars)
    if place is not None and (absent or not place.is_file()):
        try:
            archive = make_class_archive(s.jars)
            say(f"Spark's classes kept in {archive.name} ({archive.stat().st_size >> 20} MB): it starts sooner")
        except SparkError as error:
            say(f"{error}; Spark starts two seconds later without")


def doctor(
    season: Annotated[
        int | None, typer.Option(help="Look at what is there of a season instead.", min=1876, max=2100)
    ] = None,
    of_day: Annotated[
        date | None, typer.Option("--date", help="Look at what is there of a date instead.", parser=day, metavar="DATE")
    ] = None,
) -> None:
    """Check Java, jars, database, lake, disk and mappings; say what to do about what is missing.

    With --season or --date: which games are missing, why, and what repairs it; the exit code is 1 while something is.

    Example: mlb doctor
    Example: mlb doctor --season 2024
    """
    if season is not None and of_day is not None:
        raise typer.BadParameter("give --season or --date, not both")
    if season is not None or of_day is not None:
        from mlb_platform.cli.doctor_season import doctor_dates

        raise typer.Exit(doctor_dates(season, of_day))
    s = settings()
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("home", _home), ("java", _java), ("jars", _jars), ("database", _database), ("lake", _lake), ("disk", _disk),
        ("mappings", _mappings),
    ]  # fmt: skip
    from mlb_platform.cli.failures import explain

    failed = 0
    for name, check in checks:
        try:
            say(f"✓ {name:<9} {check(s)}")
        except Exception as error:  # noqa: BLE001 - whatever is wrong is what doctor is to tell
            failed += 1
            line, _ = explain(error)
            say(f"✗ {name:<9} {line.removeprefix('mlb: ')}", "red")
    if failed:
        say(f"{many(failed, 'problem')} found", "red")
        raise typer.Exit(1)
    say("everything is in order", "green")


def _home(s: Settings) -> str:
    _try_to_write(s.home)
    return f"{s.home} can be written"


def _try_to_write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".mlb-doctor-{os.getpid()}"
    try:
        probe.write_bytes(b"x" * 65536)
    finally:
        probe.unlink(missing_ok=True)


def _java(s: Settings) -> str:
    from resources.spark import check_java

    if s.spark_remote is not None:
        return f"not needed here: Spark Connect at {s.spark_remote}"
    return f"version {check_java()}"


def _jars(s: Settings) -> str:
    from resources.errors import PlatformError
    from resources.spark import locked_jars, missing_jars

    absent = missing_jars(s.jars)
    if absent and s.spark_remote is None:
        raise PlatformError(
            f"{s.jars} lacks {len(absent)} of {len(locked_jars())} jars ({absent[0]}, …): run `mlb setup`"
        )
    return f"{len(locked_jars())} in {s.jars}, hashes are right"


def _database(s: Settings) -> str:
    from resources.postgres import open_postgres

    postgres = open_postgres(s.database_url, s.postgres_dir, s.logs)
    with postgres.transaction() as connection:
        row = connection.execute("SELECT current_setting('server_version')").fetchone()
    kind = "embedded" if s.database_url is None else "external"
    return f"{kind} PostgreSQL {row[0] if row else ''} at {postgres.place} answers"


def _lake(s: Settings) -> str:
    from resources.lake import lake_error, lake_tables, missing_files
    from resources.lake_handles import opened
    from resources.lake_place import is_remote

    if not is_remote(s.lake):
        folder = Path(s.lake.removeprefix("file://")).expanduser().absolute()
        try:
            _try_to_write(folder)
        except OSError as error:
            raise lake_error(str(folder), error) from error
    names = list(lake_tables(s.lake))
    for name in names:
        with opened(s.lake, name) as table:
            if table is not None and (lost := missing_files(table)):
                raise lake_error(table.table_uri, FileNotFoundError(f"No such file: {lost[0]}"))
    return f"{s.lake} can be used, {many(len(names), 'table')}"


def _disk(s: Settings) -> str:
    from resources.errors import PlatformError

    s.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(s.home).free / 1e9
    if free < LOW_DISK_GB:
        raise PlatformError(f"{free:.1f} GB are free under {s.home}: {LOW_DISK_GB} are advisable; free some space")
    return f"{free:.0f} GB are free under {s.home}"


def _mappings(s: Settings) -> str:
    from mlb_platform.mapping.loader import MappingRegistry

    found = MappingRegistry(s.mappings).mappings
    tables = sum(len(m.targets) for m in found.values())
    return f"{many(len(found), 'mapping')} in {s.mappings} give {many(tables, 'table')}"
