"""What coverage says of payloads: each path mapped, ignored with a right to it, or unmapped; copies equal; figures."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from mlb_platform.mapping.copies import check_copies
from mlb_platform.mapping.coverage import CoverageReport, PathCoverage, coverage
from mlb_platform.mapping.loader import MappingRegistry, load_text
from mlb_platform.mapping.matching import describe, find_unmatched, mapped_paths
from mlb_platform.mapping.profile import PathNode, is_id
from mlb_platform.mapping.resolve import ResolvedMapping, resolve

MAPPINGS = Path(__file__).parents[2] / "mapping_configs"
CAPTURES = Path(os.environ.get("MLB_CAPTURES", "captures-not-given"))
FEED = "game/live_game_v1"

Json = Any

TABLES = """
targets:
  - name: game.things
    description: One row a thing.
    primary_key: [game_pk, thing]
    array_source: $.things
    filter: $.kind != 'note'
    fields:
      - {name: thing, type: INT, json_path: $.id, nullable: false, description: Number.}
      - {name: word, type: TEXT, json_path: $.word, description: Word.}
      - {name: speed, type: INT, json_path: $.speed, optional: true, description: Speed.}
      - {name: whole, type: JSONB, json_path: $.whole, description: All of it.}
      - {name: owner, type: TEXT, json_path: lookup.owner.name, description: Owner.}
    lookups:
      owner: {object_source: $.people, key: "ID{$.owner}"}
"""


def mapping_with(ignored: str = "", tables: str = TABLES) -> ResolvedMapping:
    """Return a small mapping with some ignored paths."""
    head = f"""
version: "1.0"
source:
  endpoint: game
  method: small
  raw_table: game.small
  entity_key: {{name: game_pk, type: BIGINT, json_path: $.gamePk, description: Game.}}
  merge_scope: {{key: game_pk, snapshot: true}}
ignore_paths: [{ignored}]
"""
    return resolve(load_text(head + tables, "small.yaml")[0])


def document(**extra: Json) -> Json:
    """Return a document of the small mapping."""
    return {
        "gamePk": 7,
        "things": [{"id": 1, "word": "one", "kind": "a", "owner": 5, "whole": {"deep": [1, 2]}}],
        "people": {"ID5": {"name": "Five"}},
    } | extra


def report_of(mapping: ResolvedMapping, *documents: Json) -> CoverageReport:
    """Return the coverage over documents, each of an entity of its own, all of one season."""
    return coverage(mapping, [(d, f"game {n}", "2024") for n, d in enumerate(documents)])


def path_of(report: CoverageReport, path: str) -> PathCoverage:
    """Return what a report says of one path."""
    return next(p for p in report.paths if p.path == path)


def statuses(report: CoverageReport) -> dict[str, str]:
    """Return the status of every path."""
    return {p.path: p.status for p in report.paths}


def test_each_path_is_mapped_ignored_or_unmapped() -> None:
    """Columns, look-ups and parts of a JSON column are mapped; what only a filter or a key reads is not."""
    mapping = mapping_with('{path: "$.notice", reason: No data.}, {path: "$.words", reason: Words.}')
    report = report_of(mapping, document(notice="x", words=["a", "b"], extra={"left": 1}))
    assert statuses(report) == {
        "$.gamePk": "mapped", "$.things[*].id": "mapped", "$.things[*].word": "mapped",
        "$.things[*].whole.deep[*]": "mapped", "$.people{*}.name": "mapped", "$.notice": "ignored",
        "$.words[*]": "ignored", "$.things[*].kind": "unmapped", "$.things[*].owner": "unmapped",
        "$.extra.left": "unmapped",
    }  # fmt: skip
    assert path_of(report, "$.people{*}.name").by == "game.things.owner"
    assert path_of(report, "$.notice").by == "No data." and not path_of(report, "$.notice").wildcard
    assert path_of(report, "$.things[*].kind").note == "only a filter or look-up reads it"
    left = path_of(report, "$.extra.left")
    assert (left.count, left.documents, left.example, left.first, left.kinds) == (1, 1, "1", "game 0", {"integer": 1})
    assert report.covered == pytest.approx(7 / 10) and report.mapped == pytest.approx(5 / 10)
    assert report.summary["unmapped"] == 3


def test_a_whole_subtree_may_be_ignored_only_as_a_copy_or_as_statistics() -> None:
    """Without either, what lies below stays unmapped and the entry is reported; with it, it counts outside the rest."""
    told = document(season={"hits": 3, "more": {"runs": 1}}, again=[{"id": 1, "word": "one"}], odd={"a": {"b": 1}})
    mapping = mapping_with(
        '{path: "$.season", statistics: true, reason: Of the season.}, '
        '{path: "$.again", copy_of: "$.things", reason: The things again.}, {path: "$.odd", reason: I say so.}'
    )
    report = report_of(mapping, told)
    found = statuses(report)
    assert found["$.season.hits"] == found["$.season.more.runs"] == found["$.again[*].word"] == "ignored"
    assert found["$.odd.a.b"] == "unmapped"
    assert path_of(report, "$.odd.a.b").note == "ignoring all of $.odd is not legal"
    assert [p.path for p in report.illegal] == ["$.odd"] and "hides 1 leaf paths" in report.illegal[0].problem
    wild = {p.path for p in report.paths if p.wildcard}
    assert wild == {"$.season.hits", "$.season.more.runs", "$.again[*].id", "$.again[*].word"}
    assert report.mapped == pytest.approx(5 / (len(report.paths) - len(wild)))


def test_a_copy_covers_only_what_its_original_has_covered() -> None:
    """A member of the copy that the original does not map is a finding, not ignored with it."""
    mapping = mapping_with('{path: "$.last", copy_of: "$.things[*]", reason: The last one.}')
    report = report_of(mapping, document(last={"id": 1, "kind": "a", "new": 2}))
    found = statuses(report)
    assert (found["$.last.id"], found["$.last.kind"], found["$.last.new"]) == ("ignored", "unmapped", "unmapped")
    assert "$.things[*].new, of which it is said to be a copy, is not covered" in path_of(report, "$.last.new").note
    assert report.copies[0].differing == 1 and report.copies[0].differences[0].where == "$.last.new"


def test_copies_that_cover_each_other_cover_nothing() -> None:
    mapping = mapping_with(
        '{path: "$.one", copy_of: "$.two", reason: Two.}, {path: "$.two", copy_of: "$.one", reason: One.}'
    )
    found = statuses(report_of(mapping, document(one={"a": {"b": 1}}, two={"a": {"b": 1}})))
    assert found["$.one.a.b"] == found["$.two.a.b"] == "unmapped"


@pytest.mark.parametrize(
    ("copy", "differs"),
    [
        ({"id": 1, "word": "one"}, None),
        ({"id": 1, "word": None}, None),
        ({"id": 2, "word": "two"}, None),
        ({"id": 2, "word": "one"}, "'one'"),
        ({"id": 1, "word": "uno"}, "'uno'"),
        ({"id": True}, "True"),
        ({"id": 1, "list": [1, 2]}, None),
        ({"id": 1, "list": [2, 1]}, "2"),
        ({"id": 1, "list": [1]}, "[1]"),
    ],
)
def test_a_copy_is_part_of_one_element_of_its_original(copy: Json, differs: str | None) -> None:
    """Fewer members and nulls are fine; another value, another order, another length, a truth for a number are not."""
    config = mapping_with('{path: "$.last", copy_of: "$.things[*]", reason: The last one.}').config
    things = [{"id": 1, "word": "one", "list": [1, 2]}, {"id": 2, "word": "two"}]
    (report,) = check_copies(config, [("game 9", {"things": things, "last": copy})])
    assert report.compared == 1 and report.differing == (differs is not None)
    assert differs is None or [d.entity for d in report.differences] == ["game 9"]
    assert differs is None or report.differences[0].value in (differs, repr(copy["id"]))


def test_copies_inside_elements_are_compared_with_their_own_neighbours() -> None:
    """What shares an element with its original is not a copy because another element has such a value."""
    config = mapping_with('{path: "$.sides{*}.again", copy_of: "$.sides{*}.team", reason: The team again.}').config
    good = {"sides": {"ID1": {"team": {"id": 1}, "again": {"id": 1}}, "ID2": {"team": {"id": 2}, "again": {"id": 2}}}}
    bad = {"sides": {"ID1": {"team": {"id": 1}, "again": {"id": 2}}, "ID2": {"team": {"id": 2}, "again": {"id": 2}}}}
    (right,) = check_copies(config, [("good", good)])
    (wrong,) = check_copies(config, [("bad", bad)])
    assert (right.compared, right.differing, wrong.compared, wrong.differing) == (2, 0, 2, 1)


def test_arrays_and_ids_are_folded() -> None:
    """Items are one path, and so are members named by an id, everywhere, or by anything where the mapping says so."""
    told = document(
        people={"ID5": {"name": "Five"}, "someone": {"name": "Six"}},
        byDate={"2024-07-01": {"n": 1}, "2024-07-02": {"n": 2}},
        wins={"701": [[1], [2, 3]]},
    )
    found = statuses(report_of(mapping_with(), told))
    assert found["$.people{*}.name"] == "mapped" and "$.people.someone.name" not in found
    assert {"$.byDate{*}.n", "$.wins{*}[*][*]"} <= set(found)
    assert [is_id(n) for n in ("ID12", "12", "2024-07-01", "first", "ID", "x1", "")] == [True] * 3 + [False] * 4


def test_a_path_with_several_kinds_of_values_is_told() -> None:
    """Text and number are two kinds; 5 and 5.0 are one, but where a column is for whole numbers."""
    one = document(a=5, b=1.5, c="x")
    two = document(a=5.0, b=2, c=["x"])
    two["things"][0] |= {"speed": 91.5}
    changes = {t.path: t for t in report_of(mapping_with(), one, two, document(c=None)).type_changes}
    assert set(changes) == {"$.c", "$.things[*].speed"}
    assert changes["$.c"].kinds == {"text": 1, "array": 1}
    assert changes["$.c"].first == {"text": "game 0", "array": "game 1"}
    assert changes["$.things[*].speed"].note == "game.things.speed is for whole numbers"


def test_fill_rates_are_by_season_and_of_the_objects_that_could_have_the_value() -> None:
    def thing(**extra: Json) -> Json:
        return document(things=[{"id": 1} | extra, {"id": 2, "word": "two"}])

    report = coverage(
        mapping_with(),
        [(thing(word="one"), "1", "2023"), (thing(), "2", "2024"), (thing(word=None), "3", "2024")],
    )
    assert report.seasons == ["2023", "2024"] and report.documents == 3
    assert path_of(report, "$.things[*].word").fill == {"2023": 1.0, "2024": 0.5}
    assert path_of(report, "$.gamePk").fill == {"2023": 1.0, "2024": 1.0}
    assert path_of(report, "$.people{*}.name").fill == {"2023": 1.0, "2024": 1.0}


def test_mapped_paths_that_match_nothing_are_told_once() -> None:
    """An optional column is only listed as empty; columns of rows that are absent themselves are not told again."""
    report = report_of(mapping_with(), {"gamePk": 7, "things": [{"id": 1, "kind": "a", "owner": 5}], "people": {}})
    assert [p.path for p in report.unmatched] == ["$.things[*].word", "$.things[*].whole", "$.people{*}.name"]
    assert report.empty == ["game.things.speed"]
    report = report_of(mapping_with(), {"gamePk": 7})
    assert [p.problem for p in report.unmatched] == [
        "$.things of rows of game.things", "lookup.owner.name of game.things.owner",
    ]  # fmt: skip


def test_lint_looks_in_documents_until_all_paths_are_met() -> None:
    """The warning names the path as written, whose it is, and what was looked for."""
    paths = list(mapped_paths(mapping_with().config))
    empty, full = {"gamePk": 7, "things": []}, document()
    assert find_unmatched(paths, [empty, full, full]) == ([], 2)
    (missing, *_), read = find_unmatched(paths, [{"gamePk": 7}])
    assert read == 1
    assert describe(missing, "1 capture").startswith(
        "path $.things of rows of game.things matches nothing in 1 capture"
    )


def test_empty_containers_are_covered_where_columns_read_below_them() -> None:
    """A list without items is no finding where its items are mapped, and one where nothing is known of it."""
    found = statuses(report_of(mapping_with(), document(things=[], people={}, other=[], nothing=None)))
    assert found == {
        "$.gamePk": "mapped", "$.things": "mapped", "$.people": "mapped", "$.other": "unmapped",
        "$.nothing": "unmapped",
    }  # fmt: skip


def test_a_profile_survives_being_written_down() -> None:
    node, again = PathNode(), PathNode()
    node.add(document(), "one")
    again.merge(PathNode.from_plain(orjson.loads(orjson.dumps(node.to_plain()))))
    again.merge(node)
    name = again.find(("people", "{*}", "name"))
    assert name is not None and (name.count, name.documents, name.first_seen, name.example) == (2, 2, "one", '"Five"')


def test_what_goes_to_another_mapping_is_covered_by_that_mapping() -> None:
    """Documents handed on with `embeds` are mapped where the other mapping maps them, and only there."""
    other = mapping_with(tables=TABLES)
    head = """
version: "1.0"
source:
  endpoint: game
  method: outer
  raw_table: game.outer
  entity_key: {name: game_pk, type: BIGINT, json_path: $.gamePk, description: Game.}
  embeds: [{into: game/small, member: things, from_paths: ["$.carried[*]"]}]
targets:
  - name: game.outer_rows
    description: One row a game.
    primary_key: [game_pk]
    fields: [{name: word, type: TEXT, json_path: $.word, description: Word.}]
"""
    outer = resolve(load_text(head, "outer.yaml")[0])
    told = [({"gamePk": 7, "word": "x", "carried": [{"id": 1, "strange": 2}]}, "7", "2024")]
    found = coverage(outer, told, {"game/small": other})
    assert path_of(found, "$.carried[*].id").by == "game/small: game.things.thing"
    assert path_of(found, "$.carried[*].strange").status == "unmapped"


def captured(method: str, registry: MappingRegistry) -> Iterator[tuple[Json, str, str]]:
    """Yield the captures of a mapping with their season."""
    mapping = registry.get(method)
    for name in [method, *(f"{mapping.config.source.endpoint}/{also}" for also in mapping.config.source.also)]:
        for path in sorted((CAPTURES / name).glob("*.json.gz")):
            yield orjson.loads(gzip.decompress(path.read_bytes())), path.stem, path.stem[:4]


@pytest.fixture(scope="module")
def reports() -> dict[str, CoverageReport]:
    """Return the coverage of every mapping over the captures there are for it."""
    if not (CAPTURES / "INDEX.tsv").is_file():
        pytest.skip("MLB_CAPTURES names no folder of captures")
    registry = MappingRegistry(MAPPINGS)
    found = {name: coverage(m, captured(name, registry), registry.mappings) for name, m in registry.mappings.items()}
    return {name: report for name, report in found.items() if report.documents}


def test_the_live_feed_is_covered(reports: dict[str, CoverageReport]) -> None:
    """At least 95 % of the leaf paths are mapped or ignored with a reason, at least 60 % of the rest are mapped."""
    report = reports[FEED]
    assert report.documents == len(list((CAPTURES / FEED).glob("*.json.gz"))) and len(report.paths) > 1500
    assert report.covered >= 0.95, [p.path for p in report.of("unmapped")]
    assert report.mapped >= 0.6
    assert report.unmatched == [] and report.type_changes == []


def test_what_captures_have_is_ignored_by_right_only(reports: dict[str, CoverageReport]) -> None:
    """In no mapping is a subtree hidden without being a copy or statistics, and every copy is one in every capture."""
    assert len(reports) >= 8
    for name, report in reports.items():
        assert report.illegal == [], name
        assert {c.path: c.differing for c in report.copies if c.differing} == {}, name
        assert report.covered >= 0.95, (name, [p.path for p in report.of("unmapped")])
    assert sum(c.compared for c in reports[FEED].copies) > 500
