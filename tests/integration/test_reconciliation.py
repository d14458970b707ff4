"""Reconciliation over stored tables: real captures and simulated games hold every rule, and each rule can fail."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from half_merged import checked_beside
from helpers import fresh_database
from pyspark.sql import SparkSession
from reconciliation_changes import (
    BATTED,
    BATTER,
    CHANGES,
    FIELDER,
    FIRST,
    GAME,
    LONG_PLAY,
    PITCHER,
    SCORING,
    SIDE_EFFECTS,
    STRIKEOUT,
    one,
)

from asset_checks.reconciliation import NAMES, evaluate_reconciliation
from mlb_platform.assets.command import materialize_dates
from mlb_platform.assets.partitions import date_partitions
from mlb_platform.assets.specs import table_key
from mlb_platform.cli.main import run
from mlb_platform.dagster_home import PERMANENT_TAG, open_instance
from mlb_platform.definitions import build_definitions
from mlb_platform.ingestion.captures_folder import ingest_folder
from mlb_platform.platform import Platform
from mlb_platform.quality.known_differences import KnownDifference, known_differences
from mlb_platform.quality.reconciliation import Reconciled, reconcile, reconcile_in
from mlb_platform.quality.reconciliation_rules import LISTING, RULES
from mlb_platform.settings import PROJECT_ROOT, Settings
from mlb_platform.simulator import live_capture, simulate_games, write_captures_folder
from resources.errors import PlatformError
from resources.postgres import Postgres

MAPPINGS = ("game/live_game_v1", "schedule/schedule", "game/boxscore", "game/linescore", "game/play_by_play")
DATES = [FIRST + timedelta(days=n) for n in range(5)]
"""The dates of the simulated games, of which no real capture is."""
WITHIN = f"BETWEEN '{DATES[0]}' AND '{DATES[-1]}'"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(scope="module")
def platform_made(
    postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A platform with the tables that are reconciled: thirty simulated games that are over and two that go on, with all
    other responses about them, and the real captures where there are any."""
    games = list(simulate_games(32, FIRST, 3))
    going_on = [live_capture(games[0], 40), live_capture(games[-1], 61, pitches=2)]
    simulated = tmp_path_factory.mktemp("captures")
    write_captures_folder([*games[1:-1], *going_on], simulated, every_endpoint=True)
    folders = [simulated, *(Path(f) for f in [os.environ.get("MLB_CAPTURES")] if f)]
    needed = {table for rule in RULES for table in rule.needs} | {"schedule.games"}
    with fresh_database(postgres) as database:
        settings = Settings(home=tmp_path_factory.mktemp("home"), database_url=database.url)
        platform = Platform(settings, spark_factory=lambda: spark)
        mappings = platform.registry.mappings
        for name in MAPPINGS:
            for folder in folders:
                ingest_folder(folder, platform.raw, platform.quality, mappings, only_mapping=name)
            platform.transformation(name, [t.name for t in mappings[name].targets if t.name in needed]).run()
        yield platform
        platform.postgres.close()


@pytest.fixture
def simulated(platform_made: Platform) -> Platform:
    """The platform, for tests of simulated games."""
    return platform_made


@pytest.fixture
def real(platform_made: Platform, captures: Path) -> Platform:
    """The platform, for tests of real games; they are skipped where there are no captures."""
    assert captures.is_dir()
    return platform_made


def row(platform: Platform, query: str) -> tuple[Any, ...]:
    """The only row of a query, or the first."""
    with platform.postgres.transaction() as connection:
        found = connection.execute(query.encode()).fetchone()
    assert found is not None, query
    return found


def real_games(platform: Platform) -> list[int]:
    """The real games among them."""
    with platform.postgres.transaction() as connection:
        query = f"SELECT game_pk FROM game.live_game_metadata WHERE game_date NOT {WITHIN}"
        return [found[0] for found in connection.execute(query.encode())]


def listing(found: Reconciled) -> str:
    """Differences without a reason, a line each."""
    return "\n".join(str(d) for d in found.unexplained)


def test_real_games_differ_only_where_the_source_is_known_to(real: Platform) -> None:
    """Every rule makes comparisons over the captures; what differs, if anything, is in the data file."""
    known = known_differences(real.settings.mappings)
    found = reconcile(real.postgres, games=real_games(real), known=known)
    made = {rule.name: sum(c.comparisons for c in found.compared if c.rule is rule) for rule in RULES}
    assert min(made.values()) > 0 and sum(made.values()) > 16_000, made
    assert found.unexplained == [], listing(found)
    assert len(found.differences) == len(known)
    assert found.unmatched == [] and found.absent == {}


def test_a_difference_is_explained_where_it_is_listed_as_known_and_an_entry_too_many_is_told(
    simulated: Platform,
) -> None:
    """A hit too many with its reason; and an entry that says what no table says."""
    (game_pk,) = row(simulated, f"SELECT {GAME}")
    with simulated.postgres.transaction() as connection:
        connection.execute(one("game.live_game_player_batting", "hits = hits + 1", f"player_id = {BATTER}").encode())
        (d,) = reconcile_in(connection, games=[game_pk]).unexplained
        known = KnownDifference(d.rule, game_pk, d.subject, d.expected, d.actual, "a hit that the scorer took back")
        wrong = dataclasses.replace(known, actual="17")
        found = reconcile_in(connection, games=[game_pk], known=[known, wrong])
        raise psycopg.Rollback
    assert [e.reason for e in found.differences] == [known.reason]
    assert found.unexplained == [] and found.unmatched == [wrong]


def test_simulated_games_hold_every_rule(simulated: Platform) -> None:
    """Extra innings, walk-offs and games that go on among them; the schedule's dates give the same."""
    found = reconcile(simulated.postgres, dates=DATES)
    assert found.differences == [], listing(found)
    assert {c.rule.name for c in found.compared} == {r.name for r in RULES}
    walk_offs = sum(c.comparisons for c in found.compared if c.name == "half_innings.walk_off")
    longest = row(simulated, f"SELECT max(inning) FROM game.live_game_linescore_innings WHERE game_date {WITHIN}")[0]
    assert walk_offs > 0 and longest > 9
    over = {g.game_pk for g in found.games["batting"]}
    assert len(over) == 30 and {g.game_pk for g in found.games["pitches"]} > over
    schedule = [r for r in RULES if r.name == "schedule"]
    listed = reconcile(simulated.postgres, schedule, dates=[FIRST], dated_by=LISTING)
    assert 0 < sum(c.comparisons for c in listed.compared) < sum(c.comparisons for c in found.compared)


def differences_after(platform: Platform, statements: Sequence[str]) -> Reconciled:
    """What is found of the game with these changes; they are not kept."""
    with platform.postgres.transaction() as connection:
        game_pk = connection.execute(f"SELECT {GAME}".encode()).fetchone()
        assert game_pk is not None
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount > 0, statement
        found = reconcile_in(connection, games=list(game_pk))
        raise psycopg.Rollback
    return found


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_value_is_found_by_its_rule(simulated: Platform, what: str) -> None:
    """By exactly the rules that it concerns, with the game and the subject."""
    statement, expected = CHANGES[what]
    places = {"game": GAME, "batter": BATTER, "pitcher": PITCHER, "fielder": FIELDER, "scoring": SCORING,
              "batted": BATTED, "strikeout": STRIKEOUT, "long": LONG_PLAY}  # fmt: skip
    values = {name: row(simulated, f"SELECT {query}")[0] for name, query in places.items()}
    found = differences_after(simulated, [statement])
    by_name = {d.rule: d for d in found.differences if d.rule.split(".")[0] not in SIDE_EFFECTS.get(what, ())}
    if what in SIDE_EFFECTS:
        by_name |= {d.rule: d for d in found.differences if d.rule in expected}
    assert set(by_name) == set(expected), listing(found)
    for name, subject in expected.items():
        assert subject.format(**values) in by_name[name].subject
        assert by_name[name].game.game_pk == values["game"]


def test_every_rule_has_been_seen_to_fail() -> None:
    """The changes above leave no rule out."""
    assert {name.split(".")[0] for _, expected in CHANGES.values() for name in expected} == {r.name for r in RULES}


def test_a_game_that_goes_on_is_not_blamed_for_its_totals(simulated: Platform) -> None:
    """Its box score may be ahead of its plays; a pitch without a play is wrong at any time, but blocks nothing."""
    live = f"SELECT min(game_pk) FROM game.live_game_metadata WHERE abstract_game_state = 'Live' AND game_date {WITHIN}"
    (going_on,) = row(simulated, live)
    with simulated.postgres.transaction() as connection:
        for change in (
            "UPDATE game.live_game_player_batting SET hits = hits + 1 WHERE game_pk = %s",
            "UPDATE game.live_game_metadata SET home_score = 40 WHERE game_pk = %s",
            "UPDATE game.live_game_linescore_innings SET away_runs = 9 WHERE game_pk = %s",
        ):
            connection.execute(change.encode(), [going_on])
        totals = reconcile_in(connection, games=[going_on])
        connection.execute(
            b"UPDATE game.live_game_pitch_events SET at_bat_index = 900 WHERE game_pk = %s AND at_bat_index = 4",
            [going_on],
        )
        pitches = reconcile_in(connection, games=[going_on])
        raise psycopg.Rollback
    assert totals.differences == [] and totals.compared
    assert "pitches.in_a_play" in {d.rule for d in pitches.differences}
    assert not any(d.blocking for d in pitches.differences)


def test_a_strikeout_from_two_strikes_is_the_first_batters(simulated: Platform) -> None:
    """A batter who is replaced with two strikes is charged with the strikeout, at one strike the substitute is."""
    batter, side, other = row(
        simulated,
        f"SELECT batter_id, CASE half_inning WHEN 'top' THEN 'away' ELSE 'home' END, (SELECT min(player_id) FROM "
        f"game.live_game_player_batting b WHERE b.game_pk = p.game_pk AND player_id <> batter_id AND at_bats > 0 AND "
        f"side = CASE half_inning WHEN 'top' THEN 'away' ELSE 'home' END) FROM game.live_game_plays p "
        f"WHERE game_pk = {GAME} AND at_bat_index = {STRIKEOUT}",
    )

    def struck_out(strikes: int) -> dict[str, int]:
        rows = (
            f"INSERT INTO {{}} SELECT r.* FROM jsonb_populate_record((SELECT x FROM {{}} x WHERE game_pk = {GAME} "
            f"LIMIT 1), jsonb_build_object('at_bat_index', {STRIKEOUT}, 'event_index', 90, 'strikes', {strikes}, "
            f"'position_code', '11', 'player_id', {batter}, 'replaced_player_id', {other}, 'event_type', "
            "'offensive_substitution')) r"
        )
        tables = ("game.live_game_play_actions", "game.live_game_substitutions")
        found = differences_after(simulated, [rows.format(t, t) for t in tables])
        return {
            d.subject: int(d.expected or 0) - int(d.actual or 0)
            for d in found.differences
            if d.rule == "batting.strike_outs"
        }

    assert struck_out(1) == {}
    assert struck_out(2) == {f"{side} player {batter}": -1, f"{side} player {other}": 1}


def test_a_walk_is_the_first_pitchers_where_the_count_was_his(simulated: Platform) -> None:
    """Relieved at 3-1 the walk stays with him, at 1-1 it is the reliever's; batters faced go along."""
    index, pitcher, side = row(
        simulated,
        f"SELECT at_bat_index, pitcher_id, CASE half_inning WHEN 'top' THEN 'home' ELSE 'away' END FROM (SELECT *, "
        f"lag(pitcher_id) OVER (PARTITION BY half_inning ORDER BY at_bat_index) AS before FROM game.live_game_plays "
        f"WHERE game_pk = {GAME}) p WHERE event_type = 'walk' AND before = pitcher_id ORDER BY 1 LIMIT 1",
    )

    def walked(balls: int) -> dict[str, int]:
        action = (
            "INSERT INTO game.live_game_play_actions SELECT r.* FROM jsonb_populate_record((SELECT x FROM "
            f"game.live_game_play_actions x WHERE game_pk = {GAME} LIMIT 1), jsonb_build_object('at_bat_index', "
            f"{index}, 'event_index', 90, 'balls', {balls}, 'strikes', 1, 'player_id', 1, 'event_type', "
            "'pitching_substitution')) r"
        )
        relieved = one("game.live_game_plays", "pitcher_id = 1", f"at_bat_index = {index}")
        found = differences_after(simulated, [action, relieved])
        return {
            d.subject: int(d.expected or 0) - int(d.actual or 0)
            for d in found.differences
            if d.rule in ("pitching.base_on_balls", "pitching.batters_faced")
        }

    assert walked(3) == {}
    assert walked(1) == {f"{side} player 1": 1, f"{side} player {pitcher}": -1}


def test_a_foul_that_is_gone_is_missed_where_no_count_tells_of_it(simulated: Platform) -> None:
    """The last pitch, a foul with two strikes, before a runner is picked off: the events of the play have a gap."""
    index, foul, balls = row(
        simulated,
        f"SELECT at_bat_index, event_index, balls FROM (SELECT *, lead(event_index) OVER play AS next, lead("
        f"event_index, 2) OVER play AS after, lag(strikes) OVER play AS before FROM game.live_game_pitch_events WHERE "
        f"game_pk = {GAME} WINDOW play AS (PARTITION BY at_bat_index ORDER BY event_index)) p WHERE pitch_call_code = "
        "'F' AND strikes = 2 AND before = 2 AND next = event_index + 1 AND after IS NULL ORDER BY 1 LIMIT 1",
    )
    pitch = f"DELETE FROM game.live_game_pitch_events WHERE game_pk = {GAME} AND at_bat_index = {index}"
    pickoff = (
        "INSERT INTO game.live_game_play_actions SELECT r.* FROM jsonb_populate_record((SELECT x FROM "
        f"game.live_game_play_actions x WHERE game_pk = {GAME} LIMIT 1), jsonb_build_object('at_bat_index', {index}, "
        f"'event_index', {foul + 1}, 'event_kind', 'pickoff', 'event_type', 'pickoff_1b')) r"
    )
    result = f"event_type = 'pickoff_1b', balls = {balls}, strikes = 2"
    picked_off = [
        f"{pitch} AND event_index > {foul}",
        pickoff,
        one("game.live_game_plays", result, f"at_bat_index = {index}"),
    ]
    found = [
        {(d.rule, d.subject) for d in differences_after(simulated, s).differences if d.rule.startswith("pitches.")}
        for s in (picked_off, [*picked_off, f"{pitch} AND event_index = {foul}"])
    ]
    assert found == [set(), {("pitches.events", f"play {index}")}]


def test_an_intentional_walk_needs_no_pitch_and_a_walk_does(simulated: Platform) -> None:
    """A play of no pitch at all: by its result."""
    pitches = f"DELETE FROM game.live_game_pitch_events WHERE game_pk = {GAME} AND at_bat_index = {STRIKEOUT}"

    def found(result: str) -> set[str]:
        play = one("game.live_game_plays", f"event_type = '{result}'", f"at_bat_index = {STRIKEOUT}")
        differences = differences_after(simulated, [pitches, play]).differences
        return {d.rule for d in differences if d.rule.startswith("pitches.")}

    results = ("intent_walk", "walk", "hit_by_pitch", "single", "pickoff_1b")
    assert [found(result) for result in results] == [set(), *[{"pitches.thrown"}] * 3, set()]


def test_a_response_older_than_the_end_of_its_game_is_not_compared(simulated: Platform) -> None:
    """A box score of the fifth inning has fewer hits; that it was left out is told."""
    (game_pk,) = row(simulated, f"SELECT {GAME}")
    with simulated.postgres.transaction() as connection:
        connection.execute(
            b"UPDATE quality.merge_state SET observed_at = observed_at - interval '1 day' "
            b"WHERE table_name = 'game.boxscore_batting' AND scope = %s",
            [str(game_pk)],
        )
        connection.execute(b"UPDATE game.boxscore_batting SET hits = 0 WHERE game_pk = %s", [game_pk])
        found = reconcile_in(connection, games=[game_pk])
        raise psycopg.Rollback
    assert found.differences == []
    assert [g.game_pk for g in found.early["boxscore_batting"]] == [game_pk]


def test_a_game_that_was_called_may_end_in_the_middle_of_an_inning(simulated: Platform) -> None:
    """By its status, not by a list: the same plays without it are a finding."""
    cut = (
        f"DELETE FROM game.live_game_plays WHERE game_pk = {GAME} AND at_bat_index >= (SELECT max(at_bat_index) FROM "
        f"game.live_game_plays WHERE game_pk = {GAME} AND inning = 7 AND half_inning = 'top' AND outs = 1)"
    )
    called = one("game.live_game_metadata", "status_code = 'FR', detailed_state = 'Completed Early: Rain'")
    halves = [{d.rule for d in differences_after(simulated, s).differences} for s in ([cut], [cut, called])]
    assert ["half_innings.three_outs" in found for found in halves] == [True, False]


def test_what_older_responses_do_not_count_is_not_compared(simulated: Platform) -> None:
    """As in 2018: no at bats of pitchers, and team totals without plate appearances, whose parts do not add up.

    One pitcher's line of 0 is a finding all the same, and so are at bats that are missing."""
    none = [
        one("game.live_game_player_pitching", "at_bats = 0"),
        one("game.boxscore_pitching", "at_bats = 0"),
        one("game.live_game_team_totals", "pitching_at_bats = 0, batting_plate_appearances = NULL, "
            "batting_sac_flies = 9"),
        one("game.boxscore_teams",
            "pitching_at_bats = 0, batting_plate_appearances = NULL, batting_sac_flies = 9"),
    ]  # fmt: skip
    assert (found := differences_after(simulated, none)).differences == [], listing(found)
    (pitcher,) = row(simulated, f"SELECT {PITCHER}")
    some = [one("game.live_game_player_pitching", "at_bats = 0", f"player_id = {pitcher}")]
    missing = [one("game.live_game_player_pitching", "at_bats = NULL")]
    for changes in (some, missing):
        assert {d.rule for d in differences_after(simulated, changes).differences} == {"pitching.at_bats"}


LONG_HITS = "pitching_doubles = 0, pitching_triples = 0"


@pytest.mark.parametrize(
    ("left_out", "wrong", "rules"),
    [
        (
            [one("game.live_game_team_totals", LONG_HITS), one("game.boxscore_teams", LONG_HITS)],
            [one("game.live_game_team_totals", "pitching_doubles = pitching_doubles + 1", "side = 'home'")],
            {"teams.pitching_doubles"},
        ),
        (
            [f"DELETE FROM game.live_game_fielding_credits WHERE game_pk = {GAME}"],
            [f"DELETE FROM game.live_game_fielding_credits WHERE game_pk = {GAME} AND player_id = {FIELDER}"],
            {"fielding.put_outs", "teams.fielding_put_outs", "boxscore_fielding.put_outs",
             "boxscore_teams.fielding_put_outs"},
        ),
    ],
    ids=["long hits against sides", "credits"],
)  # fmt: skip
def test_what_a_game_tells_of_nobody_is_not_compared(
    simulated: Platform, left_out: list[str], wrong: list[str], rules: set[str]
) -> None:
    """As in 2021 and 2023, where sides have no double against; and where no out names a fielder. A part is missed."""
    assert (found := differences_after(simulated, left_out)).differences == [], listing(found)
    assert {d.rule for d in differences_after(simulated, wrong).differences} >= rules


def test_a_game_whose_pitches_nobody_counted_misses_none(simulated: Platform) -> None:
    """As in lower leagues: no pitch in any play, and none in the lines of pitchers; where they have some, all do."""
    gone = f"DELETE FROM game.live_game_pitch_events WHERE game_pk = {GAME}"
    uncounted = one("game.live_game_player_pitching", "pitches_thrown = {}")
    found = [
        {d.rule for d in differences_after(simulated, [gone, *also]).differences} & {"pitches.thrown"}
        for also in ([], [uncounted.format("0")], [uncounted.format("NULL")])
    ]
    assert found == [{"pitches.thrown"}, set(), set()]


def test_a_game_whose_plays_nobody_kept_is_said_to_have_none_and_blamed_for_nothing_else(simulated: Platform) -> None:
    """As of old games: the innings still add up to the score. Where a pitch was counted, the plays are lost."""
    of_plays = (
        "game.live_game_plays", "game.live_game_pitch_events", "game.live_game_play_actions",
        "game.live_game_batted_balls", "game.live_game_runners", "game.live_game_scoring_plays",
        "game.live_game_fielding_credits", "game.live_game_substitutions", "game.play_by_play_plays",
    )  # fmt: skip
    gone = [f"DELETE FROM {table} WHERE game_pk = {GAME}" for table in of_plays]
    uncounted = one("game.live_game_player_pitching", "pitches_thrown = NULL")
    found = differences_after(simulated, [*gone, uncounted]).differences
    assert [(d.rule, d.expected, d.actual, d.blocking) for d in found] == [("events.kept", "true", "false", False)]
    shorter = one("game.live_game_linescore_innings", "home_runs = home_runs + 1", "inning = 2")
    rules = {d.rule for d in differences_after(simulated, [*gone, uncounted, shorter]).differences}
    assert rules == {"events.kept", "score.innings"}
    assert {"batting.hits", "line_score.runs", "score.runs"} <= {
        d.rule for d in differences_after(simulated, gone).differences
    }


def test_runs_before_the_result_of_a_play_do_not_say_whether_it_is_a_scoring_play(simulated: Platform) -> None:
    """On a balk, say, before a flyout: feeds call such a play none. With a run by its result it is one."""
    (play,) = row(
        simulated,
        f"SELECT min(at_bat_index) FROM (SELECT at_bat_index FROM game.live_game_runners WHERE game_pk = {GAME} GROUP "
        "BY 1 HAVING bool_or(end_base = 'score') AND bool_or(end_base IS DISTINCT FROM 'score')) p",
    )
    none = one("game.live_game_plays", "is_scoring_play = false", f"at_bat_index = {play}")
    before = one("game.live_game_runners", "play_index = -1", f"at_bat_index = {play} AND end_base = 'score'")
    found = [{str(d.rule) for d in differences_after(simulated, s).differences} for s in ([none], [none, before])]
    assert found == [{"running_score.is_scoring_play"}, set()]


@pytest.fixture
def instance(simulated: Platform) -> Iterator[dg.DagsterInstance]:
    """The platform's Dagster instance."""
    with open_instance(simulated.settings, simulated.postgres) as opened:
        yield opened


BATTING = table_key("game.live_game_player_batting")
CHECK = dg.AssetCheckKey(BATTING, "reconciles_with_plays")


@pytest.fixture
def wrong_hit(simulated: Platform) -> Iterator[int]:
    """A stored hit too many, for the time of a test; gives the game."""
    (game_pk,) = row(simulated, f"SELECT {GAME}")
    change = "UPDATE game.live_game_player_batting SET hits = hits {} 1 WHERE game_pk = {} AND player_id = {}"
    (batter,) = row(simulated, f"SELECT {BATTER}")
    for sign in "+-":
        with simulated.postgres.transaction() as connection:
            connection.execute(change.format(sign, game_pk, batter).encode())
        if sign == "+":
            yield game_pk


@pytest.mark.parametrize(
    ("writer", "table"),
    [
        ("game/live_game_v1", "game.live_game_runners"),
        ("game/boxscore", "game.boxscore_pitching"),
        ("schedule/schedule", "schedule.games"),
    ],
)
def test_a_check_beside_a_run_that_has_merged_half_waits_for_the_rest(
    simulated: Platform, writer: str, table: str
) -> None:
    """All rows of a table of the game are not there yet: no finding of any check of any table once they are."""
    (game_pk,) = row(simulated, f"SELECT {GAME}")
    mapping = simulated.registry.get(writer)
    scope = "*" if mapping.per_element else str(game_pk)
    with simulated.postgres.transaction() as connection:
        connection.execute(f"CREATE TABLE public.rest AS SELECT * FROM {table} WHERE game_pk = {game_pk}".encode())
        connection.execute(f"UPDATE {table} SET {CHANGED[table]} WHERE game_pk = {game_pk}".encode())
    rest = f"DELETE FROM {table} WHERE game_pk = {game_pk}; INSERT INTO {table} SELECT * FROM public.rest"

    def check() -> list[dg.AssetCheckEvaluation]:
        return list(evaluate_reconciliation(simulated, mapping, list(mapping.by_name), [FIRST]))

    try:
        assert not all(v.passed for v in check())  # nobody writes it: a finding, at once
        verdicts = checked_beside(simulated.postgres, writer, scope, rest, check)
    finally:
        with simulated.postgres.transaction() as connection:
            connection.execute(rest.encode())
            connection.execute(b"DROP TABLE public.rest")
    assert verdicts and [str(v.description) for v in verdicts if not v.passed] == []


CHANGED = {"game.live_game_runners": "end_base = '1B'", "game.boxscore_pitching": "strike_outs = 40",
           "schedule.games": "home_score = 40"}  # fmt: skip
"""What rows said before they were merged anew."""


def test_a_check_that_finds_nothing_waits_for_nobody(simulated: Platform) -> None:
    """While all games of the date are being written, and so is a game beside one with a difference."""
    mapping = simulated.registry.get(MAPPINGS[0])
    (game_pk,) = row(simulated, f"SELECT {GAME}")
    with simulated.postgres.transaction() as connection:
        query = f"SELECT game_pk::text FROM game.live_game_metadata WHERE game_date = '{FIRST}'"
        games = [found[0] for found in connection.execute(query.encode())]
    with simulated.postgres.scope_locks(mapping.name, games), simulated.postgres.scope_locks(MAPPINGS[1], ["*"]):
        assert all(v.passed for v in evaluate_reconciliation(simulated, mapping, list(mapping.by_name), [FIRST]))
    with simulated.postgres.scope_locks(mapping.name, [g for g in games if g != str(game_pk)]):
        postgres = simulated.postgres
        wrong = "UPDATE game.live_game_player_batting SET hits = hits {} 1 WHERE game_pk = {} AND at_bats > 0"
        for sign in "+-":
            with postgres.transaction() as connection:
                connection.execute(wrong.format(sign, game_pk).encode())
            if sign == "+":
                verdicts = list(evaluate_reconciliation(simulated, mapping, list(mapping.by_name), [FIRST]))
    assert {v.check_name for v in verdicts if not v.passed} == {CHECK.name}


@pytest.mark.parametrize(
    ("table", "change", "blocks"),
    [
        ("game.boxscore_batting", "runs = runs + 1", True),
        ("game.boxscore_teams", "batting_runs = batting_runs + 1", True),
        ("game.boxscore_teams", "pitching_runs = pitching_runs + 1", True),
        ("game.boxscore_batting", "hits = hits + 1", False),
        ("game.boxscore_pitching", "runs = runs + 1", False),
        ("game.boxscore_pitching", "outs = outs + 1", True),
    ],
)
def test_between_responses_what_a_scorer_can_rule_otherwise_warns_and_the_rest_is_an_error(
    simulated: Platform, table: str, change: str, blocks: bool
) -> None:
    """A run is scored or not, whoever of the pitchers is charged with it."""
    found = differences_after(simulated, [one(table, change)])
    assert found.differences and {d.blocking for d in found.differences} == {blocks}


def run_batting(platform: Platform, instance: dg.DagsterInstance, **options: Any) -> dg.ExecuteInProcessResult:
    """Run the batting lines, their check and an asset downstream of them, as a job does."""
    days = date_partitions(platform.settings.first_partition_date)

    @dg.asset(deps=[BATTING], partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run())
    def downstream() -> None: ...

    job = dg.define_asset_job("batting", dg.AssetSelection.assets(BATTING, "downstream"))
    extra = dg.Definitions(assets=[downstream], jobs=[job])
    merged = dg.Definitions.merge(build_definitions(platform.settings, platform), extra)
    return merged.resolve_job_def("batting").execute_in_process(
        instance=instance, run_config=QUIET, raise_on_error=False, **options
    )


def test_a_difference_fails_the_check_of_its_date_and_stops_what_is_downstream(
    simulated: Platform, instance: dg.DagsterInstance, wrong_hit: int
) -> None:
    """In a job over one date; the verdict says what was compared and what differs."""
    result = run_batting(simulated, instance, partition_key=FIRST.isoformat())
    assert not result.success
    (verdict,) = [c for c in result.get_asset_check_evaluations() if c.check_name == CHECK.name]
    assert (verdict.passed, verdict.severity, verdict.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert f"batting.hits of game {wrong_hit}" in (verdict.description or "")
    figures = {name: verdict.metadata[name].value for name in ("mismatches", "known")}
    assert figures == {"mismatches": 1, "known": 0} and int(verdict.metadata["comparisons"].value) > 1000  # type: ignore[arg-type]
    (shown,) = verdict.metadata["differences"].records  # type: ignore[attr-defined]
    assert (shown.data["rule"], shown.data["game"]) == ("batting.hits", wrong_hit)
    assert instance.get_materialized_partitions(dg.AssetKey("downstream")) == set()
    assert instance.get_materialized_partitions(BATTING) == {FIRST.isoformat()}
    assert PERMANENT_TAG in instance.get_runs()[0].tags  # so a sensor does not request the same run again


def test_a_range_of_dates_has_a_verdict_a_date(
    simulated: Platform, instance: dg.DagsterInstance, request: pytest.FixtureRequest
) -> None:
    """Without differences the downstream runs; with one of one date it does not, and the other date passes."""
    days = [day.isoformat() for day in DATES[:2]]
    tags = {"dagster/asset_partition_range_start": days[0], "dagster/asset_partition_range_end": days[1]}

    def statuses() -> dict[str | None, str]:
        history = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=50)
        return {r.partition: r.status.value for r in reversed(history)}

    assert run_batting(simulated, instance, tags=tags).success
    assert statuses().items() >= dict.fromkeys(days, "SUCCEEDED").items()
    assert set(days) <= instance.get_materialized_partitions(dg.AssetKey("downstream"))
    request.getfixturevalue("wrong_hit")
    assert not run_batting(simulated, instance, tags=tags).success
    assert statuses().items() >= {days[0]: "FAILED", days[1]: "SUCCEEDED"}.items()


def test_the_command_records_a_difference_and_goes_on(
    simulated: Platform, instance: dg.DagsterInstance, wrong_hit: int
) -> None:
    """The run succeeds, since what it merged is right as merged; the verdict says that it does not reconcile."""
    verdicts: list[dg.AssetCheckEvaluation] = []
    materialize_dates(
        simulated, MAPPINGS[0], ["game.live_game_player_batting"], [FIRST], on_check=verdicts.append, instance=instance
    )
    (failed,) = [v for v in verdicts if not v.passed and v.check_name in NAMES]
    assert failed.asset_check_key == CHECK and failed.severity is dg.AssetCheckSeverity.ERROR
    history = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=1)
    assert history[0].status.value == "FAILED"


@pytest.fixture
def mlb(
    simulated: Platform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs `mlb` on the platform; gives the exit code and what was printed."""
    monkeypatch.setenv("MLB_HOME", str(simulated.settings.home))
    monkeypatch.setenv("MLB_DATABASE_URL", simulated.postgres.url)

    def command(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        return run(arguments), capsys.readouterr().out

    return command


def test_reconcile_prints_what_was_compared_by_rule(
    mlb: Callable[..., tuple[int, str]], request: pytest.FixtureRequest
) -> None:
    """Exit code 0 without a difference; with one 1, and the difference is told, in words and in JSON."""
    days = ("--from", FIRST.isoformat(), "--to", FIRST.isoformat())
    code, out = mlb("quality", "reconcile", *days)
    assert code == 0 and "0 unexplained differences" in out
    (line,) = [text.split() for text in out.splitlines() if text.split()[:1] == ["batting"]]
    assert int(line[1]) > 10 and int(line[2].replace(",", "")) > 1000 and line[3:] == ["0", "0"]
    game_pk = request.getfixturevalue("wrong_hit")
    code, out = mlb("quality", "reconcile", *days)
    assert code == 1 and f"✗ batting.hits of game {game_pk}" in out
    code, out = mlb("quality", "reconcile", "--game-pk", str(game_pk), "--json")
    told = json.loads(out)
    assert code == 1 and [(d["rule"], d["game_pk"]) for d in told["differences"]] == [("batting.hits", game_pk)]
    by_rule = {r["rule"]: r for r in told["rules"]}
    assert by_rule["batting.hits"]["mismatches"] == 1 and by_rule["batting.hits"]["games"] == 1
    assert mlb("quality", "reconcile", "--game-pk", "17")[0] == 1


def test_materialize_counts_reconciliation_and_fails_for_a_difference(
    mlb: Callable[..., tuple[int, str]], request: pytest.FixtureRequest
) -> None:
    """Also where everything is merged already: the checks of the dates asked for are looked up."""
    asked = ("materialize", "--table", "game.live_game_player_batting", "--from", FIRST.isoformat(), "--to",
             FIRST.isoformat())  # fmt: skip
    code, out = mlb(*asked)
    assert code == 0 and "reconciliation 1 of 1" in out
    game_pk = request.getfixturevalue("wrong_hit")
    code, out = mlb(*asked)
    assert code == 1 and "reconciliation 0 of 1" in out
    assert f"✗ reconciles_with_plays of game.live_game_player_batting on {FIRST}: batting.hits of game {game_pk}" in out


def test_checks_stand_on_both_sides_of_what_they_compare(tmp_path: Path) -> None:
    """The schedule's own stops what is downstream of the schedule, the feed's does not stop the feed."""
    graph = build_definitions(Settings(home=tmp_path)).resolve_asset_graph()
    own = dg.AssetCheckKey(table_key("schedule.games"), "reconciles_with_feed")
    feed = dg.AssetCheckKey(table_key("game.live_game_metadata"), "reconciles_with_schedule")
    assert {own, feed, CHECK} <= graph.asset_check_keys
    assert [graph.get_check_spec(k).blocking for k in (own, feed, CHECK)] == [True, False, True]


def test_without_the_tables_a_rule_needs_nothing_is_compared(database: Postgres) -> None:
    """An empty database: no error, and the tables are named."""
    found = reconcile(database, dates=[FIRST])
    assert found.compared == [] and set(found.absent) == {r.name for r in RULES}
    assert "game.live_game_plays" in found.absent["batting"]


def test_the_data_file_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    """An entry without reason, of an unknown rule or listed twice is refused, with the file's name."""
    folder = tmp_path / "known"
    folder.mkdir()
    assert known_differences(tmp_path) == []
    entry = "games: [{game: 1, reason: a long reason, differences: [%s]}]"
    found = "{rule: %s.hits, subject: home, expected: '1', actual: null}"
    wrong = ["games: [{game: 1, differences: []}]", entry % "{rule: batting.hits}", entry % (found % "bating"), "x: ["]
    for text in (*wrong, entry % ", ".join([found % "batting"] * 2)):
        (folder / "differences.yaml").write_text(text)
        with pytest.raises(PlatformError, match=r"differences\.yaml"):
            known_differences(tmp_path)
    (folder / "differences.yaml").write_text(entry % (found % "batting"))
    assert [k.rule for k in known_differences(tmp_path)] == ["batting.hits"]
    assert known_differences(PROJECT_ROOT / "mapping_configs") == []
