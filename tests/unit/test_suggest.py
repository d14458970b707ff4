"""What is proposed for payloads: tables, keys and types, read back from the YAML and compared with what is meant."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlb_platform.mapping.coverage import coverage
from mlb_platform.mapping.loader import load_text
from mlb_platform.mapping.models import MappingConfig
from mlb_platform.mapping.resolve import resolve
from mlb_platform.mapping.suggest import suggest
from mlb_platform.mapping.suggest_values import column_name, singular, snake, type_of

GAME: dict[str, Any] = {
    "gamePk": 745123,
    "officialDate": "2024-07-01",
    "venue": {"id": 15, "name": "A field"},
    "teams": [
        {"id": 1, "name": "Ones", "coaches": [{"personId": 7, "job": "Manager"}, {"personId": 8, "job": "Bench"}]},
        {"id": 2, "name": "Twos", "coaches": [{"personId": 7, "job": "Manager"}]},
    ],
    "players": {"ID10": {"id": 10, "hits": 2}, "ID11": {"id": 11, "hits": None}},
    "plays": [
        {"about": {"atBatIndex": 0}, "events": [{"index": 0, "speed": 95.25}, {"index": 1, "speed": 88.5}]},
        {"about": {"atBatIndex": 1}, "events": [{"index": 0, "speed": None}]},
    ],
    "notes": ["same", "same"],
}


def proposed(*documents: dict[str, Any], endpoint: str = "game", method: str = "thing_v1") -> MappingConfig:
    """Return the mapping that a proposal loads as, without any problem and resolved."""
    config, problems = load_text(suggest(documents, endpoint, method), "proposal.yaml")
    assert config is not None and problems == [], [str(p) for p in problems]
    resolve(config)
    return config


def tables(config: MappingConfig) -> dict[str, list[str]]:
    """Return the key of every table, by where its rows lie."""
    return {t.row_sources[0].source or "$": t.primary_key for t in config.targets}


def types(config: MappingConfig, source: str | None = None) -> dict[str, str]:
    """Return the type of every column of the table whose rows lie at `source` (None: the document), by path."""
    target = next(t for t in config.targets if t.row_sources[0].source == source)
    return {str(f.json_path): f.type for f in target.fields}


def test_arrays_and_objects_keyed_by_id_become_tables() -> None:
    """Nested ones too; plain objects become columns of the table around them."""
    config = proposed(GAME)
    assert set(tables(config)) == {"$", "$.teams", "$.teams[*].coaches", "$.players", "$.plays", "$.plays[*].events",
                                   "$.notes"}  # fmt: skip
    players = next(t for t in config.targets if t.object_source == "$.players")
    assert players.name == "game.thing_v1_players" and players.array_source is None
    assert types(config)["$.venue.name"] == "VARCHAR(20)"


def test_the_entity_and_its_date_are_found_by_name_and_value() -> None:
    """An id that all payloads have is the entity; a date of a known name is the partition."""
    source = proposed(GAME).source
    assert source.entity_key is not None and source.partition is not None
    assert (source.entity_key.name, source.entity_key.json_path) == ("game_pk", "$.gamePk")
    assert (source.partition.name, source.partition.json_path) == ("official_date", "$.officialDate")
    nameless = proposed({"rows": [{"id": 1}, {"id": 2}]}).source
    assert nameless.entity_key is not None and nameless.partition is None
    assert (nameless.entity_key.name, nameless.entity_key.json_path) == ("request_id", None)
    assert proposed({"id": 1, "date": "soon"}).source.partition is None


def test_keys_are_what_is_unique() -> None:
    """An id, under the key of what it lies in; else the place in the array."""
    keys = tables(proposed(GAME))
    assert keys["$"] == ["game_pk"]
    assert keys["$.teams"] == ["game_pk", "team_id"]
    assert keys["$.teams[*].coaches"] == ["game_pk", "team_id", "person_id"]
    assert keys["$.players"] == ["game_pk", "player_id"]
    assert keys["$.plays"] == ["game_pk", "about_at_bat_index"]
    assert keys["$.plays[*].events"] == ["game_pk", "about_at_bat_index", "index"]
    assert keys["$.notes"] == ["game_pk", "note_index"]


def test_an_id_that_repeats_is_no_key() -> None:
    """A second payload in which it repeats moves the key to the place in the array."""
    twice = copy.deepcopy(GAME)
    twice["gamePk"] = 2
    twice["teams"][1]["id"] = 1
    assert tables(proposed(GAME, twice))["$.teams"] == ["game_pk", "team_index"]


def test_an_object_keyed_by_id_without_one_inside_has_its_name_as_key() -> None:
    """`ID10` itself, text as it is."""
    config = proposed({"id": 1, "players": {"ID10": {"hits": 2}, "ID11": {"hits": 2}}})
    assert tables(config)["$.players"] == ["game_id", "player_key"]
    assert types(config, "$.players") == {"$key": "VARCHAR(100)", "$.hits": "INT"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, 2], "INT"),
        ([2**31], "BIGINT"),
        ([2**63], "NUMERIC(38,0)"),
        ([1, 2.25], "NUMERIC(6,2)"),
        ([1e-30], "DOUBLE"),
        ([True, False], "BOOLEAN"),
        (["2024-07-01"], "DATE"),
        (["2024-02-30"], "VARCHAR(20)"),
        (["2024-07-01T23:05:00Z", "2024-07-01T23:05:00.123Z"], "TIMESTAMPTZ"),
        (["2024-07-01T23:05:00Z", "2024-07-01"], "VARCHAR(50)"),
        (["abc"], "VARCHAR(10)"),
        (["x" * 251], "TEXT"),
        ([1, "x"], "VARCHAR(10)"),
        ([], "VARCHAR(10)"),
    ],
)
def test_types_are_those_of_the_values(values: list[Any], expected: str) -> None:
    """With room for more, but not for another kind."""
    assert type_of(values) == expected


def test_names_are_those_of_the_json_in_snake_case_and_free() -> None:
    """Words of SQL and technical columns are avoided; a bare id takes the row's name."""
    assert snake("calendarEventID") == "calendar_event_id" and snake("2B") == "x_2_b"
    assert (singular("people"), singular("batteries"), singular("teams"), singular("pass")) == (
        "person", "battery", "team", "pass",
    )  # fmt: skip
    assert column_name(["id"], "team", ()) == "team_id"
    assert column_name(["home", "name"], "team", ["home_name"]) == "home_name_2"
    assert column_name(["select"], "team", ()) != "select"
    assert column_name(["lineageMetadata"], "team", ()) == "lineage_metadata_2"


HOSTILE: dict[str, Any] = {
    "id": 9,
    "rows": [
        {"num": 1, "mixed": 1, "tags": ["a"], "grid": [[1, 2], [3]], "none": None, "list": []},
        {"num": 2, "mixed": "x", "tags": [], "grid": [], "list": []},
        {"num": 3, "mixed": {"deep": True}, "grid": [[]]},
    ],
    "odd": [{"a b": 1}, {"x.y": 2}],
    "Case": 1,
    "case": 2,
    "dotted.name": 1,
    "": "no name",
    "select": "word",
    "empty": {},
    "onlyNull": [None, None],
    "ids": {"2024-07-01": 5, "2024-07-02": 6},
}


def test_what_is_called_like_a_column_of_a_history_gets_another_name() -> None:
    """Every table has a history with columns of its own, and no column of a mapping may be called like one."""
    contract = {"validFrom": "2024-01-01", "validTo": None, "rows": [{"id": 1, "validTo": 3}, {"id": 2, "validTo": 4}]}
    config = proposed({"rawId": 7} | contract)
    names = {f.name: f.json_path for t in config.targets for f in t.fields}
    assert names["valid_from_2"] == "$.validFrom" and names["valid_to_2"] == "$.validTo"
    assert config.source.entity_key is not None and config.source.entity_key.name == "raw_id_2"


def test_a_hostile_payload_gives_a_mapping_all_the_same() -> None:
    """Several kinds and nested arrays are JSON; what is empty is ignored with its reason; what has no path is told."""
    text = suggest([HOSTILE], "hostile", "thing")
    config = proposed(HOSTILE, endpoint="hostile", method="thing")
    rows = types(config, "$.rows")
    assert (rows["$.mixed"], rows["$.grid"]) == ("JSONB", "JSONB")
    assert tables(config)["$.rows[*].tags"] == ["hostile_id", "num", "tag_index"]
    assert types(config)["$.odd"] == "JSONB"
    ignored = {i.path: i.reason for i in config.ignore_paths}
    assert set(ignored) >= {"$.empty", "$.onlyNull", "$.rows[*].list", "$.rows[*].none", "$.case"}
    assert all(reason.endswith(".") for reason in ignored.values())
    assert "no path can name them: 'dotted.name', ''" in text


@pytest.mark.parametrize("document", [[], "text", None, [1], {}, {"a": None}, {"a": {"b": []}}])
def test_what_holds_no_values_is_refused(document: Any) -> None:
    """An error that says so, never a mapping without columns."""
    with pytest.raises(ValueError, match=r"JSON object|no values"):
        suggest([document], "game", "thing")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "name", "ID1", "ID22", "2024", "a b", "Id", "key", "x", "é"]), inner)
    ),
    max_leaves=25,
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["id", "rows", "people", "date", "x-y", "z"]), JSON, min_size=1),
                min_size=1, max_size=3))  # fmt: skip
def test_whatever_is_proposed_loads_and_covers_the_payloads(documents: list[dict[str, Any]]) -> None:
    """No path of the payloads is left without a word, but those no mapping could name."""
    try:
        text = suggest(documents, "any", "thing")
    except ValueError as error:
        assert "no values" in str(error)
        return
    config, problems = load_text(text, "proposal.yaml")
    assert config is not None and problems == [], f"{[str(p) for p in problems]}\n{text}"
    report = coverage(resolve(config), ((d, str(n), "2024") for n, d in enumerate(documents)))
    assert [p.path for p in report.of("unmapped")] == [], text
