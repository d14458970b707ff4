"""Rules: the lines of a box score, of players and teams, against the plays."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mlb_platform.quality.reconciliation_facts import FACTS, OF_GAMES
from mlb_platform.quality.reconciliation_sql import choice, numbers, quoted, statement

BATTING = (
    "plate_appearances", "at_bats", "runs", "hits", "doubles", "triples", "home_runs", "total_bases", "rbi",
    "base_on_balls", "intentional_walks", "strike_outs", "hit_by_pitch",
)  # fmt: skip
PITCHING = (
    "batters_faced", "at_bats", "hits", "doubles", "triples", "home_runs", "runs", "earned_runs", "base_on_balls",
    "intentional_walks", "strike_outs", "hit_by_pitch", "outs", "pitches_thrown",
)  # fmt: skip
FIELDING = ("put_outs", "assists")
OPTIONAL = frozenset(
    {"plate_appearances", "batters_faced", "total_bases", "intentional_walks", "pitches_thrown", "hit_by_pitch",
     "earned_runs", "assists", "doubles", "triples"}
)  # fmt: skip
"""What older responses leave out; the rest is missed where it is not there."""
_PARTS = ("at_bats", "base_on_balls", "hit_by_pitch", "sac_bunts", "sac_flies", "catchers_interference")
SCORED_LATER = frozenset(
    {"at_bats", "hits", "doubles", "triples", "home_runs", "total_bases", "rbi", "earned_runs", "put_outs", "assists"}
)  # fmt: skip
"""What the official scorer can rule otherwise after the game: two responses of different times may differ in it."""
CHARGED_LATER = SCORED_LATER | {"runs"}
"""The same for pitchers: to whom of them a run is charged is the scorer's too; that it was scored is not."""


def players(table: str, fact: str, measures: Sequence[str]) -> str:
    """Return the statement for a table of players' lines; `fact` is what the plays say of them."""
    lines = numbers({m: _column(m, fact) for m in measures})
    actual = f"SELECT game_pk, side, player_id, measure, {lines[0]} AS value FROM {table} {lines.join} WHERE {OF_GAMES}"
    expected = f"""SELECT game_pk, side, player_id, measure, sum(n) AS n FROM {fact}
                   WHERE measure IN {choice(measures)} GROUP BY 1, 2, 3, 4"""
    uncounted = f"SELECT game_pk, measure FROM uncounted WHERE fact = {quoted(fact)}"
    if fact == "pitched":
        uncounted += f" UNION ALL {_without_at_bats(table)}"
    keys, subject = "game_pk, side, player_id", "side || ' player ' || player_id"
    return statement(FACTS, _compared(actual, expected, keys, subject, sorted(OPTIONAL), uncounted))


GROUPS = (
    ("batting", "batted", BATTING),
    ("pitching", "pitched", tuple(m for m in PITCHING if m != "earned_runs")),
    ("fielding", "fielded", FIELDING),
)


def teams(table: str) -> str:
    """Return the statement for a table of teams' totals, with batting, pitching and fielding of each.

    A run can be earned by a pitcher and unearned by his team, so earned runs are the pitchers' only.
    """
    totals = numbers({f"{group}_{m}": _column(m, fact, f"{group}_") for group, fact, listed in GROUPS for m in listed})
    actual = f"SELECT game_pk, side, measure, {totals[0]} AS value FROM {table} {totals.join} WHERE {OF_GAMES}"
    expected = " UNION ALL ".join(
        f"SELECT game_pk, side, '{group}_' || measure AS measure, sum(n) AS n FROM {fact} "
        f"WHERE measure IN {choice(measures)} GROUP BY 1, 2, 3"
        for group, fact, measures in GROUPS
    )
    optional = [f"{group}_{m}" for group, _, _ in GROUPS for m in sorted(OPTIONAL)]
    uncounted = f"""SELECT game_pk, 'fielding_' || measure AS measure FROM uncounted WHERE fact = 'fielded'
                    UNION ALL {_without_at_bats(table, "pitching_")}
                    UNION ALL {_without_long_hits(table)}"""
    return statement(FACTS, _compared(actual, expected, "game_pk, side", "side", optional, uncounted))


def team_measures(measures: Collection[str]) -> frozenset[str]:
    """Return the names that measures of players have among the totals of teams."""
    return frozenset(f"{group}_{m}" for group, _, of_group in GROUPS for m in of_group if m in measures)


def _column(measure: str, fact: str, prefix: str = "") -> str:
    """Return where a table has a measure: older responses leave some to be added up, or name them otherwise.

    Plate appearances of teams are not added up: totals without them leave out sacrifice flies too.
    """
    if measure == "plate_appearances" and not prefix:
        return f"coalesce({measure}, {' + '.join(f'coalesce({part}, 0)' for part in _PARTS)})"
    if measure == "hit_by_pitch" and fact == "pitched":
        return f"coalesce({prefix}hit_by_pitch, {prefix}hit_batsmen)"
    return f"{prefix}{measure}"


def _without_at_bats(table: str, prefix: str = "") -> str:
    """Return the games whose pitchers have no at bat, however many batters they faced: older responses count none."""
    return f"""SELECT game_pk, '{prefix}at_bats' AS measure FROM {table} WHERE {OF_GAMES} GROUP BY 1
               HAVING max({prefix}at_bats) = 0 AND sum({prefix}batters_faced) > 0"""


def _without_long_hits(table: str) -> str:
    """Return the games of totals without a double or triple against, whatever was hit: before 2024 some count none."""
    return f"""SELECT game_pk, 'pitching_' || measure AS measure FROM {table}
               CROSS JOIN (VALUES ('doubles'), ('triples')) m (measure) WHERE {OF_GAMES} GROUP BY 1, 2
               HAVING max(pitching_doubles) = 0 AND max(pitching_triples) = 0
               AND sum(batting_doubles + batting_triples) > 0"""


def _compared(actual: str, expected: str, keys: str, subject: str, optional: Sequence[str], uncounted: str) -> str:
    """Return the comparison of counts (`n`) with the values of a table, each by keys and measure.

    What a response leaves out for the whole game is not compared where it may be; a line of zeros may be left out.
    Nor is a game whose plays nobody kept.
    """
    return f"""
        WITH actual AS ({actual}), expected AS ({expected}),
        given AS (SELECT game_pk, measure FROM actual GROUP BY 1, 2 HAVING count(value) > 0)
        SELECT game_pk, measure, {subject} AS subject, coalesce(e.n, 0)::text AS expected, a.value::text AS actual
        FROM expected e FULL JOIN actual a USING ({keys}, measure)
        LEFT JOIN ({uncounted}) u USING (game_pk, measure)
        LEFT JOIN given v USING (game_pk, measure)
        LEFT JOIN unplayed n USING (game_pk)
        WHERE u.game_pk IS NULL AND n.game_pk IS NULL AND (v.game_pk IS NOT NULL OR measure NOT IN {choice(optional)})
          AND (a.game_pk IS NOT NULL OR e.n <> 0)"""
