"""Parity tells rows that are missing, that nobody merged, and that repeat a key, in either place and of their date."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from deltalake import DeltaTable, write_deltalake
from helpers import MAY_1, SMALL, Bench, game, mapping_of
from pyspark.sql import SparkSession

from asset_checks.evaluate import evaluate
from asset_checks.names import PARITY, RELATIONSHIPS
from resources.lake_place import table_uri
from resources.postgres import Postgres

MAY_2 = MAY_1 + timedelta(days=1)
PLAYS = "small.plays"


@pytest.fixture
def bench(database: Postgres, spark: SparkSession, tmp_path: Path) -> Bench:
    """Two dates with a game of two plays each."""
    made = Bench(database, tmp_path / "lake", spark, mapping_of(SMALL))
    for pk, day in ((1, MAY_1), (2, MAY_2)):
        made.put(game(pk, [(0, 0, "a"), (1, 1, "b")], day))
    made.run()
    return made


def told(bench: Bench, name: str = PARITY) -> dict[str | None, dg.AssetCheckEvaluation]:
    """Return the verdicts on the plays by date."""
    found = evaluate(bench.stores, str(bench.lake), bench.mapping, [PLAYS], [MAY_1, MAY_2], [name])
    return {v.partition: v for v in found}


def test_both_places_hold_what_was_merged(bench: Bench) -> None:
    assert {day: v.description for day, v in told(bench).items()} == {
        MAY_1.isoformat(): "2 rows in both places", MAY_2.isoformat(): "2 rows in both places",
    }  # fmt: skip


def test_a_key_repeated_in_postgres_is_told_where_no_primary_key_forbids_it(bench: Bench) -> None:
    with bench.postgres.transaction() as connection:
        connection.execute("ALTER TABLE small.plays DROP CONSTRAINT plays_pkey")
        connection.execute("INSERT INTO small.plays SELECT * FROM small.plays WHERE game_pk = 2 LIMIT 1")
    found = told(bench)
    assert found[MAY_1.isoformat()].passed
    assert not found[MAY_2.isoformat()].passed
    assert found[MAY_2.isoformat()].description == (
        "PostgreSQL has 3 rows, Delta 2; PostgreSQL has 3 rows where 2 were merged; 1 rows of PostgreSQL repeat a key"
    )


def test_a_key_repeated_in_the_lake_is_told(bench: Bench) -> None:
    place = table_uri(str(bench.lake), PLAYS)
    rows = DeltaTable(place).to_pyarrow_table(filters=[("game_pk", "=", 1)])
    write_deltalake(place, rows.slice(0, 1), mode="append")
    found = told(bench)
    assert found[MAY_2.isoformat()].passed
    assert "1 rows of Delta repeat a key" in str(found[MAY_1.isoformat()].description)


def test_relationships_of_dates_before_the_last_are_told_in_numbers_unless_something_is_wrong(bench: Bench) -> None:
    first, last = (told(bench, RELATIONSHIPS)[day.isoformat()] for day in (MAY_1, MAY_2))
    assert first.passed and last.passed
    assert (first.metadata["checked"].value, first.metadata["orphans"].value) == (2, 0)
    assert "relationships" not in first.metadata and "relationships" in last.metadata
    with bench.postgres.transaction() as connection:
        connection.execute("DELETE FROM small.games WHERE game_pk = 1")
    assert "relationships" in told(bench, RELATIONSHIPS)[MAY_1.isoformat()].metadata
