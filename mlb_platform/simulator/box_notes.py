"""The texts under a box score: extra-base hits, steals, pitch counts, umpires, weather ..."""

from __future__ import annotations

from collections.abc import Iterable

from mlb_platform.simulator.game import Game
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.side_tally import SideTally, Tally
from mlb_platform.simulator.stat_lines import Line
from mlb_platform.simulator.surroundings import attendance, minutes_played, weather


def _row(label: str, parts: Iterable[str]) -> list[Json]:
    text = "; ".join(parts)
    return [{"label": label, "value": f"{text}."}] if text else []


def _counted(side: SideTally, key: str, prior: dict[int, Line] | None = None) -> list[str]:
    parts = []
    for player_id, line in side.batting.items():
        if line[key]:
            times = "" if line[key] == 1 else f" {line[key]}"
            season = f" ({prior[player_id][key] + line[key]})" if prior else ""
            parts.append(f"{side.players[player_id].boxscore_name}{times}{season}")
    return parts


def _players(side: SideTally, counts: dict[int, int]) -> list[str]:
    return [
        side.players[player_id].boxscore_name + ("" if count == 1 else f" {count}")
        for player_id, count in counts.items()
    ]


def side_info(side: SideTally, opponent: SideTally, prior: dict[int, Line]) -> list[Json]:
    """Make the batting, base-running and fielding texts of a side."""
    left = sum(inning[3] for inning in side.innings.values())
    batting = [
        *_row("2B", _counted(side, "doubles", prior)),
        *_row("3B", _counted(side, "triples", prior)),
        *_row("HR", _counted(side, "homeRuns", prior)),
        *_row("TB", _counted(side, "totalBases")),
        *_row("RBI", _counted(side, "rbi", prior)),
        *_row("2-out RBI", _players(side, side.two_out_rbi)),
        *_row("Runners left in scoring position, 2 out", _players(side, side.left_scoring_two_out)),
        *_row("SAC", _counted(side, "sacBunts")),
        *_row("SF", _counted(side, "sacFlies")),
        *_row("GIDP", _counted(side, "groundIntoDoublePlay")),
        {"label": "Team RISP", "value": f"{side.risp[0]}-for-{side.risp[1]}."},
        {"label": "Team LOB", "value": f"{left}."},
    ]
    running = [
        *_row("SB", _counted(side, "stolenBases", prior)),
        *_row("CS", _counted(side, "caughtStealing", prior)),
        *_row("PO", _counted(side, "pickoffs")),
    ]
    gloves = {player_id: line["errors"] for player_id, line in side.fielding.items() if line["errors"]}
    passed = {player_id: line["passedBall"] for player_id, line in side.fielding.items() if line["passedBall"]}
    fielding = [
        *_row("E", _players(side, gloves)),
        *_row("PB", _players(side, passed)),
        *_row("DP", [f"({chain})" for chain in side.double_plays]),
    ]
    groups = (("BATTING", batting), ("BASERUNNING", running), ("FIELDING", fielding))
    return [{"title": title, "fieldList": rows} for title, rows in groups if rows]


def game_info(game: Game, tally: Tally, officials: list[Json], final: bool) -> list[Json]:
    """Make the texts about the whole game: pitching, umpires, weather, time, attendance, place, date."""
    lines = [
        (side.players[player_id].boxscore_name, line)
        for side in (tally.away, tally.home)
        for player_id, line in side.pitching.items()
    ]
    by_key = {
        label: [name + ("" if line[key] == 1 else f" {line[key]}") for name, line in lines if line[key]]
        for label, key in (("WP", "wildPitches"), ("HBP", "hitBatsmen"), ("IBB", "intentionalWalks"), ("Balk", "balks"))
    }
    conditions = weather(game)
    day, scheduled = game.scheduled.day, game.scheduled
    spots = {"Home Plate": "HP", "First Base": "1B", "Second Base": "2B", "Third Base": "3B"}
    crew = "".join(f"{spots[row['officialType']]}: {row['official']['fullName']}. " for row in officials)
    local = scheduled.local_start
    rows = [row for label, parts in by_key.items() for row in _row(label, parts)]
    rows += _row("Pitches-strikes", [f"{name} {line['pitchesThrown']}-{line['strikes']}" for name, line in lines])
    rows += _row("Groundouts-flyouts", [f"{name} {line['groundOuts']}-{line['flyOuts']}" for name, line in lines])
    rows += _row("Batters faced", [f"{name} {line['battersFaced']}" for name, line in lines])
    inherited = [f"{name} {line['inheritedRunners']}-{line['inheritedRunnersScored']}" for name, line in lines
                 if line["inheritedRunners"]]  # fmt: skip
    rows += _row("Inherited runners-scored", inherited)
    rows += [
        {"label": "Umpires", "value": crew},
        {"label": "Weather", "value": f"{conditions['temp']} degrees, {conditions['condition']}."},
        {"label": "Wind", "value": f"{conditions['wind']}."},
        {"label": "First pitch", "value": f"{local.hour % 12 or 12}:{local.minute:02d} {local:%p}."},
    ]
    if final:
        minutes = minutes_played(game)
        rows += [
            {"label": "T", "value": f"{minutes // 60}:{minutes % 60:02d}."},
            {"label": "Att", "value": f"{attendance(game):,}."},
        ]
    rows += [
        {"label": "Venue", "value": f"{scheduled.home.venue['name']}."},
        {"label": f"{day:%B} {day.day}, {day.year}"},
    ]
    return rows
