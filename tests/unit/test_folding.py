"""Folding alone: rows of captures that tell parts come to the same rows in whatever order they are given."""

from __future__ import annotations

import random as randomness
from datetime import timedelta
from typing import Any

import pyarrow as pa
from folding_model import PARTS, Answer, Thing, answers, folded
from helpers import START, mapping_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from mlb_platform.extraction.collect import RAW_ID
from mlb_platform.extraction.folding import Offer, fold
from mlb_platform.extraction.plan import EntityPlan, plan_entities
from resources.raw_store import RawRow

TARGET = mapping_of(PARTS).by_name["parts.things"]
SCHEMA = pa.schema(
    [
        (RAW_ID, pa.int64()), ("thing_id", pa.int32()), ("label", pa.string()), ("state", pa.string()),
        ("reason", pa.string()), ("source_captured_at", pa.timestamp("us", tz="UTC")),
    ]
)  # fmt: skip


def no_spark() -> SparkSession:
    """Nothing is computed from other columns here."""
    raise AssertionError("Spark is not needed")


def rows_of(listed: list[tuple[int, Answer]]) -> list[dict[str, Any]]:
    """Return the extracted rows of answers by raw id."""
    return [
        {
            RAW_ID: raw_id, "thing_id": 100 + t.number, "label": t.label, "state": t.state, "reason": t.reason,
            "source_captured_at": answer.minute * 60_000_000,
        }
        for raw_id, answer in listed
        for t in answer.things
    ]  # fmt: skip


def offers_of(listed: list[tuple[int, Answer]]) -> list[Offer]:
    """Offer every thing of every answer; the place in the list is the age."""
    return [Offer(i, str(100 + t.number), n) for n, (i, answer) in enumerate(listed) for t in answer.things]


def told(table: pa.Table) -> list[tuple[Any, ...]]:
    """Return the mapped columns in order."""
    return sorted((r["thing_id"], r["label"], r["state"], r["reason"]) for r in table.to_pylist())


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(st.lists(answers, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(by_age: list[Answer], random: Any) -> None:
    """The rows are those that later words over earlier ones, one at a time, come to; twice given counts once."""
    listed = list(enumerate(by_age))
    rows, offers = rows_of(listed), offers_of(listed)
    for _ in range(2):
        random.shuffle(rows)
        random.shuffle(offers)
        found = fold(pa.Table.from_pylist(rows, SCHEMA), TARGET, offers, no_spark)
        assert found.schema == SCHEMA
        assert told(found) == folded(by_age, 100)[0]
        newest = {t.number + 100: i for i, answer in listed for t in answer.things}
        assert {r["thing_id"]: r[RAW_ID] for r in found.to_pylist()} == newest
        rows += rows[: len(rows) // 2 + 1]


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(st.lists(answers, min_size=2, max_size=5), st.integers(0, 4))
def test_what_is_not_offered_does_not_count(by_age: list[Answer], left_out: int) -> None:
    """A capture that was held back has no say, though its rows are there."""
    listed = list(enumerate(by_age))
    kept = [pair for pair in listed if pair[0] != left_out]
    found = fold(pa.Table.from_pylist(rows_of(listed), SCHEMA), TARGET, offers_of(kept), no_spark)
    assert told(found) == folded([answer for _, answer in kept], 100)[0]


def plans_of(by_age: list[Answer], held: set[int]) -> dict[str, EntityPlan]:
    """Plan answers; two that tell the same of a thing say so, however much else they tell."""
    rows = [
        RawRow(i, str(100 + t.number), None, when, when, f"{i:03d}", repr(t))
        for i, answer in enumerate(by_age)
        for when in [START + timedelta(minutes=i)]
        for t in answer.things
    ]
    randomness.Random(len(rows)).shuffle(rows)
    return plan_entities(rows, held, mapping_of(PARTS))


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(answers, min_size=1, max_size=4).flatmap(lambda some: st.lists(st.sampled_from(some), max_size=8)))
def test_of_captures_that_tell_the_same_the_newest_tells_it_all(by_age: list[Answer]) -> None:
    """The rows, and the capture each is dated by, are those of all captures, though each content is read once."""
    plans = plans_of(by_age, set())
    offers = [Offer(r.raw_id, p.entity, r.raw_id) for p in plans.values() for r in p.offered]
    found = fold(pa.Table.from_pylist(rows_of(list(enumerate(by_age))), SCHEMA), TARGET, offers, no_spark)
    assert told(found) == folded(by_age, 100)[0]
    newest = {t.number + 100: i for i, answer in enumerate(by_age) for t in answer.things}
    assert {r["thing_id"]: r[RAW_ID] for r in found.to_pylist()} == newest
    for p in plans.values():
        contents = {t for answer in by_age for t in answer.things if str(100 + t.number) == p.entity}
        assert len(p.offered) == len(contents)


def test_what_is_known_already_changes_the_content_only_where_it_comes_first_again() -> None:
    """A again after A is nothing new; A, B, A is another content than A, B, and B, A than A, B."""
    a, b = (Answer(0, (thing(0, text, None, None),)) for text in "ab")

    def content(*listed: Answer) -> str:
        return plans_of(list(listed), set())["100"].content_hash

    assert content(a) == content(a, a) == content(a, a, a)
    assert content(a, b) == content(a, a, b) == content(a, b, b) == content(b, a, b)
    assert len({content(a), content(b), content(a, b), content(a, b, a)}) == 4


def test_one_that_told_the_same_stands_in_for_a_held_one() -> None:
    """A capture found held is left out, and the older one that it stood for is offered: as if it had never come."""
    a, b = (Answer(0, (thing(0, text, None, None),)) for text in "ab")
    plan = plans_of([a, b, a], set())["100"]
    assert [r.raw_id for r in plan.offered] == [2, 1]
    plan.pass_over({2})
    again = plans_of([a, b, a], {2})["100"]
    for found in (plan, again):
        assert [r.raw_id for r in found.offered] == [1, 0] and [r.raw_id for r in found.passed_over] == [2]
    assert plan.content_hash == again.content_hash == plans_of([a, b], set())["100"].content_hash


def test_a_smaller_answer_clears_only_what_its_words_clear() -> None:
    """A reason goes with the next state; a label stays until another is told."""
    full = Answer(0, (thing(0, "a", "b", "c"),))
    thin = Answer(1, (thing(0, None, None, None),))
    over = Answer(2, (thing(0, None, "a", None),))
    for listed, wanted in (
        ([full, thin], (100, "a", "b", "c")),
        ([full, thin, over], (100, "a", "a", None)),
        ([over, full], (100, "a", "b", "c")),
    ):
        pairs = list(enumerate(listed))
        assert told(fold(pa.Table.from_pylist(rows_of(pairs), SCHEMA), TARGET, offers_of(pairs), no_spark)) == [wanted]


def thing(number: int, label: str | None, state: str | None, reason: str | None) -> Thing:
    """Return a thing without pieces."""
    return Thing(number, label, state, reason, ())
