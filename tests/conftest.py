"""Fixtures shared by all tests: one embedded server a session, one fresh database a test."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.embedded_postgres import EmbeddedPostgres
from resources.postgres import Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """An embedded server of its own for this test session."""
    home = Path(tempfile.mkdtemp(prefix="mlb-test-"))
    server = EmbeddedPostgres(home / "postgres", home / "logs")
    try:
        yield Postgres(server.ensure_running())
    finally:
        server.stop()
        shutil.rmtree(home)


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Postgres]:
    """An empty database on the session's server, dropped after the test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with postgres.connect(autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    fresh = Postgres(postgres.url.rsplit("/", 1)[0] + f"/{name}")
    try:
        yield fresh
    finally:
        fresh.close()
        with postgres.connect(autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
