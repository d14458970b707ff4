"""Changes of stored values of one simulated game, each with the differences that reconciliation must find then."""

from __future__ import annotations

from datetime import date

FIRST = date(2024, 6, 14)
"""The first date of the simulated games."""
GAME = f"""(SELECT min(game_pk) FROM game.live_game_metadata WHERE abstract_game_state = 'Final'
    AND game_date = '{FIRST}')"""
BATTER = f"(SELECT min(player_id) FROM game.live_game_player_batting WHERE game_pk = {GAME} AND hits > 0)"
PITCHER = f"(SELECT min(player_id) FROM game.live_game_player_pitching WHERE game_pk = {GAME} AND strike_outs > 0)"
FIELDER = f"(SELECT min(player_id) FROM game.live_game_player_fielding WHERE game_pk = {GAME} AND put_outs > 0)"
LONG_PLAY = (
    f"""(SELECT min(at_bat_index) FROM game.live_game_pitch_events WHERE game_pk = {GAME} AND pitch_number > 2)"""
)
SCORING = f"(SELECT min(at_bat_index) FROM game.live_game_scoring_plays WHERE game_pk = {GAME})"
BATTED = f"(SELECT min(at_bat_index) FROM game.live_game_batted_balls WHERE game_pk = {GAME})"
STRIKEOUT = f"""(SELECT min(at_bat_index) FROM game.live_game_plays WHERE game_pk = {GAME} AND event_type = 'strikeout'
    AND has_out)"""


PINCH_HITTER = f"""(SELECT s.side, s.batting_order / 100 FROM game.live_game_player_batting s
    JOIN game.live_game_player_batting b ON b.game_pk = s.game_pk AND b.side = s.side
        AND b.batting_order = s.batting_order - 1 AND b.plate_appearances > 0
    WHERE s.game_pk = {GAME} AND s.batting_order % 100 = 1 AND s.plate_appearances > 0 ORDER BY 1, 2 LIMIT 1)"""


PITCHES_THROWN = {
    "pitching.pitches_thrown": "player", "teams.pitching_pitches_thrown": "",
    "boxscore_pitching.pitches_thrown": "player", "boxscore_teams.pitching_pitches_thrown": "",
}  # fmt: skip
"""Where a pitch that is gone is missed in the totals."""


def one(table: str, values: str, where: str = "true") -> str:
    """The change of values of some rows of the game."""
    return f"UPDATE {table} SET {values} WHERE game_pk = {GAME} AND {where}"


CHANGES: dict[str, tuple[str, dict[str, str]]] = {
    "a hit": (
        one("game.live_game_player_batting", "hits = hits + 1", f"player_id = {BATTER}"),
        {"batting.hits": "player {batter}"},
    ),
    "a run batted in": (
        one("game.live_game_player_batting", "rbi = NULL", f"player_id = {BATTER}"),
        {"batting.rbi": "player {batter}"},
    ),
    "a fielder": (
        f"DELETE FROM game.live_game_player_fielding WHERE game_pk = {GAME} AND player_id = {FIELDER}",
        {"fielding.put_outs": "player {fielder}"},
    ),
    "a strikeout": (
        one("game.live_game_player_pitching", "strike_outs = strike_outs - 1", f"player_id = {PITCHER}"),
        {"pitching.strike_outs": "player {pitcher}"},
    ),
    "an out pitched": (
        one("game.live_game_player_pitching", "outs = outs + 1", f"player_id = {PITCHER}"),
        {"pitching.outs": "player {pitcher}"},
    ),
    "a run of a team": (
        one("game.live_game_team_totals", "batting_runs = batting_runs + 1", "side = 'away'"),
        {"teams.batting_runs": "away"},
    ),
    "a run of an inning": (
        one("game.live_game_linescore_innings", "home_runs = home_runs + 1", "inning = 3"),
        {"line_score.runs": "inning 3 home", "score.innings": "home"},
    ),
    "the score": (
        one("game.live_game_metadata", "away_score = away_score + 1"),
        {"score.runs": "away", "score.innings": "away", "score.last_play": "away", "schedule.away_score": "listing",
         "scoring_plays.final_score": "play"},
    ),
    "the score on the schedule": (
        one("schedule.games", "home_score = home_score + 1"),
        {"schedule.home_score": "listing of "},
    ),
    "what a play says of its runs": (
        one("game.live_game_plays", "is_scoring_play = false", f"at_bat_index = {SCORING}"),
        {"running_score.is_scoring_play": "play {scoring}"},
    ),
    "the list of scoring plays": (
        f"DELETE FROM game.live_game_scoring_plays WHERE game_pk = {GAME} AND at_bat_index = {SCORING}",
        {"scoring_plays.listed": "play {scoring}", "scoring_plays.in_order": "play "},
    ),
    "an out of a half-inning": (
        one("game.live_game_plays", "outs = 2", "inning = 2 AND half_inning = 'top' AND outs = 3"),
        {"half_innings.three_outs": "inning 2 top", "half_innings.put_outs": "inning 2 top",
         "play_by_play.outs": "play "},
    ),
    "an out of a runner": (
        one("game.live_game_runners", "is_out = false", f"at_bat_index = {STRIKEOUT} AND is_out"),
        {"half_innings.put_outs": "inning ", "pitching.outs": "player", "teams.pitching_outs": "",
         "boxscore_pitching.outs": "player", "boxscore_teams.pitching_outs": ""},
    ),
    "the order of two batters": (
        one("game.live_game_player_batting", "batting_order = 500 - batting_order",
            "side = 'home' AND batting_order IN (200, 300)"),
        {"batting_order.turn": "home play "},
    ),
    "a batter who comes back": (
        one("game.live_game_player_batting", "batting_order = batting_order + CASE batting_order % 100 WHEN 0 THEN 1 "
            "ELSE -1 END", f"(side, batting_order / 100) = {PINCH_HITTER} AND batting_order % 100 < 2"),
        {"batting_order.no_return": "play "},
    ),
    "a result nobody knows": (
        one("game.live_game_plays", "event_type = 'walk_in_the_park'", f"at_bat_index = {STRIKEOUT}"),
        {"events.known": "play {strikeout}"},
    ),
    "a pitch": (
        f"DELETE FROM game.live_game_pitch_events WHERE game_pk = {GAME} AND at_bat_index = {LONG_PLAY} "
        "AND pitch_number = 1",
        {"pitches.numbered": "play {long}", "pitches.events": "play {long}", **PITCHES_THROWN},
    ),
    "all pitches of a play": (
        f"DELETE FROM game.live_game_pitch_events WHERE game_pk = {GAME} AND at_bat_index = {STRIKEOUT}",
        {"pitches.thrown": "play {strikeout}", **PITCHES_THROWN},
    ),
    "the last pitch of a play": (
        f"DELETE FROM game.live_game_pitch_events WHERE game_pk = {GAME} AND at_bat_index = {STRIKEOUT} AND "
        f"event_index = (SELECT max(event_index) FROM game.live_game_pitch_events WHERE game_pk = {GAME} AND "
        f"at_bat_index = {STRIKEOUT})",
        {"pitches.count": "play {strikeout}", **PITCHES_THROWN},
    ),
    "the play of pitches": (
        one("game.live_game_pitch_events", "at_bat_index = 900", f"at_bat_index = {LONG_PLAY}"),
        {"pitches.in_a_play": "play 900"},
    ),
    "the pitch of a batted ball": (
        one("game.live_game_batted_balls", "event_index = 77", f"at_bat_index = {BATTED}"),
        {"batted_balls.in_parent": "play {batted} event 77"},
    ),
    "the play of a runner": (
        one("game.live_game_runners", "at_bat_index = 901", f"at_bat_index = {STRIKEOUT}"),
        {"runners.in_parent": "play 901 row", "credits.in_parent": "play {strikeout} row"},
    ),
    "a line of the box score": (
        one("game.boxscore_batting", "strike_outs = strike_outs + 1", f"player_id = {BATTER}"),
        {"boxscore_batting.strike_outs": "player {batter}"},
    ),
    "a pitcher of the box score": (
        one("game.boxscore_pitching", "batters_faced = 99", f"player_id = {PITCHER}"),
        {"boxscore_pitching.batters_faced": "player {pitcher}"},
    ),
    "a fielder of the box score": (
        one("game.boxscore_fielding", "put_outs = 50", f"player_id = {FIELDER}"),
        {"boxscore_fielding.put_outs": "player {fielder}"},
    ),
    "a total of the box score": (
        one("game.boxscore_teams", "batting_home_runs = 21", "side = 'home'"),
        {"boxscore_teams.batting_home_runs": "home"},
    ),
    "an inning of the line score": (
        one("game.linescore_innings", "away_runs = away_runs + 1", "inning = 1"),
        {"linescore_innings.runs": "inning 1 away", "linescore.innings": "away"},
    ),
    "a total of the line score": (one("game.linescore", "home_hits = 40"), {"linescore.hits": "home"}),
    "a play of the play-by-play": (
        one("game.play_by_play_plays", "batter_id = 1", "at_bat_index = 5"),
        {"play_by_play.batter_id": "play 5"},
    ),
}  # fmt: skip
SIDE_EFFECTS = {
    "a result nobody knows": {"batting", "pitching", "teams", "boxscore_batting", "boxscore_pitching",
                              "boxscore_teams", "batting_order", "play_by_play"},
    "the play of pitches": {"pitching", "teams", "boxscore_pitching", "boxscore_teams", "batted_balls", "pitches"},
    "the play of a runner": {"half_innings", "pitching", "teams", "boxscore_pitching", "boxscore_teams"},
}  # fmt: skip
"""Rules that a change of the plays themselves concerns too."""
