"""Splits of a person's season, of every kind the API lists one season in: each is a row of its own."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mlb_platform.ingestion.captures_folder import ingest_folder
from mlb_platform.platform import Platform
from mlb_platform.simulator import simulate_games
from mlb_platform.simulator.person_stats import people_with_stats

Json = dict[str, Any]
DAY, SEED = date(2024, 6, 14), 3
PITCHERS = [{"id": 1, "fullName": "One Pitcher"}, {"id": 2, "fullName": "Other Pitcher"}]
PITCH: Json = {"atBatNumber": 6, "isPitch": True, "count": {"balls": 1}, "details": {"eventType": "ball"}}
KINDS: dict[str, tuple[list[Json], list[str]]] = {
    "homeAndAway": ([{"isHome": True}, {"isHome": False}], ["home=true", "home=false"]),
    "winLoss": ([{"isWin": True}, {"isWin": False}], ["win=true", "win=false"]),
    "byMonth": ([{"month": 4}, {"month": 5}], ["month=4", "month=5"]),
    "byDayOfWeek": ([{"dayOfWeek": 0}, {"dayOfWeek": 1}], ["day=0", "day=1"]),
    "vsPlayer": ([{"pitcher": pitcher} for pitcher in PITCHERS], ["pitcher=1", "pitcher=2"]),
    "opponentsFaced": ([{"batter": {"id": n, "fullName": "A Batter"}} for n in (7, 8)], ["batter=7", "batter=8"]),
    "pitchArsenal": (
        [{"stat": {"type": {"code": code, "description": code}, "count": 9}} for code in ("FF", "SL")],
        ["pitch=FF", "pitch=SL"],
    ),
    "pitchLog": (
        [{"game": {"gamePk": 7}, "pitcher": PITCHERS[0], "stat": {"play": PITCH | {"playId": i}}} for i in ("a", "b")],
        ["play=a", "play=b"],
    ),
}


@pytest.fixture
def answer() -> Json:
    """One person with two splits of his season of every kind, besides what he has anyway."""
    (game, *_) = simulate_games(1, DAY, SEED)
    batter = game.payload["liveData"]["boxscore"]["teams"]["home"]["battingOrder"][0]
    found = people_with_stats([batter], DAY, SEED)
    (person,) = found["people"]
    (season,) = person["stats"][0]["splits"]
    for kind, (splits, _) in KINDS.items():
        listed = [deepcopy(season) | part for part in splits]
        person["stats"].append({**person["stats"][0], "type": {"displayName": kind}, "splits": listed})
    return found


def test_every_split_of_a_season_has_its_own_key(platform: Platform, answer: Json, tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    folder.mkdir()
    (folder / "people.json").write_text(json.dumps(answer))
    (folder / "INDEX.tsv").write_text(
        "path\tendpoint\tmethod\tcaptured_at\npeople.json\tperson\tperson\t2024-06-14T12:00:00Z\n"
    )
    mappings = platform.registry.mappings
    ingest_folder(folder, platform.raw, platform.quality, mappings, only_mapping="person/person")
    report = platform.transformation("person/person").run()
    assert report.held == []
    with platform.postgres.transaction() as connection:
        rows = connection.execute(
            b"SELECT stat_type, split_key, hits FROM person.person_stats ORDER BY 2 DESC"
        ).fetchall()
    keys = {kind: [key for of, key, _ in rows if of == kind] for kind in KINDS}
    assert {kind: sorted(key.rsplit("/", 1)[-1] for key in found) for kind, found in keys.items()} == {
        kind: sorted(parts) for kind, (_, parts) in KINDS.items()
    }
    (season,) = (key for kind, key, _ in rows if kind == "season" and "position=" not in key)
    assert all(key.startswith(f"{season}/") for found in keys.values() for key in found)
    platform.postgres.close()
