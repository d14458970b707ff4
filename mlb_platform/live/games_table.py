"""`live.games`: how the following of each game goes, for `mlb watch`, completeness and alerts; and for a restart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from psycopg.rows import class_row

from resources.own_tables import OwnTables
from resources.postgres import Postgres


@dataclass(frozen=True)
class LiveGame:
    """One game as it is followed; times are aware, and those of the API's clock."""

    game_pk: str
    official_date: date
    phase: str
    """waiting, following, ending, over, off, suspended (see game_follow.Phase)."""
    state: str
    """The detailed state that the feed or schedule told last."""
    start_at: datetime | None = None
    last_poll_at: datetime | None = None
    last_change_at: datetime | None = None
    """When the feed's content was last another than before."""
    feed_clock: datetime | None = None
    """The feed's own time stamp."""
    next_poll_at: datetime | None = None
    polls: int = 0
    captures: int = 0
    failures: int = 0
    """Failed polls in a row."""
    last_error: str | None = None
    stale_since: datetime | None = None
    """Since when the feed's clock stands while the game is in progress."""
    note: str | None = None
    """Where a game went: postponed to, suspended until."""


class LiveGames:
    """The table `live.games` of one database, created when it is first used."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.ensure = OwnTables(postgres, "live.games", _CREATE).ensure

    def save(self, games: Sequence[LiveGame]) -> None:
        """Write how games go now."""
        self.ensure()
        with self.postgres.transaction() as connection, connection.cursor() as cursor:
            cursor.executemany(_SAVE.encode(), [vars(game) for game in games])

    def of_date(self, day: date) -> list[LiveGame]:
        """Return the games of an official date."""
        return self._find("official_date = %s", day)

    def stale(self) -> list[LiveGame]:
        """Return the games whose feed stands while they are in progress."""
        return self._find("stale_since IS NOT NULL AND phase = %s", "following")

    def _find(self, where: str, value: object) -> list[LiveGame]:
        self.ensure()
        query = f"SELECT {', '.join(_NAMES)} FROM live.games WHERE {where} ORDER BY start_at, game_pk"
        with self.postgres.transaction() as connection, connection.cursor(row_factory=class_row(LiveGame)) as cursor:
            return cursor.execute(query.encode(), [value]).fetchall()


_NAMES = [f.name for f in fields(LiveGame)]
_CREATE = """
CREATE SCHEMA IF NOT EXISTS live;
CREATE TABLE IF NOT EXISTS live.games (
    game_pk text PRIMARY KEY,
    official_date date NOT NULL,
    phase text NOT NULL,
    state text NOT NULL,
    start_at timestamptz,
    last_poll_at timestamptz,
    last_change_at timestamptz,
    feed_clock timestamptz,
    next_poll_at timestamptz,
    polls bigint NOT NULL DEFAULT 0,
    captures bigint NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    last_error text,
    stale_since timestamptz,
    note text,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE live.games IS 'How the live follower gets on with each game';
"""
_SAVE = (
    f"INSERT INTO live.games ({', '.join(_NAMES)}) VALUES ({', '.join(f'%({n})s' for n in _NAMES)}) "
    f"ON CONFLICT (game_pk) DO UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in _NAMES[1:])}, "
    "updated_at = clock_timestamp()"
)
