"""dagster-pyspark's resource with our settings: Spark starts when it is first asked for, and goes with the run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dagster import InitResourceContext
from dagster_pyspark import PySparkResource
from pydantic import Field, PrivateAttr

from resources.spark import open_session, spark_settings


class SparkResource(PySparkResource):
    """A Spark session for one run. A session that was there before, of a test or a warm process, is used and left."""

    spark_config: dict[str, Any] = Field(default_factory=dict, description="Settings beside ours.")
    jars: str = Field(description="Folder of the Spark jars.")
    work: str = Field(description="Folder for scratch files.")
    master: str = Field(default="local[*]", description="Spark master.")
    remote: str = Field(default="", description="Spark Connect URL; empty: a session of our own.")
    _started: bool = PrivateAttr(default=False)

    def setup_for_execution(self, context: InitResourceContext) -> None:
        """Start nothing: a run whose tables are up to date needs no Spark."""

    def teardown_after_execution(self, context: InitResourceContext) -> None:
        """Stop the session if this resource started it."""
        if self._started and self._spark_session is not None:
            self._spark_session.stop()
            self._spark_session, self._started = None, False

    @property
    def spark_session(self) -> Any:
        """The session, started at the first call. Raises SparkError when it cannot be."""
        if self._spark_session is None:
            from pyspark import SparkContext

            self._started = bool(self.remote) or SparkContext._active_spark_context is None
            settings = spark_settings(
                Path(self.jars), Path(self.work), self.master, os.cpu_count() or 2, quick_start=True
            )
            self._spark_session = open_session({**settings, **self.spark_config}, self.remote or None)
        return self._spark_session
