"""Querying a lake by DuckDB, and what failures of a lake or of PostgreSQL are told as."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from resources.delta_sink import DeltaSink
from resources.embedded_postgres import EmbeddedPostgres
from resources.errors import PlatformError
from resources.lake import file_list, lake_connection, lake_tables, open_table
from resources.lake_place import table_uri
from resources.merge import ColumnSpec, MergeBatch, MergeSpec, Sink
from resources.postgres import Postgres
from resources.postgres_sink import PostgresSink

from .harness import Capture, at, batch, new_spec

FIRST = Capture(1, 0, {0: (0, "ball"), 1: (1, "homer")})


def filled(sink: Sink, spec: MergeSpec) -> None:
    sink.prepare(spec)
    sink.merge(spec, batch(spec, FIRST))


def test_tables_are_views_that_see_every_row_and_column(database: Postgres, lake: str) -> None:
    sink = DeltaSink(lake, database)
    spec, other = new_spec(), new_spec()
    filled(sink, other)
    filled(sink, spec)
    wide = dataclasses.replace(spec, columns=(*spec.columns, ColumnSpec("added", "TEXT")))
    sink.prepare(wide)
    table = batch(spec, Capture(2, 0, {0: (5, 'José\'s "homer"')}))
    rows = table.rows.append_column("added", pa.array(["new"]))
    sink.merge(wide, MergeBatch(rows, table.versions))

    assert list(lake_tables(lake)) == sorted([spec.table, other.table])
    with lake_connection(lake) as connection:
        query = f"SELECT game_pk, play, score, added, source_captured_at FROM {spec.table}"
        assert connection.execute(f"{query} ORDER BY 1, 2").fetchall() == [
            (1, 0, 0, None, at(0)),
            (1, 1, 1, None, at(0)),
            (2, 0, 5, "new", at(0)),
        ]
        assert connection.execute(f"SELECT count(*) FROM {spec.table} WHERE added = 'new'").fetchone() == (1,)
        assert connection.execute(f"SELECT count(*) FROM {spec.table} WHERE note LIKE 'Jos%'").fetchone() == (1,)
        assert connection.execute(
            f"SELECT count(*) FROM {spec.table} WHERE source_captured_at > '2024-05-01'"
        ).fetchone()
        joined = f"SELECT count(*) FROM {spec.table} a JOIN {other.table} b USING (game_pk, play)"
        assert connection.execute(joined).fetchone() == (2,)


def test_a_query_reads_no_file_of_other_tables(database: Postgres, lake: str) -> None:
    sink = DeltaSink(lake, database)
    spec, broken = new_spec(), new_spec()
    filled(sink, spec)
    filled(sink, broken)
    found = open_table(lake, broken.table)
    assert found is not None
    for file in file_list(found):
        Path(file.removeprefix("file://")).write_bytes(b"not parquet")
    with lake_connection(lake) as connection:
        assert connection.execute(f"SELECT count(*) FROM {spec.table}").fetchone() == (2,)
    with lake_connection(lake, [spec.table]) as connection:
        assert connection.execute(f"SELECT count(*) FROM {spec.table}").fetchone() == (2,)
        shown = connection.execute("SELECT view_name FROM duckdb_views() WHERE schema_name = 'game'").fetchall()
        assert shown == [(spec.table.split(".")[1],)]


def test_a_lake_that_is_not_there_is_empty(lake: str, database: Postgres) -> None:
    assert list(lake_tables(lake)) == []
    with lake_connection(lake) as connection:
        assert connection.execute("SELECT count(*) FROM information_schema.tables").fetchone() == (0,)
    spec = new_spec()
    assert DeltaSink(lake, database).states([spec], ["1"]) == {spec.table: {}}


def test_small_merges_leave_few_files(database: Postgres, lake: str) -> None:
    sink, spec = DeltaSink(lake, database), new_spec()
    sink.prepare(spec)
    for game in range(70):
        sink.merge(spec, batch(spec, Capture(game, 0, {0: (0, "x")})))
    table = open_table(lake, spec.table)
    assert table is not None and len(file_list(table)) < 64
    assert sink.fetch(spec).num_rows == 70


def one_line(caught: pytest.ExceptionInfo[PlatformError], *words: str) -> None:
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


def test_a_table_that_was_not_prepared_is_named(light_sinks: list[Sink]) -> None:
    for sink in light_sinks:
        spec = new_spec()
        with pytest.raises(PlatformError) as caught:
            sink.merge(spec, batch(spec, FIRST))
        one_line(caught, spec.table.split(".")[1], "prepare it first")


@pytest.fixture
def light_sinks(database: Postgres, lake: str) -> list[Sink]:
    return [PostgresSink(database), DeltaSink(lake, database)]


def test_a_lake_below_a_file_is_told_in_one_line(tmp_path: Path, database: Postgres) -> None:
    (tmp_path / "file").write_text("in the way")
    spec = new_spec()
    with pytest.raises(PlatformError) as caught:
        DeltaSink(str(tmp_path / "file"), database).prepare(spec)
    one_line(caught, str(tmp_path / "file"))


READ_ONLY_CHILD = """
import os, sys
sys.path[:0] = [sys.argv[4], sys.argv[4] + "/tests"]
from resources.delta_sink import DeltaSink
from resources.errors import PlatformError
from resources.postgres import Postgres
from sinks.harness import Capture, batch, new_spec
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
spec = new_spec(table=sys.argv[3])
try:
    DeltaSink(sys.argv[1], Postgres(sys.argv[2])).merge(spec, batch(spec, Capture(2, 0, {0: (1, "x")})))
except PlatformError as error:
    print(f"told: {error}")
"""


def test_a_read_only_lake_is_told_in_one_line_and_nothing_is_noted_as_merged(database: Postgres) -> None:
    with tempfile.TemporaryDirectory(prefix="mlb-lake-") as folder:
        os.chmod(folder, 0o755)
        lake, spec = f"{folder}/lake", new_spec()
        sink = DeltaSink(lake, database)
        filled(sink, spec)
        for path in [Path(folder), *Path(folder).rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        root = str(Path(__file__).parents[2])
        arguments = [sys.executable, "-c", READ_ONLY_CHILD, lake, database.url, spec.table, root]
        child = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd="/")
        for path in [Path(folder), *Path(folder).rglob("*")]:
            path.chmod(0o755)
        assert child.stdout.startswith("told: ") and child.stdout.count("\n") == 1, child.stderr
        assert table_uri(lake, spec.table) in child.stdout and "is not writable" in child.stdout
        assert "2" not in sink.states([spec], ["1", "2"])[spec.table]
        assert DeltaTable(table_uri(lake, spec.table)).version() == 1


@pytest.fixture
def own_server() -> Iterator[tuple[EmbeddedPostgres, Postgres]]:
    with tempfile.TemporaryDirectory(prefix="mlb-sinks-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres", Path(folder) / "logs")
        postgres = Postgres(server.ensure_running())
        yield server, postgres
        postgres.close()
        server.stop()


def test_postgres_gone_between_commit_and_state_is_told_and_heals(
    own_server: tuple[EmbeddedPostgres, Postgres], lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resources import delta_sink

    server, postgres = own_server
    sink, spec = DeltaSink(lake, postgres), new_spec()
    filled(sink, spec)
    real = delta_sink.deltalake_engine

    def commit_and_lose_the_server(*arguments: object) -> object:
        applied = real(*arguments)  # type: ignore[arg-type]
        server.stop()
        return applied

    monkeypatch.setattr(delta_sink, "deltalake_engine", commit_and_lose_the_server)
    newer = Capture(1, 5, {0: (9, "newer")})
    with pytest.raises(PlatformError) as caught:
        sink.merge(spec, batch(spec, newer))
    one_line(caught, "PostgreSQL at")
    monkeypatch.undo()
    again = Postgres(server.ensure_running())
    assert DeltaSink(lake, again).states([spec], ["1"])[spec.table]["1"].observed_at == at(5)
    again.close()
