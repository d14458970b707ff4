"""Games that are over are fetched again after a while: what scorers correct later is seen then.

Which games are due follows from the raw rows: a game is due where no answer of its feed was received since the last of
the moments (its end plus an offset) that have passed. Only what was asked for in vain is remembered: such a game is due
again after a while that grows each time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

from psycopg import sql

from mlb_platform.ingestion.dates.listings import GameState, game_state
from mlb_platform.ingestion.dates.plan import FEED, OF_GAME
from mlb_platform.ingestion.statsapi import endpoints
from mlb_platform.ingestion.statsapi.endpoints import ApiRequest
from mlb_platform.ingestion.statsapi.ingest import Ingestor
from resources.errors import PlatformError
from resources.http_client import Refused
from resources.own_tables import OwnTables
from resources.postgres import Postgres
from resources.raw_store import InsertOutcome, RawRow, RawStore, table_name

OFFSETS = (timedelta(hours=1), timedelta(hours=24), timedelta(days=7))
"""How long after its end a game is fetched again."""
GIVEN_UP_AFTER = timedelta(days=14)
"""A game that nobody looked at for so long after the last offset is left to `mlb ingest statsapi`."""
WAIT_AT_LEAST = timedelta(hours=1)
"""How long a game is left alone that was asked for in vain; later, for as long as it has been due."""
NOT_FOUND = 404
_DAY_ENDS = timedelta(hours=36)
"""How long after its date (0:00 UTC) began a game is over at the latest, unless it was seen going on later."""

Ends = MutableMapping[str, datetime]
"""When games ended, as far as that is known: it never changes, so it may be kept between calls."""


@dataclass(frozen=True)
class Due:
    """A game to be fetched again: when it ended, when it was fetched last, and the newest moment it was due at."""

    game_pk: str
    ended_at: datetime
    seen_at: datetime
    due_at: datetime


def due_games(
    raw: RawStore, raw_table: str, now: datetime, offsets: Sequence[timedelta] = OFFSETS, ends: Ends | None = None
) -> list[Due]:
    """Return the games whose feed is to be fetched again at `now`, those waiting longest first.

    `raw_table` is the feeds'. A game counts as over from the first answer that calls it Final; where that was received
    long after its date (a backfill), from the end of the date: what was received then is no less of a second look.
    """
    raw.ensure(raw_table)
    ends, in_vain = {} if ends is None else ends, InVain(raw.postgres).all()
    found = []
    for entity, rows in _recent(raw, raw_table, now - max(offsets) - GIVEN_UP_AFTER).items():
        if entity not in ends:
            ended = _ended_at(raw, raw_table, rows)
            if ended is None:
                continue
            ends[entity] = ended
        seen = max(r.observed_at for r in rows)
        passed = [ends[entity] + o for o in offsets if ends[entity] + o <= now]
        if passed and _is_due(max(passed), seen, in_vain.get(entity), now):
            found.append(Due(entity, ends[entity], seen, max(passed)))
    return sorted(found, key=lambda d: (d.due_at, d.game_pk))


def _is_due(due_at: datetime, seen: datetime, in_vain: datetime | None, now: datetime) -> bool:
    """Return whether a game is to be fetched that was to be at `due_at`; after 1, 2, 4 hours and so on if in vain."""
    if in_vain is None or seen > in_vain:
        return due_at > seen
    return in_vain + max(WAIT_AT_LEAST, in_vain - due_at) <= now <= due_at + GIVEN_UP_AFTER


def _recent(raw: RawStore, raw_table: str, since: datetime) -> dict[str, list[RawRow]]:
    """Return the rows, oldest first, of games with an answer received since."""
    query = sql.SQL("SELECT DISTINCT entity_key FROM {} WHERE coalesce(last_seen_at, captured_at) >= %s")
    with raw.postgres.transaction() as connection:
        keys = [row[0] for row in connection.execute(query.format(table_name(raw_table)), [since])]
    by_entity: dict[str, list[RawRow]] = defaultdict(list)
    for row in raw.rows(raw_table, entity_keys=keys):
        by_entity[row.entity_key].append(row)
    return {entity: sorted(rows, key=lambda r: (r.captured_at, r.raw_id)) for entity, rows in by_entity.items()}


def _ended_at(raw: RawStore, raw_table: str, rows: Sequence[RawRow]) -> datetime | None:
    """Return when a game ended, by its answers in order of time; None where the last does not call it over.

    Reads few of them: each is a megabyte, and of a game followed live there are hundreds.
    """
    if _state(raw, raw_table, rows[-1]) is not GameState.FINAL:
        return None
    low, high = 0, len(rows) - 1
    while low < high:
        middle = (low + high) // 2
        if _state(raw, raw_table, rows[middle]) is GameState.FINAL:
            high = middle
        else:
            low = middle + 1
    first = rows[high]
    day = first.partition_date
    if day is None:
        return first.captured_at
    latest = datetime.combine(day, time(), UTC) + _DAY_ENDS
    before = rows[high - 1] if high else None
    if before is not None and (
        before.observed_at > latest or _state(raw, raw_table, before) is GameState.SUSPENDED  # resumed on another date
    ):
        return first.captured_at
    return min(first.captured_at, latest)


def _state(raw: RawStore, raw_table: str, row: RawRow) -> GameState | None:
    query = sql.SQL("SELECT data#>'{{gameData,status}}' FROM {} WHERE raw_id = %s").format(table_name(raw_table))
    with raw.postgres.transaction() as connection:
        found = connection.execute(query, [row.raw_id]).fetchone()
    return None if found is None else game_state(found[0])


@dataclass
class Refetched:
    """What came of fetching games again."""

    games: int = 0
    requests: int = 0
    changed: list[str] = field(default_factory=list)
    """Answers that differ from what was known, as `endpoint/method game`."""
    failed: list[str] = field(default_factory=list)
    """What did not come, and why."""
    failed_games: dict[str, None] = field(default_factory=dict)
    """The games of which something did not come, in order."""

    def fail(self, request: ApiRequest, game_pk: str, why: object) -> None:
        """Note that something of a game did not come."""
        self.failed.append(f"{request.name} {game_pk}: {why}")
        self.failed_games[game_pk] = None

    @property
    def summary(self) -> str:
        """One line."""
        text = f"{self.games} games, {self.requests} answers, {len(self.changed)} changed, {len(self.failed)} failed"
        return text + (f": {'; '.join(self.failed[:3])}" if self.failed else "")


def requests_of(ingestor: Ingestor, game_pk: str) -> Iterator[ApiRequest]:
    """Give what is fetched of a game that may have changed; its feed last, which says that the game was looked at."""
    for name, request in OF_GAME.items():
        if name in ingestor.specs:
            yield request(game_pk)
    if FEED in ingestor.specs:
        yield endpoints.live_feed(game_pk)


def refetch(ingestor: Ingestor, game_pks: Sequence[str]) -> Refetched:
    """Fetch games again. What is no good or refused is told in the result, and stops neither the game's other answers
    nor other games.

    Raises what says that nothing more will come: ApiUnreachable, CircuitOpen. What was stored by then stays.
    """
    result = Refetched()
    for game_pk in game_pks:
        result.games += 1
        for request in requests_of(ingestor, game_pk):
            result.requests += 1
            try:
                done = ingestor.ingest(request)
            except Refused as error:
                if error.status == NOT_FOUND:
                    continue  # a game without it, such as one that was cancelled: asking again changes nothing
                result.fail(request, game_pk, error)
                continue
            if done.rejection is not None:
                result.fail(request, game_pk, done.rejection.reason)
            elif done.outcome is InsertOutcome.STORED:
                result.changed.append(f"{request.name} {game_pk}")
    return result


class InVain:
    """The games that were asked for again and of which something did not come, in the table `quality.recaptures`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._tables = OwnTables(postgres, "quality.recaptures", _TABLE)

    def all(self) -> dict[str, datetime]:
        """Return when each was asked for last."""
        self._tables.ensure()
        with self._postgres.transaction() as connection:
            return dict(connection.execute("SELECT game_pk, in_vain_at FROM quality.recaptures").fetchall())

    def note(self, game_pks: Iterable[str], failed: Iterable[str], at: datetime) -> None:
        """Note that these games were asked for at an instant (aware), of which some in vain."""
        self._tables.ensure()
        with self._postgres.transaction() as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM quality.recaptures WHERE game_pk = ANY(%s)", [list(game_pks)])
            cursor.executemany(
                "INSERT INTO quality.recaptures VALUES (%s, %s) ON CONFLICT (game_pk) DO UPDATE "
                "SET in_vain_at = excluded.in_vain_at", [(pk, at) for pk in failed],
            )  # fmt: skip


_TABLE = """
CREATE SCHEMA IF NOT EXISTS quality;
CREATE TABLE quality.recaptures (game_pk text PRIMARY KEY, in_vain_at timestamptz NOT NULL);
COMMENT ON TABLE quality.recaptures IS 'Games to be fetched again of which something did not come, and when that was';
"""


class RefetchFailed(PlatformError):
    """Some of the games could not be fetched again completely; they stay due."""


def refetched(ingestor: Ingestor, game_pks: Sequence[str]) -> Refetched:
    """Fetch games again; raise RefetchFailed, after all were tried, where something did not come.

    Of those games that is noted: they are due again after a while.
    """
    result = refetch(ingestor, game_pks)
    InVain(ingestor.raw.postgres).note(game_pks, result.failed_games, ingestor.api.clock.now())
    if result.failed:
        raise RefetchFailed(f"{result.summary}; these games are tried again after an hour, then longer each time")
    return result
