"""A simulated feed agrees with itself: everything counted is counted again here, from the plays alone."""

from collections import Counter, defaultdict
from datetime import date
from itertools import pairwise
from typing import Any

import pytest

from mlb_platform.simulator import SimulatedCapture, later_capture, live_capture, simulate_games
from mlb_platform.simulator.game import play_game
from mlb_platform.simulator.schedule import games_on

Json = dict[str, Any]


@pytest.fixture(scope="module")
def captures() -> list[SimulatedCapture]:
    """Sixty final captures: four dates, both kinds of doubleheaders."""
    return list(simulate_games(60, date(2024, 7, 12), 11))


def plays_of(payload: Json) -> list[Json]:
    return payload["liveData"]["plays"]["allPlays"]


def half(play: Json) -> tuple[int, str]:
    return play["about"]["inning"], play["about"]["halfInning"]


def check_runners_and_scores(payload: Json) -> None:
    """Runners start where somebody stands, end where nobody does, and the running score is the runs scored."""
    bases: dict[str, int] = {}
    current, score, outs = None, {"top": 0, "bottom": 0}, 0
    for number, play in enumerate(plays_of(payload)):
        assert play["atBatIndex"] == play["about"]["atBatIndex"] == number
        if half(play) != current:
            current, bases, outs = half(play), {}, 0
        rbi = 0
        for event in play["playEvents"]:
            if event.get("position", {}).get("code") == "12":
                base = next(base for base, player in bases.items() if player == event["replacedPlayer"]["id"])
                bases[base] = event["player"]["id"]
        for row in play["runners"]:
            movement, details = row["movement"], row["details"]
            runner = details["runner"]["id"]
            assert 0 <= details["playIndex"] < len(play["playEvents"])
            if movement["start"] is not None:
                assert bases.pop(movement["start"]) == runner
            if movement["isOut"]:
                outs += 1
                assert movement["outNumber"] == outs and movement["end"] is None
                assert sum(c["credit"] == "f_putout" for c in row["credits"]) == 1
            elif movement["end"] == "score":
                score[current[1]] += 1
                rbi += details["rbi"]
                assert details["isScoringEvent"] and details["responsiblePitcher"] is not None
            else:
                assert movement["end"] not in bases
                bases[movement["end"]] = runner
        matchup, result = play["matchup"], play["result"]
        after = {"1B": "postOnFirst", "2B": "postOnSecond", "3B": "postOnThird"}
        shown = {base: matchup[key]["id"] for base, key in after.items() if key in matchup}
        assert shown == (bases if outs < 3 else {})
        assert (result["awayScore"], result["homeScore"]) == (score["top"], score["bottom"])
        assert result["rbi"] == rbi
        assert play["count"]["outs"] == outs <= 3
        assert play["runnerIndex"] == list(range(len(play["runners"])))


def check_box_score(payload: Json) -> None:
    """The totals of the box score are the sums of its players, agree with the line score, and list everybody once."""
    box, line = payload["liveData"]["boxscore"]["teams"], payload["liveData"]["linescore"]["teams"]
    for side in ("away", "home"):
        team = box[side]
        players = {player["person"]["id"]: player for player in team["players"].values()}
        sums: dict[str, Counter] = defaultdict(Counter)
        for player in players.values():
            for group in ("batting", "pitching"):
                shown = player["stats"][group]
                for key in shown:
                    if isinstance(shown[key], int):
                        sums[group][key] += shown[key]
                        assert player["seasonStats"][group][key] >= shown[key]
            sums["fielding"].update({k: v for k, v in player["stats"]["fielding"].items() if isinstance(v, int)})
            shown = player["stats"]["batting"]
            if shown:
                extra = shown["doubles"] + 2 * shown["triples"] + 3 * shown["homeRuns"]
                assert shown["totalBases"] == shown["hits"] + extra
        for group in ("batting", "pitching", "fielding"):
            for key, value in team["teamStats"][group].items():
                if isinstance(value, int) and key != "gamesPlayed":  # 0 in the totals of older feeds
                    assert value == sums[group][key], (group, key)
        other = "home" if side == "away" else "away"
        assert team["teamStats"]["batting"]["runs"] == line[side]["runs"]
        assert team["teamStats"]["pitching"]["runs"] == line[other]["runs"]
        assert team["teamStats"]["fielding"]["errors"] == line[side]["errors"]
        assert team["teamStats"]["fielding"]["putOuts"] == team["teamStats"]["pitching"]["outs"]
        used = {*team["batters"], *team["pitchers"]}
        assert used.isdisjoint(team["bench"]) and used.isdisjoint(team["bullpen"])
        assert used | {*team["bench"], *team["bullpen"]} == set(players)
        assert [players[i]["battingOrder"][0] for i in team["battingOrder"]] == [str(n) for n in range(1, 10)]


def check_events(payload: Json) -> None:
    """Events are numbered from 0, their indexes are complete, pitches have a playId each, counts follow the calls."""
    seen: set[str] = set()
    for play in plays_of(payload):
        events = play["playEvents"]
        assert [event["index"] for event in events] == list(range(len(events)))
        assert sorted(play["pitchIndex"] + play["actionIndex"]) == list(range(len(events)))
        balls = strikes = 0
        for event in events:
            if event["type"] in ("pitch", "no_pitch"):
                details = event["details"]
                balls += details["isBall"]
                if details["isStrike"] and not (details["code"] in "F" and strikes == 2):
                    strikes += 1
            assert (event["count"]["balls"], event["count"]["strikes"]) == (balls, strikes), event
            if event["isPitch"]:
                assert event["playId"] not in seen
                seen.add(event["playId"])
        assert (play["count"]["balls"], play["count"]["strikes"]) == (balls, strikes)
        assert all(a["startTime"] <= b["startTime"] for a, b in pairwise(events))


def test_plays_runners_score_and_events_agree(captures: list[SimulatedCapture]) -> None:
    for capture in captures:
        check_runners_and_scores(capture.payload)
        check_events(capture.payload)


def test_box_score_adds_up(captures: list[SimulatedCapture]) -> None:
    for capture in captures:
        check_box_score(capture.payload)


def test_half_innings_have_three_outs_and_games_end_as_the_rules_say(captures: list[SimulatedCapture]) -> None:
    for capture in captures:
        outs: Counter = Counter()
        for play in plays_of(capture.payload):
            outs[half(play)] += sum(row["movement"]["isOut"] for row in play["runners"])
        last = plays_of(capture.payload)[-1]
        result, final_half = last["result"], half(last)
        assert all(count == 3 for key, count in outs.items() if key != final_half)
        lead = result["homeScore"] - result["awayScore"]
        assert lead != 0 and final_half[0] >= 9
        if final_half[1] == "top":
            assert lead > 0 and outs[final_half] == 3
            cells = capture.payload["liveData"]["linescore"]["innings"][-1]["home"]
            assert "runs" not in cells
        elif lead < 0:
            assert outs[final_half] == 3
        else:
            assert last["about"]["isScoringPlay"] and outs[final_half] < 3


def test_everybody_scores_on_a_home_run_that_ends_the_game() -> None:
    """A walk-off home run counts every run, not the winning one alone."""
    last = play_game(games_on(date(2024, 6, 25))[4], 3).plays[-1]
    assert last["result"]["eventType"] == "home_run" and not last["about"]["isTopInning"]
    assert [row["movement"]["end"] for row in last["runners"]] == ["score"] * 4
    assert last["result"]["rbi"] == 4


def test_a_pitch_counts_the_outs_before_it_and_a_runner_put_out_those_after_it(
    captures: list[SimulatedCapture],
) -> None:
    """As real feeds do, where it is so of every strikeout, ball in play, pickoff and caught stealing."""
    seen: Counter[tuple[str, int]] = Counter()
    for capture in captures:
        outs, current = 0, None
        for play in plays_of(capture.payload):
            outs, current = (outs if half(play) == current else 0), half(play)
            for event in play["playEvents"]:
                made = sum(r["movement"]["isOut"] and r["details"]["playIndex"] == event["index"]
                           for r in play["runners"])  # fmt: skip
                if made:
                    seen[event["type"], event["count"]["outs"] - outs] += 1
                outs += made
    assert set(seen) == {("pitch", 0), ("action", 1)}


def test_decisions_belong_to_the_winning_and_losing_side(captures: list[SimulatedCapture]) -> None:
    for capture in captures:
        live = capture.payload["liveData"]
        box, teams, decisions = live["boxscore"]["teams"], live["linescore"]["teams"], live["decisions"]
        won, lost = ("home", "away") if teams["home"]["runs"] > teams["away"]["runs"] else ("away", "home")
        assert decisions["winner"]["id"] in box[won]["pitchers"]
        assert decisions["loser"]["id"] in box[lost]["pitchers"]
        if "save" in decisions:
            assert decisions["save"]["id"] == box[won]["pitchers"][-1] != decisions["winner"]["id"]
        for side, key, name in ((won, "wins", "winner"), (lost, "losses", "loser")):
            credited = [p["person"]["id"] for p in box[side]["players"].values() if p["stats"]["pitching"].get(key)]
            assert credited == [decisions[name]["id"]]


def test_scoring_plays_and_innings_index_the_plays(captures: list[SimulatedCapture]) -> None:
    for capture in captures:
        plays = capture.payload["liveData"]["plays"]
        scoring = [play["atBatIndex"] for play in plays["allPlays"] if play["about"]["isScoringPlay"]]
        assert plays["scoringPlays"] == scoring
        by_half = defaultdict(list)
        for play in plays["allPlays"]:
            by_half[half(play)].append(play["atBatIndex"])
        for number, row in enumerate(plays["playsByInning"], 1):
            assert row["top"] == by_half[number, "top"] and row["bottom"] == by_half[number, "bottom"]
        assert plays["currentPlay"] == plays["allPlays"][-1]


def test_the_games_show_what_baseball_has(captures: list[SimulatedCapture]) -> None:
    """Sixty games hold the features that mappings have to cope with."""
    results, actions, kinds, reasons = Counter(), Counter(), Counter(), Counter()
    innings = []
    walk_offs = reviews = 0
    for capture in captures:
        plays = plays_of(capture.payload)
        innings.append(plays[-1]["about"]["inning"])
        walk_offs += "note" in capture.payload["liveData"]["linescore"]
        for play in plays:
            results[play["result"]["eventType"]] += 1
            reviews += "reviewDetails" in play
            reasons.update(row["details"]["movementReason"] for row in play["runners"])
            for event in play["playEvents"]:
                kinds[event["type"]] += 1
                actions[event["details"].get("eventType")] += 1
    assert {"single", "double", "triple", "home_run", "walk", "intent_walk", "strikeout", "hit_by_pitch", "field_out",
            "force_out", "grounded_into_double_play", "sac_fly", "sac_bunt", "field_error"} <= set(results)  # fmt: skip
    assert {"pitching_substitution", "offensive_substitution", "defensive_substitution", "defensive_switch",
            "stolen_base_2b", "caught_stealing_2b", "wild_pitch", "passed_ball", "mound_visit", "ejection",
            "runner_placed", "pickoff_1b"} <= set(actions)  # fmt: skip
    assert {"pitch", "action", "pickoff", "no_pitch", "stepoff"} <= set(kinds)
    assert max(innings) > 9 and walk_offs and reviews
    assert 3.2 < sum(capture.payload["liveData"]["linescore"]["teams"]["home"]["runs"] for capture in captures) / 60 < 7


def test_reviews_are_of_somebody_and_told_where_they_belong(captures: list[SimulatedCapture]) -> None:
    """What was reviewed is marked so; the side that asked had reason to; what is used and left is what plays tell."""
    kinds = Counter()
    for capture in captures:
        data, asked = capture.payload["gameData"], defaultdict(list)
        ids = {side: data["teams"][side]["id"] for side in ("away", "home")}
        for play in plays_of(capture.payload):
            batting, fielding = ("away", "home") if play["about"]["isTopInning"] else ("home", "away")
            events = [event for event in play["playEvents"] if event["details"]["hasReview"]]
            assert events == [event for event in play["playEvents"] if "reviewDetails" in event]
            assert play["about"]["hasReview"] == ("reviewDetails" in play)
            for reviewed in [*events, *([play] if "reviewDetails" in play else [])]:
                review = reviewed["reviewDetails"]
                kinds["event" if reviewed in events else "play", review["reviewType"]] += 1
                kinds["further"] += "additionalReviews" in review
                team, changed = review.get("challengeTeamId"), review["isOverturned"]
                assert team in (*ids.values(), None) and not review["inProgress"]
                if review["reviewType"] == "MJ":
                    last = reviewed if reviewed in events else reviewed["playEvents"][-1]
                    against = last["details"]["isBall"] == changed
                    assert team == ids[batting if against else fielding] and review["player"]["id"]
                elif team is not None:
                    details = reviewed["details"] if reviewed in events else reviewed["result"]
                    assert "challenged (" in details["description"]
                    assert team == ids[fielding if details["isOut"] == changed else batting]
                asked[team, review["reviewType"] == "MJ"].append(changed)
        for side, team in ids.items():
            calls, pitches = asked[team, False], asked[team, True]
            assert data["review"][side] == {"used": len(calls), "remaining": 1 - calls.count(False)}
            if "absChallenges" in data:
                won, lost = pitches.count(True), pitches.count(False)
                left = {"usedSuccessful": won, "usedFailed": lost, "remaining": 2 - lost}
                assert data["absChallenges"][side] == left and lost <= 2
            else:
                assert not pitches
    assert {("event", "MA"), ("event", "MJ"), ("play", "MJ"), ("play", "MF"), ("play", "NH"), "further"} <= set(kinds)


@pytest.mark.parametrize("through", [1, 20, 45])
def test_a_live_feed_is_the_game_up_to_a_play(captures: list[SimulatedCapture], through: int) -> None:
    capture = captures[3]
    live = live_capture(capture, through)
    assert plays_of(live.payload)[: through - 1] == plays_of(capture.payload)[: through - 1]
    assert len(plays_of(live.payload)) == through
    assert live.payload["gameData"]["status"]["detailedState"] == "In Progress"
    assert "decisions" not in live.payload["liveData"]
    check_runners_and_scores(live.payload)
    check_box_score(live.payload)
    assert live.captured_at < capture.captured_at


def test_a_play_going_on_is_the_last_of_a_live_feed_and_not_yet_counted(captures: list[SimulatedCapture]) -> None:
    going_on = 0
    for number, capture in enumerate(captures[:30]):
        live = live_capture(capture, 5 + number, pitches=2)
        last = plays_of(live.payload)[-1]
        if not last["about"]["isComplete"]:
            going_on += 1
            assert len(plays_of(live.payload)) == 6 + number
            assert last["atBatIndex"] == 5 + number and last["pitchIndex"] and "hasReview" not in last["about"]
            assert live.payload["liveData"]["linescore"]["offense"]["batter"] == last["matchup"]["batter"]
        check_runners_and_scores(live.payload)
        check_box_score(live.payload)
        check_events(live.payload)
        if number > 20:
            assert later_capture(live, "correction").captured_at > live.captured_at
    assert going_on > 15


def test_a_corrected_feed_agrees_with_itself(captures: list[SimulatedCapture]) -> None:
    """After a scoring change line score and box score are again those of the plays."""
    for seed, capture in enumerate(captures[:20]):
        corrected = later_capture(capture, "correction", seed)
        check_runners_and_scores(corrected.payload)
        check_box_score(corrected.payload)
        check_events(corrected.payload)
