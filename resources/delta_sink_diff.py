"""What a batch changes in a Delta table: the rows to insert, update and delete, found before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from resources.delta_engines import ACTION, DELETE, INSERT, UPDATE, Changes
from resources.lake import read_table
from resources.merge import SOURCE_CAPTURED_AT, MergeSpec
from resources.merge_batch import Tally, count_groups, scope_values
from resources.sql_types import delta_type

_ROW = "row number"


def find_changes(
    database: duckdb.DuckDBPyConnection,
    table: DeltaTable,
    spec: MergeSpec,
    rows: pa.Table,
    scopes: Sequence[str],
    tally: Tally,
    *,
    new: bool = False,
) -> Changes | None:
    """Compare the offered rows of `scopes` with the table's and count the difference in `tally`; None if there is none.

    `new`: none of the scopes is known to have rows. Columns compare null-safe, technical ones not at all. Rows of the
    scopes that are not offered are deleted under `snapshot`.
    """
    partition = (spec.partition,) if spec.partition else ()
    columns = dict.fromkeys((*spec.key, spec.scope, *partition, *spec.business_columns))
    if guards(spec):
        columns[SOURCE_CAPTURED_AT] = None
    own = spec.scope in spec.key
    where = scope_condition(spec, scopes) if own else None
    old = None if new and own and _without_rows(table, spec, scopes) else _rows_of(table, columns, where)
    if old is None or not old.num_rows:
        if not rows.num_rows:
            return None
        tally.insert(scopes)
        return _changes(spec, scopes, own, _marked(rows, INSERT, rows.schema.append(pa.field(ACTION, pa.string()))))
    rows = rows.combine_chunks()
    offered, present = _join(database, spec, rows, old)
    inserted = rows.take(offered.filter(pc.is_null(present)))
    updated = rows.take(offered.filter(pc.and_(pc.is_valid(offered), pc.is_valid(present))))
    deleted = old.take(present.filter(pc.is_null(offered)))
    for part, action in ((inserted, INSERT), (updated, UPDATE), (deleted, DELETE)):
        for group, count in count_groups(spec, part).items():
            counts = tally.at(group)
            counts.inserted += count if action == INSERT else 0
            counts.updated += count if action == UPDATE else 0
            counts.deleted += count if action == DELETE else 0
    if not (inserted.num_rows or updated.num_rows or deleted.num_rows):
        return None
    schema = rows.schema.append(pa.field(ACTION, pa.string()))
    source = pa.concat_tables(
        [_marked(inserted, INSERT, schema), _marked(updated, UPDATE, schema), _marked(deleted, DELETE, schema)]
    ).combine_chunks()
    return _changes(spec, scopes, own, source)


def _without_rows(table: DeltaTable, spec: MergeSpec, scopes: Sequence[str]) -> bool:
    """Tell whether the table has no row of these scopes: most often there is none between the first and last either.

    One column tells: of scopes that should not be there yet no other is read in vain.
    """
    conditions = (scope_range(spec, scopes), scope_condition(spec, scopes))
    return any(not read_table(table, [spec.scope], where).num_rows for where in conditions)


def _rows_of(table: DeltaTable, columns: Iterable[str], where: str | None) -> pa.Table:
    return read_table(table, list(columns), where).combine_chunks()


def _changes(spec: MergeSpec, scopes: Sequence[str], own: bool, source: pa.Table) -> Changes:
    return Changes(source, spec.key, spec.column_names, scope_condition(spec, scopes, "t.") if own else "")


def _marked(rows: pa.Table, action: str, schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        if field.name == ACTION:
            columns.append(pa.array([action], field.type).take(pa.array(np.zeros(rows.num_rows, dtype=np.int64))))
        elif field.name in rows.column_names:
            same = rows[field.name].type == field.type
            columns.append(rows[field.name] if same else pc.cast(rows[field.name], field.type))
        else:
            columns.append(pa.nulls(rows.num_rows, field.type))
    return pa.table(columns, schema=schema)


def guards(spec: MergeSpec) -> bool:
    """Tell whether a row may be held by a newer capture of another scope."""
    return spec.scope not in spec.key and SOURCE_CAPTURED_AT in spec.column_names


def _join(
    database: duckdb.DuckDBPyConnection, spec: MergeSpec, rows: pa.Table, old: pa.Table
) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return pairs of row numbers (offered, present) that differ; null where a side has no row of that key."""
    distinct = [f"s.{_quoted(name)} IS DISTINCT FROM t.{_quoted(name)}" for name in spec.business_columns]
    changed = f"({' OR '.join(distinct)})" if distinct else "FALSE"
    if guards(spec):
        scope, at = _quoted(spec.scope), _quoted(SOURCE_CAPTURED_AT)
        changed += f" AND (s.{scope} IS NOT DISTINCT FROM t.{scope} OR (t.{at} <= s.{at}) IS DISTINCT FROM FALSE)"
    query = f"""
        SELECT s."{_ROW}" AS offered, t."{_ROW}" AS present
        FROM offered s {"FULL" if spec.snapshot else "LEFT"} JOIN present t
          ON {" AND ".join(f"s.{_quoted(name)} = t.{_quoted(name)}" for name in spec.key)}
        WHERE s."{_ROW}" IS NULL OR t."{_ROW}" IS NULL OR ({changed})"""
    with database.cursor() as cursor:
        needed = [name for name in old.column_names if name in rows.column_names]
        cursor.register("offered", _numbered(rows.select(needed)))
        cursor.register("present", _numbered(old))
        found = cursor.sql(query).to_arrow_table()
    order = pc.sort_indices(found, sort_keys=[("offered", "ascending"), ("present", "ascending")])
    found = found.take(order)
    return found["offered"], found["present"]


def _numbered(rows: pa.Table) -> pa.Table:
    return rows.append_column(_ROW, pa.array(np.arange(rows.num_rows)))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def scope_condition(spec: MergeSpec, scopes: Sequence[str], alias: str = "") -> str:
    """Return the SQL condition that a row is of one of `scopes`; the range in it lets engines skip files."""
    literals = _literals(spec, scopes)
    within = scope_range(spec, scopes, alias)
    return f"{within} AND {alias}`{spec.scope}` IN ({', '.join(literals)})" if len(literals) > 1 else within


def scope_range(spec: MergeSpec, scopes: Sequence[str], alias: str = "") -> str:
    """Return the SQL condition that a row is of a scope from the first to the last of `scopes`."""
    literals, column = _literals(spec, scopes), f"{alias}`{spec.scope}`"
    if len(literals) < 2:
        return f"{column} = {literals[0]}" if literals else "FALSE"
    return f"{column} BETWEEN {literals[0]} AND {literals[-1]}"


def _literals(spec: MergeSpec, scopes: Sequence[str]) -> list[str]:
    """Return scopes as SQL has them, in order."""
    kind = delta_type(next(c.sql_type for c in spec.columns if c.name == spec.scope))
    return [_literal(kind, value) for value in sorted(scope_values(spec, scopes).to_pylist())]


def _literal(kind: str, value: object) -> str:
    if kind in ("short", "integer", "long"):
        return str(value)
    quoted = "'" + str(value).replace("'", "''") + "'"
    return quoted if kind == "string" else f"CAST({quoted} AS {kind.upper()})"
