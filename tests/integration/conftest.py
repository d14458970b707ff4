"""One platform with every capture ingested and every mapping transformed, for the tests that only look at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from all_captures import Everything
from helpers import fresh_database
from pyspark.sql import SparkSession

from mlb_platform.ingestion.captures_folder import ingest_folder
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from resources.postgres import Postgres


@pytest.fixture(scope="session")
def everything(
    captures: Path, postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Everything]:
    """All captures of the folder in all tables, once a session; tests do not change it."""
    with fresh_database(postgres) as database:
        settings = Settings(home=tmp_path_factory.mktemp("everything"), database_url=database.url)
        platform = Platform(settings, spark_factory=lambda: spark)
        registry = platform.registry
        ingested = ingest_folder(captures, platform.raw, platform.quality, registry.mappings)
        reports = {m.name: platform.transformation(m.name).run() for m in registry.parents_first}
        yield Everything(platform, ingested, reports)
        platform.postgres.close()
