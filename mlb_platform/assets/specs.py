"""The one factory of asset specs: what Dagster knows of a table, taken from its mapping."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from dagster import (
    AssetDep,
    AssetKey,
    AssetSpec,
    FreshnessPolicy,
    MetadataValue,
    PartitionsDefinition,
    TableColumn,
    TableColumnConstraints,
    TableColumnDep,
    TableColumnLineage,
    TableRecord,
    TableSchema,
)

from mlb_platform.extraction.specs import merge_spec
from mlb_platform.mapping.paths import render_steps
from mlb_platform.mapping.resolve import RAW_COLUMNS, Column, ResolvedMapping, ResolvedTarget
from mlb_platform.mapping.shape import column_paths
from resources.io_manager import IO_MANAGER_KEY, MERGE_SPEC
from resources.lake_place import table_uri

DEFAULT_OWNER = "team:data-platform"
COLUMN_LINEAGE = "dagster/column_lineage"
KEPT_FRESH = ("game/live_game_v1", "schedule/schedule")
"""Mappings whose tables get new rows every day of a season."""
FRESH = FreshnessPolicy.time_window(fail_window=timedelta(hours=36), warn_window=timedelta(hours=26))
"""Yesterday's games are there by the next evening; between seasons the tables are stale and that is no alert."""
TABLE_KINDS = {"pyspark", "deltalake", "postgres"}
_Paths = Mapping[tuple[str, str], list[str]]
"""JSON paths, as they are written, by table and column."""


def table_key(table: str) -> AssetKey:
    """Return the asset key of `schema.table`."""
    return AssetKey(table.split("."))


def raw_key(raw_table: str) -> AssetKey:
    """Return the asset key of a raw table."""
    return AssetKey(["raw", *raw_table.split(".")])


def table_of_key(key: AssetKey) -> str:
    """Return the `schema.table` an asset key stands for."""
    return ".".join(key.path)


def python_name(mapping: ResolvedMapping) -> str:
    """Return the name of a mapping where only letters, digits and _ will do: game_live_game_v1."""
    return mapping.name.replace("/", "_").replace("-", "_").replace(".", "_")


def group_of(mapping: ResolvedMapping) -> str:
    """Return the asset group of a mapping: its endpoint."""
    return mapping.config.source.endpoint.replace("-", "_")


def raw_spec(mapping: ResolvedMapping) -> AssetSpec:
    """Return the spec of a mapping's raw table, which ingestion fills."""
    source = mapping.config.source
    columns = [TableColumn(name, _RAW_TYPES.get(name, "TEXT")) for name in RAW_COLUMNS]
    columns.append(TableColumn("data", "JSONB", description="The response as it was received."))
    return AssetSpec(
        raw_key(source.raw_table),
        description=f"Every response of {mapping.name} as it was captured, one row a capture. Rows are never changed.",
        group_name=group_of(mapping),
        kinds={"postgres"},
        owners=[DEFAULT_OWNER],
        metadata={
            "dagster/table_name": source.raw_table,
            "dagster/column_schema": TableSchema(columns=columns),
            "mapping": mapping.name,
        },
    )


_RAW_TYPES = {
    "raw_id": "BIGINT", "status_code": "INT", "captured_at": "TIMESTAMPTZ", "last_seen_at": "TIMESTAMPTZ",
    "partition_date": "DATE", "ingested_at": "TIMESTAMPTZ",
}  # fmt: skip


def table_specs(mapping: ResolvedMapping, partitions: PartitionsDefinition[Any], lake: str) -> list[AssetSpec]:
    """Return the spec of every table of a mapping; `lake` is the path or URL of the Delta lake."""
    paths = _paths_of(mapping)
    return [_table_spec(mapping, target, partitions, lake, paths) for target in mapping.targets]


def _table_spec(
    mapping: ResolvedMapping,
    target: ResolvedTarget,
    partitions: PartitionsDefinition[Any],
    lake: str,
    paths: _Paths,
) -> AssetSpec:
    raw = raw_key(mapping.config.source.raw_table)
    return AssetSpec(
        table_key(target.name),
        deps=[AssetDep(raw)],
        description=target.config.description or f"Table {target.name} of {mapping.name}.",
        group_name=group_of(mapping),
        kinds=TABLE_KINDS,
        owners=list(target.config.owners) or [DEFAULT_OWNER],
        code_version=target.derivation_hash,
        partitions_def=partitions if target.partition else None,
        freshness_policy=FRESH if mapping.name in KEPT_FRESH else None,
        tags={"mapping": python_name(mapping)},
        metadata={
            "dagster/table_name": target.name,
            "dagster/uri": MetadataValue.text(table_uri(lake, target.name)),
            "dagster/column_schema": _schema(target, paths),
            COLUMN_LINEAGE: _lineage(mapping, target, paths),
            "primary_key": ", ".join(target.key),
            "relationships": _relationships(mapping, target),
            "column_sources": _source_table(mapping, target, paths),
            "mapping": mapping.name,
            MERGE_SPEC: MetadataValue.json(merge_spec(target).to_metadata()),
        },
    ).with_io_manager_key(IO_MANAGER_KEY)


def view_specs(mapping: ResolvedMapping) -> list[AssetSpec]:
    """Return the specs of a mapping's views: always as their table is, never run."""
    paths = _paths_of(mapping)
    return [
        AssetSpec(
            table_key(view.name),
            deps=[AssetDep(table_key(view.table))],
            description=f"{view.description}\n\nA view: the first row of {view.table} by {', '.join(view.order_by)} "
            f"for each {', '.join(view.key)}; in PostgreSQL, and over the lake in `mlb sql --lake`.",
            group_name=group_of(mapping),
            kinds={"postgres", "view"},
            owners=[DEFAULT_OWNER],
            tags={"mapping": python_name(mapping)},
            metadata={
                "dagster/table_name": view.name,
                "dagster/column_schema": _schema(mapping.by_name[view.table], paths),
                COLUMN_LINEAGE: TableColumnLineage(
                    {
                        c.name: [TableColumnDep(table_key(view.table), c.name)]
                        for c in mapping.by_name[view.table].columns
                    }
                ),
                "primary_key": ", ".join(view.key),
                "mapping": mapping.name,
            },
        )
        for view in mapping.config.views
    ]


def _paths_of(mapping: ResolvedMapping) -> _Paths:
    return {key: [render_steps(steps) for steps in found] for key, found in column_paths(mapping).items()}


def column_lineage(mapping: ResolvedMapping) -> dict[str, TableColumnLineage]:
    """Return, by table, the JSON paths and raw columns that each column's values come from."""
    paths = _paths_of(mapping)
    return {t.name: _lineage(mapping, t, paths) for t in mapping.targets}


def _lineage(mapping: ResolvedMapping, target: ResolvedTarget, paths: _Paths) -> TableColumnLineage:
    raw = raw_key(mapping.config.source.raw_table)
    return TableColumnLineage(
        {
            c.name: [TableColumnDep(raw, text) for text in sources]
            for c in target.columns
            if (sources := _sources(target, c, paths))
        }
    )


def _sources(target: ResolvedTarget, column: Column, paths: _Paths) -> list[str]:
    """Return where a column's values come from: JSON paths, or columns of the raw row."""
    found = paths.get((target.name, column.name))
    if found:
        return found
    if column.field is not None and column.field.source_field is not None:
        return [column.field.source_field]
    return ["captured_at"] if column.name == "source_captured_at" else []


def _source_table(mapping: ResolvedMapping, target: ResolvedTarget, paths: _Paths) -> MetadataValue[Any]:
    """Return the column lineage as a table: the UI draws no column graph."""
    raw = raw_key(mapping.config.source.raw_table).to_user_string()
    rows = [
        TableRecord({"column": c.name, "from_asset": raw, "from_path": text})
        for c in target.columns
        for text in _sources(target, c, paths)
    ]
    return MetadataValue.table(rows, TableSchema([TableColumn(n) for n in ("column", "from_asset", "from_path")]))


def _described(text: str, sources: list[str]) -> str | None:
    """Return a column's description with where its values come from."""
    origin = "From " + ", else ".join(f"`{s}`" for s in sources) + "." if sources else ""
    return "\n\n".join(part for part in (text, origin) if part) or None


def _schema(target: ResolvedTarget, paths: _Paths) -> TableSchema:
    references: dict[str, list[str]] = {}
    for r in target.relationships:
        for name, other in zip(r.from_fields, r.to_fields, strict=True):
            if len(r.from_fields) == 1 or name != target.scope:  # the scope is in most composite references
                references.setdefault(name, []).append(f"references {r.to_table}.{other}")
    return TableSchema(
        columns=[
            TableColumn(
                c.name,
                str(c.type),
                description=_described(c.description, _sources(target, c, paths)),
                constraints=TableColumnConstraints(
                    nullable=c.nullable,
                    unique=target.key == (c.name,),
                    other=[*(["primary key"] if c.name in target.key else []), *references.get(c.name, [])],
                ),
            )
            for c in target.columns
        ]
    )


def _relationships(mapping: ResolvedMapping, target: ResolvedTarget) -> MetadataValue[Any]:
    rows = [
        TableRecord(
            {
                "columns": ", ".join(r.from_fields),
                "to_table": r.to_table,
                "to_columns": ", ".join(r.to_fields),
                "type": r.type,
                "provided": "yes" if r.to_table in mapping.by_name else "by another mapping, or not yet",
            }
        )
        for r in target.relationships
    ]
    names = ("columns", "to_table", "to_columns", "type", "provided")
    return MetadataValue.table(rows, TableSchema(columns=[TableColumn(n) for n in names]))
