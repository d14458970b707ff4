"""The merge contract that every sink keeps: what is merged, by which key and scope, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import orjson
import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_Result = TypeVar("_Result")

FOLDED = "folded:"
"""How the content hash of a set of captures begins."""
SOURCE_CAPTURED_AT = "source_captured_at"
TRANSFORM_TIMESTAMP = "transform_timestamp"
LINEAGE_METADATA = "lineage_metadata"
TECHNICAL_COLUMNS = (SOURCE_CAPTURED_AT, TRANSFORM_TIMESTAMP, LINEAGE_METADATA)


@dataclass(frozen=True)
class ColumnSpec:
    """One column: `sql_type` in the mapping's spelling (BIGINT, VARCHAR(50), NUMERIC(5,2), TIMESTAMPTZ, JSONB, …).

    A technical column is written with its row but never decides whether a row has changed.
    """

    name: str
    sql_type: str
    nullable: bool = True
    description: str = ""
    technical: bool = False


@dataclass(frozen=True)
class IndexSpec:
    """A secondary index over `columns`; `method` as in PostgreSQL (btree, gin, brin, hash)."""

    columns: tuple[str, ...]
    method: str = "btree"
    unique: bool = False


@dataclass(frozen=True)
class ReferenceSpec:
    """A relationship from `columns` to `to_columns` of `to_table`; metadata, never an enforced constraint."""

    columns: tuple[str, ...]
    to_table: str
    to_columns: tuple[str, ...]
    kind: str = "many_to_one"


@dataclass(frozen=True)
class MergeSpec:
    """How one table is merged.

    `key` identifies a row; `scope` is the column whose value is merged as one unit (game_pk for a feed); `partition`
    is the partition date column; `snapshot` says that a capture is complete for its scope, so rows it lacks vanish.
    `derivation_hash` identifies how the rows were derived (paths, types, filters, keys and rules).
    """

    table: str
    columns: tuple[ColumnSpec, ...]
    key: tuple[str, ...]
    scope: str
    partition: str | None
    snapshot: bool
    derivation_hash: str = ""
    description: str = ""
    folds: bool = False
    """Whether what is offered for a scope is all that its captures say, put together: never stale by content alone."""
    indexes: tuple[IndexSpec, ...] = ()
    references: tuple[ReferenceSpec, ...] = ()

    def __hash__(self) -> int:
        return hash((self.table, self.derivation_hash))

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of all columns, in table order."""
        return tuple(c.name for c in self.columns)

    @property
    def business_columns(self) -> tuple[str, ...]:
        """Columns that decide whether a row has changed: neither key nor technical."""
        return tuple(c.name for c in self.columns if not c.technical and c.name not in self.key)

    def to_metadata(self) -> dict[str, Any]:
        """Return plain JSON values, fit for asset metadata; `from_metadata` reads them back."""
        return cast("dict[str, Any]", orjson.loads(orjson.dumps(self)))  # a tenth of what dataclasses.asdict takes

    @classmethod
    def from_metadata(cls, value: Mapping[str, Any]) -> MergeSpec:
        """Build a spec from what `to_metadata` gave (lists are taken for tuples)."""
        data = dict(value)
        data["columns"] = tuple(ColumnSpec(**c) for c in data["columns"])
        data["key"] = tuple(data["key"])
        data["indexes"] = tuple(IndexSpec(**{**i, "columns": tuple(i["columns"])}) for i in data["indexes"])
        data["references"] = tuple(
            ReferenceSpec(**{**r, "columns": tuple(r["columns"]), "to_columns": tuple(r["to_columns"])})
            for r in data["references"]
        )
        return cls(**data)


@dataclass(frozen=True)
class ScopeVersion:
    """The capture of one scope that is offered to a sink: its as-of is (`observed_at`, `content_hash`)."""

    scope: str
    observed_at: datetime
    content_hash: str
    raw_id: int
    partition: date | None = None
    passed_over: tuple[int, ...] = ()

    @property
    def as_of(self) -> tuple[datetime, str]:
        """What decides which of two captures is newer."""
        return (self.observed_at, self.content_hash)


@dataclass(frozen=True)
class ScopeState:
    """What a sink has merged last for one table and scope."""

    scope: str
    observed_at: datetime
    content_hash: str
    raw_id: int
    derivation_hash: str
    partition: date | None
    rows: int
    rows_hash: str | None = None
    """What `rows_hashes` gives for the rows merged; None where it was not computed, as when a scope comes first."""

    @property
    def as_of(self) -> tuple[datetime, str]:
        """What decides which of two captures is newer."""
        return (self.observed_at, self.content_hash)


class Shared:
    """Results by name, each made once by whichever thread comes first."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._made: dict[tuple[str, MergeSpec], object] = {}

    def once(self, name: str, spec: MergeSpec, make: Callable[[], _Result]) -> _Result:
        """Return what `make` gave when it was called first for this name and spec."""
        with self._lock:
            if (name, spec) not in self._made:
                self._made[name, spec] = make()
            return cast("_Result", self._made[name, spec])


@dataclass(frozen=True)
class MergeBatch:
    """Rows of one table with every column of its spec, one row a key, and the captures they come from.

    A version without rows in `rows` is an empty scope: under `snapshot` its rows vanish.
    """

    rows: pa.Table
    versions: Sequence[ScopeVersion]
    compare_all: bool = False
    """Compare with the table also the rows of scopes that are offered just as they were merged last."""
    first: bool = False
    """Its captures are the first and only ones of their scopes: merging them corrects nothing."""
    shared: Shared = field(default_factory=lambda: Shared(), compare=False, repr=False)
    """What several sinks work out of these rows, worked out once."""


@dataclass(frozen=True)
class FrameBatch:
    """A MergeBatch whose rows are a DataFrame; it is read several times, so what is costly to compute is persisted.

    Its rows must be the same whenever it is read, up to their order.
    """

    rows: DataFrame
    versions: Sequence[ScopeVersion]
    compare_all: bool = False
    first: bool = False


@dataclass
class MergeCounts:
    """What a merge did, as told by the engine; `skipped_stale` counts offered rows of scopes merged newer before."""

    source_rows: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    skipped_stale: int = 0

    @property
    def unchanged(self) -> int:
        """Offered rows that were merged already and left untouched."""
        return self.source_rows - self.inserted - self.updated - self.skipped_stale

    def __add__(self, other: MergeCounts) -> MergeCounts:
        return MergeCounts(
            self.source_rows + other.source_rows,
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.deleted + other.deleted,
            self.skipped_stale + other.skipped_stale,
        )


@dataclass(frozen=True)
class StaleScope:
    """A scope whose offered capture is older than the one merged before."""

    scope: str
    offered_at: datetime
    merged_at: datetime


@dataclass
class MergeResult:
    """Counts of one merge, in total and by partition date where the engine tells them, and the scopes skipped."""

    counts: MergeCounts = field(default_factory=MergeCounts)
    by_partition: dict[date | None, MergeCounts] = field(default_factory=dict)
    stale: list[StaleScope] = field(default_factory=list)


class Sink(Protocol):
    """One place where tables live. Both sinks keep the same contract; one test suite runs against each."""

    @property
    def name(self) -> str:
        """Short name for counts and logs: `postgres` or `delta`."""
        ...

    @property
    def tables_at_once(self) -> int:
        """How many tables may be merged at the same time by several threads; 1: in their order, one by one."""
        ...

    @property
    def referenced_first(self) -> bool:
        """Whether a table is merged only when those of the same capture are that it refers to."""
        ...

    def prepare(self, spec: MergeSpec) -> None:
        """Create the table, or migrate it additively; raise SchemaChangeRefused, naming the column, else."""
        ...

    def states(
        self, specs: Sequence[MergeSpec], scopes: Sequence[str] | None = None, *, locked: bool = True
    ) -> dict[str, dict[str, ScopeState]]:
        """Return what was merged last by table and scope, after healing what an interrupted merge left behind.

        Whoever does not hold the locks of `scopes` says so: merges of them may be under way.
        """
        ...

    def merge(self, spec: MergeSpec, batch: MergeBatch | FrameBatch) -> MergeResult:
        """Merge `batch` by the contract; the caller holds the lock on its scopes.

        Raises PlatformError for a FrameBatch where the sink has no way by Spark's executors.
        """
        ...

    def fetch(self, spec: MergeSpec, scopes: Sequence[str] | None = None) -> pa.Table:
        """Read the table's rows (of `scopes`, or all) with the spec's columns."""
        ...
