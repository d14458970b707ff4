"""Real trouble, one kind a test: each is one clear line on stderr, the right exit code, and no traceback."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from mlb_platform.cli.data import simulate_into
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings, load_settings
from resources.postgres import Postgres

ROOT = Path(__file__).parents[2]


def mlb(arguments: list[str], environment: dict[str, str], timeout: int = 300) -> subprocess.CompletedProcess[str]:
    """Run `mlb` as people do: a process of its own."""
    command = [sys.executable, "-m", "mlb_platform.cli.main", *arguments]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout
    )


def failure(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that a failed command told."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("Materializing:")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("mlb: "), lines[0]
    return lines[0]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment with a home of its own, with the jars that were fetched, and no database yet."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "jars").symlink_to(load_settings().jars)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLB_")}
    return {**kept, "MLB_HOME": str(home)}


@pytest.fixture
def stocked(environment: dict[str, str], database: Postgres) -> dict[str, str]:
    """The same with a database that holds the raw row of one simulated game."""
    made = Platform(Settings(home=Path(environment["MLB_HOME"]), database_url=database.url))
    simulate_into(made, 1, date(2024, 7, 1), 1, [], feeds_only=True)
    made.postgres.close()
    return {**environment, "MLB_DATABASE_URL": database.url}


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Mount a small file system in memory on `folder`; skip where this is not permitted."""
    folder.mkdir(parents=True)
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root and mount, to make a full or read-only file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"mount is not permitted here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def test_java_is_missing(stocked: dict[str, str]) -> None:
    """Neither PATH nor JAVA_HOME has it: the line says how to install it, before anything is begun."""
    stocked.pop("JAVA_HOME", None)
    stocked["PATH"] = "/nonexistent"
    line = failure(mlb(["materialize"], stocked))
    assert "Java is missing" in line and "apt-get install openjdk" in line


def test_spark_jars_are_missing(stocked: dict[str, str], tmp_path: Path) -> None:
    """The line says which command fetches them."""
    (Path(stocked["MLB_HOME"]) / "jars").unlink()
    line = failure(mlb(["materialize"], stocked))
    assert "Spark jars" in line and "make setup" in line


def test_postgresql_is_stopped(environment: dict[str, str]) -> None:
    """Every command that needs it says where it was looked for and what to do."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    environment["MLB_DATABASE_URL"] = f"postgresql://mlb:secret@127.0.0.1:{port}/mlb"
    for arguments in (["materialize"], ["sql", "SELECT 1"], ["status"], ["simulate", "--games", "1"], ["db", "status"]):
        line = failure(mlb(arguments, environment))
        assert f"127.0.0.1:{port}/mlb does not answer: start it" in line and "secret" not in line


def test_the_database_refuses_the_password(environment: dict[str, str], database: Postgres) -> None:
    """The URL is named as what to check; the password is not shown."""
    user, _, rest = database.url.partition("@")
    environment["MLB_DATABASE_URL"] = f"{user.rsplit(':', 1)[0]}:wrong-one@{rest}"
    line = failure(mlb(["status"], environment))
    assert "refuses this user or password: check MLB_DATABASE_URL" in line and "wrong-one" not in line


def test_the_disk_of_the_home_is_full(environment: dict[str, str]) -> None:
    """The embedded server cannot be made: the line says that the disk is full."""
    # where the server's unprivileged user can get to, so that its data lies there too
    place = Path(tempfile.gettempdir()) / f"mlb-small-{uuid.uuid4().hex[:8]}"
    with mounted(place, "size=2m,mode=0755") as small:
        environment["MLB_HOME"] = str(small)
        line = failure(mlb(["db", "start"], environment))
        assert "No space left on device" in line or "disk is full" in line


def test_the_disk_of_the_lake_is_full(stocked: dict[str, str], tmp_path: Path) -> None:
    """The Delta tables cannot be written: the line says so, and once there is space the same command goes through."""
    with mounted(tmp_path / "small", "size=64k") as small:
        stocked["MLB_LAKE_URL"] = str(small)
        line = failure(mlb(["materialize"], stocked))
        assert "full disk" in line or "disk is full" in line
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        done = mlb(["materialize"], stocked, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"error rules (\d+) of \1, ", done.stdout)


def test_the_lake_is_read_only(stocked: dict[str, str], tmp_path: Path) -> None:
    """On a file system that takes no writes the line says what to set."""
    with mounted(tmp_path / "fixed", "ro,size=1m") as fixed:
        stocked["MLB_LAKE_URL"] = str(fixed / "lake")
        line = failure(mlb(["materialize"], stocked))
        assert "read-only" in line and "MLB_LAKE_URL" in line
        done = mlb(["doctor"], stocked)
        assert done.returncode == 1 and "✗ lake" in done.stdout and "read-only" in done.stdout


def test_a_file_is_where_the_lake_should_be(stocked: dict[str, str], tmp_path: Path) -> None:
    """The line names it."""
    (tmp_path / "lake").write_text("in the way")
    stocked["MLB_LAKE_URL"] = str(tmp_path / "lake")
    line = failure(mlb(["materialize"], stocked))
    assert str(tmp_path / "lake") in line and "file" in line


def test_a_file_is_where_the_home_should_be(environment: dict[str, str], tmp_path: Path) -> None:
    """Not even a log can be written; the line still says what is wrong."""
    (tmp_path / "taken").write_text("in the way")
    environment["MLB_HOME"] = str(tmp_path / "taken")
    line = failure(mlb(["status"], environment))
    assert str(tmp_path / "taken") in line and "MLB_HOME" in line


def test_mappings_with_errors_are_told(stocked: dict[str, str], tmp_path: Path) -> None:
    """The first error with its place, and how many more."""
    folder = tmp_path / "mappings" / "game"
    folder.mkdir(parents=True)
    (folder / "live_game_v1.yaml").write_text("version: '1.0'\nsauce: 1\nsource: {}\n")
    stocked["MLB_MAPPINGS"] = str(folder.parent)
    line = failure(mlb(["materialize"], stocked))
    assert "live_game_v1.yaml:" in line and "more: `mlb mapping lint` lists them" in line
