"""Batting, pitching and fielding lines: counts, and the rates that feeds show beside them."""

from __future__ import annotations

from mlb_platform.simulator.people import Json

Line = dict[str, int]


def _keys(text: str) -> tuple[str, ...]:
    return tuple(text.split())


BATTING = _keys(
    "gamesPlayed flyOuts groundOuts airOuts runs doubles triples homeRuns strikeOuts baseOnBalls "
    "intentionalWalks hits hitByPitch atBats caughtStealing stolenBases groundIntoDoublePlay "
    "groundIntoTriplePlay plateAppearances totalBases rbi leftOnBase sacBunts sacFlies catchersInterference "
    "pickoffs popOuts lineOuts"
)
PITCHING = _keys(
    "gamesPlayed gamesStarted flyOuts groundOuts airOuts runs doubles triples homeRuns strikeOuts baseOnBalls "
    "intentionalWalks hits hitByPitch atBats caughtStealing stolenBases numberOfPitches wins losses saves "
    "saveOpportunities holds blownSaves earnedRuns battersFaced outs gamesPitched completeGames shutouts "
    "pitchesThrown balls strikes hitBatsmen balks wildPitches pickoffs rbi gamesFinished inheritedRunners "
    "inheritedRunnersScored catchersInterference sacBunts sacFlies passedBall popOuts lineOuts"
)
FIELDING = _keys("caughtStealing stolenBases assists putOuts errors chances passedBall pickoffs")

_BATTING_ZERO, _PITCHING_ZERO, _FIELDING_ZERO = (dict.fromkeys(keys, 0) for keys in (BATTING, PITCHING, FIELDING))


def batting_line() -> Line:
    """Give an empty batting line."""
    return _BATTING_ZERO.copy()


def pitching_line() -> Line:
    """Give an empty pitching line."""
    return _PITCHING_ZERO.copy()


def fielding_line() -> Line:
    """Give an empty fielding line."""
    return _FIELDING_ZERO.copy()


def total(lines: list[Line], empty: Line) -> Line:
    """Give the sum of lines, key by key, starting from an empty line."""
    result = empty.copy()
    for line in lines:
        for key, value in line.items():
            if value:
                result[key] += value
    return result


def average(numerator: float, denominator: float, none: str = ".---") -> str:
    """Give a rate with three digits and no leading zero; `none` stands for a denominator of nothing."""
    if denominator <= 0:
        return none
    text = f"{numerator / denominator:.3f}"
    return text[1:] if text[0] == "0" else text


def ratio(numerator: float, denominator: float, none: str = "-.--") -> str:
    """Give a rate with two digits; `none` stands for a denominator of nothing."""
    return f"{numerator / denominator:.2f}" if denominator > 0 else none


def innings(outs: int) -> str:
    """Give outs as innings pitched: 20 outs are `6.2`."""
    return f"{outs // 3}.{outs % 3}"


def _steals(line: Line) -> Json:
    return {"stolenBasePercentage": average(line["stolenBases"], line["stolenBases"] + line["caughtStealing"])}


def _caught(line: Line) -> Json:
    return {"caughtStealingPercentage": average(line["caughtStealing"], line["stolenBases"] + line["caughtStealing"])}


def _on_base(line: Line) -> str:
    chances = line["atBats"] + line["baseOnBalls"] + line["hitByPitch"] + line["sacFlies"]
    return average(line["hits"] + line["baseOnBalls"] + line["hitByPitch"], chances, ".000")


def batting_game(line: Line, note: str | None = None) -> Json:
    """Give a player's batting of the game."""
    extra = [
        f"{'' if line[key] == 1 else f'{line[key]} '}{short}"
        for key, short in (
            ("doubles", "2B"), ("triples", "3B"), ("homeRuns", "HR"), ("baseOnBalls", "BB"), ("strikeOuts", "K"),
            ("runs", "R"), ("rbi", "RBI"), ("stolenBases", "SB"),
        )
        if line[key]
    ]  # fmt: skip
    summary = f"{line['hits']}-{line['atBats']}" + (f" | {', '.join(extra)}" if extra else "")
    head: Json = {"note": note, "summary": summary} if note else {"summary": summary}
    return head | line | _steals(line) | {"atBatsPerHomeRun": ratio(line["atBats"], line["homeRuns"])}


def batting_season(line: Line) -> Json:
    """Give batting of a season with averages."""
    at_bats, hits = line["atBats"], line["hits"]
    slugging = line["totalBases"] / at_bats if at_bats else 0.0
    reached = float(_on_base(line))
    return {
        **line,
        "avg": average(hits, at_bats, ".000"),
        "obp": _on_base(line),
        "slg": average(slugging, 1),
        "ops": average(slugging + reached, 1),
        "babip": average(hits - line["homeRuns"], at_bats - line["strikeOuts"] - line["homeRuns"] + line["sacFlies"]),
        "groundOutsToAirouts": ratio(line["groundOuts"], line["airOuts"]),
        "atBatsPerHomeRun": ratio(at_bats, line["homeRuns"]),
        **_steals(line),
        **_caught(line),
    }


def _strike_share(line: Line) -> str:
    thrown = line["pitchesThrown"]
    return average(round(line["strikes"] / thrown, 2), 1) if thrown else "-.--"


def _pitching_rates(line: Line) -> Json:
    outs = line["outs"]
    return {
        "inningsPitched": innings(outs),
        "strikePercentage": _strike_share(line),
        "runsScoredPer9": ratio(line["runs"] * 27, outs),
        "homeRunsPer9": ratio(line["homeRuns"] * 27, outs),
        **_steals(line),
    }  # fmt: skip


def pitching_game(line: Line, note: str | None = None) -> Json:
    """Give a player's pitching of the game."""
    earned = "ER" if line["earnedRuns"] == 1 else f"{line['earnedRuns']} ER"
    struck = "K" if line["strikeOuts"] == 1 else f"{line['strikeOuts']} K"
    walks = "BB" if line["baseOnBalls"] == 1 else f"{line['baseOnBalls']} BB"
    summary = f"{innings(line['outs'])} IP, {earned}, {struck}, {walks}"
    head: Json = {"note": note, "summary": summary} if note else {"summary": summary}
    return head | line | _pitching_rates(line)


def pitching_season(line: Line) -> Json:
    """Give pitching of a season with averages."""
    outs = line["outs"]
    decided = line["wins"] + line["losses"]
    return {
        **line,
        **_pitching_rates(line),
        "obp": _on_base(line),
        **_caught(line),
        "era": ratio(line["earnedRuns"] * 27, outs),
        "whip": ratio((line["hits"] + line["baseOnBalls"]) * 3, outs, "-"),
        "groundOutsToAirouts": ratio(line["groundOuts"], line["airOuts"]),
        "winPercentage": average(line["wins"], decided),
        "pitchesPerInning": ratio(line["pitchesThrown"] * 3, outs),
        "strikeoutWalkRatio": ratio(line["strikeOuts"], line["baseOnBalls"]),
        "strikeoutsPer9Inn": ratio(line["strikeOuts"] * 27, outs),
        "walksPer9Inn": ratio(line["baseOnBalls"] * 27, outs),
        "hitsPer9Inn": ratio(line["hits"] * 27, outs),
    }


def fielding_game(line: Line, started: bool) -> Json:
    """Give a player's fielding of the game."""
    head: Json = {"gamesStarted": 1} if started else {}
    return head | line | _steals(line) | _caught(line) | {"fielding": ".000"}


def fielding_season(line: Line, started: bool) -> Json:
    """Give fielding of a season with its average."""
    head: Json = {"gamesStarted": 1} if started else {}
    made = line["putOuts"] + line["assists"]
    return head | line | _steals(line) | _caught(line) | {"fielding": average(made, line["chances"], ".000")}


def team_batting(game: Line, season: Line) -> Json:
    """Give a side's batting: counts of the game, averages of the season."""
    averages = batting_season(season)
    counts = {key: value for key, value in game.items() if key != "gamesPlayed"}
    shown = {key: averages[key] for key in ("avg", "obp", "slg", "ops")}
    return counts | shown | _steals(game) | {"atBatsPerHomeRun": ratio(game["atBats"], game["homeRuns"])}


_NOT_OF_TEAMS = frozenset({"gamesPlayed", "gamesStarted", "wins", "losses", "saves", "holds", "blownSaves",
                           "gamesPitched", "gamesFinished"})  # fmt: skip


def team_pitching(game: Line, season: Line) -> Json:
    """Give a side's pitching: counts of the game, averages of the season."""
    averages = pitching_season(season)
    counts = {key: value for key, value in game.items() if key not in _NOT_OF_TEAMS}
    return counts | _pitching_rates(game) | _caught(game) | {
        "obp": _on_base(game),
        "era": averages["era"],
        "whip": averages["whip"],
        "groundOutsToAirouts": ratio(game["groundOuts"], game["airOuts"]),
        "pitchesPerInning": ratio(game["pitchesThrown"] * 3, game["outs"]),
    }  # fmt: skip


def older_team_totals(batting: Json, pitching: Json, line: Line, won: bool) -> tuple[Json, Json]:
    """Give a side's batting and pitching as feeds of older systems print them: with rates that later ones leave out."""
    outs = line["outs"]
    rates = {
        "winPercentage": average(int(won), 1),
        "strikeoutWalkRatio": ratio(line["strikeOuts"], line["baseOnBalls"]),
        "strikeoutsPer9Inn": ratio(line["strikeOuts"] * 27, outs),
        "walksPer9Inn": ratio(line["baseOnBalls"] * 27, outs),
        "hitsPer9Inn": ratio(line["hits"] * 27, outs),
    }
    return {"gamesPlayed": 0} | batting, pitching | rates


def team_fielding(game: Line) -> Json:
    """Give a side's fielding of the game."""
    return game | _steals(game) | _caught(game)
