"""Every mistake of every mapping file is told at once, each with file, line, column and reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import SMALL

from mlb_platform.history.validity import ENDED_BY, RAW_ID, VALID_FROM, VALID_TO
from mlb_platform.mapping.checks import HISTORY_COLUMNS
from mlb_platform.mapping.loader import MappingError, MappingProblem, MappingRegistry, lint_files, load_text


def errors_of(text: str) -> list[MappingProblem]:
    """Return the errors of one file."""
    return [p for p in load_text(text, "m.yaml")[1] if p.level == "error"]


def place_of(text: str, quoted: str, nth: int = 0) -> tuple[int, int]:
    """Return line and column of the nth occurrence of a text."""
    position = -1
    for _ in range(nth + 1):
        position = text.index(quoted, position + 1)
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


PLAY = "{name: play, type: INT, json_path: $.n, description: Number of the play.}"
RUNS = "{name: runs, type: INT, json_path: $.runs, description: Runs.}"

MISTAKES = [
    ("unknown key of a field", PLAY, "{name: play, typ: INT, type: INT, json_path: $.n}", "typ:", "unknown key 'typ'"),
    ("unknown key of a target", "array_source: $.plays", "array_sauce: $.plays", "array_sauce",
     "unknown key 'array_sauce'"),
    ("unknown key of the file", 'version: "1.0"', 'version: "1.0"\nversions: 2', "versions", "unknown key 'versions'"),
    ("missing key", "  method: game_v1\n", "", "source", "missing key 'method'"),
    ("duplicate YAML key", "primary_key: [game_pk, play]",
     "primary_key: [game_pk, play]\n    primary_key: [play, game_pk]",
     "primary_key: [play, ", "key 'primary_key' stands twice in one object"),
    ("duplicate column", RUNS, f"{RUNS}\n      - {RUNS}", "{name: runs#2",
     "column runs is defined 2 times in small.plays"),
    ("duplicate target", "name: small.plays", "name: small.games", "name: small.games#2",
     "target small.games is defined 2 times"),
    ("column without a source", RUNS, "{name: runs, type: INT}", "{name: runs",
     "column 'runs' needs exactly one of json_path, source_field, expression, constant; found none"),
    ("column with two sources", RUNS, "{name: runs, type: INT, json_path: $.r, constant: 1}", "{name: runs",
     "found json_path and constant"),
    ("key that is not mapped", "[game_pk, play]", "[game_pk, play, pitch]", "pitch]",
     "key column pitch of small.plays is not mapped"),
    ("unknown type", "type: INT, json_path: $.n", "type: INTEGR, json_path: $.n", "type: INTEGR",
     "unknown type 'INTEGR'"),
    ("text without length", "VARCHAR(10)", "VARCHAR", "type: VARCHAR", "unknown type 'VARCHAR'"),
    ("bad path", "json_path: $.n,", "json_path: n,", "json_path: n,", "path 'n' must start with $"),
    ("bad path in a list", "json_path: $.n,", 'json_path: [$.n, "$.a..b"],', '"$.a..b"', "expected a name after '.'"),
    ("path that is no text", "json_path: $.n,", "json_path: 5,", "json_path: 5",
     "json_path: Input should be a valid string"),
    ("wildcard in a column", "json_path: $.n,", 'json_path: "$.a[*].n",', 'json_path: "$.a',
     "array_source and ignore_paths only"),
    ("parent above the document", "json_path: $.n,", "json_path: parent.parent.n,", "json_path: parent",
     "climbs 2 levels"),
    ("look-up that is not there", "json_path: $.n,", "json_path: lookup.player.n,", "json_path: lookup",
     "uses look-up player"),
    ("$key of an array", "json_path: $.n,", "json_path: $key,", "json_path: $key", "$key is for object_source"),
    ("$position of a document", "json_path: $.state", "json_path: $position", "json_path: $position",
     "one row a document"),
    ("bad filter", "array_source: $.plays", "array_source: $.plays\n    filter: $.a = 1", "filter: $.a",
     "cannot read '= 1'"),
    ("bad rule", '"runs >= 0"', '"runs >="', '{rule: "runs >="', "is not a Spark SQL expression"),
    ("rule that is no row rule", '"runs >= 0"', '"sum(runs) > 0"', '{rule: "sum', "no subquery, window or aggregate"),
    ("unknown column in a rule", '"runs >= 0"', '"rums >= 0"', '{rule: "rums', "names unknown column rums"),
    ("incomplete rule", '{rule: "runs >= 0", severity: error, name: runs_positive}', "{kind: range, column: runs}",
     "{kind: range", "a rule of kind range needs min or max"),
    ("unknown column in an index", "    data_quality:", "    indexes:\n      - columns: [rums]\n    data_quality:",
     "columns: [rums]", "index names unknown column rums"),
    ("unknown column in a relationship", "from_field: game_pk", "from_field: game", "{to_table",
     "names unknown column game"),
    ("unknown column of the other table", "to_field: game_pk", "to_field: pk", "{to_table",
     "unknown column pk of small.games"),
    ("raw column that is not there", "json_path: $.n,", "source_field: captured,", "source_field",
     "raw column captured does not exist"),
    ("expression over nothing known", "json_path: $.n,", "expression: a + 1,", "expression: a",
     "names unknown column a"),
    ("expression that changes by itself", "json_path: $.n,", "expression: rand(),", "expression: rand",
     "not deterministic"),
    ("upsert key beside the key", "[game_pk, play]", "[game_pk, play]\n    upsert_keys: [runs]", "runs]", "not runs"),
    ("table name in capitals", "name: small.plays", "name: Small.Plays", "name: Small",
     "must be schema.table in lower case"),
    ("partition that is no date", "type: DATE", "type: TEXT", "source", "must be a DATE, not TEXT"),
    ("snapshot without its scope in the key", "[game_pk, play]", "[play]", "primary_key: [play]",
     "put it into the primary_key"),
    ("scope that is another column", "array_source: $.plays", "array_source: $.plays\n    merge_scope: {key: play}",
     "merge_scope: {key: play",
     "merge_scope.key must be the entity key game_pk, not play"),
    *[(f"column {name} of a history", "{name: note, type", f"{{name: {name}, type", f"{{name: {name}", "history")
      for name in ("valid_from", "valid_to", "raw_id", "ended_by_raw_id")],
    ("array and object at once", "array_source: $.plays", "array_source: $.plays\n    object_source: $.p",
     "name: small.plays",
     "array_source and object_source exclude each other"),
    ("array read as an object", "json_path: $.state", "json_path: $.plays.n", "targets",
     "both as an array and as an object"),
    ("members that differ in case", "json_path: $.state", "json_path: [$.state, $.State]", "targets",
     "differ in case only"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "mark", "reason"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_one_mistake_is_told_once_at_its_place(old: str, new: str, mark: str, reason: str) -> None:
    """The line and column are those of the mistake, and nothing else is found fault with."""
    second_target = SMALL.index("name: small.plays")
    at = SMALL.find(old, second_target) if old in SMALL[second_target:] else SMALL.index(old)
    text = SMALL[:at] + new + SMALL[at + len(old) :]
    found = errors_of(text)
    assert len(found) == 1, [str(p) for p in found]
    assert reason in found[0].message
    quoted, _, nth = mark.partition("#")
    assert (found[0].line, found[0].column) == place_of(text, quoted, int(nth or 1) - 1)
    assert str(found[0]).startswith(f"m.yaml:{found[0].line}:{found[0].column}: error: ")


@pytest.mark.parametrize("scope", ["", "  merge_scope: {key: game_pk}\n"])
def test_every_table_has_its_scope_in_its_key(scope: str) -> None:
    """Not only those of complete captures: rows of two games with one key would overwrite each other."""
    text = SMALL.replace("  merge_scope: {key: game_pk, snapshot: true}\n", scope).replace("[game_pk, play]", "[play]")
    found = errors_of(text)
    assert [p.message for p in found] == [
        "rows of small.plays belong to one game_pk: put it into the primary_key, or the responses of two overwrite "
        "each other's rows"
    ]
    assert (found[0].line, found[0].column) == place_of(text, "primary_key: [play]")


def test_a_scope_of_all_tables_is_the_entity_key() -> None:
    """Told of each table, whether or not its key has that column."""
    text = SMALL.replace("merge_scope: {key: game_pk", "merge_scope: {key: game_date")
    text = text.replace("primary_key: [game_pk, play]", "primary_key: [game_pk, game_date, play]")
    assert [p.message.rpartition(": ")[2] for p in errors_of(text)] == [
        "merge_scope.key must be the entity key game_pk, not game_date"
    ] * 2


def test_entity_key_and_partition_are_no_columns_of_a_history() -> None:
    assert len(errors_of(SMALL.replace("game_date", "valid_from"))) == 1
    assert set(HISTORY_COLUMNS) == {VALID_FROM, VALID_TO, RAW_ID, ENDED_BY}


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    """A mistake of any kind does not hide those of other kinds, before or after it."""
    text = SMALL
    for old, new in [
        ("type: VARCHAR(10)", "type: VARCHR(10)"),
        ("array_source: $.plays", "array_source: $.plays\n    filter: $.a = 1\n    colour: red"),
        ("json_path: $.n,", "json_path: n,"),
        ("json_path: $.note", "json_path: parent.parent.note"),
        ('"runs >= 0"', '"rums >= 0"'),
        ('"runs <= 4"', '"runs <="'),
        ("from_field: game_pk", "from_field: game"),
        ("snapshot: true", "snapshots: true"),
    ]:
        text = text.replace(old, new, 1)
    messages = "\n".join(p.message for p in errors_of(text))
    for reason in [
        "'VARCHR(10)'", "cannot read '= 1'", "'colour'", "path 'n'", "climbs 2 levels", "rums", "'runs <='",
        "unknown column game", "'snapshots'",
    ]:  # fmt: skip
        assert reason in messages
    assert len(errors_of(text)) == 9


def test_a_missing_entity_key_does_not_hide_other_mistakes() -> None:
    """Without an entity key the rest of the file is checked all the same, and nothing is called unknown for it."""
    text = SMALL.replace("  entity_key: {name: game_pk, type: BIGINT, json_path: $.id}\n", "")
    text = text.replace('"runs >= 0"', '"rums >= 0"').replace("[game_pk, play]", "[game_pk, play, pitch]")
    messages = [p.message for p in errors_of(text)]
    assert len(messages) == 3
    assert messages[0].startswith("no entity key: declare source.entity_key")
    assert "key column pitch" in messages[1] and "rums" in messages[2]


def test_a_broken_target_does_not_hide_the_others() -> None:
    """A target without a key or a name is told, and the next one's mistakes with it."""
    text = SMALL.replace("    primary_key: [game_pk]\n", "", 1).replace('"runs >= 0"', '"rums >= 0"')
    messages = [p.message for p in errors_of(text)]
    assert any("missing key 'primary_key'" in m for m in messages)
    assert any("rums" in m for m in messages)
    assert len(messages) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds one object"),
        ("- a\n- b\n", "holds one object"),
        ("a: [1, 2\nb: 3\n", "not YAML"),
        ("a: b: c\n", "not YAML"),
        ("\tversion: 1\n", "not YAML"),
        ("version: 1.0\nsource: x\ntargets: y\n", "version"),
        ("version: '1.0'\n", "missing key 'source'"),
    ],
)
def test_what_is_no_mapping_at_all_is_told(text: str, reason: str) -> None:
    """No text ends in another exception."""
    config, problems = load_text(text, "m.yaml")
    assert config is None
    assert any(reason in p.message for p in problems)


def test_files_with_errors_are_all_told_and_so_is_what_two_define(tmp_path: Path) -> None:
    """A table of two files is told at its name in the second, even where both have other mistakes."""
    for name, runs in (("a", "rums"), ("b", "ruls")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "v1.yaml").write_text(SMALL.replace('"runs >= 0"', f'"{runs} >= 0"'))
    (tmp_path / "a" / "v2.yaml").write_text("version: '1.0'\n")
    with pytest.raises(MappingError) as caught:
        _ = MappingRegistry(tmp_path).mappings
    problems = [p for p in caught.value.problems if p.level == "error"]
    told = "\n".join(p.message for p in problems)
    assert "rums" in told and "ruls" in told and "missing key 'source'" in told
    twice = [p for p in problems if "is also defined in" in p.message]
    assert [p.message.split(" is also")[0] for p in twice] == ["mapping small/game_v1", "small.games", "small.plays"]
    assert {Path(p.file).parent.name for p in twice} == {"b"}
    assert (twice[1].line, twice[1].column) == place_of(SMALL, "small.games")
    assert str(caught.value).splitlines() == [str(p) for p in caught.value.problems]


def test_a_file_that_cannot_be_read_is_told_with_the_others(tmp_path: Path) -> None:
    """A missing or binary file is one problem among the others."""
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    good = tmp_path / "good.yaml"
    good.write_text(SMALL)
    configs, problems = lint_files([tmp_path / "none.yaml", tmp_path / "x.yaml", good])
    assert list(configs) == [good]
    assert ["cannot be read" in p.message for p in problems if p.level == "error"] == [True, True]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    """A registry over a folder without mappings says so."""
    with pytest.raises(MappingError, match="no mapping files"):
        _ = MappingRegistry(tmp_path).mappings


def test_what_lacks_a_description_is_a_warning_only() -> None:
    """A mapping without descriptions loads; lint tells each place."""
    config, problems = load_text(
        SMALL.replace(", description: Runs.", "").replace("description: One row a play.", ""), "m"
    )
    assert config is not None
    assert {(p.level, p.message) for p in problems} == {
        ("warning", "column small.plays.runs has no description"),
        ("warning", "target small.plays has no description"),
    }
