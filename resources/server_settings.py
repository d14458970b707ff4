"""What the embedded server is set to, and the small steps around it: its files, its port, its answers, its failures."""

from __future__ import annotations

import os
import random
import socket
import tempfile
from pathlib import Path

import psycopg

from resources.server_account import EmbeddedPostgresError

MAJOR_VERSION = "18"
ROLE = "mlb"
DATABASE = "mlb"
HOST = "127.0.0.1"
MARKER = "mlb_initialized"
CONFIGURATION = "mlb.conf"
CLIENT_OPTIONS = "-c timezone=UTC"  # given, so that a PGOPTIONS of the caller does not count

# Refusals to start that pass: sessions of a killed server still going away, the server of a killed command coming up.
PASSING = ("shared memory block", 'lock file "postmaster.pid"')

# For a small machine that Spark shares. No parallel query: its shared memory is 64 MB in a container, and the cores
# are busy. Tables that only grow are vacuumed once a million rows are new: by default a backfill's are read again and
# again while they are filled. WAL is minimal because nothing replicates. One SCRAM iteration makes a connection three
# times cheaper and is safe with a password of 48 random bytes.
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "scram_iterations": "1",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_locks_per_transaction": "256",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "jit": "off",
    "autovacuum_vacuum_insert_threshold": "1000000",
    "random_page_cost": "1.1",
    "fsync": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "track_commit_timestamp": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_filename": "postgresql-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_checkpoints": "off",
}


def configuration_text(port: int, log_dir: Path) -> str:
    """Return the text of the configuration file."""
    values = {**SETTINGS, "port": str(port), "log_directory": str(log_dir)}
    return "".join(f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in values.items())


def server_url(password: str, port: int, database: str = DATABASE) -> str:
    """Return the URL of a database of the server."""
    return f"postgresql://{ROLE}:{password}@{HOST}:{port}/{database}"


def probe_server(url: str) -> str:
    """Return `ready`, `refused` (a wrong password), `absent` (nobody there, or not ready yet), or another reason."""
    try:
        psycopg.connect(url, connect_timeout=5, options=CLIENT_OPTIONS).close()
    except psycopg.OperationalError as error:
        text = " ".join(str(error).split())
        if "too many clients" in text or "connection slots are reserved" in text:
            return "ready"
        if "password authentication failed" in text:
            return "refused"
        passing = ("starting up", "shutting down", "in recovery", "not yet accepting", "does not exist")
        return text if "FATAL" in text and not any(word in text for word in passing) else "absent"
    return "ready"


def ensure_database(password: str, port: int) -> None:
    """Create the platform's database unless it is there."""
    with psycopg.connect(server_url(password, port, "postgres"), autocommit=True, options=CLIENT_OPTIONS) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")


def free_port(preferred: object) -> int:
    """Return a port nobody listens on: `preferred` if that is one, else one below the range of outgoing connections."""
    candidates = [preferred] if isinstance(preferred, int) else []
    candidates += random.sample(range(20000, 32000), 50)
    for port in candidates:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise EmbeddedPostgresError(f"no free port on {HOST} between 20000 and 32000: stop something that listens there")


def write_private(path: Path, text: str, uid: int, gid: int) -> None:
    """Write a file of mode 0600 that belongs to `uid`: whole or not at all, and on disk when this returns."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if os.geteuid() == 0:
            os.chown(name, uid, gid)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def server_failure(what: str, log: Path, said: str) -> EmbeddedPostgresError:
    """Return the error for a server program that failed, with the reason it gave."""
    if "No space left on device" in said:
        return EmbeddedPostgresError(
            f"{what}: the disk is full (No space left on device): free some space and try again"
        )
    reason = "no reason given"
    for line in said.splitlines():
        found = next((mark for mark in ("FATAL:", "PANIC:", "error:") if mark in line), None)
        if found:
            reason = line.split(found, 1)[1].strip()
            break
    return EmbeddedPostgresError(f"{what}: {reason}: see {log} and {log.parent / 'postgresql'}")
