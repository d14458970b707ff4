"""What a feed's plays say of every player and side, counted again, and every place where the feed says otherwise.

This is the definition of the reconciliation identities in plain Python: written from the JSON alone, by another way
than the simulator counts (`mlb_platform.simulator.tally`) and than the platform's tables do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

RUNNING_RESULTS = {
    "caught_stealing_2b", "caught_stealing_3b", "caught_stealing_home", "pickoff_1b", "pickoff_2b", "pickoff_3b",
    "pickoff_caught_stealing_2b", "pickoff_caught_stealing_3b", "pickoff_caught_stealing_home", "balk", "wild_pitch",
    "passed_ball", "other_out", "runner_double_play", "cs_double_play", "stolen_base_2b", "stolen_base_3b",
    "stolen_base_home", "defensive_indiff", "error", "game_advisory", "ejection", "injury",
}  # fmt: skip
"""Results of a play that end a half-inning or a game with the batter still up: no plate appearance."""
NO_AT_BAT = {
    "walk", "intent_walk", "hit_by_pitch", "sac_fly", "sac_bunt", "sac_fly_double_play", "sac_bunt_double_play",
    "catcher_interf",
}  # fmt: skip
HITS = {"single": 1, "double": 2, "triple": 3, "home_run": 4}
EXTRA = {"double": "doubles", "triple": "triples", "home_run": "homeRuns"}
ERRORS = {"f_fielding_error", "f_throwing_error", "f_error_dropped_ball", "c_catcher_interf"}

BATTING = (
    "plateAppearances", "atBats", "hits", "doubles", "triples", "homeRuns", "totalBases", "baseOnBalls",
    "intentionalWalks", "strikeOuts", "hitByPitch", "sacBunts", "sacFlies", "catchersInterference", "rbi", "runs",
    "stolenBases", "caughtStealing", "groundIntoDoublePlay",
)  # fmt: skip
PITCHING = (
    "battersFaced", "atBats", "hits", "doubles", "triples", "homeRuns", "baseOnBalls", "intentionalWalks", "strikeOuts",
    "hitBatsmen", "sacBunts", "sacFlies", "outs", "runs", "earnedRuns", "numberOfPitches", "wildPitches", "balks",
    "stolenBases", "caughtStealing",
)  # fmt: skip
FIELDING = ("putOuts", "assists", "errors")

Lines = dict[tuple[str, str, int], Counter]


def plays_of(feed: Json) -> list[Json]:
    """Give the plays of a feed."""
    return feed["liveData"]["plays"]["allPlays"]


def sides(play: Json) -> tuple[str, str]:
    """Give the side at bat and the side in the field of a play."""
    return ("away", "home") if play["about"]["halfInning"] == "top" else ("home", "away")


def is_plate_appearance(play: Json) -> bool:
    """Say whether a play is a complete plate appearance of its batter."""
    return play["about"]["isComplete"] and play["result"].get("eventType") not in RUNNING_RESULTS


def events_of(play: Json, kind: str) -> set[int]:
    """Give the indexes of a play's events on which runners moved by a wild pitch, passed ball ..."""
    return {row["details"]["playIndex"] for row in play["runners"] if row["details"]["eventType"] == kind}


def count_lines(feed: Json) -> Lines:
    """Count the lines of every player from the plays: by (group, side, player id)."""
    lines: Lines = defaultdict(Counter)
    starters = {side: box["pitchers"][:1] for side, box in feed["liveData"]["boxscore"]["teams"].items()}
    mound = {side: ids[0] for side, ids in starters.items() if ids}
    for play in plays_of(feed):
        batting, fielding = sides(play)
        _result(play, lines, batting, fielding)
        _runners(play, lines, batting, fielding, mound)
    return lines


def _result(play: Json, lines: Lines, batting: str, fielding: str) -> None:
    if not is_plate_appearance(play):
        return
    kind, matchup = play["result"]["eventType"], play["matchup"]
    batter = lines["batting", batting, matchup["batter"]["id"]]
    pitcher = lines["pitching", fielding, matchup["pitcher"]["id"]]
    batter["plateAppearances"] += 1
    pitcher["battersFaced"] += 1
    batter["totalBases"] += HITS.get(kind, 0)
    batter["rbi"] += play["result"]["rbi"]
    batter["hitByPitch"] += kind == "hit_by_pitch"
    pitcher["hitBatsmen"] += kind == "hit_by_pitch"
    batter["groundIntoDoublePlay"] += kind == "grounded_into_double_play" or (
        kind == "double_play"
        and any(e.get("hitData", {}).get("trajectory") == "ground_ball" for e in play["playEvents"])
    )
    batter["catchersInterference"] += kind == "catcher_interf"
    for line in (batter, pitcher):
        line["atBats"] += kind not in NO_AT_BAT
        line["hits"] += kind in HITS
        line["baseOnBalls"] += kind in ("walk", "intent_walk")
        line["intentionalWalks"] += kind == "intent_walk"
        line["strikeOuts"] += kind.startswith("strikeout")
        line["sacBunts"] += kind.startswith("sac_bunt")
        line["sacFlies"] += kind.startswith("sac_fly")
        if kind in EXTRA:
            line[EXTRA[kind]] += 1


def _runners(play: Json, lines: Lines, batting: str, fielding: str, mound: dict[str, int]) -> None:
    """Count what happened on the bases and in the field; each row belongs to the pitcher on the mound at its event."""
    at: dict[int, int] = {}
    for event in play["playEvents"]:
        if event["details"].get("eventType") == "pitching_substitution":
            mound[fielding] = event["player"]["id"]
        at[event["index"]] = mound[fielding]
        pitcher = lines["pitching", fielding, mound[fielding]]
        pitcher["numberOfPitches"] += event["isPitch"]
        pitcher["balks"] += event["details"].get("eventType") == "balk"
    mound[fielding] = play["matchup"]["pitcher"]["id"]
    for index in events_of(play, "wild_pitch"):
        lines["pitching", fielding, at[index]]["wildPitches"] += 1
    for row in play["runners"]:
        movement, details = row["movement"], row["details"]
        runner = lines["batting", batting, details["runner"]["id"]]
        pitcher = lines["pitching", fielding, at.get(details["playIndex"], mound[fielding])]
        pitcher["outs"] += bool(movement["isOut"])
        reason = details["movementReason"] or ""
        for line in (runner, pitcher):
            line["stolenBases"] += reason.startswith("r_stolen_base")
            line["caughtStealing"] += reason.startswith(("r_caught_stealing", "r_pickoff_caught_stealing"))
        if movement["end"] == "score":
            runner["runs"] += 1
            charged = lines["pitching", fielding, details["responsiblePitcher"]["id"]]
            charged["runs"] += 1
            charged["earnedRuns"] += details["earned"]
        for credit in row["credits"]:
            glove = lines["fielding", fielding, credit["player"]["id"]]
            glove["putOuts"] += credit["credit"] == "f_putout"
            glove["assists"] += credit["credit"] == "f_assist"
            glove["errors"] += credit["credit"] in ERRORS


def line_differences(feed: Json) -> Iterator[str]:
    """Yield every count of a player's or side's line in the box score that is not the one of the plays."""
    lines = count_lines(feed)
    passed = Counter(sides(play)[1] for play in plays_of(feed) for _ in events_of(play, "passed_ball"))
    for side, box in feed["liveData"]["boxscore"]["teams"].items():
        for group, keys in (("batting", BATTING), ("pitching", PITCHING), ("fielding", FIELDING)):
            sums: Counter = Counter()
            for player in box["players"].values():
                player_id, shown = player["person"]["id"], player["stats"][group]
                counted = lines.pop((group, side, player_id), Counter())
                for key in keys:
                    if key not in shown and not counted[key]:
                        continue
                    if shown.get(key) != counted[key]:
                        yield f"{side} {group} {key} of {player_id}: box {shown.get(key)}, plays {counted[key]}"
                    sums[key] += counted[key]
            totals = box["teamStats"][group]
            for key in keys:
                if key in totals and totals[key] != sums[key]:
                    yield f"{side} {group} {key}: box {totals[key]}, plays {sums[key]}"
        if totals and totals["passedBall"] != passed[side]:
            yield f"{side} fielding passedBall: box {totals['passedBall']}, plays {passed[side]}"
    for (group, side, player_id), counted in lines.items():
        if +counted:
            yield f"{side} {group} of {player_id}: not in the box score, plays {dict(+counted)}"


def line_score_differences(feed: Json) -> Iterator[str]:
    """Yield every number of the line score that is not the one of the plays."""
    counts: dict[tuple[int, str], Counter] = defaultdict(Counter)
    for inning, batting, left in left_on_base(feed):
        counts[inning, batting]["leftOnBase"] = left
    for play in plays_of(feed):
        batting, fielding = sides(play)
        inning = play["about"]["inning"]
        counts[inning, batting]["runs"] += sum(row["movement"]["end"] == "score" for row in play["runners"])
        counts[inning, batting]["hits"] += is_plate_appearance(play) and play["result"]["eventType"] in HITS
        for row in play["runners"]:
            counts[inning, fielding]["errors"] += sum(credit["credit"] in ERRORS for credit in row["credits"])
    line = feed["liveData"]["linescore"]
    for row in line["innings"]:
        for side in ("away", "home"):
            for key in ("runs", "hits", "errors", "leftOnBase"):
                shown, counted = row[side].get(key, 0), counts[row["num"], side][key]
                if shown != counted:
                    yield f"inning {row['num']} {side} {key}: line score {shown}, plays {counted}"
    for side in ("away", "home"):
        for key in ("runs", "hits", "errors", "leftOnBase"):
            counted = sum(cells[key] for (_, name), cells in counts.items() if name == side)
            if line["teams"][side].get(key) != counted:
                yield f"{side} {key}: line score {line['teams'][side].get(key)}, plays {counted}"


def left_on_base(feed: Json) -> Iterator[tuple[int, str, int]]:
    """Yield inning, side and runners left of every half-inning that is over: batters and placed runners that neither
    scored nor were put out."""
    plays = plays_of(feed)
    final = feed["gameData"]["status"]["abstractGameState"] == "Final"
    left: Counter = Counter()
    over: dict[tuple[int, str], bool] = {}
    for play in plays:
        half = (play["about"]["inning"], sides(play)[0])
        left[half] += is_plate_appearance(play)
        for row in play["runners"]:
            left[half] += row["details"]["eventType"] == "runner_placed"
            left[half] -= bool(row["movement"]["isOut"]) + (row["movement"]["end"] == "score")
        over[half] = play["count"]["outs"] == 3 or (final and play is plays[-1])
    for half, done in over.items():
        yield *half, left[half] if done else 0


def base_differences(feed: Json) -> Iterator[str]:
    """Yield runners that start where they do not stand, bases with two runners, and what `postOn…` says otherwise."""
    half: tuple[int, str] | None = None
    at: dict[int, str] = {}
    names = {"1B": "postOnFirst", "2B": "postOnSecond", "3B": "postOnThird"}
    for play in plays_of(feed):
        here = (play["about"]["inning"], play["about"]["halfInning"])
        if here != half:
            half, at = here, {}
        for event in play["playEvents"]:
            if event.get("position", {}).get("code") == "12" and event["replacedPlayer"]["id"] in at:
                at[event["player"]["id"]] = at.pop(event["replacedPlayer"]["id"])
        for row in play["runners"]:
            movement, runner = row["movement"], row["details"]["runner"]["id"]
            if movement["start"] is not None and at.get(runner) != movement["start"]:
                stood = at.get(runner, "no base")
                yield f"play {play['atBatIndex']}: runner {runner} starts at {movement['start']}, stood at {stood}"
            at.pop(runner, None)
            if movement["end"] in names:
                at[runner] = movement["end"]
        if len(set(at.values())) < len(at):
            yield f"play {play['atBatIndex']}: two on one base {at}"
        shown = {base: play["matchup"][key]["id"] for base, key in names.items() if key in play["matchup"]}
        stand = {} if play["count"]["outs"] == 3 else {base: runner for runner, base in at.items()}
        if shown != stand:
            yield f"play {play['atBatIndex']}: on base {shown}, runners {stand}"


def score_differences(feed: Json) -> Iterator[str]:
    """Yield every play whose running score is not the runs so far, and scoring plays that are not those with runs."""
    score = {"away": 0, "home": 0}
    scoring = []
    for play in plays_of(feed):
        runs = sum(row["movement"]["end"] == "score" for row in play["runners"])
        score[sides(play)[0]] += runs
        shown = (play["result"]["awayScore"], play["result"]["homeScore"])
        if shown != (score["away"], score["home"]):
            yield f"play {play['atBatIndex']}: score {shown}, runs {score}"
        if play["about"]["isScoringPlay"] != (runs > 0):
            yield f"play {play['atBatIndex']}: isScoringPlay {play['about']['isScoringPlay']}, {runs} runs"
        if runs:
            scoring.append(play["atBatIndex"])
        batted_in = sum(bool(row["details"]["rbi"]) for row in play["runners"])
        if play["result"]["rbi"] != batted_in:
            yield f"play {play['atBatIndex']}: rbi {play['result']['rbi']}, of its rows {batted_in}"
        if play["result"]["rbi"] > runs:
            yield f"play {play['atBatIndex']}: rbi {play['result']['rbi']}, {runs} runs"
    if feed["liveData"]["plays"]["scoringPlays"] != scoring:
        yield f"scoringPlays {feed['liveData']['plays']['scoringPlays']}, plays with runs {scoring}"


def out_differences(feed: Json) -> Iterator[str]:
    """Yield half-innings without three outs (but the last), outs out of order, and outs without one put-out each."""
    halves: dict[tuple[int, str], list[int]] = {}
    for play in plays_of(feed):
        key = (play["about"]["inning"], play["about"]["halfInning"])
        numbers = halves.setdefault(key, [])
        for row in play["runners"]:
            put_out = sum(credit["credit"] == "f_putout" for credit in row["credits"])
            if bool(row["movement"]["isOut"]) != (put_out == 1) or put_out > 1:
                yield f"play {play['atBatIndex']}: isOut {row['movement']['isOut']} with {put_out} put-outs"
            if row["movement"]["isOut"]:
                numbers.append(row["movement"]["outNumber"])
        if play["count"]["outs"] != len(numbers):
            yield f"play {play['atBatIndex']}: {play['count']['outs']} outs, rows {len(numbers)}"
    order = list(halves)
    if order != sorted(order, key=lambda half: (half[0], half[1] != "top")):
        yield f"half-innings out of order: {order}"
    for key, numbers in halves.items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)) or len(numbers) > 3:
            yield f"half {key}: out numbers {numbers}"
        if len(numbers) != 3 and key != order[-1]:
            yield f"half {key}: {len(numbers)} outs"


def order_differences(feed: Json) -> Iterator[str]:
    """Yield every plate appearance of somebody whose turn it is not."""
    for side, box in feed["liveData"]["boxscore"]["teams"].items():
        codes = {p["person"]["id"]: int(p["battingOrder"]) for p in box["players"].values() if "battingOrder" in p}
        turn, latest = 1, {slot: slot * 100 for slot in range(1, 10)}
        for play in plays_of(feed):
            if sides(play)[0] != side:
                continue
            code = codes.get(play["matchup"]["batter"]["id"])
            if code is None or code // 100 != turn or code < latest[turn]:
                yield f"play {play['atBatIndex']}: batter with order {code}, slot {turn} is up"
                turn = code // 100 if code else turn
            latest[turn] = code or latest[turn]
            if is_plate_appearance(play):
                turn = turn % 9 + 1


def pitch_differences(feed: Json) -> Iterator[str]:
    """Yield pitches that do not count up within their play, without a play id of their own, or not indexed by it."""
    seen: set[str] = set()
    for play in plays_of(feed):
        where = f"play {play['atBatIndex']}"
        thrown = 0
        for event in play["playEvents"]:
            thrown += event["isPitch"]
            if event.get("pitchNumber", thrown) != thrown or (event["isPitch"] and "pitchNumber" not in event):
                yield f"{where}: event {event['index']} has pitch number {event.get('pitchNumber')}, {thrown} thrown"
            if not event["isPitch"]:
                continue
            if event["index"] not in play["pitchIndex"]:
                yield f"{where}: pitch {event['index']} is not in pitchIndex"
            if event.get("playId") is None or event["playId"] in seen:
                yield f"{where}: pitch {event['index']} has the playId {event.get('playId')}"
            seen.add(event.get("playId"))


def all_differences(feed: Json) -> list[str]:
    """Give everything in a feed that does not agree with its plays."""
    checks = (line_differences, line_score_differences, score_differences, out_differences, order_differences,
              base_differences, pitch_differences)  # fmt: skip
    return [f"{check.__name__.removesuffix('_differences')}: {found}" for check in checks for found in check(feed)]
