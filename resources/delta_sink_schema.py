"""How a table of a spec comes to be in a lake: created, additively migrated, or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, Field, Schema, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.schema import PrimitiveType

from resources.delta_engines import CommitConflict, commit_properties
from resources.lake import dataset, open_table
from resources.lake_history import HISTORY_DAYS, LOG_RETENTION, retention
from resources.lake_place import table_uri
from resources.merge import ColumnSpec, MergeSpec
from resources.merge_schema import ColumnChanges, ExistingColumn, plan_columns, takes_null
from resources.sql_types import arrow_type, delta_type, from_delta, parse_type

KEY_PROPERTY = "mlb.key"
SQL_TYPE, COMMENT = "sql_type", "comment"
_CONFIGURATION: dict[str, str | None] = {"delta.enableDeletionVectors": "false", "delta.checkpointInterval": "25"}
_HISTORY = {"delta.enableChangeDataFeed": "true", LOG_RETENTION: retention(HISTORY_DAYS)}
"""What corrections and time travel need: the rows each commit changed, and the log to open an older version by."""


def is_current(table: DeltaTable, spec: MergeSpec) -> bool:
    """Tell whether a table is as its spec says; raise SchemaChangeRefused where it cannot be brought there."""
    described = (table.metadata().description or "") == spec.description
    return not _plan(table, spec) and described and not _missing_properties(table)


def bring_to_spec(lake: str, spec: MergeSpec) -> DeltaTable:
    """Create or migrate a table; raise CommitConflict when another writer committed meanwhile."""
    table = open_table(lake, spec.table)
    try:
        if table is None:
            return _create(lake, spec)
        changes = _plan(table, spec)
        if missing := _missing_properties(table):
            table.alter.set_table_properties(missing, commit_properties=commit_properties())
        strict = [c for c in changes.added if not takes_null(spec, c)]
        if _rewrites(table, changes) or strict:
            _rewrite(table, spec)
            return DeltaTable(table.table_uri)
        if changes.added:
            table.alter.add_columns([_field(spec, c) for c in changes.added], commit_properties=commit_properties())
        for column in changes.loosened:
            table.alter.drop_column_not_null(column.name, commit_properties=commit_properties())
        for column in dict.fromkeys((*changes.widened, *changes.described)):
            table.alter.set_column_metadata(column.name, _metadata(column), commit_properties=commit_properties())
        if (table.metadata().description or "") != spec.description:
            table.alter.set_table_description(spec.description, commit_properties=commit_properties())
        return DeltaTable(table.table_uri)
    except CommitFailedError as error:
        raise CommitConflict(str(error)) from error


def _missing_properties(table: DeltaTable) -> dict[str, str]:
    """Return the properties that a table made by an older version lacks; how long the log is kept may be changed."""
    known = {**table.metadata().configuration}
    if LOG_RETENTION in known:
        known[LOG_RETENTION] = _HISTORY[LOG_RETENTION]
    return {name: value for name, value in _HISTORY.items() if known.get(name) != value}


def _plan(table: DeltaTable, spec: MergeSpec) -> ColumnChanges:
    existing = [
        ExistingColumn(
            name=field.name,
            sql_type=from_delta(_type_name(field), field.metadata.get(SQL_TYPE)),
            nullable=field.nullable,
            description=field.metadata.get(COMMENT, ""),
        )
        for field in table.schema().fields
    ]
    key = json.loads(table.metadata().configuration.get(KEY_PROPERTY) or json.dumps(spec.key))
    place = f"Delta table {table.table_uri.rstrip('/')} ({spec.table})"
    return plan_columns(place, spec, existing, key, empty=not table.file_uris())


def _type_name(field: Field) -> str:
    return field.type.type if isinstance(field.type, PrimitiveType) else str(field.type)


def _rewrites(table: DeltaTable, changes: ColumnChanges) -> bool:
    """Tell whether a widened column has another Delta type; a longer VARCHAR is a string as before."""
    types = {field.name: _type_name(field) for field in table.schema().fields}
    return any(types[column.name] != delta_type(column.sql_type) for column in changes.widened)


def _metadata(column: ColumnSpec) -> dict[str, str]:
    return {SQL_TYPE: str(parse_type(column.sql_type)), COMMENT: column.description}


def _field(spec: MergeSpec, column: ColumnSpec) -> Field:
    kind = PrimitiveType(delta_type(column.sql_type))
    return Field(column.name, kind, nullable=takes_null(spec, column), metadata=_metadata(column))


def _create(lake: str, spec: MergeSpec) -> DeltaTable:
    return DeltaTable.create(
        table_uri(lake, spec.table),
        Schema([_field(spec, column) for column in spec.columns]),
        name=spec.table,
        description=spec.description,
        configuration={**_CONFIGURATION, **_HISTORY, KEY_PROPERTY: json.dumps(spec.key)},
        commit_properties=commit_properties(),
        raise_if_key_not_exists=False,
    )


def _rewrite(table: DeltaTable, spec: MergeSpec) -> None:
    """Write all rows anew in the types of the spec, in one commit on top of the version that was read."""
    schema = pa.schema(
        pa.field(c.name, arrow_type(c.sql_type), takes_null(spec, c), metadata=_metadata(c)) for c in spec.columns
    )
    source = dataset(table)

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in source.to_batches():
            arrays = [
                pc.cast(batch.column(field.name), field.type)
                if field.name in batch.schema.names
                else pa.nulls(batch.num_rows, field.type)
                for field in schema
            ]
            yield pa.record_batch(arrays, schema=schema)

    write_deltalake(
        table,
        pa.RecordBatchReader.from_batches(schema, batches()),
        mode="overwrite",
        schema_mode="overwrite",
        commit_properties=commit_properties(),
    )
