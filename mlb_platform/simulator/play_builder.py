"""One play under construction: its events, its runner rows, its result."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mlb_platform.simulator.batted_balls import BattedBall
from mlb_platform.simulator.game_state import BASES, GameState, Runner, Side
from mlb_platform.simulator.people import POSITIONS, Json, Player, side
from mlb_platform.simulator.pitches import CALL_OBJECTS, CALLS, Location, pitch_data, pitch_details

OLDER_SYSTEM = 9
"""Position on its date of the game whose feed is made the older way."""


def throw_in(defence: Side, code: str) -> list[Json]:
    """Give the credits of a fielder who throws to a base: an outfielder's assist is listed under both its names."""
    kinds = ("f_assist", "f_assist_of") if code in "789" else ("f_assist",)
    return [credit(defence, code, kind) for kind in kinds]


def credit(defence: Side, code: str, kind: str) -> Json:
    """Give the credit of the fielder at a position: `f_putout`, `f_assist`, `f_fielding_error` ..."""
    return {"player": defence.fielders[code].link, "position": POSITIONS[code], "credit": kind}


class PlayBuilder:
    """Collects what happens while one batter is up and makes the play object of it."""

    def __init__(self, game: GameState) -> None:
        """Begin the next play of a game with the batter who is up."""
        self.game = game
        self.batter = game.batting.batter
        self.pitcher = game.fielding.pitcher
        self.events: list[Json] = []
        self.rows: list[Json] = []
        self.pitch_index: list[int] = []
        self.action_index: list[int] = []
        self.balls = 0
        self.strikes = 0
        self.pitch_number = 0
        self.disengagements = 0
        self.rbi = 0
        self.outs_made = 0
        self.runs = 0
        self.ended = False
        self.started = game.now()

    def play_id(self) -> str:
        """Draw a UUID."""
        text = f"{self.game.rng.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"

    def _event(self, details: Json, seconds: float, kind: str, pitch: bool) -> Json:
        game = self.game
        event = {
            "details": details,
            "count": {"balls": self.balls, "strikes": self.strikes, "outs": game.outs},
            "index": len(self.events),
            "startTime": game.now(),
            "endTime": game.now(seconds * 0.3),
            "isPitch": pitch,
            "type": kind,
        }
        game.clock += seconds
        self.events.append(event)
        return event

    def action(
        self, event_type: str, event: str, description: str, player: Player | Json | None, *, out: bool = False,
        scoring: bool = False, seconds: float = 12.0, running: bool = False, **extra: Any,
    ) -> Json:  # fmt: skip
        """Add an action event (a substitution, a steal, a mound visit ...) and return it."""
        self.action_index.append(len(self.events))
        details = {
            "description": description,
            "event": event,
            "eventType": event_type,
            "awayScore": self.game.away_score,
            "homeScore": self.game.home_score,
            "isScoringPlay": scoring,
            "isOut": out,
            "hasReview": False,
        }
        row = self._event(details, seconds, "action", False)
        if running:
            row["actionPlayId"] = self.play_id()
            row["isBaseRunningPlay"] = True
        if player is not None:
            row["player"] = player.link if isinstance(player, Player) else player
        row.update(extra)
        return row

    def pitch(self, code: str, location: Location, *, out: bool = False, ball: BattedBall | None = None,
              going: bool = False) -> Json:  # fmt: skip
        """Add a thrown pitch with its call code; the count must already be the one after it."""
        self.pitch_index.append(len(self.events))
        self.pitch_number += 1
        self.game.fielding.pitcher_pitches += 1
        details = pitch_details(code, location.pitch_type, out)
        if self.disengagements:
            details["disengagementNum"] = self.disengagements
        if going:
            details["runnerGoing"] = True
        row = self._event(details, 15.0 + self.game.rng.random() * 9, "pitch", True)
        row["pitchData"] = pitch_data(self.game.rng, self.pitcher, self.batter, location)
        self._mark_tracking(row)
        if ball is not None:
            row["hitData"] = ball.data()
        row["playId"] = self.play_id()
        row["pitchNumber"] = self.pitch_number
        return row

    def _mark_tracking(self, row: Json) -> None:
        """Add what only some tracking systems tell: older ones a pitch id, the newest the size of the zone."""
        position = self.game.scheduled.position
        if position == 4:
            row["pitchData"] |= {"strikeZoneWidth": 17.0, "strikeZoneDepth": 8.5}
        elif position == OLDER_SYSTEM:
            row["pitchData"]["nastyFactor"] = round(20 + self.game.rng.random() * 60, 2)
            row["pfxId"] = f"{self.game.first_pitch + timedelta(seconds=self.game.clock):%y%m%d_%H%M%S}"

    def no_pitch(self, code: str, violator: Player | None = None) -> None:
        """Add an automatic ball or strike; the count must already be the one after it. It is no pitch: no number."""
        self.pitch_index.append(len(self.events))
        description, in_play, strike, ball = CALLS[code]
        details: Json = {
            "call": CALL_OBJECTS[code],
            "description": description,
            "code": code,
            "isInPlay": in_play,
            "isStrike": strike,
            "isBall": ball,
            "isOut": False,
            "hasReview": False,
        }
        if violator is not None:
            who = "pitcher" if code == "VP" else "batter"
            details["violation"] = {
                "type": f"{who}_pitch_timer",
                "description": f"Pitch timer violation by the {who}",
                "player": violator.ref,
            }
        row = self._event(details, 6.0, "no_pitch", False)
        if violator is not None:
            row["playId"] = self.play_id()
        row["pitchNumber"] = self.pitch_number

    def disengage(self, code: str, description: str) -> None:
        """Add a throw to a base (`1`, `2`, `3`) or a step off the rubber (`PSO`)."""
        self.pitch_index.append(len(self.events))
        self.disengagements += 1
        details = {
            "description": description,
            "code": code,
            "isOut": False,
            "hasReview": False,
            "fromCatcher": False,
            "disengagementNum": self.disengagements,
        }
        row = self._event(details, 9.0, "stepoff" if code == "PSO" else "pickoff", False)
        if self.game.rng.random() < 0.85:
            row["playId"] = self.play_id()

    def row(
        self, runner: Player, event: str, event_type: str, *, origin: str | None, start: str | None, end: str | None,
        out_base: str | None = None, reason: str | None = None, credits_: list[Json] | None = None, rbi: bool = False,
        earned: bool = False, responsible: Player | None = None, index: int | None = None,
    ) -> None:  # fmt: skip
        """Add a runner row; `index` is the event it belongs to, by default the one about to be added."""
        out = out_base is not None
        if out:
            self.game.outs += 1
            self.outs_made += 1
        scored = end == "score"
        self.rows.append(
            {
                "movement": {
                    "originBase": origin,
                    "start": start,
                    "end": end,
                    "outBase": out_base,
                    "isOut": out,
                    "outNumber": self.game.outs if out else None,
                },
                "details": {
                    "event": event,
                    "eventType": event_type,
                    "movementReason": reason,
                    "runner": runner.ref,
                    "responsiblePitcher": responsible.link if responsible is not None else None,
                    "isScoringEvent": scored,
                    "rbi": rbi,
                    "earned": earned,
                    "teamUnearned": False,
                    "playIndex": len(self.events) if index is None else index,
                },
                "credits": credits_ or [],
            }
        )
        if scored:
            self.runs += 1
            self.rbi += rbi
            if self.game.top:
                self.game.away_score += 1
            else:
                self.game.home_score += 1

    def finish(self, event: str, event_type: str, description: str) -> None:
        """Complete the play and append it to the game."""
        game, batter, pitcher = self.game, self.batter, self.pitcher
        bats = batter.bats if batter.bats != "S" else ("L" if pitcher.throws == "R" else "R")
        on_base = game.bases
        end_time = self.events[-1]["endTime"] if self.events else game.now()
        matchup: Json = {
            "batter": batter.ref,
            "batSide": side(bats),
            "pitcher": pitcher.ref,
            "pitchHand": side(pitcher.throws),
        }
        for name, runner in zip(("postOnFirst", "postOnSecond", "postOnThird"), on_base, strict=True):
            if runner is not None and game.outs < 3:
                matchup[name] = runner.player.ref
        matchup |= {
            "batterHotColdZones": [],
            "pitcherHotColdZones": [],
            "splits": {
                "batter": f"vs_{pitcher.throws}HP",
                "pitcher": f"vs_{bats}HB",
                "menOnBase": _men_on_base(on_base),
            },
        }
        index = len(game.plays)
        play: Json = {
            "result": {
                "type": "atBat",
                "event": event,
                "eventType": event_type,
                "description": description,
                "rbi": self.rbi,
                "awayScore": game.away_score,
                "homeScore": game.home_score,
                "isOut": self.outs_made > 0,
            },
            "about": {
                "atBatIndex": index,
                "halfInning": "top" if game.top else "bottom",
                "isTopInning": game.top,
                "inning": game.inning,
                "startTime": self.started,
                "endTime": end_time,
                "isComplete": True,
                "isScoringPlay": self.runs > 0,
                "hasReview": False,
                "hasOut": self.outs_made > 0,
                "captivatingIndex": min(99, self.rbi * 14 + (33 if event_type in _HIT_EVENTS else 0)),
            },
            "count": {"balls": self.balls, "strikes": self.strikes, "outs": game.outs},
            "matchup": matchup,
            "pitchIndex": self.pitch_index,
            "actionIndex": self.action_index,
            "runnerIndex": list(range(len(self.rows))),
            "runners": self.rows,
            "playEvents": self.events,
            "playEndTime": end_time,
            "atBatIndex": index,
        }
        game.plays.append(play)
        game.clock += 12.0
        self.ended = True


_HIT_EVENTS = frozenset({"single", "double", "triple", "home_run"})


def _men_on_base(bases: list[Runner | None]) -> str:
    if all(bases):
        return "Loaded"
    if bases[1] or bases[2]:
        return "RISP"
    return "Men_On" if bases[0] else "Empty"


def base_name(index: int) -> str:
    """Give `1B`, `2B`, `3B` or `score` for a base index of 0 to 3."""
    return BASES[index] if index < 3 else "score"
