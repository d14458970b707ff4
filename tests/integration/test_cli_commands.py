"""Commands on a real database and lake, with a small mapping: what they do, print and return."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from mlb_platform.cli.main import run
from mlb_platform.settings import load_settings
from resources.postgres import Postgres
from resources.raw_store import RawStore
from tests.helpers import SMALL, fresh_database, game

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NAME = "small/game_v1"
ROOT = Path(__file__).parents[2]


class Shell:
    """Runs `mlb` in a home of its own and keeps what it printed."""

    def __init__(self, folder: Path, captured: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._captured = captured
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        """Run one command and return its exit code."""
        self._captured.readouterr()
        code = run(list(arguments))
        self.out, self.err = self._captured.readouterr()
        assert "Traceback" not in self.out + self.err
        return code

    def put(self, minute: int, *documents: dict[str, Any]) -> int:
        """Ingest documents captured at a minute of 2024-05-02."""
        folder = self.folder / f"captured_{minute}"
        folder.mkdir()
        for n, document in enumerate(documents):
            (folder / f"{n}.json").write_text(json.dumps(document), "utf-8")
        given = ["--endpoint", "small", "--method", "game_v1", "--captured-at", f"2024-05-02T00:{minute:02}:00Z"]
        return self("ingest", "captures", str(folder), *given)

    def count(self, table: str, *options: str) -> int:
        """Return the rows of a table as `mlb sql` counts them."""
        assert self("sql", f"SELECT count(*) AS n FROM {table}", "--format", "json", *options) == 0
        return int(json.loads(self.out)[0]["n"])

    def row(self, table: str) -> list[str]:
        """Return the cells of a table's line in what was printed last."""
        return next(line.split() for line in self.out.splitlines() if line.strip().startswith(table + " "))


@pytest.fixture
def mlb(
    database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Shell:
    """A home with one small mapping, on an empty database."""
    jars = load_settings().jars
    home = tmp_path / "home"
    home.mkdir()
    (home / "jars").symlink_to(jars)
    file = tmp_path / "mappings" / "small" / "game_v1.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(SMALL, "utf-8")
    for name, value in {"HOME": home, "MAPPINGS": file.parents[1], "DATABASE_URL": database.url}.items():
        monkeypatch.setenv(f"MLB_{name}", str(value))
    return Shell(tmp_path, capfd)


def test_ingest_says_how_many_of_each(mlb: Shell) -> None:
    """The last line counts; a repeat is not stored twice; what is rejected makes the exit code 1."""
    assert mlb.put(0, game(1), game(2)) == 0
    assert mlb.out.strip().endswith("2 stored, 0 repeated (already there), 0 rejected")
    assert mlb("ingest", "captures", str(mlb.folder / "captured_0")) == 1
    assert "has no INDEX.tsv, so its files need --endpoint, --method, --captured-at" in mlb.err
    assert mlb.put(1, game(1), {}, game(3)) == 1
    assert "rejected" in mlb.err
    assert mlb.out.strip().endswith("2 stored, 0 repeated (already there), 1 rejected")
    assert mlb("ingest", "captures", str(mlb.folder / "absent")) == 1
    assert mlb.err.count("\n") == 1 and "absent does not exist" in mlb.err
    assert mlb("ingest", "captures", str(mlb.folder), "--mapping", "small/other") == 2
    assert "no mapping 'small/other'; there are: small/game_v1" in mlb.err


def test_what_was_dropped_by_hand_is_filled_again(mlb: Shell, database: Postgres, spark: SparkSession) -> None:
    """A column, or a table: nothing new has to come for the next materialization to notice; looking writes nothing."""
    mlb.put(0, game(1, [(1, 0, "a"), (2, 1, "b")]), game(2, [(1, 0, "c")]))
    assert mlb("materialize", "--mapping", NAME) == 0, mlb.err
    for dropped in ("COLUMN", "TABLE"):
        drop = "ALTER TABLE small.plays DROP COLUMN note" if dropped == "COLUMN" else "DROP TABLE small.plays"
        with database.transaction() as connection:
            connection.execute(drop.encode())
        assert mlb("materialize", "--mapping", NAME, "--dry-run") in (0, 1)
        assert mlb("sql", "SELECT note FROM small.plays") == 1
        assert mlb("materialize", "--mapping", NAME) == 0, mlb.err
        assert "nothing to do" not in mlb.out
        assert mlb.count("small.plays WHERE note IS NOT NULL") == 3


def test_materialize_status_and_quarantine(mlb: Shell, spark: SparkSession) -> None:
    """Tables are filled, a second run changes nothing, a failing capture is held, shown, released and then merged."""
    assert mlb("materialize", "--mapping", NAME) == 1
    assert "small.game_v1 has no raw rows: ingest captures" in mlb.err
    mlb.put(0, game(1, [(1, 0, "a"), (2, 1, "b")]), game(2, [(1, 0, "c")]))
    assert mlb("materialize", "--mapping", NAME, "--dry-run") == 0
    assert "2024-05-01  2 games to merge: 1, 2" in mlb.out
    assert mlb("sql", "SELECT 1 FROM small.plays") == 1

    assert mlb("materialize", "--mapping", NAME, "--from", "2024-05-01", "--to", "2024-05-02") == 0, mlb.err
    assert mlb.row("small.plays")[1:6] == ["3", "3", "0", "0", "0"]
    assert "error rules 2 of 2, warn rules 2 of 2, parity 2 of 2" in mlb.out
    assert mlb.count("small.plays") == mlb.count("small.plays", "--lake") == 3
    assert mlb("materialize", "--mapping", NAME) == 0
    assert "nothing to do" in mlb.out and mlb.row("small.plays")[1:6] == ["3", "0", "0", "3", "0"]
    assert mlb("materialize", "--mapping", NAME, "--from", "2023-01-01", "--to", "2023-01-31") == 1
    assert "has no raw rows for 2023-01-01 to 2023-01-31" in mlb.err
    assert mlb("materialize", "--mapping", NAME, "--game-pk", "9") == 1
    assert "no capture of game 9: ingest it first" in mlb.err
    assert mlb("materialize", "--mapping", NAME, "--table", "small.game") == 2
    assert "close to it: small.games" in mlb.err

    mlb.put(5, game(1, [(1, -1, "a"), (2, 1, "b"), (3, 0, "d")]), game(2, [(1, 0, "c"), (2, 9, "e")]))
    assert mlb("materialize", "--mapping", NAME) == 1
    assert "✗ held back: game 1, raw row" in mlb.out and "its previous good capture stays" in mlb.out
    assert "1 row of small.plays break runs_possible (warn)" in mlb.out
    assert mlb.count("small.plays") == 4
    assert mlb("status") == 0
    assert "2 to be merged" not in mlb.out and "1 with captures held back" in mlb.out and "newest good" in mlb.out
    assert mlb("quarantine", "list") == 0
    raw_id = next(line.split()[0] for line in mlb.out.splitlines() if "runs_positive" in line)
    assert mlb("quarantine", "show", raw_id) == 0
    assert "runs_positive, 1 row" in mlb.out and '"runs": -1' in mlb.out
    assert mlb("quarantine", "show", "999") == 1
    assert mlb("quarantine", "release", raw_id) == 0
    assert f"mlb materialize --mapping {NAME} --game-pk 1" in mlb.out
    assert mlb("materialize", "--mapping", NAME, "--game-pk", "1") == 0
    assert mlb.count("small.plays") == mlb.count("small.plays", "--lake") == 5
    assert mlb("status") == 0
    assert "0 to be merged, 0 with captures held back" in mlb.out


def test_status_names_games_whose_rows_lie_under_another_date(
    mlb: Shell, spark: SparkSession, database: Postgres
) -> None:
    """As when a feed tells another date of a box score: what is merged is the newest, but has to be merged again."""
    mlb.put(0, game(1, [(1, 0, "a")]), game(2, [(1, 0, "c")]))
    assert mlb("materialize", "--mapping", NAME) == 0
    with database.transaction() as connection:
        connection.execute("UPDATE small.game_v1 SET partition_date = '2024-05-03' WHERE entity_key = '1'")
    assert mlb("status") == 0
    assert "1 to be merged" in mlb.out and mlb.row("2024-05-01")[-2:] == ["newest", "newest"]
    assert " ".join(mlb.row("2024-05-03")).count("newest, under another date") == 2


def test_what_cannot_be_stored_is_not_released(mlb: Shell, spark: SparkSession) -> None:
    """Two differing rows with one key: release says why not, and nothing changes."""
    mlb.put(0, game(1, [(1, 0, "a"), (1, 1, "b")]))
    assert mlb("materialize", "--mapping", NAME) == 1
    assert "it has no good capture yet" in mlb.out
    assert mlb("quarantine", "list") == 0
    raw_id = next(line.split()[0] for line in mlb.out.splitlines() if "unique_key" in line)
    assert mlb("quarantine", "release", raw_id) == 1
    assert "cannot be released: it breaks unique_key of small.plays, so differing rows share a key" in mlb.err
    assert mlb("quarantine", "list") == 0 and "1 capture;" in mlb.out


def test_a_release_tells_where_nothing_is_merged_by_it(mlb: Shell, spark: SparkSession) -> None:
    """Another rule still holds the capture, or a newer one goes before it; released once more it says the same."""

    def held(rule: str) -> str:
        assert mlb("quarantine", "list") == 0
        return next(line.split()[0] for line in mlb.out.splitlines() if rule in line)

    mlb.put(0, game(1, [(1, -1, "a"), (1, 1, "b")]))
    assert mlb("materialize", "--mapping", NAME) == 1
    assert mlb("quarantine", "release", held("runs_positive"), "--rule", "runs_positive") == 0
    assert "still held back by unique_key" in mlb.out and "mlb materialize" not in mlb.out
    mlb.put(1, game(1, [(1, -1, "a")]))
    assert mlb("materialize", "--mapping", NAME) == 1
    raw_id = held("runs_positive")
    mlb.put(2, game(1, [(1, 1, "b")]))
    assert mlb("materialize", "--mapping", NAME) == 0
    newest = str(int(raw_id) + 1)
    for _ in range(2):
        assert mlb("quarantine", "release", raw_id) == 0
        assert f"raw row {newest} is newer and not held back" in mlb.out and "mlb materialize" not in mlb.out


def test_a_backup_is_restored_into_an_empty_database(
    mlb: Shell, database: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the pg_dump that the platform brings, however old that of the machine is; raw rows are there as they were."""
    mlb.put(0, game(1, [(1, 0, "a")]), game(2))
    backup = mlb.folder / "backup.sql"
    program = [sys.executable, "-m", "mlb_platform.cli.main", "db"]
    with fresh_database(database) as empty:
        for url, do in ((database.url, ["dump", "--"]), (empty.url, ["psql", "--", "-q", "-v", "ON_ERROR_STOP=1"])):
            monkeypatch.setenv("MLB_DATABASE_URL", url)
            done = subprocess.run([*program, *do, "-f", backup], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
        rows, _ = RawStore(empty).rows_after("small.game_v1", None, 10)
        assert [r.entity_key for r in rows] == ["1", "2"]


def test_sql_prints_tables_csv_and_json(mlb: Shell) -> None:
    """Types are printed as people write them, in every format."""
    query = (
        "SELECT 1 AS a, 1.50::numeric AS b, NULL AS c, true AS d, timestamptz '2024-07-01 01:02:03+00' AS e, "
        "'x,[red]y'::text AS f, '{\"k\": [1]}'::jsonb AS g"
    )
    assert mlb("sql", query, "--format", "csv") == 0
    rows = list(csv.reader(io.StringIO(mlb.out)))
    assert rows == [list("abcdefg"), ["1", "1.50", "", "true", "2024-07-01 01:02:03Z", "x,[red]y", '{"k": [1]}']]
    assert mlb("sql", query, "--format", "json") == 0
    expected = {"a": 1, "b": 1.5, "c": None, "d": True, "e": "2024-07-01T01:02:03Z", "f": "x,[red]y", "g": {"k": [1]}}
    assert json.loads(mlb.out) == [expected]
    assert mlb("sql", query) == 0
    assert "NULL" in mlb.out and "x,[red]y" in mlb.out and "1 row" in mlb.out
    assert mlb("sql", "SELECT generate_series(1, 200)") == 0
    assert "only the first 100 rows are shown" in mlb.err and "100 rows" in mlb.out
    assert mlb("sql", "SELECT generate_series(1, 200)", "--format", "csv") == 0
    assert len(mlb.out.splitlines()) == 201
    assert mlb("sql", "SELECT 1 AS a WHERE false", "--format", "json") == 0 and json.loads(mlb.out) == []
    assert mlb("sql", "--lake", "SELECT 1 + 1 AS two", "--format", "json") == 0
    assert json.loads(mlb.out) == [{"two": 2}]


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE small.game_v1", "DELETE FROM small.game_v1", "SET default_transaction_read_only = off; DROP TABLE x"],
)
def test_sql_only_reads(mlb: Shell, statement: str) -> None:
    """What would change something is refused in one line."""
    mlb.put(0, game(1))
    assert mlb("sql", statement) == 1
    assert len(mlb.err.strip().splitlines()) == 1
    assert mlb.count("small.game_v1") == 1


@pytest.mark.parametrize(
    "statement", ["", ";", "-- a note", "SELECT 1; SELECT 2", "BEGIN", "COPY (SELECT 1) TO STDOUT"]
)
def test_what_is_no_statement_that_gives_rows_is_told_so(mlb: Shell, statement: str) -> None:
    """Not in the words of the database's client."""
    assert mlb("sql", "--", statement) == 1
    assert "runs one statement that reads PostgreSQL" in mlb.err and mlb.err.count("\n") == 1


def test_a_statement_without_rows_runs_once(mlb: Shell) -> None:
    """What its columns are called is asked without running it again."""
    slow = "SELECT 1 AS a, 2 AS b FROM (SELECT pg_sleep(1)::text AS s OFFSET 0) AS slow WHERE s = 'never'"
    begun = time.monotonic()
    assert mlb("sql", slow, "--format", "csv") == 0
    assert mlb.out == "a,b\n"
    assert time.monotonic() - begun < 1.9


@pytest.mark.parametrize(
    "statement",
    ["COPY (SELECT 1) TO '{}'", "EXPLAIN ANALYZE COPY (SELECT 1) TO '{}'", "SELECT 1; COPY (SELECT 1) TO '{}'"],
)
def test_sql_only_reads_the_lake(mlb: Shell, statement: str) -> None:
    """DuckDB could write files; what would is refused in one line."""
    written = mlb.folder / "written.csv"
    assert mlb("sql", "--lake", statement.format(written)) == 1
    assert "one statement that reads" in mlb.err and mlb.err.count("\n") == 1
    assert not written.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "EXPLAIN SELECT 1",
        "-- a note\nEXPLAIN ANALYZE SELECT 1", "/* a note */ SELECT 1;", "EXPLAIN (FORMAT json) SELECT 1",
        "PIVOT (SELECT 1 AS a, 'x' AS b) ON b USING sum(a)", "DESCRIBE SELECT 1", "FROM range(3)",
    ],
)  # fmt: skip
def test_sql_reads_the_lake_in_every_way_that_duckdb_has(mlb: Shell, statement: str) -> None:
    """Notes before it, and statements of which DuckDB makes two, too."""
    assert mlb("sql", "--lake", "--", statement) == 0, mlb.err


def test_sql_loses_nothing_that_json_cannot_say(mlb: Shell) -> None:
    """Two columns of one name are refused; no number is null; a decimal of more digits than a double's is text."""
    assert mlb("sql", "SELECT 1 AS a, 2 AS a", "--format", "json") == 1
    assert "give the columns a names of their own" in mlb.err
    assert mlb("sql", "SELECT 1 AS a, 2 AS a", "--format", "csv") == 0
    query = (
        "SELECT 'NaN'::float8 AS a, 'NaN'::numeric AS b, ARRAY['-Infinity'::float8, 1] AS c, "
        "12345678901234567.891 AS d, 0.1 AS e, 12345678901234567891::numeric AS f"
    )
    assert mlb("sql", query, "--format", "json") == 0
    found = json.loads(mlb.out, parse_constant=pytest.fail)
    text = "12345678901234567.891"
    assert found == [{"a": None, "b": None, "c": [None, 1.0], "d": text, "e": 0.1, "f": 12345678901234567891}]


def test_unknown_tables_are_told_with_those_there_are(mlb: Shell) -> None:
    """In PostgreSQL and in the lake."""
    mlb.put(0, game(1))
    assert mlb("sql", "SELECT * FROM small.game_v2") == 1
    assert mlb.err == "mlb: no table small.game_v2 in PostgreSQL; close to it: small.game_v1\n"
    assert mlb("sql", "--lake", "SELECT * FROM small.plays") == 1
    assert "no table" in mlb.err and "it has no tables yet" in mlb.err and mlb.err.count("\n") == 1
    assert mlb("sql", "SELEKT 1") == 1
    assert "syntax error" in mlb.err and mlb.err.count("\n") == 1


def test_simulate_stores_captures_or_writes_a_folder(mlb: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same games twice are repeats; a folder can be ingested again; later captures are added by kind."""
    monkeypatch.delenv("MLB_MAPPINGS")
    assert mlb("simulate", "--games", "2", "--from", "2024-07-01", "--seed", "1") == 0
    assert "2 simulated captures stored, 0 repeated" in mlb.out and "2 games on 1 date, 2024-07-01" in mlb.out
    out = mlb.folder / "simulated"
    options = ["--games", "2", "--from", "2024-07-01", "--seed", "1", "--kind", "correction", "--kind", "moved"]
    assert mlb("simulate", *options, "--feeds-only", "--out", str(out)) == 0
    assert "6 captures written" in mlb.out and (out / "INDEX.tsv").is_file()
    assert mlb("ingest", "captures", str(out)) == 0
    assert "4 stored, 2 repeated (already there), 0 rejected" in mlb.out
    assert mlb("materialize", "--dry-run") == 0
    assert "6 captures of 2 games on" in mlb.out


def test_doctor_and_mapping_show(mlb: Shell) -> None:
    """Everything is in order here; a mapping's tables and columns are shown."""
    assert mlb("doctor") == 0, mlb.out
    assert "everything is in order" in mlb.out and mlb.out.count("✓") == 7
    assert mlb("mapping", "show", NAME) == 0
    assert "small.plays" in mlb.out and "→ small.games(game_pk)" in mlb.out
    assert mlb("mapping", "show", NAME, "--table", "small.plays") == 0
    assert "$.plays[*].runs" in mlb.out


@pytest.mark.parametrize("broken", ["a file is gone", "the log is no log"])
def test_doctor_finds_a_broken_table_and_says_what_brings_it_back(mlb: Shell, broken: str) -> None:
    """One that lost a data file, and one whose log cannot be read; what is advised works."""
    mlb.put(0, game(1, [(1, 0, "a")]))
    assert mlb("materialize", "--mapping", NAME) == 0, mlb.err
    rows = mlb.count("small.plays", "--lake")
    assert rows and mlb("doctor") == 0
    table = mlb.folder / "home" / "lake" / "normalized" / "small" / "plays"
    if broken == "a file is gone":
        next(table.rglob("*.parquet")).unlink()
    else:
        next((table / "_delta_log").glob("*.json")).write_text("what is this")
    assert mlb("doctor") == 1
    told = " ".join(mlb.out.split())
    assert str(table) in told and "move the folder of the table away and run `mlb materialize`" in told
    assert mlb("sql", "--lake", "SELECT count(*) FROM small.plays") == 1 and mlb.err.count("\n") == 1
    table.rename(mlb.folder / "away")
    assert mlb("materialize", "--mapping", NAME) == 0, mlb.err
    assert mlb("doctor") == 0 and mlb.count("small.plays", "--lake") == rows


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_table_loses_a_digit_however_narrow_the_terminal(
    mlb: Shell, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Side by side where that can be read, else record by record; and what looks like an emoji's name is text."""
    monkeypatch.setenv("COLUMNS", str(width))
    columns = [f"{10**9 + n} AS number_{n}, 'text {n} :100:' AS text_{n}" for n in range(6)]
    assert mlb("sql", f"SELECT {', '.join(columns)}") == 0
    for n in range(6):
        assert str(10**9 + n) in mlb.out and f"number_{n}" in mlb.out and f"text {n} :100:" in mlb.out
    assert max(map(len, mlb.out.splitlines())) <= width
    assert mlb("sql", "SELECT 12 AS a, '12:100:13' AS b") == 0
    assert "record" not in mlb.out and "12:100:13" in mlb.out


def test_db_commands_on_an_external_server(mlb: Shell, database: Postgres) -> None:
    """Its URL and that it answers; starting and stopping it is not ours."""
    assert mlb("db", "url") == 0 and mlb.out.strip() == database.url
    assert mlb("db", "status") == 0 and "answers" in mlb.out
    for command in ("start", "stop"):
        assert mlb("db", command) == 1
        assert "MLB_DATABASE_URL names an external server" in mlb.err


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_reader_that_stops_early_is_no_failure(mlb: Shell, form: str) -> None:
    """`mlb sql … | head` ends at once, without a word, and with exit code 0 as after `set -o pipefail`."""
    query = "SELECT generate_series(1, 300000)"
    command = [sys.executable, "-m", "mlb_platform.cli.main", "sql", query, "--format", form, "--limit", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(120) == 0


def test_nothing_to_bring_up_is_a_failure_of_all_mappings_as_of_one(mlb: Shell) -> None:
    """Without raw rows, or none in the range, no table was brought up."""
    for words in ([], ["--from", "2024-05-01"], ["--from", "2024-05-01", "--to", "2024-05-02", "--dry-run"]):
        for mapping in ("all", NAME):
            assert mlb("materialize", "--mapping", mapping, *words) == 1
            assert "ingest captures" in mlb.err and "for from" not in mlb.err


def test_work_that_is_stopped_since_nobody_reads_on_is_no_success(mlb: Shell) -> None:
    """`mlb materialize | true` did not do what it was asked, and says so."""
    mlb.put(0, game(1))
    command = [sys.executable, "-m", "mlb_platform.cli.main", "materialize", "--mapping", "all", "--dry-run"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    os.close(writing)
    assert done.returncode == 1 and "nobody reads its output" in done.stderr


@pytest.mark.parametrize(("more", "code"), [([], 0), (["--html", "page.html"], 1), (["--html=page.html"], 1)])
def test_a_page_that_was_not_written_is_no_success(
    more: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`mlb quality profile TABLE --html FILE | head` ends before it writes the file; without a file it is done."""

    def unread(**_: object) -> NoReturn:
        raise BrokenPipeError

    monkeypatch.setattr("os.dup2", lambda *_: None)
    monkeypatch.setattr("typer.main.get_command", lambda _: SimpleNamespace(main=lambda *_, **__: unread()))
    assert run(["quality", "profile", "game.live_game_plays", *more]) == code
    assert ("nobody reads its output" in capfd.readouterr().err) is bool(code)
