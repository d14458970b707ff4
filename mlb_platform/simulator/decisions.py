"""Winner, loser and save, holds and blown saves, from the tally of a finished game."""

from __future__ import annotations

from dataclasses import dataclass

from mlb_platform.simulator.side_tally import SideTally, Tally
from mlb_platform.simulator.stat_lines import Line


@dataclass(frozen=True, slots=True)
class Decisions:
    """Ids of the deciding pitchers; save is None when nobody earned one."""

    winner: int
    loser: int
    save: int | None


def decide(tally: Tally) -> Decisions | None:
    """Decide the pitchers of a finished game and mark wins, losses, saves, holds ... in their lines; None if tied."""
    lead = tally.home.runs - tally.away.runs
    if lead == 0:
        return None
    home_won = lead > 0
    won, lost = tally.side(home_won), tally.side(not home_won)
    winner, loser = _deciding(tally, home_won)
    starter = won.appearances[0].player_id
    if winner == starter and won.pitching[starter]["outs"] < 15 and len(won.appearances) > 1:
        winner = max(won.appearances[1:], key=lambda stay: won.pitching[stay.player_id]["outs"]).player_id
    won.pitching[winner]["wins"] = 1
    lost.pitching[loser]["losses"] = 1
    save = _mark_relief(won, winner)
    _mark_relief(lost, None, finished=False)
    for side, against in ((tally.away, tally.home), (tally.home, tally.away)):
        _mark_finish(side, against)
    return Decisions(winner, loser, save)


def _deciding(tally: Tally, home_won: bool) -> tuple[int, int]:
    """Give the pitcher of record of the winning side and the pitcher charged with the run that put it ahead."""
    sign = 1 if home_won else -1
    winner = tally.side(home_won).appearances[0].player_id
    loser = tally.side(not home_won).appearances[0].player_id
    on_mound = {home: tally.side(home).appearances[0].player_id for home in (True, False)}
    lead = 0
    for play in tally.plays:
        top = play["about"]["isTopInning"]
        on_mound[top] = play["matchup"]["pitcher"]["id"]  # the home side pitches in the top half
        for row in play["runners"]:
            if row["movement"]["end"] != "score":
                continue
            before = lead
            lead += -sign if top else sign
            if before <= 0 < lead:
                winner, loser = on_mound[home_won], row["details"]["responsiblePitcher"]["id"]
    return winner, loser


def _mark_relief(side: SideTally, winner: int | None, finished: bool = True) -> int | None:
    """Mark saves, holds and blown saves of a side's relievers; give who saved the game."""
    save = None
    for position, stay in enumerate(side.appearances):
        if position == 0 or stay.player_id == winner:
            continue
        line = side.pitching[stay.player_id]
        last = position == len(side.appearances) - 1
        chance = 0 < stay.entered_lead <= 3 or 0 < stay.entered_lead <= stay.inherited + 2
        if not chance and not (last and finished and stay.entered_lead > 0 and line["outs"] >= 9):
            continue
        if stay.lost_lead:
            line["blownSaves"] = line["saveOpportunities"] = 1
        elif last and finished:
            line["saves"] = line["saveOpportunities"] = 1
            save = stay.player_id
        elif line["outs"] and stay.left_lead > 0:
            line["holds"] = 1
    return save


def _mark_finish(side: SideTally, against: SideTally) -> None:
    last: Line = side.pitching[side.appearances[-1].player_id]
    if len(side.appearances) == 1:
        last["completeGames"] = 1
        last["shutouts"] = int(against.runs == 0)
    else:
        last["gamesFinished"] = 1


def pitching_notes(side: SideTally, prior: dict[int, Line]) -> dict[int, str]:
    """Give the bracketed notes of a side's pitchers, e.g. `(W, 5-2)`; `prior` holds their season before the game."""
    notes: dict[int, str] = {}
    for player_id, line in side.pitching.items():
        before = prior[player_id]
        parts = []
        record = f"{before['wins'] + line['wins']}-{before['losses'] + line['losses']}"
        for key, letter in (("wins", "W"), ("losses", "L")):
            if line[key]:
                parts.append(f"({letter}, {record})")
        for key, letter in (("saves", "S"), ("holds", "H"), ("blownSaves", "BS")):
            if line[key]:
                parts.append(f"({letter}, {before[key] + 1})")
        if parts:
            notes[player_id] = "".join(parts)
    return notes
