"""The entry point of `mlb`: the commands put together; every failure becomes one clear line and an exit code."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from mlb_platform.cli import (
    as_of,
    corrections,
    data,
    database,
    explain,
    lake,
    live,
    mapping,
    materialize,
    quality,
    quarantine,
    sample,
    service,
    sql,
    status,
    watch,
)
from mlb_platform.memory import collect_seldom

WORKERS = ("run", "materialize", "ingest", "simulate", "live")
"""Commands that have not done all they were asked when their lines are no longer read: they stop, as under `head`."""

app = typer.Typer(
    name="mlb",
    help="Raw MLB Stats API responses become trustworthy tables in PostgreSQL and a Delta lake.",
    epilog="Start with `mlb run`. Settings: MLB_HOME, MLB_DATABASE_URL, MLB_LAKE_URL (see docs/configuration.md).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
for part in (
    sample,
    data,
    materialize,
    sql,
    as_of,
    corrections,
    status,
    live,
    watch,
    explain,
    quality,
    quarantine,
    mapping,
    database,
    lake,
    service,
):
    part.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        from mlb_platform import __version__

        typer.echo(f"mlb {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Raw MLB Stats API responses become trustworthy tables in PostgreSQL and a Delta lake."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 asked wrongly, 130 interrupted."""
    from mlb_platform.cli.failures import INTERRUPTED, Interrupts, explain, stop_logging

    command = typer.main.get_command(app)
    with Interrupts() as interrupts:
        try:
            result = command.main(list(arguments), prog_name="mlb", standalone_mode=False)
            sys.stdout.flush()
            if result == INTERRUPTED:
                raise KeyboardInterrupt  # which Typer makes of it, without a word
            return result if isinstance(result, int) else 0
        except BrokenPipeError:
            return _end_unread(arguments)
        except SystemExit as end:
            # Typer and Rich make this of an output that is read no more
            return _end_unread(arguments) if isinstance(end.__context__, BrokenPipeError) else int(end.code or 0)
        except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 - the one place where failures are told
            line, code = explain(KeyboardInterrupt() if interrupts.seen else error)
            if line:
                sys.stderr.write(f"{line}\n")
            return code
        finally:
            stop_logging()


def _end_unread(arguments: Sequence[str]) -> int:
    """Return the exit code where the reader of the output has gone: `mlb sql … | head` is no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    writes = any(word.split("=")[0] == "--html" for word in arguments)
    if not (writes or (arguments and arguments[0] in WORKERS)) or {"-h", "--help"} & set(arguments):
        return 0
    with suppress(BrokenPipeError):
        sys.stderr.write("mlb: stopped, since nobody reads its output any more; run it again to go on\n")
    return 1


def main() -> None:
    """Run `mlb` with the arguments of the process."""
    collect_seldom()
    end_with_the_terminal()
    code = run(sys.argv[1:])
    _end_java()
    _leave(code)


def end_with_the_terminal() -> None:
    """Let a closed terminal or session end a command as SIGTERM does, which a run tells Dagster; not under `nohup`."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


def _leave(code: int) -> NoReturn:
    """End the process as it would end, without taking a million objects apart before: that takes a second."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _end_java() -> None:
    """End the Java that Spark left: one that was interrupted while starting would stay for ever."""
    if "pyspark" not in sys.modules:
        return
    import psutil

    for child in psutil.Process().children():
        try:
            if child.name().startswith("java"):
                child.terminate()
        except psutil.Error:
            continue


if __name__ == "__main__":
    main()
