"""Responses with several dates: what is found in one of them is told under its own date, and of what is stored."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pytest
from helpers import MAY_1, MAY_2, Bench, at, mapping_of
from pyspark.sql import SparkSession

from asset_checks.evaluate import evaluate
from asset_checks.names import ERROR_RULES, WARN_RULES
from mlb_platform.assets.pending import WorkNotes
from mlb_platform.cli.main import run
from mlb_platform.extraction.opening import open_work
from mlb_platform.extraction.work import TableBatch, Work
from mlb_platform.history.corrections import AfterMerge
from mlb_platform.ingestion.gate import Request, admit, gate_spec
from resources.postgres import Postgres
from resources.quality_store import CastFailure, QualityStore
from resources.raw_store import RawCapture

LISTED = """
version: "1.0"
source:
  endpoint: listed
  method: list
  raw_table: listed.list
  required: [dates]
  entities: $.dates
  entity_key: {name: day, type: DATE, json_path: $.date}
  partition: {name: day, type: DATE, json_path: $.date}
  merge_scope: {key: day}
targets:
  - name: listed.games
    description: One row a game of a day.
    primary_key: [day, game]
    array_source: "$.dates[*].games"
    fields:
      - {name: day, type: DATE, json_path: parent.date, description: Day.}
      - {name: game, type: INT, json_path: $.id, description: Game.}
      - {name: low, type: INT, json_path: $.low, description: Least score.}
      - {name: high, type: INT, json_path: $.high, description: Greatest score.}
    data_quality:
      - {rule: "low >= 0", severity: error, name: score_positive}
      - {rule: "low <= high", severity: warn, name: scores_ordered}
"""
GAMES = "listed.games"


@pytest.fixture
def bench(database: Postgres, spark: SparkSession, tmp_path: Path) -> Bench:
    """The mapping on an empty database and lake."""
    return Bench(database, tmp_path / "lake", spark, mapping_of(LISTED))


def put(bench: Bench, minute: int, days: dict[date, list[dict[str, Any]]]) -> int:
    """Store a response through the gate and return its raw id."""
    document = {"dates": [{"date": day.isoformat(), "games": games} for day, games in days.items()]}
    made = admit(orjson.dumps(document), Request("test", at(minute)), gate_spec(bench.mapping))
    assert isinstance(made, RawCapture)
    bench.stores.raw.insert(bench.raw_table, made)
    return max(r.raw_id for r in bench.stores.raw.rows(bench.raw_table))


def game(number: int, low: Any = None, high: Any = None) -> dict[str, Any]:
    """Return a game; what is None is not told."""
    told = {"id": number, "low": low, "high": high}
    return {name: value for name, value in told.items() if value is not None}


def verdicts(bench: Bench, name: str) -> list[str | None]:
    """Return what a check says of both days: None where it passes."""
    found = evaluate(bench.stores, str(bench.lake), bench.mapping, [GAMES], [MAY_1, MAY_2], [name])
    by_day: dict[str | None, dg.AssetCheckEvaluation] = {f.partition: f for f in found}
    told = [by_day[day.isoformat()] for day in (MAY_1, MAY_2)]
    return [None if f.passed else f.description for f in told]


def passed_quality(bench: Bench) -> dict[date, bool]:
    """Return what the lineage of both days' first games says."""
    rows = bench.fetch(0, GAMES).to_pylist()
    return {r["day"]: json.loads(r["lineage_metadata"])["data_quality_passed"] for r in rows if r["game"] == 1}


def test_a_rule_broken_in_two_dates_of_one_response_is_told_of_each(bench: Bench) -> None:
    """And stays told of one after a newer response about the other, which tells its own."""
    put(bench, 0, {MAY_1: [game(1, 5, 2), game(2, 1, 2)], MAY_2: [game(1, 9, 3), game(2, 9, 4), game(3, 1, 1)]})
    bench.run()
    assert verdicts(bench, WARN_RULES) == ["scores_ordered: 1 of 2", "scores_ordered: 2 of 3"]
    found = {(r.entity_key, r.checked, r.failed): r.samples for r in bench.stores.quality.check_results(GAMES)}
    assert found[str(MAY_1), 2, 1] == [{"day": str(MAY_1), "game": 1, "low": 5, "high": 2}]
    assert [s["game"] for s in found[str(MAY_2), 3, 2]] == [1, 2]
    put(bench, 5, {MAY_1: [game(2, 7, 6)]})
    bench.run()
    assert verdicts(bench, WARN_RULES) == ["scores_ordered: 2 of 2", "scores_ordered: 2 of 3"]
    put(bench, 6, {MAY_1: [game(1, 2, 5), game(2, 6, 7)]})
    bench.run()
    assert verdicts(bench, WARN_RULES) == [None, "scores_ordered: 2 of 3"]
    assert passed_quality(bench) == {MAY_1: True, MAY_2: False}


def test_a_rule_that_only_the_stored_row_breaks_is_told(bench: Bench) -> None:
    """Each response keeps it, as each tells one of the two scores; and the other way round."""
    put(bench, 0, {MAY_1: [game(1, low=5)], MAY_2: [game(1, 5, 2)]})
    put(bench, 1, {MAY_1: [game(1, high=2)], MAY_2: [game(1, high=6)]})
    bench.run()
    assert bench.mapped(GAMES) == [(MAY_1, 1, 5, 2), (MAY_2, 1, 5, 6)]
    assert verdicts(bench, WARN_RULES) == ["scores_ordered: 1 of 1", None]
    assert passed_quality(bench) == {MAY_1: False, MAY_2: True}


def test_values_that_do_not_fit_are_told_of_the_dates_they_are_in(bench: Bench) -> None:
    """Until a newer response has a value there; one about another game of the day changes nothing."""
    put(bench, 0, {MAY_1: [game(1, "many")], MAY_2: [game(1, "few"), game(2, "none")]})
    bench.run()
    both: list[str | None] = ["low is INT: 1 of 1", "low is INT: 2 of 2"]
    assert verdicts(bench, WARN_RULES) == both
    put(bench, 1, {MAY_1: [game(2, 3, 4)]})
    bench.run()
    assert verdicts(bench, WARN_RULES) == ["low is INT: 1 of 2", both[1]]
    put(bench, 2, {MAY_1: [game(1, 3, 4)]})
    bench.run()
    assert verdicts(bench, WARN_RULES) == [None, both[1]]


def notes(bench: Bench) -> WorkNotes:
    """Run once more over both days and return what is said of them."""
    with open_work(bench.stores, bench.mapping, [GAMES], [str(MAY_1), str(MAY_2)], dates=[MAY_1, MAY_2]) as work:
        return WorkNotes.of(work)


def test_a_response_held_back_is_told_of_each_of_its_dates(bench: Bench) -> None:
    """Also of one that has a newer response since: what the held one tells of it is lacking all the same."""
    held = put(bench, 0, {MAY_1: [game(1, -1, 2)], MAY_2: [game(1, 1, 2)]})
    bench.run()
    put(bench, 1, {MAY_1: [game(2, 1, 2)]})
    bench.run()
    assert bench.mapped(GAMES) == [(MAY_1, 2, 1, 2)]
    for day, said in zip((MAY_1, MAY_2), verdicts(bench, ERROR_RULES), strict=True):
        assert said is not None and said.startswith(f"held back: {day} (raw {held})")
    told = notes(bench).held
    assert {day: [(h.entity, h.raw_id) for h in told[day]] for day in told} == {
        MAY_1: [(str(MAY_1), held)],
        MAY_2: [(str(MAY_2), held)],
    }
    bench.stores.quality.release(bench.raw_table, held, released_by="someone")
    bench.run()
    assert verdicts(bench, ERROR_RULES) == [None, None]
    assert len(bench.mapped(GAMES)) == 3


def test_what_a_held_response_repeats_is_taken_from_the_older_one_in_the_same_run(bench: Bench) -> None:
    """The newer response tells the same of a day, and is held for another day: the older one's rows are there."""
    put(bench, 0, {MAY_1: [game(1, 2, 5)]})
    held = put(bench, 10, {MAY_1: [game(1, 2, 5)], MAY_2: [game(2, -1, 3)]})
    report = bench.run()
    assert {h.raw_id for h in report.held} == {held}
    assert bench.mapped(GAMES) == [(MAY_1, 1, 2, 5)]
    assert bench.run().parsed == 0


def test_a_held_response_is_shown_with_its_dates_and_merged_by_its_mapping(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """No one of its dates is named as if it were the only one, and none is called a game."""
    file = tmp_path / "mappings" / "listed" / "list.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(LISTED, "utf-8")
    for name, value in {"HOME": tmp_path, "MAPPINGS": file.parents[1], "DATABASE_URL": bench.postgres.url}.items():
        monkeypatch.setenv(f"MLB_{name}", str(value))
    held = put(bench, 0, {MAY_1: [game(1, -1, 2)], MAY_2: [game(1, 1, 2)]})
    bench.run()
    assert run(["quarantine", "list"]) == 0
    assert "2024-05-01 and 1 more" in capfd.readouterr().out
    assert run(["quarantine", "show", str(held)]) == 0
    assert f"raw row {held}: day 2024-05-01, 2024-05-02, captured" in " ".join(capfd.readouterr().out.split())
    assert run(["quarantine", "release", str(held)]) == 0
    assert capfd.readouterr().out.splitlines()[-1].strip() == "mlb materialize --mapping listed/list"


def test_an_examination_that_fails_ends_no_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it fails with: the rows are merged, the run says what was not examined."""
    after = AfterMerge(bench.stores, str(bench.lake), lambda: [bench.mapping])

    def fail(work: Work, batch: TableBatch) -> None:
        with monkeypatch.context() as patched:
            patched.setattr("mlb_platform.history.corrections.Examiner.examine", _broken)
            after(work, batch)

    bench.stores.after_merge = fail
    put(bench, 0, {MAY_1: [game(1, 1, 2)]})
    report = bench.run()
    assert bench.mapped(GAMES) == [(MAY_1, 1, 1, 2)]
    assert report.problems == [f"{GAMES}: corrections are not examined yet: out of memory"]


def _broken(*_: object) -> None:
    raise RuntimeError("out of memory")


def test_a_database_from_before_keeps_casts_by_entity_too(database: Postgres) -> None:
    """Its key, of raw row, table and column, had no room for two entities of one response."""
    QualityStore(database).ensure()
    with database.transaction() as connection:
        connection.execute("DROP INDEX quality.cast_failures_once")
        connection.execute(
            "ALTER TABLE quality.cast_failures ADD PRIMARY KEY (raw_table, raw_id, table_name, column_name)"
        )
    quality = QualityStore(database)
    first = CastFailure("listed.list", 1, str(MAY_1), MAY_1, GAMES, "low", "$.low", "many", "INT", False, 1)
    second = dataclasses.replace(first, entity_key=str(MAY_2), partition_date=MAY_2)
    quality.record_cast_failures("listed.list", [1], [first, second])
    assert {f.entity_key for f in quality.cast_failures("listed.list")} == {str(MAY_1), str(MAY_2)}
    quality.record_cast_failures("listed.list", [], [], entity_keys=[str(MAY_1)])
    assert [f.entity_key for f in quality.cast_failures("listed.list")] == [str(MAY_2)]
