"""The sinks of a platform by the engine that merges into them: one contract, three choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from resources.merge import Sink
    from resources.postgres import Postgres

MergeEngine = Literal["auto", "driver", "executors"]


def make_sinks(
    engine: MergeEngine, postgres: Postgres, lake: str, spark: Callable[[], SparkSession], spark_above_bytes: int
) -> list[Sink]:
    """Return the sinks of `postgres` and `lake`.

    `driver` merges in this process (COPY, `deltalake`), `executors` by Spark's tasks (COPY from each, delta-spark);
    `auto` is `driver`, except for Delta merges of more than `spark_above_bytes`.
    """
    # here, so that the settings can name the engines without what they need
    from resources.delta_sink import DeltaSink
    from resources.postgres_executors import ExecutorPostgresSink
    from resources.postgres_sink import PostgresSink

    if engine == "executors":
        return [ExecutorPostgresSink(postgres, spark), DeltaSink(lake, postgres, spark=spark, spark_above_bytes=-1)]
    if engine == "driver":
        return [PostgresSink(postgres), DeltaSink(lake, postgres)]
    return [PostgresSink(postgres), DeltaSink(lake, postgres, spark=spark, spark_above_bytes=spark_above_bytes)]
