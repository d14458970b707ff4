"""The lines of the box score inside a live feed, by player and by team, read from the JSON in plain Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from feed_json import Json, Row, at, text, three, two

BATTING = [
    "plateAppearances",
    "atBats",
    "runs",
    "hits",
    "doubles",
    "triples",
    "homeRuns",
    "totalBases",
    "rbi",
    "baseOnBalls",
    "intentionalWalks",
    "strikeOuts",
    "hitByPitch",
    "stolenBases",
    "caughtStealing",
    "pickoffs",
    "sacBunts",
    "sacFlies",
    "catchersInterference",
    "groundIntoDoublePlay",
    "groundIntoTriplePlay",
    "leftOnBase",
    "groundOuts",
    "flyOuts",
    "airOuts",
    "popOuts",
    "lineOuts",
    "gamesPlayed",
]
PITCHING = [
    "battersFaced",
    "atBats",
    "balls",
    "strikes",
    "hits",
    "doubles",
    "triples",
    "homeRuns",
    "runs",
    "earnedRuns",
    "rbi",
    "baseOnBalls",
    "intentionalWalks",
    "strikeOuts",
    "hitBatsmen",
    "hitByPitch",
    "balks",
    "wildPitches",
    "passedBall",
    "pickoffs",
    "stolenBases",
    "caughtStealing",
    "inheritedRunners",
    "inheritedRunnersScored",
    "catchersInterference",
    "sacBunts",
    "sacFlies",
    "groundOuts",
    "flyOuts",
    "airOuts",
    "popOuts",
    "lineOuts",
    "completeGames",
    "shutouts",
    "saveOpportunities",
]
OF_PITCHERS = [
    "gamesPlayed",
    "gamesPitched",
    "gamesStarted",
    "gamesFinished",
    "wins",
    "losses",
    "saves",
    "holds",
    "blownSaves",
]
FIELDING = ["assists", "putOuts", "errors", "chances", "passedBall", "stolenBases", "caughtStealing", "pickoffs"]
SHARES = {"batting": ["stolenBasePercentage"], "pitching": ["strikePercentage", "stolenBasePercentage"],
          "fielding": ["stolenBasePercentage", "caughtStealingPercentage"]}  # fmt: skip
RATIOS = {"batting": ["atBatsPerHomeRun"], "pitching": ["runsScoredPer9", "homeRunsPer9"], "fielding": []}
TEAM_SHARES = {"batting": ["avg", "obp", "slg", "ops"],
               "pitching": ["obp", "caughtStealingPercentage", "winPercentage"], "fielding": []}  # fmt: skip
TEAM_RATIOS = {"batting": [], "pitching": ["pitchesPerInning", "groundOutsToAirouts", "era", "whip",
                                          "strikeoutWalkRatio", "strikeoutsPer9Inn", "walksPer9Inn", "hitsPer9Inn"],
               "fielding": []}  # fmt: skip


def snake(name: str) -> str:
    """Return the column name of a statistic: runsScoredPer9 is runs_scored_per_9."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=\d)", "_", name).lower()


def outs_of(line: Json) -> int | None:
    """Return the outs of a pitching line: as given, else from the innings, of which .1 and .2 are outs."""
    if line.get("outs") is not None:
        return int(line["outs"])
    if line.get("inningsPitched") is None:
        return None
    innings, _, outs = line["inningsPitched"].partition(".")
    return 3 * int(innings) + int(outs or 0)


def counts(line: Json, group: str) -> Row:
    """Return what lines of players and of teams share."""
    row = {snake(key): line.get(key) for key in {"batting": BATTING, "pitching": PITCHING, "fielding": FIELDING}[group]}
    row |= {snake(key): three(line.get(key)) for key in SHARES[group]}
    row |= {snake(key): two(line.get(key)) for key in RATIOS[group]}
    if group == "pitching":
        thrown = line.get("pitchesThrown")
        row |= {
            "innings_pitched": line.get("inningsPitched"), "outs_given": line.get("outs"), "outs": outs_of(line),
            "pitches_thrown": line.get("numberOfPitches") if thrown is None else thrown,
        }  # fmt: skip
    return row


def lines(group: str) -> Callable[[Json], Iterator[Row]]:
    """Return what yields a row a player who has a line of a group."""

    def read(doc: Json) -> Iterator[Row]:
        for side in ("home", "away"):
            for player in doc["liveData"]["boxscore"]["teams"][side]["players"].values():
                line = player["stats"].get(group)
                if not line:
                    continue
                row = counts(line, group) | {
                    "team_id": doc["gameData"]["teams"][side]["id"], "player_id": player["person"]["id"], "side": side,
                    "player_name": player["person"]["fullName"], "position_code": at(player, "position.code"),
                    "position_abbreviation": at(player, "position.abbreviation"),
                    "is_substitute": at(player, "gameStatus.isSubstitute"),
                }  # fmt: skip
                if group == "batting":
                    order = player.get("battingOrder")
                    row["batting_order"] = None if order is None else int(order)
                    row["batting_slot"] = None if order is None else int(order) // 100
                if group == "pitching":
                    row |= {snake(key): line.get(key) for key in OF_PITCHERS}
                if group == "fielding":
                    row |= {"positions": player.get("allPositions"), "games_started": line.get("gamesStarted")}
                else:
                    row |= {"summary": line.get("summary"), "note": text(line.get("note"))}
                yield row

    return read


def team_totals(doc: Json) -> Iterator[Row]:
    """Yield a row a team."""
    for side in ("home", "away"):
        team = doc["liveData"]["boxscore"]["teams"][side]
        row: Row = {"team_id": team["team"]["id"], "side": side, "team_name": team["team"]["name"]}
        for group in ("batting", "pitching", "fielding"):
            line = team["teamStats"][group]
            of_group = counts(line, group)
            of_group |= {snake(key): three(line.get(key)) for key in TEAM_SHARES[group]}
            of_group |= {snake(key): two(line.get(key)) for key in TEAM_RATIOS[group]}
            row |= {f"{group}_{column}": value for column, value in of_group.items()}
        yield row
