"""MLB_HOME says which layout it has, so that a home of another version is never half understood."""

from __future__ import annotations

import os
from pathlib import Path

from resources.errors import PlatformError

LAYOUT = 1
"""Raised when what lies under MLB_HOME changes so that an older home must be upgraded."""
MARKER = "layout"


class HomeError(PlatformError):
    """MLB_HOME is of a version that this platform cannot use."""


def check_home(home: Path) -> None:
    """Mark a new home with the layout; raise HomeError for one of another layout, or one that cannot be written."""
    marker = home / MARKER
    try:
        if marker.is_file():
            found = marker.read_text("utf-8").strip()
            if found != str(LAYOUT):
                raise HomeError(
                    f"{home} has layout {found or 'of no number'}, this version needs {LAYOUT}: use the version "
                    "that made it, or set MLB_HOME to another folder"
                )
            return
        home.mkdir(parents=True, exist_ok=True)
        made = home / f".{MARKER}-{os.getpid()}"
        made.write_text(f"{LAYOUT}\n", "utf-8")
        made.replace(marker)  # whoever is killed here leaves no marker without a number
    except OSError as error:
        raise HomeError(f"MLB_HOME {home} cannot be used: {error.strerror}: choose another folder") from error
