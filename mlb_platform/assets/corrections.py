"""What is known of corrections in the asset graph: filled after every merge of the tables they are about."""

from __future__ import annotations

from collections.abc import Iterable

from dagster import AssetDep, AssetKey, AssetSpec, TableColumn, TableSchema

from mlb_platform.assets.specs import DEFAULT_OWNER, table_key
from mlb_platform.mapping.resolve import ResolvedMapping

CORRECTIONS = AssetKey(["quality", "corrections"])
_COLUMNS = (
    ("table_name", "TEXT", "The table."),
    ("entity_key", "TEXT", "The game: its game_pk."),
    ("key", "JSONB", "Primary key of the row that changed."),
    ("column_name", "TEXT", "The column."),
    ("change", "TEXT", "update; or insert, delete: the whole row came or went, one row here for each value it has."),
    ("old", "JSONB", "The value in the capture before."),
    ("new", "JSONB", "The value in the capture that changed it."),
    ("raw_table", "TEXT", "The raw table of both captures."),
    ("old_raw_id", "BIGINT", "Raw row of the capture before."),
    ("new_raw_id", "BIGINT", "Raw row of the capture that changed it."),
    ("old_captured_at", "TIMESTAMPTZ", "When the capture before was received."),
    ("new_captured_at", "TIMESTAMPTZ", "When the capture that changed it was received."),
    ("partition_date", "DATE", "Date of the game, by the newer capture."),
    ("detected_at", "TIMESTAMPTZ", "When the platform found it."),
)


def corrections_specs(mappings: Iterable[ResolvedMapping]) -> list[AssetSpec]:
    """Return the specs of quality.corrections and its daily summary; they are filled by the runs of the tables."""
    listed = list(mappings)
    over = {m.entity_key.name for m in listed if m.config.source.final_when is not None}
    deps = [AssetDep(table_key(t.name)) for m in listed if m.entity_key.name in over for t in m.targets]
    columns = TableSchema(columns=[TableColumn(n, kind, description=text) for n, kind, text in _COLUMNS])
    return [
        AssetSpec(
            CORRECTIONS,
            deps=deps,
            description="What changed in games that were over, one row a changed value, with the captures before and "
            "after: from Delta's change data feed, looked at after every merge. Shown by `mlb corrections`.",
            group_name="quality",
            kinds={"postgres"},
            owners=[DEFAULT_OWNER],
            metadata={"dagster/table_name": "quality.corrections", "dagster/column_schema": columns},
        ),
        AssetSpec(
            AssetKey(["quality", "corrections_daily"]),
            deps=[AssetDep(CORRECTIONS)],
            description="A view: how many values and rows of how many games were corrected, by the day (UTC) of the "
            "capture, table, column and kind of change.",
            group_name="quality",
            kinds={"postgres", "view"},
            owners=[DEFAULT_OWNER],
            metadata={"dagster/table_name": "quality.corrections_daily"},
        ),
    ]
