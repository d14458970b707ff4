"""What a live scoreboard shows of a game, read from the tables in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row

from resources.errors import PlatformError
from resources.postgres import Postgres


class NoGame(PlatformError):
    """Nothing of a game is in the tables."""


@dataclass(frozen=True)
class Freshness:
    """How old a table's rows of a game are: when their capture was made, and when they were merged last."""

    table: str
    rows: int
    captured_at: datetime
    merged_at: datetime


@dataclass(frozen=True)
class Board:
    """A game as the tables have it now; `now` is the database's time."""

    game: dict[str, Any]
    innings: list[dict[str, Any]]
    situation: dict[str, Any]
    last_play: dict[str, Any]
    freshness: list[Freshness] = field(default_factory=list)
    now: datetime | None = None


def read_board(postgres: Postgres, game_pk: int, tables: Sequence[str]) -> Board:
    """Read a game's scoreboard, and how fresh each of `tables` is. Raises NoGame where there are no rows of it."""
    with postgres.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:

        def rows(query: str) -> list[dict[str, Any]]:
            return cursor.execute(query.encode(), {"game": game_pk}).fetchall()

        exists = rows("SELECT to_regclass('game.live_game_metadata') IS NOT NULL AS there")[0]["there"]
        found = rows("SELECT * FROM game.live_game_metadata WHERE game_pk = %(game)s") if exists else []
        if not found:
            raise NoGame(f"no rows of game {game_pk}: follow it with `mlb live --game-pk {game_pk}`, or materialize it")
        innings = rows("SELECT * FROM game.live_game_linescore_innings WHERE game_pk = %(game)s ORDER BY inning")
        situation = rows("SELECT * FROM game.live_game_situation WHERE game_pk = %(game)s")
        last = rows("SELECT * FROM game.live_game_plays WHERE game_pk = %(game)s ORDER BY at_bat_index DESC LIMIT 1")
        states = cursor.execute(
            "SELECT table_name, rows, observed_at, merged_at, clock_timestamp() AS now FROM quality.merge_state "
            "WHERE sink = 'postgres' AND scope = %s AND table_name = ANY(%s) ORDER BY table_name",
            [str(game_pk), list(tables)],
        ).fetchall()
    fresh = [Freshness(s["table_name"], s["rows"], s["observed_at"], s["merged_at"]) for s in states]
    return Board(
        found[0], innings, situation[0] if situation else {}, last[0] if last else {}, fresh,
        states[0]["now"] if states else None,
    )  # fmt: skip
