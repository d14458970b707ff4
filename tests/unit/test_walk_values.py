"""Columns made of the values of a document, each as the digits of its text say or told to be odd."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from mlb_platform.extraction.walk_values import maker
from mlb_platform.mapping.types import parse_type


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.integers(-(10**7), 10**7), st.floats(-(10**7), 10**7)), min_size=1, max_size=5),
    st.integers(1, 9).flatmap(lambda precision: st.tuples(st.just(precision), st.integers(0, precision))),
)
@example([999.96], (4, 1))
@example([-999.5, 5], (3, 0))
@example([999.94], (4, 1))
def test_a_number_that_is_too_large_once_it_is_rounded_is_told(values: list[float], kind: tuple[int, int]) -> None:
    """Every number is Python's decimal of its digits rounded half up, or odd where the column has no place for that."""
    precision, scale = kind
    made = maker(parse_type(f"NUMERIC({precision},{scale})"))(values)
    for row, (value, found) in enumerate(zip(values, made.array.to_pylist(), strict=True)):
        wanted = Decimal(repr(value)).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
        if abs(wanted) >= 10 ** (precision - scale):
            assert row in made.odd, f"{value} in {kind} gives {found}"
        elif row not in made.odd:  # tiny numbers are looked at again, as their texts
            assert found == wanted


@pytest.mark.parametrize("text", ["2024-07-01T17:05Z", "2024-07-01 17:05+00:00"])
def test_a_time_without_seconds_is_looked_at_again(text: str) -> None:
    """Spark takes it for none, alone or among others."""
    made = maker(parse_type("TIMESTAMPTZ"))
    assert made([text]).odd == [0]
    assert made(["2024-07-01T17:05:00Z", text]).odd == [1]
