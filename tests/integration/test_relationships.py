"""Relationships hold: every orphan is counted by game, and over real captures there is none that is not explained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest
from all_captures import Everything
from half_merged import checked_beside
from helpers import MAY_1, MAY_2, SMALL, Bench, game, mapping_of
from psycopg import sql
from pyspark.sql import SparkSession

from asset_checks.evaluate import evaluate
from asset_checks.names import RELATIONSHIPS
from asset_checks.relationships import (
    Orphans,
    RelationshipRecord,
    read_relationships,
)
from asset_checks.relationships_sql import beginning, counted, orphans_of, rows_named
from mlb_platform.mapping.loader import MappingRegistry, mapping_files
from mlb_platform.quality.known import KnownOrphan, known_orphans, stray_entries
from mlb_platform.settings import PROJECT_ROOT
from resources.errors import PlatformError
from resources.postgres import Postgres

MAPPINGS = PROJECT_ROOT / "mapping_configs"


def test_no_row_of_any_capture_names_a_row_that_is_not_there(everything: Everything) -> None:
    """All relationships of all tables, each with rows to look at: nothing open, and what is known is still so."""
    platform = everything.platform
    known = known_orphans(platform.settings.mappings)
    found: list[tuple[str, RelationshipRecord]] = []
    for mapping in platform.registry.mappings.values():
        with platform.postgres.connect() as connection:
            dates = [None] if mapping.partition is None else [
                row[0]
                for row in connection.execute(
                    "SELECT DISTINCT partition_date FROM quality.merge_state WHERE table_name = ANY(%s)",
                    [list(mapping.by_name)],
                )
            ]  # fmt: skip
        records = read_relationships(platform.stores, mapping.targets, dates, known)
        found += [(table, record) for (table, _), of_table in records.items() for record in of_table]
    assert sum(record.checked for _, record in found) > 50_000
    assert all(record.provided for _, record in found)
    open_ = [(table, r.relationship.from_fields, o.entity, o.values) for table, r in found for o in r.open]
    assert open_ == []
    assert sum(o.rows > 0 for _, r in found for o in r.orphans if o.reason) == sum(len(k.values) for k in known) > 0
    assert [r.settled for _, r in found if r.settled] == []


def test_every_known_orphan_names_a_relationship_there_is_and_why() -> None:
    """The data file is read, its entries are about shipped tables, and it is taken for no mapping."""
    known = known_orphans(MAPPINGS)
    assert known and all(k.reason for k in known)
    assert stray_entries(known, MappingRegistry(MAPPINGS).mappings) == []
    assert not [p for p in mapping_files(MAPPINGS) if p.parent.name in ("known", "released")]


def test_an_entry_of_nothing_and_a_broken_file_are_told(tmp_path: Path) -> None:
    """Unknown tables and relationships by name; a file that is none with its path."""
    mapping = mapping_of(SMALL)
    entries = [known("small.plays", "1", "9", to="small.games"), known("small.plays", "1", "9", to="small.umpires")]
    entries.append(known("small.pitches", "1", "9", to="small.games"))
    assert stray_entries(entries, {mapping.name: mapping}) == [
        "known orphan of 1: there is no relationship small.plays(game_pk) -> small.umpires",
        "known orphan of 1: no mapping makes the table small.pitches",
    ]
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "orphans.yaml").write_text("orphans: [{tables: [a.b]}]", "utf-8")
    with pytest.raises(PlatformError, match=r"orphans\.yaml.*columns"):
        known_orphans(tmp_path)


def known(table: str, entity: str, value: str, to: str = "small.games") -> KnownOrphan:
    """Return an entry of the data file."""
    return KnownOrphan(table, ["game_pk"], to, entity, [value], "The response has no such row.")


@pytest.fixture
def bench(database: Postgres, spark: SparkSession, tmp_path: Path) -> Bench:
    """Three games with plays; the rows of two games are gone, so their plays name nothing."""
    made = Bench(database, tmp_path / "lake", spark, mapping_of(SMALL))
    for pk in (1, 2, 3):
        made.put(game(pk, [(n, 0, "a") for n in range(pk)]))
    made.run()
    with made.postgres.transaction() as connection:
        connection.execute("CREATE TABLE public.gone AS SELECT * FROM small.games WHERE game_pk > 1")
        connection.execute("DELETE FROM small.games WHERE game_pk > 1")
    return made


def verdict(bench: Bench, entries: Sequence[KnownOrphan] = ()) -> dg.AssetCheckEvaluation:
    """Return the verdict of the relationships of the plays."""
    lake = str(bench.lake)
    (found,) = evaluate(
        bench.stores, lake, bench.mapping, ["small.plays"], [MAY_1], [RELATIONSHIPS], known=entries
    )  # fmt: skip
    return found


def test_orphans_are_counted_by_game(bench: Bench) -> None:
    """Two plays of one game and three of another name no game: a warning with both numbers."""
    records = read_relationships(bench.stores, [bench.mapping.by_name["small.plays"]], [MAY_1], [])
    ((record,),) = records.values()
    assert record.checked == 6
    assert record.orphans == [Orphans("2", 2, ("2",)), Orphans("3", 3, ("3",))]
    found = verdict(bench)
    assert not found.passed and found.severity is dg.AssetCheckSeverity.WARN and not found.blocking
    assert found.description == "game_pk -> small.games(game_pk): 5 of 6"
    assert found.metadata["orphans"].value == 5
    (row,) = found.metadata["relationships"].value.records  # type: ignore[union-attr]
    assert row.data["by_entity"] == "2: 2 (2), 3: 3 (3)"


def test_rows_of_no_merge_on_record_are_looked_up_too(bench: Bench) -> None:
    """Where merge_state says nothing of a table's games, the rows named are not kept to those it knows."""
    with bench.postgres.transaction() as connection:
        connection.execute("DELETE FROM quality.merge_state WHERE table_name = 'small.plays'")
    test_orphans_are_counted_by_game(bench)


def test_rows_that_statistics_do_not_know_of_are_not_looked_up_one_by_one(bench: Bench) -> None:
    """PostgreSQL expects none of a date newer than its statistics; the rows named are hashed all the same."""
    target = bench.mapping.by_name["small.plays"]
    relationship = target.relationships[0]
    named = {rows: "named" for rows in [rows_named(target, relationship)] if rows is not None}
    query = beginning(named) + counted(target, {0: orphans_of(relationship, *named.values())})
    with bench.postgres.transaction() as connection:
        connection.execute("ANALYZE small.games; ANALYZE small.plays")
        plan = [
            row[0]
            for row in connection.execute(sql.SQL("EXPLAIN (VERBOSE) ") + query, {"days": [MAY_2], "named": ["1"]})
        ]
    assert any("rows=1 " in line for line in plan)
    uses = [use for line in plan if "Output" in line for use in re.findall(r"\((?:hashed )?SubPlan \d+\)", line)]
    assert uses and all(use.startswith("(hashed") for use in uses), plan


def test_orphans_beside_a_run_that_has_merged_half_are_looked_at_again_after_it(bench: Bench) -> None:
    """The run of game 2 merges its row, while those of game 3 stay orphans; nobody waits for game 1, which is fine."""
    rest = "INSERT INTO small.games SELECT * FROM public.gone WHERE game_pk = 2"
    with bench.postgres.scope_locks(bench.mapping.name, ["1"]):
        found = checked_beside(bench.postgres, bench.mapping.name, "2", rest, lambda: verdict(bench))
    assert found.description == "game_pk -> small.games(game_pk): 3 of 6"
    (row,) = found.metadata["relationships"].value.records  # type: ignore[union-attr]
    assert row.data["by_entity"] == "3: 3 (3)"
    with bench.postgres.transaction() as connection:
        connection.execute("INSERT INTO small.games SELECT * FROM public.gone WHERE game_pk = 3")
    with bench.postgres.scope_locks(bench.mapping.name, ["1", "2", "3"]):
        assert verdict(bench).passed


def test_the_run_of_the_mapping_that_is_named_is_waited_for_too(bench: Bench) -> None:
    """Where the other table is another mapping's, whose responses have several entities."""
    other = mapping_of(UMPIRES)
    assert other.per_element
    with bench.postgres.transaction() as connection:
        connection.execute("CREATE TABLE small.umpires (n int)")
        connection.execute("INSERT INTO small.games SELECT * FROM public.gone")
    naming = mapping_of(SMALL.replace("{to_table: small.games, from_field: game_pk, to_field: game_pk}",
                                      "{to_table: small.umpires, from_field: play, to_field: n}"))  # fmt: skip
    mappings = {naming.name: naming, other.name: other}

    def check() -> dg.AssetCheckEvaluation:
        tables = ["small.plays"]
        (found,) = evaluate(
            bench.stores, str(bench.lake), naming, tables, [MAY_1], [RELATIONSHIPS], mappings=mappings
        )  # fmt: skip
        return found

    rest = "INSERT INTO small.umpires VALUES (0), (1)"
    found = checked_beside(bench.postgres, other.name, "*", rest, check)
    assert found.description == "play -> small.umpires(n): 1 of 6"


UMPIRES = """
version: "1.0"
source:
  endpoint: small
  method: umpires
  raw_table: small.umpires_raw
  entities: $.umpires
  entity_key: {name: n, type: INT, json_path: $.id}
  merge_scope: {key: n}
targets:
  - name: small.umpires
    description: One row an umpire.
    primary_key: [n]
    array_source: $.umpires
    fields:
      - {name: full_name, type: TEXT, json_path: $.name, description: Name.}
"""


def test_an_explained_orphan_passes_and_an_unknown_one_does_not(bench: Bench) -> None:
    """With the reason of one game the other is still open; with both reasons the check passes and shows them."""
    found = verdict(bench, [known("small.plays", "2", "2")])
    assert not found.passed and found.metadata["orphans"].value == 3
    both = verdict(bench, [known("small.plays", "2", "2"), known("small.plays", "3", "3")])
    assert both.passed and both.metadata["orphans"].value == 0
    (row,) = both.metadata["relationships"].value.records  # type: ignore[union-attr]
    assert row.data["known"] == "2: The response has no such row.; 3: The response has no such row."


def test_an_entry_that_explains_nothing_is_told(bench: Bench) -> None:
    """Game 1 is there, so its entry is out of date: told for its date; one of a game without rows is not."""
    entries = [known("small.plays", pk, pk) for pk in ("2", "3")]
    assert verdict(bench, [*entries, known("small.plays", "99", "99")]).passed
    found = verdict(bench, [*entries, known("small.plays", "1", "1")])
    assert not found.passed and found.severity is dg.AssetCheckSeverity.WARN
    assert found.description == "game_pk -> small.games(game_pk): a known orphan is none (1: 1)"


def test_an_entry_that_explains_nothing_is_told_of_a_table_without_dates_too(bench: Bench) -> None:
    undated = mapping_of(SMALL.replace("  partition: {name: game_date, type: DATE, json_path: $.date}\n", ""))
    assert undated.partition is None
    entries = [known("small.plays", pk, pk) for pk in ("1", "2", "3")]
    (found,) = evaluate(
        bench.stores, str(bench.lake), undated, ["small.plays"], [None], [RELATIONSHIPS], known=entries
    )  # fmt: skip
    assert found.description == "game_pk -> small.games(game_pk): a known orphan is none (1: 1)"
