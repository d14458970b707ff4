"""A capture that breaks an error rule is held back whole, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import MAY_1, SMALL, Bench, game, mapping_of
from pyspark.sql import SparkSession

from resources.postgres import Postgres

GOOD = [(1, 0, "a"), (2, 1, "b")]
BAD = [(1, 0, "a"), (2, -1, "b"), (3, -2, "c")]


@pytest.fixture
def bench(database: Postgres, spark: SparkSession, tmp_path: Path) -> Bench:
    """The small mapping on an empty database and lake."""
    return Bench(database, tmp_path / "lake", spark, mapping_of(SMALL))


def rows(pk: int, plays: list[tuple[int, Any, str]]) -> list[tuple[Any, ...]]:
    """Return rows of small.plays."""
    return [(pk, MAY_1, *play) for play in plays]


def test_a_failing_capture_is_held_in_all_tables_and_the_others_of_the_date_go_on(bench: Bench) -> None:
    """Its metadata row, which breaks nothing, is held too; the quarantine tells rule, table, count and samples."""
    bad = bench.put(game(1, BAD), 0)
    bench.put(game(2, GOOD), 0)
    report = bench.run(start_date=MAY_1, end_date=MAY_1)
    assert bench.mapped("small.games") == [(2, MAY_1, "Final")]
    assert bench.mapped("small.plays") == rows(2, GOOD)
    assert [(h.raw_id, h.entity, h.table, h.rule, h.failed) for h in report.held] == [
        (bad, "1", "small.plays", "runs_positive", 2)
    ]
    (record,) = bench.stores.quality.quarantined(bench.raw_table)
    assert (record.raw_id, record.table_name, record.rule, record.failures) == (bad, "small.plays", "runs_positive", 2)
    assert (record.entity_key, record.partition_date) == ("1", MAY_1)
    assert record.samples == [{"game_pk": 1, "play": 2, "runs": -1}, {"game_pk": 1, "play": 3, "runs": -2}]
    assert bench.run().parsed == 0, "what is held is not parsed again"


def test_a_failing_newer_capture_leaves_the_good_one_in_place(bench: Bench) -> None:
    """The rows of the capture merged before stay exactly as they are, in both sinks."""
    bench.put(game(1, GOOD), 0)
    bench.run()
    before = [bench.fetch(sink, "small.plays").to_pylist() for sink in (0, 1)]
    bench.put(game(1, BAD), 5)
    report = bench.run()
    assert len(report.held) == 1
    assert [bench.fetch(sink, "small.plays").to_pylist() for sink in (0, 1)] == before
    assert bench.mapped("small.games") == [(1, MAY_1, "Final")]


def test_failing_captures_are_passed_over_for_the_next_older_good_one(bench: Bench) -> None:
    """Two failing ones on top of a good one: the good one is merged, and the state names those passed over."""
    bench.put(game(1, [(1, 0, "oldest")]), 0)
    good = bench.put(game(1, GOOD), 1)
    first_bad = bench.put(game(1, BAD), 2)
    second_bad = bench.put(game(1, [(1, 0, "a"), (1, 1, "b")]), 3)
    report = bench.run()
    assert report.parsed == 3 and len(report.held) == 2
    assert bench.mapped("small.plays") == rows(1, GOOD)
    with bench.postgres.connect() as connection:
        found = connection.execute("SELECT DISTINCT raw_id, passed_over FROM quality.merge_state").fetchall()
    assert [(raw_id, sorted(passed)) for raw_id, passed in found] == [(good, [first_bad, second_bad])]


def test_a_released_capture_is_merged(bench: Bench) -> None:
    """Accepted by hand it goes in, stays in, and is not held again by a full run."""
    bench.put(game(1, GOOD), 0)
    bad = bench.put(game(1, BAD), 1)
    bench.run()
    assert bench.stores.quality.release(bench.raw_table, bad, released_by="someone") == 1
    report = bench.run()
    assert report.held == [] and bench.mapped("small.plays") == rows(1, BAD)
    assert bench.run().parsed == 0
    assert bench.run(full=True).held == []
    assert bench.mapped("small.plays") == rows(1, BAD)
    lineage = bench.fetch(0, "small.plays").column("lineage_metadata").to_pylist()
    newest = [json.loads(text) for text in lineage if json.loads(text)["source_row_id"] == bad]
    assert newest and all(x["data_quality_passed"] is False for x in newest)


def test_a_release_never_puts_in_what_no_table_can_hold(bench: Bench) -> None:
    """Differing rows with one key stay held whatever a person says, and the other games go on."""
    twice = bench.put(game(1, [(1, 0, "a"), (1, 1, "b")]), 1)
    bench.put(game(2, GOOD), 1)
    bench.run()
    bench.stores.quality.release(bench.raw_table, twice, released_by="someone")
    bench.put(game(3, GOOD), 1)
    report = bench.run()
    assert [h.raw_id for h in report.held] == [twice]
    assert bench.mapped("small.plays") == rows(2, GOOD) + rows(3, GOOD)


def test_a_corrected_newer_capture_clears_the_check(bench: Bench) -> None:
    """The correction is merged; what is still in quarantine is the old capture, which is passed over no more."""
    bench.put(game(1, BAD), 0)
    bench.run()
    assert bench.mapped("small.plays") == []
    bench.put(game(1, GOOD), 5)
    report = bench.run()
    assert report.held == [] and bench.mapped("small.plays") == rows(1, GOOD)


def test_a_warning_is_kept_with_samples_and_holds_nothing(bench: Bench) -> None:
    """Its result is that of the capture in the tables: a correction takes it away, a held capture does not."""
    raw_id = bench.put(game(1, [(1, 5, "grand slam and one")]), 0)
    report = bench.run()
    assert report.held == [] and bench.mapped("small.plays") == rows(1, [(1, 5, "grand slam and one")])
    (result,) = bench.stores.quality.check_results()
    assert (result.table_name, result.rule, result.severity) == ("small.plays", "runs_possible", "warn")
    assert (result.checked, result.failed, result.raw_id, result.partition_date) == (1, 1, raw_id, MAY_1)
    assert result.samples == [{"game_pk": 1, "play": 1, "runs": 5}]
    bench.put(game(1, BAD), 1)
    bench.run()
    assert len(bench.stores.quality.check_results()) == 1
    bench.put(game(1, GOOD), 2)
    bench.run()
    assert bench.stores.quality.check_results() == []


def test_a_changed_rule_judges_anew_what_it_held(bench: Bench) -> None:
    """A rule that is loosened lets the held capture in, without a release."""
    bench.put(game(1, GOOD), 0)
    bench.put(game(1, BAD), 1)
    bench.run()
    loose = bench.remap(SMALL.replace('"runs >= 0", severity: error', '"runs >= 0", severity: warn'))
    report = loose.run()
    assert report.held == [] and loose.mapped("small.plays") == rows(1, BAD)
    assert loose.stores.quality.quarantined(bench.raw_table) == []


def test_failed_casts_are_kept_and_go_with_a_corrected_capture(bench: Bench) -> None:
    """Path, value, type and game; a new capture without the misfit leaves the old one's record to the old one."""
    raw_id = bench.put(game(1, [(1, "two", "a")]), 0)
    report = bench.run()
    assert report.cast_failures == 1
    (failure,) = bench.stores.quality.cast_failures(bench.raw_table, [raw_id])
    assert (failure.entity_key, failure.table_name, failure.column_name) == ("1", "small.plays", "runs")
    assert (failure.path, failure.value, failure.expected) == ("$.plays[*].runs", "two", "INT")
    assert bench.mapped("small.plays") == rows(1, [(1, None, "a")])
    newer = bench.put(game(1, [(1, 2, "a")]), 1)
    assert bench.run().cast_failures == 0
    assert bench.stores.quality.cast_failures(bench.raw_table, [newer]) == []


def test_a_payload_of_another_game_than_its_raw_row_says_is_held(bench: Bench) -> None:
    """Rows never go in under another game's key."""
    raw_id = bench.put(game(1, GOOD), 0)
    with bench.postgres.connect() as connection:
        connection.execute("UPDATE small.game_v1 SET entity_key = '7'")
    report = bench.run()
    assert [(h.raw_id, h.rule) for h in report.held] == [(raw_id, "entity_key")]
    assert bench.mapped("small.plays") == []
