"""Raw rows as Spark DataFrames. What to read stands in a table, so that one DataFrame, planned once, serves all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from resources.postgres import Postgres

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COLUMNS = ("raw_id", "entity_key", "partition_date", "captured_at", "data")
_TABLE = """
CREATE SCHEMA IF NOT EXISTS quality;
CREATE UNLOGGED TABLE IF NOT EXISTS quality.transform_work (
    worker uuid NOT NULL,
    slot integer NOT NULL,
    raw_id bigint NOT NULL,
    data text,
    PRIMARY KEY (worker, slot, raw_id)
);
COMMENT ON TABLE quality.transform_work IS 'Raw rows a running job reads; data replaces a repaired payload';
"""


def jdbc_options(url: str) -> dict[str, str]:
    """Return Spark's JDBC options for a postgresql:// URL."""
    values = conninfo_to_dict(url)
    host, port, database = values.get("host", "localhost"), values.get("port", 5432), values.get("dbname")
    return {
        "url": f"jdbc:postgresql://{host}:{port}/{database or values.get('user', '')}",
        **{name: str(values[name]) for name in ("sslmode", "sslrootcert") if name in values},
        "user": str(values.get("user", "")),
        "password": str(values.get("password", "")),
        "driver": "org.postgresql.Driver",
        "fetchsize": "50",
    }


@dataclass(frozen=True)
class WorkReader:
    """Reads raw rows put to work, in whatever process; a process keeps its connection."""

    url: str
    raw_table: str
    worker: str

    def rows(self, slot: int) -> Iterator[tuple[int, str, str | None, datetime, bytes]]:
        """Yield raw_id, entity key, date (ISO text), capture time (UTC) and the payload of the rows of a slot."""
        schema, name = self.raw_table.split(".")
        query = sql.SQL(
            "SELECT r.raw_id, r.entity_key, r.partition_date::text, r.captured_at, convert_to(r.data::text, 'UTF8') "
            "FROM {} r JOIN quality.transform_work w USING (raw_id) WHERE w.worker = %s AND w.slot = %s"
        ).format(sql.Identifier(schema, name))
        connection = _connection(self.url)
        with connection.transaction(), connection.cursor("work", binary=True) as cursor:
            cursor.itersize = 8
            cursor.execute(query, [self.worker, slot])
            yield from cursor


_connections: dict[str, psycopg.Connection[Any]] = {}


def _connection(url: str) -> psycopg.Connection[Any]:
    """Return this process's connection; a new one where the server has ended it, by a restart say."""
    known = _connections.get(url)
    if known is not None:
        with suppress(psycopg.OperationalError):
            known.execute("SELECT")
            return known
        known.close()
    _connections[url] = psycopg.connect(url, autocommit=True, options="-c timezone=UTC")
    return _connections[url]


class RawFrame:
    """A DataFrame of the raw rows last put to work: raw_id BIGINT, entity_key STRING, partition_date DATE, captured_at
    TIMESTAMP, data STRING.

    It is planned once; `put` decides which rows its next action reads. Not safe for several threads at once.
    """

    def __init__(self, spark: SparkSession, postgres: Postgres, raw_table: str, slots: int) -> None:
        self._postgres = postgres
        self._worker = str(uuid.uuid4())
        self.slots = slots
        with postgres.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('quality.transform_work'))")
            connection.execute(_TABLE)
        self.reader = WorkReader(postgres.url, raw_table, self._worker)
        """Reads the rows put to work without Spark, by slot."""
        self._spark = spark

    @cached_property
    def frame(self) -> DataFrame:
        """The rows put to work as a DataFrame."""
        schema, name = self.reader.raw_table.split(".")
        query = (
            "(SELECT r.raw_id, r.entity_key, r.partition_date, r.captured_at, "
            "coalesce(w.data, r.data::text) AS data, w.slot "
            f'FROM "{schema}"."{name}" r '
            f"JOIN quality.transform_work w USING (raw_id) WHERE w.worker = '{self._worker}') work"
        )
        options, predicates = jdbc_options(self.reader.url), [f"slot = {i}" for i in range(self.slots)]
        return self._spark.read.jdbc(options.pop("url"), query, predicates=predicates, properties=options).select(
            *COLUMNS
        )

    def put(self, raw_ids: Sequence[int], repaired: Mapping[int, bytes] | None = None) -> None:
        """Let the next action read these rows, with `repaired` payloads in the place of the stored ones."""
        rows = [(i % self.slots, raw_id, (repaired or {}).get(raw_id)) for i, raw_id in enumerate(raw_ids)]
        with self._postgres.transaction() as connection:
            connection.execute("DELETE FROM quality.transform_work WHERE worker = %s", [self._worker])
            with connection.cursor().copy(
                "COPY quality.transform_work (worker, slot, raw_id, data) FROM STDIN"
            ) as copy:
                for slot, raw_id, data in rows:
                    copy.write_row((self._worker, slot, raw_id, None if data is None else data.decode()))

    def clear(self) -> None:
        """Forget the rows put to work."""
        self.put([])
