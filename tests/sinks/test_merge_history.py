"""What is remembered of merges: what was not looked at is found with what came before it, and little else is read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from resources.merge_history import (
    give_up_gone,
    merge_history,
    unexamined_merges,
    unexamined_sinks,
    unexamined_tables,
)
from resources.merge_state import MergeStates
from resources.postgres import Connection, Postgres

from .harness import START

MERGES, WAITING = 4000, 20
TABLE = "game.plays"


@pytest.fixture
def history(database: Postgres) -> Postgres:
    """Two games followed live, all merges looked at; another sink and table, of which none was."""
    MergeStates(database).ensure()
    with database.transaction() as connection:
        for sink, table, merges in (
            ("delta:a", TABLE, MERGES),
            ("delta:a", "game.games", WAITING),
            ("b", TABLE, WAITING),
        ):
            connection.execute(
                "INSERT INTO quality.merge_history (sink, table_name, scope, version, changed, raw_id, observed_at, "
                "content_hash, derivation_hash, rows, unexamined, merged_at) "
                "SELECT %s, %s, (1 + n %% 2)::text, n, true, n, %s + n * interval '1 second', n::text, 'd', 1, %s, %s "
                "FROM generate_series(1, %s) n",
                (sink, table, START, merges == WAITING, START, merges),
            )
        connection.execute("ANALYZE quality.merge_history")
    return database


def mark(database: Postgres, *versions: int) -> None:
    with database.transaction() as connection:
        connection.execute(
            "UPDATE quality.merge_history SET unexamined = true WHERE sink = 'delta:a' AND table_name = %s "
            "AND version = ANY(%s)",
            (TABLE, list(versions)),
        )


class Explained:
    """A connection that explains what it is asked, and counts the rows that are read for it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.read = 0

    def execute(self, query: bytes, values: tuple[Any, ...]) -> Any:
        plan = self._connection.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + query, values).fetchone()
        assert plan is not None
        self._count(plan[0][0]["Plan"])
        return self._connection.execute(query, values)

    def _count(self, node: dict[str, Any]) -> None:
        if "Scan" in node["Node Type"]:
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            self.read += rows * node["Actual Loops"]
        for child in node.get("Plans", ()):
            self._count(child)


def test_each_merge_comes_with_the_one_before_it_of_its_scope(history: Postgres) -> None:
    """The first has none; one before it may itself not be looked at; other sinks and tables do not count."""
    mark(history, 1, 2, 3, 10, 3999)
    with history.transaction() as connection:
        found = unexamined_merges(connection, "delta:a", TABLE)
    told = [(w.merge.scope, w.merge.version, None if w.before is None else w.before.version) for w in found]
    assert told == [("1", 2, None), ("1", 10, 8), ("2", 1, None), ("2", 3, 1), ("2", 3999, 3997)]
    first = found[1]
    assert first.merge.unexamined and first.merge.as_of == (START + timedelta(seconds=10), "10")
    assert first.before is not None and (first.before.raw_id, first.before.unexamined) == (8, False)


def test_one_new_merge_of_a_game_followed_live_does_not_read_all_before(history: Postgres) -> None:
    mark(history, MERGES)
    with history.transaction() as connection:
        explained = Explained(connection)
        found = unexamined_merges(explained, "delta:a", TABLE)  # type: ignore[arg-type]
    assert [w.before.version for w in found if w.before] == [MERGES - 2]
    assert explained.read <= 2 + 2 * WAITING


def test_the_merges_of_a_game_are_had_without_reading_those_of_others(history: Postgres) -> None:
    """Only where the version of one is not known, all of the table tell of the first that is."""
    with history.transaction() as connection:
        connection.execute("UPDATE quality.merge_history SET scope = '3' WHERE version <= 10 AND sink = 'delta:a'")
        connection.execute("ANALYZE quality.merge_history")
        explained = Explained(connection)
        found = merge_history(explained, "delta:a", TABLE, ["3"])  # type: ignore[arg-type]
        assert [e.version for e in found.by_scope["3"]] == list(range(1, 11)) and found.first_version is None
        assert explained.read <= 10
        connection.execute("UPDATE quality.merge_history SET version = NULL WHERE version IN (1, 2)")
        found = merge_history(connection, "delta:a", TABLE, ["3"])
        entry = found.by_scope["3"][0]
        assert (found.first_version, found.version_of(entry, 9999), found.last_version_of(entry, 9999)) == (2, 2, 2)


def test_a_database_of_before_gets_the_index(history: Postgres) -> None:
    with history.transaction() as connection:
        connection.execute("DROP INDEX quality.merge_history_scope")
    MergeStates(history).ensure()
    with history.transaction() as connection:
        kept = connection.execute("SELECT to_regclass('quality.merge_history_scope') IS NOT NULL, count(*) "
                                  "FROM quality.merge_history").fetchone()  # fmt: skip
    assert kept == (True, MERGES + 2 * WAITING)


@pytest.mark.parametrize(("later", "given_up"), [(1, WAITING), (-1, 0)])
def test_merges_into_a_lake_that_was_replaced_are_given_up(history: Postgres, later: int, given_up: int) -> None:
    """Of one table, of other sinks, from before the lake of now was made: another lake beside it keeps its own."""
    created: datetime = START + timedelta(minutes=later)
    mark(history, 5)
    with history.transaction() as connection:
        assert give_up_gone(connection, TABLE, "delta:a", created) == given_up
        assert unexamined_sinks(connection, TABLE) == ({"delta:a"} if given_up else {"delta:a", "b"})
        assert unexamined_tables(connection) == ["game.games", TABLE]
