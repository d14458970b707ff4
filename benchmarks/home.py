"""A home for one measurement."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from mlb_platform.settings import load_settings
from resources.embedded_postgres import EmbeddedPostgres


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Give a home with an embedded PostgreSQL, and the Spark jars there are; stop and remove it at the end."""
    end_orderly()
    home = Path(tempfile.mkdtemp(prefix="mlb-bench-"))
    server = EmbeddedPostgres(home / "postgres", home / "logs")
    try:
        (home / "jars").symlink_to(load_settings().jars)
        yield home
    finally:
        server.stop()
        # links where the server's user does not reach the home
        for place in (home / "postgres", home / "logs" / "postgresql"):
            shutil.rmtree(place.resolve(), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def end_orderly() -> None:
    """Let SIGTERM, which `timeout` sends, end this process as Ctrl-C does: servers would outlive it otherwise."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough: what follows removes the home
    raise SystemExit(128 + number)
