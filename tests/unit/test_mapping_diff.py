"""`mlb mapping release` and `mlb mapping diff`: what a change of a mapping means, and what its version must say."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import SMALL

from mlb_platform.cli.main import run

Cli = Callable[..., tuple[int, str]]


@pytest.fixture
def mappings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the small mapping, and a home of its own."""
    monkeypatch.setenv("MLB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLB_MAPPINGS", str(tmp_path / "mappings"))
    (tmp_path / "mappings" / "small").mkdir(parents=True)
    write(tmp_path / "mappings", SMALL)
    return tmp_path / "mappings"


@pytest.fixture
def cli(mappings: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs `mlb mapping WORDS…` and gives exit code and what it said."""

    def call(*words: str) -> tuple[int, str]:
        code = run(["mapping", *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    return call


def write(folder: Path, text: str) -> None:
    (folder / "small" / "game_v1.yaml").write_text(text, "utf-8")


def changed(*pairs: tuple[str, str]) -> str:
    """The small mapping with texts replaced, each of which it has once."""
    text = SMALL
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


RUNS = "{name: runs, type: INT, json_path: $.runs, description: Runs.}"
NOTE = "      - {name: note, type: TEXT, json_path: $.note, description: What happened.}\n"
STATE = "{name: state, type: VARCHAR(10), json_path: $.state, description: State.}"
REFUSED = "    PostgreSQL  refused: "
ADDITIVE = "backward and forward compatible"
DERIVED = "  rows: derived anew from every capture by the next run"
CHANGES = {
    "a column is added": (
        (NOTE, NOTE + "      - {name: rbi, type: SMALLINT, json_path: $.rbi}\n"),
        False,
        ["  rbi: added, SMALLINT", f"    Avro        {ADDITIVE}", DERIVED,
         "    PostgreSQL  ALTER TABLE small.plays ADD COLUMN rbi smallint",
         "    Delta       column rbi short is added to the table's metadata"],
    ),
    "a column without null is added": (
        (NOTE, NOTE + "      - {name: rbi, type: INT, json_path: $.rbi, nullable: false}\n"),
        True,
        ["    Avro        backward: field rbi was added without a default",
         REFUSED + "new column rbi INT takes no null",
         "  breaking: backward: field rbi was added without a default"],
    ),
    "a type is widened": (
        (RUNS, RUNS.replace("INT", "BIGINT")),
        False,
        ["  runs: INT → BIGINT", "    Avro        forward: field runs: long written from now on cannot be read as ",
         "    PostgreSQL  ALTER TABLE small.plays ALTER COLUMN runs TYPE bigint",
         "    Delta       all rows are written anew in one commit, runs as long", DERIVED],
    ),
    "a type is narrowed": (
        (RUNS, RUNS.replace("INT", "SMALLINT")),
        True,
        ["  runs: INT → SMALLINT", f"    Avro        {ADDITIVE}", REFUSED + "column runs is INT, the map",
         "  breaking: column runs is INT, the mapping asks for SMALLINT"],
    ),
    "a text is longer": (
        (STATE, STATE.replace("VARCHAR(10)", "VARCHAR(20)")),
        False,
        ["  state: VARCHAR(10) → VARCHAR(20)", f"    Avro        {ADDITIVE}",
         "    PostgreSQL  ALTER TABLE small.games ALTER COLUMN state TYPE varchar(20)",
         "    Delta       state stays string, its metadata says VARCHAR(20)"],
    ),
    "a column is removed": (
        (NOTE, ""),
        True,
        ["  note: removed, was TEXT", f"    Avro        {ADDITIVE}", REFUSED + "column note (TEXT) is no lon",
         "  breaking: column note (TEXT) is no longer in the mapping"],
    ),
    "a column is renamed": (
        ("{name: note,", "{name: remark,"),
        True,
        ["  remark: added, TEXT", "  note: removed, was TEXT",
         "    PostgreSQL  ALTER TABLE small.plays ADD COLUMN remark text",
         REFUSED + "column note (TEXT) is no lon", "  breaking: column note (TEXT) is no longer in the mapping",
         "  renamed? note went and remark came with the same type: Avro matches fields by name, so readers find no re"],
    ),
    "a column no longer takes nulls": (
        (RUNS, RUNS.replace("$.runs", "$.runs, nullable: false")),
        True,
        ["  runs: INT → INT NOT NULL",
         "    Avro        backward: field runs: null written before cannot be read as int",
         REFUSED + "column runs INT takes nulls, the mapping asks for NOT NULL"],
    ),
    "a column has another kind of value": (
        (RUNS, RUNS.replace("INT", "VARCHAR(5)")),
        True,
        ["    Avro        backward: field runs: int written before cannot be read as union of null, string (every type",
         REFUSED + "column runs is INT, the mapping asks for VARCHAR(5)"],
    ),
    "a description": (
        ("description: Runs.", "description: Runs batted in."),
        False,
        ["  runs: described anew", f"    Avro        {ADDITIVE}", "    PostgreSQL  COMMENT ON COLUMN small.plays.runs",
         "    Delta       the comment of runs is renewed (metadata)"],
    ),
    "another path": (("$.runs,", "$.score,"), False, ["small.plays (small/game_v1 1.0): changed", DERIVED]),
    "another key": (
        ("primary_key: [game_pk, play]", "primary_key: [game_pk, play, runs]"),
        True,
        ["  breaking: the key was (game_pk, play) and is (game_pk, play, runs)", REFUSED + "the key is (game_pk, p"],
    ),
    "a table is gone": (
        (SMALL[SMALL.index("  - name: small.plays") :], ""),
        True,
        ["small.plays (small/game_v1 1.0): removed", "  breaking: the table is no longer in any mapping",
         "    Delta       table and rows stay, and are written no more, until somebody drops them"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_change_means(name: str, mappings: Path, cli: Cli) -> None:
    """For Avro, PostgreSQL, Delta and the rows there are; breaking ones fail the check until the version says so."""
    pair, breaking, says = CHANGES[name]
    assert cli("release")[0] == 0
    write(mappings, changed(pair))
    code, told = cli("diff")
    assert code == 0
    for line in says:
        assert "\n" + line in "\n" + told, f"{line!r} is not in\n{told}"
    assert (DERIVED in told) == (name not in ("a description", "a table is gone"))
    assert ("breaking: " in told) == breaking
    assert cli("diff", "--check")[0] == int(breaking)
    write(mappings, changed(pair, ('version: "1.0"', 'version: "2.0"')))
    assert cli("diff", "--check")[0] == 0
    assert cli("release")[0] == 0
    assert "0 changed, 0 breaking, 0 problems" in cli("diff", "--check")[1]


def test_a_table_has_to_be_released(mappings: Path, cli: Cli) -> None:
    """A new one is named by the check; released, its schema is in a file of its own with the mapping's version."""
    code, told = cli("diff", "--check")
    assert code == 1 and "small.plays: not released yet: run `mlb mapping release`" in told
    assert "    PostgreSQL  CREATE TABLE small.plays" in cli("diff")[1]
    assert cli("release")[0] == 0 and cli("diff", "--check")[0] == 0
    files = sorted(p.relative_to(mappings).as_posix() for p in (mappings / "released").rglob("*.avsc"))
    assert files == ["released/small/games.avsc", "released/small/plays.avsc"]
    schema = json.loads((mappings / files[1]).read_text("utf-8"))
    assert (schema["mappingVersion"], schema["primaryKey"]) == ("1.0", ["game_pk", "play"])
    (mappings / files[0]).unlink()
    code, told = cli("diff", "--check")
    assert code == 1 and "small.games: not released yet" in told and "small.plays" not in told


BREAKING = (RUNS, RUNS.replace("INT", "SMALLINT"))


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("1.0", 'or give mapping small/game_v1 version: "2.0" (it is 1.0)'),
        ("1.7", 'or give mapping small/game_v1 version: "2.0" (it is 1.7)'),
        ("0.9", "version 0.9 of mapping small/game_v1 is older than the released 1.0"),
        ("two", "version 'two' is not major.minor"),
    ],
)
def test_a_breaking_change_needs_the_next_major_version(version: str, says: str, mappings: Path, cli: Cli) -> None:
    """Else it is not released either, and no file of any table is touched."""
    cli("release")
    before = {p: p.read_bytes() for p in (mappings / "released").rglob("*.avsc")}
    write(mappings, changed(BREAKING, ('version: "1.0"', f'version: "{version}"'), ("State.", "State of it.")))
    for words in (["diff", "--check"], ["release"]):
        code, told = cli(*words)
        assert code == 1 and says in told, told
    assert {p: p.read_bytes() for p in (mappings / "released").rglob("*.avsc")} == before


def test_a_mapping_that_is_gone_is_forgotten_by_name_only(mappings: Path, cli: Cli) -> None:
    """Its tables are missed until somebody says that it is meant."""
    other = mappings / "small" / "other.yaml"
    other.write_text(
        SMALL.replace("game_v1", "other").replace("small.games", "small.a").replace("small.plays", "small.b")
    )
    assert cli("release")[0] == 0
    other.unlink()
    code, told = cli("diff", "--check")
    assert code == 1 and "small.a: the table is no longer in any mapping: mapping small/other is gone" in told
    assert cli("release")[0] == 1
    assert cli("release", "--removed", "small/game_v1")[0] == 2
    code, told = cli("release", "--removed", "small/other", "--removed", "small/othr")
    assert code == 2 and "mapping small/othr was never released" in told
    assert cli("release", "--removed", "small/other")[0] == 0 and cli("diff", "--check")[0] == 0
    assert sorted(p.name for p in (mappings / "released").rglob("*.avsc")) == ["games.avsc", "plays.avsc"]


def test_only_the_mapping_asked_for(mappings: Path, cli: Cli) -> None:
    """Is released and compared; one that is not there is a wrong question."""
    other = mappings / "small" / "other.yaml"
    other.write_text(
        SMALL.replace("game_v1", "other").replace("small.games", "small.a").replace("small.plays", "small.b")
    )
    assert cli("release", "small/other")[0] == 0
    assert sorted(p.name for p in (mappings / "released").rglob("*.avsc")) == ["a.avsc", "b.avsc"]
    assert cli("diff", "small/other", "--check")[0] == 0 and cli("diff", "small/game_v1", "--check")[0] == 1
    assert cli("diff", "small/none")[0] == cli("release", "small/none")[0] == 2


def test_against_a_revision_a_folder_of_mappings_and_one_of_schemas(mappings: Path, cli: Cli) -> None:
    """All three hold the tables as they were; what is neither is told."""
    cli("release")
    git = ["git", "-C", str(mappings), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    then = mappings.parent / "then"
    subprocess.run(["cp", "-r", mappings, then], check=True)
    write(mappings, changed(BREAKING))
    for against in ("HEAD", str(then), str(then / "released")):
        code, told = cli("diff", "--against", against)
        assert code == 0 and "  runs: INT → SMALLINT" in told and "2 tables: 1 changed, 1 breaking" in told
    code, told = cli("diff", "--against", "no-such-thing")
    assert code == 1 and "--against no-such-thing is no folder, and as a git revision" in told


def test_a_released_file_that_is_no_schema_is_named(mappings: Path, cli: Cli) -> None:
    """Instead of a comparison with nothing."""
    cli("release")
    (mappings / "released" / "small" / "plays.avsc").write_text("{}")
    code, told = cli("diff")
    assert code == 1 and "plays.avsc is no released schema" in told


def test_make_check_fails_where_the_check_does() -> None:
    """The check is one of what `make check`, and so CI, runs."""
    root = Path(__file__).parents[2]
    recipe = (root / "Makefile").read_text("utf-8").split("\ncheck:")[1].split("\n\n")[0]
    assert "mlb mapping diff --check" in recipe
