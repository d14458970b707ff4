"""Lines of every player and inning, counted from the plays alone."""

from __future__ import annotations

from collections.abc import Iterable

from mlb_platform.simulator.game_state import StartingSide
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.plate_appearance import is_plate_appearance
from mlb_platform.simulator.reviews import PITCH, reviews_of
from mlb_platform.simulator.side_tally import Appearance, SideTally, Tally
from mlb_platform.simulator.stat_lines import batting_line, fielding_line, pitching_line

_HITS = {"single": 1, "double": 2, "triple": 3, "home_run": 4}
_HIT_KEYS = {"double": "doubles", "triple": "triples", "home_run": "homeRuns"}
_NO_AT_BAT = frozenset({"walk", "intent_walk", "hit_by_pitch", "sac_fly", "sac_bunt", "catcher_interf"})
_OUT_KINDS = {"ground_ball": "groundOuts", "fly_ball": "flyOuts", "popup": "popOuts", "line_drive": "lineOuts"}
_ERRORS = frozenset({"f_fielding_error", "f_throwing_error", "c_catcher_interf"})


def _begin(start: StartingSide) -> SideTally:
    side = SideTally(start, {player.id: player for player in start.roster})
    for slot, player in enumerate(start.lineup):
        side.slots.append([player.id])
        side.batting[player.id] = batting_line() | {"gamesPlayed": 1}
        side.fielding[player.id] = fielding_line()
        side.order_codes[player.id] = str((slot + 1) * 100)
    for player_id, code in start.positions.items():
        side.positions[player_id] = [code]
        side.fielders[code] = player_id
    _pitcher_enters(side, start.pitcher.id, 0, 0, started=True)
    return side


def _pitcher_enters(side: SideTally, player_id: int, lead: int, inherited: int, started: bool = False) -> None:
    line = pitching_line() | {"gamesPlayed": 1, "gamesPitched": 1, "gamesStarted": int(started)}
    line["inheritedRunners"] = inherited
    side.pitching[player_id] = line
    side.fielding[player_id] = fielding_line()
    side.fielders["1"] = player_id
    side.positions.setdefault(player_id, ["1"])
    side.appearances.append(Appearance(player_id, lead, inherited))


def tally_plays(away: StartingSide, home: StartingSide, plays: Iterable[Json], final: bool) -> Tally:
    """Count plays, in order, from the two starting line-ups; `final` says whether the game ended with the last."""
    tally = Tally(_begin(away), _begin(home), tuple(plays))
    half: tuple[int, bool] | None = None
    at: dict[int, str] = {}  # who is on which base
    lead = 0  # of the home side
    outs = 0
    for play in tally.plays:
        about = play["about"]
        top = about["isTopInning"]
        batting, fielding = tally.side(not top), tally.side(top)
        if (about["inning"], top) != half:
            _leave_on_base(tally, half, len(at))
            half, outs = (about["inning"], top), 0
            at.clear()
            batting.inning(about["inning"])
            fielding.inning(about["inning"])
        for event in play["playEvents"]:
            if event["type"] == "action":
                _action(tally, event, batting, fielding, lead if top else -lead, len(at))
        _count_pitches(play, fielding)
        scoring_position = not {"2B", "3B"}.isdisjoint(at.values())
        _move(at, play)
        _count_result(play, batting, fielding, outs, scoring_position, list(at.values()))
        _count_rows(play, batting, fielding)
        _count_challenges(tally, play)
        outs = play["count"]["outs"]
        result = play["result"]
        lead = result["homeScore"] - result["awayScore"]
        _follow_lead(fielding, lead if top else -lead)
        _follow_lead(batting, -lead if top else lead, batting=True)
        for side in (tally.away, tally.home):
            side.appearances[-1].left_lead = lead if side is tally.home else -lead
    if final or outs == 3:
        _leave_on_base(tally, half, len(at))
    for side in (tally.away, tally.home):
        for line in side.fielding.values():
            line["chances"] = line["putOuts"] + line["assists"] + line["errors"]
    return tally


def _count_challenges(tally: Tally, play: Json) -> None:
    """Count the managers' challenges; the umpires' own reviews and challenged pitches are not theirs."""
    for review in reviews_of(play):
        if "challengeTeamId" in review and review["reviewType"] != PITCH:
            challenger = tally.side(review["challengeTeamId"] == tally.home.start.club.id)
            challenger.challenges_used += 1
            challenger.challenges_lost += not review["isOverturned"]


def _move(at: dict[int, str], play: Json) -> None:
    """Bring the runners to where a play leaves them."""
    for event in play["playEvents"]:
        if event.get("position", {}).get("code") == "12":
            at[event["player"]["id"]] = at.pop(event["replacedPlayer"]["id"])
    for row in play["runners"]:
        runner, end = row["details"]["runner"]["id"], row["movement"]["end"]
        at.pop(runner, None)
        if end is not None and end != "score":
            at[runner] = end


def _leave_on_base(tally: Tally, half: tuple[int, bool] | None, on_base: int) -> None:
    if half is not None:
        tally.side(not half[1]).inning(half[0])[3] += on_base


def _follow_lead(side: SideTally, lead: int, batting: bool = False) -> None:
    stay = side.appearances[-1]
    if not batting and stay.entered_lead > 0 and lead <= 0:
        stay.lost_lead = True


def _action(tally: Tally, event: Json, batting: SideTally, fielding: SideTally, lead: int, on_base: int) -> None:
    kind = event["details"]["eventType"]
    if kind == "mound_visit":
        fielding.mound_visits += 1
        return
    if kind == "wild_pitch":
        fielding.pitching[fielding.fielders["1"]]["wildPitches"] += 1
        return
    if kind == "passed_ball":
        fielding.fielding[fielding.fielders["2"]]["passedBall"] += 1
        return
    if kind == "balk":
        fielding.pitching[fielding.fielders["1"]]["balks"] += 1
        return
    if not event.get("isSubstitution"):
        return
    player_id, code = event["player"]["id"], event["position"]["code"]
    if kind == "pitching_substitution":
        _pitcher_enters(fielding, player_id, lead, on_base)
        return
    side = batting if kind == "offensive_substitution" else fielding
    slot = int(event["battingOrder"]) // 100 - 1
    if kind != "defensive_switch":
        side.slots[slot].append(player_id)
        side.batting[player_id] = batting_line() | {"gamesPlayed": 1}
        side.fielding[player_id] = fielding_line()
        side.order_codes[player_id] = event["battingOrder"]
        side.positions[player_id] = []
        if kind == "offensive_substitution":
            letter = "abcdefghijklm"[sum(1 for note in side.notes if note[1].isalpha())]
            mark = letter if code == "11" else str(1 + sum(1 for note in side.notes if note[1].isdigit()))
            side.notes.append((player_id, mark, event["details"]["description"]))
    side.positions[player_id].append(code)
    if code not in ("10", "11", "12"):
        side.fielders[code] = player_id


def _count_pitches(play: Json, fielding: SideTally) -> None:
    line = fielding.pitching[play["matchup"]["pitcher"]["id"]]
    thrown = strikes = 0
    for event in play["playEvents"]:
        if event["isPitch"]:
            thrown += 1
            strikes += event["details"]["isStrike"] or event["details"]["isInPlay"]
    line["numberOfPitches"] += thrown
    line["pitchesThrown"] += thrown
    line["strikes"] += strikes
    line["balls"] += thrown - strikes


def _count_result(
    play: Json, batting: SideTally, fielding: SideTally, outs: int, in_position: bool, left: list[str]
) -> None:
    if not play["about"]["isComplete"]:
        return
    kind = play["result"]["eventType"]
    if not is_plate_appearance(kind):
        return
    matchup = play["matchup"]
    batter_id, pitcher_id = matchup["batter"]["id"], matchup["pitcher"]["id"]
    line, pitched = batting.batting[batter_id], fielding.pitching[pitcher_id]
    inning = play["about"]["inning"]
    batting.next_slot = (int(batting.order_codes[batter_id]) // 100) % 9
    fielding.pitched_to[pitcher_id, inning] = fielding.pitched_to.get((pitcher_id, inning), 0) + 1
    line["plateAppearances"] += 1
    pitched["battersFaced"] += 1
    keys: list[str] = []
    if kind not in _NO_AT_BAT:
        keys.append("atBats")
        batting.risp[1] += in_position
    if kind in _HITS:
        keys.append("hits")
        batting.risp[0] += in_position
        line["totalBases"] += _HITS[kind]
        batting.inning(inning)[1] += 1
        if kind in _HIT_KEYS:
            keys.append(_HIT_KEYS[kind])
    elif kind in ("strikeout", "strikeout_double_play"):
        keys.append("strikeOuts")
    elif kind in ("walk", "intent_walk"):
        keys.append("baseOnBalls")
        if kind == "intent_walk":
            keys.append("intentionalWalks")
    elif kind == "hit_by_pitch":
        keys.append("hitByPitch")
        pitched["hitBatsmen"] += 1
    elif kind == "sac_fly":
        keys.append("sacFlies")
    elif kind == "sac_bunt":
        keys.append("sacBunts")
    elif kind == "catcher_interf":
        keys.append("catchersInterference")
    elif kind != "field_error":
        ball = next((event["hitData"] for event in reversed(play["playEvents"]) if "hitData" in event), None)
        out_kind = _OUT_KINDS.get(ball["trajectory"]) if ball else None
        if out_kind:
            keys.append(out_kind)
            if out_kind != "groundOuts":
                keys.append("airOuts")
        if kind == "grounded_into_double_play":
            line["groundIntoDoublePlay"] += 1
    for key in keys:
        line[key] += 1
        pitched[key] += 1
    rbi = play["result"]["rbi"]
    line["rbi"] += rbi
    pitched["rbi"] += rbi
    if rbi and outs == 2:
        batting.two_out_rbi[batter_id] = batting.two_out_rbi.get(batter_id, 0) + rbi
    if any(row["movement"]["isOut"] and row["details"]["runner"]["id"] == batter_id for row in play["runners"]):
        line["leftOnBase"] += len(left)
        if outs == 2:
            last = sum(base in ("2B", "3B") for base in left)
            if last:
                batting.left_scoring_two_out[batter_id] = batting.left_scoring_two_out.get(batter_id, 0) + last
    if "double_play" in kind:
        chain = [credit["player"]["id"] for row in play["runners"] for credit in row["credits"]]
        names = [fielding.players[player_id].boxscore_name for player_id in dict.fromkeys(chain)]
        fielding.double_plays.append("-".join(names))


def _count_rows(play: Json, batting: SideTally, fielding: SideTally) -> None:
    pitcher_id = play["matchup"]["pitcher"]["id"]
    current = fielding.pitching[pitcher_id]
    inning = play["about"]["inning"]
    for row in play["runners"]:
        movement, details = row["movement"], row["details"]
        line = batting.batting[details["runner"]["id"]]
        kind = details["eventType"]
        if movement["isOut"]:
            current["outs"] += 1
            fielding.outs_in[pitcher_id, inning] = fielding.outs_in.get((pitcher_id, inning), 0) + 1
        if movement["end"] == "score":
            line["runs"] += 1
            batting.inning(inning)[0] += 1
            responsible = details["responsiblePitcher"]["id"]
            charged = fielding.pitching[responsible]
            charged["runs"] += 1
            charged["earnedRuns"] += details["earned"]
            if responsible != pitcher_id:
                current["inheritedRunnersScored"] += 1
        if kind.startswith(("stolen_base", "caught_stealing")):
            key = "stolenBases" if kind[0] == "s" else "caughtStealing"
            line[key] += 1
            current[key] += 1
            fielding.fielding[fielding.fielders["2"]][key] += 1
        elif kind.startswith("pickoff"):
            line["pickoffs"] += 1
            current["pickoffs"] += 1
        for credit in row["credits"]:
            what = credit["credit"]
            glove = fielding.fielding[credit["player"]["id"]]
            if what == "f_putout":
                glove["putOuts"] += 1
            elif what == "f_assist":  # an outfielder's is listed as f_assist_of too
                glove["assists"] += 1
            elif what in _ERRORS:
                glove["errors"] += 1
                fielding.inning(inning)[2] += 1
