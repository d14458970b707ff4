"""What a table in a lake consists of: data files, how rows lie in them, the log, and what is kept of the past."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from pyarrow import fs

SMALL_FILE = 8 << 20
"""Files below this many bytes are small: they are put together once there are many."""
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint.*\.parquet")


@dataclass(frozen=True)
class StoredFile:
    """A file below a table's folder, as the store lists it."""

    path: str
    """Relative to the table's folder."""
    size: int
    changed: datetime


@dataclass(frozen=True)
class TableFiles:
    """What a table consists of at one time."""

    files: int
    small: int
    bytes: int
    rows: int
    depth: int
    """The most files whose range of the layout's first column holds one value: what a query for it has to read."""
    version: int
    oldest: int
    """The oldest version whose log is there."""
    log_files: int
    log_bytes: int
    past_bytes: int
    """Bytes in files that the current version does not use: earlier versions, change data, what was left behind."""

    @property
    def versions(self) -> int:
        """Versions whose log is there."""
        return self.version - self.oldest + 1

    @property
    def rows_a_file(self) -> int:
        """Rows a file on average."""
        return round(self.rows / self.files) if self.files else 0


def measure(table: DeltaTable, order: Sequence[str]) -> TableFiles:
    """Return what the version that `table` has loaded consists of; `order` is what its rows are laid out by.

    Raises DeltaError or OSError when the store cannot be listed.
    """
    added = added_files(table)
    sizes = [int(size) for size in added["size_bytes"].to_pylist()]
    stored = list(stored_files(table))
    log = [f for f in stored if f.path.startswith("_delta_log/")]
    versions = sorted(commits(log)) or [table.version()]
    return TableFiles(
        files=len(sizes),
        small=sum(size < SMALL_FILE for size in sizes),
        bytes=sum(sizes),
        rows=sum(n or 0 for n in added["num_records"].to_pylist()),
        depth=depth(ranges(added, order[0])) if order and sizes else 0,
        version=table.version(),
        oldest=versions[0],
        log_files=len(log),
        log_bytes=sum(f.size for f in log),
        past_bytes=max(sum(f.size for f in stored) - sum(f.size for f in log) - sum(sizes), 0),
    )


def added_files(table: DeltaTable) -> pa.Table:
    """Return the files of the loaded version: path, size_bytes, num_records, min.COLUMN and max.COLUMN."""
    return pa.table(table.get_add_actions(flatten=True))


def used_files(table: DeltaTable) -> set[str]:
    """Return the paths, relative to the table's folder, of the files that the loaded version uses."""
    return {unquote(str(path)) for path in pa.table(table.get_add_actions())["path"].to_pylist()}


def small_files(table: DeltaTable) -> int:
    """Return how many files of the loaded version are small."""
    sizes = pa.table(table.get_add_actions())["size_bytes"].to_pylist()
    return sum(int(size) < SMALL_FILE for size in sizes)


def ranges(added: pa.Table, column: str) -> list[tuple[Any, Any]]:
    """Return the (least, greatest) value of a column in each file; files that do not tell are left out."""
    if f"min.{column}" not in added.column_names:
        return []
    pairs = zip(added[f"min.{column}"].to_pylist(), added[f"max.{column}"].to_pylist(), strict=True)
    return [(low, high) for low, high in pairs if low is not None and high is not None]


def depth(found: Iterable[tuple[Any, Any]]) -> int:
    """Return the most ranges that share a value.

    >>> depth([(1, 3), (3, 5), (4, 9), (5, 5), (10, 12)])
    3
    """
    steps = sorted([step for low, high in found for step in ((low, 0), (high, 1))])
    open_now = most = 0
    for _, ends in steps:
        open_now += -1 if ends else 1
        most = max(most, open_now)
    return most


def stored_files(table: DeltaTable) -> Iterator[StoredFile]:
    """Yield every file below a table's folder, its log and what no version uses included."""
    store, base = file_store(table)
    for entry in store.get_file_info(fs.FileSelector(base, recursive=True)):
        if entry.type == fs.FileType.File:
            changed = datetime.fromtimestamp(entry.mtime_ns / 1e9, UTC)
            yield StoredFile(entry.path[len(base) :].lstrip("/"), entry.size, changed)


def file_store(table: DeltaTable) -> tuple[fs.FileSystem, str]:
    """Return the file system a table is in and its folder there."""
    store, base = fs.FileSystem.from_uri(table.table_uri.rstrip("/"))
    return store, str(base).rstrip("/")


def commits(log: Iterable[StoredFile]) -> dict[int, StoredFile]:
    """Return the commits among files of a log, by version."""
    return {int(match[1]): f for f in log if (match := _COMMIT.fullmatch(f.path.removeprefix("_delta_log/")))}


def checkpoints(log: Iterable[StoredFile]) -> list[int]:
    """Return the versions that have a checkpoint, oldest first."""
    found = (_CHECKPOINT.fullmatch(f.path.removeprefix("_delta_log/")) for f in log)
    return sorted({int(match[1]) for match in found if match})
