"""`mlb explain` on a small mapping: what it prints, which capture and version it cites, what it says when it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import SMALL, Bench, at, fresh_database, game, mapping_of
from pyspark.sql import SparkSession

from mlb_platform.cli.main import run
from resources.postgres import Postgres

Cli = Callable[..., tuple[int, str, str]]
PLAYS = "small.plays"
DERIVED = SMALL.replace(
    "json_path: $.note, description: What happened.}",
    "json_path: $.note, description: What happened.}\n"
    '      - {name: doubled, type: INT, expression: "runs * 2", description: Twice the runs.}',
)


@pytest.fixture(scope="module")
def bench(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A game captured and merged twice: play 1 changes, play 2 stays and moves up, play 3 does not fit and is odd."""
    with fresh_database(postgres) as database:
        made = Bench(database, tmp_path_factory.mktemp("lake"), spark, mapping_of(DERIVED))
        made.put(game(1, [(1, 0, "old"), (0, 0, "gone"), (2, 1, "kept"), (3, 5, None)]), 0)
        made.run()
        made.put(game(1, [(1, 2, "new"), (2, 1, "kept"), (3, 5, None), (4, "x", "odd")]), 3)
        made.run()
        yield made


@pytest.fixture
def cli(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Cli]:
    """Runs `mlb explain WORDS…` on the bench's database and lake and gives exit code, output and errors."""
    file = tmp_path / "mappings" / "small" / "game_v1.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(DERIVED, "utf-8")
    given = {"HOME": tmp_path / "home", "MAPPINGS": file.parents[1], "DATABASE_URL": bench.postgres.url}
    for name, value in {**given, "LAKE_URL": bench.lake}.items():
        monkeypatch.setenv(f"MLB_{name}", str(value))

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["explain", *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def column(told: str, name: str) -> dict[str, Any]:
    """One column of what `--json` printed."""
    return next(c for c in json.loads(told)["columns"] if c["column"] == name)


def test_everything_about_a_changed_row(cli: Cli, bench: Bench) -> None:
    """Every column has raw row, URL, time, hash, pointer, raw value, mapping version, rules and Delta version."""
    code, told, _ = cli(PLAYS, "game_pk=1", "play=1", "--json")
    assert code == 0
    found = json.loads(told)
    with bench.postgres.connect() as connection:
        ((content,),) = connection.execute("SELECT content_hash FROM small.game_v1 WHERE raw_id = 2").fetchall()
    assert [c["column"] for c in found["columns"]] == [c.name for c in bench.mapping.by_name[PLAYS].columns]
    for c in found["columns"]:
        raw = c["raw_row"]
        assert (raw["raw_table"], raw["raw_id"], raw["url"]) == ("small.game_v1", 2, None)
        assert (raw["captured_at"], raw["content_hash"]) == (at(3).isoformat().replace("+00:00", "Z"), content)
        assert (c["mapping_version"], c["delta_version"]) == ("1.0", 2)
    runs = column(told, "runs")
    assert (runs["value"], runs["raw_value"], runs["pointer"], runs["agrees"]) == (2, 2, "/plays/0/runs", True)
    assert {r["rule"]: r["verdict"] for r in runs["rules"]} == {"runs_positive": "passed", "runs_possible": "passed"}
    doubled = column(told, "doubled")
    assert (doubled["value"], doubled["expression"], doubled["pointer"]) == (4, "runs * 2", None)
    assert doubled["reads"] == [{"column": "runs", "pointer": "/plays/0/runs", "raw_value": 2}]
    assert column(told, "game_date")["pointer"] == "/date" and column(told, "game_pk")["pointer"] == "/id"
    assert column(told, "lineage_metadata")["how"] == "run"
    assert found["delta"] == {"written_in_version": 2, "version": 2, "same_row": True}


def test_a_row_left_untouched_cites_the_capture_that_changed_it_last(cli: Cli) -> None:
    """In that capture it stands elsewhere than in the newest, which is named too."""
    code, told, _ = cli(PLAYS, "game_pk=1", "play=2", "--json")
    found = json.loads(told)
    assert code == 0 and found["raw_row"]["raw_id"] == 1 and found["merged_last"]["raw_id"] == 2
    assert column(told, "note")["pointer"] == "/plays/2/note" and found["delta"]["written_in_version"] == 1
    told = cli(PLAYS, "game_pk=1", "play=2")[1]
    assert "  unchanged   since; merged last: raw_id 2, captured 2024-05-01 20:03:00Z" in told
    assert (
        "  element     /plays/2\n" in told and "in version 1 of the table; its version now, 2, holds the same" in told
    )


def test_what_is_printed(cli: Cli) -> None:
    """The head names raw row, URL, time, hash, mapping, version; a line a column with raw value and pointer; rules."""
    code, told, _ = cli(PLAYS, "game_pk=1", "play=3")
    lines = told.splitlines()
    assert code == 0 and lines[0] == "small.plays game_pk=1 play=3"
    assert [line.split()[0] for line in lines[1:10]] == [
        "raw", "captured", "URL", "content", "unchanged", "element", "mapping", "Delta", "rules",
    ]  # fmt: skip
    assert "  rules       5 rules: 4 passed, 1 warned" in lines
    assert "  warned: runs_possible (expression, warn)" in lines
    cells = {line.split()[0]: line.split() for line in lines[10:] if line.strip()}
    assert cells["runs"] == ["runs", "5", "5", "/plays/3/runs", "1", "passed,", "1", "warned"]
    assert cells["note"] == ["note", "NULL", "/plays/3/note", "is", "null"]
    assert "6 of 9 columns worked out anew from the raw values: as stored" in told


def test_one_column_alone(cli: Cli) -> None:
    """With all there is: also that a value does not fit its column, and why an expression is what it is."""
    code, told, _ = cli(PLAYS, "game_pk=1", "play=4", "--column", "runs")
    assert code == 0
    for line in (
        "runs INT: NULL",
        "  pointer     /plays/3/runs",
        "  raw value   x",
        "  path        $.runs",
        "  why         it is no INT, so the column is null",
        "  anew        worked out from the raw value: the same",
        "  rule        passed: runs_possible (expression, warn)",
    ):
        assert line in told.splitlines(), told
    told = cli(PLAYS, "game_pk=1", "play=3", "--column", "doubled")[1]
    assert "  expression  runs * 2\n    runs = 5 at /plays/3/runs\n" in told
    assert "  pointer     none: worked out from the columns below" in told


WRONG = [
    (["small.play", "game_pk=1"], 2, "no mapping has a table small.play; close to it: small.plays"),
    ([PLAYS, "game_pk=1"], 2, "a row of small.plays is named by game_pk, play: also give play=…"),
    ([PLAYS, "game_pk=1", "play=one"], 2, "play=one: 'one' is no INT"),
    ([PLAYS, "game_pk=1", "play"], 2, "'play' is no column=value"),
    ([PLAYS, "game_pk=1", "runs=1"], 2, "runs is not in the key of small.plays"),
    ([PLAYS, "game_pk=1", "rns=1"], 2, "rns is no column of small.plays"),
    ([PLAYS, "game_pk=1", "play=1", "--column", "rns"], 2, "small.plays has no column rns; it has: game_pk, game_date"),
    ([PLAYS, "game_pk=1", "play=9"], 1,
     "small.plays has no row game_pk=1 play=9; with game_pk=1 there are 4, of play 1, 2, 3, 4"),
    ([PLAYS, "game_pk=7", "play=1"], 1, "small.plays has no row game_pk=7 play=1; it has 4, of game_pk 1"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "says"), WRONG, ids=[" ".join(w[0]) for w in WRONG])
def test_what_is_not_there_is_told(cli: Cli, words: list[str], code: int, says: str) -> None:
    """With what there is instead, in one line; what was asked wrongly has exit code 2."""
    found, out, err = cli(*words)
    assert found == code and out == "" and says in err and len(err.splitlines()) == 1, err


def test_a_changed_mapping_is_told(cli: Cli, tmp_path: Path) -> None:
    """The pointers are those of the mapping as it is now, and that is said; a value that differs is named."""
    file = tmp_path / "mappings" / "small" / "game_v1.yaml"
    file.write_text(DERIVED.replace("json_path: $.note", "json_path: $.comment"), "utf-8")
    code, told, _ = cli(PLAYS, "game_pk=1", "play=1")
    assert code == 0 and "  note        the mapping was changed since this row was derived" in told
    assert "worked out anew, these are not as stored: note" in told
    file.write_text(DERIVED.replace("{name: note,", "{name: remark,"), "utf-8")
    code, _, err = cli(PLAYS, "game_pk=1", "play=1")
    assert code == 1 and "small.plays has no column remark yet, which the mapping has now: run `mlb materialize`" in err


def test_a_raw_row_that_is_gone_is_told(cli: Cli, bench: Bench) -> None:
    """It is named, with what to do. (The last test on this bench.)"""
    with bench.postgres.transaction() as connection:
        connection.execute("DELETE FROM small.game_v1 WHERE raw_id = 1")
    code, _, err = cli(PLAYS, "game_pk=1", "play=2")
    assert code == 1 and "the raw row 1 of small.game_v1 that it names is gone: ingest that capture again" in err
