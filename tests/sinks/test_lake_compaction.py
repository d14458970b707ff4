"""Compaction changes no row and no version that is still to be read, gives way to writers, may be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from resources import lake_compaction, lake_files, lake_history
from resources.delta_changes import read_changes, read_version
from resources.delta_sink import DeltaSink
from resources.delta_sink_schema import is_current
from resources.errors import PlatformError
from resources.lake import open_table
from resources.lake_compaction import MANY, Compaction, compact_table
from resources.lake_history import LOG_RETENTION, retention
from resources.lake_place import table_uri
from resources.merge import MergeSpec
from resources.postgres import Postgres

from .harness import MAY_1, Capture, batch, business, new_spec

ORDER = ("game_date", "game_pk")
NOW = datetime.now(UTC)


@pytest.fixture
def lake(tmp_path: Path) -> str:
    """A folder whose name is written otherwise in an address."""
    return str(tmp_path / "a lake 8%")


@pytest.fixture
def sink(database: Postgres, lake: str) -> DeltaSink:
    return DeltaSink(lake, database)


@pytest.fixture
def spec(sink: DeltaSink) -> MergeSpec:
    made = new_spec()
    sink.prepare(made)
    return made


def capture(game: int, minute: float = 0, *, day: date = MAY_1, plays: int = 3) -> Capture:
    rows = {play: (play, f"{game} at {minute}") for play in range(plays)}
    return Capture(game, minute, rows, day, content_hash=f"{game} {minute} {day} {plays}")


def merge(sink: DeltaSink, spec: MergeSpec, *captures: Capture) -> None:
    sink.merge(spec, batch(spec, *captures))


def opened(lake: str, spec: MergeSpec) -> DeltaTable:
    table = open_table(lake, spec.table)
    assert table is not None
    return table


def everything(sink: DeltaSink, spec: MergeSpec) -> list[dict[str, Any]]:
    """All rows with all columns, technical ones included."""
    return sorted(sink.fetch(spec).to_pylist(), key=lambda row: (row["game_pk"], row["play"]))


def test_every_row_and_column_stays_and_a_second_time_nothing_is_done(
    sink: DeltaSink, spec: MergeSpec, lake: str
) -> None:
    for game in range(20):
        merge(sink, spec, capture(game, day=MAY_1 + timedelta(days=game)))
    merge(sink, spec, capture(3, 5, plays=2, day=MAY_1 + timedelta(days=3)))
    before, files = everything(sink, spec), len(opened(lake, spec).file_uris())
    done = compact_table(lake, spec.table, ORDER)
    assert (done.did, done.gave_way, done.before.files, done.after.files) == ("compacted", "", files, 1)
    assert done.after.rows == done.after.rows_a_file == len(before) and done.after.bytes < done.before.bytes
    assert done.after.versions == done.before.versions + 1 and done.after.past_bytes >= done.before.bytes
    assert everything(sink, spec) == before
    version = opened(lake, spec).version()
    again = compact_table(lake, spec.table, ORDER)
    assert again.did == "nothing to do" and opened(lake, spec).version() == version
    merge(sink, spec, capture(3, 9, day=MAY_1 + timedelta(days=3)))
    assert len(everything(sink, spec)) == 60


def test_merges_keep_small_files_few_and_leave_large_ones_alone(
    sink: DeltaSink, spec: MergeSpec, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0
    for game in range(2 * MANY + 5):
        merge(sink, spec, capture(game, plays=1))
        most = max(most, len(opened(lake, spec).file_uris()))
    assert most < MANY and opened(lake, spec).version() == 2 * MANY + 5 + 2
    monkeypatch.setattr(lake_files, "SMALL_FILE", 0)
    for game in range(1000, 1000 + MANY + 5):
        merge(sink, spec, capture(game, plays=1))
    large = opened(lake, spec)
    assert len(large.file_uris()) > MANY and {c["operation"] for c in large.history(MANY)} == {"WRITE"}


def test_dates_in_any_order_are_sorted_once(
    sink: DeltaSink, spec: MergeSpec, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_files, "SMALL_FILE", 0)
    monkeypatch.setattr(lake_compaction, "TARGET_BYTES", 4096)
    monkeypatch.setattr(lake_compaction, "ROW_GROUP", 50)
    days = [MAY_1 + timedelta(days=n) for n in range(40)]
    for n in range(10):
        merge(sink, spec, *(capture(100 * n + k, day=day, plays=4) for k, day in enumerate(days[n::10])))
    before = everything(sink, spec)
    done = compact_table(lake, spec.table, ORDER)
    assert done.did == "sorted" and done.before.depth > lake_compaction.DEEP >= done.after.depth
    assert everything(sink, spec) == before
    assert compact_table(lake, spec.table, ORDER).did == "nothing to do"


def test_merges_beside_a_compaction_all_come_through(database: Postgres, lake: str, spec: MergeSpec) -> None:
    sink, failed = DeltaSink(lake, database), []
    for game in range(30):
        merge(sink, spec, capture(game))

    def write() -> None:
        own = DeltaSink(lake, database)
        try:
            for minute in range(1, 13):
                merge(own, spec, capture(minute % 4, minute), capture(100 + minute))
        except PlatformError as error:
            failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    done = [compact_table(lake, spec.table, ORDER)]
    while thread.is_alive():
        done.append(compact_table(lake, spec.table, ORDER))
    thread.join()
    assert not failed and compact_table(lake, spec.table, ORDER).gave_way == ""
    newest = [capture(g, {0: 12, 1: 9, 2: 10, 3: 11}.get(g, 0)) for g in range(30)]
    newest += [capture(100 + minute) for minute in range(1, 13)]
    assert business(spec, sink.fetch(spec)) == business(spec, batch(spec, *newest).rows)


def test_it_gives_way_to_a_writer_that_is_first_each_time(
    sink: DeltaSink, spec: MergeSpec, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for game in range(12):
        merge(sink, spec, capture(game))
    real, minutes = lake_compaction._put_together, iter(range(1, 100))

    def after_a_merge(table: DeltaTable) -> None:
        merge(sink, spec, capture(0, next(minutes)))
        real(table)

    monkeypatch.setattr(lake_compaction, "_put_together", after_a_merge)
    monkeypatch.setattr(lake_compaction, "FIRST_PAUSE", 0)
    done = compact_table(lake, spec.table, ORDER)
    assert "writers were first" in done.gave_way and done.did == "nothing to do"
    last = next(minutes) - 1
    assert last == lake_compaction.ATTEMPTS
    monkeypatch.undo()
    assert compact_table(lake, spec.table, ORDER).did == "compacted"
    assert business(spec, sink.fetch(spec)) == business(
        spec, batch(spec, capture(0, last), *(capture(game) for game in range(1, 12))).rows
    )


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from resources.lake_compaction import compact_table
folder = Path(sys.argv[3])
known = set(folder.glob("*.parquet"))
def watch():
    while set(folder.glob("*.parquet")) == known:
        pass
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=watch, daemon=True).start()
compact_table(sys.argv[1], sys.argv[2])
"""


def test_killed_while_it_writes_nothing_is_lost(sink: DeltaSink, spec: MergeSpec, lake: str) -> None:
    for game in range(10):
        merge(sink, spec, capture(game, plays=3000))
    before, folder = everything(sink, spec), Path(table_uri(lake, spec.table))
    child = subprocess.run(
        [sys.executable, "-c", KILLED, lake, spec.table, str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert child.returncode == -9
    assert everything(sink, spec) == before
    done = compact_table(lake, spec.table, ORDER)
    assert done.after.files == 1 and everything(sink, spec) == before
    used = {Path(uri).name for uri in opened(lake, spec).file_uris()}
    left = [p for p in folder.glob("*.parquet") if p.name not in used]
    for path in left:
        os.utime(path, ((NOW - timedelta(days=8)).timestamp(),) * 2)
    kept = compact_table(lake, spec.table, ORDER)
    assert kept.swept.files <= 1, "only what the killed one left: the rest is of versions that are kept"
    assert version_rows(lake, spec, 10) == version_rows(lake, spec, opened(lake, spec).version())


def version_rows(lake: str, spec: MergeSpec, version: int) -> list[tuple[Any, ...]]:
    games = [str(game) for game in range(200)]
    return business(spec, read_version(opened(lake, spec), spec, version, games, spec.column_names))


@pytest.fixture
def aged(sink: DeltaSink, spec: MergeSpec, lake: str) -> Iterator[dict[int, int]]:
    """Merges of 120 days: age in days by version; each rewrites game 0 and adds one, and some were compacted."""
    folder, ages, seen = Path(table_uri(lake, spec.table)), {0: 123}, set[Path]()
    for number in range(60):
        age = 121 - 2 * number
        merge(sink, spec, capture(0, number), capture(number + 1))
        if number % 20 == 19:
            compact_table(lake, spec.table, ORDER)
        for version in range(max(ages) + 1, opened(lake, spec).version() + 1):
            ages[version] = age
        then = (NOW - timedelta(days=age)).timestamp()
        for path in set(folder.rglob("*.*")) - seen:
            os.utime(path, (then, then))
            seen.add(path)
    yield ages


def test_time_travel_within_the_history_stays_and_what_is_older_goes(
    sink: DeltaSink, spec: MergeSpec, lake: str, aged: dict[int, int]
) -> None:
    table = opened(lake, spec)
    kept = [v for v, age in aged.items() if age <= 30]
    in_force = max(v for v, age in aged.items() if age > 30)
    told = {v: version_rows(lake, spec, v) for v in [in_force, *kept]}
    changed = read_changes(table, spec, kept, ["game_pk", "play", "note"], None).sort_by(
        [("_commit_version", "ascending"), ("game_pk", "ascending"), ("play", "ascending"), ("note", "ascending")]
    )
    files = len(list(Path(table_uri(lake, spec.table)).rglob("*.parquet")))
    done = compact_table(lake, spec.table, ORDER, history_days=30)
    assert done.swept.files > 10 and done.swept.log_files > 10 and not done.swept.trouble, done.swept
    assert len(list(Path(table_uri(lake, spec.table)).rglob("*.parquet"))) < files
    assert {v: version_rows(lake, spec, v) for v in told} == told
    table = opened(lake, spec)
    assert (
        read_changes(table, spec, kept, ["game_pk", "play", "note"], None).sort_by(
            [("_commit_version", "ascending"), ("game_pk", "ascending"), ("play", "ascending"), ("note", "ascending")]
        )
        == changed
    )
    assert table.metadata().configuration[LOG_RETENTION] == retention(30)
    version = table.version()
    assert is_current(table, spec), "a merge does not put the setting back"
    assert compact_table(lake, spec.table, ORDER, history_days=30).swept.files == 0
    assert opened(lake, spec).version() == version
    merge(sink, spec, capture(0, 999))
    assert len(everything(sink, spec)) == 3 * 61


def test_two_compactions_at_once_remove_the_past_together(
    spec: MergeSpec, lake: str, aged: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand beside the schedule: what the other one has removed meanwhile is no trouble of the lake."""
    real, others = lake_history._needed, list[Compaction]()

    def after_another(*asked: Any) -> set[str]:
        found = real(*asked)
        monkeypatch.setattr(lake_history, "_needed", real)
        others.append(compact_table(lake, spec.table, ORDER, history_days=30))
        return found

    in_force = max(v for v, age in aged.items() if age > 30)
    told = version_rows(lake, spec, in_force)
    monkeypatch.setattr(lake_history, "_needed", after_another)
    done = compact_table(lake, spec.table, ORDER, history_days=30)
    assert others[0].swept.files > 10 and not done.swept.trouble
    assert (done.swept.files, done.swept.bytes) == (0, 0), "counted once"
    assert version_rows(lake, spec, in_force) == told


def test_by_default_everything_of_a_year_stays(spec: MergeSpec, lake: str, aged: dict[int, int]) -> None:
    told = {v: version_rows(lake, spec, v) for v in aged if v % 7 == 1}
    done = compact_table(lake, spec.table, ORDER)
    assert done.swept == lake_compaction.Swept() and done.after.oldest == 0
    assert {v: version_rows(lake, spec, v) for v in told} == told


def test_nothing_is_removed_where_an_old_version_cannot_be_told(
    spec: MergeSpec, lake: str, aged: dict[int, int]
) -> None:
    folder = Path(table_uri(lake, spec.table))
    opened(lake, spec).create_checkpoint()
    (folder / "_delta_log" / f"{max(aged) - 2:020}.json").unlink()
    before = set(folder.glob("*.parquet"))
    done = compact_table(lake, spec.table, ORDER, history_days=30)
    assert done.swept.files == 0 and "were let be" in done.swept.trouble
    assert set(folder.glob("*.parquet")) == before


def test_a_table_that_is_not_there_is_named(lake: str) -> None:
    with pytest.raises(PlatformError, match="does not exist"):
        compact_table(lake, "game.none", ORDER)
