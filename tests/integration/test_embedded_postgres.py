"""The embedded server: starts once whoever asks, survives being killed, is closed to others, says what is wrong."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from resources.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from resources.errors import PlatformError
from resources.postgres import open_postgres

STARTER = """
import sys, pathlib
from resources.embedded_postgres import EmbeddedPostgres
home = pathlib.Path(sys.argv[1])
print(EmbeddedPostgres(home / "postgres", home / "logs").ensure_running(), flush=True)
"""
PROJECT = Path(__file__).resolve().parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become other users")


def server_of(home: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(home / "postgres", home / "logs")


def starter(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", STARTER, str(home)], cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def query(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of mode 0700, as `mktemp -d` makes it; its server is stopped afterwards."""
    path = Path(tempfile.mkdtemp(prefix="mlb-home-"))
    yield path
    server_of(path).stop()
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def shared() -> Iterator[EmbeddedPostgres]:
    """A running server for tests that only look."""
    path = Path(tempfile.mkdtemp(prefix="mlb-home-"))
    server = server_of(path)
    server.ensure_running()
    yield server
    server.stop()
    shutil.rmtree(path)


def test_it_starts_from_nothing_and_is_cheap_to_ask_again(shared: EmbeddedPostgres) -> None:
    url = shared.ensure_running()
    assert str(query(url, "SHOW server_version")).startswith("18")
    times = []
    for _ in range(10):
        start = time.perf_counter()
        assert shared.ensure_running() == url
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02


def test_it_is_closed_to_the_network_and_to_other_users(shared: EmbeddedPostgres) -> None:
    url = shared.ensure_running()
    status = shared.status()
    assert status.pid is not None and status.port is not None
    assert query(url, "SHOW listen_addresses") == "127.0.0.1"
    assert query(url, "SHOW unix_socket_directories") == ""
    listening = [c.laddr for c in psutil.Process(status.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert [(a.ip, a.port) for a in listening] == [("127.0.0.1", status.port)]
    assert query(url, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://mlb@127.0.0.1:{status.port}/mlb")
    assert stat.S_IMODE((shared.data_dir.parent / "postgres.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(shared.data_dir.stat().st_mode) == 0o700
    assert psutil.Process(status.pid).uids().real != 0


def test_the_role_has_a_long_password_under_one_scram_iteration(shared: EmbeddedPostgres) -> None:
    url = shared.ensure_running()
    assert str(query(url, "SELECT rolpassword FROM pg_authid WHERE rolname = 'mlb'")).startswith("SCRAM-SHA-256$1:")
    assert len(json.loads((shared.data_dir.parent / "postgres.json").read_text())["password"]) >= 40


def test_the_password_is_never_in_a_command_line(home: Path) -> None:
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for process in psutil.process_iter(["cmdline"]):
                seen.update(process.info["cmdline"] or [])

    watcher = threading.Thread(target=watch)
    watcher.start()
    server_of(home).ensure_running()
    done.set()
    watcher.join()
    password = json.loads((home / "postgres.json").read_text())["password"]
    assert any("initdb" in argument for argument in seen)
    assert not any(password in argument for argument in seen)


def test_commands_at_once_share_one_server(home: Path) -> None:
    processes = [starter(home) for _ in range(3)]
    urls = {process.communicate(timeout=120)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(urls) == 1
    assert query(urls.pop(), "SELECT 1") == 1


def test_it_outlives_its_starter_and_stops_cleanly(home: Path) -> None:
    process = starter(home)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    process.kill()
    process.wait()
    assert query(url, "SELECT 1") == 1
    server = server_of(home)
    assert server.ensure_running() == url
    assert server.stop()
    assert not server.status().running
    assert not server.stop()
    assert not (server.data_dir / "postmaster.pid").exists()


@pytest.mark.parametrize("moment", ["password", "initdb", "start"])
def test_a_starter_killed_midway_is_redone(home: Path, moment: str) -> None:
    process = starter(home)
    signs = {"password": "postgres.json", "initdb": "postgres.new-*/PG_VERSION", "start": "postgres/mlb.conf"}
    deadline = time.monotonic() + 60
    while not list(home.glob(signs[moment])) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.wait()
    url = server_of(home).ensure_running()
    assert query(url, "SELECT current_database()") == "mlb"
    server_of(home).stop()
    assert query(server_of(home).ensure_running(), "SELECT 1") == 1


def test_a_killed_server_recovers_with_its_data(home: Path) -> None:
    server = server_of(home)
    url = server.ensure_running()
    query(url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    busy = psycopg.connect(url)
    pid = server.status().pid
    assert pid is not None
    kill(pid)
    url = server.ensure_running()
    assert query(url, "SELECT count(*) FROM kept") == 1000
    busy.close()


@pytest.mark.parametrize("stranger_of", ["root", "the server's user"])
def test_a_stale_pid_file_may_name_a_living_stranger(home: Path, stranger_of: str) -> None:
    server = server_of(home)
    server.ensure_running()
    pid_file = server.data_dir / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    owner = server.data_dir.stat().st_uid
    kill(int(lines[0]))
    user = owner if stranger_of != "root" and os.geteuid() == 0 else None
    stranger = subprocess.Popen(["sleep", "60"], user=user)
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        assert not server.status().running
        assert query(server.ensure_running(), "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_port_taken_meanwhile_is_left_to_the_other(home: Path) -> None:
    server = server_of(home)
    server.ensure_running()
    port = server.status().port
    assert port is not None
    server.stop()
    with socket.create_server(("127.0.0.1", port)):
        url = server.ensure_running()
        assert server.status().port != port
        assert query(url, "SELECT 1") == 1


def test_a_lost_state_file_costs_no_data(home: Path) -> None:
    server = server_of(home)
    query(server.ensure_running(), "CREATE TABLE kept AS SELECT 1 AS n")
    (home / "postgres.json").unlink()
    assert query(server.ensure_running(), "SELECT n FROM kept") == 1


def test_a_copied_home_does_not_talk_to_the_first_ones_server(home: Path) -> None:
    server = server_of(home)
    query(server.ensure_running(), "CREATE TABLE kept AS SELECT 1 AS n")
    server.stop()
    copy = Path(tempfile.mkdtemp(prefix="mlb-home-"))
    try:
        subprocess.run(["cp", "-a", f"{home}/.", copy], check=True)
        first = server.ensure_running()
        second = server_of(copy).ensure_running()
        assert first != second
        assert query(second, "SELECT n FROM kept") == 1
        assert query(second, "SHOW data_directory") == str(copy / "postgres")
    finally:
        server_of(copy).stop()
        shutil.rmtree(copy)


@pytest.mark.parametrize("ended", ["stopped", "killed"])
def test_a_home_does_not_talk_to_the_server_of_its_copy(home: Path, ended: str) -> None:
    """The copy, started first, takes the same port and has the same password; a killed server's pid file names both."""
    server = server_of(home)
    query(server.ensure_running(), "CREATE TABLE kept AS SELECT 1 AS n")
    if ended == "stopped":
        server.stop()
    else:
        kill(server.status().pid or 0)
    copy = Path(tempfile.mkdtemp(prefix="mlb-home-"))
    try:
        subprocess.run(["cp", "-a", f"{home}/.", copy], check=True)
        query(server_of(copy).ensure_running(), "CREATE TABLE of_the_copy AS SELECT 1")
        url = server.ensure_running()
        assert query(url, "SHOW data_directory") == str(server.data_dir.resolve())
        assert query(url, "SELECT to_regclass('of_the_copy')::text") is None
        assert query(url, "SELECT n FROM kept") == 1
        assert server_of(home).ensure_running() == url
    finally:
        server_of(copy).stop()
        shutil.rmtree(copy)


def test_a_server_whose_process_is_out_of_sight_is_not_started_twice(home: Path) -> None:
    """As from another container that shares folder and network: what the server says of its data folder counts."""
    server = server_of(home)
    url = server.ensure_running()
    pid_file = server.data_dir / "postmaster.pid"
    content = pid_file.read_text()
    gone = subprocess.Popen(["true"])
    gone.wait()
    unseen = "\n".join([str(gone.pid), *content.splitlines()[1:]]) + "\n"
    pid_file.write_text(unseen)
    try:
        assert not server.status().running
        assert server.ensure_running() == url
        assert pid_file.read_text() == unseen
    finally:
        pid_file.write_text(content)


def test_the_callers_environment_changes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGPORT": "1", "PGDATA": "/nowhere", "PGOPTIONS": "-c nonsense=1", "LC_ALL": "de_DE"}.items():
        monkeypatch.setenv(name, value)
    server = server_of(home)
    server.ensure_running()
    assert server.stop()


def test_data_of_another_major_version_is_refused_with_the_way_out(home: Path) -> None:
    server = server_of(home)
    server.ensure_running()
    server.stop()
    (server.data_dir / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match="PostgreSQL 17.*pg_dump") as refused:
        server.ensure_running()
    assert "\n" not in str(refused.value)
    (server.data_dir / "PG_VERSION").write_text("18\n")


def test_a_folder_with_other_files_in_it_is_left_alone(home: Path) -> None:
    (home / "postgres").mkdir()
    (home / "postgres" / "thesis.txt").write_text("mine")
    with pytest.raises(EmbeddedPostgresError, match="no database of this platform"):
        server_of(home).ensure_running()
    assert (home / "postgres" / "thesis.txt").read_text() == "mine"


def test_a_broken_cluster_names_reason_and_log_in_one_line(home: Path) -> None:
    server = server_of(home)
    server.ensure_running()
    server.stop()
    (server.data_dir / "global" / "pg_control").unlink()
    with pytest.raises(PlatformError, match="does not start") as failed:
        server.ensure_running()
    assert "postgresql-start.log" in str(failed.value)
    assert "\n" not in str(failed.value)


@as_root
def test_a_full_disk_is_named(home: Path) -> None:
    small = home / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", small], capture_output=True).returncode != 0:
        pytest.skip("no mounts here")
    try:
        os.chmod(home, 0o711)
        with pytest.raises(EmbeddedPostgresError, match="No space left on device") as full:
            server_of(small).ensure_running()
        assert "\n" not in str(full.value)
    finally:
        subprocess.run(["umount", small], check=True)


@as_root
def test_a_home_that_the_servers_user_cannot_reach() -> None:
    """As root below a private folder (/root, say): the data lies in /var/lib, and a deleted home is still a reset."""
    closed = Path(tempfile.mkdtemp(prefix="mlb-closed-"))
    home = closed / "deeper" / ".mlb"
    server = server_of(home)
    try:
        query(server.ensure_running(), "CREATE TABLE old AS SELECT 1")
        assert server.data_dir.is_symlink()
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        server.stop()
        assert query(server.ensure_running(), "SELECT count(*) FROM old") == 1
        shutil.rmtree(home)
        url = server.ensure_running()
        assert query(url, "SELECT to_regclass('old')::text") is None
    finally:
        server.stop()
        for path in server.data_dir.resolve().parent.glob(f"{server.data_dir.resolve().name}*"):
            shutil.rmtree(path)
        shutil.rmtree(closed)


@as_root
def test_an_unprivileged_user_runs_it_as_itself(home: Path) -> None:
    """A child becomes `nobody` (the interpreter may lie where only root can start it) and starts its own server."""
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            server = server_of(home)
            assert query(server.ensure_running(), "SELECT 1") == 1
            kill(server.status().pid or 0)
            assert query(server.ensure_running(), "SELECT 1") == 1
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    server = server_of(home)
    pid = server.status().pid
    assert pid is not None and psutil.Process(pid).uids().real == nobody.pw_uid
    assert query(server.ensure_running(), "SELECT 1") == 1  # root shares it


def test_open_postgres_uses_it_without_url(home: Path) -> None:
    with open_postgres(None, home / "postgres", home / "logs") as postgres, postgres.transaction() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
