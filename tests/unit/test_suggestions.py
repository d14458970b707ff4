"""Suggestions: what is learned from figures, with evidence, as YAML that a mapping takes; nothing from thin air."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
import yaml
from helpers import mapping_of

from mlb_platform.mapping.loader import load_text
from mlb_platform.mapping.models import DataQualityRule, FieldDefinition
from mlb_platform.mapping.resolve import ResolvedTarget
from mlb_platform.quality.profile import DataProfile
from mlb_platform.quality.profile_arrow import profile_table
from mlb_platform.quality.rules import MAX_ROW_RULES, row_rules
from mlb_platform.quality.suggestions import Suggestion, suggest, widened

ROWS = 600
MAPPING = """
version: "1.0"
source:
  endpoint: learned
  method: v1
  raw_table: learned.v1
  entity_key: {name: game_pk, type: BIGINT, json_path: $.id}
  partition: {name: game_date, type: DATE, json_path: $.date}
targets:
  - name: l.plays
    primary_key: [game_pk, n]
    array_source: $.plays
    fields:
      - {name: n, type: INT, json_path: $.n}
      - {name: speed, type: DOUBLE, json_path: $.speed}
      - {name: batter_id, type: INT, json_path: $.batter}
      - {name: half, type: VARCHAR(10), json_path: $.half}
      - {name: season, type: TEXT, json_path: $.season}
      - {name: description, type: TEXT, json_path: $.description}
      - {name: play_id, type: VARCHAR(50), json_path: $.playId}
RULES
"""


def target(rules: str = "") -> ResolvedTarget:
    """Return the table, with rules."""
    lines = "\n".join(f"      - {line}" for line in rules.strip().splitlines())
    text = MAPPING.replace("RULES", f"    data_quality:\n{lines}" if lines else "")
    return mapping_of(text).by_name["l.plays"]


def rows(count: int = ROWS) -> dict[str, list[Any]]:
    """Return plays of twelve games."""
    r = random.Random(3)
    return {
        "game_pk": [700000 + i * 12 // count for i in range(count)],
        "game_date": [date(2024, 7, 1) + timedelta(days=i * 12 // count) for i in range(count)],
        "n": [i % (count // 12 or 1) for i in range(count)],
        "speed": [None if i % 9 == 0 else 71.5 + 30 * r.random() for i in range(count)],
        "batter_id": [600000 + r.randint(0, 80) for _ in range(count)],
        "half": ["top" if i % 3 else "bottom" for i in range(count)],
        "season": ["2024" for _ in range(count)],
        "description": [f"play {'x' * (i % 30)} {i % 7}" for i in range(count)],
        "play_id": [f"{i:08x}-abcd" for i in range(count)],
    }


def profile(columns: dict[str, list[Any]]) -> DataProfile:
    return profile_table(pa.table(columns))


def found(columns: dict[str, list[Any]], known: ResolvedTarget | None = None) -> dict[tuple[str, str], Suggestion]:
    """Return suggestions by kind and columns."""
    return {(s.kind, ",".join(s.columns)): s for s in suggest(profile(columns), None, known)}


def test_what_is_learned_of_plays() -> None:
    """Every kind that single columns tell, and no other: no range of ids, none of the key, no list of free texts."""
    learned = found(rows(), target())
    assert set(learned) == {
        ("not_null", "batter_id,half,season,description,play_id"),
        ("unique", "play_id"),
        ("range", "speed"),
        ("values", "half"),
        ("type", "season"),
        ("length", "description"),
    }
    assert learned["values", "half"].entry["rule"] == "half IN ('bottom', 'top')"
    assert learned["type", "season"].entry == {"name": "season", "type": "INT"}
    assert learned["length", "description"].entry == {"name": "description", "type": "VARCHAR(100)"}
    bounds = learned["range", "speed"].entry
    assert 50 <= bounds["min"] < 71.5 and 101.5 < bounds["max"] <= 120
    assert all(
        s.place == "data_quality" for s in learned.values() if s.kind in ("not_null", "unique", "range", "values")
    )


def test_evidence_has_the_figures() -> None:
    """How many rows, values and which: enough to judge the suggestion without looking at the data."""
    learned = found(rows(), target())
    assert (
        learned["not_null", "batter_id,half,season,description,play_id"].evidence == "a value in every one of 600 rows"
    )
    assert learned["unique", "play_id"].evidence == "600 different values in 600 rows, none missing, none twice"
    assert learned["values", "half"].evidence == "2 different values in 600: 'top' 400, 'bottom' 200"
    assert learned["type", "season"].evidence == "600 of 600 texts are written as INT"
    speeds = [v for v in rows()["speed"] if v is not None]
    told = learned["range", "speed"].evidence
    assert f"from {min(speeds):.2f} to {max(speeds):.1f} in {len(speeds)} values" in told


def test_the_surest_come_first_and_chance_last() -> None:
    """By confidence, which more rows raise; none is certain."""
    listed = suggest(profile(rows()), None, target())
    keys = [(s.tentative, -s.confidence) for s in listed]
    assert keys == sorted(keys) and all(0 < s.confidence < 1 for s in listed)
    fewer = found(rows(120), target())
    for key, s in found(rows(), target()).items():
        assert key not in fewer or fewer[key].confidence < s.confidence


def test_as_yaml_it_is_what_a_mapping_takes() -> None:
    """Put into the mapping file as printed, the mapping loads without a problem and then nothing is left to suggest."""
    listed = suggest(profile(rows()), None, target())
    text = MAPPING.replace("RULES", "    data_quality:\n" + "\n".join(
        f"      {s.yaml}" for s in listed if s.place == "data_quality"))  # fmt: skip
    for s in (s for s in listed if s.place == "field"):
        (said,) = yaml.safe_load(s.yaml)
        old = {"season": "type: TEXT, json_path: $.season", "description": "type: TEXT, json_path: $.description"}
        assert old[said["name"]] in text
        text = text.replace(old[said["name"]], old[said["name"]].replace("TEXT", said["type"]))
    config, problems = load_text(text, "learned.yaml")
    errors = [str(p) for p in problems if p.level == "error"]
    assert config is not None and not errors, errors
    assert suggest(profile(rows()), None, mapping_of(text).by_name["l.plays"]) == []
    for s in listed:
        assert yaml.safe_load(s.yaml) == [s.entry]
        model = DataQualityRule if s.place == "data_quality" else FieldDefinition
        model.model_validate(s.entry if model is DataQualityRule else {**s.entry, "json_path": "$.x"})
        assert s.text and "severity" not in s.text


def test_a_name_that_a_rule_has_is_given_to_no_other() -> None:
    """What was copied into the mapping from fewer columns stays, and what is learned later stands beside it."""
    known = target("{kind: not_null, columns: [half], severity: warn, name: always_there}")
    (more,) = [s for s in suggest(profile(rows()), None, known) if s.kind == "not_null"]
    assert more.entry["name"] == "always_there_2" and "half" not in more.columns


@pytest.mark.parametrize("there", [0, 50])
def test_no_more_rules_than_a_table_takes(there: int) -> None:
    """Those with the least to go by are left out; a table that has all of them can be judged."""
    wide = MAPPING.replace("RULES", "\n".join(
        f"      - {{name: c{i}, type: DOUBLE, json_path: $.c{i}}}" for i in range(90)) + "\nRULES")  # fmt: skip
    had = [f"      - {{rule: 'n > {i}', severity: warn}}" for i in range(there)]
    columns = rows() | {f"c{i}": [None if n < i else n / 7 for n in range(ROWS)] for i in range(90)}

    def with_rules(lines: list[str]) -> ResolvedTarget:
        said = "\n".join(["    data_quality:", *lines]) if lines else ""
        return mapping_of(wide.replace("RULES", said)).by_name["l.plays"]

    learned = [s for s in suggest(profile(columns), None, with_rules(had)) if s.place == "data_quality"]
    full = with_rules([*had, *(f"      {s.yaml}" for s in learned)])
    assert len(row_rules(full)) == MAX_ROW_RULES
    assert {s.columns for s in learned if s.kind == "range"} >= {("c0",)} and ("c89",) not in {
        s.columns for s in learned
    }


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        ("{kind: not_null, columns: [half, season, batter_id, description, play_id]}", ("not_null", "")),
        (
            "{rule: 'half IS NOT NULL AND season IS NOT NULL'}",
            ("not_null", "batter_id,half,season,description,play_id"),
        ),
        ("{kind: unique, columns: [play_id]}", ("unique", "play_id")),
        ("{kind: range, column: speed, min: 0}", ("range", "speed")),
        ("{rule: 'speed < 110'}", ("range", "speed")),
        ("{rule: half <> ''}", ("values", "half")),
    ],
)
def test_what_the_mapping_says_is_left_out(rule: str, gone: tuple[str, str]) -> None:
    """Whichever way it says it."""
    learned = found(rows(), target(rule))
    assert gone not in learned
    assert not (gone == ("not_null", "") and any(kind == "not_null" for kind, _ in learned))
    assert len(learned) >= 4


def test_without_a_mapping_a_unique_column_is_the_key() -> None:
    """And its types are proposed for every text."""
    learned = found(rows())
    assert learned["unique", "play_id"].entry == {"primary_key": ["play_id"]}
    assert learned["unique", "play_id"].place == "target"
    assert yaml.safe_load(learned["unique", "play_id"].yaml) == {"primary_key": ["play_id"]}
    assert learned["length", "half"].entry["type"] == "VARCHAR(20)"
    assert ("range", "game_pk") not in learned and ("range", "batter_id") not in learned
    assert learned["range", "game_date"].entry["min"] == "2024-01-01"


def test_too_little_is_said() -> None:
    """From few rows, or few games, or values seen once, a suggestion says that it may be chance, and comes last."""
    assert suggest(profile({"a": pa.array([], pa.int32())}), None, None) == []
    few = found(rows(24), target())
    assert few and all(s.tentative and "only 24 rows, it may be chance" in s.evidence for s in few.values()
                       if s.columns != ("speed",))  # fmt: skip
    assert "only 21 values, it may be chance" in few["range", "speed"].evidence
    one = {name: values[:40] for name, values in rows().items()}
    learned = found(one, target())
    assert learned["range", "speed"].tentative and "only 1 game_pk" in learned["range", "speed"].evidence
    assert not learned["not_null", "batter_id,half,season,description,play_id"].tentative
    once = {**rows(), "half": ["top"] * (ROWS - 1) + ["rain"]}
    assert found(once, target())["values", "half"].tentative
    assert not found(rows(), target())["values", "half"].tentative


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "22", "-3"], {"type": "INT"}),
        (["1", "4000000000"], {"type": "BIGINT"}),
        (["2024-07-01", "2023-01-31"], {"type": "DATE"}),
        (["2024-07-01T01:02:03Z", "2024-07-02T00:00:00.5Z"], {"type": "TIMESTAMPTZ"}),
        (["true", "false"], {"type": "BOOLEAN"}),
        ([".300", "1.000"], {"type": "DOUBLE"}),
        (['{"a": 1}', "[]"], {"type": "JSONB"}),
        ([".300"] * 19 + [".---"], {"type": "DOUBLE", "lenient": True}),
        (["007", "042"], None),
        (["1", "x"], None),
        (["2024-13-01", "2024-07-01"], None),
    ],
)
def test_texts_that_are_something_else(values: list[str], expected: dict[str, Any] | None) -> None:
    """Numbers, dates, times, booleans, JSON; codes with leading zeros stay texts; a few misfits make it lenient."""
    learned = found({"c": (values * 60)[:240]})
    types = {k: v for k, v in learned["type", "c"].entry.items() if k != "name"} if ("type", "c") in learned else None
    assert types == expected
    if expected and "lenient" in expected:
        assert learned["type", "c"].evidence == "228 of 240 texts are written as DOUBLE, 12 would be NULL"


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0, 9, True, (0, 12)),
        (1, 9, True, (0, 11)),
        (-5, 5, True, (-8, 8)),
        (71.3, 103.1, False, (60, 120)),
        (0.2, 0.9, False, (0, 1)),
        (-23.6, -5.5, False, (-29, 0)),
        (5, 5, True, (3, 7)),
    ],
)
def test_ranges_are_wider_than_what_was_seen(low: Any, high: Any, whole: bool, expected: tuple[Any, Any]) -> None:
    """A quarter of the span on both sides, rounded outward; what was never negative stays so, shares stay shares."""
    assert widened(low, high, whole) == expected


def test_values_are_quoted_as_spark_reads_them() -> None:
    """A quote in a value does not end the text."""
    import sqlglot

    learned = found({"result": ["it's", "b\\c", "plain"] * 50})
    parsed = sqlglot.parse_one(learned["values", "result"].entry["rule"], read="spark")
    assert sorted(e.this for e in parsed.expressions) == ["b\\c", "it's", "plain"]
    assert ("values", "call") not in found({"call": ["it's", "plain"] * 50})  # no name by itself in SQL
