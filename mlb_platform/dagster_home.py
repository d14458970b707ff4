"""DAGSTER_HOME of the platform: storage in our database, files under MLB_HOME, and how to start the UI.

`mlb ui` runs the commands of `ui_commands`, with `dagster_environment` added to the environment. `webserver_command`
and `daemon_command` also work by themselves on the project's `workspace.yaml`: each then loads the definitions.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml
from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef
from psycopg import sql

from mlb_platform.settings import PROJECT_ROOT, Settings
from resources.own_tables import lock_ddl, table_exists
from resources.postgres import Postgres, with_options
from resources.server_settings import free_port, write_private

LOCATION = "mlb_platform"
SCHEMA = "dagster"
"""Schema of Dagster's own tables in our database."""
MAX_RUNS = 2
"""Runs at a time; each has a JVM of its own."""
API_POOL = "statsapi"
"""Runs that ask the API take a slot of this concurrency pool."""
PERMANENT_TAG = "fails_again"
"""Tag of a failed run that would fail again in the same way: its sensor does not request it again."""
POOL_LIMITS = {API_POOL: 1}
"""Pools with fewer slots than runs at a time; a limit changed in the UI stays."""
BATCH_SIZE, EVENTS_PER_BATCH = "DAGSTER_EVENT_BATCH_SIZE", "50"
WORKSPACE = PROJECT_ROOT / "workspace.yaml"


def storage_url(url: str) -> str:
    """Return the database URL for Dagster's storage: psycopg2 by name, and the tables in a schema of their own."""
    from sqlalchemy import URL

    given = with_options(url, f"-csearch_path={SCHEMA}")
    port = given.pop("port", None)
    user, password, host, database = (given.pop(name, None) for name in ("user", "password", "host", "dbname"))
    if host and host.startswith("/"):  # the folder of a socket has no place between @ and /
        given["host"], host = host, None
    made = URL.create("postgresql+psycopg2", user, password, host, int(port) if port else None, database, given)
    return made.render_as_string(hide_password=False)


def instance_configuration(settings: Settings, postgres: Postgres) -> dict[str, object]:
    """Return what dagster.yaml says."""
    home = settings.dagster_home
    return {
        "storage": {
            "custom": {
                "module": "resources.dagster_storage",
                "class": "KeptPostgresStorage",
                "config": {"postgres_url": storage_url(postgres.url)},
            }
        },
        "run_launcher": {"module": "resources.dagster_launcher", "class": "WatchedRunLauncher"},
        "local_artifact_storage": {
            "module": "dagster.core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(home / "artifacts")},
        },
        "compute_logs": {
            "module": "dagster.core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(settings.logs / "dagster")},
        },
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "concurrency": {
            "runs": {"max_concurrent_runs": MAX_RUNS},
            "pools": {"default_limit": MAX_RUNS, "granularity": "run"},
        },
        "run_monitoring": {"enabled": True, "start_timeout_seconds": 300, "poll_interval_seconds": 30},
        "code_servers": {"local_startup_timeout": 180},
        "retention": {"sensor": {"purge_after_days": {"skipped": 2, "failure": 30, "success": 90}}},
    }


def prepare_dagster_home(settings: Settings, postgres: Postgres) -> Path:
    """Write MLB_HOME/dagster/dagster.yaml for this database and return the folder: it is DAGSTER_HOME.

    Cheap enough to be called by every command: an embedded server may have moved to another port.
    """
    home = settings.dagster_home
    for folder in (home, home / "artifacts", settings.logs / "dagster"):
        folder.mkdir(parents=True, exist_ok=True)
    with postgres.transaction() as connection:
        found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [SCHEMA]).fetchone()
        if found is None:
            lock_ddl(connection)
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
    text = yaml.safe_dump(instance_configuration(settings, postgres), sort_keys=False)
    file = home / "dagster.yaml"
    if not file.is_file() or file.read_text("utf-8") != text:
        owner = home.stat()
        write_private(file, text, owner.st_uid, owner.st_gid)
    _limit_pools(home, postgres)
    return home


def _limit_pools(home: Path, postgres: Postgres) -> None:
    """Give the pools their limits, once: Dagster keeps limits of single pools in its storage, not in dagster.yaml."""
    with postgres.transaction() as connection:
        known: set[str] = set()
        if table_exists(connection, f"{SCHEMA}.concurrency_limits"):
            query = f"SELECT concurrency_key FROM {SCHEMA}.concurrency_limits WHERE NOT using_default_limit"
            known = {row[0] for row in connection.execute(query.encode()).fetchall()}
    if missing := POOL_LIMITS.keys() - known:
        with DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as instance:
            for pool in sorted(missing):
                instance.event_log_storage.set_concurrency_slots(pool, POOL_LIMITS[pool])


@contextmanager
def open_instance(settings: Settings, postgres: Postgres) -> Iterator[DagsterInstance]:
    """Give the platform's Dagster instance, whatever the environment says.

    Its materializations are written in batches, as by default they are not, and its connections are kept without being
    tried each time, as a command is short. What a run prints is left to the terminal: capturing it takes four processes
    a run.
    """
    home = prepare_dagster_home(settings, postgres)
    os.environ.setdefault(BATCH_SIZE, EVENTS_PER_BATCH)
    quiet = {"module": "dagster.core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    reference = InstanceRef.from_dir(str(home), overrides={"compute_logs": quiet})
    with DagsterInstance.from_ref(reference) as instance:
        instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=10)
        yield instance


def dagster_environment(settings: Settings) -> dict[str, str]:
    """Return what Dagster's processes need in their environment to work on these settings."""
    values: dict[str, object] = {
        "DAGSTER_HOME": settings.dagster_home,
        "DAGSTER_DISABLE_TELEMETRY": "1",
        BATCH_SIZE: EVENTS_PER_BATCH,
        **{f"MLB_{name.upper()}": value for name, value in settings.model_dump(exclude_none=True).items()},
    }
    return {name: str(value) for name, value in values.items()}


def webserver_command(port: int, host: str = "127.0.0.1", workspace: Path = WORKSPACE) -> list[str]:
    """Return the command that serves the UI."""
    options = ["--workspace", str(workspace), "--host", host, "--port", str(port)]
    return [sys.executable, "-m", "dagster_webserver", *options]


def daemon_command(workspace: Path = WORKSPACE) -> list[str]:
    """Return the command of the daemon, which launches queued runs and backfills and ticks the sensors."""
    return [sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(workspace)]


def merged_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with what Dagster's processes need."""
    return {**environment, **dagster_environment(settings)}


def code_server_command(port: int) -> list[str]:
    """Return the command that loads the definitions once, for the UI and the daemon; the UI can tell it to reload."""
    options = ["--module-name", "mlb_platform.definitions", "--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "dagster", "code-server", "start", *options, "--location-name", LOCATION]


def ui_commands(settings: Settings, port: int, host: str = "127.0.0.1") -> list[list[str]]:
    """Return the commands of the whole UI: one code server, the pages and the daemon. Start them together.

    The code server gets a free port, noted in MLB_HOME/dagster/workspace.yaml; call `prepare_dagster_home` before.
    """
    code_port = free_port(None)
    workspace = settings.dagster_home / "workspace.yaml"
    server = {"host": "127.0.0.1", "port": code_port, "location_name": LOCATION}
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}), "utf-8")
    return [code_server_command(code_port), webserver_command(port, host, workspace), daemon_command(workspace)]
