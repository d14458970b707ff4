"""How far back a table in a lake can be read: older log entries go, then the files that no kept version uses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyarrow import fs

from resources.delta_engines import commit_properties
from resources.lake_files import StoredFile, checkpoints, commits, file_store, stored_files, used_files

LOG_RETENTION = "delta.logRetentionDuration"
HISTORY_DAYS = 365
"""How far back tables can be read where nothing else is asked for."""
UNFINISHED = timedelta(days=7)
"""What no version uses is let be for so long: its writer or reader may be at work still."""


@dataclass(frozen=True)
class Swept:
    """What was removed of a table's past."""

    files: int = 0
    bytes: int = 0
    log_files: int = 0
    trouble: str = ""
    """Why files were let be, where it cannot be told which versions need them."""


def retention(days: int) -> str:
    """Return the value of Delta's retention properties for so many days."""
    return f"interval {days} days"


def keep_history(table: DeltaTable, days: int, now: datetime) -> Swept:
    """Remove what only versions older than `days` days before `now` need; every state since then stays readable.

    Delta's own VACUUM cannot do this: it goes by how long ago a file was removed and forgets that after a week, while a
    file that only a version of last month uses may be a year old. So the files of every version to keep are collected
    from the log, and what none of them uses goes. Raises DeltaError or OSError when the store fails.
    """
    before = _log_files(stored_files(table))  # any commit but a merge may remove old ones by itself
    if table.metadata().configuration.get(LOG_RETENTION) != retention(days):
        table.alter.set_table_properties({LOG_RETENTION: retention(days)}, commit_properties=commit_properties())
    oldest = min((f.changed for f in before), default=now)
    if oldest < now - timedelta(days=days):
        DeltaTable(table.table_uri).cleanup_metadata()
    return _sweep(DeltaTable(table.table_uri), days, now, before)


def _sweep(table: DeltaTable, days: int, now: datetime, log_before: Sequence[StoredFile]) -> Swept:
    """Remove files that no version since uses; where that cannot be told for certain, none is removed."""
    stored = list(stored_files(table))
    log = _log_files(stored)
    gone = len({f.path for f in log_before} - {f.path for f in log})
    current = used_files(table)
    if not current <= {f.path for f in stored}:
        return Swept(log_files=gone, trouble="files of the past were let be, as files in use are not in its folder")
    unused = [
        f
        for f in stored
        if f.path.endswith(".parquet")
        and not f.path.startswith("_delta_log/")
        and f.path not in current
        and f.changed < now - UNFINISHED
    ]
    if not unused:
        return Swept(log_files=gone)
    try:
        needed = _needed(table, log, now - timedelta(days=days))
    except (DeltaError, OSError, ValueError) as error:
        told = " ".join(str(error).split())[:200]
        return Swept(log_files=gone, trouble=f"files of the past were let be, as an old version cannot be read: {told}")
    expired = [f for f in unused if f.path not in needed]
    store, base = file_store(table)
    removed = [f for f in expired if _remove(store, f"{base}/{f.path}")]
    return Swept(len(removed), sum(f.size for f in removed), gone)


def _remove(store: fs.FileSystem, path: str) -> bool:
    """Remove a file; tell whether it was there: another compaction of the table may have come to it first."""
    try:
        store.delete_file(path)
    except FileNotFoundError:
        return False
    return True


def _log_files(stored: Iterable[StoredFile]) -> list[StoredFile]:
    return [f for f in stored if f.path.startswith("_delta_log/")]


def _needed(table: DeltaTable, log: Sequence[StoredFile], since: datetime) -> set[str]:
    """Return the files that some version uses which was in force at `since` or later, change data included."""
    found = commits(log)
    base = min((v for v, f in found.items() if f.changed > since), default=table.version() + 1) - 1
    if base not in found and base not in checkpoints(log) and base >= 0:
        base = min(v for v in (*checkpoints(log), table.version()) if v > base)
    needed: set[str] = set()
    if base >= 0:
        needed |= used_files(DeltaTable(table.table_uri, version=base))
    store, folder = file_store(table)
    for version in range(base + 1, table.version() + 1):
        if version not in found:
            raise ValueError(f"the log lacks version {version}")
        needed |= _named(store, f"{folder}/{found[version].path}")
    return needed


def _named(store: fs.FileSystem, path: str) -> set[str]:
    """Return the data and change files that a commit adds."""
    with store.open_input_stream(path) as stream:
        lines = stream.read().splitlines()
    actions = (json.loads(line) for line in lines if line.strip())
    return {unquote(str(a[kind]["path"])) for a in actions for kind in ("add", "cdc") if kind in a}
