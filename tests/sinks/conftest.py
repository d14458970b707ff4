"""Each kind of sink on a real PostgreSQL, a real lake and, for delta-spark, a real Spark."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.delta_sink import DeltaSink
from resources.embedded_postgres import EmbeddedPostgres
from resources.merge import Sink
from resources.postgres import Postgres
from resources.postgres_sink import PostgresSink

from .harness import SinkCase

KINDS = ("postgres", "delta-deltalake", "delta-spark")


@pytest.fixture(scope="session")
def _own_database() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="mlb-sinks-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        server = EmbeddedPostgres(home / "postgres", home / "logs")
        postgres = Postgres(server.ensure_running())
        yield postgres
        postgres.close()
        server.stop()


@pytest.fixture(scope="session")
def _own_spark() -> Iterator[object]:
    from pyspark.sql import SparkSession

    jars = ",".join(str(path) for path in Path("/tmp/w/jars").glob("*.jar"))
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", jars)
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    yield session
    session.stop()


def _shared(request: pytest.FixtureRequest, name: str, fallback: str) -> object:
    try:
        return request.getfixturevalue(name)
    except pytest.FixtureLookupError:
        return request.getfixturevalue(fallback)


@pytest.fixture
def sink_database(request: pytest.FixtureRequest) -> Postgres:
    found = _shared(request, "database", "_own_database")
    assert isinstance(found, Postgres)
    return found


@pytest.fixture
def lake(tmp_path: Path) -> str:
    return str(tmp_path / "lake")


def make_case(kind: str, request: pytest.FixtureRequest, postgres: Postgres, lake: str) -> SinkCase:
    if kind == "delta-spark":
        spark = _shared(request, "spark", "_own_spark")

        def make() -> Sink:
            return DeltaSink(lake, postgres, spark=lambda: spark, spark_above_bytes=-1)  # type: ignore[arg-type,return-value]
    elif kind == "delta-deltalake":

        def make() -> Sink:
            return DeltaSink(lake, postgres)
    else:

        def make() -> Sink:
            return PostgresSink(postgres)

    return SinkCase(kind, make, postgres)


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, sink_database: Postgres, lake: str) -> SinkCase:
    """Each kind of sink in turn."""
    return make_case(request.param, request, sink_database, lake)


@pytest.fixture(params=KINDS[:2])
def light_case(request: pytest.FixtureRequest, sink_database: Postgres, lake: str) -> SinkCase:
    """Each kind of sink that needs no Spark."""
    return make_case(request.param, request, sink_database, lake)
