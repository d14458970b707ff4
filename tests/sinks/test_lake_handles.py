"""A table of a lake that stays open shows what there is now, whoever wrote it, also where the lake was made anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from resources.lake import duckdb_source
from resources.lake_handles import opened
from resources.lake_place import table_uri

NAME = "game.plays"


def write(lake: Path, *values: int) -> None:
    """Append a commit with some rows, as another process would."""
    write_deltalake(table_uri(str(lake), NAME), pa.table({"play": pa.array(values, pa.int64())}), mode="append")


def plays(table: DeltaTable | None) -> list[int] | None:
    """Return the rows of a table, in order."""
    return None if table is None else sorted(table.to_pyarrow_table().column("play").to_pylist())


def test_commits_of_others_are_seen_and_the_log_is_not_read_again(tmp_path: Path) -> None:
    with opened(str(tmp_path), NAME) as absent:
        assert absent is None
    write(tmp_path, 1)
    with opened(str(tmp_path), NAME) as first:
        assert plays(first) == [1]
    write(tmp_path, 2)
    with opened(str(tmp_path), NAME) as second:
        assert plays(second) == [1, 2]
    assert second is first


def test_each_use_has_a_table_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with opened(str(tmp_path), NAME) as one, opened(str(tmp_path), NAME) as other:
        assert one is not other
        write(tmp_path, 2)
        assert plays(one) == plays(other) == [1], "what is in use stays as it was given"


def test_a_lake_that_was_removed_and_made_anew_is_another_one(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with opened(str(tmp_path), NAME) as before:
        assert plays(before) == [1]
    shutil.rmtree(tmp_path / "normalized")
    with opened(str(tmp_path), NAME) as gone:
        assert gone is None
    write(tmp_path, 7)
    with opened(str(tmp_path), NAME) as before:
        assert plays(before) == [7]
    shutil.rmtree(tmp_path / "normalized")
    write(tmp_path, 8)  # the same version number at once, in files of the same names
    with opened(str(tmp_path), NAME) as after:
        assert plays(after) == [8]


def test_a_table_is_opened_anew_after_an_error(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with pytest.raises(ValueError, match="in between"), opened(str(tmp_path), NAME) as one:
        raise ValueError("in between")
    with opened(str(tmp_path), NAME) as other:
        assert other is not one and plays(other) == [1]


@pytest.mark.parametrize("name", ["plain", "with space", "José's", "a#b&c"])
def test_duckdb_reads_the_files_wherever_a_lake_lies(tmp_path: Path, name: str) -> None:
    lake = tmp_path / name
    write(lake, 1, 2)
    write(lake, 3)
    with opened(str(lake), NAME) as table, duckdb.connect() as database:
        assert table is not None
        source = duckdb_source(database, table)
        assert database.execute(f"SELECT count(*), sum(play) FROM {source}").fetchone() == (3, 6)


def test_a_table_without_files_has_nothing_to_read(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with opened(str(tmp_path), NAME) as table, duckdb.connect() as database:
        assert table is not None
        table.delete()
        assert duckdb_source(database, table) is None
