"""Captures answered again: the newest of each that is not later than the simulated time, else the oldest."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlb_platform.simulator.api.answers import NotAnswered
from resources.errors import PlatformError


class Replay:
    """A folder of captures with an INDEX.tsv (path, endpoint, method, id, captured_at)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_id: dict[tuple[str, str], list[tuple[datetime, Path]]] = defaultdict(list)
        try:
            text = (folder / "INDEX.tsv").read_text("utf-8")
        except OSError as error:
            raise PlatformError(
                f"{folder / 'INDEX.tsv'} cannot be read: {error.strerror}; give a captures folder"
            ) from error
        for row in csv.DictReader(text.splitlines(), delimiter="\t"):
            at = datetime.fromisoformat(row["captured_at"]).astimezone(UTC)
            self._by_id[f"{row['endpoint']}/{row['method']}", row["id"] or ""].append((at, folder / row["path"]))
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
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data

    def stamps(self, game_pk: str, when: datetime) -> list[str]:
        """Return the time codes of a game's feeds."""
        found = self._by_id.get(("game/live_game_v1", game_pk), [])
        return [f"{at:%Y%m%d_%H%M%S}" for at, _ in found if at <= when + timedelta(seconds=1)]


def replay_key(name: str, path: Mapping[str, str], params: Mapping[str, str]) -> str:
    """Return what the index calls a request's subject."""
    if "id" in path:
        return path["id"]
    if name == "schedule/schedule":
        start, end = params.get("startDate"), params.get("endDate")
        return params.get("date") or (f"{start}..{end}" if end and end != start else start or "")
    return params.get("personIds") or params.get("venueIds") or params.get("season") or ""
