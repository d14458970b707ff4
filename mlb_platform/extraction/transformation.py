"""The Python API: one transformation a mapping, generated; the same code that the Dagster assets run."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import date
from itertools import zip_longest
from typing import ClassVar

from pyspark.sql import DataFrame

from mlb_platform.extraction.opening import begin_ahead, open_work
from mlb_platform.extraction.plan import entities_of_dates, merged_dates, raw_rows
from mlb_platform.extraction.project import Projection
from mlb_platform.extraction.report import RunReport, TableReport
from mlb_platform.extraction.specs import merge_spec, view_specs
from mlb_platform.extraction.stores import Stores
from mlb_platform.extraction.values import spark_name
from mlb_platform.extraction.work import Work, extractor_of
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.errors import PlatformError
from resources.raw_frames import RawFrame
from resources.raw_store import RawRow
from resources.views import ensure_view

Progress = Callable[[Work], None]


class TransformMode(enum.Enum):
    """How raw rows are read: what is there now, or what arrives."""

    BATCH = "batch"
    STREAMING = "streaming"


class TransformError(PlatformError):
    """A transformation was asked for something it cannot give."""


class BaseTransformation:
    """Turns the raw rows of one mapping into its tables.

    Subclasses are generated from mappings (`mlb_platform.transformations`); none is written by hand.
    """

    mapping: ClassVar[ResolvedMapping]

    def __init__(self, stores: Stores, tables: Sequence[str] | None = None) -> None:
        """`tables`: schema.table names of this mapping to work on (None: all); raise TransformError for another."""
        known = [t.name for t in self.mapping.targets]
        unknown = [t for t in tables or () if t not in known]
        if unknown:
            raise TransformError(f"{self.mapping.name} has no table {unknown[0]}; it has: {', '.join(known)}")
        self.stores = stores
        self.tables = [t for t in known if tables is None or t in tables]

    def read_source(self, raw_ids: Sequence[int] | None = None, mode: TransformMode = TransformMode.BATCH) -> DataFrame:
        """Return raw rows as a DataFrame (raw_id BIGINT, entity_key STRING, partition_date DATE, captured_at TIMESTAMP
        UTC, data STRING).

        BATCH reads the rows `raw_ids` (None: the newest capture of every entity). STREAMING reads rows as they are
        committed, from the oldest on, through the raw store's safe cursor.
        """
        raw_table = self.mapping.config.source.raw_table
        if mode is TransformMode.STREAMING:
            from resources.raw_stream import raw_stream

            return raw_stream(self.stores.spark(), self.stores.postgres, raw_table)
        if raw_ids is None:
            newest = {row.entity_key: row for row in self.stores.raw.rows(raw_table)}
            raw_ids = [row.raw_id for row in newest.values()]
        source = RawFrame(self.stores.spark(), self.stores.postgres, raw_table, slots=4)
        source.put(raw_ids)
        return source.frame

    def transform(self, source: DataFrame) -> dict[str, DataFrame]:
        """Return table name to DataFrame with the mapping's columns in order; `source` is as `read_source` gives it.

        Lazy, and without judgement: values that do not fit their column, and parts of another structure than the
        mapping's, are NULL here; `run` counts the former, and repairs or holds back the latter.
        """
        projection = Projection(self.mapping, self.tables, thorough=True)
        parsed = projection.parse(source)
        return {t.target.name: projection.frame(parsed, t) for t in projection.tables}

    def validate_schema(self, frames: dict[str, DataFrame]) -> None:
        """Raise TransformError naming table and column when a frame differs from the mapping in names or types."""
        for table, frame in frames.items():
            columns = [c for c in self.mapping.by_name[table].columns if c.name != "lineage_metadata"]
            found = {f.name: f.dataType.simpleString().upper() for f in frame.schema.fields}
            for c in columns:
                if c.name not in found:
                    raise TransformError(f"{table}: column {c.name} is missing")
                if found[c.name] != spark_name(c.type):
                    raise TransformError(f"{table}.{c.name} is {found[c.name]}, the mapping says {spark_name(c.type)}")
            extra = set(found) - {c.name for c in columns}
            if extra:
                raise TransformError(f"{table}: column {sorted(extra)[0]} is not in the mapping")

    def prepare(self) -> None:
        """Create or migrate every table in every sink, referenced tables first."""
        for sink in self.stores.sinks:
            for table in self.tables:
                sink.prepare(merge_spec(self.mapping.by_name[table]))
        for view in view_specs(self.mapping):
            if view.table in self.tables:
                ensure_view(self.stores.postgres, view)

    def warm_up(self) -> None:
        """Plan the Spark jobs, which takes seconds, before somebody waits for their first rows; compute nothing."""
        self.stores.raw.ensure(self.mapping.config.source.raw_table)
        extractor_of(self.stores, self.mapping, [merge_spec(self.mapping.by_name[t]) for t in self.tables]).warm_up()

    def write_targets(self, work: Work, progress: Progress | None = None) -> dict[str, TableReport]:
        """Merge a piece of work into every sink; return the metrics by table."""
        with closing(work.written(ahead=progress is None)) as written:
            for _ in written:
                if progress is not None:
                    progress(work)
        return work.report.tables

    def captures(
        self, game_pks: Sequence[int | str] | None = None, start_date: date | None = None, end_date: date | None = None
    ) -> list[RawRow]:
        """Return the raw rows asked for: of these entities, or of these partition dates (inclusive), or all."""
        raw_table = self.mapping.config.source.raw_table
        keys = None if game_pks is None else [str(k) for k in game_pks]
        rows = raw_rows(self.stores, self.mapping, entity_keys=keys)
        if game_pks is not None:
            absent = sorted(set(keys or ()) - {r.entity_key for r in rows})
            if absent:
                raise TransformError(f"{raw_table} has no capture of {', '.join(absent)}: ingest it first")
        return [
            r
            for r in rows
            if game_pks is not None
            or (start_date is None and end_date is None)
            or (
                r.partition_date is not None
                and (start_date is None or r.partition_date >= start_date)
                and (end_date is None or r.partition_date <= end_date)
            )
        ]

    def pieces(self, entities: Sequence[str]) -> Iterator[Sequence[str]]:
        """Cut entities into what one piece of work holds in memory."""
        # responses with several entities would be parsed once for each piece
        size = max(1, len(entities)) if self.mapping.per_element else self.stores.games_per_job * 4
        for start in range(0, len(entities), size):
            yield entities[start : start + size]

    def run(
        self,
        game_pks: Sequence[int | str] | None = None,
        start_date: date | None = None,
        end_date: date | None = None,
        *,
        full: bool = False,
        job: str = "python",
        progress: Progress | None = None,
    ) -> RunReport:
        """Bring the tables up to the newest good captures of these entities or dates (inclusive); return what was done.

        Idempotent: what is merged already is left untouched; `full` derives everything anew.
        """
        self.prepare()
        rows = self.captures(game_pks, start_date, end_date)
        dates = {r.partition_date for r in rows if r.partition_date is not None}
        if game_pks is None and start_date is None and end_date is None:
            dates |= merged_dates(self.stores, self.tables)
        entities = {r.entity_key for r in rows}
        if game_pks is None:
            entities |= set(entities_of_dates(self.stores, self.mapping, self.tables, sorted(dates)))
        return self._run(sorted(entities), sorted(dates), full, job, progress)

    def run_entities(
        self,
        entities: Sequence[str],
        *,
        dates: Sequence[date] = (),
        full: bool = False,
        job: str = "python",
        progress: Progress | None = None,
    ) -> RunReport:
        """Bring the tables up to the newest good captures of `entities`; `dates` are those that are reported on."""
        self.prepare()
        return self._run(entities, dates, full, job, progress)

    def _run(
        self, entities: Sequence[str], dates: Sequence[date], full: bool, job: str, progress: Progress | None
    ) -> RunReport:
        report = RunReport(self.mapping.name, sorted(dates), {t: TableReport(t) for t in self.tables})
        pieces = list(self.pieces(entities))
        for piece, then in zip_longest(pieces, pieces[1:], fillvalue=()):
            with open_work(self.stores, self.mapping, self.tables, piece, dates=dates, job=job, full=full) as work:
                if then and not full:
                    begin_ahead(self.stores, self.mapping, self.tables, then)
                self.write_targets(work, progress)
            report.merge(work.report)
        return report


def class_name(mapping: ResolvedMapping) -> str:
    """Return the name of a mapping's class: GameLiveV1Transformation for game/live_game_v1.

    Words of the method that repeat the endpoint are left out: schedule/schedule is ScheduleTransformation.
    """
    source = mapping.config.source
    words = [w for w in re.split(r"[^a-z0-9]+", source.method.lower()) if w != source.endpoint.lower()]
    return "".join(w.capitalize() for w in [source.endpoint, *words]) + "Transformation"


def make_transformation(mapping: ResolvedMapping) -> type[BaseTransformation]:
    """Generate the transformation class of a mapping."""
    names = ", ".join(t.name for t in mapping.targets)
    doc = f"Turns raw rows of {mapping.config.source.raw_table} into {names}."
    return type(class_name(mapping), (BaseTransformation,), {"mapping": mapping, "__doc__": doc})
