"""Games that are over are fetched again after a while: what scorers correct later is seen then.

Which games are due follows from the raw rows alone, so nothing has to be remembered: a game is due where no answer of
its feed was received since the last of the moments (its end plus an offset) that have passed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, MutableMapping, Sequence
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
from resources.raw_store import InsertOutcome, RawRow, RawStore, table_name

OFFSETS = (timedelta(hours=1), timedelta(hours=24), timedelta(days=7))
"""How long after its end a game is fetched again."""
GIVEN_UP_AFTER = timedelta(days=14)
"""A game that nobody looked at for so long after the last offset is left to `mlb ingest statsapi`."""
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
    ends = {} if ends is None else ends
    found = []
    for entity, rows in _recent(raw, raw_table, now - max(offsets) - GIVEN_UP_AFTER).items():
        if entity not in ends:
            ended = _ended_at(raw, raw_table, rows)
            if ended is None:
                continue
            ends[entity] = ended
        seen = max(r.observed_at for r in rows)
        passed = [ends[entity] + o for o in offsets if ends[entity] + o <= now]
        if passed and max(passed) > seen:
            found.append(Due(entity, ends[entity], seen, max(passed)))
    return sorted(found, key=lambda d: (d.due_at, d.game_pk))


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
    if not _is_final(raw, raw_table, rows[-1]):
        return None
    low, high = 0, len(rows) - 1
    while low < high:
        middle = (low + high) // 2
        if _is_final(raw, raw_table, rows[middle]):
            high = middle
        else:
            low = middle + 1
    first = rows[high]
    day = first.partition_date
    if day is None:
        return first.captured_at
    latest = datetime.combine(day, time(), UTC) + _DAY_ENDS
    if high and rows[high - 1].observed_at > latest:
        return first.captured_at
    return min(first.captured_at, latest)


def _is_final(raw: RawStore, raw_table: str, row: RawRow) -> bool:
    query = sql.SQL("SELECT data#>'{{gameData,status}}' FROM {} WHERE raw_id = %s").format(table_name(raw_table))
    with raw.postgres.transaction() as connection:
        found = connection.execute(query, [row.raw_id]).fetchone()
    return found is not None and game_state(found[0]) is GameState.FINAL


@dataclass
class Refetched:
    """What came of fetching games again."""

    games: int = 0
    requests: int = 0
    changed: list[str] = field(default_factory=list)
    """Answers that differ from what was known, as `endpoint/method game`."""
    failed: list[str] = field(default_factory=list)

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
    """Fetch games again. What is no good or refused for one game is told in the result and stops no other.

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
                result.failed.append(f"{request.name} {game_pk}: {error}")
                break
            if done.rejection is not None:
                result.failed.append(f"{request.name} {game_pk}: {done.rejection.reason}")
                break
            if done.outcome is InsertOutcome.STORED:
                result.changed.append(f"{request.name} {game_pk}")
    return result


class RefetchFailed(PlatformError):
    """Some of the games could not be fetched again; they stay due."""


def refetched(ingestor: Ingestor, game_pks: Sequence[str]) -> Refetched:
    """Fetch games again; raise RefetchFailed, after all were tried, where some could not be."""
    result = refetch(ingestor, game_pks)
    if result.failed:
        raise RefetchFailed(f"{result.summary}; they are tried again at the sensor's next look")
    return result
