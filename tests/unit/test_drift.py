"""What is found when payloads change: judged by profiles of documents made here, expected by hand."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlb_platform.mapping.cover import Cover
from mlb_platform.mapping.loader import load_text
from mlb_platform.mapping.profile import PathNode
from mlb_platform.mapping.resolve import resolve
from mlb_platform.quality.drift import Drift, DriftJudge
from mlb_platform.quality.drift_absent import Profiled
from mlb_platform.quality.drift_profiles import made_by
from mlb_platform.quality.drift_report import by_path, render
from mlb_platform.quality.drift_seasons import fill_rows, season_changes
from mlb_platform.simulator.mutations import with_changed_type, with_new_field, with_renamed_field, without_section
from resources.drift_store import DateDrift, DriftRecord

MAPPING = """
version: "1.0"
source:
  endpoint: small
  method: game_v1
  raw_table: small.game_v1
  entity_key: {{name: game_pk, type: BIGINT, json_path: $.id}}
  partition: {{name: game_date, type: DATE, json_path: $.date}}
  merge_scope: {{key: game_pk, snapshot: {snapshot}}}
ignore_paths:
  - {{path: $.copyright, reason: The same text everywhere.}}
targets:
  - name: small.games
    description: One row a game.
    primary_key: [game_pk]
    fields:
      - {{name: wind, type: TEXT, json_path: $.weather.wind, description: Wind.}}
      - {{name: temp, type: INT, json_path: $.weather.temp, description: Temperature.}}
      - {{name: winner, type: INT, json_path: $.winner, optional: true, description: Winner.}}
  - name: small.plays
    description: One row a play.
    array_source: $.plays
    primary_key: [game_pk, play]
    fields:
      - {{name: play, type: INT, json_path: $.n, description: Number of the play.}}
      - {{name: runs, type: INT, json_path: $.runs, description: Runs.}}
      - {{name: note, type: TEXT, json_path: $.note, description: What happened.}}
"""


def judge_of(snapshot: bool = True) -> DriftJudge:
    """Return the judge of the small mapping."""
    config, problems = load_text(MAPPING.format(snapshot=str(snapshot).lower()), "test.yaml")
    assert config is not None and not problems, problems
    return DriftJudge(Cover(resolve(config)))


def game(pk: int, plays: int = 30, winner: bool = True) -> dict[str, Any]:
    """Return a document; a note is there in one play of three."""
    found: dict[str, Any] = {
        "id": pk,
        "date": "2024-05-01",
        "copyright": "text",
        "weather": {"wind": "none", "temp": 20},
        "plays": [{"n": n, "runs": 0, **({"note": "x"} if n % 3 == 0 else {})} for n in range(plays)],
    }
    return found | {"winner": 1} if winner else found


def profiled(judge: DriftJudge, document: Any, before: Any = None) -> Profiled:
    """Return a profiled capture; its entity is the document's id."""
    nodes = []
    for d in (document, before):
        node = PathNode()
        if d is not None:
            node.add(d, str(d.get("id")), judge.cover.tree)
        nodes.append(node)
    return Profiled(1, str(document.get("id")), nodes[0], nodes[1] if before is not None else None)


def found(
    documents: list[Any], earlier: list[Any], before: list[Any] | None = None, snapshot: bool = True
) -> list[tuple[str, str, str]]:
    """Return kind, path and entity of all that is found in documents compared with earlier ones."""
    return [(f.kind, f.path, f.entity) for f in drift(documents, earlier, before, snapshot).found]


def drift(documents: list[Any], earlier: list[Any], before: list[Any] | None = None, snapshot: bool = True) -> Drift:
    """Return what is found in documents compared with earlier ones."""
    judge = judge_of(snapshot)
    known = PathNode()
    for document in earlier:
        known.merge(profiled(judge, document).node)
    captures = [profiled(judge, d, b) for d, b in zip(documents, before or [None] * len(documents), strict=True)]
    return judge.judge(captures, known)


EARLIER = [game(n) for n in range(60)]


def test_equal_payloads_give_nothing() -> None:
    """Nor do games with nothing to compare with; each leaf path is counted by what becomes of it."""
    assert found([game(100), game(101)], EARLIER) == []
    assert found([game(100)], []) == []
    assert drift([game(100)], []).statuses == {"mapped": 8, "ignored": 1}


def test_a_new_field_is_new_once_and_unmapped_from_then_on() -> None:
    """With how often, where first, and an example."""
    changed = with_new_field(game(100), "$.plays[*].speed", 97)
    (record,) = drift([game(99), changed], EARLIER).found
    assert record == DriftRecord("new", "$.plays[*].speed", 30, "100", "97", "")
    assert found([changed], [*EARLIER, changed]) == [("unmapped", "$.plays[*].speed", "100")]


def test_a_renamed_field_is_one_new_and_one_vanished() -> None:
    """And the new one says what it may have been."""
    changed = with_renamed_field(game(100), "$.plays[*].runs", "runsScored")
    new, vanished = drift([game(99), changed], EARLIER).found
    assert (new.kind, new.path, vanished.kind, vanished.path) == (
        "new", "$.plays[*].runsScored", "vanished", "$.plays[*].runs",
    )  # fmt: skip
    assert new.note == "perhaps $.plays[*].runs under another name"
    assert vanished.entity == "100" and vanished.count == 30 and "1 of 2 captures" in vanished.note


def test_another_type_is_named_with_what_it_was() -> None:
    """Also a fraction in a column of whole numbers, and an object where a text was."""
    changed = with_changed_type(game(100), "$.weather.wind", "number")
    (record,) = drift([changed], EARLIER).found
    assert (record.kind, record.path, record.note) == ("type", "$.weather.wind", "number, was text")
    (record,) = drift([game(100) | {"weather": {"wind": "none", "temp": 20.5}}], EARLIER).found
    assert (record.kind, record.path) == ("type", "$.weather.temp")
    assert "small.games.temp is for whole numbers" in record.note and record.example == "20.5"
    told = found([with_changed_type(game(100), "$.weather.wind", "object")], EARLIER)
    assert ("type", "$.weather.wind", "100") in told and ("new", "$.weather.wind.value", "100") in told


def test_a_missing_section_is_told_once_not_column_by_column() -> None:
    """The topmost path that is gone, of all captures of the date or of one."""
    gone = without_section(game(100), "$.weather")
    assert found([gone], EARLIER) == [("vanished", "$.weather", "100")]
    (record,) = drift([game(98), gone, game(99)], EARLIER).found
    assert record.path == "$.weather" and "1 of 3 captures of the date lack it" in record.note
    assert "all below it too" in record.note


def test_a_section_gone_in_one_game_hides_no_column_gone_in_another() -> None:
    """Each game is told of by what it lacks itself."""
    games = [game(n) for n in (100, 101)]
    changed = [without_section(games[0], "$.weather"), without_section(games[1], "$.weather.wind")]
    assert sorted(found(changed, EARLIER, games)) == [
        ("vanished", "$.weather", "100"), ("vanished", "$.weather.wind", "101"),
    ]  # fmt: skip


def test_what_was_null_is_gone_too() -> None:
    """A value that is null everywhere is as good as none."""
    assert found([with_changed_type(game(100), "$.plays[*].runs", "null")], EARLIER) == [
        ("vanished", "$.plays[*].runs", "100")
    ]


def test_the_capture_before_is_enough_to_miss_a_part() -> None:
    """With no other date to compare with, a game is compared with itself."""
    gone = without_section(game(100), "$.weather")
    assert found([gone], [], [game(100)]) == [("vanished", "$.weather", "100")]
    assert found([gone], []) == []


def test_what_the_capture_before_had_is_at_least_noted() -> None:
    """Also where it comes and goes in other games: as something that may mean nothing."""
    gone = game(100) | {"weather": {"temp": 20}}
    earlier = [gone if n % 2 else game(n) for n in range(60)]
    assert found([gone], earlier, [game(100)]) == [("lacking", "$.weather.wind", "100")]


def test_a_path_that_is_there_now_and_then_is_not_missed() -> None:
    """Half of the games have no wind: one more without is nothing; but no game of twelve with it is something."""
    still = game(0) | {"weather": {"temp": 20}}
    earlier = [still if n % 2 else game(n) for n in range(60)]
    assert found([still], earlier) == []
    assert found([still, game(1)], earlier) == []
    assert [f[:2] for f in found([still | {"id": n} for n in range(14)], earlier)] == [("vanished", "$.weather.wind")]


def test_what_is_optional_is_missed_where_it_always_was() -> None:
    """Not where half of the games had none."""
    without = game(100, winner=False)
    assert found([without], EARLIER) == [("vanished", "$.winner", "100")]
    assert found([without], [game(n, winner=bool(n % 2)) for n in range(60)]) == []


def test_no_plays_at_all_are_no_vanished_columns() -> None:
    """A game that has not begun has an empty array; nothing is missing in what is not there."""
    assert found([game(100, plays=0)], EARLIER) == []


def test_responses_that_may_be_filtered_only_lack() -> None:
    """Where the mapping does not call captures complete, what is not there is noted as such."""
    gone = without_section(game(100), "$.weather")
    assert found([gone], EARLIER, snapshot=False) == [("lacking", "$.weather", "100")]


def test_a_changed_fill_rate_is_told_with_both_rates() -> None:
    """From one note in three plays to one in every play."""
    full = game(100) | {"plays": [{"n": n, "runs": 0, "note": "x"} for n in range(40)]}
    (record,) = drift([full], EARLIER).found
    assert (record.kind, record.path) == ("fill", "$.plays[*].note")
    assert record.note == "100% of 40, was 33% of 1,800"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_any_payload_can_be_judged(seed: int) -> None:
    """Whatever JSON it is, with anything in the place of anything, it is judged and reported on."""
    chance = random.Random(seed)

    def anything(depth: int = 0) -> Any:
        kind = chance.randrange(7 if depth < 4 else 5)
        if kind < 5:
            return [None, chance.random(), chance.randrange(9), "<b>text</b>", chance.random() < 0.5][kind]
        if kind == 5:
            return [anything(depth + 1) for _ in range(chance.randrange(4))]
        names = ["plays", "weather", "n", "runs", "note", "wind", "ID12", "a b", "x.y", "", "é"]
        return {chance.choice(names): anything(depth + 1) for _ in range(chance.randrange(5))}

    document = {"id": 7, "plays": anything(), "weather": anything(), "more": anything()}
    judge = judge_of()
    known = profiled(judge, {"id": 1, "plays": anything(), "weather": anything()}).node
    result = judge.judge([profiled(judge, document, game(7)), profiled(judge, game(8))], known)
    day = DateDrift(date(2024, 5, 1), 2, 2, 1, 1, 1, "basis", tuple(result.found))
    page = render("small/game_v1", [day])
    assert "<b>text</b>" not in page


def test_profiles_do_not_depend_on_columns_but_on_what_is_keyed_by_id() -> None:
    """A new column needs no new profiles; another object read as keyed by id does."""
    first = judge_of().cover.tree
    config, _ = load_text(MAPPING.format(snapshot="true").replace("$.weather.temp", "$.weather.degrees"), "x.yaml")
    assert config is not None
    assert made_by(Cover(resolve(config)).tree) == made_by(first)
    keyed = MAPPING.format(snapshot="true").replace("array_source: $.plays", "object_source: $.plays")
    config, _ = load_text(keyed, "x.yaml")
    assert config is not None
    assert made_by(Cover(resolve(config)).tree) != made_by(first)


def test_seasons_tell_what_came_and_went_and_how_full_columns_are() -> None:
    """Leaf paths by season, and rates that lie apart."""
    judge = judge_of()
    older, newer = PathNode(), PathNode()
    for n in range(3):
        older.merge(profiled(judge, without_section(game(n), "$.weather")).node)
        newer.merge(profiled(judge, with_new_field(game(n), "$.plays[*].speed", 97)).node)
    for node in (older, newer):
        assert node.documents == 3
    first, second = season_changes({"2023": older, "2024": newer})
    assert (first.came, first.went) == ((), ())
    assert second.came == ("$.plays[*].speed", "$.weather.temp", "$.weather.wind") and second.went == ()
    full = PathNode()
    full.merge(profiled(judge, game(1) | {"plays": [{"n": n, "note": "x"} for n in range(40)]}).node)
    rows = {r.path: r.rates for r in fill_rows(judge.cover, {"2023": older, "2024": full})}
    assert rows == {"$.plays[*].runs": (1.0, 0.0), "$.plays[*].note": (pytest.approx(1 / 3), 1.0)}


def test_a_path_found_on_several_dates_is_one_line() -> None:
    """With the first and last date, and counts added."""
    record = DriftRecord("unmapped", "$.x", 2, "1", "5", "")
    days = [DateDrift(date(2024, 5, d), 1, 1, 1, 0, 1, "b", (record,)) for d in (3, 1, 2)]
    (line,) = by_path(days, "unmapped")
    assert (line.first, line.last, line.dates, line.count) == (date(2024, 5, 1), date(2024, 5, 3), 3, 6)
    page = render("small/game_v1", days)
    assert page.count("<rect") == 3 and "2024-05-01 to 2024-05-03, 3 dates" in page
    assert "http" not in page.replace("http-equiv", ""), "nothing is loaded from elsewhere"
