"""Responses that tell parts of things: however they come and are merged, both sinks hold what they add up to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest
from folding_model import PARTS, THINGS, Answer, Thing, answers, folded
from helpers import Bench, at, fresh_database, mapping_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from mlb_platform.ingestion.gate import Request, admit, gate_spec
from resources.postgres import Postgres
from resources.raw_store import RawCapture

firsts = iter(range(1000, 10**9, 10))


@pytest.fixture(scope="module")
def bench(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One bench for all examples; every example has things of its own."""
    with fresh_database(postgres) as database:
        yield Bench(database, tmp_path_factory.mktemp("lake"), spark, mapping_of(PARTS))


def put(bench: Bench, answer: Answer, first: int) -> tuple[Any, str]:
    """Store an answer through the gate; return what its age is by: its time and the hash of its content."""
    made = admit(orjson.dumps(answer.document(first)), Request("test", at(answer.minute)), gate_spec(bench.mapping))
    assert isinstance(made, RawCapture)
    bench.stores.raw.insert(bench.raw_table, made)
    return made.captured_at, made.content_hash


def both(bench: Bench, first: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the rows of both tables of an example."""
    keys = [first + n for n in range(THINGS)]
    return bench.mapped("parts.things", keys), bench.mapped("parts.pieces", keys)


def expected(listed: Sequence[tuple[Any, Answer]], first: int) -> tuple[list[str], list[str]]:
    """Return what answers with their ages come to, as text: None and numbers have no order among each other."""
    by_age = [answer for _, answer in sorted(dict(listed).items(), key=lambda pair: pair[0])]
    things, pieces = folded(by_age, first)
    return sorted(map(repr, things)), sorted(map(repr, pieces))


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Answer], list[int]]:
    """Answers in an order of arrival, with repeats, and after which of them the tables are brought up to date."""
    some = draw(st.lists(answers, min_size=1, max_size=6))
    order = draw(st.permutations(some + draw(st.lists(st.sampled_from(some), max_size=2))))
    cuts = draw(st.lists(st.integers(1, len(order)), max_size=2, unique=True))
    return list(order), sorted({*cuts, len(order)})


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(history=histories())
def test_any_order_repetition_and_batching_adds_up_to_the_same_rows(
    bench: Bench, history: tuple[list[Answer], list[int]]
) -> None:
    """Partial, repeated, simultaneous and late answers: rows are updated and inserted, never deleted."""
    order, cuts = history
    first = next(firsts)
    arrived: list[tuple[Any, Answer]] = []
    done = 0
    for cut in cuts:
        arrived += [(put(bench, answer, first), answer) for answer in order[done:cut]]
        done = cut
        bench.run()
        found = both(bench, first)
        wanted = expected(arrived, first)
        assert tuple(sorted(map(repr, rows)) for rows in found) == wanted, order[:cut]
    again = bench.run()
    assert again.parsed == 0
    for sink in ("postgres", "delta"):
        counts = again.total(sink)
        assert (counts.inserted, counts.updated, counts.deleted) == (0, 0, 0)


def test_a_filtered_answer_updates_and_inserts_and_deletes_nothing(bench: Bench) -> None:
    """A newer answer about one of two things, with less in it: the other stays, and so does what it leaves out."""
    first = next(firsts)
    put(bench, Answer(0, (Thing(0, "a", "b", "c", ((1, 1), (2, 2))), Thing(1, "a", None, None, ()))), first)
    bench.run()
    put(bench, Answer(9, (Thing(0, None, None, None, ((2, 9),)), Thing(2, "b", None, None, ()))), first)
    report = bench.run()
    things, pieces = both(bench, first)
    assert things == [
        (first, "a", "b", "c"),
        (first + 1, "a", None, None),
        (first + 2, "b", None, None),
    ]
    assert pieces == [(first, 1, 1), (first, 2, 9)]
    counts = {t: report.tables[t].counts["postgres"] for t in ("parts.things", "parts.pieces")}
    assert (counts["parts.things"].inserted, counts["parts.things"].deleted) == (1, 0)
    assert (counts["parts.pieces"].updated, counts["parts.pieces"].deleted) == (1, 0)


def put_record(bench: Bench, minute: float, label: str, record: int, first: int) -> None:
    """Store an answer about one thing with a record that no table reads, as a feed carries a team."""
    document = {"things": [{"id": first, "label": label, "record": {"wins": record}}]}
    made = admit(orjson.dumps(document), Request("test", at(minute)), gate_spec(bench.mapping))
    assert isinstance(made, RawCapture)
    bench.stores.raw.insert(bench.raw_table, made)


def test_what_is_told_again_and_again_is_read_once(bench: Bench) -> None:
    """Fifty captures that tell the same of a thing cost one, the next nothing, and a new word two, not fifty-two."""
    first = next(firsts)
    for n in range(50):
        put_record(bench, n, "a", n, first)
    assert bench.run().parsed == 1
    put_record(bench, 50, "a", 50, first)
    assert bench.run().parsed == 0
    put_record(bench, 51, "b", 51, first)
    assert bench.run().parsed == 2
    assert bench.mapped("parts.things", [first]) == [(first, "b", None, None)]
    put_record(bench, 52, "a", 52, first)
    assert bench.run().parsed == 2
    assert bench.mapped("parts.things", [first]) == [(first, "a", None, None)]
    with bench.postgres.transaction() as connection:
        found = connection.execute("SELECT count(*) FROM quality.raw_members WHERE entity_key = %s", [str(first)])
        assert found.fetchone() == (53,)


def test_a_late_older_answer_fills_in_and_overwrites_nothing(bench: Bench) -> None:
    """What only the older one tells is new; what both tell stays the newer one's."""
    first = next(firsts)
    put(bench, Answer(9, (Thing(0, "b", None, None, ()),)), first)
    bench.run()
    put(bench, Answer(1, (Thing(0, "a", "c", "a", ((1, 1),)),)), first)
    bench.run()
    assert both(bench, first) == ([(first, "b", "c", "a")], [(first, 1, 1)])


def test_what_was_told_to_another_mapping_counts_by_its_whole_content(bench: Bench) -> None:
    """One that reads a member more reads every capture again: the record is what they differ in."""
    first = next(firsts)
    for n in range(3):
        put_record(bench, n, "a", n, first)
    bench.run()
    label = "- {name: label, type: VARCHAR(5), json_path: $.label, description: Label.}"
    wins = "- {name: wins, type: INT, json_path: $.record.wins, description: Wins.}"
    later = bench.remap(PARTS.replace(label, f"{label}\n      {wins}"))
    assert later.run(game_pks=[first]).parsed == 3
    assert later.mapped("parts.things", [first]) == [(first, "a", 2, None, None)]
