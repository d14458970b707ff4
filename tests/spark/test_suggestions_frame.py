"""What a frame tells beyond its columns' figures: keys of several columns, equal columns, orders."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from helpers import mapping_of
from pyspark.sql import SparkSession

from mlb_platform.mapping.resolve import ResolvedTarget
from mlb_platform.quality import suggestions_search
from mlb_platform.quality.suggestions import Suggestion
from mlb_platform.quality.validator import DataQualityValidator

MAPPING = """
version: "1.0"
source:
  endpoint: learned
  method: v1
  raw_table: learned.v1
  entity_key: {name: game_pk, type: BIGINT, json_path: $.id}
targets:
  - name: l.events
    primary_key: [game_pk, n]
    array_source: $.events
    fields:
      - {name: n, type: INT, json_path: $.n}
      - {name: play_index, type: INT, json_path: $.play}
      - {name: event_index, type: INT, json_path: $.event}
      - {name: seen, type: TIMESTAMPTZ, json_path: $.seen}
      - {name: again, type: TIMESTAMPTZ, json_path: $.again}
      - {name: score, type: INT, json_path: $.score}
      - {name: speed, type: INT, json_path: $.speed}
RULES
"""
NAMES = "game_pk bigint, n int, play_index int, event_index int, seen timestamp, again timestamp, score int, speed int"


def target(rules: str = "") -> ResolvedTarget:
    return mapping_of(MAPPING.replace("RULES", f"    data_quality:\n      - {rules}" if rules else "")).by_name[
        "l.events"
    ]


def events() -> list[tuple[Any, ...]]:
    """Return ten games of 200 events, four a play; the score rises, once each fifth play; speeds go up and down."""
    r = random.Random(2)
    start = datetime(2024, 7, 1, tzinfo=UTC)
    rows: list[tuple[Any, ...]] = []
    for g in range(10):
        for n in range(200):
            seen = start + timedelta(days=g, seconds=20 * n + r.randint(0, 9))
            rows.append((g, n, n // 4, n % 4, seen, seen, n // 20, r.randint(60, 100)))
    r.shuffle(rows)
    return rows


def learned(
    spark: SparkSession, rows: list[tuple[Any, ...]], known: ResolvedTarget | None
) -> dict[tuple[str, tuple[str, ...]], Suggestion]:
    found = DataQualityValidator(spark).suggest_constraints(spark.createDataFrame(rows, NAMES).repartition(3), known)
    return {(s.kind, s.columns): s for s in found if s.kind in ("unique", "equal", "ordered")}


def test_keys_equal_columns_and_orders(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds is found with its figures, though a sample decided what to count; what does not hold is not."""
    monkeypatch.setattr(suggestions_search, "SAMPLE", 700)
    found = learned(spark, events(), target())
    key = found["unique", ("game_pk", "play_index", "event_index")]
    assert key.entry["columns"] == ["game_pk", "play_index", "event_index"]
    assert key.evidence.startswith("2,000 different combinations in 2,000 rows (alone: game_pk 10, play_index 50, ")
    assert "by chance 1,000 pairs of rows would be the same" in key.evidence  # 2000 * 1999 / 2 / (10 * 50 * 4) = 999.5
    assert found["equal", ("seen", "again")].entry["rule"] == "seen = again"
    assert "2,000 rows" in found["equal", ("seen", "again")].evidence
    score = found["ordered", ("score",)]
    assert (score.entry["order_by"], score.entry["within"]) == (["n"], ["game_pk"])
    assert score.evidence == "rises 90 times and never falls, by n within game_pk"
    assert ("ordered", ("speed",)) not in found and ("ordered", ("event_index",)) not in found
    assert [s for s in found if s[0] == "unique"] == [("unique", ("game_pk", "play_index", "event_index"))]


def test_one_row_against_it_is_enough(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that a sample would hardly hold: a repeated key, an unequal value, a fall."""
    monkeypatch.setattr(suggestions_search, "SAMPLE", 300)
    rows = sorted(events())
    rows[-1] = (*rows[-1][:2], *rows[-2][2:5], rows[-1][5], 0, 70)
    found = learned(spark, rows, target())
    assert not {("unique", ("game_pk", "play_index", "event_index")), ("equal", ("seen", "again")),
                ("ordered", ("score",))} & set(found)  # fmt: skip


def test_what_is_said_is_left_out(spark: SparkSession) -> None:
    """A rule that orders, compares or tells apart."""
    assert ("ordered", ("score",)) not in learned(
        spark, events(), target("{kind: ordered, columns: [score], order_by: [n], within: [game_pk]}")
    )
