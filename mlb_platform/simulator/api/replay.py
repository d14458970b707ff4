"""Captures answered again: the newest of each that is not later than the simulated time, else the oldest."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from mlb_platform.ingestion.captures_folder import IngestError, parse_captured_at
from mlb_platform.simulator.api.answers import NotAnswered
from resources.errors import PlatformError

_COLUMNS = ("path", "endpoint", "method", "captured_at")


class Replay:
    """A folder of captures with an INDEX.tsv (path, endpoint, method, id, captured_at)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_id: dict[tuple[str, str], list[tuple[datetime, Path]]] = defaultdict(list)
        index = folder / "INDEX.tsv"
        try:
            text = index.read_text("utf-8-sig")
        except OSError as error:
            raise PlatformError(f"{index} cannot be read: {error.strerror}; give a captures folder") from error
        except UnicodeDecodeError as error:
            raise PlatformError(f"{index} is no UTF-8 text") from error
        reader = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or [])]
        if missing:
            raise PlatformError(f"{index} has no column {', '.join(missing)} in its first line")
        for row in reader:
            at = _instant(row["captured_at"] or "", f"line {reader.line_num} of {index}")
            self._by_id[f"{row['endpoint']}/{row['method']}", row.get("id") or ""].append(
                (at, folder / (row["path"] or ""))
            )
        if not self._by_id:
            raise PlatformError(f"{folder / 'INDEX.tsv'} names no capture")
        for found in self._by_id.values():
            found.sort()

    @property
    def first(self) -> datetime:
        """When the oldest capture was made."""
        return min(found[0][0] for found in self._by_id.values())

    def body(self, name: str, key: str, when: datetime) -> bytes:
        """Return the JSON of an endpoint method's capture by its id. Raises NotAnswered where there is none."""
        found = self._by_id.get((name, key))
        if not found:
            raise NotAnswered(404, f"Object not found: no capture of {name} {key}")
        path = next((p for at, p in reversed(found) if at <= when), found[0][1])
        try:
            data = path.read_bytes()
            return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        except (OSError, EOFError, zlib.error) as error:
            raise NotAnswered(500, f"the capture {path.name} cannot be read: {error}") from error

    def stamps(self, game_pk: str, when: datetime) -> list[str]:
        """Return the time codes of a game's feeds."""
        found = self._by_id.get(("game/live_game_v1", game_pk), [])
        return [f"{at:%Y%m%d_%H%M%S}" for at, _ in found if at <= when + timedelta(seconds=1)]


def _instant(text: str, where: str) -> datetime:
    """Return the time of a capture. Raises PlatformError that names its line where it is none."""
    try:
        return parse_captured_at(text)
    except IngestError as error:
        raise PlatformError(f"{where}: {error}") from error


def replay_key(name: str, path: Mapping[str, str], params: Mapping[str, str]) -> tuple[str, str]:
    """Return what the index calls a request: endpoint/method, and its subject."""
    if "id" in path:
        return name, path["id"]
    if name == "schedule/schedule":
        start, end = params.get("startDate"), params.get("endDate")
        return name, params.get("date") or (f"{start}..{end}" if end and end != start else start or "")
    if name == "team/teams" and "teamId" in params:
        return "team/team", params["teamId"]
    return name, params.get("personIds") or params.get("venueIds") or params.get("season") or ""
