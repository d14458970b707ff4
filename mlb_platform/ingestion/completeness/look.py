"""A look at dates: expected games from their schedules, against raw rows, tables, the log of fetches and live games."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import sql

from mlb_platform.ingestion.completeness.gaps import Answer, Gap, judge
from mlb_platform.ingestion.completeness.store import CompletenessTable
from mlb_platform.ingestion.dates.facts import RawFacts
from mlb_platform.ingestion.dates.listings import GameState, Listing
from mlb_platform.ingestion.dates.plan import FEED, OF_GAME, SCHEDULE, SEASONS, Known
from mlb_platform.ingestion.gate import gate_specs
from mlb_platform.mapping.resolve import ResolvedMapping
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


def look_at(raw: RawStore, mappings: Mapping[str, ResolvedMapping], days: Sequence[date]) -> Completeness:
    """Look at dates and write `quality.completeness`; a date whose schedule is not known has one line that says so."""
    specs = gate_specs(mappings)
    facts = RawFacts(raw, specs)
    found = Completeness(list(days))
    listed = {day: facts.schedule(day).listed for day in days} if SCHEDULE in specs else {}
    pks = sorted({g.game_pk for games in listed.values() for g in games or ()})
    endpoints = [name for name in (FEED, *OF_GAME) if name in mappings]
    answers = {name: _answers(raw, facts, mappings[name], name, pks) for name in endpoints}
    failures = _failures(raw, days)
    for day in days:
        games = listed.get(day)
        if games is None:
            found.gaps.append(_no_schedule(day))
            continue
        for game in games:
            feed = answers.get(FEED, {}).get(game.game_pk)
            final_at = feed.newest.captured_at if feed and feed.newest and feed.state is GameState.FINAL else None
            for name in endpoints:
                failed = failures.get((name, game.game_pk), (0, None))
                answer = answers[name].get(game.game_pk) or Answer(failures=failed[0], last_error=failed[1])
                found.gaps.append(judge(game, day, name, answer, final_at))
    CompletenessTable(raw.postgres).replace(days, found.gaps)
    return found


def dates_with_schedule(raw: RawStore, mappings: Mapping[str, ResolvedMapping], season: int) -> list[date]:
    """Return the dates of a season: those with a schedule, and those its dates let expect, up to today (UTC)."""
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
        last = min(last, datetime.now(UTC).date())
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


def _answers(
    raw: RawStore, facts: RawFacts, mapping: ResolvedMapping, name: str, pks: Sequence[str]
) -> dict[str, Answer]:
    """Return what is known of an endpoint's answers, of the games that have any."""
    table = mapping.config.source.raw_table
    rows = raw.rows(table, entity_keys=pks)
    counts = Counter(r.entity_key for r in rows)
    newest: dict[str, RawRow] = {r.entity_key: r for r in rows}
    held = {q.raw_id: q.rule for q in raw.quality.quarantined(table, [r.raw_id for r in newest.values()])}
    merged = _merged(raw, mapping)
    told = facts.games(list(newest))[1] if name == FEED else {}
    stale = _stale(raw, table, told, newest) if name == FEED else {}
    found = {}
    for pk, row in newest.items():
        known = Known(row.captured_at, row.observed_at, row.raw_id in held)
        state = told[pk].state if pk in told else None
        found[pk] = Answer(
            known, counts[pk], state, merged.get(pk) == row.content_hash,
            (row.raw_id, held[row.raw_id]) if row.raw_id in held else None, stale_since=stale.get(pk),
        )  # fmt: skip
    return found


def _merged(raw: RawStore, mapping: ResolvedMapping) -> dict[str, str]:
    """Return the content a mapping's tables were made of last, by entity, where all tables in all sinks agree."""
    with raw.postgres.transaction() as connection:
        if not table_exists(connection, "quality.merge_state"):
            return {}
        rows = connection.execute(
            "SELECT scope, min(content_hash) FROM quality.merge_state WHERE table_name = ANY(%s) "
            "GROUP BY scope HAVING count(DISTINCT content_hash) = 1",
            [[t.name for t in mapping.targets]],
        ).fetchall()
    return dict(rows)


def _stale(raw: RawStore, table: str, told: Mapping[str, Listing], newest: Mapping[str, RawRow]) -> dict[str, datetime]:
    """Return since when feeds of games in progress stand: by their own clock, or as the live follower says."""
    live = [newest[pk].raw_id for pk, listing in told.items() if listing.state is GameState.LIVE]
    if not live:
        return {}
    query = sql.SQL("SELECT entity_key, data#>>'{{metaData,timeStamp}}' FROM {} WHERE raw_id = ANY(%s)")
    with raw.postgres.transaction() as connection:
        clocks: list[tuple[Any, ...]] = connection.execute(query.format(table_name(table)), [live]).fetchall()
        followed = table_exists(connection, "live.games")
        query_live = b"SELECT game_pk, stale_since FROM live.games WHERE stale_since IS NOT NULL"
        known = dict(connection.execute(query_live).fetchall()) if followed else {}
    for pk, text in clocks:
        clock = _timecode(text)
        if pk not in known and clock is not None and newest[pk].observed_at - clock > STALE_AFTER:
            known[pk] = clock
    return known


def _timecode(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(str(text), "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _failures(raw: RawStore, days: Sequence[date]) -> dict[tuple[str, str], tuple[int, str | None]]:
    return {(f.endpoint, f.entity_key): (f.failures, f.last_error) for f in FetchLog(raw.postgres).failures(list(days))}
