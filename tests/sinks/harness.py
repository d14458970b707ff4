"""A small table, captures of its scopes, and what a sink must hold after merging them."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from resources.delta_sink import DeltaSink
from resources.executor_rows import frame_of
from resources.lake import open_table
from resources.merge import ColumnSpec, FrameBatch, MergeBatch, MergeResult, MergeSpec, ScopeVersion, Sink
from resources.merge_batch import arrow_schema
from resources.postgres import Postgres
from resources.postgres_executors import ExecutorPostgresSink

START = datetime(2024, 5, 1, 17, 0, tzinfo=UTC)
MAY_1, MAY_2 = date(2024, 5, 1), date(2024, 5, 2)
COLUMNS = (
    ColumnSpec("game_pk", "BIGINT", nullable=False, description="The game"),
    ColumnSpec("play", "INT", nullable=False, description="Position of the play"),
    ColumnSpec("game_date", "DATE", description="Official date"),
    ColumnSpec("score", "INT", description="Runs so far"),
    ColumnSpec("note", "TEXT", description="What happened"),
    ColumnSpec("source_captured_at", "TIMESTAMPTZ", technical=True),
    ColumnSpec("lineage_metadata", "JSONB", technical=True),
)
TECHNICAL = ("source_captured_at", "lineage_metadata")


def new_spec(**changes: Any) -> MergeSpec:
    """Return the spec of a table that no other test has."""
    base = MergeSpec(
        table=f"game.plays_{uuid.uuid4().hex[:10]}",
        columns=COLUMNS,
        key=("game_pk", "play"),
        scope="game_pk",
        partition="game_date",
        snapshot=True,
        derivation_hash="derived-1",
        description="Plays",
    )
    return dataclasses.replace(base, **changes)


def at(minutes: float) -> datetime:
    """Return a time of capture."""
    return START + timedelta(minutes=minutes)


@dataclass(frozen=True)
class Capture:
    """A capture of one game: `plays` maps a play to (score, note)."""

    game: int
    minute: float
    plays: dict[int, tuple[int | None, str | None]]
    day: date = MAY_1
    content_hash: str = ""
    raw_id: int = 1

    def __hash__(self) -> int:
        return hash((self.game, self.minute, self.digest))

    @property
    def digest(self) -> str:
        """Hash of the content, as text that orders captures equal in time."""
        return self.content_hash or repr((self.day, sorted(self.plays.items())))

    def version(self) -> ScopeVersion:
        """Return what is offered to a sink."""
        return ScopeVersion(str(self.game), at(self.minute), self.digest, self.raw_id, self.day)

    def rows(self) -> list[dict[str, Any]]:
        """Return the capture's rows of the small table."""
        return [
            {
                "game_pk": self.game,
                "play": play,
                "game_date": self.day,
                "score": score,
                "note": note,
                "source_captured_at": at(self.minute),
                "lineage_metadata": f'{{"row": {self.raw_id}}}',
            }
            for play, (score, note) in self.plays.items()
        ]


def batch(spec: MergeSpec, *captures: Capture) -> MergeBatch:
    """Return one batch of captures of different games."""
    rows = [row for capture in captures for row in capture.rows()]
    schema = pa.schema(pa.field(f.name, f.type) for f in arrow_schema(spec))
    return MergeBatch(pa.Table.from_pylist(rows, schema=schema), [capture.version() for capture in captures])


def business(spec: MergeSpec, table: pa.Table) -> list[tuple[Any, ...]]:
    """Return keys and business columns of rows, ordered by key."""
    names = [name for name in spec.column_names if name not in TECHNICAL]
    rows = [tuple(row[name] for name in names) for row in table.to_pylist()]
    return sorted(rows, key=lambda row: row[: len(spec.key)])


def expected(spec: MergeSpec, captures: Sequence[Capture]) -> list[tuple[Any, ...]]:
    """Return what a snapshot table holds after `captures`, in whatever order: the newest of each game."""
    newest: dict[int, Capture] = {}
    for capture in captures:
        held = newest.get(capture.game)
        if held is None or capture.version().as_of > held.version().as_of:
            newest[capture.game] = capture
    return business(spec, batch(spec, *newest.values()).rows)


@dataclass(frozen=True)
class SinkCase:
    """A kind of sink; `make` gives a new one on the same data, as another process would have."""

    kind: str
    make: Callable[[], Sink]
    postgres: Postgres
    lake: str | None

    @contextmanager
    def locked(self, spec: MergeSpec, scopes: Sequence[int | str]) -> Iterator[None]:
        """Hold the locks that a caller of a sink holds."""
        with self.postgres.scope_locks(spec.table, [str(scope) for scope in scopes]):
            yield

    def merge(self, spec: MergeSpec, *captures: Capture, sink: Sink | None = None) -> MergeResult:
        """Merge captures in one batch, under their locks."""
        with self.locked(spec, [capture.game for capture in captures]):
            return (sink or self.make()).merge(spec, batch(spec, *captures))

    def lose_rows(self, spec: MergeSpec) -> None:
        """Delete all rows behind the sink's back."""
        if self.lake is not None:
            table = open_table(self.lake, spec.table)
            assert table is not None
            table.delete()
        else:
            with self.postgres.transaction() as connection:
                connection.execute(f"DELETE FROM {spec.table}".encode())

    def held(self, spec: MergeSpec) -> list[tuple[Any, ...]]:
        """Return keys and business columns of the table."""
        return business(spec, self.make().fetch(spec))


def as_frame(spark: SparkSession, given: MergeBatch) -> FrameBatch:
    """Return a batch whose rows are in Spark, in several partitions and no order."""
    frame = frame_of(spark, given.rows).repartition(3)
    return FrameBatch(frame, given.versions, compare_all=given.compare_all)


class FramesToPostgres(ExecutorPostgresSink):
    """Offers every batch as a DataFrame."""

    def merge(self, spec: MergeSpec, batch: MergeBatch | FrameBatch) -> MergeResult:
        assert isinstance(batch, MergeBatch)
        return super().merge(spec, as_frame(self._spark(), batch))


class FramesToDelta(DeltaSink):
    """Offers every batch as a DataFrame."""

    def merge(self, spec: MergeSpec, batch: MergeBatch | FrameBatch) -> MergeResult:
        assert isinstance(batch, MergeBatch) and self._spark is not None
        return super().merge(spec, as_frame(self._spark(), batch))


def is_delta(sink: Sink) -> bool:
    """Tell whether a sink is a lake."""
    return isinstance(sink, DeltaSink)
