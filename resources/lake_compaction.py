"""Putting a table's small files together, so that they stay few and a query for a date reads one or two of them.

Rows stay in the order in which they were merged, which for a season is the order of dates, so the files' ranges of
dates hardly overlap. Where they do, as when dates came in any order, the table is sorted by its layout column once.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from deltalake import DeltaTable, PostCommitHookProperties, WriterProperties
from deltalake.exceptions import CommitFailedError, DeltaError

from resources.lake import LakeError, lake_error, open_table
from resources.lake_files import TableFiles, added_files, depth, measure, ranges, small_files
from resources.lake_history import HISTORY_DAYS, Swept, keep_history
from resources.lake_place import table_uri

TARGET_BYTES = 16 << 20
"""Size of the files made: a merge that changes a row writes the row's file anew, so they are not larger."""
ROW_GROUP = 1 << 16
"""Rows a row group: engines that read a date skip the groups without it."""
FEW, MANY = 8, 64
"""Small files from which on they are put together: by the compaction of a lake, and by a merge itself."""
DEEP = 4
"""Files that may have to be read for one value of the layout column before the table is sorted."""
ATTEMPTS, FIRST_PAUSE = 4, 0.5
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Compaction:
    """What compacting a table did."""

    table: str
    before: TableFiles
    after: TableFiles
    did: str
    """`compacted`, `sorted`, or `nothing to do`."""
    seconds: float
    swept: Swept = field(default_factory=Swept)
    gave_way: str = ""
    """Why it is not done: writers committed first each time. Another time will do."""


def compact_table(
    lake: str, table: str, order: Sequence[str] = (), *, history_days: int = HISTORY_DAYS, now: datetime | None = None
) -> Compaction:
    """Put the small files of a table together, sort it where it must be, and remove what is older than its history.

    `order`: the columns that rows are laid out by, the one that queries ask for first. Rows, versions and change data
    of the last `history_days` stay as they are. Writers go first: a conflict is tried again some times, then `gave_way`
    says so. Raises LakeError when the table is not there or the store fails.
    """
    opened = open_table(lake, table)
    if opened is None:
        raise LakeError(f"Delta table {table_uri(lake, table)} does not exist")
    started = time.perf_counter()
    try:
        before = measure(opened, order)
        did, gave_way = _laid_out(opened, order)
        swept = Swept()
        if not gave_way:
            try:
                swept = keep_history(DeltaTable(opened.table_uri), history_days, now or datetime.now(UTC))
            except CommitFailedError as error:
                gave_way = _told(error)
        after = measure(DeltaTable(opened.table_uri), order)
    except (DeltaError, OSError) as error:
        raise lake_error(opened.table_uri, error) from error
    return Compaction(table, before, after, did, time.perf_counter() - started, swept, gave_way)


def keep_few(table: DeltaTable) -> None:
    """Put small files together once there are MANY; another writer's commit comes first, then it waits for the next."""
    if len(table.file_uris()) < MANY or small_files(table) < MANY:
        return
    try:
        _put_together(table)
    except (DeltaError, OSError) as error:
        _log.info("%s: files were not put together this time: %s", table.table_uri, error)


def _laid_out(table: DeltaTable, order: Sequence[str]) -> tuple[str, str]:
    """Put files together and sort where needed; return what was done and, where others came first, what they did."""
    did, pause = "nothing to do", FIRST_PAUSE
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if small_files(table) >= FEW:
                _put_together(table)
                did, table = "compacted", DeltaTable(table.table_uri)
            if order and depth(ranges(added_files(table), order[0])) > DEEP:
                table.optimize.z_order(list(order[:1]), target_size=TARGET_BYTES, **_properties())
                did = "sorted"
            return did, ""
        except CommitFailedError as error:
            _log.info("%s: a writer was first (attempt %s): %s", table.table_uri, attempt, error)
            if attempt == ATTEMPTS:
                return did, _told(error)
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause, table = pause * 2, DeltaTable(table.table_uri)
    raise AssertionError("unreachable")


def _put_together(table: DeltaTable) -> None:
    table.optimize.compact(target_size=TARGET_BYTES, **_properties())


def _properties() -> dict[str, Any]:
    return {
        "writer_properties": WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP),
        "post_commithook_properties": PostCommitHookProperties(cleanup_expired_logs=False),
    }


def _told(error: Exception) -> str:
    return f"writers were first each time ({' '.join(str(error).split())[:200]})"
