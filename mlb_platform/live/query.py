"""One streaming query over a raw table, started again from its checkpoint when it fails, until that does not help."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mlb_platform.platform import Platform
from resources.embedded_postgres import EmbeddedPostgres
from resources.errors import PlatformError
from resources.raw_stream import raw_stream
from resources.spark import jvm_has_ended

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

_log = logging.getLogger(__name__)

POLL_MILLISECONDS = 50
ROWS_A_BATCH = 500
"""Raw rows in one micro-batch; their payloads are not in it."""
SINCE = timedelta(days=2)
"""Where a stream without a checkpoint begins: what is older is the batch path's."""
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each new start after a failure; a micro-batch that works begins anew."""
_SETTINGS = {
    "spark.sql.streaming.minBatchesToRetain": "10",
    "spark.sql.streaming.numRecentProgressUpdates": "2",
    "spark.sql.streaming.noDataMicroBatches.enabled": "false",
    "spark.sql.streaming.checkpoint.fileChecksum.enabled": "false",
    # without a checksum beside each file: for each file that it makes, Hadoop starts a process to set its mode
    "fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.RawLocalFs",
}


class LiveError(PlatformError):
    """Live merging had to stop."""


class RawQuery:
    """Gives every committed raw row of a table to `handle`, in commit order, at least once."""

    def __init__(
        self, platform: Platform, raw_table: str, checkpoint: Path, handle: Callable[[list[int], list[str]], None]
    ) -> None:
        self._platform = platform
        self._raw_table = raw_table
        self._checkpoint = checkpoint
        self._handle = handle
        self._failures = 0
        self._stopping = threading.Event()
        self._running = threading.Lock()
        self._query: StreamingQuery | None = None
        self._cause: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._session: SparkSession | None = None
        self.error: LiveError | None = None
        self.ended = threading.Event()
        """Set when the query will not go on: it was stopped, or `error` says why."""

    def start(self) -> None:
        """Start the query; it goes on in threads of its own."""
        self._query = self._begin()
        self._thread = threading.Thread(target=self._supervise, name=f"live {self._raw_table}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the query after the micro-batch it is at; the next start goes on from there."""
        self._stopping.set()
        with self._running:
            query = self._query
        if query is not None:
            try:
                query.stop()
            except Exception as error:  # noqa: BLE001 - whatever Spark's gateway raises: it is gone, which is the aim
                _log.info("%s: %s", self._raw_table, error)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def drain(self) -> None:
        """Wait until every raw row that is committed now was handled, or the query has ended."""
        raw, newest = self._platform.raw, None
        while not self.ended.is_set():
            query = self._query
            try:
                newest = newest or raw.newest_xid(self._raw_table)
                if query is not None and query.isActive and raw.is_settled(newest):
                    query.processAllAvailable()
                    return
            except Exception as error:  # noqa: BLE001 - the supervisor sees the same one and decides
                _log.debug("%s: %s", self._raw_table, error)
            self.ended.wait(0.05)

    def _begin(self) -> StreamingQuery:
        platform = self._platform
        if self._session is None:
            self._session = platform.spark().newSession()
            for name, value in _SETTINGS.items():
                self._session.conf.set(name, value)
        self._checkpoint.mkdir(parents=True, exist_ok=True)
        stream = raw_stream(
            self._session, platform.postgres, self._raw_table, ROWS_A_BATCH, payloads=False, since=SINCE
        )
        return (
            stream.select("raw_id", "entity_key")
            .writeStream.foreachBatch(self._micro_batch)
            .option("checkpointLocation", str(self._checkpoint))
            .trigger(processingTime=f"{POLL_MILLISECONDS} milliseconds")
            .start()
        )

    def _micro_batch(self, frame: DataFrame, _: int) -> None:
        with self._running:
            if self._stopping.is_set():
                raise LiveError(f"{self._raw_table}: stopping")
            try:
                rows = frame.toArrow()
                self._handle(rows.column("raw_id").to_pylist(), rows.column("entity_key").to_pylist())
            except BaseException as error:
                self._cause = error
                raise
            self._failures, self._cause = 0, None

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            problem = self._outcome()
            if self._stopping.is_set():
                break
            cause, self._cause = self._cause or problem, None
            gone = jvm_has_ended()
            if gone or self._failures >= len(PAUSES):
                why = ": Spark's JVM has ended" if gone else f" {self._failures + 1} times: {_first_line(cause)}"
                self.error = LiveError(
                    f"live merging of {self._raw_table} failed{why}; "
                    "start it again when that is resolved: it goes on from its checkpoint"
                )
                self.error.__cause__ = cause
                break
            pause = PAUSES[self._failures]
            self._failures += 1
            _log.warning("%s: %s; again in %s s", self._raw_table, _first_line(cause), pause)
            self._query = None
            self._stopping.wait(pause)
        self.ended.set()

    def _outcome(self) -> BaseException:
        """Run the query to its end and return why it ended."""
        try:
            if self._query is None:
                self._revive_database()
                self._query = self._begin()
                if self._stopping.is_set():  # `stop` found nothing yet that it could stop
                    self._query.stop()
            self._query.awaitTermination()
        except Exception as error:  # noqa: BLE001 - Spark, its gateway, PostgreSQL, the disk: all are tried again
            return error
        return LiveError("the query ended by itself")

    def _revive_database(self) -> None:
        """Start the embedded server again where it was killed."""
        s = self._platform.settings
        if s.database_url is None:
            EmbeddedPostgres(s.postgres_dir, s.logs).ensure_running()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
