"""Folding alone: rows of captures that tell parts come to the same rows in whatever order they are given."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from folding_model import PARTS, Answer, Thing, answers, folded
from helpers import mapping_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mlb_platform.extraction.collect import RAW_ID
from mlb_platform.extraction.folding import Offer, fold

TARGET = mapping_of(PARTS).by_name["parts.things"]
SCHEMA = pa.schema(
    [
        (RAW_ID, pa.int64()), ("thing_id", pa.int32()), ("label", pa.string()), ("state", pa.string()),
        ("reason", pa.string()), ("source_captured_at", pa.timestamp("us", tz="UTC")),
    ]
)  # fmt: skip


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
        found = fold(pa.Table.from_pylist(rows, SCHEMA), TARGET, offers)
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
    found = fold(pa.Table.from_pylist(rows_of(listed), SCHEMA), TARGET, offers_of(kept))
    assert told(found) == folded([answer for _, answer in kept], 100)[0]


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
        assert told(fold(pa.Table.from_pylist(rows_of(pairs), SCHEMA), TARGET, offers_of(pairs))) == [wanted]


def thing(number: int, label: str | None, state: str | None, reason: str | None) -> Thing:
    """Return a thing without pieces."""
    return Thing(number, label, state, reason, ())
