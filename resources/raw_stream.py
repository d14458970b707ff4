"""Raw rows as a stream: a Spark data source whose offset is the raw store's cursor, which cannot skip late commits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import DataSource, SimpleDataSourceStreamReader

from resources.postgres import Postgres
from resources.raw_store import RawRow, RawStore

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FORMAT = "mlb_raw_rows"
SCHEMA = "raw_id BIGINT, entity_key STRING, partition_date DATE, captured_at TIMESTAMP, data STRING"
ROWS_A_BATCH = 50
"""Captures in one micro-batch: at 1 MB each a payload the driver can hold."""

Offset = dict[str, str]


class _RawRowReader(SimpleDataSourceStreamReader):
    def __init__(self, url: str, raw_table: str, limit: int) -> None:
        self._store = RawStore(Postgres(url))
        self._table = raw_table
        self._limit = limit

    def initialOffset(self) -> Offset:  # noqa: N802
        return {"cursor": ""}

    def read(self, start: Offset) -> tuple[Iterator[tuple[Any, ...]], Offset]:
        rows, cursor = self._store.rows_after(self._table, start["cursor"] or None, self._limit)
        return iter(self._payloads(rows)), ({"cursor": cursor} if rows else start)

    def readBetweenOffsets(self, start: Offset, end: Offset) -> Iterator[tuple[Any, ...]]:  # noqa: N802
        if start == end:
            return iter(())
        last = json.loads(end["cursor"])["raw_id"]
        rows, _ = self._store.rows_after(self._table, start["cursor"] or None, self._limit)
        cut = next((i for i, row in enumerate(rows) if row.raw_id == last), len(rows) - 1)
        return iter(self._payloads(rows[: cut + 1]))

    def _payloads(self, rows: list[RawRow]) -> list[tuple[Any, ...]]:
        found = ((r, self._store.payload(self._table, r.raw_id).decode()) for r in rows)
        return [(r.raw_id, r.entity_key, r.partition_date, r.captured_at, data) for r, data in found]


class RawRowSource(DataSource):
    """Streams the columns of `SCHEMA` (times UTC) in commit order; options `url`, `raw_table` and `limit`."""

    @classmethod
    def name(cls) -> str:
        """Name the format is registered under."""
        return FORMAT

    def schema(self) -> str:
        """Columns of the stream."""
        return SCHEMA

    def simpleStreamReader(self, schema: Any) -> SimpleDataSourceStreamReader:  # noqa: N802
        """Return the reader of one query."""
        options = self.options
        return _RawRowReader(options["url"], options["raw_table"], int(options.get("limit", ROWS_A_BATCH)))


def raw_stream(spark: SparkSession, postgres: Postgres, raw_table: str, limit: int = ROWS_A_BATCH) -> DataFrame:
    """Return a streaming DataFrame (the columns of `SCHEMA`) of a raw table, from its oldest row on."""
    RawStore(postgres).ensure(raw_table)
    spark.dataSource.register(RawRowSource)
    reader = spark.readStream.format(FORMAT).option("url", postgres.url).option("raw_table", raw_table)
    return reader.option("limit", str(limit)).load()
