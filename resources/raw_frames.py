"""Raw rows as Spark DataFrames. What to read stands in a table, so that one DataFrame, planned once, serves all."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

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
    address = f"jdbc:postgresql://{values.get('host', 'localhost')}:{values.get('port', 5432)}/{values.get('dbname')}"
    return {
        "url": address,
        "user": str(values.get("user", "")),
        "password": str(values.get("password", "")),
        "driver": "org.postgresql.Driver",
        "fetchsize": "50",
    }


class RawFrame:
    """A DataFrame of the raw rows last put to work: raw_id BIGINT, entity_key STRING, partition_date DATE, captured_at
    TIMESTAMP, data STRING.

    It is planned once; `put` decides which rows its next action reads. Not safe for several threads at once.
    """

    def __init__(self, spark: SparkSession, postgres: Postgres, raw_table: str, slots: int) -> None:
        self._postgres = postgres
        self._worker = str(uuid.uuid4())
        self._slots = slots
        with postgres.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('quality.transform_work'))")
            connection.execute(_TABLE)
        schema, name = raw_table.split(".")
        query = (
            "(SELECT r.raw_id, r.entity_key, r.partition_date, r.captured_at, "
            "coalesce(w.data, r.data::text) AS data, w.slot "
            f'FROM "{schema}"."{name}" r '
            f"JOIN quality.transform_work w USING (raw_id) WHERE w.worker = '{self._worker}') work"
        )
        options = jdbc_options(postgres.url)
        self.frame: DataFrame = spark.read.jdbc(
            options.pop("url"), query, predicates=[f"slot = {i}" for i in range(slots)], properties=options
        ).select(*COLUMNS)

    def put(self, raw_ids: Sequence[int], repaired: Mapping[int, bytes] | None = None) -> None:
        """Let the next action read these rows, with `repaired` payloads in the place of the stored ones."""
        rows = [(i % self._slots, raw_id, (repaired or {}).get(raw_id)) for i, raw_id in enumerate(raw_ids)]
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
