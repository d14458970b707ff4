"""`mlb mapping docs`: the reference pages that are made from the mappings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlb_platform.cli.console import many, say
from mlb_platform.cli.context import settings

FOLDER = "docs/reference"


def docs(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 when a page is not up to date.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help=f"The folder of the pages (default: {FOLDER} of the project).", metavar="DIR")
    ] = None,
) -> None:
    """Write the reference of every table, view and rule from the mappings: an index and a page a mapping.

    Example: mlb mapping docs --check
    """
    from mlb_platform.mapping.loader import MappingRegistry
    from mlb_platform.mapping.reference import reference_pages, stale_pages, write_pages
    from mlb_platform.quality.known import known_orphans
    from mlb_platform.settings import PROJECT_ROOT
    from resources.errors import PlatformError

    folder = out or PROJECT_ROOT / FOLDER
    pages = reference_pages(MappingRegistry(settings().mappings).mappings, known_orphans(settings().mappings))
    if check:
        stale = stale_pages(folder, pages)
        if stale:
            named = ", ".join(stale[:5]) + (f" and {len(stale) - 5} more" if len(stale) > 5 else "")
            raise PlatformError(f"{folder} is not up to date ({named}): run `mlb mapping docs`")
        say(f"{folder}: {many(len(pages), 'page')} up to date", "green")
        return
    written = write_pages(folder, pages)
    say(f"{folder}: {many(len(pages), 'page')}, {len(written)} written or removed")
