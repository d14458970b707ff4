"""No usual response of any endpoint is left to Spark's expressions, which take twenty times as long as the walk."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
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
