"""What a failure is told as: one line (what, where, what to do) and an exit code; the rest goes to the log."""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import typer

from resources.errors import SPARK_IS_LOST, SPARK_LOST

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # typer brings its own click, or uses the one installed
INTERRUPTED = 130
_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space and run it again; nothing is half done",
    errno.EDQUOT: "the disk quota is used up: free some space and run it again; nothing is half done",
    errno.EROFS: "it is on a read-only file system: set MLB_HOME (or MLB_LAKE_URL) to a place that can be written",
    errno.EACCES: "permission denied: run as its owner, or set MLB_HOME to a folder of your own",
    errno.EPERM: "permission denied: run as its owner, or set MLB_HOME to a folder of your own",
    errno.ENOTDIR: "a file is where a folder should be: move it, or set MLB_HOME (or MLB_LAKE_URL) elsewhere",
}
_INTERRUPTS = ("DagsterExecutionInterruptedError",)
_log = logging.getLogger("mlb")
_handlers: list[logging.FileHandler] = []


def explain(error: BaseException) -> tuple[str, int]:
    """Return the line to print on stderr and the exit code of a failure; unexpected ones are logged whole."""
    if any(isinstance(e, KeyboardInterrupt | typer.Abort) or type(e).__name__ in _INTERRUPTS for e in _causes(error)):
        return "mlb: interrupted; run it again to go on: what is done is kept", INTERRUPTED
    if isinstance(error, typer.Exit):
        return "", error.exit_code
    if isinstance(error, UsageError):
        return _usage(error), 2
    _log_somewhere()
    known = next((line for cause in _causes(error) if (line := _expected(cause))), None)
    lost = [cause for cause in _causes(error) if type(cause).__name__ == SPARK_LOST]
    if lost:
        known = _expected(lost[0]) or SPARK_IS_LOST
    if known is not None:
        _log.error("%s", known, exc_info=error)
        return f"mlb: {known}", getattr(error, "exit_code", 1)
    _log.error("unexpected failure", exc_info=error)
    where = _handlers[0].baseFilename if _handlers else None
    text = one_line(str(error))[:300] or "no message"
    advice = f"the whole story is in {where}" if where else "set MLB_HOME to a writable folder to get a log"
    return f"mlb: unexpected {type(error).__name__}: {text} ({advice})", 1


class Interrupts:
    """Notices Ctrl-C whoever handles it: Spark and Dagster put their own handlers in, and then fail in odd ways."""

    def __enter__(self) -> Interrupts:
        self._reading, writing = os.pipe()
        self._writing = writing
        for end in (self._reading, writing):
            os.set_blocking(end, False)
        self._before: int | None = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        return self

    @property
    def seen(self) -> bool:
        """Whether SIGINT came since the last time this was asked."""
        try:
            return signal.SIGINT in os.read(self._reading, 4096)
        except BlockingIOError:
            return False

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.set_wakeup_fd(self._before)
        os.close(self._reading)
        os.close(self._writing)


def one_line(text: str) -> str:
    """Return `text` without line breaks."""
    return " ".join(text.split())


def _usage(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "mlb"
    message = one_line(error.format_message() if hasattr(error, "format_message") else str(error)).rstrip(".")
    message = message.removeprefix("Invalid value: ")
    return f"{path}: {message} (try `{path} --help`)"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the failure and all that it came from, the outermost first."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop(0)
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting += [current.__cause__, current.__context__]


def _expected(error: BaseException) -> str | None:
    """Return what to tell about a failure people are expected to meet; None for another."""
    from resources.errors import PlatformError

    if isinstance(error, PlatformError):
        return one_line(str(error))
    name = type(error).__name__
    if name == "MappingError":
        problems = getattr(error, "problems", [])
        more = f" (and {len(problems) - 1} more: `mlb mapping lint` lists them)" if len(problems) > 1 else ""
        return f"the mappings have errors: {problems[0]}{more}" if problems else one_line(str(error))
    if isinstance(error, KeyError) and error.args and str(error.args[0]).startswith("no "):
        return str(error.args[0])
    if name == "ValidationError" and hasattr(error, "errors") and getattr(error, "title", "") == "Settings":
        first = error.errors()[0]
        return f"MLB_{str(first['loc'][0]).upper()} is set to {first['input']!r}: {first['msg']}"
    if isinstance(error, OSError) and error.errno in _ADVICE:
        return f"{error.filename or error.strerror}: {_ADVICE[error.errno]}"
    text = str(error)
    if "No space left on device" in text:
        return _ADVICE[errno.ENOSPC]
    if "JAVA_GATEWAY_EXITED" in text:
        return (
            "Java ended before Spark started: check MLB_SPARK_MASTER where it is set, `java -version` (17 or 21) and "
            "free memory; logs/spark.log under MLB_HOME says more"
        )
    if "No files found that match the pattern" in text:
        return f"the lake lacks a file ({one_line(text)[:200]}): `mlb doctor` says of which table, and what to do"
    return None


def _log_somewhere() -> None:
    """Start the log for a failure that came before its command did; where it cannot be written, log nowhere."""
    from pydantic import ValidationError

    from mlb_platform.settings import load_settings

    try:
        start_logging(load_settings().logs)
    except (OSError, ValidationError):
        logging.getLogger().addHandler(logging.NullHandler())


def start_logging(logs: Path) -> None:
    """Log to `logs`/mlb.log (5 MB, three older files kept) until `stop_logging`."""
    from logging.handlers import RotatingFileHandler

    if _handlers:
        return
    logging.raiseExceptions = False  # a full disk is told by what needed it, not by the log
    logs.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(logs / "mlb.log", maxBytes=5_000_000, backupCount=3, encoding="utf-8")
    handler.setFormatter(logging.Formatter(f"%(asctime)s {os.getpid()} %(levelname)s %(name)s: %(message)s"))
    _handlers.append(handler)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    for noisy in ("py4j", "urllib3", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def stop_logging() -> None:
    """Close the log that `start_logging` opened."""
    for handler in _handlers:
        logging.getLogger().removeHandler(handler)
        handler.close()
    if _handlers:
        logging.getLogger().setLevel(logging.WARNING)
        logging.captureWarnings(False)
    _handlers.clear()
