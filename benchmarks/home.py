"""A home for one measurement."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlb_platform.settings import load_settings
from resources.embedded_postgres import EmbeddedPostgres


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Give a home with an embedded PostgreSQL, and the Spark jars there are; stop and remove it at the end."""
    home = Path(tempfile.mkdtemp(prefix="mlb-bench-"))
    server = EmbeddedPostgres(home / "postgres", home / "logs")
    try:
        (home / "jars").symlink_to(load_settings().jars)
        yield home
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
