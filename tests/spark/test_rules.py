"""Quality rules: each kind finds what it must and nothing else; NULL passes, as in CHECK."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Bench, fresh_database, mapping_of
from pyspark.sql import SparkSession

from mlb_platform.extraction.extract import Extracted
from mlb_platform.platform import Platform
from mlb_platform.quality.findings import SAMPLES, Finding
from mlb_platform.settings import Settings
from resources.postgres import Postgres

MAPPING = """
version: "1.0"
source:
  endpoint: rules
  method: v1
  raw_table: rules.v1
  entity_key: {name: game_pk, type: BIGINT, json_path: $.id}
  partition: {name: game_date, type: DATE, json_path: $.date}
targets:
  - name: q.teams
    primary_key: [game_pk, team]
    array_source: $.teams
    fields:
      - {name: team, type: INT, json_path: $}
  - name: q.plays
    primary_key: [game_pk, n]
    array_source: $.plays
    fields:
      - {name: n, type: INT, json_path: $position}
      - {name: inning, type: INT, json_path: $.inning}
      - {name: half, type: VARCHAR(6), json_path: $.half}
      - {name: speed, type: "NUMERIC(5,2)", json_path: $.speed}
      - {name: team, type: INT, json_path: $.team}
      - {name: home, type: INT, json_path: $.home}
      - {name: away, type: INT, json_path: $.away}
      - {name: code, type: TEXT, json_path: $.code}
      - {name: seen, type: TIMESTAMPTZ, json_path: $.seen}
      - {name: total, type: INT, expression: home + away}
    data_quality:
      - {rule: "inning >= 1 AND half IN ('top', 'bottom')", severity: error, name: inning}
      - {rule: "total < 20 OR code LIKE 'slug%'", severity: warn, name: total}
      - {rule: "game_pk > 0 AND game_date >= '2000-01-01' AND seen >= '2000-01-01'", severity: error, name: inherited}
      - {kind: not_null, columns: [half, code], severity: warn, name: there}
      - {kind: range, column: speed, min: 30, max: 110.5, severity: warn, name: speed}
      - {kind: range, column: home, max: 50, severity: error, name: home}
      - {kind: range, column: game_date, min: "2001-02-03", severity: warn, name: era}
      - {kind: unique, columns: [game_pk, code], severity: warn, name: code_once}
      - {kind: ordered, columns: [home, away], order_by: [n], within: [game_pk], severity: warn, name: rising}
      - {kind: ordered, columns: [speed], order_by: [n], within: [half], severity: warn, name: faster}
      - {kind: reference, columns: [team], to_table: q.teams, to_columns: [team], severity: warn, name: team}
      - {kind: reference, columns: [team], to_table: other.teams, to_columns: [id], severity: error, name: elsewhere}
"""

GOOD: dict[str, Any] = {
    "inning": 1, "half": "top", "speed": 90, "team": 5, "home": 0, "away": 0, "code": None,
    "seen": "2024-05-01T20:00:00Z",
}  # fmt: skip


def play(**changes: Any) -> dict[str, Any]:
    """Return a play that breaks no rule, changed."""
    return GOOD | {"code": f"c{len(changes)}"} | changes


CASES: dict[str, tuple[list[dict[str, Any]], dict[str, tuple[int, str]]]] = {
    "nothing": ([play()], {}),
    "nulls pass": ([{"half": "top", "code": "a"}, {"half": "bottom", "code": "b"}], {}),
    "expression false": ([play(inning=0), play(half="middle", code="x"), play(inning=9, code="y")], {"inning": (2,
    "error")}),
    "false beside null": ([play(inning=None, half="middle")], {"inning": (1, "error")}),
    "computed column": ([play(home=10, away=10)], {"total": (1, "warn")}),
    "computed column, other branch": ([play(home=10, away=10, code="slugfest")], {}),
    "technical and inherited columns": ([play(seen="1999-12-31T23:59:59Z")], {"inherited": (1, "error")}),
    "missing": ([play(code=None), play(half=None, code="x")], {"there": (2, "warn")}),
    "out of range": ([play(speed=29.99), play(speed=110.51, code="x"), play(speed=110.5, code="y")],
                     {"speed": (2, "warn"), "faster": (1, "warn")}),
    "above one bound": ([play(home=51, away=-40)], {"home": (1, "error")}),
    "twice": ([play(code="a"), play(code="b"), play(code="a"), play(code="a")], {"code_once": (3, "warn")}),
    "null twice": ([play(code=None), play(code=None)], {"there": (2, "warn")}),
    "falling": ([play(home=1, code="a"), play(home=2, away=1, code="b"), play(home=2, away=0, code="c"), play(home=0,
    code="d")],
                {"rising": (2, "warn")}),
    "falling after null": ([play(home=5, code="a"), play(home=None, code="b"), play(home=3, code="c")], {}),
    "falling in another group": ([play(speed=90, code="a"), play(speed=80, half="bottom", code="b"), play(speed=91,
    code="c"),
                                  play(speed=79.5, half="bottom", code="d")], {"faster": (1, "warn")}),
    "orphan": ([play(team=6), play(team=7, code="x"), play(team=None, code="y")], {"team": (2, "warn")}),
    "many": ([play(inning=0, code=f"c{i}") for i in range(SAMPLES + 3)], {"inning": (SAMPLES + 3, "error")}),
}  # fmt: skip
IDS = {name: i for i, name in enumerate(CASES, start=1)}


@pytest.fixture(scope="module")
def extracted(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extracted]:
    """All cases are captures of one job: a rule never looks from one into another."""
    documents = [
        {"id": IDS[name], "date": "2024-05-01", "teams": [5], "plays": plays} for name, (plays, _) in CASES.items()
    ]
    documents.append({"id": 99, "date": "2001-02-02", "teams": [6, 7], "plays": [play(team=6, code="a")]})
    with fresh_database(postgres) as database:
        yield Bench(database, tmp_path_factory.mktemp("lake"), spark, mapping_of(MAPPING)).extract(documents)


def found(extracted: Extracted, raw_id: int) -> dict[str, Finding]:
    """Return the findings of one capture by rule."""
    return {f.rule: f for f in extracted.findings if f.raw_id == raw_id}


@pytest.mark.parametrize("name", CASES)
def test_rules_find_what_they_must(extracted: Extracted, name: str) -> None:
    """Rule, count and severity; rows checked are all of the capture's."""
    plays, expected = CASES[name]
    findings = found(extracted, IDS[name])
    assert {rule: (f.failed, f.severity) for rule, f in findings.items()} == expected
    assert all(f.checked == len(plays) and f.table == "q.plays" for f in findings.values())


def test_samples_show_the_key_and_the_columns_of_the_rule(extracted: Extracted) -> None:
    """A few rows of each finding are kept, in order, with what the rule looks at."""
    finding = found(extracted, IDS["expression false"])["inning"]
    assert finding.samples == [
        {"game_pk": IDS["expression false"], "n": 0, "inning": 0, "half": "top"},
        {"game_pk": IDS["expression false"], "n": 1, "inning": 1, "half": "middle"},
    ]
    assert len(found(extracted, IDS["many"])["inning"].samples) == SAMPLES
    assert [s["n"] for s in found(extracted, IDS["falling"])["rising"].samples] == [2, 3]


def test_a_bound_on_an_inherited_column_is_judged(extracted: Extracted) -> None:
    """A range of dates; the other captures of the job are not concerned."""
    assert {r: f.failed for r, f in found(extracted, len(CASES) + 1).items()} == {"era": 1}
    assert sum(f.rule == "era" for f in extracted.findings) == 1


def pitched(innings: str, outs: int, **more: int) -> dict[str, Any]:
    """Return the statistics of a pitcher."""
    return {"inningsPitched": innings, "outs": outs, **more}


@pytest.mark.parametrize("innings", ["5", "5.0", "4.2"])
@pytest.mark.parametrize("right", [True, False])
def test_innings_of_the_shipped_mappings_are_read_with_and_without_a_point(
    postgres: Postgres, spark: SparkSession, tmp_path: Path, innings: str, right: bool
) -> None:
    """The outs of a box score's lines and totals, and of a person's statistics; at bats of 0 are none that count."""
    outs = {"5": 15, "5.0": 15, "4.2": 14}[innings] + (not right)
    line = {"person": {"id": 7}, "stats": {"pitching": pitched(innings, outs, hits=3, homeRuns=1, atBats=0)}}
    side = {"team": {"id": 109}, "players": {"ID7": line}, "teamStats": {"pitching": pitched(innings, outs)}}
    box = {"id": 1, "teams": {"home": side, "away": side}, "officials": []}
    season = {"season": "2024", "stat": pitched(innings, outs)}
    of_kind = {"type": {"displayName": "season"}, "group": {"displayName": "pitching"}, "splits": [season]}
    person = {"id": 7, "people": [{"id": 7, "fullName": "Pat Arm", "stats": [of_kind]}]}
    registry = Platform(Settings(home=tmp_path)).registry
    broken: set[str] = set()
    with fresh_database(postgres) as database:
        for name, document in (("game/boxscore", box), ("person/person", person)):
            bench = Bench(database, tmp_path / "lake", spark, registry.get(name))
            broken |= {f.rule for f in bench.extract([document]).findings}
    named = {"outs_match_innings", "pitching_outs_are_innings", "outs_are_innings", "hits_within_at_bats"}
    assert broken & named == (set() if right else named - {"hits_within_at_bats"})
