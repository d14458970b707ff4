"""Filters of the mapping language: what is written is what is read, and every mistake is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlb_platform.mapping.filters import Comparison, Filter, Logical, Scalar, filter_paths, parse_filter
from mlb_platform.mapping.paths import parse_path

paths = st.sampled_from(["$", "$.a", "$.a.b-c", "parent.x", "parent.parent.x", "$document.y.z", "lookup.p.q", "$key"])
texts = st.text(st.characters(blacklist_categories=("Cs",)), max_size=6)
numbers = st.integers(-999, 999) | st.decimals(-99, 99, places=2, allow_nan=False).map(float)
scalars = texts | numbers | st.booleans()


def written(value: Scalar) -> str:
    """Write a literal."""
    if isinstance(value, bool):
        return str(value).lower()
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def write(node: Filter, spaced: bool = True) -> str:
    """Write a filter with the least parentheses that keep its meaning."""
    if isinstance(node, Comparison):
        if node.operator == "exists":
            return f"{node.path} exists"
        if node.operator == "in":
            assert isinstance(node.value, tuple)
            return f"{node.path} in [{', '.join(map(written, node.value))}]"
        assert node.value is not None and not isinstance(node.value, tuple)
        gap = " " if spaced else ""
        return f"{node.path}{gap}{node.operator}{gap}{written(node.value)}"
    if node.operator == "not":
        inner = write(node.operands[0], spaced)
        return f"not {inner if isinstance(node.operands[0], Comparison) else f'({inner})'}"
    return f" {node.operator} ".join(
        write(o, spaced) if isinstance(o, Comparison) or o.operator == "not" else f"({write(o, spaced)})"
        for o in node.operands
    )


comparisons = st.one_of(
    st.builds(Comparison, paths.map(parse_path), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), scalars),
    st.builds(Comparison, paths.map(parse_path), st.just("in"), st.lists(scalars, min_size=1, max_size=3).map(tuple)),
    st.builds(Comparison, paths.map(parse_path), st.just("exists"), st.none()),
)
filters = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(Logical, st.just("not"), st.tuples(inner)),
        st.builds(Logical, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@given(filters, st.booleans())
def test_a_filter_written_and_parsed_is_the_same(node: Filter, spaced: bool) -> None:
    """Writing and parsing are inverse, with and without spaces around operators, whatever the literals hold."""
    assert parse_filter(write(node, spaced)) == node


def test_and_binds_stronger_than_or_and_not_strongest() -> None:
    """`a or b and not c` is `a or (b and (not c))`."""
    found = parse_filter("$.a == 1 or $.b == 2 and not $.c == 3")
    assert isinstance(found, Logical) and found.operator == "or"
    second = found.operands[1]
    assert isinstance(second, Logical) and second.operator == "and"
    assert isinstance(second.operands[1], Logical) and second.operands[1].operator == "not"


def test_a_quoted_text_keeps_what_stands_in_it() -> None:
    """Two single quotes are one in single quotes; in double quotes they stay two."""
    assert parse_filter("$.a == 'it''s'") == Comparison(parse_path("$.a"), "==", "it's")
    assert parse_filter("$.a == \"it''s\"") == Comparison(parse_path("$.a"), "==", "it''s")


def test_every_path_of_a_filter_is_told() -> None:
    """The document's schema is built from them."""
    found = filter_paths(parse_filter("not ($.a exists or parent.b in ['x']) and $document.c > 1"))
    assert [str(p) for p in found] == ["$.a", "parent.b", "$document.c"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected more, found 'the end'"),
        ("$.a", "expected more, found 'the end'"),
        ("$.a ==", "expected more, found 'the end'"),
        ("$.a = 1", "cannot read"),
        ("$.a == x", "expected a quoted text, a number, true or false, found 'x'"),
        ("$.a like 'x'", "expected ==, !=, <, <=, >, >=, in or exists, found 'like'"),
        ("$.a in 'x'", "expected ["),
        ("$.a in []", "found ']'"),
        ("($.a == 1", "expected )"),
        ("$.a == 1)", "unexpected ')'"),
        ("$.a == 1 $.b == 2", "unexpected '$.b'"),
        ("1 == $.a", "expected a path, found '1'"),
        ("a == 1", "must start with $"),
        ("$.a == 'open", "cannot read"),
    ],
)
def test_what_is_wrong_with_a_filter_is_said(text: str, reason: str) -> None:
    """The message quotes what is wrong and says what was expected."""
    with pytest.raises(ValueError, match=r".") as caught:
        parse_filter(text)
    assert reason in str(caught.value)


@given(st.text(max_size=16))
def test_no_text_escapes_with_another_error(text: str) -> None:
    """Any text is a filter or a ValueError."""
    try:
        parse_filter(text)
    except ValueError as error:
        assert str(error)
