"""A look at dates: expected games from their schedules, against raw rows, tables, the log of fetches and live games."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import sql

from mlb_platform.ingestion.completeness.gaps import Answer, Asked, Gap, judge
from mlb_platform.ingestion.completeness.store import CompletenessTable
from mlb_platform.ingestion.dates.facts import RawFacts
from mlb_platform.ingestion.dates.listings import GameState, game_state
from mlb_platform.ingestion.dates.plan import FEED, GAME_ENDPOINTS, SCHEDULE, SEASONS, Known, local_day
from mlb_platform.ingestion.statsapi.endpoints import feed_clock
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.errors import PlatformError
from resources.fetch_log import FetchLog
from resources.own_tables import table_exists
from resources.raw_store import RawRow, RawStore, table_name

STALE_AFTER = timedelta(minutes=15)
"""How long a feed's own clock may lie behind its last poll while the game is in progress."""
NO_GAME = ""
"""The id in lines about a whole date."""


@dataclass
class Completeness:
    """What a look at dates came to."""

    days: list[date]
    gaps: list[Gap] = field(default_factory=list)

    @property
    def repairable(self) -> list[Gap]:
        """The lines that somebody can repair."""
        return [g for g in self.gaps if g.gap is not None]

    def of(self, day: date) -> list[Gap]:
        """Return the lines of a date."""
        return [g for g in self.gaps if g.game_date == day]


def look_at(
    raw: RawStore,
    mappings: Mapping[str, ResolvedMapping],
    days: Sequence[date],
    *,
    now: datetime | None = None,
    only_listed: bool = False,
) -> Completeness:
    """Look at dates and write `quality.completeness`; a date whose schedule is not known has one line that says so.

    `now` is the time of the API (see `time_now`): without it no answer counts as outdated. With `only_listed` a date
    without a schedule has no line: nothing is known that should be there.
    """
    facts = RawFacts(raw, {name: m.config.source.raw_table for name, m in mappings.items()})
    found = Completeness(list(days))
    schedules = {day: facts.schedule(day) for day in days} if SCHEDULE in mappings else {}
    pks = sorted({g.game_pk for s in schedules.values() for g in s.listed or ()})
    endpoints = [name for name in GAME_ENDPOINTS if name in mappings]
    answers = _all_answers(raw, facts, [mappings[name] for name in endpoints], pks)
    failures = _failures(raw, days)
    for day in days:
        schedule = schedules.get(day)
        if schedule is None or schedule.listed is None or schedule.known is None:
            found.gaps += [] if only_listed else [_no_schedule(day)]
            continue
        for game in schedule.listed:
            feed = answers.get(FEED, {}).get(game.game_pk, Answer())
            feed_at = feed.newest.observed_at if feed.newest is not None else None
            asked = Asked(now, schedule.known.observed_at, feed_at)
            for name in endpoints:
                answer = answers[name].get(game.game_pk, Answer(state=feed.state))
                failed, error = failures.get((name, game.game_pk), (0, None))
                answer = replace(answer, failures=failed, last_error=error)
                if feed.state is not GameState.FINAL and name != FEED and answer.newest is not None:
                    # no feed tells the end: the schedule does
                    over = answer.newest.observed_at >= schedule.known.captured_at
                    answer = replace(answer, final=game.state is GameState.FINAL and over)
                found.gaps.append(judge(game, day, name, answer, asked))
    CompletenessTable(raw.postgres).replace(days, found.gaps)
    return found


def time_now(clock_url: str | None) -> datetime | None:
    """Return the time of the API; None where that is a simulated one's that does not answer."""
    from mlb_platform.ingestion.statsapi.clock import open_clock

    try:
        return open_clock(clock_url).now()
    except PlatformError:
        return None


def dates_with_schedule(
    raw: RawStore, mappings: Mapping[str, ResolvedMapping], season: int, *, now: datetime | None = None
) -> list[date]:
    """Return the dates of a season: those with a schedule, and those its dates let expect, up to today in New York.

    `now` is the time of the API (see `time_now`); None: this computer's.
    """
    table = mappings[SCHEDULE].config.source.raw_table
    raw.ensure(table)
    with raw.postgres.transaction() as connection:
        rows = connection.execute(
            "SELECT DISTINCT partition_date FROM quality.raw_members WHERE raw_table = %s "
            "AND partition_date BETWEEN make_date(%s, 1, 1) AND make_date(%s, 12, 31)",
            [table, season, season],
        ).fetchall()
    known = {row[0] for row in rows}
    first, last = _season(raw, mappings, season)
    if first is not None and last is not None:
        last = min(last, local_day(now or datetime.now(UTC)))
        known |= {first + timedelta(days=n) for n in range((last - first).days + 1)}
    return sorted(known)


def _season(raw: RawStore, mappings: Mapping[str, ResolvedMapping], season: int) -> tuple[date | None, date | None]:
    if SEASONS not in mappings:
        return None, None
    table = mappings[SEASONS].config.source.raw_table
    raw.ensure(table)
    query = sql.SQL(
        "SELECT (s->>'regularSeasonStartDate')::date, (s->>'regularSeasonEndDate')::date "
        "FROM {} r, jsonb_array_elements(r.data->'seasons') s WHERE s->>'seasonId' = %s "
        "ORDER BY r.captured_at DESC LIMIT 1"
    ).format(table_name(table))
    with raw.postgres.transaction() as connection:
        row = connection.execute(query, [str(season)]).fetchone()
    return (row[0], row[1]) if row else (None, None)


def _no_schedule(day: date) -> Gap:
    return Gap(
        day, NO_GAME, SCHEDULE, "unknown", True, 0, None, False, False, "missing", "the schedule is not known",
        f"mlb ingest statsapi --date {day}",
    )  # fmt: skip


def _all_answers(
    raw: RawStore, facts: RawFacts, mappings: Sequence[ResolvedMapping], pks: Sequence[str]
) -> dict[str, dict[str, Answer]]:
    """Return what is known of each endpoint's answers of games that have any; the feed tells of all when they ended."""
    rows = {m.name: _rows(raw, m, pks) for m in mappings}
    feeds = rows.get(FEED, {})
    newest_feeds = {pk: of_game[-1] for pk, of_game in feeds.items()}
    merged = {m.name: _merged(raw, m, pks) for m in mappings}
    told: dict[str, GameState] = {}
    stale: dict[str, datetime] = {}
    if feeds:
        feed = next(m for m in mappings if m.name == FEED)
        current = [pk for pk, row in newest_feeds.items() if merged[FEED].get(pk) == row.content_hash]
        told = _states_in_tables(raw, feed, current)
        by_id = facts.states([row.raw_id for pk, row in newest_feeds.items() if pk not in told])
        told |= {pk: by_id[row.raw_id] for pk, row in newest_feeds.items() if row.raw_id in by_id}
        stale = _stale(raw, feed, told, newest_feeds)
    # of a corrected game the newest feed is newer than answers that are final too: the feed of their time counts
    before = {
        (name, pk): _newest_until(feeds[pk], of_game[-1].observed_at)
        for name, games in rows.items()
        for pk, of_game in games.items()
        if name != FEED and told.get(pk) is GameState.FINAL
    }
    newest_ids = {r.raw_id for r in newest_feeds.values()}
    states = facts.states(sorted({r.raw_id for r in before.values() if r} - newest_ids)) if before else {}
    found: dict[str, dict[str, Answer]] = {}
    for mapping in mappings:
        name, games = mapping.name, rows[mapping.name]
        newest = {pk: of_game[-1] for pk, of_game in games.items()}
        table = mapping.config.source.raw_table
        held = {q.raw_id: q.rule for q in raw.quality.quarantined(table, [r.raw_id for r in newest.values()])}
        found[name] = {}
        for pk, row in newest.items():
            state, then = told.get(pk), before.get((name, pk))
            final = state is GameState.FINAL and (
                name == FEED
                or then is not None
                and (then.raw_id in newest_ids or states.get(then.raw_id) is GameState.FINAL)
            )
            found[name][pk] = Answer(
                Known(row.captured_at, row.observed_at, row.raw_id in held), len(games[pk]), state, final,
                merged[name].get(pk) == row.content_hash,
                (row.raw_id, held[row.raw_id]) if row.raw_id in held else None, stale_since=stale.get(pk),
            )  # fmt: skip
    return found


def _states_in_tables(raw: RawStore, feed: ResolvedMapping, pks: Sequence[str]) -> dict[str, GameState]:
    """Return the states of games whose newest feed the tables are made of: far cheaper there than in the feeds."""
    table, names = feed.targets[0], ("abstract_game_state", "coded_game_state", "detailed_state")
    if not pks or not {*names, feed.entity_key.name} <= table.by_name.keys():
        return {}
    query = sql.SQL("SELECT {}::text, {} FROM {} WHERE {} = ANY(%s::bigint[])").format(
        sql.Identifier(feed.entity_key.name), sql.SQL(", ").join(map(sql.Identifier, names)),
        table_name(table.name), sql.Identifier(feed.entity_key.name),
    )  # fmt: skip
    with raw.postgres.transaction() as connection:
        rows = connection.execute(query, [list(pks)]).fetchall() if table_exists(connection, table.name) else []
    keys = ("abstractGameState", "codedGameState", "detailedState")
    found = {pk: game_state(dict(zip(keys, told, strict=True))) for pk, *told in rows}
    return {pk: state for pk, state in found.items() if state is not None}


def _rows(raw: RawStore, mapping: ResolvedMapping, pks: Sequence[str]) -> dict[str, list[RawRow]]:
    """Return the raw rows of games by game, oldest first."""
    found: dict[str, list[RawRow]] = defaultdict(list)
    for row in raw.rows(mapping.config.source.raw_table, entity_keys=pks):
        found[row.entity_key].append(row)
    return found


def _newest_until(rows: Sequence[RawRow], at: datetime) -> RawRow | None:
    """Return the newest of a game's feeds that was received until a time."""
    return max((r for r in rows if r.captured_at <= at), key=lambda r: (r.captured_at, r.content_hash), default=None)


def _merged(raw: RawStore, mapping: ResolvedMapping, pks: Sequence[str]) -> dict[str, str]:
    """Return the content that all tables of a mapping were made of last, by game: in PostgreSQL and in a lake."""
    with raw.postgres.transaction() as connection:
        if not table_exists(connection, "quality.merge_state"):
            return {}
        rows = connection.execute(
            # each Delta table is a sink of its own, and one made anew leaves what its former one was made of
            "SELECT scope, content_hash FROM quality.merge_state WHERE table_name = ANY(%(tables)s) "
            "AND scope = ANY(%(scopes)s) GROUP BY scope, content_hash "
            "HAVING count(DISTINCT table_name) FILTER (WHERE sink = 'postgres') = %(all)s "
            "AND count(DISTINCT table_name) FILTER (WHERE sink <> 'postgres') = %(all)s",
            {"tables": [t.name for t in mapping.targets], "scopes": list(pks), "all": len(mapping.targets)},
        ).fetchall()
    return dict(rows)


def _stale(
    raw: RawStore, feed: ResolvedMapping, told: Mapping[str, GameState], newest: Mapping[str, RawRow]
) -> dict[str, datetime]:
    """Return since when feeds of games in progress stand: by their own clock, or as the live follower says."""
    table = feed.config.source.raw_table
    live = [newest[pk].raw_id for pk, state in told.items() if state is GameState.LIVE]
    if not live:
        return {}
    query = sql.SQL("SELECT entity_key, data#>>'{{metaData,timeStamp}}' FROM {} WHERE raw_id = ANY(%s)")
    with raw.postgres.transaction() as connection:
        clocks: list[tuple[Any, ...]] = connection.execute(query.format(table_name(table)), [live]).fetchall()
        followed = table_exists(connection, "live.games")
        query_live = b"SELECT game_pk, stale_since FROM live.games WHERE stale_since IS NOT NULL"
        known = dict(connection.execute(query_live).fetchall()) if followed else {}
    for pk, text in clocks:
        clock = feed_clock(text)
        if pk not in known and clock is not None and newest[pk].observed_at - clock > STALE_AFTER:
            known[pk] = clock
    return known


def _failures(raw: RawStore, days: Sequence[date]) -> dict[tuple[str, str], tuple[int, str | None]]:
    return {(f.endpoint, f.entity_key): (f.failures, f.last_error) for f in FetchLog(raw.postgres).failures(list(days))}
