"""Where tables lie in a lake: paths and URLs, without anything that reads them."""

from __future__ import annotations

from pathlib import Path

from resources.errors import PlatformError

NORMALIZED = "normalized"


def table_uri(lake: str, table: str) -> str:
    """Return the place of `schema.table` in a lake; an absolute path for a local one."""
    parts = table.split(".")
    if len(parts) != 2 or not all(parts):
        raise PlatformError(f"table name {table!r} is not schema.table")
    return "/".join([lake_root(lake), *parts])


def lake_root(lake: str) -> str:
    """Return the folder or URL below which a lake's tables are; an absolute path for a local one."""
    if is_remote(lake):
        return f"{lake.rstrip('/')}/{NORMALIZED}"
    return str(Path(lake.removeprefix("file://")).expanduser().absolute() / NORMALIZED)


def is_remote(lake: str) -> bool:
    """Tell whether a lake is an object store rather than a folder."""
    return "://" in lake and not lake.startswith("file://")
