"""What the usual Spark tutorial gives: one job a table, each reading and parsing the JSON again.

The rows of a table are selected by the mapping's own SQL, so that contents can be compared; the rest is theirs: JDBC
in, `from_json` with that table's part of the schema, MERGE by delta-spark, JDBC append. No rules, no states, and
nothing but an empty target: appended twice, rows would be there twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from mlb_platform.extraction.project import Projection
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.postgres import Postgres
from resources.raw_frames import jdbc_options

SCHEMA = "per_table"
_NEWEST = """(
SELECT DISTINCT ON (entity_key) raw_id, captured_at, data::text AS data
FROM game.live_game_v1 WHERE partition_date BETWEEN '{first}' AND '{last}'
ORDER BY entity_key, coalesce(last_seen_at, captured_at) DESC, content_hash DESC) newest
"""


class PerTableSpark:
    """The jobs, on a session that others may use too; tables go to the schema `per_table` and to `lake`."""

    def __init__(self, spark: SparkSession, postgres: Postgres, mapping: ResolvedMapping, lake: str) -> None:
        self._spark = spark.newSession()
        self._postgres, self._mapping, self._lake = postgres, mapping, lake

    def prepare(self) -> None:
        """Make place for the tables."""
        with self._postgres.transaction() as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}".encode())

    def place(self, table: str) -> str:
        """Return the path of a table in the lake."""
        return f"{self._lake}/{table.split('.')[1]}"

    def run(self, first: date, last: date, tables: Sequence[str]) -> dict[str, float]:
        """Fill these tables with the newest captures of the games of some dates; return seconds by table."""
        seconds = {}
        for name in tables:
            started = time.perf_counter()
            frame = self._rows(first, last, name).cache()
            self._merge(frame, name)
            options = jdbc_options(self._postgres.url)
            url = options.pop("url")
            frame.write.jdbc(url, f"{SCHEMA}.{name.split('.')[1]}", "append", options)
            frame.unpersist()
            seconds[name] = time.perf_counter() - started
        return seconds

    def _rows(self, first: date, last: date, table: str) -> DataFrame:
        options = jdbc_options(self._postgres.url)
        query = _NEWEST.format(first=first, last=last)
        with self._postgres.transaction() as connection:  # of these rows: by those of all rows one task had them all
            bounds = f"SELECT coalesce(min(raw_id), 0), coalesce(max(raw_id), 0) + 1 FROM {query}".encode()
            low, high = connection.execute(bounds).fetchone()  # type: ignore[misc]
        raw = self._spark.read.jdbc(
            options.pop("url"), query, "raw_id", low, high, self._spark.sparkContext.defaultParallelism,
            properties=options,
        )  # fmt: skip
        projection = Projection(self._mapping, [table])
        return projection.frame(projection.parse(raw), projection.tables[0])

    def _merge(self, frame: DataFrame, table: str) -> None:
        place, key = self.place(table), self._mapping.by_name[table].key
        DeltaTable.createIfNotExists(self._spark).location(place).addColumns(frame.schema).execute()
        same = " AND ".join(f"t.{name} = s.{name}" for name in key)
        merge = DeltaTable.forPath(self._spark, place).alias("t").merge(frame.alias("s"), same)
        merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
