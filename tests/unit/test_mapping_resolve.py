"""What a mapping means: inherited columns, rules by themselves, the hash of how rows are derived, names of classes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers import SMALL, mapping_of

from mlb_platform.extraction.project import Projection
from mlb_platform.extraction.transformation import BaseTransformation, class_name, make_transformation
from mlb_platform.mapping.loader import MappingRegistry, load_file
from mlb_platform.mapping.resolve import ResolvedMapping, resolve
from mlb_platform.mapping.shape import column_paths, document_tree
from mlb_platform.mapping.types import parse_type
from mlb_platform.settings import PROJECT_ROOT

EXAMPLE = Path(os.environ.get("MLB_CAPTURES", "captures-not-given")).parent / "mapping_example.yaml"


@pytest.fixture(scope="module")
def example() -> ResolvedMapping:
    """The example mapping, unchanged."""
    if not EXAMPLE.is_file():
        pytest.skip("needs mapping_example.yaml beside the folder that MLB_CAPTURES names")
    return resolve(load_file(EXAMPLE))


def test_the_example_loads_unchanged_and_can_be_projected(example: ResolvedMapping) -> None:
    """Its key and partition are taken from its first table and put into the others."""
    assert example.entity_key.name == "game_pk" and example.entity_key.json_path == "$.gamePk"
    assert example.partition is not None and example.partition.name == "game_date"
    assert [t.name for t in example.targets] == [
        "game.live_game_metadata", "game.live_game_plays", "game.live_game_pitch_events",
    ]  # fmt: skip
    for target in example.targets:
        names = [c.name for c in target.columns]
        assert names.count("game_pk") == names.count("game_date") == names.count("lineage_metadata") == 1
        assert names.count("source_captured_at") == names.count("transform_timestamp") == 1
    assert all(t.rows_sql for t in Projection(example).tables)


def test_game_pk_inside_an_array_is_the_inherited_column(example: ResolvedMapping) -> None:
    """`$.game_pk` of a play and `parent.game_pk` of a pitch are the document's gamePk; parent.playId is the play's."""
    paths = column_paths(example)
    assert paths["game.live_game_plays", "game_pk"] == [("gamePk",)]
    assert paths["game.live_game_pitch_events", "game_pk"] == [("gamePk",)]
    assert paths["game.live_game_pitch_events", "play_id"] == [("liveData", "plays", "allPlays", "[*]", "playId")]
    by_name = example.by_name["game.live_game_pitch_events"].by_name
    assert by_name["game_pk"].origin == "entity" and not by_name["game_pk"].nullable
    assert by_name["game_date"].origin == "partition"


def test_columns_are_inherited_where_a_target_does_not_declare_them() -> None:
    """Key and date stand in front, the technical columns at the end; a key column cannot be null."""
    target = mapping_of(SMALL).by_name["small.plays"]
    assert [(c.name, str(c.type), c.nullable) for c in target.columns] == [
        ("game_pk", "BIGINT", False),
        ("game_date", "DATE", False),
        ("play", "INT", False),
        ("runs", "INT", True),
        ("note", "TEXT", True),
        ("source_captured_at", "TIMESTAMPTZ", False),
        ("transform_timestamp", "TIMESTAMPTZ", False),
        ("lineage_metadata", "JSONB", True),
    ]
    assert target.snapshot and target.scope == "game_pk" and target.partition == "game_date"


def test_key_and_orphan_rules_come_by_themselves() -> None:
    """The key is not null and unique (error); a relationship to a table of the mapping is a warn rule."""
    mapping = mapping_of(SMALL)
    rules = {r.label: (r.kind, r.severity) for r in mapping.by_name["small.plays"].rules}
    assert rules == {
        "not_null": ("not_null", "error"),
        "unique_key": ("unique", "error"),
        "runs_positive": ("expression", "error"),
        "runs_possible": ("expression", "warn"),
        "orphan(game_pk) -> small.games": ("reference", "warn"),
    }
    elsewhere = mapping_of(SMALL.replace("to_table: small.games", "to_table: other.games")).by_name["small.plays"]
    assert not any(r.kind == "reference" for r in elsewhere.rules)
    assert elsewhere.relationships[0].to_table == "other.games"


def hashes(text: str) -> tuple[str, str]:
    """Return the derivation hashes of both small tables."""
    games, plays = mapping_of(text).targets
    return games.derivation_hash, plays.derivation_hash


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("json_path: $.runs", "json_path: $.score", "plays"),
        ("json_path: $.runs", "json_path: [$.runs, $.score]", "plays"),
        ("json_path: $.note", "json_path: $.note, default: none", "plays"),
        ("name: runs, type: INT", "name: runs, type: BIGINT", "plays"),
        ("array_source: $.plays", "array_source: $.plays\n    filter: $.n > 0", "plays"),
        ("array_source: $.plays", "array_source: $.allPlays", "plays"),
        ("[game_pk, play]", "[play, game_pk]", "plays"),
        ('"runs >= 0"', '"runs >= 1"', "plays"),
        ("severity: warn", "severity: error", "plays"),
        ("VARCHAR(10)", "VARCHAR(20)", "games"),
        ("json_path: $.date", "json_path: $.day", "both"),
        ("snapshot: true", "snapshot: false", "both"),
        ("description: Runs.", "description: Runs scored.", "neither"),
        ("description: One row a play.", "description: Plays.\n    owners: [stats]", "neither"),
        ("json_path: $.runs", "json_path: $.runs, lenient: true, optional: true", "neither"),
        ("    data_quality:", "    indexes:\n      - columns: [runs]\n    data_quality:", "neither"),
        ("from_field: game_pk, to_field: game_pk", "from_field: runs, to_field: state", "neither"),
        ("required: [id]", "required: [id, date]", "neither"),
        ("name: runs_possible", "name: other, description: x", "neither"),
    ],
)
def test_the_derivation_hash_changes_with_what_decides_rows_only(old: str, new: str, changed: str) -> None:
    """Paths, types, filters, keys and rules of a table change its hash and no other's; words about it do not."""
    assert old in SMALL
    before, after = hashes(SMALL), hashes(SMALL.replace(old, new, 1))
    assert (before[0] != after[0], before[1] != after[1]) == {
        "plays": (False, True), "games": (True, False), "both": (True, True), "neither": (False, False),
    }[changed]  # fmt: skip


def test_the_order_of_paths_to_try_is_part_of_the_hash() -> None:
    """The first that exists wins, so another order gives other rows."""
    one = SMALL.replace("json_path: $.runs", "json_path: [$.runs, $.score]")
    other = SMALL.replace("json_path: $.runs", "json_path: [$.score, $.runs]")
    assert hashes(one)[1] != hashes(other)[1]


def test_an_inferred_date_is_part_of_every_hash() -> None:
    """The other tables inherit the date from the first one's field: another path there gives them other rows."""
    text = SMALL.replace("  partition: {name: game_date, type: DATE, json_path: $.date}\n", "").replace(
        "    primary_key: [game_pk]\n    fields:\n",
        "    primary_key: [game_pk]\n    partition_by: game_date\n    fields:\n"
        "      - {name: game_date, type: DATE, json_path: $.date, description: Date.}\n",
    )
    before, after = hashes(text), hashes(text.replace("json_path: $.date", "json_path: $.day"))
    assert before[0] != after[0] and before[1] != after[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("varchar(50)", "VARCHAR(50)"), ("numeric( 5 , 2 )", "NUMERIC(5,2)"), ("DECIMAL(5)", "NUMERIC(5,0)"),
        ("integer", "INT"), ("double precision", "DOUBLE"), ("Timestamp with time zone", "TIMESTAMPTZ"),
        ("json", "JSONB"), ("bool", "BOOLEAN"),
    ],
)  # fmt: skip
def test_types_are_read_in_other_spellings(text: str, expected: str) -> None:
    """Aliases become the canonical spelling."""
    assert str(parse_type(text)) == expected


@pytest.mark.parametrize(
    "text", ["VARCHAR", "VARCHAR(0)", "INT(4)", "NUMERIC", "NUMERIC(39,1)", "NUMERIC(2,3)", "", "ARRAY"]
)
def test_types_that_are_none_are_refused(text: str) -> None:
    """The message says what there is."""
    with pytest.raises(ValueError, match="use one of BIGINT"):
        parse_type(text)


def test_a_class_is_named_after_its_mapping() -> None:
    """Generated classes have the names that are imported; nothing in them is written by hand."""
    mapping = mapping_of(SMALL)
    made = make_transformation(mapping)
    assert made.__name__ == "SmallGameV1Transformation" and issubclass(made, BaseTransformation)
    assert "small.games, small.plays" in str(made.__doc__)
    schedule = mapping_of(
        SMALL.replace("endpoint: small", "endpoint: schedule").replace("method: game_v1", "method: schedule")
    )
    assert class_name(schedule) == "ScheduleTransformation"


def test_the_registry_loads_once_and_names_what_there_is(tmp_path: Path) -> None:
    """A folder is read at the first use and kept; what is not there is told with what is."""
    (tmp_path / "small").mkdir()
    file = tmp_path / "small" / "game_v1.yaml"
    file.write_text(SMALL)
    registry = MappingRegistry(tmp_path)
    first = registry.get("small/game_v1")
    file.unlink()
    assert registry.get("small/game_v1") is first
    assert registry.table_owner("small.plays") is first
    with pytest.raises(KeyError, match="there are: small/game_v1"):
        registry.get("small/other")
    with pytest.raises(KeyError, match="small.games, small.plays"):
        registry.table_owner("small.other")


def test_the_shipped_transformations_are_importable_by_name() -> None:
    """`from mlb_platform.transformations import GameLiveV1Transformation` works; another name tells those there are."""
    from mlb_platform import transformations
    from mlb_platform.transformations import GameLiveV1Transformation

    assert GameLiveV1Transformation.mapping.name == "game/live_game_v1"
    assert "GameLiveV1Transformation" in dir(transformations)
    with pytest.raises(AttributeError, match="GameLiveV1Transformation"):
        _ = transformations.NoSuchTransformation


def test_parents_come_first_and_what_waits_for_dates_last() -> None:
    """A table is brought up after those it refers to, so that its orphans are real ones, and after what dates it."""
    ordered = MappingRegistry(PROJECT_ROOT / "mapping_configs").parents_first
    place = {t: n for n, m in enumerate(ordered) for t in m.by_name}
    for mapping in ordered:
        for target in mapping.targets:
            for r in target.relationships:
                assert place[r.to_table] <= place[target.name], f"{target.name} -> {r.to_table}"
    names = [m.name for m in ordered]
    assert len(names) == len(set(names)) == 12
    assert names.index("game/live_game_v1") < names.index("game/boxscore")


def test_references_of_responses_with_several_entities_are_checked_over_the_tables_only() -> None:
    """A person's statistics can name a batter of another response: looked for among one person's rows he is missing."""
    registry = MappingRegistry(PROJECT_ROOT / "mapping_configs")
    person, feed = registry.get("person/person"), registry.get("game/live_game_v1")
    assert any(r.to_table == "person.person" for t in person.targets for r in t.relationships)
    assert not [rule.label for t in person.targets for rule in t.rules if rule.kind == "reference"]
    assert [rule.label for t in feed.targets for rule in t.rules if rule.kind == "reference"]


@pytest.mark.parametrize(
    ("array", "path", "read"),
    [
        ("$.events", "$.a", ("plays", "[*]", "events", "[*]", "a")),
        ("$.events", "parent.a", ("plays", "[*]", "a")),
        ("$.events", "parent.parent.a", ("a",)),
        ("$document.more", "$.a", ("more", "[*]", "a")),
        ("$document.more", "parent.a", ("plays", "[*]", "a")),
    ],
)
def test_the_parent_of_a_picked_element_is_that_of_its_row(array: str, path: str, read: tuple[str, ...]) -> None:
    """Wherever the array lies that the element is picked from, as the extraction has it."""
    element = f"{{array_source: {array}, filter: parent.b == 1}}"
    mapping = mapping_of(SMALL.replace("json_path: $.note", f"json_path: {path}, element: {element}"))
    assert column_paths(mapping)["small.plays", "note"] == [read]
    assert "b" in document_tree(mapping).children["plays"].children["[*]"].children
