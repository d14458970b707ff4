"""What the raw store has of dates, games, people and places: what a plan is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import sql

from mlb_platform.ingestion.dates.listings import GameState, Listing, game_state, listed_games, listing_of_feed
from mlb_platform.ingestion.dates.plan import (
    FEED,
    OF_GAME,
    PEOPLE,
    POSTSEASON_GAMES,
    ROSTER,
    ROSTER_KIND,
    SCHEDULE,
    SEASONS,
    TEAM,
    TEAMS,
    VENUES,
    GameFacts,
    Known,
    ReferenceFacts,
)
from resources.raw_store import RawRow, RawStore, table_name

_LOOKED_AT = 8
"""So many of the newest answers of a date are looked at for one that lists its games in full."""


@dataclass(frozen=True)
class DateFacts:
    """The newest full listing of a date, and when it was received; `listed` is None where there is none."""

    known: Known | None
    listed: list[Listing] | None


class RawFacts:
    """Reads from the raw store; endpoints without a mapping have nothing in it."""

    def __init__(self, raw: RawStore, tables: Mapping[str, str]) -> None:
        """`tables` are the raw tables by endpoint method."""
        self.raw = raw
        self.tables = tables

    def states(self, raw_ids: Sequence[int]) -> dict[int, GameState]:
        """Return the state that each of these feeds tells, where it tells one."""
        told = self._ask(
            "SELECT raw_id, data#>'{{gameData,status}}' FROM {table} WHERE raw_id = ANY(%(ids)s)",
            self.tables[FEED],
            {"ids": list(raw_ids)},
        )
        return {raw_id: state for raw_id, status in told if (state := game_state(status)) is not None}

    def schedule(self, day: date) -> DateFacts:
        """Return what the newest answer with the whole listing of a date lists."""
        table = self.tables[SCHEDULE]
        rows = self.raw.rows(table, entity_keys=[day.isoformat()], by_member=True)[-_LOOKED_AT:]
        # a date without games is not in its answer: that all of it was asked for is in the request alone
        empty = self._ask(
            "SELECT max(coalesce(last_seen_at, captured_at)) FROM {table} WHERE params->>'date' = %(day)s "
            "AND params - '{{date,hydrate,id,sportId}}'::text[] = '{{}}' AND jsonb_array_length(data->'dates') = 0",
            table,
            {"day": day.isoformat()},
        )
        at = empty[0][0]
        if at is not None and (not rows or at > rows[-1].observed_at):
            return DateFacts(Known(at, at), [])
        held = self._held(table, rows)
        for row in reversed(rows):
            elements = self._ask(
                "SELECT jsonb_path_query(data, '$.dates[*] ? (@.date == $day)', "
                "jsonb_build_object('day', %(day)s::text)) FROM {table} WHERE raw_id = %(id)s",
                table,
                {"day": day.isoformat(), "id": row.raw_id},
            )
            listed = listed_games(elements[0][0]) if elements else None
            if listed is not None:
                return DateFacts(_known(row, held), listed)
        return DateFacts(None, None)

    def games(self, game_pks: Sequence[str]) -> tuple[dict[str, GameFacts], dict[str, Listing]]:
        """Return what is there of each of these games, and how its newest feed tells it."""
        feeds, told = self._feeds(game_pks)
        others = {name: self._newest(name, game_pks) for name in OF_GAME}
        facts: dict[str, GameFacts] = {}
        for pk in game_pks:
            known, day = feeds.get(pk, (None, None))
            own = {name: found[pk] for name, found in others.items() if pk in found}
            facts[pk] = GameFacts(known, told[pk].state if pk in told else None, day, own)
        return facts, told

    def _feeds(self, game_pks: Sequence[str]) -> tuple[dict[str, tuple[Known, date | None]], dict[str, Listing]]:
        table = self.tables.get(FEED)
        if table is None or not game_pks:
            return {}, {}
        newest = {r.entity_key: r for r in self.raw.rows(table, entity_keys=game_pks)}
        held = self._held(table, newest.values())
        known = {pk: (_known(row, held), row.partition_date) for pk, row in newest.items()}
        status = self._ask(
            # OFFSET 0 keeps the subquery: each feed, near a megabyte, is unpacked once and not once a column
            "SELECT entity_key, d->'status', d->'datetime', d->'game', d#>'{{teams,away,id}}', d#>'{{teams,home,id}}', "
            "d#>'{{venue,id}}' FROM (SELECT entity_key, data->'gameData' AS d FROM {table} WHERE raw_id = ANY(%(ids)s) "
            "OFFSET 0) feeds",
            table,
            {"ids": [r.raw_id for r in newest.values()]},
        )
        told = {}
        for pk, *parts in status:
            state, days, game, away, home, venue = parts
            teams = {"away": {"id": away}, "home": {"id": home}}
            data = {"status": state, "datetime": days, "game": game, "teams": teams, "venue": {"id": venue}}
            listing = listing_of_feed(pk, data)
            if listing is not None:
                told[pk] = listing
        return known, told

    def _newest(self, name: str, keys: Sequence[str]) -> dict[str, Known]:
        table = self.tables.get(name)
        if table is None or not keys:
            return {}
        newest = {r.entity_key: r for r in self.raw.rows(table, entity_keys=keys)}
        held = self._held(table, newest.values())
        return {key: _known(row, held) for key, row in newest.items()}

    def reference(self, games: Sequence[Listing], day: date) -> ReferenceFacts:
        """Return what is there besides games, as far as the games of a date call for it."""
        seasons = sorted({g.season for g in games if g.season})
        answers = self._answers(day, games)
        people = self._only_named(PEOPLE, "people", "firstName", answers)
        venues = self._only_named(VENUES, "venues", "location", answers)
        told = {s: self._told_teams(s) for s in seasons}
        return ReferenceFacts(
            seasons=self._seasons(seasons),
            teams={s: at for s, (at, _) in told.items() if at is not None},
            told_teams={s: ids for s, (_, ids) in told.items()},
            rosters=self._rosters(day),
            people=people,
            told_people=self._told(PEOPLE, "people", "firstName", "personIds", people),
            venues=venues,
            told_venues=self._told(VENUES, "venues", "location", "venueIds", venues),
            postseasons=self._by_request(POSTSEASON_GAMES, "season", seasons),
        )

    def _answers(self, day: date, games: Sequence[Listing]) -> list[str]:
        """Return the entity keys under which people and venues that the answers of a date carry are kept."""
        pks = [g.game_pk for g in games]
        keys = [f"{self.tables[name]}:{pk}" for name in (FEED, *OF_GAME) if name in self.tables for pk in pks]
        if ROSTER in self.tables:
            table = self.tables[ROSTER]
            rosters = {r.entity_key for r in self.raw.rows(table, dates=[day])}
            keys += [f"{table}:{key}" for key in sorted(rosters)]
        return [*keys, f"{self.tables[SCHEDULE]}:{day.isoformat()}"]

    def _only_named(self, name: str, member: str, sign: str, answers: Sequence[str]) -> set[int]:
        """Return the ids that these answers carry without the member `sign`, which whole documents have."""
        table = self.tables.get(name)
        if table is None:
            return set()
        newest = {r.entity_key: r.raw_id for r in self.raw.rows(table, entity_keys=answers)}
        rows = self._ask(
            "SELECT e->>'id' FROM {table}, jsonb_array_elements(data->%(member)s) e "
            "WHERE raw_id = ANY(%(ids)s) GROUP BY 1 HAVING NOT bool_or(e ? %(sign)s)",
            table,
            {"member": member, "ids": sorted(newest.values()), "sign": sign},
        )
        return {int(row[0]) for row in rows if row[0] is not None and row[0].isdecimal()}

    def _told(self, name: str, member: str, sign: str, parameter: str, ids: Iterable[int]) -> set[int]:
        """Return which of these ids were asked for by themselves, or told whole in what a feed carried."""
        table = self.tables.get(name)
        keys = [str(i) for i in sorted(ids)]
        if table is None or not keys:
            return set()
        rows = self._ask(
            "SELECT DISTINCT unnest(string_to_array(params->>%(parameter)s, ',')) FROM {table} "
            "WHERE NOT params ? 'fields' AND string_to_array(params->>%(parameter)s, ',') && %(keys)s::text[] "
            "UNION SELECT k FROM unnest(%(keys)s::text[]) k WHERE EXISTS ("
            "  SELECT 1 FROM (SELECT m.raw_id FROM quality.raw_members m JOIN {table} r USING (raw_id) "
            "    WHERE m.raw_table = %(table)s AND m.entity_key = k AND (r.params->>'embedded_in' = %(feed)s "
            "      OR NOT r.params ? 'embedded_in') ORDER BY m.raw_id DESC LIMIT 3) newest "
            "  JOIN {table} r USING (raw_id), jsonb_array_elements(r.data->%(member)s) e "
            "  WHERE e->>'id' = k AND e ? %(sign)s)",
            table,
            {
                "parameter": parameter, "keys": keys, "table": table, "feed": self.tables.get(FEED), "member": member,
                "sign": sign,
            },
        )  # fmt: skip
        return {int(row[0]) for row in rows if row[0].isdecimal()} & set(ids)

    def _told_teams(self, season: str) -> tuple[datetime | None, set[int]]:
        """Return when the teams of a season were answered last, and which teams that season's answers told."""
        table = self.tables.get(TEAMS) or self.tables.get(TEAM)
        if table is None:
            return None, set()
        rows = self._ask(
            "SELECT m.entity_key, max(coalesce(r.last_seen_at, r.captured_at)) FILTER (WHERE r.method = %(all)s) "
            "FROM {table} r JOIN quality.raw_members m ON m.raw_table = %(table)s AND m.raw_id = r.raw_id "
            "WHERE r.params->>'season' = %(season)s AND NOT r.params ? 'embedded_in' GROUP BY 1",
            table,
            {"table": table, "season": season, "all": TEAMS.split("/")[1]},
        )
        times = [at for _, at in rows if at is not None]
        return max(times, default=None), {int(key) for key, _ in rows}

    def _seasons(self, seasons: Sequence[str]) -> dict[str, datetime]:
        """Return when each of these seasons was told last."""
        table = self.tables.get(SEASONS)
        if table is None or not seasons:
            return {}
        rows = self.raw.rows(table, entity_keys=seasons, by_member=True)
        return {r.entity_key: r.observed_at for r in rows}

    def _by_request(self, name: str, parameter: str, values: Sequence[str]) -> dict[str, datetime]:
        """Return when a request with each of these values of a parameter was answered last."""
        table = self.tables.get(name)
        if table is None or not values:
            return {}
        rows = self._ask(
            "SELECT params->>%(name)s, max(coalesce(last_seen_at, captured_at)) FROM {table} "
            "WHERE params->>%(name)s = ANY(%(values)s) GROUP BY 1",
            table,
            {"name": parameter, "values": list(values)},
        )
        return dict(rows)

    def _rosters(self, day: date) -> set[int]:
        """Return the teams whose roster of a date is there, of whatever kind the answer says it is."""
        table = self.tables.get(ROSTER)
        if table is None:
            return set()
        rows = self._ask(
            "SELECT DISTINCT data->>'teamId' FROM {table} WHERE partition_date = %(day)s "
            "AND coalesce(params->>'rosterType', %(kind)s) = %(kind)s",
            table,
            {"day": day, "kind": ROSTER_KIND},
        )
        return {int(row[0]) for row in rows}

    def _held(self, table: str, rows: Iterable[RawRow]) -> set[int]:
        """Return the ids of the rows that are held back."""
        return {q.raw_id for q in self.raw.quality.quarantined(table, [r.raw_id for r in rows])}

    def _ask(self, query: str, table: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        self.raw.ensure(table)
        with self.raw.postgres.transaction() as connection:
            return connection.execute(sql.SQL(query).format(table=table_name(table)), values).fetchall()


def _known(row: RawRow, held: Iterable[int]) -> Known:
    return Known(row.captured_at, row.observed_at, row.raw_id in set(held))
