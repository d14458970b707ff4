"""Records written for Dagster's event log are, word for word, what Dagster itself writes."""

from __future__ import annotations

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
    "unknown": MetadataValue.float(float("nan")), "true": MetadataValue.bool(True), "none": MetadataValue.null(),
    "text": MetadataValue.text('a "b"\n\\c é'), "file": MetadataValue.path("/reports/a.html"),
    "page": MetadataValue.url("https://example.org"), "told": MetadataValue.md("*a*"),
    "samples": MetadataValue.json([{"pitch": 1, "of": None}, "x"]), "at": MetadataValue.timestamp(1.5),
    "lineage": MetadataValue.column_lineage(LINEAGE), "schema": MetadataValue.table_schema(TableSchema(COLUMNS)),
    "table": MetadataValue.table([TableRecord({"runs": 1})], TableSchema(COLUMNS)),
    "asset": MetadataValue.asset(AssetKey(["game", "plays"])),
}  # fmt: skip
KEY = AssetKey(["game", "plays"])
AIM = AssetCheckEvaluationTargetMaterializationData(storage_id=7, run_id="run", timestamp=1.25)
DATA: dict[DagsterEventType, Any] = {
    DagsterEventType.ASSET_MATERIALIZATION: StepMaterializationData(
        AssetMaterialization(KEY, partition="2024-07-01", metadata=METADATA, tags={"dagster/code_version": "a"})
    ),
    DagsterEventType.ASSET_OBSERVATION: AssetObservationData(AssetObservation(KEY, metadata=METADATA)),
    DagsterEventType.ASSET_CHECK_EVALUATION: AssetCheckEvaluation(
        KEY, "parity", False, METADATA, AIM, AssetCheckSeverity.WARN, "15 rows", partition="2024-07-01"
    ),
}


def entry(kind: DagsterEventType) -> EventLogEntry:
    """Return a log entry that tells of an event."""
    event = DagsterEvent(kind.value, "job", event_specific_data=DATA[kind], message="told", pid=1)
    return EventLogEntry(None, 10, "told", "run", 1.5, "step", "job", event)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("kind", DATA, ids=lambda k: k.value)
def test_an_entry_is_written_as_dagster_writes_it(kind: DagsterEventType) -> None:
    for record in (entry(kind), EventLogRecord(storage_id=3, event_log_entry=entry(kind))):
        assert serialized(record) == serialize_value(record)
        assert serialized(record) == serialize_value(record), "the second time parts of it are known"


def test_values_that_are_equal_but_not_the_same_stay_apart() -> None:
    for value in (MetadataValue.int(1), MetadataValue.float(1.0), MetadataValue.bool(True), MetadataValue.int(0)):
        assert serialized(value) == serialize_value(value)
