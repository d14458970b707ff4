"""Compaction in Dagster and by command, over tables that the platform's own sink has merged into a lake."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from mlb_platform.assets.compaction import COMPACTION, JOB, SCHEDULE
from mlb_platform.cli.main import run
from mlb_platform.compaction import compact_tables
from mlb_platform.dagster_home import open_instance
from mlb_platform.definitions import build_definitions
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from resources.delta_sink import DeltaSink
from resources.lake import LakeError, open_table
from resources.lake_place import table_uri
from resources.merge import MergeSpec
from resources.postgres import Postgres
from tests.sinks.harness import Capture, batch, new_spec

MERGES = 12


@pytest.fixture
def platform(database: Postgres, tmp_path: Path) -> Platform:
    return Platform(Settings(home=tmp_path / "home", database_url=database.url))


@pytest.fixture
def specs(platform: Platform) -> list[MergeSpec]:
    """Two tables of twelve merges each."""
    sink, made = DeltaSink(platform.settings.lake, platform.postgres), [new_spec(), new_spec()]
    for spec in made:
        sink.prepare(spec)
        for game in range(MERGES):
            sink.merge(spec, batch(spec, Capture(game, 0, {0: (1, "a"), 1: (2, "b")})))
    return made


def files(platform: Platform, spec: MergeSpec) -> int:
    table = open_table(platform.settings.lake, spec.table)
    assert table is not None
    return len(table.file_uris())


def test_the_asset_tells_what_it_did_of_each_table(platform: Platform, specs: list[MergeSpec]) -> None:
    job = build_definitions(platform.settings, platform).resolve_job_def(JOB)
    with dg.DagsterInstance.ephemeral() as instance:
        one = {"ops": {"lake__compaction": {"config": {"tables": [specs[0].table]}}}}
        assert job.execute_in_process(instance=instance, run_config=one).success
        assert [files(platform, spec) for spec in specs] == [1, MERGES]
        assert job.execute_in_process(instance=instance).success
        assert [files(platform, spec) for spec in specs] == [1, 1]
        event = instance.get_latest_materialization_event(COMPACTION)
        assert event is not None and event.asset_materialization is not None
        told = event.asset_materialization.metadata
        rows = {r.data["table"]: r.data for r in told["tables"].value.records}  # type: ignore[union-attr]
        assert {name: row["did"] for name, row in rows.items()} == {
            specs[0].table: "nothing to do",
            specs[1].table: "compacted",
        }
        second = rows[specs[1].table]
        assert (second["files before"], second["files after"], second["rows a file"]) == (MERGES, 1, 2 * MERGES)
        assert second["versions kept"] == MERGES + 2 and second["MB"] > 0 and second["seconds"] > 0
        assert (told["files_before"].value, told["files_after"].value, told["gave_way"].value) == (MERGES + 1, 2, 0)
        unknown = {"ops": {"lake__compaction": {"config": {"tables": ["game.none"]}}}}
        with pytest.raises(dg.Failure, match="no table game.none in the lake"):
            job.execute_in_process(instance=instance, run_config=unknown)


def test_the_schedule_is_off_and_asks_for_one_run_at_a_time(platform: Platform) -> None:
    definitions = build_definitions(platform.settings, platform)
    schedule = definitions.resolve_schedule_def(SCHEDULE)
    assert schedule.job_name == JOB and schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    repository, job = definitions.get_repository_def(), definitions.resolve_job_def(JOB)
    at = datetime(2024, 7, 2, 8, 30, tzinfo=UTC)
    with (
        open_instance(platform.settings, platform.postgres) as instance,
        dg.build_schedule_context(instance, scheduled_execution_time=at, repository_def=repository) as context,
    ):
        asked = schedule.evaluate_tick(context).run_requests
        assert asked is not None and [r.run_key for r in asked] == [f"{SCHEDULE} {at.isoformat()}"]
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert not schedule.evaluate_tick(context).run_requests


def test_a_table_that_cannot_be_read_keeps_no_other_from_it(platform: Platform, specs: list[MergeSpec]) -> None:
    lake, told = platform.settings.lake, {}
    broken = Path(table_uri(lake, specs[0].table)) / "_delta_log" / f"{MERGES:020}.json"
    broken.write_text("no json")
    found = compact_tables(lake, [s.table for s in specs], {}, 365, lambda name, done: told.update({name: done}))
    assert list(found.failed) == [specs[0].table] and isinstance(told[specs[0].table], LakeError)
    assert files(platform, specs[1]) == 1 and found.troubles[0].startswith(specs[0].table)


def test_commands_show_files_and_compact(
    platform: Platform, specs: list[MergeSpec], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLB_HOME", str(platform.settings.home))

    def mlb(*arguments: str) -> tuple[int, str, str]:
        code = run(["lake", *arguments])
        return (code, *capfd.readouterr())

    code, out, _ = mlb("files")
    assert code == 0 and all(spec.table in out for spec in specs) and f"2 tables, {2 * MERGES} files" in out
    code, out, _ = mlb("compact", "--table", specs[0].table)
    assert code == 0 and "1 of 1 tables compacted in" in out and f"{MERGES} files before, 1 after" in out
    code, out, _ = mlb("compact", "--json")
    assert code == 0 and sorted(row["did"] for row in json.loads(out)) == ["compacted", "nothing to do"]
    code, out, _ = mlb("files", "--json", "--table", specs[1].table)
    found = json.loads(out)
    assert code == 0 and [(f["files"], f["rows"], f["versions"]) for f in found] == [(1, 2 * MERGES, MERGES + 2)]
    for command in ("files", "compact"):
        code, out, err = mlb(command, "--table", specs[1].table[:-1])
        assert code == 1 and not out and specs[1].table in err and len(err.splitlines()) == 1
