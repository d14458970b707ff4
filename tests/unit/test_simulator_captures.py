"""Captures of simulated games: same seed same bytes, later captures differ as named, the folder reads back."""

import csv
import gzip
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from mlb_platform.simulator import (
    SimulatedCapture,
    later_capture,
    live_capture,
    preview_capture,
    simulate_games,
    write_captures_folder,
)
from mlb_platform.simulator.generation import generate_into_folder
from resources.errors import PlatformError

Json = dict[str, Any]
DAY = date(2024, 7, 12)


@pytest.fixture(scope="module")
def captures() -> list[SimulatedCapture]:
    return list(simulate_games(15, DAY, 7))


def dump(capture: SimulatedCapture) -> bytes:
    return orjson.dumps(capture.payload)


def plays_of(capture: SimulatedCapture) -> list[Json]:
    return capture.payload["liveData"]["plays"]["allPlays"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(captures: list[SimulatedCapture]) -> None:
    assert [dump(c) for c in simulate_games(15, DAY, 7)] == [dump(c) for c in captures]
    assert dump(next(simulate_games(1, DAY, 8))) != dump(captures[0])


def test_a_game_does_not_depend_on_how_many_are_made_nor_on_the_first_date(captures: list[SimulatedCapture]) -> None:
    assert dump(next(simulate_games(1, DAY, 7))) == dump(captures[0])
    day_before = list(simulate_games(16, DAY - timedelta(days=1), 7))
    assert dump(day_before[15]) == dump(captures[0])


def test_captured_at_is_aware_after_the_last_play_and_is_the_feeds_time_stamp(captures: list[SimulatedCapture]) -> None:
    for capture in captures:
        assert capture.captured_at.utcoffset() == timedelta(0)
        assert capture.payload["metaData"]["timeStamp"] == f"{capture.captured_at:%Y%m%d_%H%M%S}"
        assert plays_of(capture)[-1]["playEndTime"] < capture.captured_at.astimezone(UTC).isoformat()
        assert capture.payload["gamePk"] == capture.game_pk == capture.payload["gameData"]["game"]["pk"]


def test_every_feed_says_that_it_is_simulated(captures: list[SimulatedCapture]) -> None:
    assert all("imulated" in capture.payload["copyright"] for capture in captures)


@pytest.mark.parametrize("year", [1931, 2008, 2019, 2024, 2026, 2040])
def test_players_are_of_playing_age_and_the_season_that_of_the_date_in_any_year(year: int) -> None:
    data = next(simulate_games(1, date(year, 8, 9), 1)).payload["gameData"]
    assert {player["currentAge"] for player in data["players"].values()} <= set(range(21, 42))
    assert all(player["mlbDebutDate"] < f"{year}-12" for player in data["players"].values())
    assert (data["game"]["season"], data["venue"]["season"]) == (str(year), str(year))
    assert data["teams"]["home"]["season"] == year


def test_a_correction_takes_a_hit_away_charges_an_error_and_moves_a_strike_zone(
    captures: list[SimulatedCapture],
) -> None:
    for seed, capture in enumerate(captures):
        before = dump(capture)
        later = later_capture(capture, "correction", seed)
        assert dump(capture) == before, "the earlier capture is left as it was"
        assert later.captured_at > capture.captured_at and later.game_pk == capture.game_pk
        old, new = (c.payload["liveData"]["linescore"]["teams"] for c in (capture, later))
        for key, change in (("hits", -1), ("errors", 1), ("runs", 0)):
            assert sum(new[side][key] - old[side][key] for side in old) == change
        kinds = [
            (a["result"]["eventType"], b["result"]["eventType"])
            for a, b in zip(plays_of(capture), plays_of(later), strict=True)
        ]
        assert [pair for pair in kinds if pair[0] != pair[1]] == [("single", "field_error")]
        zones = [
            (a["pitchData"]["strikeZoneTop"], b["pitchData"]["strikeZoneTop"])
            for p, q in zip(plays_of(capture), plays_of(later), strict=True)
            for a, b in zip(p["playEvents"], q["playEvents"], strict=True)
            if a["isPitch"]
        ]
        assert sum(a != b for a, b in zones) == 1


def test_rows_vanish_and_what_is_left_is_still_numbered_without_gaps(captures: list[SimulatedCapture]) -> None:
    for seed, capture in enumerate(captures):
        later = later_capture(capture, "vanished", seed)
        assert later.captured_at > capture.captured_at

        def count(c: SimulatedCapture) -> tuple[int, int, int]:
            plays = plays_of(c)
            rows, events = sum(len(p["runners"]) for p in plays), sum(len(p["playEvents"]) for p in plays)
            return len(plays), rows, events

        old, new = count(capture), count(later)
        walk_off = plays_of(capture)[-1]["about"]["isScoringPlay"]
        assert new[0] == old[0] - (0 if walk_off else 1)
        assert new[1] < old[1] and new[2] < old[2]
        for play in plays_of(later):
            assert [event["index"] for event in play["playEvents"]] == list(range(len(play["playEvents"])))
            assert sorted(play["pitchIndex"] + play["actionIndex"]) == list(range(len(play["playEvents"])))
            assert all(row["details"]["playIndex"] < len(play["playEvents"]) for row in play["runners"])
        assert "winner" in later.payload["liveData"]["decisions"]


def test_a_moved_game_has_another_official_date_and_tells_where_it_came_from(captures: list[SimulatedCapture]) -> None:
    for capture in (captures[0], preview_capture(captures[1])):
        moved = later_capture(capture, "moved", 2)
        when = moved.payload["gameData"]["datetime"]
        assert moved.official_date > capture.official_date
        assert when["officialDate"] == when["rescheduleGameDate"] == moved.official_date.isoformat()
        assert when["originalDate"] == when["rescheduledFromDate"] == capture.official_date.isoformat()
        assert moved.captured_at > capture.captured_at and moved.game_pk == capture.game_pk
        assert [p["result"] for p in plays_of(moved)] == [p["result"] for p in plays_of(capture)]
        assert all(play["about"]["startTime"][:10] >= when["officialDate"] for play in plays_of(moved))


def test_later_captures_can_follow_one_another(captures: list[SimulatedCapture]) -> None:
    capture = captures[2]
    for kind in ("correction", "moved", "vanished", "correction"):
        later = later_capture(capture, kind)
        assert later.captured_at > capture.captured_at
        capture = later
    errors = [play for play in plays_of(capture) if "scoring changed" in play["result"]["description"]]
    assert len(errors) >= 1 and capture.official_date > DAY


def test_a_preview_has_nothing_played_and_everybody_twice_on_the_bench(captures: list[SimulatedCapture]) -> None:
    preview = preview_capture(captures[0])
    live, data = preview.payload["liveData"], preview.payload["gameData"]
    assert data["status"]["abstractGameState"] == "Preview" and data["weather"] == {} and data["gameInfo"] == {}
    assert live["plays"] == {"allPlays": [], "scoringPlays": [], "playsByInning": []}
    assert live["linescore"]["innings"] == [] and "decisions" not in live
    for team in live["boxscore"]["teams"].values():
        assert team["battingOrder"] == team["batters"] == team["pitchers"] == []
        assert len(team["bench"]) == len(team["bullpen"]) == 26 and len(set(team["bench"])) == 13
    assert preview.captured_at < live_capture(captures[0], 5).captured_at < captures[0].captured_at
    with pytest.raises(ValueError, match="no plays yet"):
        later_capture(preview, "correction")


def test_a_live_capture_needs_a_play_of_the_game(captures: list[SimulatedCapture]) -> None:
    for wrong in (0, len(plays_of(captures[0]))):
        with pytest.raises(ValueError, match="give 1 to"):
            live_capture(captures[0], wrong)


def test_the_folder_holds_what_the_index_says_and_is_written_alike_each_time(
    captures: list[SimulatedCapture], tmp_path: Path
) -> None:
    chosen = [*captures[:2], later_capture(captures[0], "correction"), preview_capture(captures[1])]
    for name in ("one", "two"):
        assert write_captures_folder(chosen, tmp_path / name) == 4
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert all((tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes() for path in files)
    with (tmp_path / "one" / "INDEX.tsv").open(encoding="utf-8") as index:
        rows = list(csv.DictReader(index, delimiter="\t"))
    assert [int(row["id"]) for row in rows] == [capture.game_pk for capture in chosen]
    assert [row["state"] for row in rows] == ["Final/Final", "Final/Final", "Final/Final", "Preview/Scheduled"]
    for row, capture in zip(rows, chosen, strict=True):
        body = gzip.decompress((tmp_path / "one" / row["path"]).read_bytes())
        assert orjson.loads(body) == capture.payload
        assert row["captured_at"] == capture.captured_at.isoformat().replace("+00:00", "Z")


def test_a_folder_written_again_holds_what_its_index_names_and_nothing_else(
    captures: list[SimulatedCapture], tmp_path: Path
) -> None:
    """What was simulated before into it is gone: the new index would not name it."""
    write_captures_folder(captures[:3], tmp_path)
    write_captures_folder(captures[3:5], tmp_path)
    rows = (tmp_path / "INDEX.tsv").read_text("utf-8").splitlines()[1:]
    named = {row.split("\t")[0] for row in rows}
    assert len(named) == 2 and {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.gz")} == named


def test_no_folder_of_other_captures_is_written_into_nor_a_file(
    captures: list[SimulatedCapture], tmp_path: Path
) -> None:
    """Their index says when they were captured, which nobody else knows."""
    (tmp_path / "INDEX.tsv").write_text("mine", "utf-8")
    (tmp_path / "mine.json").write_text("{}", "utf-8")
    with pytest.raises(PlatformError, match=r"captures that are not simulated, such as mine\.json"):
        write_captures_folder(captures[:1], tmp_path)
    with pytest.raises(PlatformError, match="not simulated"):
        generate_into_folder([captures[0].game.scheduled], 1, [], tmp_path)
    assert (tmp_path / "INDEX.tsv").read_text("utf-8") == "mine"
    with pytest.raises(PlatformError, match="is a file: give a folder"):
        write_captures_folder(captures[:1], tmp_path / "mine.json")
