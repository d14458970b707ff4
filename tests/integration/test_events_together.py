"""Events of many assets written together are those that Dagster writes one asset after the other."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    AssetObservation,
    DagsterEvent,
    DagsterInstance,
    MetadataValue,
    OpExecutionContext,
    Output,
    TableColumnDep,
    TableColumnLineage,
    job,
    op,
)

from mlb_platform.dagster_home import SCHEMA, open_instance
from mlb_platform.settings import Settings
from resources.dagster_materializations import MaterializationLog
from resources.postgres import Postgres

Told = AssetMaterialization | AssetObservation
LINEAGE = TableColumnLineage({"runs": [TableColumnDep(AssetKey(["raw", "game"]), "data")]})


def events(schema: str) -> list[Told]:
    """Return two tables with two dates each, one of them with lineage, and a date of which a part is observed."""
    found: list[Told] = []
    for table in ("plays", "games"):
        for day in ("2024-05-01", "2024-05-02"):
            metadata = {"rows": MetadataValue.int(3), "note": MetadataValue.text('José\'s "homer"')}
            metadata |= {"dagster/column_lineage": MetadataValue.column_lineage(LINEAGE)} if day.endswith("2") else {}
            tags = {"dagster/code_version": "abc", "dagster/data_version": f"{table} of {day}"}
            found.append(AssetMaterialization([schema, table], partition=day, metadata=metadata, tags=tags))
    return [*found, AssetObservation([schema, "plays"], partition="2024-05-03", metadata={"entities": "7"})]


def run(instance: DagsterInstance, told: Sequence[Told], *, together: bool, failing: bool = False) -> None:
    """Tell of events in a run of one step."""

    @op
    def tell(context: OpExecutionContext) -> Iterator[Any]:
        step = context.get_step_execution_context()
        if together:
            with MaterializationLog(context.instance, step) as log:
                log.add(told)
                if failing:
                    raise ValueError("in the middle")
        else:
            for event in told:
                if isinstance(event, AssetMaterialization):
                    DagsterEvent.asset_materialization(step, event)
                else:
                    DagsterEvent.asset_observation(step, event)
        yield Output(None)

    @job
    def telling() -> None:
        tell()

    assert telling.execute_in_process(instance=instance, raise_on_error=False).success is not failing


def stored(database: Postgres, schema: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return what the tables of Dagster's event log have of the assets of a schema, without what differs by run."""

    def plain(text: str | None) -> Any:
        def cut(value: Any) -> Any:
            if isinstance(value, dict):
                hidden = {"timestamp", "run_id", "pid", "storage_id"}
                return {k: cut(v) for k, v in value.items() if k not in hidden}
            return [cut(v) for v in value] if isinstance(value, list) else value

        return None if text is None else json.dumps(cut(json.loads(text)), sort_keys=True).replace(schema, "SCHEMA")

    with database.transaction() as connection:
        logged = connection.execute(
            f"SELECT dagster_event_type, partition, step_key, event FROM {SCHEMA}.event_logs "
            f"WHERE asset_key LIKE '%{schema}%' ORDER BY id".encode()
        ).fetchall()
        keys = connection.execute(
            f"SELECT asset_key, last_materialization, last_materialization_timestamp IS NOT NULL, asset_details "
            f"FROM {SCHEMA}.asset_keys WHERE asset_key LIKE '%{schema}%' ORDER BY asset_key".encode()
        ).fetchall()
        tags = connection.execute(
            f"SELECT t.asset_key, t.key, t.value, e.partition FROM {SCHEMA}.asset_event_tags t "
            f"JOIN {SCHEMA}.event_logs e ON e.id = t.event_id WHERE t.asset_key LIKE '%{schema}%' "
            "ORDER BY t.asset_key, e.partition, t.key".encode()
        ).fetchall()
    return {
        "log": [(*row[:3], plain(row[3])) for row in logged],
        "assets": [(row[0].replace(schema, "SCHEMA"), plain(row[1]), *row[2:]) for row in keys],
        "tags": [(row[0].replace(schema, "SCHEMA"), *row[1:]) for row in tags],
    }


@pytest.fixture
def instance(database: Postgres, tmp_path: Path) -> Iterator[DagsterInstance]:
    """An instance of Dagster in a database of its own."""
    with open_instance(Settings(home=tmp_path, database_url=database.url), database) as opened:
        yield opened


def test_what_is_written_together_is_what_dagster_writes(instance: DagsterInstance, database: Postgres) -> None:
    run(instance, events("alone"), together=False)
    run(instance, events("joint"), together=True)
    one, other = stored(database, "alone"), stored(database, "joint")
    assert other == one
    assert (len(one["log"]), len(one["assets"]), len(one["tags"])) == (5, 2, 4)


def test_a_second_run_replaces_what_is_known_of_an_asset(instance: DagsterInstance, database: Postgres) -> None:
    for _ in range(2):
        run(instance, events("joint"), together=True)
    found = stored(database, "joint")
    assert (len(found["log"]), len(found["assets"]), len(found["tags"])) == (10, 2, 8)
    key = AssetKey(["joint", "plays"])
    assert instance.get_materialized_partitions(key) == {"2024-05-01", "2024-05-02"}
    latest = instance.get_latest_materialization_event(key)
    assert latest is not None and latest.asset_materialization is not None
    assert latest.asset_materialization.metadata["dagster/column_lineage"].value == LINEAGE


def test_what_was_told_before_a_failure_is_written(instance: DagsterInstance, database: Postgres) -> None:
    run(instance, events("joint"), together=True, failing=True)
    assert len(stored(database, "joint")["log"]) == 5


def test_what_waits_is_written_once_it_waited_long_enough(instance: DagsterInstance, database: Postgres) -> None:
    seen: list[int] = []

    @op
    def tell(context: OpExecutionContext) -> None:
        with MaterializationLog(context.instance, context.get_step_execution_context(), every=0) as log:
            for event in events("joint"):
                log.add([event])
                seen.append(len(stored(database, "joint")["log"]))

    @job
    def telling() -> None:
        tell()

    telling.execute_in_process(instance=instance)
    assert seen == [1, 2, 3, 4, 5]
