"""No usual response of any endpoint is left to Spark's expressions, which take twenty times as long as the walk."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from copy import deepcopy
from datetime import UTC, date, datetime
from pathlib import Path

from mlb_platform.extraction.walk import Walk
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from mlb_platform.simulator import simulate_games, write_captures_folder

NOW = datetime(2024, 7, 2, tzinfo=UTC)


def left_to_spark(folder: Path) -> tuple[Counter[str], list[str]]:
    """Walk every response of a captures folder that has a mapping; return how many each has, and those not walked."""
    mappings = Platform(Settings()).registry.mappings
    listed: dict[str, list[dict[str, str]]] = {}
    with (folder / "INDEX.tsv").open(encoding="utf-8", newline="") as index:
        for line in csv.DictReader(index, delimiter="\t"):
            listed.setdefault(f"{line['endpoint']}/{line['method']}", []).append(line)
    left = []
    for name in listed.keys() & mappings.keys():
        given = [
            (n, line["id"] or "1", "2024-07-01", NOW, gzip.decompress((folder / line["path"]).read_bytes()))
            for n, line in enumerate(listed[name])
        ]
        for batch in Walk(mappings[name]).batches(given):
            numbers = zip(batch["raw_id"].to_pylist(), batch["odd"].to_pylist(), strict=True)
            left += [listed[name][n]["path"] for n, odd in numbers if odd]
    return Counter({name: len(lines) for name, lines in listed.items() if name in mappings}), left


def test_simulated_responses_are_walked(tmp_path: Path) -> None:
    write_captures_folder(simulate_games(12, date(2024, 7, 1), 5), tmp_path, every_endpoint=True)
    found, left = left_to_spark(tmp_path)
    assert left == [] and found.keys() == Platform(Settings()).registry.mappings.keys()


def test_real_responses_are_walked(captures: Path) -> None:
    found, left = left_to_spark(captures)
    assert left == [] and found["game/play_by_play"] and found["game/live_game_v1"] > 9


def test_an_object_for_a_value_is_left_to_spark_though_no_row_has_it() -> None:
    """It is a failed cast: whether it is counted must not depend on what else is odd in the document."""
    feed = deepcopy(next(iter(simulate_games(1, date(2024, 7, 1), 5))).payload)
    stranger = {"person": {"id": 1, "fullName": "A B"}, "parentTeamId": 0}
    feed["liveData"]["boxscore"]["teams"]["home"]["players"]["ID1"] = stranger
    walk = Walk(Platform(Settings()).registry.get("game/live_game_v1"))
    odd = []
    for number in (1, {"of": 1}):
        stranger["parentTeamId"] = number
        (batch,) = walk.batches([(1, "1", "2024-07-01", NOW, json.dumps(feed).encode())])
        odd += batch["odd"].to_pylist()
    assert odd == [False, True]


def test_reviews_of_events_without_a_number_are_told_apart_by_their_place() -> None:
    """As the events themselves are: two reviews of a play are two rows, and each names the event it is of."""
    feed = deepcopy(next(iter(simulate_games(1, date(2024, 7, 1), 5))).payload)
    play = next(p for p in feed["liveData"]["plays"]["allPlays"] if len(p["playEvents"]) > 2)
    for event in play["playEvents"]:
        event.pop("index")
        event.pop("reviewDetails", None)
    review = {"isOverturned": False, "inProgress": False, "reviewType": "MJ"}
    play["playEvents"][0]["reviewDetails"] = play["playEvents"][2]["reviewDetails"] = play["reviewDetails"] = review
    mapping = Platform(Settings()).registry.get("game/live_game_v1")
    (batch,) = Walk(mapping).batches([(1, "1", "2024-07-01", NOW, json.dumps(feed).encode())])
    number = [t.name for t in mapping.targets].index("game.live_game_reviews")
    rows = [row["v"] for row in batch[f"t{number}"][0].as_py()]
    assert [r["event_index"] for r in rows if r["at_bat_index"] == play["atBatIndex"]] == [0, 2, None]


def test_a_series_without_games_holds_no_other_back() -> None:
    """Only games tell a season, which is part of the key: a series has no row before its first is listed."""
    played = {"series": {"id": "L_1"}, "totalGames": 1, "games": [{"gamePk": 7, "season": "2024"}]}
    document = {"series": [{"series": {"id": "W_1"}, "totalGames": 0, "games": []}, played]}
    walk = Walk(Platform(Settings()).registry.get("schedule/postseason_series"))
    (batch,) = walk.batches([(1, "", None, NOW, json.dumps(document).encode())])
    rows = [[row["v"] for row in batch[f"t{n}"][0].as_py()] for n in (0, 1)]
    assert [[(r["season"], r["series_id"]) for r in of_table] for of_table in rows] == [[("2024", "L_1")]] * 2
