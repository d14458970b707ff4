"""Corrections, history and time travel of a simulated game, against what PostgreSQL held after each capture."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from helpers import Bench, fresh_database
from pyspark.sql import SparkSession

from mlb_platform.history.corrections import AfterMerge
from mlb_platform.history.states import States
from mlb_platform.history.validity import table_history, tables_as_of
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.settings import PROJECT_ROOT
from mlb_platform.simulator import SimulatedCapture, later_capture, live_capture, simulate_games
from mlb_platform.simulator.captures import make_capture
from mlb_platform.simulator.feed import capture_time
from resources.postgres import Postgres
from resources.raw_store import RawCapture

CHAIN = 900
"""The game that has all captures; every other has a pair of them."""
PLAYS = 24
"""Of the game only its first plays are told: enough to differ in."""
KINDS = ("live", "final", "corrected", "vanished", "moved")
PAIRS = list(itertools.combinations(range(len(KINDS)), 2))
Row = dict[str, Any]
Rows = dict[tuple[Any, ...], Row]
"""Mapped columns by key, without the game."""
Changed = tuple[str, int, str, str | None, str, str, str]
"""Table, game, key, column, kind of change, old and new value."""


def made_captures() -> list[SimulatedCapture]:
    whole = next(simulate_games(1, date(2024, 7, 12), 7)).game
    final = make_capture(replace(whole, plays=whole.plays[:PLAYS]), "Final", capture_time(whole))
    corrected = later_capture(final, "correction")
    vanished = later_capture(corrected, "vanished")
    return [live_capture(final, PLAYS // 2, 2), final, corrected, vanished, later_capture(vanished, "moved")]


def game_of(pair: tuple[int, int]) -> int:
    return 100 + PAIRS.index(pair)


@dataclass
class Story:
    """One game told by pairs of its captures, and by all of them in another; merged in two runs."""

    bench: Bench
    captures: list[SimulatedCapture]
    held: dict[int, dict[int, dict[str, Rows]]] = field(default_factory=dict)
    """What PostgreSQL held after each run: run, game, table."""
    reported: int = 0
    """Corrections that the second run reported."""

    @property
    def mapping(self) -> ResolvedMapping:
        return self.bench.mapping

    @property
    def lake(self) -> str:
        return str(self.bench.lake)

    def put(self, pk: int, number: int) -> None:
        capture = self.captures[number]
        payload = capture.payload | {"gamePk": pk}
        body = orjson.dumps(payload)
        self.bench.stores.raw.insert(
            self.bench.raw_table,
            RawCapture(
                str(pk), "game", "live_game_v1", {}, None, 200, capture.captured_at, capture.official_date,
                f"{pk}-{number}", body,
            ),
        )  # fmt: skip

    def snapshot(self, run: int) -> None:
        """Keep what PostgreSQL holds now."""
        games: dict[int, dict[str, Rows]] = {}
        for t in self.mapping.targets:
            found = self.bench.fetch(0, t.name)
            for pk in set(found["game_pk"].to_pylist()):
                games.setdefault(pk, {})[t.name] = keyed(self.mapping, t.name, found, pk)
        self.held[run] = games

    def truth(self, number: int) -> dict[str, Rows]:
        """What a capture says, as PostgreSQL held it after a run in which it was the newest."""
        if number > 0:
            return self.held[2][game_of((0, number))]
        return self.held[1][game_of((0, 1))]


def keyed(mapping: ResolvedMapping, table: str, rows: pa.Table, pk: int) -> Rows:
    target = mapping.by_name[table]
    names = [c.name for c in target.columns if not c.technical and c.name != "game_pk"]
    key = [k for k in target.key if k != "game_pk"]
    json_columns = {c.name for c in target.columns if str(c.type) == "JSONB"}
    found = {}
    for row in rows.to_pylist():
        if row["game_pk"] == pk:
            values = {n: json.loads(row[n]) if n in json_columns and row[n] else row[n] for n in names}
            found[tuple(row[k] for k in key)] = values
    return found


@pytest.fixture(scope="module")
def captures() -> list[SimulatedCapture]:
    return made_captures()


@pytest.fixture(scope="module")
def mapping() -> ResolvedMapping:
    return MappingRegistry(PROJECT_ROOT / "mapping_configs").get("game/live_game_v1")


def new_story(
    database: Postgres, spark: SparkSession, lake: Path, mapping: ResolvedMapping, captures: list[SimulatedCapture]
) -> Story:
    bench = Bench(database, lake, spark, mapping)
    bench.stores.after_merge = AfterMerge(bench.stores, str(lake), lambda: [mapping])
    return Story(bench, captures)


@pytest.fixture(scope="module")
def story(
    postgres: Postgres,
    spark: SparkSession,
    tmp_path_factory: pytest.TempPathFactory,
    mapping: ResolvedMapping,
    captures: list[SimulatedCapture],
) -> Iterator[Story]:
    """The older capture of every pair merged, then the newer one; of the chain, the first and then all others."""
    with fresh_database(postgres) as database:
        made = new_story(database, spark, tmp_path_factory.mktemp("lake"), mapping, captures)
        for pair in PAIRS:
            made.put(game_of(pair), pair[0])
        made.put(CHAIN, 1)
        made.bench.run()
        made.snapshot(1)
        for pair in PAIRS:
            made.put(game_of(pair), pair[1])
        for number in range(len(KINDS)):
            made.put(CHAIN, number)
        report = made.bench.run()
        made.snapshot(2)
        made.reported = sum(sum(t.corrections.values()) for t in report.tables.values())
        yield made


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S") + (f".{value:%f}" if value.microsecond else "") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value


def text(value: Any) -> str:
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return json.dumps(value, sort_keys=True)


def differences(mapping: ResolvedMapping, game: int, old: dict[str, Rows], new: dict[str, Rows]) -> set[Changed]:
    """What two states of a game's tables differ in, by a plain comparison of their rows."""
    found: set[Changed] = set()
    for target in mapping.targets:
        before, after = old.get(target.name, {}), new.get(target.name, {})
        names = [k for k in target.key if k != "game_pk"]
        for key in before.keys() | after.keys():
            kind = "insert" if key not in before else "delete" if key not in after else "update"
            a, b = before.get(key, {}), after.get(key, {})
            told = text({"game_pk": game} | {k: plain(v) for k, v in zip(names, key, strict=True)})
            for column in (a.keys() | b.keys()) - set(names):
                if a.get(column) != b.get(column):
                    values = text(plain(a.get(column))), text(plain(b.get(column)))
                    found.add((target.name, game, told, column, kind, *values))
    return found


def kept(bench: Bench) -> list[Changed]:
    """The rows of quality.corrections."""
    with bench.postgres.transaction() as connection:
        rows = connection.execute(
            "SELECT table_name, entity_key::int, key, column_name, change, old, new FROM quality.corrections"
        ).fetchall()
    return [(t, g, text(key), c, kind, text(old), text(new)) for t, g, key, c, kind, old, new in rows]


def test_corrections_are_exactly_what_final_captures_differ_in(story: Story) -> None:
    """For every pair of captures, and for those in between that were never merged; nothing of a game under way."""
    expected: set[Changed] = set()
    for i, j in PAIRS:
        game = game_of((i, j))
        if i > 0:
            expected |= differences(story.mapping, game, story.held[1][game], story.held[2][game])
    for i in range(1, len(KINDS) - 1):
        expected |= differences(story.mapping, CHAIN, story.truth(i), story.truth(i + 1))
    found = kept(story.bench)
    assert len(found) == len(set(found))
    assert set(found) == expected
    kinds = {c[4] for c in expected}
    assert {"update", "delete"} <= kinds, "a changed row and a vanished one are among them"
    assert story.reported == len(expected)


def test_as_of_is_what_was_held_before_the_newer_capture(story: Story) -> None:
    """For every pair, all tables: nothing before the first, from each capture on what it says; merged or never."""
    states = States(story.bench.stores, story.lake, story.mapping)
    tables = [t.name for t in story.mapping.targets]
    times = [story.captures[0].captured_at - timedelta(microseconds=1), *(c.captured_at for c in story.captures)]
    for newest, at in enumerate(times, -1):
        found, known = tables_as_of(states, tables, at)
        assert newest < 0 or known.by_version, "the newest captures of the pairs are in table versions"
        for pair in PAIRS:
            taken = [n for n in pair if n <= newest]
            held = story.held[1 if len(taken) == 1 else 2][game_of(pair)] if taken else {}
            check(story, found, game_of(pair), held, at)
        check(story, found, CHAIN, story.truth(newest) if newest >= 0 else {}, at)


def check(story: Story, found: dict[str, pa.Table], game: int, held: dict[str, Rows], at: datetime) -> None:
    for table, rows in found.items():
        assert keyed(story.mapping, table, rows, game) == held.get(table, {}), (table, game, at)


def test_history_has_every_version_of_every_row(story: Story) -> None:
    """Of the game with all captures: rows that stay, change, vanish or come back, from and to the right captures."""
    states = States(story.bench.stores, story.lake, story.mapping)
    raw = {
        r.captured_at: r.raw_id for r in story.bench.stores.raw.rows(story.bench.raw_table, entity_keys=[str(CHAIN)])
    }
    starts = [c.captured_at for c in story.captures]
    ended = 0
    for target in story.mapping.targets:
        expected: dict[tuple[Any, ...], Any] = {}
        held = [story.truth(n).get(target.name, {}) for n in range(len(KINDS))]
        for key in {k for rows in held for k in rows}:
            for n, rows in enumerate(held):
                if key not in rows or (n > 0 and held[n - 1].get(key) == rows[key]):
                    continue
                until = next((m for m in range(n + 1, len(held)) if held[m].get(key) != rows[key]), None)
                end = None if until is None else starts[until]
                ids = raw[starts[n]], None if end is None else raw[end]
                expected[(key, starts[n])] = (rows[key], end, *ids)
        found = table_history(states, target.name, [str(CHAIN)])
        names = [c.name for c in target.columns if not c.technical]
        assert found.column_names == [*names, "valid_from", "valid_to", "raw_id", "ended_by_raw_id"]
        told = {}
        for row in found.to_pylist():
            rest = [row.pop(n) for n in ("valid_from", "valid_to", "raw_id", "ended_by_raw_id")]
            one = pa.Table.from_pylist([row], schema=found.select(names).schema)
            ((key, values),) = keyed(story.mapping, target.name, one, CHAIN).items()
            told[(key, rest[0])] = (values, *rest[1:])
        assert told == expected, target.name
        ended += sum(end is not None for _, end, *_ in expected.values())
    assert ended > 100
