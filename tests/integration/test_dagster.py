"""Dagster over the real platform: simulated games, both sinks, events, checks and sensors."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import orjson
import pytest
import yaml
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from pyspark.sql import SparkSession

from mlb_platform.assets import judging
from mlb_platform.assets.command import materialize_dates
from mlb_platform.assets.in_process import RunFailed
from mlb_platform.assets.partitions import date_partitions
from mlb_platform.assets.specs import COLUMN_LINEAGE, raw_key, table_key
from mlb_platform.dagster_home import open_instance
from mlb_platform.definitions import build_definitions
from mlb_platform.ingestion.captures_folder import ingest_folder
from mlb_platform.platform import Platform
from mlb_platform.sensors.raw_rows import tick
from mlb_platform.settings import PROJECT_ROOT, Settings
from mlb_platform.simulator import SimulatedCapture, later_capture, simulate_games, write_captures_folder
from resources.errors import PlatformError
from resources.lake import open_table, read_table
from resources.postgres import Postgres
from resources.raw_store import RawCapture

MAPPING = "game/live_game_v1"
RAW_TABLE = "game.live_game_v1"
JOB = "materialize_game_live_game_v1"
FIRST = date(2024, 7, 1)
KEPT = ("game.live_game_metadata", "game.live_game_plays", "game.live_game_umpires")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(scope="module")
def games() -> list[SimulatedCapture]:
    """Two games on each of two dates with a date between them."""
    found = list(simulate_games(31, FIRST, seed=5))
    second = [c for c in found if c.official_date > FIRST]
    later = later_capture(second[0], "moved", seed=1)
    return [found[0], found[1], second[0], later]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder of mappings with three tables of the feed."""
    folder = tmp_path / "mappings"
    (folder / "game").mkdir(parents=True)
    write_mapping(folder, KEPT)
    return folder


def write_mapping(folder: Path, tables: tuple[str, ...]) -> None:
    """Write the feed's mapping with these targets only, and without the documents it hands to other mappings."""
    data = yaml.safe_load((PROJECT_ROOT / "mapping_configs/game/live_game_v1.yaml").read_text("utf-8"))
    del data["source"]["embeds"]
    data["targets"] = [t for t in data["targets"] if t["name"] in tables]
    (folder / "game" / "live_game_v1.yaml").write_text(yaml.safe_dump(data, sort_keys=False), "utf-8")


@pytest.fixture
def platform(database: Postgres, spark: SparkSession, small: Path, tmp_path: Path) -> Platform:
    """The platform over three tables, with an empty database and lake."""
    settings = Settings(home=tmp_path / "home", database_url=database.url, mappings=small)
    return Platform(settings, spark_factory=lambda: spark)


@pytest.fixture
def instance(platform: Platform) -> Iterator[dg.DagsterInstance]:
    """The platform's own Dagster instance, stored in PostgreSQL."""
    with open_instance(platform.settings, platform.postgres) as opened:
        yield opened


def ingest(platform: Platform, captures: list[SimulatedCapture], tmp_path: Path) -> None:
    """Store captures as `mlb ingest captures` does."""
    folder = tmp_path / f"captures-{len(list(tmp_path.iterdir()))}"
    write_captures_folder(captures, folder)
    result = ingest_folder(folder, platform.raw, platform.quality, platform.registry.mappings)
    assert "0 rejected" in result.summary


def without_keys(capture: SimulatedCapture) -> SimulatedCapture:
    """A later capture of the game in which a play has a negative batter: it breaks an error rule."""
    payload = orjson.loads(orjson.dumps(capture.payload))
    payload["liveData"]["plays"]["allPlays"][3]["matchup"]["batter"]["id"] = -5
    later = capture.captured_at + timedelta(hours=2)
    payload["metaData"]["timeStamp"] = f"{later:%Y%m%d_%H%M%S}"
    return dataclasses.replace(capture, payload=payload, captured_at=later)


def insert_row(platform: Platform, entity: str, day: date | None) -> None:
    """Store a raw row of a date directly, as other ingestion would."""
    now = datetime.now(UTC)
    capture = RawCapture(entity, "game", "live_game_v1", {}, None, 200, now, day, entity.ljust(64, "0"), b"{}")
    platform.raw.insert(RAW_TABLE, capture)


def run_job(platform: Platform, instance: dg.DagsterInstance, **options: object) -> dg.ExecuteInProcessResult:
    """Run the mapping's job in this process."""
    definitions = build_definitions(platform.settings, platform)
    return definitions.resolve_job_def(JOB).execute_in_process(
        instance=instance,
        run_config=QUIET,
        **options,  # type: ignore[arg-type]
    )


def counts(platform: Platform, table: str) -> tuple[dict[date, int], dict[date, int]]:
    """Rows by date in PostgreSQL and in the lake."""
    with platform.postgres.transaction() as connection:
        query = f"SELECT game_date, count(*) FROM {table} GROUP BY 1"
        in_postgres = {row[0]: row[1] for row in connection.execute(query.encode())}
    opened = open_table(platform.settings.lake, table)
    assert opened is not None
    days = read_table(opened, ["game_date"]).column("game_date").to_pylist()
    return in_postgres, {d: days.count(d) for d in set(days)}


def tick_now(platform: Platform, instance: dg.DagsterInstance, cursor: str | None) -> dg.SensorResult:
    """Let the sensor look once."""
    mapping = platform.registry.get(MAPPING)
    partitions = date_partitions(platform.settings.first_partition_date)
    return tick(instance, cursor, mapping, partitions, platform, logging.getLogger("sensor"))


def make_runs(instance: dg.DagsterInstance, result: dg.SensorResult) -> None:
    """Have a run of each request, as the daemon does, and let them succeed."""
    for request in result.run_requests or []:
        tags = {"dagster/run_key": request.run_key or ""}
        instance.add_run(dg.DagsterRun(job_name=JOB, tags=tags, status=dg.DagsterRunStatus.SUCCESS))


def requested(result: dg.SensorResult) -> list[str]:
    """Partition keys a tick asks for."""
    return [r.partition_key or "" for r in result.run_requests or []]


def statuses(instance: dg.DagsterInstance, table: str, check: str) -> dict[str | None, str]:
    """Latest status of a check by partition."""
    history = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(table_key(table), check), limit=50
    )
    return {record.partition: record.status.value for record in reversed(history)}


def test_loading_definitions_starts_nothing(tmp_path: Path, small: Path) -> None:
    """No server, no Spark, no home: definitions come from the mappings alone."""
    settings = Settings(home=tmp_path / "none", mappings=small)
    platform = Platform(settings)
    dg.Definitions.validate_loadable(build_definitions(settings, platform))
    assert "postgres" not in platform.__dict__
    assert not (tmp_path / "none").exists()


def test_what_dagster_knows_of_a_table_comes_from_the_mapping(tmp_path: Path, small: Path) -> None:
    """Key, group, owners, kinds, partitions, code version, column schema, column lineage and checks."""
    settings = Settings(home=tmp_path, mappings=small)
    platform = Platform(settings)
    definitions = build_definitions(settings, platform)
    graph = definitions.resolve_asset_graph()
    target = platform.registry.get(MAPPING).by_name["game.live_game_plays"]
    node = graph.get(table_key("game.live_game_plays"))
    assert node.group_name == "game"
    assert node.owners == ["team:data-platform"]
    assert node.kinds == {"pyspark", "deltalake", "postgres"}
    assert node.code_version == target.derivation_hash
    assert node.parent_keys == {raw_key(RAW_TABLE)}
    assert node.backfill_policy == dg.BackfillPolicy.multi_run(30)
    keys = date_partitions(settings.first_partition_date).get_partition_keys()
    assert keys[0] == "2008-01-01"
    assert node.partitions_def is not None
    assert date.fromisoformat(keys[-1]) >= datetime.now(UTC).date() + timedelta(days=6)
    schema = node.metadata["dagster/column_schema"]
    columns = {c.name: c for c in schema.columns}
    assert columns["at_bat_index"].type == "INT"
    assert not columns["at_bat_index"].constraints.nullable
    assert "primary key" in columns["at_bat_index"].constraints.other
    assert "$.liveData.plays.allPlays[*].about.inning" in (columns["inning"].description or "")
    lineage = node.metadata[COLUMN_LINEAGE]
    assert lineage.deps_by_column["inning"] == [
        dg.TableColumnDep(raw_key(RAW_TABLE), "$.liveData.plays.allPlays[*].about.inning")
    ]
    checks = {k.name for k in graph.asset_check_keys if k.asset_key == table_key("game.live_game_plays")}
    assert checks == {"error_rules", "warn_rules", "parity", "relationships"}
    assert graph.get(raw_key(RAW_TABLE)).is_external  # filled by ingestion, by hand or live: no run of its own


def test_a_target_removed_from_the_yaml_takes_its_asset_and_checks_along(tmp_path: Path, small: Path) -> None:
    """And one added brings them: nothing else names a table."""
    settings = Settings(home=tmp_path, mappings=small)

    def known() -> tuple[set[str], set[str]]:
        graph = build_definitions(settings).resolve_asset_graph()
        tables = {".".join(k.path) for k in graph.materializable_asset_keys if k.path[0] not in ("ingestion", "lake")}
        return tables, {".".join(k.asset_key.path) for k in graph.asset_check_keys}

    assert known() == (set(KEPT), set(KEPT))
    write_mapping(small, KEPT[:2])
    assert known() == (set(KEPT[:2]), set(KEPT[:2]))
    write_mapping(small, (*KEPT, "game.live_game_pitch_events"))
    assert known()[0] == {*KEPT, "game.live_game_pitch_events"}


def test_a_date_through_dagster_fills_both_sinks_and_says_what_it_did(
    platform: Platform, instance: dg.DagsterInstance, games: list[SimulatedCapture], tmp_path: Path
) -> None:
    """One date by the mapping's job: rows, events with per-date counts, verdicts by date; again: all unchanged."""
    ingest(platform, games[:3], tmp_path)
    result = run_job(platform, instance, partition_key=FIRST.isoformat())
    assert result.success
    events = {e.asset_key: e.materialization for e in result.get_asset_materialization_events()}  # type: ignore[union-attr]
    assert set(events) == {table_key(t) for t in KEPT}
    for table in KEPT:
        in_postgres, in_lake = counts(platform, table)
        assert set(in_postgres) == {FIRST}
        assert in_postgres == in_lake
        made = events[table_key(table)]
        assert made.partition == FIRST.isoformat()
        rows = in_postgres[FIRST]
        assert made.metadata["dagster/partition_row_count"].value == rows > 0
        assert made.metadata["postgres/inserted"].value == made.metadata["delta/inserted"].value == rows
        assert made.metadata[COLUMN_LINEAGE].value
        assert made.tags and made.tags["dagster/code_version"]
    for check in ("error_rules", "warn_rules", "parity"):
        assert statuses(instance, "game.live_game_plays", check) == {FIRST.isoformat(): "SUCCEEDED"}
        assert [c.check_name for c in result.get_asset_check_evaluations()].count(check) == len(KEPT)
    # three tables of a feed leave most of it unmapped: a warning
    assert statuses(instance, "game.live_game_metadata", "coverage") == {FIRST.isoformat(): "FAILED"}
    again = run_job(platform, instance, partition_key=FIRST.isoformat())
    for event in again.get_asset_materialization_events():
        made = event.materialization  # type: ignore[assignment]
        assert made.metadata["postgres/unchanged"].value == made.metadata["dagster/partition_row_count"].value
        assert made.metadata["delta/inserted"].value == made.metadata["delta/updated"].value == 0


def test_a_subset_of_the_tables_can_be_run(
    platform: Platform, instance: dg.DagsterInstance, games: list[SimulatedCapture], tmp_path: Path
) -> None:
    """Only the asset selected is materialized and checked."""
    ingest(platform, games[:1], tmp_path)
    key = table_key("game.live_game_umpires")
    result = run_job(platform, instance, partition_key=FIRST.isoformat(), asset_selection=[key])
    assert [e.asset_key for e in result.get_asset_materialization_events()] == [key]


def test_a_range_says_of_each_date_what_it_did(
    platform: Platform, instance: dg.DagsterInstance, games: list[SimulatedCapture], tmp_path: Path
) -> None:
    """A run over a range: an empty date says that it is empty, and every check has a verdict for each date."""
    ingest(platform, games[:3], tmp_path)
    first, last = FIRST - timedelta(days=3), FIRST + timedelta(days=1)
    tags = {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }
    result = run_job(platform, instance, tags=tags)
    assert result.success
    plays = {
        e.partition: e.materialization.metadata  # type: ignore[union-attr]
        for e in result.get_asset_materialization_events()
        if e.asset_key == table_key("game.live_game_plays")
    }
    in_postgres, _ = counts(platform, "game.live_game_plays")
    for offset in range(5):
        day = first + timedelta(days=offset)
        assert plays[day.isoformat()]["dagster/partition_row_count"].value == in_postgres.get(day, 0)
        assert ("note" in plays[day.isoformat()]) == (day not in in_postgres)
    days = {(first + timedelta(days=i)).isoformat(): "SUCCEEDED" for i in range(5)}
    assert statuses(instance, "game.live_game_plays", "parity") == days
    assert statuses(instance, "game.live_game_umpires", "warn_rules") == days


def test_the_command_records_exactly_the_dates_it_is_given(
    platform: Platform, instance: dg.DagsterInstance, games: list[SimulatedCapture], tmp_path: Path
) -> None:
    """Two dates with a gap in one run: events and verdicts for those two only."""
    ingest(platform, games[:3], tmp_path)
    far = FIRST + timedelta(days=20)
    seen: list[str] = []
    verdicts: list[dg.AssetCheckEvaluation] = []
    report = materialize_dates(
        platform, MAPPING, dates=[far, FIRST], on_progress=lambda work: seen.append(work.mapping.name),
        on_check=verdicts.append, instance=instance,
    )  # fmt: skip
    assert report.dates == [FIRST, far]
    assert seen == [MAPPING] * 3
    kinds = [v.check_name for v in verdicts]
    assert {kind: kinds.count(kind) for kind in ("error_rules", "warn_rules", "parity", "coverage")} == {
        "error_rules": 3 * 2, "warn_rules": 3 * 2, "parity": 3 * 2, "coverage": 2,
    }  # fmt: skip
    for table in KEPT:
        assert instance.get_materialized_partitions(table_key(table)) == {FIRST.isoformat(), far.isoformat()}
    assert statuses(instance, "game.live_game_plays", "parity") == dict.fromkeys(
        (FIRST.isoformat(), far.isoformat()), "SUCCEEDED"
    )
    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert run.tags["mapping"] == MAPPING


def test_what_a_command_merged_is_as_fresh_as_what_the_ui_ran(
    platform: Platform, instance: dg.DagsterInstance, games: list[SimulatedCapture], tmp_path: Path
) -> None:
    """The UI calls neither unsynced, also when more rows of another date have come by Dagster's own ingestion."""
    ingest(platform, games[:3], tmp_path)
    far = FIRST + timedelta(days=20)
    assert run_job(platform, instance, partition_key=FIRST.isoformat()).success
    instance.report_runless_asset_event(dg.AssetMaterialization(raw_key(RAW_TABLE), partition="2024-07-05"))
    materialize_dates(platform, MAPPING, dates=[far], instance=instance)
    instance.report_runless_asset_event(dg.AssetMaterialization(raw_key(RAW_TABLE), partition="2024-07-06"))
    graph = build_definitions(platform.settings, platform).resolve_asset_graph()
    stale = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    for table in KEPT:
        for day in (FIRST, far):
            assert stale.get_status(table_key(table), day.isoformat()) is StaleStatus.FRESH, (table, day)


def test_one_game_of_a_date_is_observed_and_not_taken_for_the_date(
    platform: Platform, instance: dg.DagsterInstance, games: list[SimulatedCapture], tmp_path: Path
) -> None:
    """By entity: the date counts as materialized only when all its games were in the run."""
    ingest(platform, games[:2], tmp_path)
    first, second = (str(c.game_pk) for c in games[:2])
    report = materialize_dates(platform, MAPPING, entities=[first], instance=instance)
    assert report.dates == [FIRST]
    key = table_key("game.live_game_metadata")
    assert counts(platform, "game.live_game_metadata")[0] == {FIRST: 1}
    assert instance.get_materialized_partitions(key) == set()
    materialize_dates(platform, MAPPING, entities=[first, second], instance=instance)
    assert instance.get_materialized_partitions(key) == {FIRST.isoformat()}


def test_a_capture_held_back_fails_the_check_of_its_table_and_date(
    platform: Platform, instance: dg.DagsterInstance, games: list[SimulatedCapture], tmp_path: Path
) -> None:
    """With sample rows; the other games and tables are in place, and the release makes it pass."""
    ingest(platform, games[:2], tmp_path)
    materialize_dates(platform, MAPPING, dates=[FIRST], instance=instance)
    ingest(platform, [without_keys(games[0])], tmp_path)
    result = run_job(platform, instance, partition_key=FIRST.isoformat())
    assert result.success
    failed = [
        c for c in result.get_asset_check_evaluations() if not c.passed and c.severity is dg.AssetCheckSeverity.ERROR
    ]
    assert [(c.asset_key, c.check_name) for c in failed] == [(table_key("game.live_game_plays"), "error_rules")]
    assert str(games[0].game_pk) in (failed[0].description or "")
    samples = failed[0].metadata["samples"].records  # type: ignore[attr-defined]
    assert any('"batter_id": -5' in str(r.data["row"]) for r in samples)
    rules = {r.data["rule"]: r.data["failed"] for r in failed[0].metadata["rules"].records}  # type: ignore[attr-defined]
    assert [rule for rule, n in rules.items() if n] == ["batter_id_positive"]
    events = {e.asset_key: e.materialization.metadata for e in result.get_asset_materialization_events()}  # type: ignore[union-attr]
    assert events[table_key("game.live_game_umpires")]["held_captures"].value == 1
    (held,) = {r.raw_id for r in platform.quality.quarantined(RAW_TABLE)}
    platform.quality.release(RAW_TABLE, held, released_by="a test")
    run_job(platform, instance, partition_key=FIRST.isoformat())
    assert statuses(instance, "game.live_game_plays", "error_rules") == {FIRST.isoformat(): "SUCCEEDED"}


def test_parity_fails_the_run_where_the_two_places_differ(
    platform: Platform, instance: dg.DagsterInstance, games: list[SimulatedCapture], tmp_path: Path
) -> None:
    """A row deleted behind the platform's back: the check says which date, and the command raises one line."""
    ingest(platform, games[:1], tmp_path)
    materialize_dates(platform, MAPPING, dates=[FIRST], instance=instance)
    with platform.postgres.transaction() as connection:
        connection.execute("DELETE FROM game.live_game_plays WHERE at_bat_index = 0")
    with pytest.raises(RunFailed, match=r"game.live_game_plays of 2024-07-01 differs"):
        materialize_dates(platform, MAPPING, dates=[FIRST], instance=instance)
    result = run_job(platform, instance, partition_key=FIRST.isoformat(), raise_on_error=False)
    assert not result.success
    assert statuses(instance, "game.live_game_plays", "parity") == {FIRST.isoformat(): "FAILED"}
    assert statuses(instance, "game.live_game_umpires", "parity") == {FIRST.isoformat(): "SUCCEEDED"}


def test_what_was_merged_before_a_failure_stays_recorded(
    platform: Platform, instance: dg.DagsterInstance, games: list[SimulatedCapture], tmp_path: Path
) -> None:
    """The lake of the last table cannot be written: the tables before it are recorded, and the error is one line."""
    ingest(platform, games[:1], tmp_path)
    platform.transformation(MAPPING).prepare()
    log = Path(platform.settings.lake) / "normalized/game/live_game_umpires"
    shutil.move(log, log.with_name("aside"))
    log.write_text("a file where the table was")
    with pytest.raises(Exception, match="live_game_umpires") as raised:
        materialize_dates(platform, MAPPING, dates=[FIRST], instance=instance)
    assert "\n" not in str(raised.value)
    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.FAILURE


def test_verdicts_told_before_a_check_breaks_off_are_recorded(
    platform: Platform, instance: dg.DagsterInstance, games: list[SimulatedCapture], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Parity is judged before reconciliation is asked for its verdicts, which fail."""

    def broken(*_: object) -> Iterator[dg.AssetCheckEvaluation]:
        raise PlatformError("no box score to be had")
        yield

    ingest(platform, games[:1], tmp_path)
    monkeypatch.setattr(judging, "evaluate_reconciliation", broken)
    with pytest.raises(PlatformError, match="no box score"):
        materialize_dates(platform, MAPPING, dates=[FIRST], instance=instance)
    assert statuses(instance, "game.live_game_plays", "parity") == {FIRST.isoformat(): "SUCCEEDED"}


def test_the_sensor_requests_exactly_the_dates_with_new_rows(
    platform: Platform, instance: dg.DagsterInstance, games: list[SimulatedCapture], tmp_path: Path
) -> None:
    """New rows, then nothing, then one later capture: exactly its date."""
    ingest(platform, games[:3], tmp_path)
    first = tick_now(platform, instance, None)
    days = sorted({c.official_date.isoformat() for c in games[:3]})
    assert requested(first) == days
    assert len({r.run_key for r in first.run_requests or []}) == 2
    make_runs(instance, first)
    quiet = tick_now(platform, instance, first.cursor)
    assert requested(quiet) == []
    assert quiet.skip_reason is not None
    ingest(platform, [later_capture(games[0], "correction")], tmp_path)
    third = tick_now(platform, instance, quiet.cursor)
    assert requested(third) == [FIRST.isoformat()]
    assert (third.run_requests or [])[0].run_key not in {r.run_key for r in first.run_requests or []}


def test_the_sensor_requests_both_dates_of_a_moved_game(
    platform: Platform, instance: dg.DagsterInstance, games: list[SimulatedCapture], tmp_path: Path
) -> None:
    """The date its rows lie under, and the one they go to; running them moves the rows."""
    ingest(platform, [games[2]], tmp_path)
    start = tick_now(platform, instance, None)
    make_runs(instance, start)
    materialize_dates(platform, MAPPING, dates=[games[2].official_date], instance=instance)
    ingest(platform, [games[3]], tmp_path)
    both = sorted({games[2].official_date.isoformat(), games[3].official_date.isoformat()})
    result = tick_now(platform, instance, start.cursor)
    assert requested(result) == both
    moved = run_job(platform, instance, partition_key=both[0])
    notes = [e.materialization.metadata.get("moved") for e in moved.get_asset_materialization_events()]  # type: ignore[union-attr]
    assert all(n is not None and str(games[2].game_pk) in str(n.value) for n in notes)
    assert set(counts(platform, "game.live_game_plays")[0]) == {date.fromisoformat(both[1])}


def test_the_sensor_logs_rows_outside_the_partitions(
    platform: Platform, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    """No date, before the first partition, too far ahead: logged, never requested."""
    ahead = datetime.now(UTC).date() + timedelta(days=60)
    for n, day in enumerate((None, date(1999, 4, 1), ahead)):
        insert_row(platform, str(n + 1), day)
    with caplog.at_level(logging.WARNING, "sensor"):
        result = tick_now(platform, instance, None)
    assert requested(result) == []
    for told in ("no date", "1999-04-01", ahead.isoformat()):
        assert any(told in record.getMessage() for record in caplog.records)


def test_the_sensor_requests_a_date_again_after_a_failed_run(
    platform: Platform, instance: dg.DagsterInstance, games: list[SimulatedCapture], tmp_path: Path
) -> None:
    """With the next attempt number, three times at most; a run that succeeds ends it."""
    ingest(platform, games[:1], tmp_path)
    result = tick_now(platform, instance, None)
    for attempt in (1, 2, 3):
        (request,) = result.run_requests or []
        assert (request.run_key or "").endswith(f":{attempt}")
        run = instance.add_run(
            dg.DagsterRun(
                job_name=JOB, tags={"dagster/run_key": request.run_key or ""}, status=dg.DagsterRunStatus.STARTED
            )
        )
        waiting = tick_now(platform, instance, result.cursor)
        assert requested(waiting) == []
        instance.report_run_failed(run)
        result = tick_now(platform, instance, waiting.cursor)
    assert requested(result) == []
    ingest(platform, [later_capture(games[0], "correction")], tmp_path)
    (request,) = tick_now(platform, instance, result.cursor).run_requests or []
    assert (request.run_key or "").endswith(":1")
