"""Which capture is in force when: by asking at every time, and by a plain model of the rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlb_platform.history.finality import matches
from mlb_platform.history.in_force import newest_first, spans, successive
from mlb_platform.mapping.filters import filter_paths, parse_filter
from mlb_platform.mapping.models import SourceConfig
from resources.delta_changes import version_groups
from resources.raw_store import RawRow

START = datetime(2024, 5, 1, tzinfo=UTC)


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


@st.composite
def captures(draw: st.DrawFn) -> list[RawRow]:
    """Captures of one entity, some taken at one time, some seen again later, some of equal content."""
    found = []
    for raw_id in range(1, draw(st.integers(1, 6)) + 1):
        taken = draw(st.integers(0, 5))
        seen = taken + draw(st.sampled_from([0, 0, 0, 1, 3]))
        found.append(RawRow(raw_id, "1", None, at(taken), at(seen), draw(st.sampled_from("abc"))))
    return draw(st.permutations(found))


def model(rows: list[RawRow], when: datetime) -> RawRow | None:
    """The last one seen until then, taken or seen again; at one time the greatest hash, then the row stored first."""
    seen = [(time, r) for r in rows for time in (r.captured_at, r.observed_at) if time <= when]
    last = max((time for time, _ in seen), default=None)
    at_last = [r for time, r in seen if time == last]
    greatest = max((r.content_hash for r in at_last), default=None)
    return min((r for r in at_last if r.content_hash == greatest), key=lambda r: r.raw_id, default=None)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(rows=captures())
def test_spans_and_newest_first_are_what_the_rule_says_at_every_time(rows: list[RawRow]) -> None:
    """Half-minutes included: spans have no gap and no overlap, and change exactly when the newest capture does."""
    found = spans(rows)
    assert [s.end for s in found[:-1]] == [s.start for s in found[1:]] and found[-1].end is None
    for half in range(-1, 18):
        when = at(half / 2)
        inside = [s.capture for s in found if s.start <= when and (s.end is None or when < s.end)]
        expected = model(rows, when)
        assert inside == ([] if expected is None else [expected])
        assert newest_first(rows, when)[:1] == inside
        cut = [replace(r, observed_at=r.observed_at if r.observed_at <= when else r.captured_at) for r in rows]
        alone = [r.raw_id for r in newest_first([r for r in cut if r.captured_at <= when], at(99))]
        assert [r.raw_id for r in newest_first(rows, when)] == alone, "as if nothing later had been stored"


def test_a_late_capture_holds_until_the_older_one_was_seen_again() -> None:
    """It has no time of its own only where the older one is known to have been seen after it."""
    older = RawRow(1, "1", None, at(1), at(10), "a")
    late = RawRow(2, "1", None, at(5), at(5), "b")
    assert [(s.capture, s.start, s.end) for s in spans([older, late])] == [
        (older, at(1), at(5)),
        (late, at(5), at(10)),
        (older, at(10), None),
    ]
    assert [newest_first([older, late], at(t))[0] for t in (1, 4, 5, 6, 9, 10, 11)] == [
        older, older, late, late, late, older, older,
    ]  # fmt: skip
    assert successive([older, late]) == [older], "no correction by what an older capture outlasts"


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(wanted=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=7))
def test_version_groups_are_within_every_range_and_as_few_as_possible(wanted: list[tuple[int, int]]) -> None:
    """As few: no smaller set of versions has one in every range, found by trying all."""
    from itertools import combinations

    ranges = {str(n): (first, first + length) for n, (first, length) in enumerate(wanted)}
    groups = version_groups(ranges)
    assert sorted(k for keys in groups.values() for k in keys) == sorted(ranges)
    assert all(ranges[k][0] <= version <= ranges[k][1] for version, keys in groups.items() for k in keys)
    for chosen in combinations(range(14), len(groups) - 1) if groups else ():
        assert not all(any(a <= v <= b for v in chosen) for a, b in ranges.values())


@pytest.mark.parametrize(
    ("condition", "document", "expected"),
    [
        ("$.s.state == 'Final'", {"$.s.state": "Final"}, True),
        ("$.s.state == 'Final'", {}, False),
        ("$.s.state != 'Final'", {}, False),
        ("not $.s.state == 'Final'", {}, True),
        ("$.s.state == 'Final' and not $.code in ['D', 'C']", {"$.s.state": "Final", "$.code": "D"}, False),
        ("$.s.state == 'Final' and not $.code in ['D', 'C']", {"$.s.state": "Final", "$.code": "F"}, True),
        ("$.s.state == 'Final' and not $.code in ['D', 'C']", {"$.s.state": "Final"}, True),
        ("$.done == true or $.n >= 9", {"$.done": 1, "$.n": 8}, False),
        ("$.done == true or $.n >= 9", {"$.done": True, "$.n": 8}, True),
        ("$.done == true or $.n >= 9", {"$.n": 9}, True),
        ("$.n >= 9", {"$.n": "10"}, False),
        ("$.end exists", {"$.end": 0}, True),
        ("$.end exists", {}, False),
    ],
)
def test_what_a_document_says_of_its_end(condition: str, document: dict[str, object], expected: bool) -> None:
    """A missing path is false, types are not mixed."""
    node = parse_filter(condition)
    values = {path: document[str(path)] for path in filter_paths(node) if str(path) in document}
    assert matches(node, values) is expected


def test_final_when_reads_the_document_and_nothing_else() -> None:
    """A path that has no document to start from is a mistake in the mapping."""
    given = {"endpoint": "a", "method": "b", "raw_table": "a.b"}
    assert SourceConfig(**given, final_when="$.state == 'Final'").final_when
    with pytest.raises(ValueError, match=r"parent\.state must start with \$"):
        SourceConfig(**given, final_when="parent.state == 'Final'")
