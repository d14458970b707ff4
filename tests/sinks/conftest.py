"""Each kind of sink on a real PostgreSQL, a real lake and, for those by Spark, a real Spark."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.delta_sink import DeltaSink
from resources.merge import Sink
from resources.postgres import Postgres
from resources.postgres_executors import ExecutorPostgresSink
from resources.postgres_sink import PostgresSink

from .harness import FramesToDelta, FramesToPostgres, SinkCase

LIGHT_KINDS = ("postgres", "delta-deltalake")
BY_SPARK = ("postgres-executors", "delta-spark")
FROM_FRAMES = ("postgres-frames", "delta-frames")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Take each kind in turn; on a cluster those by Spark only, through every test."""
    cluster = metafunc.config.getoption("spark_master") is not None
    for fixture, usual in (("case", (*LIGHT_KINDS, *BY_SPARK)), ("light_case", LIGHT_KINDS)):
        if fixture in metafunc.fixturenames:
            kinds = (*BY_SPARK, *FROM_FRAMES) if cluster else usual
            light = [pytest.param(kind) for kind in kinds if kind in LIGHT_KINDS]
            spark = [pytest.param(k, marks=pytest.mark.xdist_group("spark")) for k in kinds if k not in LIGHT_KINDS]
            metafunc.parametrize(fixture, light + spark, indirect=True)


@pytest.fixture
def lake(tmp_path: Path) -> str:
    return str(tmp_path / "lake")


def make_case(kind: str, request: pytest.FixtureRequest, postgres: Postgres, lake: str) -> SinkCase:
    spark = None if kind in LIGHT_KINDS else request.getfixturevalue("spark")

    def make() -> Sink:
        match kind:
            case "postgres":
                return PostgresSink(postgres)
            case "postgres-executors":
                return ExecutorPostgresSink(postgres, lambda: spark)
            case "postgres-frames":
                return FramesToPostgres(postgres, lambda: spark)
            case "delta-deltalake":
                return DeltaSink(lake, postgres)
            case "delta-spark":
                return DeltaSink(lake, postgres, spark=lambda: spark, spark_above_bytes=-1)
        return FramesToDelta(lake, postgres, spark=lambda: spark)

    return SinkCase(kind, make, postgres, None if kind.startswith("postgres") else lake)


@pytest.fixture
def case(request: pytest.FixtureRequest, database: Postgres, lake: str) -> SinkCase:
    """Each kind of sink in turn."""
    return make_case(request.param, request, database, lake)


@pytest.fixture
def light_case(request: pytest.FixtureRequest, database: Postgres, lake: str) -> SinkCase:
    """Each kind of sink that needs no Spark; on a cluster those that do."""
    return make_case(request.param, request, database, lake)
