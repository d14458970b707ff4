"""Views over tables whose columns change: what is ours follows, what is a user's stays or is named."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

import pytest

from resources.errors import PlatformError
from resources.merge import ColumnSpec, MergeSpec
from resources.postgres import Postgres
from resources.postgres_sink import PostgresSink
from resources.views import ViewSpec, ensure_view

from .harness import new_spec

COLUMNS = (
    ColumnSpec("id", "INT", nullable=False),
    ColumnSpec("season", "INT", nullable=False),
    ColumnSpec("score", "INT"),
    ColumnSpec("name", "VARCHAR(10)"),
)
ROWS = [(1, 2023, 5, "old"), (1, 2024, 7, "new"), (2, 2024, None, None)]
NEWEST = [(1, 2024, 7, "new"), (2, 2024, None, None)]


@dataclasses.dataclass
class Viewed:
    """A table with rows, the view of its newest seasons, and what the catalog says of it."""

    database: Postgres
    spec: MergeSpec
    view: ViewSpec

    def run(self, sql: str) -> list[Any]:
        """Run a statement with {table}, {view} and {user}."""
        names = {"table": self.spec.table, "view": self.view.name, "user": f"{self.view.name}_of_a_user"}
        with self.database.transaction() as connection:
            cursor = connection.execute(sql.format(**names).encode())
            return cursor.fetchall() if cursor.description else []

    def types(self) -> list[tuple[str, str]]:
        """Return the view's columns with their types."""
        query = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{view}'::regclass"
        return self.run(query + " AND attnum > 0 ORDER BY attnum")

    def newest(self, columns: str = "id, season, score, name") -> list[Any]:
        """Return the view's rows."""
        return self.run(f"SELECT {columns} FROM {{view}} ORDER BY id")

    def widened(self, *more: ColumnSpec) -> MergeSpec:
        """Return the spec with a wider number and text, and more columns."""
        wide = {"score": "BIGINT", "name": "VARCHAR(20)"}
        columns = [dataclasses.replace(c, sql_type=wide.get(c.name, c.sql_type)) for c in self.spec.columns]
        return dataclasses.replace(self.spec, columns=(*columns, *more))


@pytest.fixture
def viewed(database: Postgres) -> Viewed:
    spec = new_spec(columns=COLUMNS, key=("id", "season"), scope="id", partition=None)
    view = ViewSpec(f"game.newest_{uuid.uuid4().hex[:8]}", spec.table, ("id",), ("-season",), "The newest")
    made = Viewed(database, spec, view)
    PostgresSink(database).prepare(spec)
    with database.transaction() as connection:
        for row in ROWS:
            connection.execute(f"INSERT INTO {spec.table} VALUES (%s, %s, %s, %s)".encode(), row)
    ensure_view(database, view)
    assert made.newest() == NEWEST
    return made


def test_columns_under_a_view_of_ours_can_be_widened(viewed: Viewed, database: Postgres) -> None:
    """Rows are kept; the view is there at once, with the new types and who may read it, though no one ensured it."""
    viewed.run("GRANT SELECT ON {view} TO PUBLIC")
    wide = viewed.widened(ColumnSpec("more", "TEXT"))
    PostgresSink(database).prepare(wide)
    assert viewed.newest() == NEWEST and len(viewed.run("SELECT * FROM {table}")) == len(ROWS)
    assert viewed.types()[2:] == [("score", "bigint"), ("name", "character varying(20)")]
    assert viewed.run("SELECT has_table_privilege('pg_monitor', '{view}', 'SELECT')") == [(True,)]
    ensure_view(database, viewed.view)
    assert viewed.types()[2:] == [("score", "bigint"), ("name", "character varying(20)"), ("more", "text")]
    assert viewed.newest() == NEWEST and viewed.newest("more") == [(None,), (None,)]
    before = viewed.run("SELECT '{view}'::regclass::oid")
    PostgresSink(database).prepare(wide)
    ensure_view(database, viewed.view)
    assert viewed.run("SELECT '{view}'::regclass::oid") == before, "what is right is not touched"


def test_a_view_of_a_user_on_ours_survives_new_columns(viewed: Viewed, database: Postgres) -> None:
    viewed.run("CREATE VIEW {user} AS SELECT id, score FROM {view}")
    PostgresSink(database).prepare(dataclasses.replace(viewed.spec, columns=(*COLUMNS, ColumnSpec("more", "TEXT"))))
    ensure_view(database, viewed.view)
    assert viewed.types()[-1] == ("more", "text")
    assert viewed.run("SELECT id, score FROM {user} ORDER BY id") == [(1, 7), (2, None)]


@pytest.mark.parametrize("place", ["{view}", "{table}"])
def test_a_view_of_a_user_in_the_way_is_named_and_nothing_is_changed(
    viewed: Viewed, database: Postgres, place: str
) -> None:
    """On our view or on the table; once it is gone the change is made."""
    viewed.run(f"CREATE VIEW {{user}} AS SELECT id, score FROM {place}")
    with pytest.raises(PlatformError, match=rf"{viewed.view.name}_of_a_user\b.*drop .*run this again"):
        PostgresSink(database).prepare(viewed.widened())
    assert viewed.newest() == NEWEST and viewed.types()[2] == ("score", "integer")
    viewed.run("DROP VIEW {user}")
    PostgresSink(database).prepare(viewed.widened())
    assert viewed.newest() == NEWEST and viewed.types()[2] == ("score", "bigint")


def test_a_view_of_a_user_on_other_columns_is_not_in_the_way(viewed: Viewed, database: Postgres) -> None:
    viewed.run("CREATE VIEW {user} AS SELECT id, season FROM {table}")
    PostgresSink(database).prepare(viewed.widened())
    assert viewed.types()[2] == ("score", "bigint") and len(viewed.run("SELECT * FROM {user}")) == len(ROWS)


def test_a_view_that_moves_to_another_table_is_made_anew_or_its_reader_named(
    viewed: Viewed, database: Postgres
) -> None:
    other = dataclasses.replace(viewed.spec, table=f"{viewed.spec.table}_b", columns=(*COLUMNS[:2], COLUMNS[3]))
    PostgresSink(database).prepare(other)
    moved = dataclasses.replace(viewed.view, table=other.table)
    viewed.run("CREATE VIEW {user} AS SELECT id FROM {view}")
    with pytest.raises(PlatformError, match=rf"{viewed.view.name} has to be made anew.*_of_a_user\b"):
        ensure_view(database, moved)
    assert viewed.newest() == NEWEST
    viewed.run("DROP VIEW {user}")
    ensure_view(database, moved)
    assert viewed.newest("*") == []
