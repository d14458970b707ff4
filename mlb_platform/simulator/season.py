"""What players and clubs did earlier in the season, before a game: derived from their rates and the date."""

from __future__ import annotations

from datetime import date

from mlb_platform.simulator.clubs import Club
from mlb_platform.simulator.people import Player
from mlb_platform.simulator.stat_lines import Line, batting_line, fielding_line, pitching_line


def games_before(day: date) -> int:
    """Give how many games a club has played in the season before a date."""
    return max(0, min(161, int((day - date(day.year, 3, 28)).days * 0.93)))


def club_record(club: Club, games: int) -> tuple[int, int]:
    """Give wins and losses of a club after so many games."""
    wins = int(games * (0.42 + (club.index * 7 % 30) * 0.0055))
    return wins, games - wins


def batting_before(player: Player, games: int) -> Line:
    """Give the batting of a player in so many club games; pitchers do not bat."""
    line = batting_line()
    if player.position == "1" or not games:
        return line
    plate, hit, walk, strikeout, homer = player.rates
    pa = int(plate * games)
    walks, hurt, flies = int(pa * walk), int(pa * 0.011), int(pa * 0.007)
    at_bats = pa - walks - hurt - flies
    hits, homers = int(at_bats * hit), int(at_bats * max(0.004, homer))
    doubles, triples, struck = int(hits * 0.2), int(hits * 0.02), int(at_bats * strikeout)
    homers = min(homers, hits - doubles - triples)
    out = max(0, at_bats - hits - struck)
    ground, fly, line_out = int(out * 0.45), int(out * 0.3), int(out * 0.13)
    pop = out - ground - fly - line_out
    steals = int(max(0.0, player.speed + 0.4) * games * 0.07)
    line |= {
        "gamesPlayed": min(games, int(pa / 3.6) + 1), "flyOuts": fly, "groundOuts": ground,
        "airOuts": fly + line_out + pop, "runs": int(pa * 0.115), "doubles": doubles, "triples": triples,
        "homeRuns": homers, "strikeOuts": struck, "baseOnBalls": walks, "intentionalWalks": walks // 25, "hits": hits,
        "hitByPitch": hurt, "atBats": at_bats, "caughtStealing": steals // 4, "stolenBases": steals,
        "groundIntoDoublePlay": pa // 60, "plateAppearances": pa,
        "totalBases": hits + doubles + 2 * triples + 3 * homers, "rbi": int(pa * 0.11), "leftOnBase": int(pa * 0.38),
        "sacBunts": pa // 300, "sacFlies": flies, "popOuts": pop, "lineOuts": line_out,
    }  # fmt: skip
    return line


def pitching_before(player: Player, games: int) -> Line:
    """Give the pitching of a player in so many club games; only pitchers pitch."""
    line = pitching_line()
    if player.position != "1" or not games:
        return line
    per_game, hit, walk, earned, strike = player.rates
    outs = int(per_game * games)
    faced = int(outs * 1.42)
    walks, hurt, flies = int(faced * walk), int(faced * 0.01), int(faced * 0.007)
    at_bats = faced - walks - hurt - flies
    hits, struck, pitches = int(at_bats * hit), int(at_bats * 0.25), int(faced * 3.9)
    strikes = int(pitches * strike)
    out = max(0, at_bats - hits - struck)
    ground, fly, line_out = int(out * 0.45), int(out * 0.3), int(out * 0.13)
    pop = out - ground - fly - line_out
    runs = int(outs * earned) + 1
    appearances = outs // (17 if player.starter else 3) + 1
    started = appearances if player.starter else 0
    closed = 0 if player.starter else appearances // 3
    line |= {
        "gamesPlayed": appearances, "gamesStarted": started, "flyOuts": fly, "groundOuts": ground,
        "airOuts": fly + line_out + pop, "runs": runs, "doubles": hits // 5, "triples": hits // 50,
        "homeRuns": hits // 8, "strikeOuts": struck, "baseOnBalls": walks, "intentionalWalks": walks // 30,
        "hits": hits, "hitByPitch": hurt, "hitBatsmen": hurt, "atBats": at_bats, "caughtStealing": faced // 160,
        "stolenBases": faced // 50, "numberOfPitches": pitches, "pitchesThrown": pitches, "strikes": strikes,
        "balls": pitches - strikes, "wins": appearances // 4, "losses": appearances // 5, "saves": closed // 2,
        "saveOpportunities": closed // 2 + closed // 8, "holds": closed // 3, "blownSaves": closed // 8,
        "earnedRuns": runs - runs // 12, "battersFaced": faced, "outs": outs, "gamesPitched": appearances,
        "wildPitches": faced // 90, "rbi": runs // 20, "gamesFinished": closed, "inheritedRunners": closed,
        "inheritedRunnersScored": closed // 3, "sacFlies": flies, "popOuts": pop, "lineOuts": line_out,
    }  # fmt: skip
    return line


_CHANCES = {"1": (0.06, 0.09), "2": (7.5, 0.4), "3": (8.0, 0.6), "4": (1.6, 2.5), "5": (0.7, 1.7), "6": (1.4, 2.6),
            "7": (1.8, 0.05), "8": (2.4, 0.05), "9": (1.9, 0.06), "10": (0.0, 0.0)}  # fmt: skip


def fielding_before(player: Player, games: int) -> Line:
    """Give the fielding of a player in so many club games."""
    line = fielding_line()
    share = 0.9 if player.starter else 0.35
    put_outs, assists = (int(rate * games * share) for rate in _CHANCES[player.position])
    errors = (put_outs + assists) // 70
    line |= {"putOuts": put_outs, "assists": assists, "errors": errors, "chances": put_outs + assists + errors}
    if player.position == "2":
        line |= {"stolenBases": int(games * 0.6 * share), "caughtStealing": int(games * 0.2 * share),
                 "passedBall": games // 40}  # fmt: skip
    return line
