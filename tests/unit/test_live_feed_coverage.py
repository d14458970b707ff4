"""Every leaf of the sections a live feed's mapping covers completely is a column or is ignored with a reason."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mlb_platform.mapping.loader import load_file, load_text
from mlb_platform.mapping.paths import render_steps
from mlb_platform.mapping.resolve import ResolvedMapping, resolve
from mlb_platform.mapping.shape import column_paths
from mlb_platform.simulator import live_capture, simulate_games

MAPPING = Path(__file__).parents[2] / "mapping_configs" / "game" / "live_game_v1.yaml"
CAPTURES = Path(os.environ.get("MLB_CAPTURES", "captures-not-given")) / "game" / "live_game_v1"
COMPLETE = (
    "$.liveData.plays.allPlays[*]",
    "$.gameData.players",
    "$.gameData.venue",
    "$.liveData.boxscore.officials",
    "$.liveData.linescore.innings",
)
SIDES = ("home", "away")
SEVENTEEN = {
    "metadata", "linescore_innings", "players", "plays", "pitch_events", "runners", "scoring_plays", "umpires",
    "venue_details",
    *(f"{side}_{name}" for side in SIDES for name in ("batting_order", "pitchers", "bench", "bullpen")),
}  # fmt: skip
"""The tables that the base of the platform promised, by their names after game.live_game_."""
BEYOND = {
    "play_actions", "batted_balls", "fielding_credits", "substitutions", "reviews", "decisions", "player_batting",
    "player_pitching", "player_fielding", "team_totals", "situation", "hit_chart", "notes", "team_notes",
    "top_performers",
}  # fmt: skip

with_captures = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason="MLB_CAPTURES names no folder of captures with game/live_game_v1"
)


@pytest.fixture(scope="module")
def mapping() -> ResolvedMapping:
    """Return the shipped mapping."""
    return resolve(load_file(MAPPING))


@pytest.fixture(scope="module")
def mapped(mapping: ResolvedMapping) -> dict[tuple[str, str], list[str]]:
    """Return the JSON paths of every (table, column) that comes from the document."""
    return {column: [render_steps(p) for p in paths] for column, paths in column_paths(mapping).items()}


@pytest.fixture(scope="module")
def simulated() -> set[str]:
    """Return the paths of all values in thirty simulated games, each when it is over and while it goes on."""
    found: set[str] = set()
    for number, capture in enumerate(simulate_games(30, date(2024, 7, 1), seed=1)):
        for feed in (capture, live_capture(capture, 20 + number, 2)):
            found |= set(leaves(feed.payload, nulls=False))
    return found


def leaves(value: Any, path: str = "$", nulls: bool = True) -> Iterator[str]:
    """Yield the folded path of every leaf: items of arrays as [*], members of objects keyed by id as {*}."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, path + ("{*}" if re.fullmatch(r"ID\d+", name) else f".{name}"), nulls)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, f"{path}[*]", nulls)
    elif nulls or value is not None:
        yield path


def below(path: str, top: str) -> bool:
    """Return whether a path is `top` or lies under it."""
    return path == top or path.startswith((f"{top}.", f"{top}[", f"{top}{{"))


def uncovered(found: set[str], mapping: ResolvedMapping, mapped: dict[tuple[str, str], list[str]]) -> set[str]:
    """Return the leaves that no column takes, nor a member of, and that are not ignored.

    What an object has that goes to the mapping of another endpoint as a whole (people, venues) is that mapping's.
    """
    read = {path for paths in mapped.values() for path in paths}
    whole = [path for (table, name), paths in mapped.items() if is_json(mapping, table, name) for path in paths]
    given = [path for embed in mapping.config.source.embeds for path in embed.from_paths]
    return {
        path
        for path in found
        if not any(below(column, path) for column in read)
        and not any(below(path, other) for other in (*whole, *given))
        and not any(below(path, ignored.path) for ignored in mapping.config.ignore_paths)
    }


def is_json(mapping: ResolvedMapping, table: str, column: str) -> bool:
    """Return whether a column takes a whole part of the document as it is."""
    return mapping.by_name[table].by_name[column].type.name == "JSONB"


def captured_leaves() -> dict[str, str]:
    """Return the leaves of all captures, each with one capture that has it."""
    return {
        path: file.name
        for file in sorted(CAPTURES.glob("*.json.gz"))
        for path in set(leaves(json.loads(gzip.decompress(file.read_bytes()))))
    }


def test_the_mapping_has_its_tables_and_nothing_to_complain_about(mapping: ResolvedMapping) -> None:
    """The loader finds neither errors nor warnings, so every table and every column has a description."""
    names = [t.name.removeprefix("game.live_game_") for t in mapping.targets]
    assert len(SEVENTEEN) == 17 and set(names) == SEVENTEEN | BEYOND and len(names) == len(set(names))
    assert load_text(MAPPING.read_text("utf-8"), MAPPING.name)[1] == []
    assert [c.name for t in mapping.targets for c in t.config.fields if not c.description.endswith(".")] == []


def test_error_rules_are_only_about_keys_and_identities(mapping: ResolvedMapping) -> None:
    """A capture is held back for keys and impossible identities alone; ranges, orders and orphans are counted."""
    for target in mapping.targets:
        for rule in target.rules:
            if rule.severity == "error" and rule.kind == "expression":
                assert re.fullmatch(r"\w+_(pk|id) > 0|home_team_id != away_team_id", str(rule.rule)), rule.label
            elif rule.severity == "error":
                assert rule.kind in ("not_null", "unique"), rule.label


def test_ignored_paths_say_why_and_hide_no_column(
    mapping: ResolvedMapping, mapped: dict[tuple[str, str], list[str]]
) -> None:
    """No column reads what is said to be ignored; out of what is a copy of something mapped one may, such as an id."""
    for ignored in mapping.config.ignore_paths:
        assert ignored.reason.endswith("."), ignored.path
        if ignored.copy_of is not None:
            continue
        read = [column for column, paths in mapped.items() if any(below(p, ignored.path) for p in paths)]
        assert not read, f"{ignored.path} is ignored and read by {read}"


@with_captures
@pytest.mark.parametrize("section", COMPLETE)
def test_every_leaf_of_a_covered_section_is_mapped_or_ignored(
    section: str, mapping: ResolvedMapping, mapped: dict[tuple[str, str], list[str]]
) -> None:
    """Paths are folded here and compared with those of the columns; nothing in the section is dropped in silence.

    A null that stands where other feeds have an object (the pitcher responsible for a run) is covered by its members.
    """
    found = {path: file for path, file in captured_leaves().items() if below(path, section)}
    assert found, f"no capture has {section}"
    missing = {path: found[path] for path in uncovered(set(found), mapping, mapped)}
    assert not missing, f"neither a column nor ignored: {missing}"


@with_captures
def test_columns_no_capture_shows_are_declared_optional(
    mapping: ResolvedMapping, mapped: dict[tuple[str, str], list[str]]
) -> None:
    """A column whose paths match nothing in any capture says so; few ignored paths are known from other feeds only."""
    found = captured_leaves()
    for target in mapping.targets:
        for field in target.config.fields:
            paths = mapped.get((target.name, field.name), [])
            if paths and not any(below(leaf, path) for path in paths for leaf in found):
                assert field.optional, f"{target.name}.{field.name}: no capture has {paths}"
    unseen = {i.path for i in mapping.config.ignore_paths if not any(below(path, i.path) for path in found)}
    empty = {"$.gameData.alerts", *(f"$.liveData.leaders.{of}" for of in ("hitDistance", "hitSpeed", "pitchSpeed"))}
    assert unseen == empty | {"$.liveData.plays.allPlays[*].playEvents[*].details.violation.player.link"}


def test_thirty_simulated_games_fill_every_mapped_path(
    mapping: ResolvedMapping, mapped: dict[tuple[str, str], list[str]], simulated: set[str]
) -> None:
    """A clone without captures shows a value in every column: no path of the mapping is empty in the sample."""
    empty = {
        f"{table}.{column}": path
        for (table, column), paths in mapped.items()
        for path in paths
        if path not in simulated
        and not (is_json(mapping, table, column) and any(below(leaf, path) for leaf in simulated))
    }
    assert not empty


@pytest.mark.parametrize("section", COMPLETE)
def test_every_leaf_of_a_covered_section_of_simulated_games_is_mapped_or_ignored(
    section: str, mapping: ResolvedMapping, mapped: dict[tuple[str, str], list[str]], simulated: set[str]
) -> None:
    """The same as for captures, on feeds that every clone has."""
    assert not uncovered({path for path in simulated if below(path, section)}, mapping, mapped)
