"""`mlb as-of`, `history`, `corrections` and `sql --as-of`, on a real database and lake with a small mapping."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dagster import AssetKey
from pyspark.sql import SparkSession

from mlb_platform.dagster_home import open_instance
from mlb_platform.settings import load_settings
from resources.postgres import Postgres
from tests.helpers import SMALL, game
from tests.integration.test_cli_commands import Shell

FINAL = SMALL.replace(
    "  merge_scope: {key: game_pk, snapshot: true}\n",
    "  merge_scope: {key: game_pk, snapshot: true}\n  final_when: $.state == 'Final'\n",
)
LATEST = """
views:
  - name: small.last_plays
    table: small.plays
    key: [game_pk]
    order_by: [-play]
    description: The last play of each game.
"""


@pytest.fixture
def mlb(
    database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Shell:
    """A home with one small mapping that says when a game is over, on an empty database."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "jars").symlink_to(load_settings().jars)
    file = tmp_path / "mappings" / "small" / "game_v1.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(FINAL + LATEST, "utf-8")
    for name, value in {"HOME": home, "MAPPINGS": file.parents[1], "DATABASE_URL": database.url}.items():
        monkeypatch.setenv(f"MLB_{name}", str(value))
    return Shell(tmp_path, capfd)


def test_the_past_of_a_game_by_commands(mlb: Shell, spark: SparkSession, database: Postgres) -> None:
    """Two captures merged one after the other, the first one final: what each command prints of them."""
    assert mlb.put(1, game(1, [(1, 1, "a"), (2, 2, "b")]), game(2, [(1, 5, "c")])) == 0
    assert mlb("materialize", "--mapping", "small/game_v1") == 0
    assert mlb.put(2, game(1, [(1, 0, "a")])) == 0
    assert mlb("materialize", "--mapping", "small/game_v1") == 0
    assert "4 corrections in games that were over" in mlb.out
    with open_instance(load_settings(), database) as instance:
        event = instance.get_latest_materialization_event(AssetKey(["small", "plays"]))
    assert event is not None and event.asset_materialization is not None
    assert event.asset_materialization.metadata["corrections"].value == 4

    def rows(*arguments: str) -> list[dict[str, object]]:
        assert mlb(*arguments, "--format", "json") == 0, mlb.err
        return list(json.loads(mlb.out))

    first = rows("as-of", "1", "2024-05-02T00:01:30Z", "small.plays")
    assert [(r["play"], r["runs"]) for r in first] == [(1, 1), (2, 2)]
    assert "captured 2024-05-02 00:01:00Z; read from a table version" in mlb.err
    assert [r["runs"] for r in rows("as-of", "1", "2024-05-02T02:02:00+02:00", "small.plays")] == [0]
    assert rows("as-of", "1", "2024-05-02", "small.plays") == [], "without a time it is midnight, UTC"
    assert "no capture was taken until then" in mlb.err

    total = "SELECT sum(runs) AS runs FROM small.plays"
    assert rows("sql", "--as-of", "2024-05-02T00:01Z", total) == [{"runs": 8}]
    assert rows("sql", "--as-of", "2024-05-02T00:02Z", total) == [{"runs": 5}]
    assert rows("sql", "--as-of", "2024-05-02T00:01Z", "SELECT runs FROM small.last_plays ORDER BY 1") == [
        {"runs": 2},
        {"runs": 5},
    ]
    assert rows("sql", "--lake", "SELECT runs FROM small.last_plays ORDER BY 1") == [{"runs": 0}, {"runs": 5}]
    past = "SELECT game_pk, play, runs, valid_to IS NULL AS now FROM small_history.plays ORDER BY 1, 2, valid_from"
    assert [tuple(r.values()) for r in rows("sql", "--lake", past)] == [
        (1, 1, 1, False), (1, 1, 0, True), (1, 2, 2, False), (2, 1, 5, True),
    ]  # fmt: skip
    versions = rows("history", "1", "small.plays", "--changed")
    assert [(r["play"], r["runs"], r["valid_from"], r["valid_to"]) for r in versions] == [
        (1, 1, "2024-05-02T00:01:00Z", "2024-05-02T00:02:00Z"),
        (1, 0, "2024-05-02T00:02:00Z", None),
        (2, 2, "2024-05-02T00:01:00Z", "2024-05-02T00:02:00Z"),
    ]
    assert rows("history", "2", "small.plays", "--changed") == []

    assert mlb("corrections", "--json") == 0
    found = json.loads(mlb.out)
    assert {(c["table_name"], c["key"]["play"], c["column_name"], c["change"]) for c in found} == {
        ("small.plays", 1, "runs", "update"),
        ("small.plays", 2, "runs", "delete"),
        ("small.plays", 2, "note", "delete"),
        ("small.plays", 2, "game_date", "delete"),
    }
    assert mlb("corrections", "--summary", "--from", "2024-05-01", "--table", "small.plays") == 0
    assert "2024-05-02" in mlb.out and mlb.out.rstrip().endswith("4 corrections")
    assert mlb("corrections", "--game-pk", "2") == 0 and mlb.out.startswith("no corrections")
    assert mlb("corrections", "--table", "small.games") == 0 and mlb.out.startswith("no corrections")

    assert mlb("as-of", "7", "2024-05-02T00:01Z", "small.plays") == 1 and "no capture of game 7" in mlb.err
    assert mlb("as-of", "1", "2024-05-02T00:01Z", "small.play") == 1 and "small.plays" in mlb.err
    assert mlb("as-of", "1", "2024-05-02T00:01Z", "small.last_plays") == 1
    assert mlb.err == "mlb: small.last_plays is a view of small.plays: ask for that table\n"
    assert mlb("as-of", "1", "noon", "small.plays") == 2 and "2024-07-13T05:00Z" in mlb.err
    assert mlb("sql", "--as-of", "2024-05-02T00:01Z", "SELECT 1 FROM small_history.plays") == 1
    assert "--lake" in mlb.err
    then = ("sql", "--as-of", "2024-05-02T00:01Z")
    assert mlb(*then, "EXPLAIN SELECT runs FROM small.plays") == 0, mlb.err
    assert mlb("sql", "--lake", "EXPLAIN SELECT runs FROM small_history.plays") == 0, mlb.err
    assert mlb(*then, "SELECT runs FROM plays") == 1
    assert mlb.err == "mlb: no table plays in the lake; close to it: small.plays\n"
    assert mlb(*then, "SELECT runs FROM small.plays; SELECT 1") == 1
    assert "runs one statement" in mlb.err and "as of" not in mlb.err, "refused before anything is looked up"
    assert mlb("sql", "--lake", 'SELECT 1 FROM small_history."a.b"') == 1
    assert mlb.err.startswith("mlb: no mapping makes a table small.a.b; close to it: ")
    assert mlb("corrections", "--table", "small.play") == 2
