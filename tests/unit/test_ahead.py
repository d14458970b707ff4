"""What is computed ahead is given to the one who asks for exactly that, once; nothing else changes what is computed."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlb_platform.extraction.ahead import Ahead

PIECES = [{1: "a", 2: "b"}, {3: "c"}, {4: "d", 5: "e"}]


def test_pieces_are_computed_in_their_order_and_each_is_given_once() -> None:
    seen: list[list[int]] = []

    def compute(piece: Mapping[int, str]) -> str:
        seen.append(sorted(piece))
        return "".join(piece.values())

    ahead = Ahead(compute)
    ahead.begin(PIECES)
    assert [ahead.take(piece) for piece in reversed(PIECES)] == ["de", "c", "ab"]
    assert seen == [[1, 2], [3], [4, 5]] and not ahead.waiting
    assert ahead.take(PIECES[0]) is None


def test_what_was_begun_and_is_not_wanted_any_more_is_dropped_and_what_is_wanted_is_not_computed_twice() -> None:
    seen: list[list[int]] = []
    ahead = Ahead(lambda piece: seen.append(sorted(piece)))
    ahead.begin(PIECES[:2])
    ahead.begin([PIECES[1], PIECES[2]])
    assert ahead.take(PIECES[0]) is None and ahead.waiting
    ahead.take(PIECES[2])
    assert seen.count([3]) == 1 and seen.count([4, 5]) == 1
    ahead.begin([])
    assert not ahead.waiting


def test_a_piece_that_fails_is_left_to_the_one_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    def compute(piece: Mapping[int, str]) -> int:
        if 3 in piece:
            raise OSError("no such place")
        return len(piece)

    ahead = Ahead(compute)
    ahead.begin(PIECES)
    with caplog.at_level("INFO"):
        assert [ahead.take(piece) for piece in PIECES] == [2, None, 2]
    assert "no such place" in caplog.text


def test_a_piece_that_was_dropped_before_it_began_is_never_computed() -> None:
    go, seen = threading.Event(), []

    def compute(piece: Mapping[int, str]) -> None:
        go.wait(10)
        seen.append(sorted(piece))

    ahead = Ahead(compute)
    ahead.begin(PIECES)
    ahead.begin(PIECES[:1])
    go.set()
    ahead.take(PIECES[0])
    ahead.begin([{9: "last"}])
    ahead.take({9: "last"})
    assert seen == [[1, 2], [9]]


@given(
    begun=st.lists(st.sets(st.integers(1, 6), min_size=1).map(frozenset), max_size=5),
    asked=st.lists(st.sets(st.integers(1, 6), min_size=1).map(frozenset), max_size=5),
)
def test_whatever_is_begun_and_asked_for_only_what_was_begun_is_given(
    begun: list[frozenset[int]], asked: list[frozenset[int]]
) -> None:
    ahead = Ahead(lambda piece: frozenset(piece))
    ahead.begin([dict.fromkeys(piece, "") for piece in begun])
    left = set(begun)
    for piece in asked:
        assert ahead.take(dict.fromkeys(piece, "")) == (piece if piece in left else None)
        left.discard(piece)
