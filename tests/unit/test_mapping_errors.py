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
START_OF_PLAYS = "array_source: $.plays\n    primary_key: [game_pk, play]\n    fields:\n      - "

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
    ("array taken as a text", "VARCHAR(10), json_path: $.state", "TEXT, json_path: $.plays", "json_path: $.plays",
     "$.plays is read as one value by state"),
    ("object taken as a number", PLAY, f"{PLAY}\n      - {{name: by, type: INT, json_path: [$.by, $.by.id]}}",
     "json_path: [$.by", "$.plays[*].by is read as one value by by"),
    ("no path", "json_path: $.n,", "json_path: [],", "{name: play", "json_path names no path"),
    ("no source", "array_source: $.plays", "sources: []", "name: small.plays", "sources names no source"),
    *[(f"{kind} that is no {type_}", "type: INT, json_path: $.n,", f"type: {type_}, {given}{kind}: {value},",
       f"{kind}:" if kind == "default" else "{name: play", f"of play is no {type_}")
      for kind, given in (("constant", ""), ("default", "json_path: $.n, "))
      for type_, value in (("INT", "home"), ("INT", "1.5"), ("INT", "true"), ("SMALLINT", "40000"), ("DATE", "unknown"),
                           ("DATE", '"2024-02-30"'), ("TIMESTAMPTZ", "noon"), ("VARCHAR(2)", "home"),
                           ("BOOLEAN", "maybe"), ("DOUBLE", ".nan"))],
    *[(f"{kind} that is no NUMERIC", "type: INT, json_path: $.n,", f'type: "NUMERIC(5,2)", {given}{kind}: {value},',
       f"{kind}:" if kind == "default" else "{name: play", "of play is no NUMERIC(5,2)")
      for kind, given in (("constant", ""), ("default", "json_path: $.n, ")) for value in ("999.995", "NaN", "true")],
    ("constant of one source of two", START_OF_PLAYS + PLAY,
     "sources: [{array_source: $.plays, constants: {side: home}}, {array_source: $.more}]\n"
     "    primary_key: [game_pk, play]\n    fields:\n"
     f"      - {PLAY}\n      - {{name: side, type: TEXT, constant: side}}", "{array_source: $.more",
     "constant side of column side is not given by this source"),
    ("constant that no column takes", "array_source: $.plays",
     "sources: [{array_source: $.plays, constants: {sid: home}}]",
     "sid: home", "constant sid is taken by no column"),
    *[(f"format {text}", "type: INT, json_path: $.n,", f'type: {kind}, json_path: $.n, format: "{text}",',
       "{name: play",
       reason)
      for kind, text, reason in (
          ("DATE", "YYYY-MM-dd", "a year is yyyy"), ("DATE", "yyyy-mm-dd", "a month is MM"),
          ("DATE", "yyyy-MM-DD", "a day of the month is dd"), ("DATE", "EEE MMM d yyyy", "EEE is nothing"),
          ("TIMESTAMPTZ", "yyyy-MM-ddTHH:mm:ss", "quote it"), ("TIMESTAMPTZ", "yyyy-MM-dd'T", "nothing that Spark"))],
    ("look-up of a look-up that is not there", "array_source: $.plays",
     "array_source: $.plays\n    lookups: {one: {object_source: $.all, key: '{lookup.two.id}'}}", "one: {object",
     "look-up one uses look-up two"),
    ("look-up that needs itself", "array_source: $.plays",
     "array_source: $.plays\n    lookups: {one: {array_source: $.all, index: lookup.one.id}}", "one: {array",
     "look-up one needs itself"),
    ("look-up that climbs too far", START_OF_PLAYS + PLAY,
     "array_source: $.plays\n    lookups: {one: {object_source: $.all, key: '{parent.parent.id}'}}\n"
     "    primary_key: [game_pk, play]\n    fields:\n      - {name: play, type: INT, json_path: lookup.one.id}",
     "json_path: lookup", "look-up one: path parent.parent.id climbs 2 levels"),
    ("look-up of a picked element that is not there", "json_path: $.n,",
     "json_path: $.n, element: {array_source: $.e, filter: lookup.one.n == 1},", "element:", "uses look-up one"),
    ("picked element that climbs too far", "json_path: $.n,",
     "json_path: $.n, element: {array_source: $.e, filter: parent.parent.parent.n == 1},", "element:",
     "climbs 3 levels"),
    ("position of a picked element", "json_path: $.n,", "json_path: $position, element: {array_source: $.e},",
     "json_path: $position", "an element that is picked is none"),
    ("position of the document", "json_path: $.n,", "json_path: parent.$position,", "json_path: parent",
     "the position of the document, which has none"),
    ("date that is none", "description: Number of the play.", "description: 2024-13-01", "2024-13-01",
     "read as timestamp, and is none"),
    ("key that is a list", "json_path: $.n,", "json_path: $.n, ? [a, b] : c,", "[a, b]", "a key has to be a text"),
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
        ("? [a, b]\n: 1\n", "a key has to be a text"),
        ("? {a: b}\n: 1\n", "a key has to be a text"),
        ("version: 2024-13-01\n", "read as timestamp, and is none"),
        (f"version: {'9' * 5000}\n", "read as int, and is none"),
        ("version: !!bool x\n", "read as bool, and is none"),
        (f"version: {'[' * 2000}{']' * 2000}\n", "version"),
        ("version: \ud800\n", "not YAML"),
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


def test_an_object_taken_as_json_and_by_its_members_is_a_warning_only() -> None:
    """It gives right rows as long as no value in it is of a kind that is not expected there."""
    both = "\n      - {name: all, type: JSONB, json_path: $.by}\n      - {name: by, type: INT, json_path: $.by.id}"
    config, problems = load_text(SMALL.replace(PLAY, PLAY + both), "test.yaml")
    assert config is not None
    (found,) = [p for p in problems if "is read as one value" in p.message]
    assert found.level == "warning" and found.message.startswith("$.plays[*].by is read as one value by all")


def test_what_is_no_date_hides_nothing() -> None:
    """A value that YAML cannot read is told with the other mistakes of its file."""
    text = SMALL.replace('"runs >= 0"', '"rums >= 0"').replace("description: Runs.", "description: 2024-13-01")
    assert len(errors_of(text)) == 2


IDS = SMALL.replace("name: game_pk", "name: id").replace("game_pk", "id")
"""The entity key is called like the member it is read from."""


def with_play(text: str, field: str) -> str:
    """Return a mapping with one more column of small.plays."""
    return text.replace(RUNS, f"{RUNS}\n      - {field}")


@pytest.mark.parametrize("path", ["$.id", "[$.no, $.id]", "[$.id, $.no]"])
def test_a_member_called_like_an_inherited_column_is_told(path: str) -> None:
    """The value would be that of the inherited column, in every row."""
    text = with_play(IDS, f"{{name: play_id, type: INT, json_path: {path}, description: Id of the play.}}")
    found = errors_of(text)
    assert [p.message.partition(" would be ")[2][:23] for p in found] == ["the inherited column id"]
    assert (found[0].line, found[0].column) == place_of(text, "{name: play_id")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (SMALL, "{name: of_game, type: BIGINT, json_path: $.game_pk, description: Its game.}"),
        (SMALL, "{name: of_game, type: BIGINT, json_path: parent.game_pk, description: Its game.}"),
        (SMALL, "{name: game_pk, type: BIGINT, json_path: $.game_pk, description: Its game.}"),
        (SMALL, "{name: game_pk, type: BIGINT, json_path: parent.id, description: Its game.}"),
        (SMALL, "{name: game_pk, type: BIGINT, json_path: $document.id, description: Its game.}"),
        (IDS, "{name: of_game, type: BIGINT, json_path: parent.id, description: Its game.}"),
    ],
)
def test_inherited_columns_are_named_in_several_ways(text: str, field: str) -> None:
    assert load_text(with_play(text, field), "m.yaml")[1] == []


@pytest.mark.parametrize(
    "given", ["json_path: $.ref", "json_path: [$.ref, $.game_pk]", "source_field: raw_id", "constant: 5"]
)
def test_what_an_inherited_column_does_not_read_is_told(given: str) -> None:
    """A column of this name is the same in all tables, whatever its field says."""
    text = with_play(SMALL, f"{{name: game_pk, type: BIGINT, {given}, description: Its game.}}")
    config, problems = load_text(text, "m.yaml")
    assert config is not None
    assert [p.level for p in problems] == ["warning"]
    unread = given.split()[1].strip("[,")
    assert problems[0].message == f"column game_pk is inherited and the same in all tables: {unread} is not read"


def test_a_look_up_of_an_inherited_column_is_told_like_any_other() -> None:
    text = with_play(SMALL, "{name: game_pk, type: BIGINT, json_path: lookup.one.id, description: Its game.}")
    assert ["uses look-up one" in p.message for p in errors_of(text)] == [True]


def test_values_that_fit_their_columns_are_no_mistakes() -> None:
    """Constants and defaults may be written as texts or as numbers; a picked element's parent is the row's."""
    fields = [
        '{name: a, type: "NUMERIC(5,2)", json_path: $.a, default: 0}',
        '{name: b, type: "NUMERIC(5,2)", json_path: $.b, default: "999.994"}',
        '{name: c, type: INT, constant: "7"}',
        "{name: d, type: BOOLEAN, json_path: $.d, default: 0}",
        '{name: e, type: DATE, constant: "2024-02-29"}',
        '{name: f, type: TIMESTAMPTZ, constant: "2024-02-29T12:00:00Z"}',
        "{name: g, type: VARCHAR(4), json_path: $.g, default: true}",
        "{name: h, type: DOUBLE, constant: -1.5}",
        "{name: i, type: TEXT, json_path: parent.parent.state, element: {array_source: $.i, filter: parent.n == 1}}",
        "{name: j, type: JSONB, json_path: $.j}",
        *(f'{{name: l{n}, type: TIMESTAMPTZ, json_path: $.l{n}, format: "{text}"}}' for n, text in enumerate(FORMATS)),
    ]
    assert errors_of(with_play(SMALL, "\n      - ".join(fields))) == []


FORMATS = [
    "yyyyMMdd_HHmmss",
    "MMM d, yyyy",
    "M/d/yy h:mm a",
    "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "yyyy-DDD",
    "yyyy-MM-dd[ HH]",
]
"""Spark reads them."""
