"""A private PostgreSQL 18 that starts on demand: no service to install, nothing open to the network.

Beside the data folder `X` lie `X.json` (port and password, mode 0600) and `X.lock` (one starter at a time). The server
outlives the command that started it; the next command finds it by `X.json`, or starts it again.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import filelock
import psutil
import psycopg

from resources.server_account import Account, EmbeddedPostgresError, binaries, choose_account, open_way, system_base
from resources.server_settings import (
    CLIENT_OPTIONS,
    CONFIGURATION,
    MAJOR_VERSION,
    MARKER,
    PASSING,
    ROLE,
    configuration_text,
    ensure_database,
    free_port,
    probe_server,
    server_failure,
    server_url,
    write_private,
)


@dataclass(frozen=True)
class ServerStatus:
    """What is known of the server; `port` and `pid` are None when it does not run."""

    running: bool
    pid: int | None
    port: int | None
    data_dir: Path
    log_dir: Path


class EmbeddedPostgres:
    """The server whose data lies in `data_dir` and whose logs go to `log_dir`/postgresql.

    Several processes may hold one for the same folder. As root the data belongs to an unprivileged system user; where
    that user cannot get to `data_dir` (below /root, say), `data_dir` is a link into /var/lib/mlb-data-platform.
    """

    def __init__(self, data_dir: Path, log_dir: Path) -> None:
        self.data_dir = Path(os.path.abspath(data_dir))
        self.log_dir = Path(os.path.abspath(log_dir))
        self._state_file = self.data_dir.with_name(self.data_dir.name + ".json")
        self._lock_file = self.data_dir.with_name(self.data_dir.name + ".lock")

    def ensure_running(self) -> str:
        """Start the server unless it runs, and return its postgresql:// URL. Raises EmbeddedPostgresError."""
        return self._probe() or self._ensure_locked()

    def stop(self) -> bool:
        """Stop the server cleanly, ending its sessions; tell whether it was running. Raises EmbeddedPostgresError."""
        with self._locked():
            return self._stop()

    def status(self) -> ServerStatus:
        """Return what is known of the server, without starting it."""
        pid = self._postmaster()
        return ServerStatus(pid is not None, pid, self._pid_port() if pid else None, self.data_dir, self.log_dir)

    # -- finding it -------------------------------------------------------------------------------------------------

    def _probe(self) -> str | None:
        """Return the URL of the server if it is there and answers: two files read and one connection.

        A copied home has the same password, and its server may have come to the port first: that one is not taken.
        """
        state = self._read_state()
        if state.get("data_dir") != str(self.data_dir) or not state.get("port") or self._pid_port() != state["port"]:
            return None
        url = server_url(str(state["password"]), int(state["port"]))
        if probe_server(url) != "ready":
            return None
        return url if self._postmaster() is not None or self._is_ours(url) else None

    def _is_ours(self, url: str) -> bool:
        """Tell whether a server says that its data is this folder's: its process may be out of sight in a container."""
        try:
            with psycopg.connect(url, connect_timeout=5, options=CLIENT_OPTIONS) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and row[0] == str(self.data_dir.resolve())

    def _read_state(self) -> dict[str, Any]:
        try:
            state = json.loads(self._state_file.read_bytes())
        except FileNotFoundError:
            return {}
        except PermissionError as error:
            raise EmbeddedPostgresError(
                f"{self._state_file} belongs to another user: run as that user, or set MLB_HOME to a folder of your own"
            ) from error
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) and isinstance(state.get("password"), str) else {}

    def _write_state(self, state: dict[str, Any]) -> None:
        owner = self._state_file.parent.stat()
        write_private(self._state_file, json.dumps(state), owner.st_uid, owner.st_gid)

    def _pid_line(self, number: int) -> str | None:
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except OSError:
            return None
        return lines[number].strip() if len(lines) > number else None

    def _pid_port(self) -> int | None:
        port = self._pid_line(3)
        return int(port) if port and port.isdigit() else None

    def _postmaster(self) -> int | None:
        """Return the pid of the living server of this folder; a stale pid file may name a stranger, or a zombie."""
        pid = self._pid_line(0)
        if not pid or not pid.isdigit():
            return None
        try:
            process = psutil.Process(int(pid))
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            command = process.cmdline()
        except psutil.NoSuchProcess:
            return None
        except psutil.AccessDenied:
            return None  # of another user, so not the one that owns this folder
        if not command or not Path(command[0]).name.startswith("postgres"):
            return None
        try:
            ours = os.path.samefile(process.cwd(), self.data_dir)
        except (psutil.Error, OSError):
            ours = str(self.data_dir.resolve()) in command  # a container's root may not look at another user's cwd
        return int(pid) if ours else None

    # -- starting it ------------------------------------------------------------------------------------------------

    def _ensure_locked(self) -> str:
        with self._locked():
            url = self._probe()
            if url is not None:
                return url
            self._refuse_other_version()
            account = self._place()
            programs = binaries(account)
            state = self._initialised_state(account, programs)
            if self._postmaster() is None:
                self._launch(account, programs, state)
            state["port"] = self._await_ready(state["password"])
            state["data_dir"] = str(self.data_dir)
            self._write_state(state)
            url = server_url(state["password"], state["port"])
            ensure_database(state["password"], state["port"])
            return url

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.data_dir.parent.mkdir(parents=True, exist_ok=True)
            self.log_dir.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self._lock_file, timeout=300)
            with lock:
                if os.geteuid() == 0:
                    owner = self._lock_file.parent.stat()
                    os.chown(self._lock_file, owner.st_uid, owner.st_gid)
                yield
        except filelock.Timeout as error:
            raise EmbeddedPostgresError(
                f"another command has held {self._lock_file} for five minutes: let it finish, or stop it"
            ) from error
        except OSError as error:
            # strerror names the cause: No space left on device, Read-only file system, Permission denied
            raise EmbeddedPostgresError(
                f"the embedded PostgreSQL in {self.data_dir} cannot be used: {error.strerror or error} "
                f"({error.filename or self.data_dir}): free the space or permissions, or set MLB_HOME elsewhere"
            ) from error

    def _refuse_other_version(self) -> None:
        version_file = self.data_dir / "PG_VERSION"
        version = version_file.read_text().strip() if version_file.is_file() else MAJOR_VERSION
        if version != MAJOR_VERSION and (self.data_dir / MARKER).exists():
            raise EmbeddedPostgresError(
                f"{self.data_dir} was made by PostgreSQL {version} and this platform brings {MAJOR_VERSION}: dump it "
                f"with the version that made it (pg_dump) or run pg_upgrade, or delete {self.data_dir} to start afresh"
            )

    def _place(self) -> Account:
        """Make the data folder, in a place that the server's user reaches, and return that user."""
        account = choose_account(self.data_dir)
        reached = open_way(account, self.data_dir.parent)
        if not reached and not self.data_dir.is_symlink():
            self._place_outside(account)
        real = self.data_dir.resolve()
        real.mkdir(mode=0o700, exist_ok=True)
        account.own(real)
        logs = self.log_dir / "postgresql"
        if account.switch and not logs.is_symlink():
            logs.mkdir(exist_ok=True)
            account.own(logs)
            if not account.can("-w", logs):
                logs.rmdir()
                logs.symlink_to(real.with_name(real.name + "-logs"))
        logs.resolve().mkdir(exist_ok=True)
        account.own(logs.resolve())
        return account

    def _place_outside(self, account: Account) -> None:
        """Link the data folder to one below /var/lib; what an earlier home of the same path left there goes."""
        outside = system_base() / sha256(str(self.data_dir).encode()).hexdigest()[:16]
        if self.data_dir.exists():
            self.data_dir.rmdir()
        self.data_dir.symlink_to(outside)
        if outside.exists():
            self._stop()
            shutil.rmtree(outside)
        outside.mkdir(mode=0o700)
        account.own(outside)

    def _initialised_state(self, account: Account, programs: Path) -> dict[str, Any]:
        """Return the state of a complete cluster: made, made again after an interruption, or found."""
        state = self._read_state()
        if (self.data_dir / MARKER).exists():
            if not state:
                state = {"password": secrets.token_urlsafe(48)}
                self._reset_password(account, programs, state["password"])
                self._write_state(state)
            return state
        if any(self.data_dir.iterdir()) and not state.get("initializing"):
            raise EmbeddedPostgresError(
                f"{self.data_dir} has files in it that are no database of this platform: move them away, "
                "or set MLB_HOME elsewhere"
            )
        state = {"password": secrets.token_urlsafe(48), "initializing": True}
        self._write_state(state)
        self._initialise(account, programs, state["password"])
        state.pop("initializing")
        self._write_state(state)
        return state

    def _initialise(self, account: Account, programs: Path, password: str) -> None:
        """Make the cluster in a folder of its own and rename it: an interrupted one never lies in the data folder.

        (The `initdb` of a killed command lives on for a second; it must not meet the next one's.)
        """
        real = self.data_dir.resolve()
        for leftover in real.parent.glob(f"{real.name}.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        new = Path(tempfile.mkdtemp(dir=real.parent, prefix=f"{real.name}.new-"))
        account.own(new)
        password_file = new.with_name(f"{new.name}.pw")
        log = self.log_dir / "postgresql-initdb.log"
        try:
            write_private(password_file, password, account.uid, account.gid)
            # collation by code point: the same on every machine, and no system update can spoil an index
            locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            roles = [f"--username={ROLE}", f"--pwfile={password_file}", "--auth=scram-sha-256"]
            with log.open("wb") as output:
                options = [f"--pgdata={new}", *roles, *locale, "--set=scram_iterations=1"]
                code = account.run([programs / "initdb", *options], output=output)
            if code != 0:
                raise server_failure(
                    f"a database cannot be made in {self.data_dir}", log, log.read_text(errors="replace")
                )
            with (new / "postgresql.conf").open("a") as configuration:
                configuration.write(f"\ninclude '{CONFIGURATION}'\n")
            write_private(new / MARKER, f"PostgreSQL {MAJOR_VERSION}\n", account.uid, account.gid)
            shutil.rmtree(real)
            new.rename(real)
        finally:
            password_file.unlink(missing_ok=True)
            shutil.rmtree(new, ignore_errors=True)

    def _reset_password(self, account: Account, programs: Path, password: str) -> None:
        """Set a new password without the old one, which a lost state file took along."""
        self._stop()
        self._drop_stale_pid()
        statement = f"ALTER ROLE {ROLE} PASSWORD '{password}'\n".encode()
        log = self.log_dir / "postgresql-start.log"
        self._configure(account, free_port(None))
        options = ["--single", "-D", str(self.data_dir.resolve()), "-c", "logging_collector=off"]
        with log.open("wb") as output:
            code = account.run([programs / "postgres", *options, "postgres"], output=output, stdin=statement)
        if code != 0:
            raise server_failure(
                f"the password of {self.data_dir} cannot be renewed", log, log.read_text(errors="replace")
            )

    def _configure(self, account: Account, port: int) -> None:
        text = configuration_text(port, (self.log_dir / "postgresql").resolve())
        write_private(self.data_dir.resolve() / CONFIGURATION, text, account.uid, account.gid)

    def _drop_stale_pid(self) -> None:
        """Remove a pid file that names a dead process, a zombie or a stranger; PostgreSQL itself would refuse to start.

        (Sessions of a killed server are no danger: PostgreSQL finds their shared memory without this file.)
        """
        path = self.data_dir / "postmaster.pid"
        try:
            named = bool(path.read_text().strip())
            settled = named or time.time() - path.stat().st_mtime > 10  # an empty one may belong to a server being born
        except FileNotFoundError:
            return
        if settled and self._postmaster() is None:
            path.unlink(missing_ok=True)

    def _launch(self, account: Account, programs: Path, state: dict[str, Any]) -> None:
        """Start the server, with another port or a little later where that is what it wants."""
        log = self.log_dir / "postgresql-start.log"
        server_logs = self.log_dir / "postgresql"
        port = free_port(state.get("port"))
        deadline = time.monotonic() + 20
        while True:
            self._configure(account, port)
            self._drop_stale_pid()
            before = {path: path.stat().st_size for path in server_logs.glob("*.log")}
            with log.open("wb") as output:
                options = ["start", "--wait", "--timeout=600", f"--pgdata={self.data_dir.resolve()}"]
                code = account.run([programs / "pg_ctl", *options], output=output, timeout=660)
            if code == 0:
                return
            said = log.read_text(errors="replace")
            for path in server_logs.glob("*.log"):
                said += path.read_bytes()[before.get(path, 0) :].decode(errors="replace")
            if time.monotonic() < deadline and "could not bind" in said:
                port = free_port(None)
            elif time.monotonic() < deadline and "lock file" in said and self._postmaster() is not None:
                return  # the server that a killed command was starting
            elif time.monotonic() < deadline and any(passing in said for passing in PASSING):
                time.sleep(0.2)
            else:
                raise server_failure(f"PostgreSQL in {self.data_dir} does not start", log, said)

    def _await_ready(self, password: str) -> int:
        """Wait until the server takes connections (a recovery may take a while) and return its port."""
        deadline = time.monotonic() + 600
        while self._postmaster() is not None and time.monotonic() < deadline:
            port = self._pid_port()
            if port is not None:
                answer = probe_server(server_url(password, port, "postgres"))
                if answer == "ready":
                    return port
                if answer == "refused":
                    raise EmbeddedPostgresError(
                        f"PostgreSQL in {self.data_dir} does not take the password in {self._state_file}: "
                        f"stop it, delete {self._state_file} and try again (a new password is then set)"
                    )
                if answer != "absent":
                    raise EmbeddedPostgresError(f"PostgreSQL in {self.data_dir} takes no connection: {answer}")
            time.sleep(0.02)
        raise EmbeddedPostgresError(f"PostgreSQL in {self.data_dir} went away while starting: see {self.log_dir}")

    def _stop(self) -> bool:
        if self._postmaster() is None:
            return False
        account = choose_account(self.data_dir)
        log = self.log_dir / "postgresql-stop.log"
        with log.open("wb") as output:
            options = ["stop", "--mode=fast", "--wait", "--timeout=120", f"--pgdata={self.data_dir.resolve()}"]
            code = account.run([binaries(account) / "pg_ctl", *options], output=output)
        if code != 0 and self._postmaster() is not None:
            raise server_failure(f"PostgreSQL in {self.data_dir} does not stop", log, log.read_text(errors="replace"))
        return True


__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "ServerStatus"]
