"""Records written for Dagster's event log say what Dagster itself writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    AssetKey,
    AssetMaterialization,
    AssetObservation,
    DagsterEventType,
    EventLogEntry,
    MetadataValue,
    TableColumn,
    TableColumnDep,
    TableColumnLineage,
    TableRecord,
    TableSchema,
)
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.events import AssetObservationData, DagsterEvent, StepMaterializationData
from dagster._core.storage.event_log.base import EventLogRecord
from dagster_shared.serdes import serialize_value

from resources.dagster_serialization import serialized

COLUMNS = [TableColumn("runs", "integer", description="José's")]
LINEAGE = TableColumnLineage({"runs": [TableColumnDep(AssetKey(["raw", "game"]), "data")]})
METADATA: dict[str, Any] = {
    "count": MetadataValue.int(1), "same count": MetadataValue.int(1), "share": MetadataValue.float(1.0),
    "true": MetadataValue.bool(True), "none": MetadataValue.null(),
    "text": MetadataValue.text('a "b"\n\\c é'), "file": MetadataValue.path("/reports/a.html"),
    "page": MetadataValue.url("https://example.org"), "told": MetadataValue.md("*a*"),
    "samples": MetadataValue.json([{"pitch": 1, "of": None}, "x"]), "at": MetadataValue.timestamp(1.5),
    "lineage": MetadataValue.column_lineage(LINEAGE), "schema": MetadataValue.table_schema(TableSchema(COLUMNS)),
    "table": MetadataValue.table([TableRecord({"runs": 1})], TableSchema(COLUMNS)),
    "asset": MetadataValue.asset(AssetKey(["game", "plays"])),
}  # fmt: skip
KEY = AssetKey(["game", "plays"])
AIM = AssetCheckEvaluationTargetMaterializationData(storage_id=7, run_id="run", timestamp=1.25)
KINDS = (
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_OBSERVATION,
    DagsterEventType.ASSET_CHECK_EVALUATION,
)
NOT_FINITE = {"unknown": MetadataValue.float(float("nan")), "endless": MetadataValue.float(float("-inf"))}
WRITTEN_BY = {"orjson": METADATA, "json": METADATA | NOT_FINITE | {"long": MetadataValue.int(1 << 70)}}


def data(kind: DagsterEventType, metadata: dict[str, Any]) -> Any:
    """Return what an event tells."""
    tags = {"dagster/code_version": "a"}
    if kind is DagsterEventType.ASSET_MATERIALIZATION:
        return StepMaterializationData(AssetMaterialization(KEY, partition="2024-07-01", metadata=metadata, tags=tags))
    if kind is DagsterEventType.ASSET_OBSERVATION:
        return AssetObservationData(AssetObservation(KEY, metadata=metadata))
    return AssetCheckEvaluation(
        KEY, "parity", False, metadata, AIM, AssetCheckSeverity.WARN, "15 rows", partition="2024-07-01"
    )


def entry(kind: DagsterEventType, metadata: dict[str, Any]) -> EventLogEntry:
    """Return a log entry that tells of an event."""
    event = DagsterEvent(kind.value, "job", event_specific_data=data(kind, metadata), message="told", pid=1)
    return EventLogEntry(None, 10, "told", "run", 1.5, "step", "job", event)  # type: ignore[no-untyped-call]


def told(text: str) -> str:
    """Return JSON in one way of writing it, in which 1, 1.0 and NaN are not the same."""
    return json.dumps(json.loads(text), sort_keys=True)


@pytest.mark.parametrize("by", WRITTEN_BY)
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.value)
def test_an_entry_says_what_dagster_writes(kind: DagsterEventType, by: str) -> None:
    """With values that orjson can write, and with some that it cannot."""
    of_kind = entry(kind, WRITTEN_BY[by])
    for record in (of_kind, EventLogRecord(storage_id=3, event_log_entry=of_kind)):
        assert told(serialized(record)) == told(serialize_value(record))
        assert told(serialized(record)) == told(serialize_value(record)), "the second time parts of it are known"


def test_values_that_are_equal_but_not_the_same_stay_apart() -> None:
    for value in (MetadataValue.int(1), MetadataValue.float(1.0), MetadataValue.bool(True), MetadataValue.int(0)):
        assert told(serialized(value)) == told(serialize_value(value))
