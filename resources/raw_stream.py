"""Raw rows as a stream: a Spark data source whose offset is the raw store's cursor, which cannot skip late commits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
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
    def __init__(self, url: str, raw_table: str, limit: int, payloads: bool, since: timedelta | None) -> None:
        self._store = RawStore(Postgres(url))
        self._table = raw_table
        self._limit = limit
        self._with_payloads = payloads
        self._since = since

    def initialOffset(self) -> Offset:  # noqa: N802
        return {"cursor": "" if self._since is None else self._store.cursor_since(self._table, self._since)}

    def read(self, start: Offset) -> tuple[Iterator[tuple[Any, ...]], Offset]:
        rows, cursor = self._store.rows_after(self._table, start["cursor"] or None, self._limit)
        return iter(self._cells(rows)), ({"cursor": cursor} if rows else start)

    def readBetweenOffsets(self, start: Offset, end: Offset) -> Iterator[tuple[Any, ...]]:  # noqa: N802
        if start == end:
            return iter(())
        told, cursor = json.loads(end["cursor"]), start["cursor"] or None
        last = (int(told["xid"]), told["raw_id"])
        found: list[RawRow] = []
        while True:  # the batch may have been planned with another limit
            rows, cursor = self._store.rows_after(self._table, cursor, self._limit)
            within = [row for row in rows if (row.ingest_xid, row.raw_id) <= last]
            found += within
            if not rows or len(within) < len(rows):
                return iter(self._cells(found))

    def _cells(self, rows: list[RawRow]) -> list[tuple[Any, ...]]:
        found = ((r, self._payload(r.raw_id)) for r in rows)
        return [(r.raw_id, r.entity_key, r.partition_date, r.captured_at, data) for r, data in found]

    def _payload(self, raw_id: int) -> str | None:
        return self._store.payload(self._table, raw_id).decode() if self._with_payloads else None


class RawRowSource(DataSource):
    """Streams the columns of `SCHEMA` (times UTC) in commit order; options `url`, `raw_table`, `limit`, `payloads`
    (`false`: `data` is NULL) and `since` (seconds before now at which a stream without checkpoint begins)."""

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
        return _RawRowReader(
            options["url"],
            options["raw_table"],
            int(options.get("limit", ROWS_A_BATCH)),
            options.get("payloads", "true") == "true",
            timedelta(seconds=float(options["since"])) if "since" in options else None,
        )


def raw_stream(
    spark: SparkSession,
    postgres: Postgres,
    raw_table: str,
    limit: int = ROWS_A_BATCH,
    *,
    payloads: bool = True,
    since: timedelta | None = None,
) -> DataFrame:
    """Return a streaming DataFrame (the columns of `SCHEMA`) of a raw table, from its oldest row on.

    Without `payloads`, `data` is NULL: for readers that look rows up by their ids. `since`: a stream that has no
    checkpoint begins with rows that were stored that long ago.
    """
    RawStore(postgres).ensure(raw_table)
    spark.dataSource.register(RawRowSource)
    reader = spark.readStream.format(FORMAT).option("url", postgres.url).option("raw_table", raw_table)
    reader = reader.option("limit", str(limit)).option("payloads", str(payloads).lower())
    if since is not None:
        reader = reader.option("since", str(since.total_seconds()))
    return reader.load()
