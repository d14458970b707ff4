"""Captures of several games in any order, repeated and batched anyhow, end in the same rows in every sink."""

from __future__ import annotations

import dataclasses
import os
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.merge import MergeCounts, Sink
from resources.postgres import Postgres

from .conftest import FROM_FRAMES, LIGHT_KINDS, make_case
from .harness import MAY_1, MAY_2, Capture, batch, business, expected, new_spec

PLAYS = st.dictionaries(
    st.integers(0, 3), st.tuples(st.one_of(st.none(), st.integers(0, 2)), st.sampled_from(["", "a", None])), max_size=4
)


def capture_of(game: int, minute: int, plays: dict[int, tuple[int | None, str | None]], day: date) -> Capture:
    return Capture(game, minute, plays, day)


CAPTURES = st.lists(
    st.builds(
        capture_of,
        game=st.integers(1, 3),
        minute=st.integers(0, 4),
        plays=PLAYS,
        day=st.sampled_from([MAY_1, MAY_2]),
    ),
    min_size=1,
    max_size=8,
)


@st.composite
def histories(draw: st.DrawFn) -> list[list[Capture]]:
    """Batches of captures in any order: all, some twice, some with the same content later; a game once in a batch."""
    captures = draw(CAPTURES)
    later = st.tuples(st.sampled_from(captures), st.integers(1, 3))
    captures += [dataclasses.replace(c, minute=c.minute + n) for c, n in draw(st.lists(later, max_size=4))]
    order = draw(st.permutations(captures + draw(st.lists(st.sampled_from(captures), max_size=4))))
    batches: list[list[Capture]] = [[]]
    for capture in order:
        if draw(st.booleans()) or any(capture.game == other.game for other in batches[-1]):
            batches.append([])
        batches[-1].append(capture)
    return [part for part in batches if part]


@pytest.fixture
def sinks(request: pytest.FixtureRequest, database: Postgres, lake: str) -> list[Sink]:
    """The sinks without Spark; on a cluster those that take frames."""
    cluster = request.config.getoption("spark_master") is not None
    return [make_case(kind, request, database, lake).make() for kind in (FROM_FRAMES if cluster else LIGHT_KINDS)]


@settings(
    max_examples=int(os.environ.get("MLB_HISTORIES", "20")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(history=histories())
def test_any_history_ends_as_the_newest_captures_say(sinks: list[Sink], history: list[list[Capture]]) -> None:
    spec = new_spec()
    counts: list[list[MergeCounts]] = []
    for sink in sinks:
        sink.prepare(spec)
        told, held = [], 0
        for part in history:
            result = sink.merge(spec, batch(spec, *part))
            told.append(result.counts)
            assert sum(result.by_partition.values(), MergeCounts()) == result.counts
            assert result.counts.unchanged >= 0
            held += result.counts.inserted - result.counts.deleted
        counts.append(told)
        captures = [capture for part in history for capture in part]
        rows = sink.fetch(spec)
        assert business(spec, rows) == expected(spec, captures)
        assert rows.num_rows == held == sum(state.rows for state in sink.states([spec])[spec.table].values())
    assert counts[0] == counts[1]
