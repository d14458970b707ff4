"""Simulated feeds hold what real ones hold: leaf paths, weight; measured against the captures where there are any."""

import gzip
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest

from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.mapping.paths import render_steps
from mlb_platform.mapping.shape import column_paths
from mlb_platform.simulator import SimulatedCapture, live_capture, simulate_games

MAPPINGS = Path(__file__).parents[2] / "mapping_configs"
SHARE = 0.9


def leaf_paths(value: Any, path: str = "$") -> Iterator[str]:
    """Give the path of every leaf, arrays folded to [*] and keys such as ID123 to {*}; empty containers are leaves."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            folded = "{*}" if key.startswith("ID") and key[2:].isdigit() else key
            yield from leaf_paths(inner, f"{path}.{folded}")
    elif isinstance(value, list) and value:
        for inner in value:
            yield from leaf_paths(inner, f"{path}[*]")
    else:
        yield path + ("{}" if value == {} else "[]" if value == [] else "")


def filled_paths(value: Any) -> set[str]:
    """Give every path that leads to something that is not null, inner ones too."""
    found: set[str] = set()

    def walk(inner: Any, path: str) -> None:
        if inner is not None:
            found.add(path)
        if isinstance(inner, dict):
            for key, below in inner.items():
                walk(below, path + ("{*}" if key.startswith("ID") and key[2:].isdigit() else f".{key}"))
        elif isinstance(inner, list):
            for below in inner:
                walk(below, f"{path}[*]")

    walk(value, "$")
    return found


@pytest.fixture(scope="module")
def captures() -> list[SimulatedCapture]:
    return list(simulate_games(30, date(2024, 7, 12), 7))


@pytest.fixture(scope="module")
def payloads(captures: list[SimulatedCapture]) -> list[dict[str, Any]]:
    return [capture.payload for capture in captures]


def captured_finals() -> list[dict[str, Any]]:
    folder = os.environ.get("MLB_CAPTURES")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MLB_CAPTURES names no folder of captures to compare with")
    feeds = []
    for path in sorted(Path(folder).glob("game/live_game_v1/*.json.gz")):
        feed = orjson.loads(gzip.decompress(path.read_bytes()))
        data = feed["gameData"]
        if data["status"]["abstractGameState"] == "Final" and int(data["game"]["season"]) >= 2022:
            feeds.append(feed)
    return feeds


def test_thirty_games_hold_the_leaf_paths_common_to_real_final_feeds(payloads: list[dict[str, Any]]) -> None:
    real = captured_finals()
    common = set.intersection(*(set(leaf_paths(feed)) for feed in real))
    held = [set(leaf_paths(payload)) for payload in payloads]
    together = len(common & set.union(*held)) / len(common)
    single = min(len(common & paths) / len(common) for paths in held)
    assert together >= SHARE, sorted(common - set.union(*held))
    assert single >= SHARE


def test_thirty_games_fill_every_mapped_path(captures: list[SimulatedCapture]) -> None:
    """Each path that a column of the feed's mapping reads has a value that is not null in one of the games at least.

    Each game is looked at when it is over and twice while it goes on: at its end hardly anybody stands on base.
    """
    filled: set[str] = set()
    for number, capture in enumerate(captures):
        for feed in (capture, live_capture(capture, 15 + number, 2), live_capture(capture, 20 + number)):
            filled |= filled_paths(feed.payload)
    mapping = MappingRegistry(MAPPINGS).get("game/live_game_v1")
    empty = {
        f"{table}.{column}": render_steps(steps)
        for (table, column), paths in column_paths(mapping).items()
        for steps in paths
        if render_steps(steps) not in filled
    }
    assert not empty


def test_leaves_have_the_types_real_feeds_give_them(payloads: list[dict[str, Any]]) -> None:
    """No simulated leaf has a type that the real leaf of that path never has (null aside)."""

    def types(feeds: list[dict[str, Any]]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}

        def walk(value: Any, path: str) -> None:
            if isinstance(value, dict):
                for key, inner in value.items():
                    walk(inner, f"{path}.{'{*}' if key.startswith('ID') and key[2:].isdigit() else key}")
            elif isinstance(value, list):
                for inner in value:
                    walk(inner, f"{path}[*]")
            else:
                name = type(value).__name__
                found.setdefault(path, set()).add("float" if name == "int" else name)

        for feed in feeds:
            walk(feed, "$")
        return found

    real, ours = types(captured_finals()), types(payloads)
    wrong = {path: kinds for path, kinds in ours.items() if path in real and kinds - real[path] - {"NoneType"}}
    assert not wrong


def test_feeds_weigh_what_real_ones_weigh(payloads: list[dict[str, Any]]) -> None:
    sizes = [len(orjson.dumps(payload)) for payload in payloads]
    assert min(sizes) >= 600_000 and max(sizes) <= 1_500_000
