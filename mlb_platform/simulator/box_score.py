"""The box score: every player's lines, the sides' totals, who batted, pitched or sat."""

from __future__ import annotations

from datetime import date

from mlb_platform.simulator.box_notes import game_info, side_info
from mlb_platform.simulator.decisions import Decisions, pitching_notes
from mlb_platform.simulator.game import Game
from mlb_platform.simulator.officials import umpires
from mlb_platform.simulator.people import POSITIONS, Json, Player
from mlb_platform.simulator.play_builder import OLDER_SYSTEM
from mlb_platform.simulator.season import batting_before, fielding_before, games_before, pitching_before
from mlb_platform.simulator.side_tally import SideTally, Tally
from mlb_platform.simulator.stat_lines import (
    Line,
    batting_game,
    batting_line,
    batting_season,
    fielding_game,
    fielding_line,
    fielding_season,
    older_team_totals,
    pitching_game,
    pitching_line,
    pitching_season,
    team_batting,
    team_fielding,
    team_pitching,
    total,
)

_ACTIVE = {"code": "A", "description": "Active"}
_NEVER_BATTED = batting_season(batting_line())
_NEVER_PITCHED = pitching_season(pitching_line())


class SideBox:
    """Builds one side's part of the box score."""

    def __init__(self, side: SideTally, day: date, opponent: SideTally, older: bool = False) -> None:
        """Take a tallied side and the date of the game; `older`: print totals as an older system does."""
        self.side = side
        self.older = older
        self.opponent = opponent
        games = games_before(day)
        players = side.start.roster
        self.prior_batting = {player.id: batting_before(player, games) for player in players}
        self.prior_pitching = {player.id: pitching_before(player, games) for player in players}
        self.prior_fielding = {player.id: fielding_before(player, games) for player in players}
        self.pitcher_notes = pitching_notes(side, self.prior_pitching)
        self.batter_notes = {player_id: f"{mark}-" for player_id, mark, _ in side.notes}

    def build(self, current: set[int]) -> Json:
        """Make the side's object; `current` holds who bats or pitches at the end."""
        side = self.side
        order = [ids[-1] for ids in side.slots]
        used = [player_id for ids in side.slots for player_id in ids]
        pitchers = [stay.player_id for stay in side.appearances]
        busy = set(used) | set(pitchers)
        roster = side.start.roster
        batting, pitching = list(side.batting.values()), list(side.pitching.values())
        all_batting = total([*self.prior_batting.values(), *batting], batting_line())
        all_pitching = total([*self.prior_pitching.values(), *pitching], pitching_line())
        thrown = total(pitching, pitching_line())
        batted, pitched = (
            team_batting(total(batting, batting_line()), all_batting),
            team_pitching(thrown, all_pitching),
        )
        if self.older:
            batted, pitched = older_team_totals(batted, pitched, thrown, side.runs > self.opponent.runs)
        return {
            "team": side.start.club.brief,
            "teamStats": {
                "batting": batted,
                "pitching": pitched,
                "fielding": team_fielding(total(list(side.fielding.values()), fielding_line())),
            },
            "players": {f"ID{player.id}": self.player(player, current, order) for player in roster},
            "batters": used + pitchers,
            "pitchers": pitchers,
            "bench": [player.id for player in roster if player.position != "1" and player.id not in busy],
            "bullpen": [player.id for player in roster if player.position == "1" and player.id not in busy],
            "battingOrder": order,
            "info": side_info(side, self.opponent, self.prior_batting),
            "note": [{"label": mark, "value": text} for _, mark, text in side.notes],
        }

    def player(self, player: Player, current: set[int], order: list[int]) -> Json:
        """Make a player's object with the lines of the game and of the season."""
        side, player_id = self.side, player.id
        codes = side.positions.get(player_id)
        batted, pitched = side.batting.get(player_id), side.pitching.get(player_id)
        fielded = side.fielding.get(player_id)
        started = player_id in side.start.positions and side.start.positions[player_id] != "10"
        result: Json = {
            "person": player.ref,
            "jerseyNumber": player.number,
            "position": POSITIONS[codes[-1] if codes else player.position],
            "status": _ACTIVE,
            "parentTeamId": side.start.club.id,
        }
        if player_id in side.order_codes:
            result["battingOrder"] = side.order_codes[player_id]
        result["stats"] = {
            "batting": batting_game(batted, self.batter_notes.get(player_id)) if batted else {},
            "pitching": pitching_game(pitched, self.pitcher_notes.get(player_id)) if pitched else {},
            "fielding": fielding_game(fielded, started) if fielded else {},
        }
        is_pitcher = player.position == "1"
        result["seasonStats"] = {
            "batting": _NEVER_BATTED if is_pitcher else batting_season(_sum(self.prior_batting[player_id], batted)),
            "pitching": pitching_season(_sum(self.prior_pitching[player_id], pitched)) if is_pitcher
            else _NEVER_PITCHED,
            "fielding": fielding_season(_sum(self.prior_fielding[player_id], fielded), started),
        }  # fmt: skip
        first = codes is None or side.start.positions.get(player_id) is not None
        result["gameStatus"] = {
            "isCurrentBatter": player_id in current and player_id in order,
            "isCurrentPitcher": player_id in current and is_pitcher,
            "isOnBench": codes is None,
            "isSubstitute": not first and not is_pitcher,
        }
        if codes:
            result["allPositions"] = [POSITIONS[code] for code in dict.fromkeys(codes)]
        return result


def _sum(prior: Line, game: Line | None) -> Line:
    if not game:
        return prior
    return {key: value + game[key] for key, value in prior.items()}


def make_box_score(game: Game, tally: Tally, decisions: Decisions | None, line_score: Json) -> Json:
    """Make the box score of the tallied plays."""
    current = {line_score["offense"]["batter"]["id"], line_score["offense"]["pitcher"]["id"],
               line_score["defense"]["pitcher"]["id"]}  # fmt: skip
    day = game.scheduled.day
    older = game.scheduled.position == OLDER_SYSTEM
    away, home = SideBox(tally.away, day, tally.home, older), SideBox(tally.home, day, tally.away, older)
    teams = {"away": away.build(current), "home": home.build(current)}
    officials = umpires(game.scheduled)
    result: Json = {
        "teams": teams,
        "officials": officials,
        "info": game_info(game, tally, officials, final=decisions is not None),
        "pitchingNotes": pitching_texts(tally),
    }
    if decisions is not None:
        result["topPerformers"] = _top_performers(tally, teams, decisions)
    return result


def pitching_texts(tally: Tally) -> list[str]:
    """Tell which pitchers were relieved in an inning without having got anybody out in it."""
    texts = []
    for side in (tally.away, tally.home):
        for (player_id, inning), faced in side.pitched_to.items():
            if player_id != side.appearances[-1].player_id and not side.outs_in.get((player_id, inning)):
                texts.append(f"{side.players[player_id].boxscore_name} faced {faced} in inning {inning}, nobody out.")
    return texts


def _top_performers(tally: Tally, teams: Json, decisions: Decisions) -> list[Json]:
    def hitting(line: Line) -> int:
        return 40 + 6 * line["totalBases"] + 4 * line["rbi"] + 3 * line["runs"] + 3 * line["baseOnBalls"]

    scored = [
        (hitting(line), player_id, name)
        for name, side in (("away", tally.away), ("home", tally.home))
        for player_id, line in side.batting.items()
    ]
    scored.sort(key=lambda row: (-row[0], row[1]))
    rows = []
    for score, player_id, name in scored[:2]:
        player = _with_short_name(teams[name]["players"][f"ID{player_id}"], tally.side(name == "home"))
        rows.append({"player": player, "type": "hitter", "gameScore": score, "hittingGameScore": score})
    won = tally.home.runs > tally.away.runs
    side, name = tally.side(won), "home" if won else "away"
    starter = side.appearances[0].player_id
    line = side.pitching[starter]
    score = 50 + line["outs"] + 2 * line["strikeOuts"] - 4 * line["earnedRuns"] - 2 * line["hits"]
    player = _with_short_name(teams[name]["players"][f"ID{starter}"], side)
    rows.append({"player": player, "type": "starter", "gameScore": score, "pitchingGameScore": score})
    return rows


def _with_short_name(player: Json, side: SideTally) -> Json:
    person = player["person"]
    return player | {"person": person | {"boxscoreName": side.players[person["id"]].boxscore_name}}


def empty_box_score(game: Game) -> Json:
    """Make the box score of a game that has not begun: no line-ups, everybody listed twice on bench and in bullpen."""
    day = game.scheduled.day
    nothing: Json = {"batting": {}, "pitching": {}, "fielding": {}}
    teams: Json = {}
    for name, start in (("away", game.away), ("home", game.home)):
        side = SideTally(start, {player.id: player for player in start.roster})
        box = SideBox(side, day, side)
        hitters = [player.id for player in start.roster if player.position != "1"]
        pitchers = [player.id for player in start.roster if player.position == "1"]
        teams[name] = {
            "team": start.club.brief,
            "teamStats": {
                "batting": team_batting(batting_line(), total(list(box.prior_batting.values()), batting_line())),
                "pitching": team_pitching(pitching_line(), total(list(box.prior_pitching.values()), pitching_line())),
                "fielding": team_fielding(fielding_line()),
            },
            "players": {
                f"ID{player.id}": box.player(player, set(), []) | {"stats": nothing} for player in start.roster
            },
            "batters": [],
            "pitchers": [],
            "bench": hitters * 2,
            "bullpen": pitchers * 2,
            "battingOrder": [],
            "info": [],
            "note": [],
        }
    info = [
        {"label": "Umpires", "value": ""},
        {"label": "Venue", "value": f"{game.scheduled.home.venue['name']}."},
        {"label": f"{day:%B} {day.day}, {day.year}"},
    ]
    return {"teams": teams, "officials": [], "info": info, "pitchingNotes": []}
