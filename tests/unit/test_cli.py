"""The command line without a database: help, usage errors, mapping commands, and that every command is documented."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer
from py4j.protocol import Py4JNetworkError

from mlb_platform.cli.failures import explain
from mlb_platform.cli.main import app, run
from mlb_platform.cli.mapping import schema_text
from mlb_platform.cli.sql import _unknown_table
from mlb_platform.settings import load_settings
from resources.errors import PlatformError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, so that nothing of the machine is used."""
    monkeypatch.setenv("MLB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLB_DATABASE_URL", raising=False)
    monkeypatch.delenv("MLB_LAKE_URL", raising=False)
    return tmp_path / "home"


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something, with its words."""
    if hasattr(command, "commands"):
        for name, member in command.commands.items():
            yield from commands(member, (*path, name))
    else:
        yield path, command


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_version_and_help_need_no_heavy_library() -> None:
    """Both answer at once because neither Dagster, Spark, Arrow nor a database driver is loaded."""
    code = (
        "import sys; from mlb_platform.cli.main import run; assert run(['--version']) == run(['--help']) == 0;"
        "heavy = {'dagster', 'pyspark', 'pyarrow', 'psycopg', 'deltalake', 'duckdb', 'pandas'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mlb 0.")


def test_definitions_load_without_what_runs_need(tmp_path: Path) -> None:
    """Dagster's webserver, daemon and every run load them; what reads, computes and merges comes with the first run."""
    code = (
        "import sys; from mlb_platform.settings import load_settings;"
        "from mlb_platform.definitions import build_definitions;"
        "build_definitions(load_settings()).get_repository_def();"
        "heavy = {'duckdb', 'deltalake', 'pyarrow.compute', 'httpx2', 'jinja2', 'pandas', 'sqlalchemy',"
        " 'mlb_platform.extraction.work', 'mlb_platform.quality.report'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False,
        env={**os.environ, "MLB_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The example is a line that starts with the command itself."""
    assert run([*words, "--help"]) == 0
    text = " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    assert "Example: mlb " + " ".join(words) in text or f'"$(mlb {" ".join(words)})"' in text


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_in_the_readme_or_the_guides(words: tuple[str, ...]) -> None:
    """A command nobody can read about does not exist."""
    guides = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert any(f"mlb {' '.join(words)}" in guide.read_text("utf-8") for guide in guides)


@pytest.mark.parametrize("guide", ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))])
def test_guides_name_no_command_or_make_target_that_is_not_there(guide: str) -> None:
    """What the guides tell people to type exists."""
    text = (ROOT / guide).read_text("utf-8")
    first_words = {words[0] for words in COMMANDS} | {"--version", "--help"}
    assert {m[1] for m in re.finditer(r"(?:`|^ *\$? *)(?:\.venv/bin/)?mlb ([a-z-]+)", text, re.M)} <= first_words
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert {m[1] for m in re.finditer(r"(?:`|^ *\$? *)make ([a-z]+)", text, re.M)} <= targets


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["materialize", "--from", "2024-13-01"], "'2024-13-01' is no date: write YYYY-MM-DD"),
        (["materialize", "--from", "yesterday"], "'yesterday' is no date: write YYYY-MM-DD"),
        (["materialize", "--to", "20240701"], "'20240701' is no date"),
        (["materialize", "--from", "2024-07-02", "--to", "2024-07-01"], "the range is reversed"),
        (["status", "--from", "2024-07-02", "--to", "2024-07-01"], "the range is reversed"),
        (["materialize", "--from", "2024-07-02", "--game-pk", "1"], "not both"),
        (["simulate", "--games", "0"], "'--games'"),
        (["simulate", "--kind", "nothing"], "'--kind'"),
        (["simulate", "--from", "0001-01-01"], "there is no season 1: give a date from 1901 to 2100"),
        (["simulate", "--from", "9999-12-31"], "there is no season 9999: give a date from 1901 to 2100"),
        (["simulate", "day", "--date", "1850-07-01"], "there is no season 1850"),
        (["sql"], "Missing argument"),
        (["nonsense"], "No such command"),
        (["materialize", "--nonsense"], "No such option"),
    ],
)
def test_a_wrong_question_is_one_line_and_exit_2(
    arguments: list[str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is begun, stdout stays empty, and the line says where the help is."""
    assert run(arguments) == 2
    out, err = capfd.readouterr()
    assert out == "" and told in err and "--help" in err
    assert len(err.strip().splitlines()) == 1


def test_a_setting_that_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A wrong environment variable is told by its name."""
    monkeypatch.setenv("MLB_GAMES_PER_JOB", "many")
    assert run(["status"]) == 1
    assert "MLB_GAMES_PER_JOB is set to 'many'" in capfd.readouterr().err


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Else the folder one stands in would be the home, and be cleaned; a lake's path means the same anywhere."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLB_HOME", "MLB_DATABASE_URL", "MLB_GAMES_PER_JOB"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("MLB_LAKE_URL", "lake")
    found = load_settings()
    assert (found.home, found.database_url, found.games_per_job) == (tmp_path / ".mlb", None, 150)
    monkeypatch.chdir("/")
    assert found.lake == str(tmp_path / "lake")
    monkeypatch.setenv("MLB_LAKE_URL", "s3://bucket/lake")
    assert load_settings().lake == "s3://bucket/lake"


def test_an_unexpected_failure_is_one_line_and_the_log_has_the_rest(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """No traceback on the terminal; the line says where it is."""

    def broken(*_: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("mlb_platform.mapping.loader.lint_files", broken)
    assert run(["mapping", "lint"]) == 1
    err = capfd.readouterr().err
    assert len(err.strip().splitlines()) == 1 and "RuntimeError: first line second line" in err
    assert str(home / "logs" / "mlb.log") in err
    assert "Traceback" in (home / "logs" / "mlb.log").read_text("utf-8")


def test_a_platform_error_is_found_behind_the_errors_it_caused() -> None:
    """What Dagster or another library wraps is still told by its own line."""
    error = RuntimeError("the run failed")
    error.__cause__ = PlatformError("the disk is full:\n free some space")
    assert explain(error) == ("mlb: the disk is full: free some space", 1)


@pytest.mark.parametrize(
    ("first", "told"),
    [("Answer from Java side is empty", "Spark's Java process is gone"), ("No space left on device", "disk is full")],
)
def test_a_lost_spark_is_told_as_that(first: str, told: str) -> None:
    """Not as the refused connection that comes of it; where its disk was full, that is said."""
    error = PlatformError("failed in run 1: ConnectionRefusedError")
    error.__cause__ = ConnectionRefusedError(111, "Connection refused")
    error.__cause__.__context__ = Py4JNetworkError(first)
    line, code = explain(error)
    assert told in line and "Refused" not in line and code == 1


def test_interrupting_is_no_failure_of_ours() -> None:
    """Ctrl-C has the exit code that shells expect."""
    line, code = explain(KeyboardInterrupt())
    assert code == 130 and "interrupted" in line


def test_an_interrupted_command_says_that_it_can_be_run_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typer makes an exit code of Ctrl-C, and no word of it."""

    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("mlb_platform.mapping.loader.lint_files", interrupted)
    assert run(["mapping", "lint"]) == 130
    assert capsys.readouterr().err == "mlb: interrupted; run it again to go on: what is done is kept\n"


@pytest.mark.parametrize("columns", ["0", "abc", "", "-5"])
def test_a_width_that_is_none_is_not_used(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """COLUMNS is 0 in some containers: results are printed all the same."""
    monkeypatch.setenv("COLUMNS", columns)
    assert run(["mapping", "show", "season/seasons"]) == 0
    assert "season.seasons" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run(["mapping", "show", "season/seasons"]) == 0
    assert "seasons" in capsys.readouterr().out


def test_payloads_of_another_season_are_not_said_to_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """What was asked for is in the message: there are simulated feeds, but none of that season."""
    assert run(["mapping", "coverage", "game/live_game_v1", "--season", "1999"]) == 1
    assert "no payloads of game/live_game_v1 of season 1999" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["", " "])
def test_cleaning_never_looks_outside_of_a_home(given: str) -> None:
    """An empty MLB_HOME is the default one: `rm -rf "$MLB_HOME/tmp"` would else be /tmp."""
    assert _made(f"MLB_HOME={given}") == {"MLB_HOME": f"{ROOT}/.mlb"}
    assert _made(environment={"MLB_HOME": given}) == {"MLB_HOME": f"{ROOT}/.mlb"}
    assert _made("MLB_HOME=/a b/c") == {"MLB_HOME": "/a b/c"}


def test_folders_given_to_make_may_begin_with_a_tilde() -> None:
    """zsh hands `make run CAPTURES=~/captures` on as it is."""
    found = _made("MLB_HOME=~/mlb", "CAPTURES=~/captures", environment={"HOME": "/home/a"})
    assert found == {"MLB_HOME": "/home/a/mlb", "CAPTURES": "/home/a/captures"}


def test_blanks_in_folders_given_to_make_are_kept() -> None:
    """Two in a row are no one: else the data would be made, and cleaned, in another folder."""
    found = _made("MLB_HOME=~/a  b", "CAPTURES=/old  ~/c", environment={"HOME": "/home/a"})
    assert found == {"MLB_HOME": "/home/a/a  b", "CAPTURES": "/old  ~/c"}


def test_cleaning_removes_everything_that_the_platform_keeps() -> None:
    """The checkpoints of live streams are data, too: they are of the raw rows that go."""
    recipe = (ROOT / "Makefile").read_text("utf-8").split("\nclean:")[1]
    kept = {"postgres", "lake", "dagster", "jars", "logs", "tmp", "reports", "live"}
    assert kept <= set(re.findall(r'"\$\$MLB_HOME/([a-z]+)"', recipe))


def _made(*arguments: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what the recipes of the Makefile are given as the home and, where it is given, the captures."""
    text = 'include Makefile\nshow:\n\t@echo "MLB_HOME=$$MLB_HOME"\n\t@echo "CAPTURES=$(CAPTURES)"\n'
    variables = {k: v for k, v in os.environ.items() if k not in ("MLB_HOME", "CAPTURES", "MAKEFLAGS")}
    done = subprocess.run(
        ["make", "-s", "-f", "-", "show", *arguments], input=text, capture_output=True, text=True, cwd=ROOT, check=True,
        env=variables | dict(environment or {}),
    )  # fmt: skip
    return {k: v for k, v in (line.split("=", 1) for line in done.stdout.splitlines()) if v}


@pytest.mark.parametrize(
    "message", ['relation "game.live_game_play" does not exist', "Table with name live_game_play does not"]
)
def test_an_unknown_table_is_told_with_those_close_to_it(message: str) -> None:
    """The names of PostgreSQL and of DuckDB lead to the same advice."""
    known = ["game.live_game_plays", "game.live_game_players", "schedule.schedule"]
    told = _unknown_table(message, known, "here")
    assert "game.live_game_plays" in told and "schedule" not in told and "\n" not in told


def test_lint_of_the_shipped_mappings_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Every path of every mapping is found in simulated feeds, and nothing lacks a description."""
    assert run(["mapping", "lint"]) == 0
    assert capsys.readouterr().out.strip().endswith("0 errors, 0 warnings")


def test_lint_names_every_error_of_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two broken files, each error as file:line:column; exit code 1."""
    good = (ROOT / "mapping_configs/game/live_game_v1.yaml").read_text("utf-8")
    (tmp_path / "a.yaml").write_text(good.replace("type: BIGINT", "type: BIGGISH", 1), "utf-8")
    (tmp_path / "b.yaml").write_text("version: '1.0'\nsauce: {}\n", "utf-8")
    assert run(["mapping", "lint", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(re.match(rf"{re.escape(str(tmp_path))}/a\.yaml:\d+:\d+: error: .*BIGGISH", line) for line in lines)
    assert any("b.yaml:2:1: error: unknown key 'sauce'" in line for line in lines)


def test_lint_names_paths_that_match_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelled path is a warning at its place; one marked optional is not."""
    good = (ROOT / "mapping_configs/game/live_game_v1.yaml").read_text("utf-8")
    assert "json_path: $.result.eventType" in good
    file = tmp_path / "m.yaml"
    file.write_text(good.replace("json_path: $.result.eventType", "json_path: $.result.eventTypo"), "utf-8")
    line = next(n for n, text in enumerate(file.read_text("utf-8").splitlines(), 1) if "eventTypo" in text)
    assert run(["mapping", "lint", str(file)]) == 0
    out = capsys.readouterr().out
    assert f"{file}:{line}:" in out and "$.result.eventTypo" in out and "matches nothing in 30 simulated feeds" in out
    assert out.count("matches nothing") == 1
    file.write_text(file.read_text("utf-8").replace("eventTypo", "eventTypo, optional: true"), "utf-8")
    assert run(["mapping", "lint", str(file)]) == 0
    assert "matches nothing" not in capsys.readouterr().out


def test_lint_looks_into_captures(captures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The shared example loads; its paths that real feeds do not have are named: a play has no playId."""
    example = captures.parent / "mapping_example.yaml"
    if not example.is_file():
        pytest.skip("needs mapping_example.yaml beside the captures")
    assert run(["mapping", "lint", str(example), "--captures", str(captures)]) == 0
    unmatched = [line for line in capsys.readouterr().out.splitlines() if "matches nothing" in line]
    assert len(unmatched) == 2 and all("playId" in line for line in unmatched)


def test_the_committed_schema_is_the_one_of_the_models() -> None:
    """Editors check against what the loader takes; `mlb mapping schema` writes it."""
    committed = ROOT / "mapping_configs" / "schema.json"
    assert committed.read_text("utf-8") == schema_text()
    assert "targets" in json.loads(schema_text())["properties"]


def test_a_port_in_use_is_named_and_another_offered(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is started; the line says which port is free and how to take it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(["ui", "--port", str(port)]) == 1
    err = capfd.readouterr().err
    match = re.search(rf"port {port} is in use; (\d+) is free: mlb ui --port \1", err)
    assert match and int(match[1]) != port and len(err.strip().splitlines()) == 1
