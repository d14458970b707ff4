"""The platform put together from its settings: database, raw store, sinks, Spark, mappings."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

from mlb_platform.extraction.stores import Stores
from mlb_platform.home import check_home
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.settings import Settings
from resources.postgres import Postgres, open_postgres
from resources.quality_store import QualityStore
from resources.raw_store import RawStore
from resources.sinks import make_sinks
from resources.spark import open_session, spark_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from mlb_platform.extraction.transformation import BaseTransformation
    from mlb_platform.extraction.work import TableBatch, Work
    from mlb_platform.history.corrections import AfterMerge


@dataclass
class Platform:
    """Everything by its settings; each part starts when it is first used."""

    settings: Settings
    spark_factory: Callable[[], SparkSession] | None = None
    quick_start: bool = True
    """Whether Spark is started for a short run; a backfill of hundreds of games sets it to False before the start."""
    _starting: Future[SparkSession] | None = field(default=None, init=False, repr=False)

    @cached_property
    def postgres(self) -> Postgres:
        """The database, started when it is the embedded one."""
        s = self.settings
        check_home(s.home)
        return open_postgres(s.database_url, s.postgres_dir, s.logs)

    @cached_property
    def registry(self) -> MappingRegistry:
        """All mappings."""
        return MappingRegistry(self.settings.mappings)

    @cached_property
    def raw(self) -> RawStore:
        """Raw rows."""
        return RawStore(self.postgres)

    @cached_property
    def quality(self) -> QualityStore:
        """What quality found."""
        return QualityStore(self.postgres)

    def start_spark(self) -> None:
        """Begin to start Spark in another thread, where it will be needed soon: `spark` waits for it."""
        if self.spark_factory is None and self._starting is None:
            self._starting = ThreadPoolExecutor(1, "spark-start").submit(self._open_spark)

    def wait_for_spark(self) -> None:
        """Wait until what `start_spark` began has ended, well or not: before that it could not be stopped."""
        if self._starting is not None:
            wait([self._starting])

    def spark(self) -> SparkSession:
        """Return the Spark session, started at the first call."""
        if self.spark_factory is not None:
            return self.spark_factory()
        if self._starting is not None:
            self._starting.result()  # raises what went wrong there
        return self._open_spark()

    def _open_spark(self) -> SparkSession:
        s = self.settings
        cores = os.cpu_count() or 2
        settings = spark_settings(s.jars, s.home / "tmp", s.spark_master, cores, quick_start=self.quick_start)
        return open_session(settings, s.spark_remote)

    @cached_property
    def stores(self) -> Stores:
        """What transformations read and write."""
        return self.new_stores()

    def new_stores(self) -> Stores:
        """Return stores with sinks and plans of their own, for work in a thread of its own."""
        above = self.settings.delta_spark_above_mb * 1024 * 1024
        sinks = make_sinks(self.settings.merge_engine, self.postgres, self.settings.lake, self.spark, above)
        stores = Stores(self.postgres, self.raw, self.quality, sinks, self.spark, self.settings.games_per_job)

        @cache  # made with the first batch: a command that only looks needs none of it
        def corrections() -> AfterMerge:
            from mlb_platform.history.corrections import AfterMerge

            return AfterMerge(stores, self.settings.lake, lambda: self.registry.mappings.values())

        def after_merge(work: Work, batch: TableBatch) -> None:
            corrections()(work, batch)

        stores.after_merge = after_merge
        return stores

    def transformation(self, mapping: str, tables: list[str] | None = None) -> BaseTransformation:
        """Return the transformation of a mapping (`endpoint/method`) over some of its tables, or all."""
        from mlb_platform.extraction.transformation import make_transformation

        return make_transformation(self.registry.get(mapping))(self.stores, tables)
