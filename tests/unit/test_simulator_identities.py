"""Every reconciliation identity holds in simulated feeds, and in the real captures but for what is known of them."""

import gzip
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from feed_identities import all_differences, plays_of

from mlb_platform.simulator import SimulatedCapture, later_capture, live_capture, simulate_games

Json = dict[str, Any]
KNOWN = {
    (633860, "line: away pitching doubles: box 0, plays 4"): "before 2024 pitchers' doubles and triples are 0",
    (633860, "line: away pitching wildPitches: box 0, plays 1"): "in 2021 a side's wild pitches are 0",
    (718263, "line: away pitching doubles: box 0, plays 2"): "before 2024 pitchers' doubles and triples are 0",
    (718263, "line: away pitching triples: box 0, plays 1"): "before 2024 pitchers' doubles and triples are 0",
    (718263, "line: home pitching doubles: box 0, plays 1"): "before 2024 pitchers' doubles and triples are 0",
    (718263, "score: play 31: isScoringPlay False, 1 runs"): "a balk during the play scored, its result did not",
    (718322, "line: home pitching doubles: box 0, plays 2"): "before 2024 pitchers' doubles and triples are 0",
    (718594, "line: away pitching doubles: box 0, plays 3"): "before 2024 pitchers' doubles and triples are 0",
    (718594, "line: home pitching doubles: box 0, plays 2"): "before 2024 pitchers' doubles and triples are 0",
}


def check(captures: Iterator[SimulatedCapture]) -> int:
    """Expect no difference in any of these captures and give the most innings one of them has."""
    innings = 0
    for capture in captures:
        assert all_differences(capture.payload) == [], f"game {capture.game_pk}, {capture.captured_at}"
        innings = max(innings, plays_of(capture.payload)[-1]["about"]["inning"])
    return innings


@pytest.mark.parametrize("seed", [3, 41])
def test_final_feeds_hold_every_identity(seed: int) -> None:
    """Sixty games a seed, extra innings with the placed runner among them."""
    assert check(simulate_games(60, date(2024, 6, 14), seed)) > 9


def test_corrected_and_unfinished_feeds_hold_every_identity() -> None:
    def captures() -> Iterator[SimulatedCapture]:
        for number, final in enumerate(simulate_games(20, date(2025, 8, 1), 5)):
            yield (corrected := later_capture(final, "correction", number))
            yield later_capture(later_capture(corrected, "moved", number), "correction", number + 1)
            yield live_capture(final, 3 * number + 2, pitches=number % 4)

    check(captures())


def first(play: Callable[[Json], bool], feed: Json) -> Json:
    return next(p for p in plays_of(feed) if play(p))


def change_box(feed: Json) -> None:
    box = feed["liveData"]["boxscore"]["teams"]["home"]
    box["players"][f"ID{box['pitchers'][0]}"]["stats"]["pitching"]["outs"] += 1


def change_inning(feed: Json) -> None:
    feed["liveData"]["linescore"]["innings"][0]["away"]["leftOnBase"] += 1


def drop_put_out(feed: Json) -> None:
    row = first(lambda p: p["result"]["eventType"] == "strikeout" and p["runners"], feed)["runners"][0]
    row["credits"] = []


def swap_batters(feed: Json) -> None:
    one, two = plays_of(feed)[:2]
    one["matchup"]["batter"], two["matchup"]["batter"] = two["matchup"]["batter"], one["matchup"]["batter"]


def drop_pitch(feed: Json) -> None:
    play = first(lambda p: sum(e["isPitch"] for e in p["playEvents"]) > 2, feed)
    play["playEvents"].remove(next(e for e in play["playEvents"] if e["isPitch"]))


def drop_run(feed: Json) -> None:
    play = first(lambda p: p["about"]["isScoringPlay"], feed)
    play["runners"] = [row for row in play["runners"] if row["movement"]["end"] != "score"]


def drop_play(feed: Json) -> None:
    del plays_of(feed)[4]


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        (change_box, {"line"}), (change_inning, {"line_score"}), (drop_put_out, {"line", "out"}),
        (swap_batters, {"order", "line"}), (drop_pitch, {"line", "pitch"}), (drop_run, {"score", "line", "line_score"}),
        (drop_play, {"order", "line"}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_noticed(change: Callable[[Json], None], noticed: set[str]) -> None:
    feed = deepcopy(next(simulate_games(1, date(2024, 7, 4), 2)).payload)
    assert all_differences(feed) == []
    change(feed)
    assert noticed <= {found.split(":")[0] for found in all_differences(feed)}


def test_real_feeds_hold_them_but_for_what_is_known(captures: Path) -> None:
    """Feeds of 2018 have neither outs nor event types in their runners, so nothing can be counted from them."""
    found = set()
    feeds = 0
    for path in sorted(captures.glob("game/live_game_v1/*.json.gz")):
        feed = orjson.loads(gzip.decompress(path.read_bytes()))
        data = feed["gameData"]
        if data["game"]["season"] == "2018" or data["status"]["abstractGameState"] == "Preview":
            continue
        feeds += 1
        found |= {(feed["gamePk"], difference) for difference in all_differences(feed)}
    assert feeds and {pair for pair in found if pair not in KNOWN} == set()
