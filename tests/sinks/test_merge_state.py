"""States are found by their key, whatever PostgreSQL expects to find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resources.merge_state import MergeStates
from resources.postgres import Connection, Postgres

GAMES = [str(pk) for pk in range(1_000_001, 1_001_000, 2)]


def test_states_of_games_that_are_new_are_looked_up_by_the_whole_key(database: Postgres) -> None:
    """Of games that no statistics know none is expected; by their names alone every table's would be gone through."""
    states, asked = MergeStates(database), list[tuple[bytes, Any]]()

    class Asking:
        def execute(self, query: bytes, values: Any) -> list[tuple[Any, ...]]:
            asked.append((query, values))
            return []

    states.ensure()
    new = [str(int(pk) + 1) for pk in GAMES]
    assert states.load(Asking(), "postgres", "game.plays", new) == {}  # type: ignore[arg-type]
    ((query, values),) = asked
    with database.transaction() as connection:
        merged(connection, GAMES[:15])
        connection.execute("ANALYZE quality.merge_state")
        merged(connection, GAMES[15:])
        plan = [str(row[0]) for row in connection.execute(b"EXPLAIN " + query, values)]
    (condition,) = (line for line in plan if "Index Cond" in line)
    assert all(name in condition for name in ("sink", "table_name", "scope")), plan


def merged(connection: Connection, games: Sequence[str]) -> None:
    """Note games as merged into forty tables."""
    connection.execute(
        "INSERT INTO quality.merge_state (sink, table_name, scope, observed_at, content_hash, raw_id, "
        "derivation_hash, rows) SELECT sink, 'game.table_' || n, scope, now(), 'a', 1, 'a', 1 "
        "FROM unnest(%s::text[]) scope, generate_series(1, 20) n, unnest(ARRAY['postgres', 'delta:a']) sink",
        [list(games)],
    )
