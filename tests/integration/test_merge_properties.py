"""In whatever order captures come, and however they are merged, the tables hold each game's newest good one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from helpers import MAY_1, MAY_2, SMALL, Bench, fresh_database, game, mapping_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from resources.postgres import Postgres

GAMES_OF_AN_EXAMPLE = 3
Row = tuple[Any, ...]


@pytest.fixture(scope="module")
def shared(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One bench for all examples, so that plans are made once; every example has games of its own."""
    with fresh_database(postgres) as database:
        yield Bench(database, tmp_path_factory.mktemp("lake"), spark, mapping_of(SMALL))


@pytest.fixture
def bench(database: Postgres, spark: SparkSession, tmp_path: Any) -> Bench:
    """A bench of a test's own."""
    return Bench(database, tmp_path / "lake", spark, mapping_of(SMALL))


@dataclass(frozen=True)
class Capture:
    """A capture of the nth game of an example; a play is (number, runs), runs below zero break an error rule."""

    game: int
    minute: int
    plays: tuple[tuple[int, int | None], ...]
    day: date = MAY_1
    state: str = "Final"

    def document(self, first: int) -> dict[str, Any]:
        """Return its document; the example's games are numbered from `first`."""
        plays = [(n, runs, f"play {n}") for n, runs in self.plays]
        return game(first + self.game, plays, self.day, self.state)

    @property
    def good(self) -> bool:
        """Whether it breaks no error rule."""
        numbers = [n for n, _ in self.plays]
        differing = len(set(self.plays)) > len(set(numbers))
        return not differing and all(runs is None or runs >= 0 for _, runs in self.plays)


captures = st.builds(
    Capture,
    game=st.integers(0, GAMES_OF_AN_EXAMPLE - 1),
    minute=st.integers(0, 3),
    plays=st.lists(st.tuples(st.integers(1, 4), st.sampled_from([0, 1, 2, None, 2, 1, -1])), max_size=4).map(tuple),
    day=st.sampled_from([MAY_1, MAY_1, MAY_2]),
    state=st.sampled_from(["Final", "Live"]),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Capture], list[int]]:
    """Captures in an order of arrival, with repeats, and after which of them the tables are brought up to date."""
    some = draw(st.lists(captures, min_size=1, max_size=7))
    order = draw(st.permutations(some + draw(st.lists(st.sampled_from(some), max_size=2))))
    cuts = draw(st.lists(st.integers(1, len(order)), max_size=2, unique=True))
    return list(order), sorted({*cuts, len(order)})


firsts = iter(range(1000, 10**9, 10))


def expected_tables(bench: Bench, first: int, found: list[Capture]) -> tuple[list[Row], list[Row]]:
    """Model in plain Python: by game, the greatest (time, content hash) among the good captures."""
    games: list[Row] = []
    plays: set[Row] = set()
    for number in range(GAMES_OF_AN_EXAMPLE):
        mine = {
            c.document(first)["id"]: [c for c in found if c.game == number and c.good]
            for c in found
            if c.game == number
        }
        good = next(iter(mine.values()), [])
        if not good:
            continue
        rows = bench.stores.raw.rows(bench.raw_table, entity_keys=[str(first + number)])
        by_raw = {bench.put(c.document(first), c.minute): c for c in good}
        newest = max((r for r in rows if r.raw_id in by_raw), key=lambda r: (r.observed_at, r.content_hash))
        capture = by_raw[newest.raw_id]
        games.append((first + number, capture.day, capture.state))
        plays |= {(first + number, capture.day, n, runs, f"play {n}") for n, runs in capture.plays}
    return sorted(games, key=repr), sorted(plays, key=repr)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(history=histories())
def test_any_order_repetition_and_batching_gives_the_newest_good_captures(
    shared: Bench, history: tuple[list[Capture], list[int]]
) -> None:
    """Equal, corrected, shrunk, moved, failing and simultaneous captures: both sinks hold what the model holds."""
    order, cuts = history
    first = next(firsts)
    keys = [first + i for i in range(GAMES_OF_AN_EXAMPLE)]
    done = 0
    for cut in cuts:
        for capture in order[done:cut]:
            shared.put(capture.document(first), capture.minute)
        done = cut
        shared.run(game_pks=sorted({first + c.game for c in order[:cut]}))
        games, plays = expected_tables(shared, first, order[:cut])
        assert shared.mapped("small.games", keys) == games, order[:cut]
        assert shared.mapped("small.plays", keys) == plays, order[:cut]
    again = shared.run(game_pks=sorted({first + c.game for c in order}))
    assert again.parsed == 0
    for sink in ("postgres", "delta"):
        counts = again.total(sink)
        assert (counts.inserted, counts.updated, counts.deleted) == (0, 0, 0)
        assert counts.unchanged == len(games) + len(plays)


def test_a_moved_game_leaves_its_old_date(bench: Bench) -> None:
    """Materializing the old date alone takes the rows to the new one and says so; the others of the date stay."""
    bench.put(game(1, [(1, 1, "a")]), 0)
    bench.put(game(2, [(1, 2, "b")]), 0)
    bench.run()
    bench.put(game(1, [(1, 1, "a")], MAY_2), 5)
    report = bench.run(start_date=MAY_1, end_date=MAY_1)
    assert report.moved == [("1", MAY_1, MAY_2)]
    assert bench.mapped("small.plays") == [(1, MAY_2, 1, 1, "a"), (2, MAY_1, 1, 2, "b")]
    assert bench.mapped("small.games") == [(1, MAY_2, "Final"), (2, MAY_1, "Final")]
    assert bench.run().parsed == 0


def test_a_late_older_capture_changes_nothing_and_is_not_parsed(bench: Bench) -> None:
    """The newest was merged before: the older one is never even read."""
    bench.put(game(1, [(1, 1, "new")]), 10)
    bench.run()
    bench.put(game(1, [(1, 0, "old"), (2, 0, "gone")]), 5)
    assert bench.run().parsed == 0
    assert bench.mapped("small.plays") == [(1, MAY_1, 1, 1, "new")]


def test_full_derives_everything_anew_and_leaves_equal_rows_untouched(bench: Bench) -> None:
    """Every game is parsed again; no row is written, so technical columns still name the capture that changed it."""
    bench.put(game(1, [(1, 1, "a")]), 0)
    bench.put(game(1, [(1, 1, "a"), (2, 0, "b")]), 1)
    first = bench.run()
    assert (first.parsed, first.entities) == (1, 1)
    before = bench.fetch(0, "small.plays").to_pylist()
    report = bench.run(full=True)
    assert report.parsed == 1
    assert report.total("postgres").unchanged == report.total("delta").unchanged == 3
    assert bench.fetch(0, "small.plays").to_pylist() == before


def test_an_added_column_derives_its_table_anew_and_no_other(bench: Bench) -> None:
    """The new column is there in both sinks, filled for what was merged before; the other table's state stays."""
    bench.put(game(1, [(1, 1, "a")]) | {"extra": 1}, 0)
    bench.run()
    added = bench.remap(
        SMALL.replace(
            "json_path: $.note, description: What happened.}",
            "json_path: $.note, description: What happened.}\n"
            "      - {name: loud, type: TEXT, expression: upper(note), description: In capitals.}",
        )
    )
    report = added.run()
    assert report.parsed == 1
    assert added.mapped("small.plays") == [(1, MAY_1, 1, 1, "a", "A")]
    assert report.tables["small.plays"].counts["postgres"].updated == 1
    assert report.tables["small.games"].counts["delta"].unchanged == 1
    assert added.run().parsed == 0


def test_a_removed_column_is_refused_by_name_and_nothing_is_lost(bench: Bench) -> None:
    """What would lose data needs a decision; the message names table and column."""
    bench.put(game(1, [(1, 1, "a")]), 0)
    bench.run()
    removed = bench.remap(
        SMALL.replace("      - {name: note, type: TEXT, json_path: $.note, description: What happened.}\n", "")
    )
    with pytest.raises(Exception, match=r"small\.plays.*note|note.*small\.plays") as caught:
        removed.run()
    assert type(caught.value).__name__ == "SchemaChangeRefused"
    assert bench.mapped("small.plays") == [(1, MAY_1, 1, 1, "a")]


def test_two_writers_at_once_lose_nothing(bench: Bench, spark: SparkSession) -> None:
    """Two writers of overlapping games, each with stores of its own, while captures arrive: the newest win."""
    other = Bench(bench.postgres, bench.lake, spark, bench.mapping)
    for pk in range(1, 7):
        bench.put(game(pk, [(n, 0, "first") for n in range(1, 4)]), 0)
    errors: list[BaseException] = []

    def write(one: Bench, minutes: list[int], keys: list[int]) -> None:
        try:
            for minute in minutes:
                for pk in keys:
                    one.put(game(pk, [(n, 1, f"at {minute}") for n in range(1, 3)]), minute)
                one.run(game_pks=keys)
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            errors.append(error)

    threads = [
        threading.Thread(target=write, args=(bench, [1, 4], [1, 2, 3, 4])),
        threading.Thread(target=write, args=(other, [3, 2], [3, 4, 5, 6])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    newest = {1: 4, 2: 4, 3: 4, 4: 4, 5: 3, 6: 3}
    assert bench.mapped("small.plays") == sorted(
        ((pk, MAY_1, n, 1, f"at {minute}") for pk, minute in newest.items() for n in (1, 2)), key=repr
    )
    assert bench.run().parsed == 0
