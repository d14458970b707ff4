"""Earlier states of Delta tables: rows as of versions, and what each version changed, from the change data feed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from resources.delta_sink_diff import scope_condition
from resources.lake import LakeError, lake_error, read_table
from resources.merge import MergeSpec

CHANGE, VERSION = "_change_type", "_commit_version"
INSERTED, DELETED, BEFORE, AFTER = "insert", "delete", "update_preimage", "update_postimage"
_NEAR = 16
"""Versions closer than this are read in one go."""


class VersionGone(LakeError):
    """A table version whose log or files are no longer there."""


def version_groups(wanted: Mapping[str, tuple[int, int]]) -> dict[int, list[str]]:
    """Return as few versions as possible, with their scopes, so that each scope's is within its (first, last).

    >>> version_groups({"1": (2, 5), "2": (4, 9), "3": (7, 8)})
    {5: ['1', '2'], 8: ['3']}
    """
    groups: dict[int, list[str]] = {}
    newest = -1
    for scope, (first, last) in sorted(wanted.items(), key=lambda item: (item[1][1], item[0])):
        if first > newest:
            newest = last
        groups.setdefault(newest, []).append(scope)
    return groups


def read_version(
    table: DeltaTable, spec: MergeSpec, version: int, scopes: Sequence[str], columns: Sequence[str]
) -> pa.Table:
    """Read the rows that `scopes` had in a version of a table. Raises VersionGone when that cannot be read any more."""
    try:
        at = table if version == table.version() else DeltaTable(table.table_uri, version=version)
        return read_table(at, columns, scope_condition(spec, scopes))
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise _gone(table, f"version {version}", error) from error


def read_changes(
    table: DeltaTable, spec: MergeSpec, versions: Collection[int], columns: Sequence[str], scopes: Sequence[str] | None
) -> pa.Table:
    """Read the rows that commits changed: `columns`, CHANGE (insert, delete, update_preimage, …) and VERSION.

    Only rows of `scopes` (None: of all) and of the commits `versions`, in no particular order. Raises VersionGone when
    some of it is no longer there.
    """
    types = {field.name: field.type for field in pa.schema(table.schema().to_arrow())}
    schema = pa.schema([*((name, types[name]) for name in columns), (CHANGE, pa.string()), (VERSION, pa.int64())])
    where = None if scopes is None else scope_condition(spec, scopes)
    parts = [schema.empty_table()]
    for first, last in _runs(versions):
        try:
            reader = table.load_cdf(first, last, columns=schema.names, predicate=where)
            found = pa.RecordBatchReader.from_stream(reader).read_all().select(schema.names).cast(schema)
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise _gone(table, f"the changes of versions {first} to {last}", error) from error
        parts.append(found.filter(pc.is_in(found[VERSION], value_set=pa.array(list(versions), pa.int64()))))
    return pa.concat_tables(parts)


def _runs(versions: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for version in sorted(versions):
        if first is None or last is None:
            first = version
        elif version - last > _NEAR:
            yield first, last
            first = version
        last = version
    if first is not None and last is not None:
        yield first, last


def _gone(table: DeltaTable, what: str, error: Exception) -> VersionGone:
    plain = lake_error(table.table_uri, error)
    return VersionGone(f"{what} cannot be read (vacuumed?): {plain}")
