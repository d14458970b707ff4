"""What a command's run does beside each other: it computes while it begins, and judges while the lake is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import dagster as dg
import pytest
from helpers import MAY_1, SMALL, Bench, game, mapping_of
from pyspark.sql import SparkSession

from asset_checks.names import CHECK_NAMES, PARITY, RELATIONSHIPS, WARN_RULES
from mlb_platform.assets import command, judging
from mlb_platform.assets.command import materialize_dates
from mlb_platform.extraction.extract import Extractor
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from resources.delta_sink import DeltaSink
from resources.errors import PlatformError
from resources.merge import FrameBatch, MergeBatch, MergeResult, MergeSpec
from resources.postgres import Postgres, lock_key
from resources.postgres_sink import PostgresSink

MAPPING = SMALL.replace(
    "    relationships:\n",
    "    relationships:\n      - {to_table: small.plays, from_field: [game_pk, runs], to_field: [game_pk, play]}\n",
)
"""Runs that are no number of a play of the game are orphans."""
Batch = MergeBatch | FrameBatch
Verdicts = Callable[[], dict[tuple[str, str], dg.AssetCheckEvaluation]]


@pytest.fixture
def bench(database: Postgres, spark: SparkSession, tmp_path: Path) -> Bench:
    """Two games of one date, whose plays name themselves."""
    found = Bench(database, tmp_path / "home" / "lake", spark, mapping_of(MAPPING))
    for pk in (1, 2):
        found.put(game(pk, [(n, n, "first") for n in (1, 2)]))
    return found


@pytest.fixture
def made(bench: Bench, spark: SparkSession, tmp_path: Path) -> Platform:
    """A platform of the small mapping over the same database and lake."""
    file = tmp_path / "mappings" / "small" / "game_v1.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(MAPPING, "utf-8")
    settings = Settings(home=tmp_path / "home", mappings=file.parents[1], database_url=bench.stores.postgres.url)
    return Platform(settings, spark_factory=lambda: spark)


@pytest.fixture
def verdicts(made: Platform) -> Iterator[Verdicts]:
    """Materialize the date; return the verdicts by table and check."""
    with dg.DagsterInstance.ephemeral() as instance:

        def run() -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
            found: list[dg.AssetCheckEvaluation] = []
            materialize_dates(
                made, "small/game_v1", dates=[MAY_1], instance=instance, on_check=found.append, aside=False
            )
            return {(v.asset_key.path[-1], v.check_name): v for v in found}

        yield run


def failed(found: dict[tuple[str, str], dg.AssetCheckEvaluation]) -> dict[tuple[str, str], str | None]:
    """Return what the verdicts say that did not pass."""
    return {key: v.description for key, v in found.items() if not v.passed}


def before_the_lake(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Have something done before each merge into the lake."""
    inner = DeltaSink.merge

    def merge(sink: DeltaSink, spec: MergeSpec, batch: Batch) -> MergeResult:
        do()
        return inner(sink, spec, batch)

    monkeypatch.setattr(DeltaSink, "merge", merge)


def test_postgres_is_judged_while_the_lake_is_written(verdicts: Verdicts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lake here waits for the relationships, which need nothing of it; everything is judged as ever."""
    looked, seen, inner = Event(), [], judging.look_up_relationships

    def look(*arguments: Any, **options: Any) -> Any:
        found = inner(*arguments, **options)
        looked.set()
        return found

    monkeypatch.setattr(judging, "look_up_relationships", look)
    before_the_lake(monkeypatch, lambda: seen.append(looked.wait(20)))
    found = verdicts()
    assert seen == [True, True]
    expected = {(t, c) for t in ("games", "plays") for c in CHECK_NAMES if (t, c) != ("games", RELATIONSHIPS)}
    assert found.keys() == expected and failed(found) == {}
    assert found["plays", RELATIONSHIPS].metadata["checked"].value == 8
    assert found["plays", PARITY].metadata["delta_rows"].value == 4


def test_what_looks_wrong_meanwhile_is_looked_at_again_when_the_run_has_let_go(
    verdicts: Verdicts,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An orphan is found while the run holds the game's lock: nobody waits for ever, and it is told."""
    bench.put(game(2, [(1, 3, "names no play")]), 1)
    before_the_lake(monkeypatch, lambda: time.sleep(0.5))
    found = verdicts()
    orphan = found.pop(("plays", RELATIONSHIPS))
    assert not orphan.passed and orphan.description == "game_pk, runs -> small.plays(game_pk, play): 1 of 3"
    assert failed(found).keys() == {("plays", WARN_RULES)}, "of the capture itself"


def test_completeness_is_asked_when_the_lake_has_everything_too(
    verdicts: Verdicts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A game is in the tables when it is in those of the lake: asked before, all games of the run would be missing."""
    merged, seen = [], []
    inner = DeltaSink.merge

    def merge(sink: DeltaSink, spec: MergeSpec, batch: Batch) -> MergeResult:
        time.sleep(0.5)
        result = inner(sink, spec, batch)
        merged.append(spec.table)
        return result

    def complete(*_: object) -> Iterator[dg.AssetCheckEvaluation]:
        seen.extend(merged)
        yield from ()

    monkeypatch.setattr(DeltaSink, "merge", merge)
    monkeypatch.setattr(judging, "evaluate_completeness", complete)
    verdicts()
    assert sorted(seen) == ["small.games", "small.plays"]


@pytest.fixture
def naming_others(bench: Bench, made: Platform, spark: SparkSession, database: Postgres, tmp_path: Path) -> Platform:
    """The same, whose plays also name games of another mapping, which has none: that is in doubt with every run."""
    folder = made.settings.mappings
    (folder / "aaa").mkdir()
    other = SMALL.replace("small", "aaa")
    (folder / "aaa" / "game_v1.yaml").write_text(other, "utf-8")
    file = folder / "small" / "game_v1.yaml"
    another = "    relationships:\n      - {to_table: aaa.games, from_field: game_pk, to_field: game_pk}\n"
    file.write_text(MAPPING.replace("    relationships:\n", another), "utf-8")
    Bench(
        database, tmp_path / "home" / "lake", spark, mapping_of(SMALL.replace("small", "aaa"))
    ).transformation().prepare()
    return made


def test_nobody_else_is_held_up_while_the_lake_is_written(
    naming_others: Platform, verdicts: Verdicts, database: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The locks of the other mapping are free until this run has let go of its own; then it is looked at again."""
    free = []

    def try_lock() -> None:
        time.sleep(0.7)  # relationships are looked at
        with database.connect(autocommit=True) as connection:
            key = lock_key("aaa/game_v1", "1")
            free.append(connection.execute("SELECT pg_try_advisory_lock_shared(%s)", [key]).fetchone() == (True,))

    before_the_lake(monkeypatch, try_lock)
    found = verdicts()
    assert free == [True, True]
    assert found["plays", RELATIONSHIPS].description == "game_pk -> aaa.games(game_pk): 4 of 4"


def test_a_run_that_fails_waits_for_nobody(
    naming_others: Platform, verdicts: Verdicts, database: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where it would look at something again when another process has let go of its locks."""

    def fail(*_: object) -> MergeResult:
        time.sleep(0.7)
        raise PlatformError("the disk is full")

    monkeypatch.setattr(DeltaSink, "merge", fail)
    over = Event()
    with ThreadPoolExecutor(1) as other:

        def hold() -> None:
            with database.scope_locks("aaa/game_v1", ["1", "2"]):
                over.wait(30)

        holding = other.submit(hold)
        started = time.monotonic()
        with pytest.raises(PlatformError, match="the disk is full"):
            verdicts()
        took = time.monotonic() - started
        assert not holding.done()
        over.set()
    assert took < 25


@pytest.mark.parametrize(("sink", "looked_at"), [(DeltaSink, True), (PostgresSink, False)])
def test_a_sink_that_fails_ends_the_run_with_its_error(
    verdicts: Verdicts,
    monkeypatch: pytest.MonkeyPatch,
    sink: type[DeltaSink] | type[PostgresSink],
    looked_at: bool,
) -> None:
    """What PostgreSQL has is not judged before all of it is there; afterwards the run can be made again."""
    asked, inner = [], judging.look_up_relationships

    def fail(*_: object) -> MergeResult:
        time.sleep(0.3)
        raise PlatformError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(sink, "merge", fail)
        patched.setattr(judging, "look_up_relationships", lambda *a, **o: asked.append(1) or inner(*a, **o))
        with pytest.raises(PlatformError, match="the disk is full"):
            verdicts()
    assert bool(asked) == looked_at
    assert failed(verdicts()) == {}


def test_captures_are_computed_while_the_run_begins_and_once(
    verdicts: Verdicts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster's run here begins when Spark has begun."""
    begun, jobs = Event(), []
    inner, begin_run = Extractor._collect, command.run_in_process

    def collect(extractor: Extractor, raw_ids: list[int], *arguments: Any) -> Any:
        begun.set()
        jobs.append(sorted(raw_ids))
        return inner(extractor, raw_ids, *arguments)

    def begin(*arguments: Any) -> None:
        assert begun.wait(20)
        begin_run(*arguments)

    monkeypatch.setattr(Extractor, "_collect", collect)
    monkeypatch.setattr(command, "run_in_process", begin)
    assert verdicts()["plays", PARITY].metadata["postgres_merged"].value == 4
    assert jobs == [[1, 2]]


def test_what_fails_while_the_run_begins_is_told_as_ever(verdicts: Verdicts, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PlatformError("no Java was found")

    monkeypatch.setattr(command, "begin_ahead", fail)
    with pytest.raises(PlatformError, match="no Java was found"):
        verdicts()
