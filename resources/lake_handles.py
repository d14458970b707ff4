"""Tables of a lake that stay open between uses: what was read of their log is not read again.

Opening a table reads its log from the last checkpoint on, 1 to 10 ms with up to 25 commits; a run looks at each table
several times. Asking deltalake for newer commits takes about a millisecond, to see that there is no file of the next
version a hundredth: versions have no gaps, and their files are cleared away from the oldest on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from resources.lake import open_table
from resources.lake_place import is_remote, table_uri

_IDLE_PER_TABLE = 2
_Mark = tuple[int, int]


@dataclass
class _Idle:
    """Open tables that nobody uses, by place."""

    tables: dict[str, list[tuple[DeltaTable, _Mark]]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def take(self, uri: str) -> DeltaTable | None:
        """Return an open table at its newest version; None where there is none that can be trusted."""
        with self.lock:
            waiting = self.tables.get(uri)
            table, mark = waiting.pop() if waiting else (None, None)
        if table is None or _mark(uri, table.version()) != mark:
            return None
        if not _log_file(uri, table.version() + 1).exists():
            return table
        try:
            table.update_incremental()
        except (DeltaError, OSError):
            return None  # opened anew, where the error is told if it is one
        return table

    def keep(self, uri: str, table: DeltaTable) -> None:
        """Keep a table open for the next one that asks."""
        mark = _mark(uri, table.version())
        if mark is None:
            return
        with self.lock:
            waiting = self.tables.setdefault(uri, [])
            if len(waiting) < _IDLE_PER_TABLE:
                waiting.append((table, mark))


_idle = _Idle()


@contextmanager
def opened(lake: str, table: str) -> Iterator[DeltaTable | None]:
    """Give the newest version of a table, None if there is none, for this context's use alone.

    A table that was removed, or removed and made anew, is noticed: the file of the version that was seen last is
    another one then. After an error, and on object stores, the next use opens the table anew. Raises LakeError.
    """
    uri = table_uri(lake, table)
    found = None if is_remote(lake) else _idle.take(uri)
    if found is None:
        found = open_table(lake, table)
    yield found
    if found is not None and not is_remote(lake):
        _idle.keep(uri, found)


def _mark(uri: str, version: int) -> _Mark | None:
    """Return what tells the commit of a version from any other of that number; None where its file is gone."""
    try:
        status = _log_file(uri, version).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _log_file(uri: str, version: int) -> Path:
    return Path(uri) / "_delta_log" / f"{version:020d}.json"
