"""The next dates are computed while the ones before are merged; what arrives in between is not missed."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event

import pytest
from helpers import MAY_1, MAY_2, SMALL, Bench, game, mapping_of
from pyspark.sql import SparkSession

from mlb_platform.extraction import work
from mlb_platform.extraction.opening import begin_ahead, open_work
from mlb_platform.extraction.transformation import BaseTransformation
from mlb_platform.extraction.work import extractor_of
from resources.delta_sink import DeltaSink
from resources.merge import FrameBatch, MergeBatch, MergeResult, MergeSpec
from resources.postgres import Postgres
from resources.postgres_sink import PostgresSink

TABLES = ["small.games", "small.plays"]


@pytest.fixture
def bench(database: Postgres, spark: SparkSession, tmp_path: Path) -> Bench:
    """A date with two games, another one with two, none merged; a job computes one game."""
    found = Bench(database, tmp_path / "lake", spark, mapping_of(SMALL))
    found.stores.games_per_job = 1
    for pk, day in ((1, MAY_1), (2, MAY_1), (3, MAY_2), (4, MAY_2)):
        found.put(game(pk, [(1, pk % 3, "first"), (2, 1, None)], day))
    found.transformation().prepare()
    return found


def jobs_of(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Return a list that fills with the captures each Spark job computes."""
    with open_work(bench.stores, bench.mapping, TABLES, []) as work:
        extractor, jobs = extractor_of(bench.stores, bench.mapping, work.specs), []
    inner = extractor._collect

    def collect(raw_ids: list[int], *arguments: object) -> object:
        jobs.append(sorted(raw_ids))
        return inner(raw_ids, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(extractor, "_collect", collect)
    return jobs


def merge_first_date(bench: Bench) -> None:
    """Merge the first date, with the second one computed meanwhile."""
    with open_work(bench.stores, bench.mapping, TABLES, ["1", "2"], dates=[MAY_1]) as work:
        begin_ahead(bench.stores, bench.mapping, TABLES, ["3", "4"])
        assert [b.spec.table for b in work.written()] == TABLES


def test_every_capture_is_computed_once_whoever_asks_first(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = jobs_of(bench, monkeypatch)
    merge_first_date(bench)
    assert bench.run(start_date=MAY_2, end_date=MAY_2).parsed == 2
    assert sorted(jobs) == [[1], [2], [3], [4]]
    assert bench.mapped("small.games") == [(pk, MAY_1 if pk < 3 else MAY_2, "Final") for pk in (1, 2, 3, 4)]
    assert len(bench.mapped("small.plays")) == 8


def test_a_run_in_several_pieces_computes_every_capture_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = jobs_of(bench, monkeypatch)
    monkeypatch.setattr(BaseTransformation, "pieces", lambda _, entities: [[e] for e in entities])
    report = bench.run()
    assert (report.parsed, sorted(jobs)) == (4, [[1], [2], [3], [4]])
    assert len(bench.mapped("small.plays")) == 8
    assert bench.run().parsed == 0 and len(jobs) == 4
    assert bench.run(full=True).parsed == 4


def test_a_capture_that_arrives_in_between_is_merged_and_an_older_one_is_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_of(bench, monkeypatch)
    merge_first_date(bench)
    newer = bench.put(game(3, [(1, 2, "corrected")], MAY_2), 5)
    bench.put(game(4, [(7, 0, "moved")], MAY_1), 5)
    assert bench.run(start_date=MAY_2, end_date=MAY_2).parsed == 2
    assert [newer] in jobs
    assert bench.mapped("small.plays", [3, 4]) == [(3, MAY_2, 1, 2, "corrected"), (4, MAY_1, 7, 0, "moved")]
    assert bench.run().parsed == 0


def test_a_capture_that_breaks_a_rule_is_held_as_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = jobs_of(bench, monkeypatch)
    broken = bench.put(game(3, [(1, -1, "never")], MAY_2), 5)
    merge_first_date(bench)
    report = bench.run(start_date=MAY_2, end_date=MAY_2)
    assert [(h.raw_id, h.rule) for h in report.held] == [(broken, "runs_positive")]
    assert [broken] in jobs and [3] in jobs, "the capture before the broken one takes its place"
    assert bench.mapped("small.plays", [3]) == [(3, MAY_2, 1, 0, "first"), (3, MAY_2, 2, 1, None)]


def test_what_another_process_merged_meanwhile_is_let_go_of(bench: Bench, spark: SparkSession) -> None:
    """What was computed for nothing does not stay in memory."""
    with open_work(bench.stores, bench.mapping, TABLES, []) as work:
        extractor = extractor_of(bench.stores, bench.mapping, work.specs)
    begin_ahead(bench.stores, bench.mapping, TABLES, ["1", "2"])
    assert extractor.is_ahead
    Bench(bench.postgres, bench.lake, spark, bench.mapping).run(start_date=MAY_1, end_date=MAY_1)
    assert bench.run(start_date=MAY_1, end_date=MAY_1).parsed == 0
    assert not extractor.is_ahead


def test_rows_come_after_those_they_refer_to(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tables may be merged at once, but plays wait for their games, however long those take."""
    events, inner = [], PostgresSink.merge

    def merge(sink: PostgresSink, spec: MergeSpec, batch: MergeBatch | FrameBatch) -> MergeResult:
        events.append(f"{spec.table} begins")
        time.sleep(0.3 if spec.table == "small.games" else 0)
        result = inner(sink, spec, batch)
        events.append(f"{spec.table} is there")
        return result

    monkeypatch.setattr(PostgresSink, "merge", merge)
    bench.run()
    assert events == [f"{table} {what}" for table in TABLES for what in ("begins", "is there")]
    assert len(bench.mapped("small.plays")) == 8


@pytest.mark.parametrize(
    ("ahead", "fit", "expected"),
    [(True, True, True), (True, False, False), (False, True, False)],
    ids=["goes on", "too many rows wait", "asked not to"],
)
def test_tables_behind_one_that_takes_long_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ahead: bool, fit: bool, expected: bool
) -> None:
    """While PostgreSQL is at work on the games, the lake goes on with the plays, if the rows that wait are not many."""
    plays_begun, merge_table, merge_lake = Event(), PostgresSink.merge, DeltaSink.merge
    seen = []

    def slowly(sink: PostgresSink, spec: MergeSpec, batch: MergeBatch | FrameBatch) -> MergeResult:
        if spec.table == "small.games":
            seen.append(plays_begun.wait(5 if expected else 0.5))
        return merge_table(sink, spec, batch)

    def noted(sink: DeltaSink, spec: MergeSpec, batch: MergeBatch | FrameBatch) -> MergeResult:
        if spec.table == "small.plays":
            plays_begun.set()
        return merge_lake(sink, spec, batch)

    monkeypatch.setattr(PostgresSink, "merge", slowly)
    monkeypatch.setattr(DeltaSink, "merge", noted)
    if not fit:
        monkeypatch.setattr(work, "AHEAD_BYTES", 0)
    with open_work(bench.stores, bench.mapping, TABLES, ["1", "2"], dates=[MAY_1]) as opened:
        assert [b.spec.table for b in opened.written(ahead=ahead)] == TABLES
    assert seen == [expected]
