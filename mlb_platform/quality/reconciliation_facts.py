"""What plays, runners and pitches say happened, as common table expressions; credit is given as scorers give it.

Every fact is of the games in `%(games)s`, so that the keys' indexes are used. A fact names only facts before it.
"""

from __future__ import annotations

from mlb_platform.quality.reconciliation_events import kinds_sql, names_sql
from mlb_platform.quality.reconciliation_sql import numbers

OF_GAMES = "game_pk = ANY(%(games)s)"
HALF = "CASE half_inning WHEN 'top' THEN 'away' ELSE 'home' END"
FIELD = "CASE half_inning WHEN 'top' THEN 'home' ELSE 'away' END"
LAST_EVENT = 10_000
"""More events than any play has."""
WALK_COUNTS = "(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)"
"""A walk that a relief pitcher completes from these counts is the one of the pitcher before him (rule 9.16(h))."""

CREDITS = {
    "plate_appearances": "count(*)",
    "at_bats": "count(*) FILTER (WHERE at_bat)",
    "hits": "count(*) FILTER (WHERE bases > 0)",
    "doubles": "count(*) FILTER (WHERE bases = 2)",
    "triples": "count(*) FILTER (WHERE bases = 3)",
    "home_runs": "count(*) FILTER (WHERE bases = 4)",
    "base_on_balls": "count(*) FILTER (WHERE code IN ('walk', 'intent_walk'))",
    "intentional_walks": "count(*) FILTER (WHERE code = 'intent_walk')",
    "strike_outs": "count(*) FILTER (WHERE code LIKE 'strike%%')",
    "hit_by_pitch": "count(*) FILTER (WHERE code = 'hit_by_pitch')",
}
"""What plate appearances count for, for batters; for pitchers too, where they are batters faced."""

_BATTED = numbers({name: name for name in (*CREDITS, "total_bases", "rbi")})
_PITCHED = numbers({"batters_faced" if name == "plate_appearances" else name: name for name in CREDITS})
_CHARGED = numbers({"runs": "1", "earned_runs": "earned::int"})
_FIELDED = numbers({"put_outs": "put_outs", "assists": "assists"})

FACTS = {
    "kinds": kinds_sql(),
    "names": names_sql(),
    "games": f"""games AS (
        SELECT game_pk, game_type, home_score, away_score, home_hits, away_hits,
               abstract_game_state = 'Final' AND coded_game_state IN ('F', 'O') AS complete,
               coalesce(length(status_code) = 2 OR detailed_state LIKE 'Completed Early%%', false) AS cut_short
        FROM game.live_game_metadata WHERE {OF_GAMES})""",
    # Of old games, and of some in spring and lower leagues, nobody kept the plays; those of a counted pitch were kept.
    "unplayed": f"""unplayed AS (
        SELECT g.game_pk FROM games g
        LEFT JOIN (SELECT DISTINCT game_pk FROM game.live_game_plays WHERE {OF_GAMES}) p USING (game_pk)
        LEFT JOIN (SELECT DISTINCT game_pk FROM game.live_game_player_pitching
                   WHERE {OF_GAMES} AND pitches_thrown > 0) t USING (game_pk)
        WHERE p.game_pk IS NULL AND t.game_pk IS NULL)""",
    # What a play says itself, without how its result is scored.
    "plays": f"""plays AS (
        SELECT game_pk, at_bat_index, inning, half_inning, {HALF} AS side, outs, away_score, home_score, is_complete,
               is_scoring_play
        FROM game.live_game_plays WHERE {OF_GAMES})""",
    "played": f"""played AS (
        SELECT p.game_pk, p.at_bat_index, p.inning, p.half_inning, {HALF} AS side, {FIELD} AS field_side,
               p.batter_id, p.pitcher_id, coalesce(p.rbi, 0) AS rbi, p.outs, p.balls, p.strikes, p.away_score,
               p.home_score, p.is_complete, p.is_scoring_play, k.plate_appearance, k.at_bat, k.bases, k.in_play,
               coalesce(p.event_type, n.code, lower(replace(p.event, ' ', '_'))) AS code, k.code IS NOT NULL AS known,
               p.outs - lag(p.outs, 1, 0) OVER half AS outs_made,
               lag(p.pitcher_id) OVER (PARTITION BY p.game_pk, p.half_inning ORDER BY p.at_bat_index) AS pitcher_before
        FROM game.live_game_plays p
        LEFT JOIN names n ON n.event = p.event
        LEFT JOIN kinds k ON k.code = coalesce(p.event_type, n.code, lower(replace(p.event, ' ', '_')))
        WHERE p.{OF_GAMES}
        WINDOW half AS (PARTITION BY p.game_pk, p.inning, p.half_inning ORDER BY p.at_bat_index))""",
    # A runner scores and is put out once in a play, however many rows tell of his way.
    "scored": f"""scored AS (
        SELECT game_pk, at_bat_index, inning, {HALF} AS side, {FIELD} AS field_side, runner_id,
               max(responsible_pitcher_id) AS pitcher_id, bool_or(is_earned) AS earned
        FROM game.live_game_runners WHERE {OF_GAMES} AND end_base = 'score' GROUP BY 1, 2, 3, 4, 5, 6)""",
    "put_out": f"""put_out AS (
        SELECT game_pk, at_bat_index, inning, half_inning, {FIELD} AS field_side, runner_id,
               max(play_index) AS play_index
        FROM game.live_game_runners WHERE {OF_GAMES} AND is_out GROUP BY 1, 2, 3, 4, 5, 6)""",
    "tracked": f"""tracked AS (
        SELECT game_pk FROM game.live_game_runners WHERE {OF_GAMES} GROUP BY 1 HAVING bool_or(is_out IS NOT NULL))""",
    "changes": f"""changes AS (
        SELECT a.game_pk, a.at_bat_index, a.event_index, a.player_id AS pitcher_id, a.balls, a.strikes
        FROM game.live_game_play_actions a
        LEFT JOIN game.live_game_substitutions s USING (game_pk, at_bat_index, event_index)
        WHERE a.{OF_GAMES} AND (
            coalesce(a.event_type, lower(replace(a.event, ' ', '_'))) = 'pitching_substitution'
            OR s.position_code = '1' AND s.event_type IN ('defensive_switch', 'defensive_substitution')))""",
    # Who was on the mound from which event of a play on.
    "spans": f"""spans AS (
        SELECT game_pk, at_bat_index, first_index, pitcher_id, balls, strikes, lag(pitcher_id) OVER play AS relieved,
               lead(first_index, 1, {LAST_EVENT}) OVER play AS next_index
        FROM (
            SELECT p.game_pk, p.at_bat_index, -1 AS first_index, NULL::int AS balls, NULL::int AS strikes,
                   CASE WHEN c.game_pk IS NULL THEN p.pitcher_id ELSE coalesce(p.pitcher_before, p.pitcher_id) END
                   AS pitcher_id
            FROM played p
            LEFT JOIN (SELECT DISTINCT game_pk, at_bat_index FROM changes) c USING (game_pk, at_bat_index)
            UNION ALL
            SELECT c.game_pk, c.at_bat_index, c.event_index, c.balls, c.strikes, coalesce(c.pitcher_id, p.pitcher_id)
            FROM changes c JOIN played p USING (game_pk, at_bat_index)) mound
        WINDOW play AS (PARTITION BY game_pk, at_bat_index ORDER BY first_index))""",
    # A strikeout that a substitute completes from two strikes is the one of the batter before him (rule 9.15(b)).
    "pinch": f"""pinch AS (
        SELECT DISTINCT ON (s.game_pk, s.at_bat_index) s.game_pk, s.at_bat_index, s.replaced_player_id AS batter_id
        FROM game.live_game_substitutions s
        JOIN game.live_game_play_actions a USING (game_pk, at_bat_index, event_index)
        WHERE s.{OF_GAMES} AND s.position_code = '11' AND a.strikes = 2
        ORDER BY s.game_pk, s.at_bat_index, s.event_index)""",
    "appearances": f"""appearances AS (
        SELECT p.game_pk, p.at_bat_index, p.inning, p.side, p.field_side, p.code, p.at_bat, p.bases, p.rbi,
               CASE WHEN p.code LIKE 'strike%%' THEN coalesce(b.batter_id, p.batter_id) ELSE p.batter_id END
               AS batter_id,
               CASE WHEN p.code IN ('walk', 'intent_walk') AND (s.balls, s.strikes) IN ({WALK_COUNTS})
                    THEN coalesce(s.relieved, p.pitcher_id) ELSE p.pitcher_id END AS pitcher_id
        FROM played p
        LEFT JOIN pinch b USING (game_pk, at_bat_index)
        LEFT JOIN spans s ON s.game_pk = p.game_pk AND s.at_bat_index = p.at_bat_index
             AND s.next_index = {LAST_EVENT} AND s.first_index >= 0
        WHERE p.is_complete AND p.plate_appearance)""",
    "pitched_balls": f"""pitched_balls AS (
        SELECT e.game_pk, {FIELD} AS side, s.pitcher_id AS player_id, count(*) AS pitches
        FROM game.live_game_pitch_events e
        JOIN spans s ON s.game_pk = e.game_pk AND s.at_bat_index = e.at_bat_index
             AND e.event_index >= s.first_index AND e.event_index < s.next_index
        WHERE e.{OF_GAMES} GROUP BY 1, 2, 3)""",
    "outs_pitched": """outs_pitched AS (
        SELECT o.game_pk, o.field_side AS side, s.pitcher_id AS player_id, count(*) AS outs
        FROM put_out o
        JOIN spans s ON s.game_pk = o.game_pk AND s.at_bat_index = o.at_bat_index
             AND coalesce(o.play_index, 0) >= s.first_index AND coalesce(o.play_index, 0) < s.next_index
        GROUP BY 1, 2, 3
        UNION ALL
        SELECT p.game_pk, p.field_side, p.pitcher_id, sum(p.outs_made)
        FROM played p LEFT JOIN tracked t USING (game_pk) WHERE t.game_pk IS NULL AND p.is_complete
        GROUP BY 1, 2, 3)""",
    # By player and measure; what of a game cannot be counted is in `uncounted`.
    "batted": f"""batted AS (
        SELECT game_pk, side, player_id, m.measure, {_BATTED[0]} AS n
        FROM (SELECT game_pk, side, batter_id AS player_id, sum(bases) AS total_bases, sum(rbi) AS rbi,
                     {", ".join(f"{sql} AS {name}" for name, sql in CREDITS.items())}
              FROM appearances GROUP BY 1, 2, 3) counted
        {_BATTED.join}
        UNION ALL
        SELECT game_pk, side, runner_id, 'runs', count(*) FROM scored GROUP BY 1, 2, 3)""",
    "pitched": f"""pitched AS (
        SELECT game_pk, side, player_id, m.measure, {_PITCHED[0]} AS n
        FROM (SELECT game_pk, field_side AS side, pitcher_id AS player_id,
                     {", ".join(f"{sql} AS {name}" for name, sql in CREDITS.items())}
              FROM appearances GROUP BY 1, 2, 3) counted
        {_PITCHED.join}
        UNION ALL
        SELECT game_pk, field_side, pitcher_id, m.measure, sum({_CHARGED[0]}) FROM scored
        {_CHARGED.join} GROUP BY 1, 2, 3, 4
        UNION ALL SELECT game_pk, side, player_id, 'pitches_thrown', pitches FROM pitched_balls
        UNION ALL SELECT game_pk, side, player_id, 'outs', outs FROM outs_pitched)""",
    "fielded": f"""fielded AS (
        SELECT game_pk, side, player_id, m.measure, {_FIELDED[0]} AS n
        FROM (SELECT game_pk, {FIELD} AS side, player_id,
                     count(DISTINCT (at_bat_index, runner_id)) FILTER (WHERE credit = 'f_putout') AS put_outs,
                     count(DISTINCT (at_bat_index, runner_index)) FILTER (WHERE credit IN ('f_assist', 'f_assist_of'))
                     AS assists
              FROM game.live_game_fielding_credits WHERE {OF_GAMES} GROUP BY 1, 2, 3) counted
        {_FIELDED.join})""",
    "credited": f"""credited AS (SELECT DISTINCT game_pk FROM game.live_game_fielding_credits WHERE {OF_GAMES})""",
    # Older feeds do not say who was charged with a run, who was out, or who made an out.
    "uncounted": """uncounted AS (
        SELECT s.game_pk, 'pitched' AS fact, m.measure FROM scored s
        CROSS JOIN (VALUES ('runs'), ('earned_runs')) m (measure)
        GROUP BY 1, 2, 3 HAVING bool_or(s.pitcher_id IS NULL)
        UNION ALL
        SELECT g.game_pk, 'fielded', m.measure FROM games g
        LEFT JOIN tracked t USING (game_pk) LEFT JOIN credited c USING (game_pk)
        CROSS JOIN (VALUES ('put_outs'), ('assists')) m (measure)
        WHERE t.game_pk IS NULL OR c.game_pk IS NULL)""",
}
"""Facts by name, each after those it names."""
