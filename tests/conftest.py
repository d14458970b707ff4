"""Fixtures shared by all tests: one embedded server a session, one fresh database a test."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlb_platform.platform import Platform
from mlb_platform.settings import Settings, load_settings
from resources.embedded_postgres import EmbeddedPostgres
from resources.postgres import Postgres
from resources.spark import install_jars, open_session, spark_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def pytest_configure() -> None:
    """Let no test see the width of whoever's terminal; xdist hands it on."""
    os.environ.pop("COLUMNS", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--spark-master` takes the tests to a cluster, and those of the sinks through every way by Spark."""
    parser.addoption("--spark-master", help="Spark master of this session (default local[2])")


@pytest.hookimpl(tryfirst=True)  # before xdist, which reads the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of two processes one has all that needs the Spark session, the other the rest by file, the long UI first."""
    if not hasattr(config, "workerinput"):
        return
    first = ["spark", "ui"]

    def group(item: pytest.Item) -> str:
        marked = item.get_closest_marker("xdist_group")
        if marked is not None:
            return str(marked.args[0])
        if "spark" in getattr(item, "fixturenames", ()):
            return "spark"
        return "ui" if "browser" in getattr(item, "fixturenames", ()) else item.path.stem

    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=lambda item: first.index(group(item)) if group(item) in first else len(first))


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


@pytest.fixture(scope="session")
def spark(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one Spark session of this test session, with our settings and the jars that `make setup` fetched."""
    jars = load_settings().jars
    install_jars(jars, jars.parent / "ivy")
    master = request.config.getoption("spark_master") or "local[2]"
    session = open_session(spark_settings(jars, tmp_path_factory.mktemp("spark"), master=master, quick_start=True))
    yield session
    session.stop()


@pytest.fixture
def platform(database: Postgres, spark: SparkSession, tmp_path: Path) -> Platform:
    """The whole platform on an empty database and an empty lake, with the session's Spark."""
    settings = Settings(home=tmp_path, database_url=database.url)
    return Platform(settings, spark_factory=lambda: spark)


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of real captures (MLB_CAPTURES); tests on it are skipped where there is none."""
    folder = os.environ.get("MLB_CAPTURES")
    if not folder or not (Path(folder) / "INDEX.tsv").is_file():
        pytest.skip("needs real captures: set MLB_CAPTURES to a folder with an INDEX.tsv")
    return Path(folder)
