"""Each kind of sink on a real PostgreSQL, a real lake and, for delta-spark, a real Spark."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from resources.delta_sink import DeltaSink
from resources.merge import Sink
from resources.postgres import Postgres
from resources.postgres_sink import PostgresSink

from .harness import SinkCase

LIGHT_KINDS = ("postgres", "delta-deltalake")
KINDS = (*LIGHT_KINDS, pytest.param("delta-spark", marks=pytest.mark.xdist_group("spark")))


@pytest.fixture
def lake(tmp_path: Path) -> str:
    return str(tmp_path / "lake")


def make_case(kind: str, request: pytest.FixtureRequest, postgres: Postgres, lake: str) -> SinkCase:
    if kind == "delta-spark":
        spark: SparkSession = request.getfixturevalue("spark")

        def make() -> Sink:
            return DeltaSink(lake, postgres, spark=lambda: spark, spark_above_bytes=-1)
    elif kind == "delta-deltalake":

        def make() -> Sink:
            return DeltaSink(lake, postgres)
    else:

        def make() -> Sink:
            return PostgresSink(postgres)

    return SinkCase(kind, make, postgres, None if kind == "postgres" else lake)


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, database: Postgres, lake: str) -> SinkCase:
    """Each kind of sink in turn."""
    return make_case(request.param, request, database, lake)


@pytest.fixture(params=LIGHT_KINDS)
def light_case(request: pytest.FixtureRequest, database: Postgres, lake: str) -> SinkCase:
    """Each kind of sink that needs no Spark."""
    return make_case(request.param, request, database, lake)
