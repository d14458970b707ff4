"""The line score: runs, hits, errors and left on base by inning, and who is where at the end."""

from __future__ import annotations

from mlb_platform.simulator.clubs import Club
from mlb_platform.simulator.game import REGULATION
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.side_tally import SideTally, Tally

_SPOTS = (
    ("1", "pitcher"), ("2", "catcher"), ("3", "first"), ("4", "second"), ("5", "third"), ("6", "shortstop"),
    ("7", "left"), ("8", "center"), ("9", "right"),
)  # fmt: skip


def ordinal(number: int) -> str:
    """Give 1st, 2nd, 3rd, 4th ..."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{({1: 'st', 2: 'nd', 3: 'rd'}).get(number % 10, 'th')}"


def _team(club: Club) -> Json:
    return {"id": club.id, "name": club.name, "link": f"/api/v1/teams/{club.id}"}


def empty_line_score(away: Club, home: Club) -> Json:
    """Give the line score of a game that has not begun."""
    return {
        "scheduledInnings": REGULATION,
        "innings": [],
        "teams": {"home": {}, "away": {}},
        "defense": {"team": _team(home)},
        "offense": {"team": _team(away)},
    }


def _cells(side: SideTally, inning: int, played: bool) -> Json:
    runs, hits, errors, left = side.innings.get(inning, (0, 0, 0, 0))
    counts = {"hits": hits, "errors": errors, "leftOnBase": left}
    return {"runs": runs} | counts if played else counts


def _totals(side: SideTally) -> Json:
    runs, hits, errors, left = (sum(column) for column in zip(*side.innings.values(), strict=True))
    return {"runs": runs, "hits": hits, "errors": errors, "leftOnBase": left}


def _upcoming(side: SideTally) -> Json:
    result: Json = {}
    for ahead, name in enumerate(("batter", "onDeck", "inHole")):
        result[name] = side.players[side.slots[(side.next_slot + ahead) % 9][-1]].ref
    return result


def _spot(side: SideTally, code: str) -> Json:
    return side.players[side.fielders[code]].ref


def make_line_score(tally: Tally, final: bool) -> Json:
    """Make the line score after the tallied plays."""
    last = tally.plays[-1]
    about, count, matchup = last["about"], last["count"], last["matchup"]
    inning, top = about["inning"], about["isTopInning"]
    done = count["outs"] == 3 and not final
    offense_side, defense_side = tally.side(not top), tally.side(top)
    rows = []
    for number in range(1, inning + 1):
        home_bats = number < inning or not top
        rows.append(
            {
                "num": number,
                "ordinalNum": ordinal(number),
                "home": _cells(tally.home, number, home_bats),
                "away": _cells(tally.away, number, True),
            }
        )
    result: Json = {}
    if final and not top and count["outs"] < 3:
        word = ("Nobody", "One", "Two")[count["outs"]]
        result["note"] = f"{word} out as the winning run came in."
    half = "Top" if top else "Bottom"
    result |= {
        "currentInning": inning,
        "currentInningOrdinal": ordinal(inning),
        "inningState": ("Middle" if top else "End") if done else half,
        "inningHalf": half,
        "isTopInning": top,
        "scheduledInnings": REGULATION,
        "innings": rows,
        "teams": {"home": _totals(tally.home), "away": _totals(tally.away)},
    }
    defense: Json = {name: _spot(defense_side, code) for code, name in _SPOTS}
    defense |= _upcoming(defense_side)
    defense |= {"battingOrder": defense_side.next_slot + 1, "team": _team(defense_side.start.club)}
    offense = _upcoming(offense_side)
    if final:
        # at the end the batter is the one who batted last
        order = (offense_side.next_slot - 1) % 9
        ids = [offense_side.slots[(order + ahead) % 9][-1] for ahead in range(3)]
        names = ("batter", "onDeck", "inHole")
        offense = {name: offense_side.players[n].ref for name, n in zip(names, ids, strict=True)}
    for key, base in (("postOnFirst", "first"), ("postOnSecond", "second"), ("postOnThird", "third")):
        if key in matchup and not done:
            offense[base] = matchup[key]
    offense |= {
        "pitcher": _spot(offense_side, "1"),
        "battingOrder": offense_side.next_slot + 1,
        "team": _team(offense_side.start.club),
    }
    result |= {"defense": defense, "offense": offense}
    return result | {"balls": count["balls"], "strikes": count["strikes"], "outs": count["outs"]}
