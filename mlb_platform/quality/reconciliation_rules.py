"""The rules of reconciliation, declared: what is compared, on which table it is a check, and how sure a finding is."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from mlb_platform.quality import reconciliation_box as box
from mlb_platform.quality import reconciliation_game as game

FEED, LISTING = "feed", "listing"
"""Whose date a table's rows lie under: the game's, or that of the schedule's listing."""


@dataclass(frozen=True)
class Attachment:
    """A check of a table that a rule belongs to."""

    table: str
    check: str
    dated_by: str = FEED
    blocking: bool = True
    """Whether a difference in what cannot be scored otherwise stops what is downstream of the table.

    The feed is not stopped for another response, which may be older than a correction of the feed.
    """


@dataclass(frozen=True)
class Rule:
    """One statement that compares what two sides say of games, by measure and subject.

    `live` rules hold while a game goes on too; `soft` measures can differ for a good reason, so they never block
    (None: all). `other` is the table of another response than the feed: compared once it is of the game's end.
    """

    name: str
    description: str
    sql: str
    attachments: tuple[Attachment, ...]
    live: bool = False
    soft: Collection[str] | None = ()
    other: str | None = None

    @cached_property
    def needs(self) -> list[str]:
        """Tables the statement reads; without one of them there is nothing to compare."""
        return sorted(set(re.findall(r"\b(?:game|schedule)\.[a-z_]+", self.sql)) | {"game.live_game_metadata"})

    def blocks(self, measure: str) -> bool:
        """Whether a difference in a measure is an error."""
        return self.soft is not None and measure not in self.soft


PLAYS = "reconciles_with_plays"
FEED_CHECK = "reconciles_with_feed"
RULES_OF_PLAY = "follows_the_rules"


def _of(table: str, check: str = PLAYS) -> tuple[Attachment, ...]:
    return (Attachment(f"game.{table}", check),)


def _both(table: str, feed_table: str, feed_check: str, dated_by: str = FEED) -> tuple[Attachment, ...]:
    return (Attachment(table, FEED_CHECK, dated_by), Attachment(f"game.{feed_table}", feed_check, blocking=False))


def _box(kind: str, fact: str, measures: tuple[str, ...], soft: Collection[str]) -> Rule:
    table = f"game.boxscore_{kind}"
    return Rule(
        f"boxscore_{kind}",
        f"The {kind} lines of the stand-alone box score are what the feed's plays say of each player.",
        box.players(table, fact, measures),
        _both(table, "live_game_plays", "reconciles_with_boxscore"),
        soft=soft,
        other=table,
    )


RULES = (
    Rule("batting", "The batting line of every player is what the plays say.",
         box.players("game.live_game_player_batting", "batted", box.BATTING), _of("live_game_player_batting")),
    Rule("pitching", "The pitching line of every player is what plays, runners and pitches say.",
         box.players("game.live_game_player_pitching", "pitched", box.PITCHING), _of("live_game_player_pitching"),
         soft={"doubles", "triples"}),
    Rule("fielding", "The putouts and assists of every fielder are those credited in the plays.",
         box.players("game.live_game_player_fielding", "fielded", box.FIELDING), _of("live_game_player_fielding"),
         soft={"assists"}),
    Rule("teams", "The totals of both teams are what plays, runners and pitches say.",
         box.teams("game.live_game_team_totals"), _of("live_game_team_totals"),
         soft={"pitching_doubles", "pitching_triples", "fielding_assists"}),
    Rule("line_score", "Runs and hits by inning and side are those of the plays.",
         game.line_score("game.live_game_linescore_innings"), _of("live_game_linescore_innings")),
    Rule("score", "The score is the runners home, the score of the last play, and the sum of the innings.",
         game.score("game.live_game_metadata", "game.live_game_linescore_innings"), _of("live_game_metadata")),
    Rule("running_score", "The score after each play is the one before it and the runners it brought home.",
         game.RUNNING_SCORE, _of("live_game_plays", "scores_add_up")),
    Rule("scoring_plays", "The scoring plays are those with runs, in order; the last has the final score.",
         game.SCORING_PLAYS, _of("live_game_scoring_plays")),
    Rule("half_innings", "A half-inning has three outs, unless the game ends in it as the rules allow.",
         game.HALF_INNINGS, _of("live_game_plays", RULES_OF_PLAY), live=True),
    Rule("batting_order", "Batters come up by the slots of the line-up, substitutes in the slot they took.",
         game.BATTING_ORDER, _of("live_game_plays", RULES_OF_PLAY)),
    Rule("events", "A game that is over has plays, and the result of every complete one is one whose scoring is known.",
         game.EVENTS, _of("live_game_plays", RULES_OF_PLAY), live=True, soft=None),
    Rule("pitches", "Every pitch is in a play, none is missing, and the last one leaves the play's count.",
         game.PITCHES, _of("live_game_pitch_events"), live=True),
    Rule("batted_balls", "Every batted ball was pitched.",
         game.in_parent("game.live_game_batted_balls", "game.live_game_pitch_events", "at_bat_index, event_index",
                        "' event ' || event_index"), _of("live_game_batted_balls"), live=True),
    Rule("runners", "Every movement of a runner is in a play.",
         game.in_parent("game.live_game_runners", "game.live_game_plays", "at_bat_index",
                        "' row ' || runner_index"), _of("live_game_runners"), live=True),
    Rule("credits", "Every credit of a fielder is for the movement of a runner.",
         game.in_parent("game.live_game_fielding_credits", "game.live_game_runners", "at_bat_index, runner_index",
                        "' row ' || runner_index || ' credit ' || credit_index"), _of("live_game_fielding_credits"),
         live=True),
    _box("batting", "batted", box.BATTING, soft=box.SCORED_LATER),
    _box("pitching", "pitched", box.PITCHING, soft=box.CHARGED_LATER),
    _box("fielding", "fielded", box.FIELDING, soft=box.SCORED_LATER),
    Rule("boxscore_teams", "The totals of the stand-alone box score are what the feed's plays say of both teams.",
         box.teams("game.boxscore_teams"),
         _both("game.boxscore_teams", "live_game_plays", "reconciles_with_boxscore"),
         soft=box.team_measures(box.SCORED_LATER), other="game.boxscore_teams"),
    Rule("linescore_innings", "Runs and hits by inning of the stand-alone line score are those of the feed's plays.",
         game.line_score("game.linescore_innings"),
         _both("game.linescore_innings", "live_game_plays", "reconciles_with_linescore"),
         soft={"hits"}, other="game.linescore_innings"),
    Rule("linescore", "The totals of the stand-alone line score are those of the feed's plays and of its own innings.",
         game.score("game.linescore", "game.linescore_innings"),
         _both("game.linescore", "live_game_plays", "reconciles_with_linescore"),
         soft={"hits"}, other="game.linescore"),
    Rule("play_by_play", "The plays of the stand-alone play-by-play are those of the feed.", game.PLAY_BY_PLAY,
         _both("game.play_by_play_plays", "live_game_plays", "reconciles_with_play_by_play"),
         soft={"event", "rbi"}, other="game.play_by_play_plays"),
    Rule("schedule", "A game that is over has the same score on the schedule and in the feed.", game.SCHEDULE,
         _both("schedule.games", "live_game_metadata", "reconciles_with_schedule", LISTING)),
)  # fmt: skip
