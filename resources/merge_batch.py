"""What a sink checks of a batch before it merges it, and how merge counts are kept by scope and partition."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from resources.errors import PlatformError
from resources.merge import (
    FrameBatch,
    MergeBatch,
    MergeCounts,
    MergeResult,
    MergeSpec,
    ScopeVersion,
    StaleScope,
)
from resources.merge_schema import takes_null
from resources.sql_types import arrow_type, parse_type

Group = tuple[str, date | None]


def arrow_schema(spec: MergeSpec) -> pa.Schema:
    """Return the Arrow schema of a table: every column of the spec in its order, keys not null."""
    return pa.schema(
        pa.field(c.name, arrow_type(c.sql_type), nullable=c.nullable and c.name not in spec.key) for c in spec.columns
    )


def scope_column(spec: MergeSpec, rows: pa.Table) -> pa.ChunkedArray:
    """Return the text of each row's scope, as in `ScopeVersion.scope`."""
    return pc.cast(rows[spec.scope], pa.string())


def scope_values(spec: MergeSpec, scopes: Sequence[str]) -> pa.Array:
    """Return scope texts as values of the scope column's type; raise PlatformError for a text that is none."""
    wanted = next(c for c in spec.columns if c.name == spec.scope)
    try:
        return pc.cast(pa.array(scopes, pa.string()), arrow_type(wanted.sql_type))
    except pa.ArrowException as error:
        raise PlatformError(f"{spec.table}: a scope is no {wanted.sql_type} ({spec.scope}): {error}") from error


def checked_rows(spec: MergeSpec, batch: MergeBatch | FrameBatch) -> pa.Table:
    """Return the batch's rows in the spec's types and order.

    Raise PlatformError where the batch breaks the contract: a column missing or of another type, a null in a column
    that takes none, a text longer than its column, two rows with one key, a row of a scope that has no version; and for
    rows that are in Spark.
    """
    given = in_hand(spec, batch)
    return given.shared.once("checked", spec, lambda: _checked(spec, given))


def counted_rows(spec: MergeSpec, batch: MergeBatch | FrameBatch) -> dict[Group, int]:
    """Count the batch's rows by scope and partition date; raise PlatformError as `checked_rows` does."""
    given = in_hand(spec, batch)
    return given.shared.once("counted", spec, lambda: count_groups(spec, checked_rows(spec, given)))


def in_hand(spec: MergeSpec, batch: MergeBatch | FrameBatch) -> MergeBatch:
    """Return a batch whose rows are in this process; raise PlatformError for one whose rows are in Spark."""
    if isinstance(batch, FrameBatch):
        raise PlatformError(f"{spec.table}: rows in Spark are merged by executors: set MLB_MERGE_ENGINE=executors")
    return batch


def _checked(spec: MergeSpec, batch: MergeBatch) -> pa.Table:
    check_spec(spec)
    rows = _cast(spec, batch.rows)
    strict = [c.name for c in spec.columns if not takes_null(spec, c)]
    bounded = [c.name for c in spec.columns if parse_type(c.sql_type).length is not None]
    check_facts(
        spec,
        BatchFacts(
            rows=rows.num_rows,
            keys=grouped_rows(rows.select(list(spec.key))).num_rows,
            nulls={name: rows[name].null_count for name in strict},
            longest={name: pc.max(pc.utf8_length(rows[name])).as_py() or 0 for name in bounded if rows.num_rows},
            scopes=set(pc.unique(scope_column(spec, rows)).to_pylist()),
        ),
        batch.versions,
    )
    return rows


@dataclass(frozen=True)
class BatchFacts:
    """What tells whether a batch's rows keep the contract, wherever they are."""

    rows: int
    keys: int
    """Distinct keys among them."""
    nulls: Mapping[str, int]
    """Rows without a value, by column that takes no null."""
    longest: Mapping[str, int]
    """Characters of the longest text, by column of a limited length."""
    scopes: Collection[str]


def check_facts(spec: MergeSpec, facts: BatchFacts, versions: Sequence[ScopeVersion]) -> None:
    """Raise PlatformError, saying what is wrong, for rows that break the contract."""
    for column in spec.columns:
        nulls, longest = facts.nulls.get(column.name, 0), facts.longest.get(column.name, 0)
        if nulls:
            raise PlatformError(f"{spec.table}: {nulls} rows have no {column.name}, which cannot be null")
        length = parse_type(column.sql_type).length
        if length is not None and longest > length:
            raise PlatformError(
                f"{spec.table}: a value of {column.name} has {longest} characters, more than {column.sql_type}"
            )
    if facts.keys != facts.rows:
        raise PlatformError(
            f"{spec.table}: {facts.rows - facts.keys} rows repeat a key ({', '.join(spec.key)}); "
            "offer one row for each key"
        )
    known = {version.scope for version in versions}
    if len(known) != len(versions):
        raise PlatformError(f"{spec.table}: a scope is offered twice; offer one capture for each {spec.scope}")
    unknown = set(facts.scopes) - known
    if unknown:
        raise PlatformError(f"{spec.table}: rows of {spec.scope} {sorted(unknown, key=str)[:3]} come without a capture")


def check_spec(spec: MergeSpec) -> None:
    """Raise PlatformError for a spec whose key, scope and partition do not go together."""
    names = set(spec.column_names)
    needed = (*spec.key, spec.scope, *((spec.partition,) if spec.partition else ()))
    missing = [name for name in needed if name not in names]
    if missing or not spec.key:
        raise PlatformError(f"{spec.table}: key, scope and partition must be columns of it; missing: {missing}")
    if spec.snapshot and spec.scope not in spec.key:
        raise PlatformError(
            f"{spec.table}: rows of a snapshot belong to one {spec.scope}, so its key ({', '.join(spec.key)}) "
            "must contain that column"
        )


def check_columns(spec: MergeSpec, names: Collection[str]) -> None:
    """Raise PlatformError where rows with the columns `names` lack one of the spec."""
    missing = [name for name in spec.column_names if name not in names]
    if missing:
        raise PlatformError(f"{spec.table}: the batch lacks the columns {', '.join(missing)}")


def _cast(spec: MergeSpec, rows: pa.Table) -> pa.Table:
    check_columns(spec, rows.column_names)
    columns = []
    for wanted in spec.columns:
        kind = arrow_type(wanted.sql_type)
        try:
            values = pc.cast(rows[wanted.name], kind)
        except pa.ArrowException as error:
            raise PlatformError(f"{spec.table}: {wanted.name} does not fit {wanted.sql_type}: {error}") from error
        # One zero: engines differ on whether -0.0 equals 0.0, and a row must not change for it.
        columns.append(pc.add(values, 0.0) if pa.types.is_floating(kind) else values)
    return pa.table(columns, schema=pa.schema(pa.field(c.name, arrow_type(c.sql_type)) for c in spec.columns))


def grouped_rows(rows: pa.Table, counted: Sequence[tuple[object, str]] = (), *, by: Sequence[str] = ()) -> pa.Table:
    """Return one row for each combination of values (of the columns `by`, or all), NULLs equal, and what is `counted`.

    In one thread: with Arrow's own, handing work out takes longer than the work, up to a season's rows of a table.
    """
    return rows.group_by(list(by) or rows.column_names, use_threads=False).aggregate(list(counted))


def rows_of(spec: MergeSpec, rows: pa.Table, scopes: Sequence[str]) -> pa.Table:
    """Return the rows of `scopes`."""
    return rows.filter(pc.is_in(rows[spec.scope], scope_values(spec, scopes)))


@dataclass
class Tally:
    """Merge counts by scope and partition date."""

    groups: dict[Group, MergeCounts] = field(default_factory=dict)

    @classmethod
    def of_groups(cls, groups: Mapping[Group, int], stale: Sequence[StaleScope] = ()) -> Tally:
        """Take the rows offered by scope and partition, those of stale scopes as skipped."""
        tally = cls()
        skipped = {s.scope for s in stale}
        for group, count in groups.items():
            counts = tally.at(group)
            counts.source_rows += count
            counts.skipped_stale += count if group[0] in skipped else 0
        return tally

    def at(self, group: Group) -> MergeCounts:
        """Return the counts of one scope and partition date, zero at first."""
        return self.groups.setdefault(group, MergeCounts())

    def insert(self, scopes: Collection[str]) -> None:
        """Count every row offered of these scopes as inserted."""
        wanted = set(scopes)
        for (scope, _), counts in self.groups.items():
            counts.inserted += counts.source_rows if scope in wanted else 0

    def by_scope(self) -> dict[str, MergeCounts]:
        """Add the counts up for each scope."""
        totals: dict[str, MergeCounts] = {}
        for (scope, _), counts in self.groups.items():
            totals[scope] = totals[scope] + counts if scope in totals else counts
        return totals

    def result(self, stale: Sequence[StaleScope]) -> MergeResult:
        """Return what the merge reports."""
        by_partition: dict[date | None, MergeCounts] = {}
        for (_, partition), counts in self.groups.items():
            by_partition[partition] = by_partition.get(partition, MergeCounts()) + counts
        total = sum(by_partition.values(), MergeCounts())
        return MergeResult(counts=total, by_partition=by_partition, stale=list(stale))


def count_groups(spec: MergeSpec, rows: pa.Table) -> dict[Group, int]:
    """Count rows by scope and partition date."""
    table = pa.table(
        {
            "scope": scope_column(spec, rows),
            "partition": rows[spec.partition] if spec.partition else pa.nulls(rows.num_rows, pa.date32()),
        }
    )
    counted = grouped_rows(table, [([], "count_all")])
    return {(row["scope"], row["partition"]): row["count_all"] for row in counted.to_pylist()}
