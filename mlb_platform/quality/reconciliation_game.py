"""Rules: scores, innings, outs, the batting order and every pitch against the plays."""

from __future__ import annotations

from mlb_platform.quality.reconciliation_facts import FACTS, OF_GAMES
from mlb_platform.quality.reconciliation_sql import Measures, numbers, statement

SIDES = "(VALUES ('away'), ('home')) sides (side)"
EXHIBITIONS = "('S', 'E', 'A', 'I')"
"""Kinds of game in which innings may be ended early and players may come back."""


def _rule(select: str) -> str:
    return statement(FACTS, select)


_BY_INNING = Measures(
    {
        "runs": ("coalesce(runs_made, 0)", "coalesce(runs, 0)", "true"),
        "hits": ("coalesce(hits_made, 0)", "coalesce(hits, 0)", "has_hits"),
    }
)


def line_score(table: str) -> str:
    """Return the statement for the innings of a line score: runs and hits by inning and side."""
    return _rule(f"""
        WITH expected AS (
            SELECT game_pk, inning, side, sum(runs) AS runs, sum(hits) AS hits FROM (
                SELECT game_pk, inning, side, 1 AS runs, 0 AS hits FROM scored
                UNION ALL SELECT game_pk, inning, side, 0, (bases > 0)::int FROM appearances
                UNION ALL SELECT DISTINCT game_pk, inning, side, 0, 0 FROM plays) counted GROUP BY 1, 2, 3),
        actual AS (
            SELECT game_pk, inning, side, CASE side WHEN 'home' THEN home_runs ELSE away_runs END AS runs,
                   CASE side WHEN 'home' THEN home_hits ELSE away_hits END AS hits
            FROM {table} CROSS JOIN {SIDES} WHERE {OF_GAMES})
        SELECT game_pk, m.measure, 'inning ' || inning || ' ' || side AS subject,
               {_BY_INNING[0]}::text AS expected, {_BY_INNING[1]}::text AS actual
        FROM (SELECT game_pk, inning, side, e.runs AS runs_made, e.hits AS hits_made, a.runs, a.hits,
                     bool_or(a.hits IS NOT NULL) OVER (PARTITION BY game_pk) AS has_hits
              FROM expected e FULL JOIN actual a USING (game_pk, inning, side)) both_sides
        {_BY_INNING.join} LEFT JOIN unplayed u USING (game_pk)
        WHERE {_BY_INNING[2]} AND u.game_pk IS NULL""")


_TOTALS = numbers({"runs": "runs", "hits": "hits", "last_play": "runs", "innings": "runs"})


def score(table: str, innings: str) -> str:
    """Return the statement for a game's score and hits: against runners home, hits, the last play, and the innings.

    Where nobody kept the plays, against the innings only.
    """
    return _rule(
        f"""
        WITH actual AS (
            SELECT game_pk, side, m.measure, {_TOTALS[0]} AS value FROM (
                SELECT t.game_pk, side, CASE side WHEN 'home' THEN t.home_RUNS ELSE t.away_RUNS END AS runs,
                       CASE side WHEN 'home' THEN t.home_hits ELSE t.away_hits END AS hits
                FROM {table} t CROSS JOIN {SIDES} WHERE t.{OF_GAMES}) totals
            {_TOTALS.join}),
        expected AS (
            SELECT game_pk, side, 'runs' AS measure, count(*) AS n FROM scored GROUP BY 1, 2
            UNION ALL SELECT game_pk, side, 'hits', count(*) FROM appearances WHERE bases > 0 GROUP BY 1, 2
            UNION ALL SELECT game_pk, side, 'last_play', CASE side WHEN 'home' THEN home_score ELSE away_score END
            FROM (SELECT DISTINCT ON (game_pk) game_pk, home_score, away_score FROM plays
                  ORDER BY game_pk, at_bat_index DESC) last CROSS JOIN {SIDES}
            UNION ALL SELECT game_pk, side, 'innings', sum(CASE side WHEN 'home' THEN home_runs ELSE away_runs END)
            FROM {innings} CROSS JOIN {SIDES} WHERE {OF_GAMES} GROUP BY 1, 2)
        SELECT game_pk, measure, side AS subject, coalesce(e.n, 0)::text AS expected, a.value::text AS actual
        FROM actual a LEFT JOIN expected e USING (game_pk, side, measure) LEFT JOIN unplayed u USING (game_pk)
        WHERE u.game_pk IS NULL OR measure = 'innings'
        """.replace("_RUNS", "_score" if table.endswith("metadata") else "_runs")
    )


_SCORES = Measures(
    {
        "score": (
            "(p.away_before + coalesce(r.away, 0)) || '-' || (p.home_before + coalesce(r.home, 0))",
            "p.away_score || '-' || p.home_score",
            "true",
        ),
        "is_scoring_play": (
            "(r.game_pk IS NOT NULL)::text",
            "p.is_scoring_play::text",
            "(r.game_pk IS NULL OR e.scores)",
        ),
    }
)
RUNNING_SCORE = _rule(f"""
    WITH runs AS (
        SELECT game_pk, at_bat_index, count(*) FILTER (WHERE side = 'away') AS away,
               count(*) FILTER (WHERE side = 'home') AS home
        FROM scored GROUP BY 1, 2),
    ends AS (
        SELECT game_pk, at_bat_index, bool_or(end_base = 'score') AS scores
        FROM (SELECT game_pk, at_bat_index, end_base,
                     rank() OVER (PARTITION BY game_pk, at_bat_index ORDER BY coalesce(play_index, 0) DESC) AS n
              FROM game.live_game_runners WHERE {OF_GAMES}) moved WHERE n = 1 GROUP BY 1, 2)
    SELECT p.game_pk, m.measure, 'play ' || p.at_bat_index AS subject, {_SCORES[0]} AS expected, {_SCORES[1]} AS actual
    FROM (SELECT *, lag(away_score, 1, 0) OVER game AS away_before, lag(home_score, 1, 0) OVER game AS home_before
          FROM plays WINDOW game AS (PARTITION BY game_pk ORDER BY at_bat_index)) p
    LEFT JOIN runs r USING (game_pk, at_bat_index) LEFT JOIN ends e USING (game_pk, at_bat_index)
    {_SCORES.join}
    WHERE p.is_complete AND {_SCORES[2]}""")
"""The score after each play is the one before it and the runners it brought home; such a play is a scoring play.

A play whose runs came in before its result, on a balk or a wild pitch, says itself that it is one or that it is none.
"""

SCORING_PLAYS = _rule(f"""
    WITH runs AS (SELECT game_pk, at_bat_index, count(*) AS n FROM scored GROUP BY 1, 2),
    listed AS (
        SELECT game_pk, at_bat_index, away_score + home_score AS runs,
               lag(away_score + home_score, 1, 0) OVER game AS runs_before,
               at_bat_index = max(at_bat_index) OVER (PARTITION BY game_pk) AS is_last, away_score, home_score
        FROM game.live_game_scoring_plays WHERE {OF_GAMES}
        WINDOW game AS (PARTITION BY game_pk ORDER BY at_bat_index))
    SELECT game_pk, 'listed' AS measure, 'play ' || at_bat_index AS subject, (r.game_pk IS NOT NULL)::text AS expected,
           (l.game_pk IS NOT NULL)::text AS actual
    FROM plays LEFT JOIN runs r USING (game_pk, at_bat_index) FULL JOIN listed l USING (game_pk, at_bat_index)
    UNION ALL
    SELECT game_pk, 'in_order', 'play ' || at_bat_index, (runs_before + coalesce(r.n, 0))::text, runs::text
    FROM listed LEFT JOIN runs r USING (game_pk, at_bat_index)
    UNION ALL
    SELECT game_pk, 'final_score', 'play ' || at_bat_index, g.away_score || '-' || g.home_score,
           l.away_score || '-' || l.home_score
    FROM listed l JOIN games g USING (game_pk) WHERE is_last""")
"""The scoring plays are those that brought runners home, each after the one before; the last has the final score."""

_HALVES = Measures(
    {
        "sequence": ("due::text", "o.number::text", "true"),
        "three_outs": (
            "'3'",
            "half_outs::text",
            "(NOT is_last OR NOT cut_short AND (half_inning = 'top' OR home_score <= away_score))",
        ),
        "walk_off": (
            "'true'",
            "(home_before <= away_before)::text",
            "(is_last AND NOT cut_short AND half_inning = 'bottom' AND home_score > away_score)",
        ),
        "put_outs": ("half_outs::text", "put_outs::text", "t.game_pk IS NOT NULL"),
    }
)
HALF_INNINGS = _rule(f"""
    WITH halves AS (
        SELECT l.*, 2 * inning + (half_inning = 'bottom')::int AS number, coalesce(o.n, 0) AS put_outs,
               last[1] AS at_bat_index, last[2] AS away_score, last[3] AS home_score, last[4] AS away_before,
               last[5] AS home_before
        FROM (SELECT game_pk, inning, half_inning, max(outs) AS half_outs,
                     max(ARRAY[at_bat_index, away_score, home_score, away_before, home_before]) AS last
              FROM (SELECT *, lag(away_score, 1, 0) OVER game AS away_before,
                           lag(home_score, 1, 0) OVER game AS home_before
                    FROM plays WINDOW game AS (PARTITION BY game_pk ORDER BY at_bat_index)) p GROUP BY 1, 2, 3) l
        LEFT JOIN (SELECT game_pk, inning, half_inning, count(*) AS n FROM put_out GROUP BY 1, 2, 3) o
             USING (game_pk, inning, half_inning)),
    ordered AS (
        SELECT h.*, g.complete, g.cut_short, lag(number, 1, 1) OVER game + 1 AS due,
               lead(number) OVER game IS NULL AS is_last
        FROM halves h JOIN games g USING (game_pk)
        WHERE g.game_type NOT IN {EXHIBITIONS}
        WINDOW game AS (PARTITION BY game_pk ORDER BY at_bat_index))
    SELECT o.game_pk, m.measure, 'inning ' || inning || ' ' || half_inning AS subject,
           {_HALVES[0]} AS expected, {_HALVES[1]} AS actual
    FROM ordered o LEFT JOIN tracked t USING (game_pk) {_HALVES.join}
    WHERE {_HALVES[2]} AND (o.complete OR NOT is_last)""")
"""A half-inning has three outs unless its last play wins the game at home, or the game was called: then the last one.

While a game goes on, its last half-inning is left out.
"""

_TURNS = Measures(
    {
        "turn": (
            "(CASE WHEN turn = 1 THEN 1 WHEN ended_before THEN slot_before %% 9 + 1 ELSE slot_before END)",
            "slot",
        ),
        "no_return": ("latest", "batting_order"),
    }
)
BATTING_ORDER = _rule(f"""
    WITH turns AS (
        SELECT p.game_pk, p.at_bat_index, p.side, p.plate_appearance, b.batting_order, b.batting_order / 100 AS slot
        FROM played p JOIN games g USING (game_pk)
        LEFT JOIN game.live_game_player_batting b
             ON b.game_pk = p.game_pk AND b.side = p.side AND b.player_id = p.batter_id
        WHERE p.is_complete AND g.game_type NOT IN {EXHIBITIONS}),
    before AS (
        SELECT *, row_number() OVER team AS turn, lag(slot) OVER team AS slot_before,
               lag(plate_appearance) OVER team AS ended_before,
               max(batting_order) OVER (PARTITION BY game_pk, side, slot ORDER BY at_bat_index) AS latest
        FROM turns WINDOW team AS (PARTITION BY game_pk, side ORDER BY at_bat_index))
    SELECT game_pk, m.measure, side || ' play ' || at_bat_index AS subject,
           {_TURNS[0]}::text AS expected, {_TURNS[1]}::text AS actual
    FROM before {_TURNS.join}
    WHERE {_TURNS[0]} IS NOT NULL""")
"""Batters come up by the slots of the line-up, the one whose turn did not end again; who was replaced does not return.

After a batter without a slot, which is a difference itself, the next turn is not known.
"""

EVENTS = _rule("""
    SELECT game_pk, 'known' AS measure, 'play ' || at_bat_index AS subject, 'true' AS expected,
           CASE WHEN known THEN 'true' ELSE coalesce(code, 'no result') END AS actual
    FROM played WHERE is_complete
    UNION ALL
    SELECT game_pk, 'kept', 'plays', 'true', (u.game_pk IS NULL)::text
    FROM games LEFT JOIN unplayed u USING (game_pk) WHERE complete""")
"""The result of every complete play is one whose scoring is known; a game without any, and without a counted pitch, is
one whose plays nobody kept, so that its lines are compared with none.
"""

_PLAYS = Measures(
    {
        "in_a_play": ("'true'", "(p.game_pk IS NOT NULL)::text", "t.game_pk IS NOT NULL"),
        "thrown": (
            "'true'",
            "(t.game_pk IS NOT NULL)::text",
            "(w.game_pk IS NULL AND p.is_complete AND p.in_play IS NOT NULL AND p.code <> 'intent_walk')",
        ),
        "numbered": ("t.numbered::text", "t.pitches::text", "t.numbered IS NOT NULL"),
        "events": ("l.due::text", "l.n::text", "l.game_pk IS NOT NULL"),
        "count": (
            "p.balls || '-' || p.strikes",
            "c.count",
            "(t.game_pk IS NOT NULL AND p.is_complete AND p.code <> 'intent_walk')",
        ),
        "batted": (
            "p.in_play::int::text",
            "t.in_play::text",
            "(t.game_pk IS NOT NULL AND p.is_complete AND p.in_play IS NOT NULL)",
        ),
    }
)
PITCHES = _rule(f"""
    WITH thrown AS (
        SELECT game_pk, at_bat_index, count(*) AS pitches, max(pitch_number) AS numbered,
               count(*) FILTER (WHERE is_in_play) AS in_play
        FROM game.live_game_pitch_events WHERE {OF_GAMES} GROUP BY 1, 2),
    events AS (
        SELECT game_pk, at_bat_index, event_index, balls, strikes, true AS counts FROM game.live_game_pitch_events
        WHERE {OF_GAMES}
        UNION ALL
        SELECT game_pk, at_bat_index, event_index, balls, strikes, event_kind = 'no_pitch' AND balls IS NOT NULL
        FROM game.live_game_play_actions WHERE {OF_GAMES}),
    counts AS (
        SELECT DISTINCT ON (game_pk, at_bat_index) game_pk, at_bat_index, balls || '-' || strikes AS count
        FROM events WHERE counts ORDER BY game_pk, at_bat_index, event_index DESC),
    listed AS (
        SELECT game_pk, at_bat_index, count(*) AS n,
               max(event_index) + 1 - min(min(event_index)) OVER (PARTITION BY game_pk) AS due
        FROM events GROUP BY 1, 2),
    without AS (
        SELECT game_pk FROM game.live_game_player_pitching p WHERE {OF_GAMES}
        AND NOT EXISTS (SELECT FROM thrown t WHERE t.game_pk = p.game_pk)
        GROUP BY 1 HAVING coalesce(max(pitches_thrown), 0) = 0)
    SELECT game_pk, m.measure, 'play ' || at_bat_index AS subject, {_PLAYS[0]} AS expected, {_PLAYS[1]} AS actual
    FROM thrown t FULL JOIN played p USING (game_pk, at_bat_index) LEFT JOIN counts c USING (game_pk, at_bat_index)
    LEFT JOIN listed l USING (game_pk, at_bat_index) LEFT JOIN without w USING (game_pk)
    {_PLAYS.join}
    WHERE {_PLAYS[2]}""")
"""Every pitch is in a play, none is missing in the numbers of its play, and the last one leaves the play's count.

A play with a batted ball has one pitch in play, another none. What only a pitch can bring about has one: not so an
intentional walk, which adds balls that were not thrown. Pitches and other events of a play are numbered together, by
the game from 0 or 1, so one that is gone leaves a gap. In games without any pitch, as in lower leagues, none is missed
where no line of a pitcher has some.
"""


def in_parent(table: str, parent: str, keys: str, number: str) -> str:
    """Return the statement for rows of a table that must each have their row of another."""
    return _rule(f"""
        SELECT game_pk, 'in_parent' AS measure, 'play ' || at_bat_index || {number} AS subject, 'true' AS expected,
               (p.game_pk IS NOT NULL)::text AS actual
        FROM {table} c LEFT JOIN {parent} p USING (game_pk, {keys}) WHERE c.{OF_GAMES}""")


_LISTED = Measures(
    {
        name: (f"g.{name}::text", f"l.{name}::text")
        for name in ("home_score", "away_score", "home_team_id", "away_team_id")
    }
)
SCHEDULE = f"""
    SELECT g.game_pk, m.measure, 'listing of ' || l.schedule_date AS subject,
           {_LISTED[0]} AS expected, {_LISTED[1]} AS actual
    FROM schedule.current_games l JOIN game.live_game_metadata g USING (game_pk)
    {_LISTED.join}
    WHERE g.{OF_GAMES} AND l.abstract_game_state = 'Final' AND l.coded_game_state IN ('F', 'O')"""
"""A game that is over has the same score on the schedule and in the feed."""

_TOLD_TWICE = Measures(
    {
        name: (f"f.{name}::text", f"p.{name}::text")
        for name in (
            "inning", "half_inning", "event", "rbi", "away_score", "home_score", "outs", "batter_id", "pitcher_id",
        )
    }
)  # fmt: skip
PLAY_BY_PLAY = f"""
    SELECT game_pk, m.measure, 'play ' || at_bat_index AS subject,
           {_TOLD_TWICE[0]} AS expected, {_TOLD_TWICE[1]} AS actual
    FROM (SELECT * FROM game.live_game_plays WHERE {OF_GAMES}) f
    FULL JOIN (SELECT * FROM game.play_by_play_plays WHERE {OF_GAMES}) p USING (game_pk, at_bat_index)
    {_TOLD_TWICE.join}"""
"""The plays of the stand-alone play-by-play are those of the feed."""
