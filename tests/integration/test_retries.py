"""What a run tries again by itself, what it leaves to the sensor, and what nobody tries again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from deltalake.exceptions import CommitFailedError
from helpers import MAY_1, SMALL, Bench, game, mapping_of
from pyspark.sql import SparkSession

from mlb_platform.assets import retries
from mlb_platform.assets.jobs import job_name
from mlb_platform.assets.retries import fails_again, is_transient
from mlb_platform.dagster_home import PERMANENT_TAG
from mlb_platform.definitions import build_definitions
from mlb_platform.extraction.work import TableBatch, Work
from mlb_platform.platform import Platform
from mlb_platform.sensors.cursor import Request
from mlb_platform.sensors.raw_rows import settle
from mlb_platform.settings import Settings
from resources.delta_sink import DeltaSink
from resources.errors import PlatformError
from resources.postgres import DatabaseError, Postgres

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
REQUEST = Request("small/game_v1", MAY_1, 7, 1)


@pytest.fixture
def platform(database: Postgres, spark: SparkSession, tmp_path: Path) -> Platform:
    """The platform over the small mapping alone, with one game of May 1st in the raw store."""
    (tmp_path / "mappings" / "small").mkdir(parents=True)
    (tmp_path / "mappings" / "small" / "game_v1.yaml").write_text(SMALL, "utf-8")
    settings = Settings(home=tmp_path / "home", database_url=database.url, mappings=tmp_path / "mappings")
    Bench(database, tmp_path / "unused", spark, mapping_of(SMALL)).put(game(1, [(1, 1, "a"), (2, 0, "b")]))
    return Platform(settings, spark_factory=lambda: spark)


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance in memory; waits are short."""
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.05)
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(platform: Platform, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Run the mapping's job for the date, as the sensor would have it run."""
    name = job_name(platform.registry.get("small/game_v1"))
    job = build_definitions(platform.settings, platform).resolve_job_def(name)
    return job.execute_in_process(
        instance=instance, partition_key=MAY_1.isoformat(), run_config=QUIET, raise_on_error=False,
        tags={"dagster/run_key": REQUEST.key},
    )  # fmt: skip


def rows(platform: Platform) -> int:
    """How many plays PostgreSQL has."""
    with platform.postgres.transaction() as connection:
        found = connection.execute("SELECT count(*) FROM small.plays").fetchone()
    assert found is not None
    return int(found[0])


def requested_again(instance: dg.DagsterInstance) -> bool:
    """Whether the sensor would request the date once more."""
    return bool(settle(instance, [REQUEST], logging.getLogger("sensor"))[0])


def cut_connection(platform: Platform) -> None:
    """Have the server end a session at work, as a restart does."""
    with platform.postgres.transaction() as connection:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.mark.parametrize("moment", ["before the merge", "between the sinks' tables"])
def test_a_lost_database_connection_is_tried_again_within_the_run(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """In the computation, and in the merge, which Dagster calls from outside it: the run succeeds, rows are there."""
    write, calls = Work.write, list[str]()

    def cut_once(self: Work, batch: TableBatch) -> None:
        calls.append(batch.spec.table)
        if len(calls) == (1 if moment == "before the merge" else 2):
            cut_connection(platform)
        write(self, batch)

    monkeypatch.setattr(Work, "write", cut_once)
    result = run(platform, instance)
    assert result.success
    kinds = [e.event_type_value for e in result.all_events]
    assert kinds.count("STEP_UP_FOR_RETRY") == 1
    assert rows(platform) == 2
    assert not requested_again(instance)


def test_a_run_whose_database_stays_away_fails_and_is_the_sensors(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three retries; the sensor requests the date again."""
    monkeypatch.setattr(Work, "write", lambda *_: cut_connection(platform))
    result = run(platform, instance)
    assert not result.success
    kinds = [e.event_type_value for e in result.all_events]
    assert kinds.count("STEP_UP_FOR_RETRY") == retries.RETRIES
    assert requested_again(instance)


def test_what_will_fail_again_is_not_tried_again_by_anyone(platform: Platform, instance: dg.DagsterInstance) -> None:
    """A column was removed from the mapping, which would lose data: no retry, a tag, and no request by the sensor."""
    assert run(platform, instance).success
    file = platform.settings.mappings / "small" / "game_v1.yaml"
    note = "      - {name: note, type: TEXT, json_path: $.note, description: What happened.}\n"
    file.write_text(SMALL.replace(note, ""), "utf-8")
    changed = Platform(platform.settings, spark_factory=platform.spark_factory)
    result = run(changed, instance)
    assert not result.success
    assert "STEP_UP_FOR_RETRY" not in [e.event_type_value for e in result.all_events]
    found = instance.get_run_by_id(result.run_id)
    assert found is not None and found.tags[PERMANENT_TAG] == "true"
    assert not requested_again(instance)
    assert rows(platform) == 2


def test_an_unknown_failure_is_left_to_the_sensor(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a lost Spark: another process may succeed; this one does not try."""

    class Py4JNetworkError(Exception):
        """As Spark's gateway raises it when its JVM is gone."""

    def lost(*_: object) -> None:
        raise Py4JNetworkError("Answer from Java side is empty")

    monkeypatch.setattr(DeltaSink, "merge", lost)
    result = run(platform, instance)
    assert not result.success
    assert "STEP_UP_FOR_RETRY" not in [e.event_type_value for e in result.all_events]
    assert requested_again(instance)


def test_failures_are_told_apart(database: Postgres, tmp_path: Path) -> None:
    """Real errors of a real server, and those of others."""
    wrong = database.url.replace("mlb:", "mlb:x", 1)
    password = pytest.raises(DatabaseError, match="refuses")
    with password as refused, Postgres(wrong).transaction():
        pass
    with pytest.raises(DatabaseError) as gone, Postgres("postgresql://u:p@127.0.0.1:9/d").transaction():
        pass
    with pytest.raises(DatabaseError) as cut, database.transaction() as connection:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(psycopg.errors.SyntaxError) as syntax, database.transaction() as connection:
        connection.execute("SELEC 1")
    conflict = PlatformError("conflict")
    conflict.__cause__ = CommitFailedError("a concurrent transaction")
    told = {
        "password": refused.value, "gone": gone.value, "cut": cut.value, "syntax": syntax.value, "conflict": conflict,
        "refused change": PlatformError("column note"), "bug": KeyError("x"), "disk": OSError("no space"),
    }  # fmt: skip
    assert {k for k, e in told.items() if is_transient(e)} == {"gone", "cut", "conflict"}
    assert {k for k, e in told.items() if fails_again(e)} == {"refused change"}
