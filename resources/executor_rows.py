"""Rows of a merge as a Spark DataFrame: checked, counted and digested where they are, which need not be the driver."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

import pyarrow as pa

from resources.errors import PlatformError
from resources.merge import FrameBatch, MergeBatch, MergeSpec, ScopeState, StaleScope
from resources.merge_batch import (
    BatchFacts,
    Group,
    Tally,
    check_columns,
    check_facts,
    check_spec,
    checked_rows,
    counted_rows,
    rows_of,
    scope_values,
)
from resources.merge_offers import Offered, split_offered, split_versions
from resources.merge_schema import takes_null
from resources.sql_types import delta_type, parse_type

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

_SCOPE, _PARTITION, _ROWS = "merge_scope", "merge_partition", "merge_rows"
_Result = TypeVar("_Result")


class ExecutorRows(Protocol):
    """Checked rows of one batch, ready to be read by Spark."""

    def split(self, states: Mapping[str, ScopeState]) -> Offered:
        """Part the batch's captures by what is to be done; `states` is what was merged last."""
        ...

    def tally(self, stale: Sequence[StaleScope]) -> Tally:
        """Count the rows offered, those of stale scopes as skipped."""
        ...

    def frame(self, scopes: Sequence[str]) -> DataFrame:
        """Return the rows of `scopes`, in the spec's columns and types."""
        ...


def executor_rows(session: SparkSession, spec: MergeSpec, batch: MergeBatch | FrameBatch) -> ExecutorRows:
    """Return the rows of a batch; raise PlatformError, as every sink does, where they break the contract."""
    if isinstance(batch, MergeBatch):
        return _ArrowRows(session, spec, batch)
    return _FrameRows(spec, batch)


def executor_session(spark: Callable[[], SparkSession]) -> SparkSession:
    """Return a session of its own beside the given one, so that no setting leaks either way."""
    session = spark().newSession()
    for name, value in {
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.session.timeZone": "UTC",
        "spark.databricks.delta.snapshotPartitions": "2",
    }.items():
        session.conf.set(name, value)
    return session


def apart(action: Callable[[], _Result]) -> _Result:
    """Run an action in a thread of its own: a session becomes the active one for its thread only."""
    with ThreadPoolExecutor(1, "executors") as thread:
        return thread.submit(action).result()


@contextmanager
def plain_spark_errors(place: str) -> Iterator[None]:
    """Turn what Spark raises into one line that names `place`."""
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        raise PlatformError(f"{place}: Spark could not merge: {_reason(str(error))}") from error


def _reason(text: str) -> str:
    """Return the line that tells most: of a failed Python task what was raised there, else the first."""
    lines = [line for line in text.splitlines() if line.strip()]
    start = next((n for n, line in enumerate(lines) if "Traceback (most recent call last)" in line), len(lines))
    raised = [line for line in lines[start + 1 :] if re.match(r"[A-Za-z_][\w.]*: ", line)]
    return (raised[0] if raised else lines[0].strip() if lines else "no reason given")[:300]


def frame_of(session: SparkSession, rows: pa.Table) -> DataFrame:
    """Hand Arrow rows to Spark."""
    # Spark takes an Arrow table whose first chunk is empty for an empty one
    chunks = [chunk for chunk in rows.to_batches() if chunk.num_rows]
    return session.createDataFrame(pa.Table.from_batches(chunks, rows.schema))


def in_scopes(spec: MergeSpec, scopes: Sequence[str]) -> Column:
    """Return the condition that a row is of one of `scopes`; the range in it lets Spark skip files."""
    from pyspark.sql import functions as F

    column, values = F.col(f"`{spec.scope}`"), sorted(scope_values(spec, scopes).to_pylist())
    if not values:
        return F.lit(False)
    return column.between(values[0], values[-1]) & column.isin(values)


def grouped_by(spec: MergeSpec, scope: Column, partition: Column | None) -> list[Column]:
    """Return the columns that merge counts are kept by: the text of the scope, and the partition date or NULL."""
    from pyspark.sql import functions as F

    date = partition if spec.partition and partition is not None else F.lit(None)
    return [scope.cast("string").alias(_SCOPE), date.cast("date").alias(_PARTITION)]


class _ArrowRows:
    """Rows that are on the driver anyway: looked at there, as by the other engines."""

    def __init__(self, session: SparkSession, spec: MergeSpec, batch: MergeBatch) -> None:
        self._session, self._spec, self._batch = session, spec, batch
        self._rows = checked_rows(spec, batch)

    def split(self, states: Mapping[str, ScopeState]) -> Offered:
        return split_offered(self._spec, self._rows, self._batch, states)

    def tally(self, stale: Sequence[StaleScope]) -> Tally:
        return Tally.of_groups(counted_rows(self._spec, self._batch), stale)

    def frame(self, scopes: Sequence[str]) -> DataFrame:
        whole = len(scopes) == len(self._batch.versions)
        return frame_of(self._session, self._rows if whole else rows_of(self._spec, self._rows, scopes))


class _FrameRows:
    """Rows that stay on the executors: the driver learns counts and digests by scope."""

    def __init__(self, spec: MergeSpec, batch: FrameBatch) -> None:
        check_spec(spec)
        check_columns(spec, batch.rows.columns)
        self._spec, self._batch = spec, batch
        self._rows = batch.rows.select(*_cast(spec))
        self._groups: dict[Group, int] = {}
        check_facts(spec, self._facts(), batch.versions)

    def _facts(self) -> BatchFacts:
        from pyspark.sql import functions as F

        spec = self._spec
        strict = [c.name for c in spec.columns if not takes_null(spec, c)]
        bounded = [c.name for c in spec.columns if parse_type(c.sql_type).length is not None]
        asked = [F.count_if(F.col(f"`{name}`").isNull()).alias(f"nulls {n}") for n, name in enumerate(strict)]
        asked += [F.max(F.length(f"`{name}`")).alias(f"longest {n}") for n, name in enumerate(bounded)]
        partition = F.col(f"`{spec.partition}`") if spec.partition else None
        groups = grouped_by(spec, F.col(f"`{spec.scope}`"), partition)
        found = self._rows.groupBy(*groups).agg(F.count(F.lit(1)).alias(_ROWS), *asked).collect()
        self._groups = {(row[_SCOPE], row[_PARTITION]): row[_ROWS] for row in found}
        return BatchFacts(
            rows=sum(self._groups.values()),
            keys=self._rows.select(*(f"`{name}`" for name in spec.key)).distinct().count(),
            nulls={name: sum(row[f"nulls {n}"] for row in found) for n, name in enumerate(strict)},
            longest={name: max((row[f"longest {n}"] or 0 for row in found), default=0)
                     for n, name in enumerate(bounded)},
            scopes={scope for scope, _ in self._groups},
        )  # fmt: skip

    def split(self, states: Mapping[str, ScopeState]) -> Offered:
        batch = self._batch
        return split_versions(self._spec, batch.versions, states, self._digests, compare_all=batch.compare_all)

    def tally(self, stale: Sequence[StaleScope]) -> Tally:
        return Tally.of_groups(self._groups, stale)

    def frame(self, scopes: Sequence[str]) -> DataFrame:
        whole = len(scopes) == len(self._batch.versions)
        return self._rows if whole else self._rows.where(in_scopes(self._spec, scopes))

    def _digests(self, scopes: list[str]) -> dict[str, str]:
        """Return a SHA-256 by scope of its rows, in any order: key and business columns with their types.

        It is another digest than `rows_hashes` gives: after another engine, rows are compared once more than needed.
        """
        from pyspark.sql import functions as F

        spec = self._spec
        if not scopes or spec.scope not in spec.key:
            return {}
        columns = [c for c in spec.columns if not c.technical]
        shape = repr([(c.name, delta_type(c.sql_type)) for c in columns])
        cells = []
        for column in columns:
            text = F.col(f"`{column.name}`").cast("string")
            cells.append(F.when(text.isNull(), "-").otherwise(F.concat(F.length(text), F.lit(":"), text)))
        row = F.sha2(F.concat(*cells), 256)
        text = F.concat(F.lit(shape), F.concat_ws("", F.sort_array(F.collect_list(row))))
        of_scope = F.col(f"`{spec.scope}`").cast("string").alias(_SCOPE)
        found = self.frame(scopes).groupBy(of_scope).agg(F.sha2(text, 256)).collect()
        nothing = hashlib.sha256(shape.encode()).hexdigest()
        return {**dict.fromkeys(scopes, nothing), **{row[0]: row[1] for row in found}}


def _cast(spec: MergeSpec) -> list[Column]:
    from pyspark.sql import functions as F

    columns = []
    for column in spec.columns:
        values = F.col(f"`{column.name}`").cast(delta_type(column.sql_type))
        # one zero, as in `checked_rows`
        values = values + F.lit(0.0) if parse_type(column.sql_type).base == "DOUBLE" else values
        columns.append(values.alias(column.name))
    return columns
