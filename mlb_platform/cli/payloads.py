"""Payloads to look at: from a captures folder, from the raw table, or simulated; each with its entity and season."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlb_platform.mapping.resolve import ResolvedMapping
    from mlb_platform.platform import Platform

Payload = tuple[Any, str, str]
"""Document, entity, season."""
FEED = "game/live_game_v1"
SIMULATED = 30
"""Simulated games that together hold every path of the feed."""
UNKNOWN = "unknown"


def read_json(path: Path) -> Any:
    """Return the document of a plain or gzipped JSON file. Raises PlatformError, which names it, for anything else."""
    import orjson

    from resources.errors import PlatformError

    try:
        body = path.read_bytes()
        return orjson.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
    except OSError as error:
        raise PlatformError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, zlib.error) as error:
        raise PlatformError(f"{path} is no JSON: {error}") from error


def simulated() -> Iterator[Payload]:
    """Yield simulated feeds."""
    from mlb_platform.simulator import simulate_games

    for capture in simulate_games(SIMULATED, date(2024, 7, 1), 1):
        yield capture.payload, str(capture.payload["gamePk"]), str(capture.official_date.year)


def captured(folder: Path, mapping: ResolvedMapping) -> Iterator[Payload]:
    """Yield the captures of a mapping in a folder: those its INDEX.tsv names, or all below it (or ENDPOINT/METHOD).

    Files that are no JSON are left out: `mlb ingest captures` says why. Raises PlatformError for no folder.
    """
    from resources.errors import PlatformError

    if not folder.is_dir():
        raise PlatformError(f"the captures folder {folder} does not exist")
    source = mapping.config.source
    names = [source.method, *source.also]
    index = folder / "INDEX.tsv"
    if index.is_file():
        with index.open(encoding="utf-8-sig", newline="") as text:
            rows = list(csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE))
        wanted = [r for r in rows if r.get("endpoint") == source.endpoint and r.get("method") in names]
        files = [(folder / (r.get("path") or ""), r) for r in wanted]
    else:
        bases = [b for name in names if (b := folder / source.endpoint / name).is_dir()] or [folder]
        files = [(p, {}) for base in bases for p in sorted([*base.rglob("*.json"), *base.rglob("*.json.gz")])]
    for path, row in files:
        try:
            document = read_json(path)
        except PlatformError:
            continue
        yield document, _entity(document, mapping) or row.get("id") or path.name, _season(document, mapping, row)


def stored(made: Platform, mapping: ResolvedMapping, first: date | None, last: date | None) -> Iterator[Payload]:
    """Yield the payloads in a mapping's raw table whose date (or day of capture) lies in a range, every capture."""
    import orjson

    table = mapping.config.source.raw_table
    for row in sorted(made.raw.rows(table), key=lambda r: (r.partition_date or r.captured_at.date(), r.raw_id)):
        day = row.partition_date or row.captured_at.date()
        if (first is None or day >= first) and (last is None or day <= last):
            yield orjson.loads(made.raw.payload(table, row.raw_id)), row.entity_key, str(day.year)


def _first(document: Any, paths: Any) -> Any:
    from mlb_platform.mapping.paths import parse_path

    for text in [paths] if isinstance(paths, str) else paths or []:
        value = document
        for step in parse_path(text).steps:
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def _entity(document: Any, mapping: ResolvedMapping) -> str:
    value = _first(document, mapping.entity_key.json_path)
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _season(document: Any, mapping: ResolvedMapping, row: dict[str, Any]) -> str:
    """Return the year of the partition date, else what the index says, else the year of the capture."""
    day = _first(document, mapping.partition.json_path) if mapping.partition else None
    for text in (day, row.get("season"), row.get("captured_at")):
        if isinstance(text, str) and text[:4].isdigit():
            return text[:4]
    return UNKNOWN
