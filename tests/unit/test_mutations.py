"""Changed payloads: only what is named changes, the payload given never does, and what changes nothing is refused."""

from __future__ import annotations

import copy
from datetime import date, timedelta
from typing import Any

import pytest

from mlb_platform.simulator import simulate_games
from mlb_platform.simulator.mutations import (
    mutated,
    with_changed_type,
    with_new_field,
    with_renamed_field,
    without_section,
)

PAYLOAD: dict[str, Any] = {
    "plays": [{"n": 1, "rbi": 0, "who": {"name": "A"}}, {"n": 2, "rbi": "1", "who": None}, {"n": 3}],
    "players": {"ID1": {"name": "A", "age": 20}, "ID2": {"age": 30}},
    "note": "text",
}


def test_a_new_field_is_in_every_parent() -> None:
    """Of arrays and of objects keyed by id; where it is already, it would not be new."""
    assert with_new_field(PAYLOAD, "$.plays[*].speed", 9)["plays"][2] == {"n": 3, "speed": 9}
    assert with_new_field(PAYLOAD, "$.players{*}.speed", 9)["players"]["ID2"] == {"age": 30, "speed": 9}
    assert with_new_field(PAYLOAD, "$.more", [])["more"] == []
    with pytest.raises(ValueError, match="there already"):
        with_new_field(PAYLOAD, "$.plays[*].rbi", 9)


def test_a_renamed_field_keeps_value_and_place() -> None:
    """Where it is; other elements are as they were."""
    plays = with_renamed_field(PAYLOAD, "$.plays[*].rbi", "runs")["plays"]
    assert [list(p) for p in plays] == [["n", "runs", "who"], ["n", "runs", "who"], ["n"]]
    assert [p.get("runs") for p in plays] == [0, "1", None]


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("text", ["0", "1"]),
        ("number", [0.0, 1.0]),
        ("boolean", [False, True]),
        ("object", [{"value": 0}, {"value": "1"}]),
        ("array", [[0], ["1"]]),
        ("null", [None, None]),
    ],
)
def test_another_type_holds_what_was_there(to: Any, expected: list[Any]) -> None:
    """As far as that type can."""
    plays = with_changed_type(PAYLOAD, "$.plays[*].rbi", to)["plays"]
    assert [p["rbi"] for p in plays[:2]] == expected
    assert [type(p["rbi"]) for p in plays[:2]] == [type(e) for e in expected]


def test_a_section_goes_with_all_below_it() -> None:
    """And nothing else."""
    assert without_section(PAYLOAD, "$.players") == {k: v for k, v in PAYLOAD.items() if k != "players"}
    assert without_section(PAYLOAD, "$.plays[*].who.name")["plays"][0]["who"] == {}


@pytest.mark.parametrize("path", ["$.absent", "$.plays[*].absent", "$.plays{*}.n", "$.note.deeper", "$.players[*].age"])
def test_what_matches_nothing_is_refused(path: str) -> None:
    """A change that changes nothing would prove nothing."""
    with pytest.raises(ValueError, match="matches nothing"):
        without_section(PAYLOAD, path)


def test_a_payload_is_never_changed_itself_and_a_capture_is_a_later_one() -> None:
    """What is not on the way to the change is shared, not copied."""
    before = copy.deepcopy(PAYLOAD)
    changed = without_section(with_renamed_field(PAYLOAD, "$.plays[*].rbi", "runs"), "$.players{*}.age")
    assert before == PAYLOAD and changed["plays"][2] == PAYLOAD["plays"][2]
    (game,) = simulate_games(1, date(2024, 7, 1), 1)
    later = mutated(game, lambda p: without_section(p, "$.gameData.weather"), minutes=5)
    assert later.captured_at == game.captured_at + timedelta(minutes=5)
    assert "weather" in game.payload["gameData"] and "weather" not in later.payload["gameData"]
    assert later.payload["liveData"] is game.payload["liveData"]
