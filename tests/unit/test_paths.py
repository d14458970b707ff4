"""Paths of the mapping language: what is written is what is read, and every mistake is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlb_platform.mapping.paths import ITEMS, MEMBERS, JsonPath, parse_path
from mlb_platform.mapping.shape import enclosing

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_\-]{0,8}", fullmatch=True)
steps = st.lists(names, max_size=4).map(tuple)


@st.composite
def paths(draw: st.DrawFn) -> JsonPath:
    """Any path without wildcards."""
    anchor = draw(st.sampled_from(["item", "document", "parent", "lookup", "key", "position"]))
    if anchor in ("key", "position"):
        return JsonPath(anchor)
    if anchor == "lookup":
        return JsonPath(anchor, draw(steps), lookup=draw(names))
    if anchor == "parent":
        rest = draw(steps.filter(lambda s: not s or s[0] != "parent"))
        return JsonPath(anchor, rest, level=draw(st.integers(1, 4)))
    return JsonPath(anchor, draw(steps))


@given(paths())
def test_a_path_written_and_parsed_is_the_same(path: JsonPath) -> None:
    """Writing and parsing are inverse for every anchor, level and name."""
    assert parse_path(str(path)) == path


@given(st.lists(names | st.sampled_from([ITEMS, MEMBERS]), max_size=6).map(tuple))
def test_wildcards_survive_where_they_are_allowed(found: tuple[str, ...]) -> None:
    """Array items and members of objects are steps of their own in sources."""
    path = JsonPath("item", found)
    assert parse_path(str(path), wildcards=True) == path


@given(st.text(max_size=12))
def test_any_other_text_is_refused_with_a_reason_that_quotes_it(text: str) -> None:
    """Nothing is read as a path by chance, and no other exception escapes."""
    try:
        path = parse_path(text)
    except ValueError as error:
        assert repr(text) in str(error)
    else:
        assert parse_path(str(path)) == path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gamePk", "must start with $"),
        ("$gamePk", "must start with $"),
        ("$.a..b", "expected a name after '.'"),
        ("$.a.", "expected a name after '.'"),
        ("$.a[*].b", "array_source and ignore_paths only"),
        ("$.a[0]", "expected '.' before '[0]'"),
        ("$.a b", "expected '.' before ' b'"),
        ("lookup.", "expected lookup.NAME.path"),
        ("parents.x", "must start with $"),
        ("", "must start with $"),
    ],
)
def test_what_is_wrong_with_a_path_is_said(text: str, reason: str) -> None:
    """The message quotes the path and names the mistake."""
    with pytest.raises(ValueError, match=r".") as caught:
        parse_path(text)
    assert reason in str(caught.value) and repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("level", "expected"),
    [(1, ("plays", ITEMS)), (2, ()), (3, ())],
)
def test_parents_climb_from_element_to_element(level: int, expected: tuple[str, ...]) -> None:
    """A parent is the enclosing element of an array, whatever objects lie between; the document is the last."""
    assert enclosing(("plays", ITEMS, "details", "events", ITEMS), level) == expected
