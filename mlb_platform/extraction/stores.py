"""Everything a transformation reads from and writes to, put together once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resources.merge import Sink
from resources.merge_state import MergeStates
from resources.postgres import Postgres
from resources.quality_store import QualityStore
from resources.raw_store import RawStore

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from mlb_platform.extraction.extract import Extractor
    from mlb_platform.extraction.work import TableBatch, Work


@dataclass
class Stores:
    """Raw rows, sinks, what quality found, and the way to a Spark session (started when first needed).

    The tables of merge states are there from then on, for whoever asks what was merged before anything is.
    """

    postgres: Postgres
    raw: RawStore
    quality: QualityStore
    sinks: Sequence[Sink]
    spark: Callable[[], SparkSession]
    games_per_job: int = 150
    extractors: dict[tuple[str, tuple[str, ...]], Extractor] = field(default_factory=dict)
    """Extractors by mapping derivation and tables: their plans are worth keeping."""
    after_merge: Callable[[Work, TableBatch], None] | None = None
    """Called with every batch once it is merged into all sinks, the empty ones included."""

    def __post_init__(self) -> None:
        MergeStates(self.postgres).ensure()
