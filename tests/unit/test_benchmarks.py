"""What the benchmarks stand on: the peer's tables are the mapping's, and its rounding is that of decimals."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from benchmarks import dagster_run, growth, run
from benchmarks.cold import import_seconds
from benchmarks.compare import _equal_in_postgres, compare
from benchmarks.figures import DAGSTER, DUCKDB, HAND, OURS, UNCHECKED, Workload
from benchmarks.gate import judge_twice, limits_of
from benchmarks.markdown import BEGIN, END, put_into, section
from benchmarks.peers.duckdb_sql import documents_sql, rows_sql
from benchmarks.peers.handwritten_rows import _decimals
from benchmarks.peers.handwritten_tables import TABLES, TECHNICAL
from benchmarks.raw import GAMES_A_DATE, _correct
from benchmarks.side_by_side import told_differences
from benchmarks.targets import TARGETS, judged, ratio
from benchmarks.workloads.season import at_least
from benchmarks.workloads.sizes import Size
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.mapping.shape import document_tree
from mlb_platform.settings import PROJECT_ROOT
from resources.postgres import Postgres
from resources.sql_types import arrow_type


def test_peer_has_the_tables_of_the_mapping() -> None:
    """The same columns with the same types, keys and indexes: otherwise the comparison of figures means nothing."""
    mapping = MappingRegistry(PROJECT_ROOT / "mapping_configs").get("game/live_game_v1")
    assert len(TABLES) == 17
    for table in TABLES:
        spec = merge_spec(mapping.by_name[f"game.{table.name}"])
        assert {c.name: arrow_type(c.sql_type) for c in spec.columns} == {f.name: f.type for f in table.schema}
        assert list(spec.key) == table.key_columns
        assert {c.name for c in spec.columns if c.technical} == set(TECHNICAL)
        assert [", ".join(index.columns) for index in spec.indexes] == list(table.indexes)


@pytest.mark.parametrize("scale", [2, 3])
def test_decimals_are_rounded_half_up_by_their_digits(scale: int) -> None:
    """Floats that stand for texts such as 1.005 are rounded as the text would be; nulls stay nulls."""
    random_numbers = random.Random(7)
    texts = [f"{random_numbers.uniform(-300, 3000):.{random_numbers.randint(0, 15)}f}" for _ in range(5_000)]
    texts += ["1.005", "2.675", "-2.675", "0.0005", "-0.0049", "0", "1.0045", "2205"]
    kind = pa.decimal128(9, scale)
    found = _decimals(pa.array([*map(float, texts), None], pa.float64()), kind).to_pylist()
    step = Decimal(1).scaleb(-scale)
    assert found == [*(Decimal(text).quantize(step, ROUND_HALF_UP) for text in texts), None]


def test_a_season_of_the_usual_jobs_takes_at_least_what_its_parts_tell() -> None:
    """Two parts: the line through both, wherever it ends; one: its own seconds, whatever the season is."""
    assert at_least({30: 160.0, 150: 550.0}, 2_430) == (550.0 + 2_280 * 3.25, "30 and 150 games")
    assert at_least({150: 550.0, 30: 160.0}, 150)[0] == 550.0
    assert at_least({30: 160.0}, 150) == (160.0, "30 games, the others not counted")


def _workload(name: str, seconds: dict[str, dict[str, float]], **facts: float | str) -> Workload:
    found = Workload(name, 15, 8_000, 0.5, facts=dict(facts), compared=1)
    for contender, phases in seconds.items():
        found.add(contender, phases)
    return found


@pytest.fixture
def found() -> dict[str, Any]:
    """The workloads of a small run, as JSON."""
    three = {HAND: 1.0, OURS: 1.2, DAGSTER: 1.3}
    also = {DUCKDB: {"end to end": 5.0}, UNCHECKED: {"end to end": 12.5}}
    season = _workload("season", {c: {"end to end": 10 * s} for c, s in three.items()} | also)
    season.facts |= {"per_table_spark, scaled": 130.0, "per_table_spark, scaled from": "15 and 45 games"}
    workloads = {
        "season": season,
        "date": _workload("date", {
            **{c: {"end to end": s, "re-captured": 2 * s} for c, s in three.items()}, UNCHECKED: {"end to end": 1.1},
        }),
        "unchanged": _workload("unchanged", {c: {"end to end": s, "unchanged": s / 20} for c, s in three.items()}),
        "corrected": _workload("corrected", {c: {"end to end": s, "corrected": s / 2} for c, s in three.items()}),
        "cold": _workload("cold", {"command": {"end to end": 14.0}, "steps": {"imports": 2.0, "JVM": 7.0}}),
        "live": _workload("live", {}, p50=1.0, p95=2.5, max=3.0),
        "growth": _workload("growth", {}, **_growth()),
        "lake": _workload("lake", {}, days=20.0, **_lake()),
        "dagster": _workload("dagster", {}, **{
            "slowest tick": 0.6, "slowest tick, game/x": 0.6, "raw rows": 100.0, "definitions load": 2.0,
        }),
    }  # fmt: skip
    return {name: workload.to_json() for name, workload in workloads.items()}


def _growth() -> dict[str, float]:
    sizes = {"fewest": (500.0, 0.06), "most": (10_000.0, 0.066)}
    facts = {f"games, {n}": games for n, (games, _) in sizes.items()}
    facts |= {f"seconds a game, {n}": seconds for n, (_, seconds) in sizes.items()}
    peaks = {"driver": (100.0, 100.0), "jvm": (1_000.0, 1_450.0), "workers": (400.0, 400.0)}
    return facts | {
        f"peak MB of {kind}, {n}": mb for kind, of in peaks.items() for n, mb in zip(sizes, of, strict=True)
    }


def _lake() -> dict[str, float]:
    states = {"before compaction": 0.4, "after compaction": 0.2}
    facts = {f"slowest query by {e}, warm, {state}": s for e in ("duckdb", "spark") for state, s in states.items()}
    return facts | {f"files a table, {state}": 20 * s for state, s in states.items()}


def test_medians_are_taken_of_the_samples() -> None:
    workload = Workload("date")
    for seconds in (3.0, 1.0, 2.0):
        workload.add(HAND, {"end to end": seconds})
    assert workload.median(HAND, "end to end") == 2.0
    assert workload.median(HAND, "unchanged") is None
    assert workload.to_json()["median"] == {HAND: {"end to end": 2.0}}


@pytest.mark.parametrize(
    ("key", "value", "passed"),
    [
        ("season", 1.3, False), ("per_table", 10.0, True), ("date", 1.3, True), ("recaptured_bare", 1.2, True),
        ("cold", 12.7, True), ("unchanged", 0.05, True), ("corrected", 0.5, False), ("checks", 0.5 / 13, True),
        ("live", 2.5, False), ("growth", 1.1, True), ("memory", 1.3, False), ("sensor", 0.6, True),
        ("definitions", 2.0, True), ("duckdb_query", 0.2, True), ("spark_query", 0.2, True),
    ],
)  # fmt: skip
def test_targets_are_ratios_of_one_run(found: dict[str, Any], key: str, value: float, passed: bool) -> None:
    (result,) = [r for r in judged(found) if r.key == key]
    assert (result.value, result.passed) == (pytest.approx(value), passed)


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    assert {r.passed for r in judged({})} == {None}
    assert ratio(1.0, 0.0) is None


def test_keys_of_targets_are_distinct_and_every_limit_has_one() -> None:
    keys = [target.key for target in TARGETS]
    assert len(set(keys)) == len(keys)
    assert set(limits_of()) == {"date", "date_bare", "unchanged", "unchanged_bare", "recorded_again"} <= set(keys)


def test_gate_passes_within_the_limits_and_fails_beyond(found: dict[str, Any]) -> None:
    limits = {"date": 1.5, "unchanged": 0.1}
    assert judge_twice(lambda: found, limits)[1] == []
    slow = copy.deepcopy(found)
    slow["date"]["median"][DAGSTER]["end to end"] = 2.0
    assert judge_twice(lambda: slow, limits)[1] == ["date: 2.00, the limit is 1.5"]
    turns = iter([slow, found])
    assert judge_twice(lambda: next(turns), limits)[1] == [], "a busy moment is no regression"
    assert judge_twice(dict, limits)[1] == ["date: not measured", "unchanged: not measured"]
    differing = found | {"date": {**found["date"], "same_content": False}}
    turns = iter([differing, found])
    assert judge_twice(lambda: next(turns), limits)[1] == ["date: tables differ"], "no busy moment makes them differ"
    unseen = found | {"date": Workload("date").to_json() | {"median": found["date"]["median"]}}
    assert judge_twice(lambda: unseen, limits)[1] == ["date: tables were not compared"]


def test_gate_knows_no_limit_without_a_target(found: dict[str, Any]) -> None:
    with pytest.raises(KeyError):
        judge_twice(lambda: found, {"speed": 1.0})


def test_parts_of_a_run_are_put_together_and_judged_as_one(found: dict[str, Any]) -> None:
    """Of a workload measured twice the later counts; a target that needs two workloads finds them in two parts."""
    from benchmarks.charts import together

    parts = [{"size": "full", "at": "2026-11-28T10:00", "workloads": {name: found[name]}} for name in found]
    other = _workload("date", {c: {"end to end": 100.0} for c in (HAND, OURS, DAGSTER)})
    whole = together([{"size": "full", "at": "2026-11-27T10:00", "workloads": {"date": other}}, *parts])
    assert (whole["at"], together(parts)["at"]) == ("2026-11-27 to 2026-11-28", "2026-11-28")
    assert whole["workloads"] == found
    assert whole["targets"] == [r.to_json() for r in judged(found)]
    with pytest.raises(ValueError, match="of one size"):
        together([{"size": "bench", "at": "2026-11-28T10:00", "workloads": found}, *parts])


def test_charts_are_the_same_bytes_for_the_same_figures(found: dict[str, Any], tmp_path: Path) -> None:
    """Every workload has one, and nothing in it tells when or by what it was drawn."""
    from benchmarks.charts import CHARTS, draw

    files = [draw({"workloads": found}, tmp_path / name) for name in ("first", "second")]
    assert [file.stem for file in files[0]] == list(CHARTS)
    assert {t.workload for t in TARGETS} == set(CHARTS)
    for first, second in zip(*files, strict=True):
        assert first.read_bytes() == second.read_bytes()
        assert b"dc:date" not in first.read_bytes()
    assert [f.stem for f in draw({"workloads": {"live": found["live"]}}, tmp_path)] == ["live"]


def test_charts_tell_of_what_was_measured(found: dict[str, Any], tmp_path: Path) -> None:
    """What a contender has not done is no bar of 0 seconds, and the time of a part is not told as a season's."""
    from benchmarks.charts import draw

    found["unchanged"]["median"][DAGSTER]["recorded again"] = 0.7
    found["season"]["facts"]["per_table_spark, scaled from"] = at_least({30: 160.0}, 150)[1]
    draw({"workloads": found}, tmp_path)
    assert ">0.70<" in (tmp_path / "unchanged.svg").read_text()
    assert ">0.00<" not in (tmp_path / "unchanged.svg").read_text()
    assert "scaled" not in (tmp_path / "season.svg").read_text()


def test_a_row_that_is_there_twice_makes_up_for_none_that_is_missing(database: Postgres) -> None:
    """A peer's table in PostgreSQL may have no key: as many rows, each like one of ours, are not the same rows."""
    mapping = MappingRegistry(PROJECT_ROOT / "mapping_configs").get("game/live_game_v1")
    spec = merge_spec(mapping.by_name["game.live_game_umpires"])
    columns = [*spec.key, "official_name"]
    made = f"AS SELECT * FROM (VALUES (1, 0, 'a'), (1, 1, NULL)) AS v ({', '.join(columns)})"
    with database.transaction() as connection:
        connection.execute("CREATE SCHEMA game; CREATE SCHEMA peer")
        for schema in ("game", "peer"):
            connection.execute(f"CREATE TABLE {schema}.live_game_umpires {made}".encode())
        assert _equal_in_postgres(connection, spec, "peer.live_game_umpires", columns)
        connection.execute("UPDATE peer.live_game_umpires SET official_index = 0, official_name = 'a'")
        assert not _equal_in_postgres(connection, spec, "peer.live_game_umpires", columns)


def test_comparison_tells_of_every_difference_and_of_nothing_compared() -> None:
    """A value, a row that is missing, one that is there twice; and tables that nobody has filled."""
    mapping = MappingRegistry(PROJECT_ROOT / "mapping_configs").get("game/live_game_v1")
    spec = merge_spec(mapping.by_name["game.live_game_umpires"])
    keys = {"game_pk": [1, 1, 2], "official_index": [0, 1, 0]}
    rows = pa.table({**keys, "official_name": ["a", None, "b"]})
    assert list(compare(spec, {"ours": rows, "peer": rows.take([2, 0, 1])})) == []
    value = pa.table({**keys, "official_name": ["a", None, "c"]})
    for other, lines in ((value, 2), (rows.slice(1), 2), (pa.concat_tables([rows, rows.slice(2)]), 2)):
        assert len(list(compare(spec, {"ours": rows, "peer": other}))) == lines
    empty = rows.slice(3)
    assert list(compare(spec, {"ours": empty, "peer": empty})) == ["game.live_game_umpires: no rows to compare"]


def test_a_run_has_compared_tables_only_where_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 1 where a comparison was left out, and the figures do not tell that contents are the same."""
    done, left_out = Workload("lake", compared=1), Workload("date")
    assert (done.to_json()["same_content"], left_out.to_json()["same_content"]) == (True, None)
    assert told_differences([done]) == 0
    assert "same content: lake" in capsys.readouterr().out
    assert told_differences([done, left_out]) == 1
    assert told_differences([Workload("date", compared=1, different=["a row"])]) == 1


@pytest.mark.parametrize(
    "arguments",
    ["--only seson", "--only date --games 15", "--games 0", "--games 15 --repeat 0", "--per-table 15",
     "--games 15 --duckdb 30"],
)  # fmt: skip
def test_options_that_would_measure_something_else_are_refused(arguments: str) -> None:
    with pytest.raises(SystemExit) as refused:
        run.main(arguments.split())
    assert refused.value.code == 2


def test_a_part_of_a_run_takes_nobodys_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by its name, nor where it ends before all of it is measured."""
    assert run.results_of(()).name == "latest.json"
    assert run.results_of(["date", "live", "date"]).name == "latest-live-date.json"
    out = tmp_path / "latest.json"
    out.write_text("before")

    def stopped(_: Size) -> Workload:
        raise KeyboardInterrupt

    alone = {"live": lambda _: _workload("live", {}, p95=1.0), "growth": stopped}
    monkeypatch.setattr(run, "ALONE", alone)
    with pytest.raises(KeyboardInterrupt):
        run.bench("tiny", ["live", "growth"], out)
    assert out.read_text() == "before"
    assert "live" in json.loads((tmp_path / "latest.part.json").read_bytes())["workloads"]
    assert run.bench("tiny", ["live"], out) == 0
    assert list(json.loads(out.read_bytes())["workloads"]) == ["live"]
    assert [file.name for file in tmp_path.iterdir()] == ["latest.json"]


def test_all_workloads_measure_every_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has left nothing is told, and the exit code is 1; some workloads measure some of the targets."""
    monkeypatch.setattr(run, "TOGETHER", {})
    monkeypatch.setattr(run, "ALONE", {"live": lambda _: _workload("live", {}, p95=1.0)})
    assert run.bench("tiny", ["live"], tmp_path / "part.json") == 0
    assert run.bench("tiny", (), tmp_path / "all.json") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_benchmark_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    """Its home is removed, also by a process of its own that takes a second for that."""
    inner = (
        "import time; from benchmarks.home import temporary_home\n"
        "with temporary_home() as home:\n try:\n  time.sleep(60)\n finally: time.sleep(1)"
    )
    outer = f"import sys; from benchmarks.processes import ended; ended([sys.executable, '-c', {inner!r}])"
    process = subprocess.Popen(
        [sys.executable, "-c", outer], start_new_session=True, env={**os.environ, "TMPDIR": str(tmp_path)},
        cwd=PROJECT_ROOT, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while not list(tmp_path.glob("mlb-bench-*/jars")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, number)
    assert process.wait(30) != 0
    assert list(tmp_path.iterdir()) == []


def test_growth_counts_the_games_that_are_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whole dates are brought up: 60 games where 50 are asked for, at the same time a game as 200."""

    class Tables:
        def __init__(self, *_: object) -> None:
            self.there = self.ingested = 0

        def ingest(self, games: int) -> None:
            self.ingested = games

        def games(self) -> int:
            return self.there

        def reset(self) -> None: ...

        prepare = close = reset

    clock = {"now": 0.0}

    def materialize(ours: Tables, first: date, last: date) -> None:
        ours.there = min(((last - first).days + 1) * GAMES_A_DATE, ours.ingested)
        clock["now"] += 0.1 * ours.there

    monkeypatch.setattr(growth, "Ours", Tables)
    monkeypatch.setattr(growth, "temporary_home", lambda: contextlib.nullcontext(tmp_path))
    monkeypatch.setattr(growth, "peak", lambda: contextlib.nullcontext({"jvm": 1.0}))
    monkeypatch.setattr(dagster_run, "materialize", materialize)
    monkeypatch.setattr(time, "perf_counter", lambda: clock["now"])
    found = growth.measure([50, 200])
    assert (found["games, fewest"], found["games, most"]) == (60.0, 200.0)
    assert found["seconds a game, fewest"] == pytest.approx(0.1) == found["seconds a game, most"]


def test_figures_take_the_place_between_the_marks(found: dict[str, Any]) -> None:
    machine = {"cores": 2, "memory_gib": 23.5, "python": "3.11.7", "versions": {"duckdb": "2.0.0"}}
    targets = [r.to_json() for r in judged(found)]
    text = section(
        {"at": "2026-11-26T10:00:00", "size": "full", "machine": machine, "targets": targets, "workloads": found},
        ["season", "live"],
    )
    assert "| season | through Dagster / handwritten | 1.30 | at most 1 | missed |" in text
    assert "![live](images/performance/live.svg)" in text
    page = put_into(f"before\n{BEGIN}\nold\n{END}\nafter\n", text)
    assert page.startswith("before\n") and page.endswith("\nafter\n") and "\nold\n" not in page
    assert put_into(page, text) == page
    with pytest.raises(ValueError, match="figures: begin"):
        put_into("no marks", text)


def test_import_times_are_summed_by_package() -> None:
    told = "\n".join([
        "import time: self [us] | cumulative | imported package", "import time:      1000 |       1000 |   dagster.a",
        "import time:      2000 |       9000 | dagster", "import time:       500 |        500 | orjson",
    ])  # fmt: skip
    assert import_seconds(told) == pytest.approx({"dagster": 0.003, "orjson": 0.0005, "others": 0.0})


def test_a_recapture_changes_every_tenth_play() -> None:
    """The description tells when; corrected again, it tells the later time only."""
    play = {"result": {"description": "Single"}, "playEvents": [{"pitchData": {"startSpeed": 90.1}}, {}]}
    for minute in (1, 2):
        _correct(play, datetime(2024, 7, 1, 20, minute, tzinfo=UTC))
    assert play["result"] == {"description": "Single (corrected at 01 20:02)"}
    assert play["playEvents"] == [{"pitchData": {"startSpeed": 90.3}}, {}]


def test_duckdb_has_the_rows_of_the_mapping() -> None:
    """A look-up, a default, a filter, a position and the last element that matches, by the SQL made for DuckDB."""
    mapping = MappingRegistry(PROJECT_ROOT / "mapping_configs").get("game/live_game_v1")
    document = {
        "gamePk": 7, "gameData": {"datetime": {"officialDate": "2024-07-01"}},
        "liveData": {"plays": {"scoringPlays": [1], "allPlays": [
            {"playEvents": [{"isPitch": False}]},
            {"about": {"atBatIndex": 1, "inning": 3}, "playEvents": [{"isPitch": True, "playId": "p"}, {"isPitch": 0}]},
        ]}},
    }  # fmt: skip
    with duckdb.connect() as engine:
        engine.execute(
            "CREATE TABLE raw AS SELECT 1 AS raw_id, now() AS captured_at, ? AS data", [json.dumps(document)]
        )
        engine.execute(documents_sql(mapping, document_tree(mapping), "raw"))

        def rows(table: str, columns: str) -> list[tuple[Any, ...]]:
            query = rows_sql(mapping.by_name[f"game.{table}"], "'{}'", "now()")
            return engine.sql(f"SELECT {columns} FROM ({query}) ORDER BY ALL").fetchall()

        columns = "game_pk, game_date::text, at_bat_index, inning, rbi"
        assert rows("live_game_scoring_plays", columns) == [(7, "2024-07-01", 1, 3, 0)]
        assert rows("live_game_plays", "at_bat_index, play_id") == [(1, "p"), (None, None)]
        assert rows("live_game_pitch_events", "play_id") == [("p",)]
