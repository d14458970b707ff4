"""Corrections and time travel where something comes between: kills, vacuum, changed mappings, held captures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from helpers import MAY_1, MAY_2, SMALL, Bench, at, game, mapping_of
from pyspark.sql import SparkSession

from mlb_platform.extraction.extract import Extractor
from mlb_platform.history.compare import Look
from mlb_platform.history.corrections import AfterMerge, Examiner
from mlb_platform.history.query import TimeTravel, empty_connection, named_entities, named_tables
from mlb_platform.history.states import Known, States
from mlb_platform.history.validity import table_history, tables_as_of
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.mapping.types import SqlType
from resources.delta_sink import DeltaSink
from resources.lake_place import table_uri
from resources.postgres import Postgres

FINAL = SMALL.replace(
    "  merge_scope: {key: game_pk, snapshot: true}\n",
    "  merge_scope: {key: game_pk, snapshot: true}\n  final_when: $.state == 'Final'\n",
)
BOX = SMALL.replace("small.games", "small.box_games").replace("small.plays", "small.box_plays")
WIDER = FINAL.replace(
    "json_path: $.note, description: What happened.}",
    "json_path: $.note, description: What happened.}\n"
    "      - {name: loud, type: TEXT, expression: upper(note), description: In capitals.}",
)
PLAYERS = """
version: "1.0"
source:
  endpoint: small
  method: people
  raw_table: small.people_raw
  required: [people]
  entities: $.people
  entity_key: {name: person_id, type: INT, json_path: $.id, description: Person.}
  merge_scope: {key: person_id}
targets:
  - name: small.people
    description: One row a person.
    array_source: $.people
    primary_key: [person_id]
    fields:
      - {name: name, type: TEXT, json_path: $.name, description: Name.}
      - {name: number, type: INT, json_path: $.number, description: Number.}
"""


@pytest.fixture
def bench(database: Postgres, spark: SparkSession, tmp_path: Path) -> Bench:
    """The small mapping, which says when a game is over, on an empty database and lake."""
    return examined(Bench(database, tmp_path / "lake", spark, mapping_of(FINAL)))


def examined(bench: Bench) -> Bench:
    """Let corrections be found after each merge, as the platform does."""
    bench.stores.after_merge = AfterMerge(bench.stores, str(bench.lake), lambda: [bench.mapping])
    return bench


def as_of(bench: Bench, minute: float, table: str = "small.plays") -> tuple[list[tuple[Any, ...]], Known]:
    """Return the mapped columns of a table as of a minute, and how they were found."""
    found, known = tables_as_of(States(bench.stores, str(bench.lake), bench.mapping), [table], at(minute))
    names = [c.name for c in bench.mapping.by_name[table].columns if not c.technical]
    return sorted((tuple(row[n] for n in names) for row in found[table].to_pylist()), key=repr), known


def corrections(bench: Bench) -> list[tuple[Any, ...]]:
    """Return table, row, column, kind, old and new value of every correction."""
    with bench.postgres.transaction() as connection:
        exists = connection.execute("SELECT to_regclass('quality.corrections') IS NOT NULL").fetchone()
        if exists != (True,):
            return []
        return connection.execute(
            "SELECT table_name, (key->>'play')::int, column_name, change, old, new FROM quality.corrections "
            "ORDER BY 1, 2, 3, 4"
        ).fetchall()


def registry_in(folder: Path, text: str = FINAL) -> MappingRegistry:
    """Write a mapping to a folder of mappings and load it."""
    file = folder / "mappings" / "small" / "game_v1.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text, "utf-8")
    return MappingRegistry(file.parents[1])


CHANGED = [
    ("small.plays", 1, "runs", "update", 1, 0),
    ("small.plays", 2, "game_date", "delete", "2024-05-01", None),
    ("small.plays", 2, "note", "delete", "b", None),
    ("small.plays", 2, "runs", "delete", 2, None),
]


def test_changes_before_the_end_are_no_corrections_and_those_after_it_are(bench: Bench) -> None:
    """What matters is the capture before: the one that makes the game final corrects nothing."""
    bench.put(game(1, [(1, 0, "a")], state="Live"), 0)
    bench.run()
    bench.put(game(1, [(1, 1, "a"), (2, 2, "b")]), 1)
    bench.run()
    assert corrections(bench) == []
    raw_ids = [bench.put(game(1, [(1, 1, "a"), (2, 2, "b")]), 1), bench.put(game(1, [(1, 0, "a")]), 2)]
    report = bench.run()
    assert corrections(bench) == CHANGED
    assert {t: sum(r.corrections.values()) for t, r in report.tables.items()} == {"small.games": 0, "small.plays": 4}
    with bench.postgres.transaction() as connection:
        found = connection.execute(
            "SELECT DISTINCT entity_key, key - 'play', old_raw_id, new_raw_id, old_captured_at, new_captured_at, "
            "partition_date, raw_table FROM quality.corrections"
        ).fetchall()
        daily = connection.execute("SELECT * FROM quality.corrections_daily ORDER BY column_name").fetchall()
    assert found == [("1", {"game_pk": 1}, *raw_ids, at(1), at(2), MAY_1, "small.game_v1")]
    assert [(d[0], d[2], d[3], d[4:]) for d in daily if d[2] == "runs"] == [
        (MAY_1, "runs", "delete", (1, 1, 1)),
        (MAY_1, "runs", "update", (1, 1, 1)),
    ]


def test_only_tables_whose_rows_changed_are_looked_at(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a first capture none; else those that a merge wrote into, and those that an earlier run left."""
    looked_at, inner = [], Examiner.examine

    def examine(examiner: Examiner, mapping: ResolvedMapping, table: str, look: Look | None = None) -> Any:
        looked_at.append(table)
        return inner(examiner, mapping, table, look)

    monkeypatch.setattr(Examiner, "examine", examine)
    bench.put(game(1, [(1, 1, "a"), (2, 2, "b")]), 0)
    bench.run()
    assert looked_at == []
    assert Examiner(bench.stores, str(bench.lake), [bench.mapping]).waiting() == set()
    bench.put(game(1, [(1, 0, "a")]), 1)
    bench.run()
    assert looked_at == ["small.plays"]
    assert corrections(bench) == CHANGED
    with bench.postgres.transaction() as connection:
        connection.execute("UPDATE quality.merge_history SET unexamined = true WHERE table_name = 'small.games'")
    bench.put(game(1, [(1, 0, "c")]), 2)
    bench.run()
    assert looked_at[1:] == ["small.games", "small.plays"]


def test_a_killed_run_is_caught_up_once(bench: Bench, tmp_path: Path) -> None:
    """Merged but never looked at: the next look finds the corrections, and a second one nothing more."""
    bench.put(game(1, [(1, 1, "a"), (2, 2, "b")]), 0)
    bench.run()
    bench.stores.after_merge = None
    bench.put(game(1, [(1, 0, "a")]), 1)
    bench.run()
    assert corrections(bench) == []
    examiner = Examiner(bench.stores, str(bench.lake), [bench.mapping])
    registry = registry_in(tmp_path)
    assert examiner.examine_waiting(registry) == {"small.plays": 4}
    assert corrections(bench) == CHANGED
    assert examiner.examine_waiting(registry) == {}
    with bench.postgres.transaction() as connection:
        connection.execute("UPDATE quality.merge_history SET unexamined = true WHERE version IS NOT NULL AND changed")
    assert examiner.examine_waiting(registry) == {}, "looked at twice, as after a kill in the middle"
    assert corrections(bench) == CHANGED


def test_a_lake_made_anew_leaves_nothing_to_look_at_for_ever(bench: Bench, tmp_path: Path) -> None:
    """What the lost lake merged is given up; what the new one merges is looked at, and finds the same corrections."""
    bench.put(game(1, [(1, 1, "a"), (2, 2, "b")]), 0)
    bench.run()
    bench.stores.after_merge = None
    bench.put(game(1, [(1, 0, "a")]), 1)
    bench.run()
    shutil.rmtree(bench.lake)
    again = examined(Bench(bench.postgres, bench.lake, bench.spark, bench.mapping))
    again.run()
    assert corrections(again) == CHANGED
    assert Examiner(again.stores, str(again.lake), [again.mapping]).examine_waiting(registry_in(tmp_path)) == {}
    with bench.postgres.transaction() as connection:
        left = connection.execute("SELECT DISTINCT table_name FROM quality.merge_history WHERE unexamined").fetchall()
    assert left == []


@pytest.mark.parametrize("came", ["late", "released"])
def test_a_lake_made_anew_counts_no_correction_twice(bench: Bench, came: str) -> None:
    """One that came late, or was released, is between two that were compared: what they differ in is told once."""
    a = bench.put(game(1, [(1, 1, "a")]), 0)
    bench.run()
    if came == "released":
        b = bench.put(game(1, [(1, -1, "a")]), 5)
        bench.run()
    c = bench.put(game(1, [(1, 2, "a")]), 10)
    bench.run()
    assert compared(bench) == [(a, c, 1, 2)]
    if came == "late":
        b = bench.put(game(1, [(1, 4, "a")]), 5)
    else:
        assert bench.stores.quality.release(bench.raw_table, b, released_by="hand") == 1
    bench.run()
    assert compared(bench) == [(a, c, 1, 2)], "it was never merged"
    shutil.rmtree(bench.lake)
    again = examined(Bench(bench.postgres, bench.lake, bench.spark, bench.mapping))
    again.run()
    between = 4 if came == "late" else -1
    assert compared(again) == [(a, b, 1, between), (b, c, between, 2)]


def compared(bench: Bench) -> list[tuple[Any, ...]]:
    """Return of each correction the captures before and after and the values."""
    with bench.postgres.transaction() as connection:
        query = "SELECT old_raw_id, new_raw_id, old, new FROM quality.corrections ORDER BY new_captured_at, 1"
        return connection.execute(query.encode()).fetchall()


def test_captures_that_came_together_are_compared_too(bench: Bench) -> None:
    """Only the newest is merged; from the first one that is final on, what they differ in is there all the same."""
    bench.put(game(1, [(1, 7, "z")]), -2)
    bench.put(game(1, [(1, 9, "z")], state="Live"), -1)
    bench.put(game(1, [(1, 1, "a"), (2, 2, "b")]), 0)
    bench.put(game(1, [(1, 0, "a")]), 1)
    bench.put(game(2, [(1, 0, "a")]), 1)
    report = bench.run()
    assert corrections(bench) == CHANGED
    assert sum(report.tables["small.plays"].corrections.values()) == 4


def test_responses_that_do_not_say_it_are_final_when_another_mapping_s_are(bench: Bench, spark: SparkSession) -> None:
    """Like a box score: it is over from the time at which the newest feed then said so."""
    box = BOX.replace("small.game_v1", "small.box_v1").replace("method: game_v1", "method: box_v1")
    other = Bench(bench.postgres, bench.lake, spark, mapping_of(box))
    other.stores.after_merge = AfterMerge(other.stores, str(bench.lake), lambda: [other.mapping, bench.mapping])
    for minute, runs in ((0, 3), (1, 1), (3, 0)):
        other.put(game(1, [(1, runs, "a"), *([(2, 2, "b")] if minute < 3 else [])], state=""), minute)
        bench.put(game(1, state="Live" if minute == 0 else "Final"), minute)
        other.run()
    assert corrections(other) == [("small.box_plays", *rest) for _, *rest in CHANGED]


def test_merges_by_spark_are_examined_and_read_as_well(database: Postgres, spark: SparkSession, tmp_path: Path) -> None:
    """Its change data feed and versions tell the same as those of the other engine."""
    bench = examined(Bench(database, tmp_path / "lake", spark, mapping_of(FINAL)))
    lake = str(bench.lake)
    bench.stores.sinks = [
        bench.stores.sinks[0], DeltaSink(lake, database, spark=lambda: spark, spark_above_bytes=-1),
    ]  # fmt: skip
    bench.put(game(1, [(1, 1, "a"), (2, 2, "b")]), 0)
    bench.run(game_pks=[1])
    bench.put(game(1, [(1, 0, "a")]), 1)
    bench.run(game_pks=[1])
    assert DeltaTable(table_uri(lake, "small.plays")).history(1)[0]["engineInfo"].startswith("Apache-Spark")
    assert corrections(bench) == CHANGED
    rows, known = as_of(bench, 0)
    assert rows == [(1, MAY_1, 1, 1, "a"), (1, MAY_1, 2, 2, "b")] and known.by_version == 1


def test_a_changed_mapping_corrects_nothing_and_does_not_hide_what_does(bench: Bench) -> None:
    """Derived anew: none. A new mapping and a new capture in one merge: only what the captures differ in."""
    bench.put(game(1, [(1, 1, "a"), (2, 2, "b")]), 0)
    bench.put(game(2, [(1, 1, "x")]), 0)
    bench.run()
    wider = examined(bench.remap(WIDER))
    wider.run(game_pks=[2])
    assert corrections(bench) == []
    bench.put(game(1, [(1, 0, "a")]), 1)
    wider.run()
    loud = ("small.plays", 2, "loud", "delete", "B", None)
    assert corrections(bench) == sorted([*CHANGED, loud])
    rows, known = as_of(wider, 0)
    assert rows == [(1, MAY_1, 1, 1, "a", "A"), (1, MAY_1, 2, 2, "b", "B"), (2, MAY_1, 1, 1, "x", "X")]
    assert (known.by_version, known.derived) == (1, 1), "what the older mapping derived is not what this one would"


def test_vacuumed_versions_are_derived_instead(bench: Bench) -> None:
    """The same rows as before the files went, corrections of a merge that nobody looked at in time included."""
    bench.put(game(1, [(1, 1, "a"), (2, 2, "b")]), 0)
    bench.run()
    bench.stores.after_merge = None
    bench.put(game(1, [(1, 0, "a")]), 1)
    bench.run()
    before, known = as_of(bench, 0)
    assert (known.by_version, known.derived) == (1, 0)
    folder = Path(table_uri(str(bench.lake), "small.plays"))
    table = DeltaTable(str(folder))
    table.optimize.compact()
    DeltaTable(str(folder)).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    for file in (folder / "_change_data").glob("*"):
        file.unlink()
    after, known = as_of(bench, 0)
    assert after == before == [(1, MAY_1, 1, 1, "a"), (1, MAY_1, 2, 2, "b")]
    assert (known.by_version, known.derived) == (0, 1)
    Examiner(bench.stores, str(bench.lake), [bench.mapping]).examine(bench.mapping, "small.plays")
    assert corrections(bench) == CHANGED


def test_versions_that_are_gone_are_derived_in_one_go(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: a job of Spark for each would take a second a merge."""
    for minute in range(5):
        bench.put(game(1, [(1, minute % 4, f"at {minute}")]), minute)
        bench.run()
    before = table_history(States(bench.stores, str(bench.lake), bench.mapping), "small.plays").to_pylist()
    folder = table_uri(str(bench.lake), "small.plays")
    DeltaTable(folder).optimize.compact()
    DeltaTable(folder).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    extracted, inner = [], Extractor.extract

    def extract(extractor: Extractor, entities: Any, payload: Any) -> Any:
        extracted.append(len(entities))
        return inner(extractor, entities, payload)

    monkeypatch.setattr(Extractor, "extract", extract)
    after = table_history(States(bench.stores, str(bench.lake), bench.mapping), "small.plays").to_pylist()
    assert after == before and [row["note"] for row in after] == [f"at {minute}" for minute in range(5)]
    assert extracted == [4]


def test_a_held_capture_is_in_force_at_no_time(bench: Bench) -> None:
    """Known to be held or never judged, since a newer one was merged first: the good one before it counts on."""
    bench.put(game(1, [(1, 1, "a")]), 0)
    bench.put(game(1, [(1, -1, "a")]), 1)
    bench.put(game(1, [(1, 3, "c")]), 2)
    bench.run()
    assert as_of(bench, 1.5)[0] == [(1, MAY_1, 1, 1, "a")]
    bench.put(game(1, [(1, -3, "d")]), 3)
    bench.run()
    assert as_of(bench, 5)[0] == [(1, MAY_1, 1, 3, "c")]
    states = States(bench.stores, str(bench.lake), bench.mapping)
    found = table_history(states, "small.plays").select(["runs", "valid_from", "valid_to"]).to_pylist()
    assert [tuple(r.values()) for r in found] == [(1, at(0), at(2)), (3, at(2), None)]
    with bench.postgres.transaction() as connection:
        held = connection.execute("SELECT raw_id FROM quality.quarantine").fetchall()
    assert held == [(4,)], "asking for the past holds nothing back"


def test_a_game_that_moved_and_one_that_came_late(bench: Bench) -> None:
    """The date is that of the time asked for; an older capture that arrives after a newer one is there in the past."""
    bench.put(game(1, [(1, 1, "new")], MAY_2), 2)
    bench.run()
    bench.put(game(1, [(1, 0, "old"), (2, 0, "gone")], MAY_1), 0)
    assert bench.run().parsed == 0
    assert as_of(bench, -1)[0] == []
    assert as_of(bench, 0)[0] == [(1, MAY_1, 1, 0, "old"), (1, MAY_1, 2, 0, "gone")]
    assert as_of(bench, 2)[0] == [(1, MAY_2, 1, 1, "new")]


def test_a_late_capture_is_known_until_the_older_one_was_seen_again(bench: Bench) -> None:
    """Whether the tables ever held it or not: as of any time it is what the sightings until then say."""
    first = bench.put(game(1, [(1, 1, "a")]), 1)
    bench.run()
    with bench.postgres.transaction() as connection:
        connection.execute("UPDATE small.game_v1 SET last_seen_at = %s WHERE raw_id = %s", (at(10), first))
    bench.put(game(1, [(1, 2, "late")]), 5)
    bench.run()
    assert bench.mapped("small.plays") == [(1, MAY_1, 1, 1, "a")]
    known = {minute: [row[3:] for row in as_of(bench, minute)[0]] for minute in (0, 1, 4.9, 5, 9.9, 10, 99)}
    a, late = [(1, "a")], [(2, "late")]
    assert known == {0: [], 1: a, 4.9: a, 5: late, 9.9: late, 10: a, 99: a}
    history = table_history(States(bench.stores, str(bench.lake), bench.mapping), "small.plays").to_pylist()
    assert [(row["runs"], row["valid_from"], row["valid_to"]) for row in history] == [
        (1, at(1), at(5)),
        (2, at(5), at(10)),
        (1, at(10), None),
    ]
    assert corrections(bench) == []


def test_captures_that_are_not_complete_are_put_together_as_of_each_time(
    database: Postgres, spark: SparkSession, tmp_path: Path
) -> None:
    """People: what one response leaves out stays as an earlier one said, but only from the time of that one on."""
    bench = Bench(database, tmp_path / "lake", spark, mapping_of(PLAYERS))
    put_people(bench, 0, {"id": 1, "name": "Ann", "number": 7})
    put_people(bench, 2, {"id": 1, "name": "Anne"}, {"id": 2, "name": "Bo"})
    bench.run()
    put_people(bench, 1, {"id": 1, "number": 8})
    bench.run()
    put_people(bench, 3, {"id": 2, "number": 5})
    bench.run()
    told = [[], [(1, "Ann", 7)], [(1, "Ann", 8)], [(1, "Anne", 8), (2, "Bo", None)], [(1, "Anne", 8), (2, "Bo", 5)]]
    for minute, expected in enumerate(told, -1):
        assert as_of(bench, minute, "small.people")[0] == expected, minute
    states = States(bench.stores, str(bench.lake), bench.mapping)
    found = table_history(states, "small.people", ["1"]).select(["name", "number", "valid_from", "valid_to"])
    assert [tuple(r.values()) for r in found.to_pylist()] == [
        ("Ann", 7, at(0), at(1)),
        ("Ann", 8, at(1), at(2)),
        ("Anne", 8, at(2), None),
    ]


def put_people(bench: Bench, minute: float, *people: dict[str, Any]) -> None:
    import hashlib

    from resources.raw_members import Member
    from resources.raw_store import RawCapture

    body = json.dumps({"people": list(people)}).encode()
    members = tuple(Member(str(p["id"]), None) for p in people)
    bench.stores.raw.insert(
        bench.raw_table,
        RawCapture(
            "people", "small", "people", {}, None, 200, at(minute), None, hashlib.sha256(body).hexdigest(), body,
            members,
        ),
    )  # fmt: skip


def test_sql_as_of_reads_only_what_is_named(bench: Bench, tmp_path: Path) -> None:
    """Joins, sub-queries and histories; a table that no mapping makes is named with those that come close."""
    bench.put(game(1, [(1, 1, "a"), (2, 2, "b")]), 0)
    bench.put(game(2, [(1, 5, "c")]), 0)
    bench.run()
    bench.put(game(1, [(1, 0, "a")]), 1)
    bench.run()
    travel = TimeTravel(bench.stores, str(bench.lake), registry_in(tmp_path))

    def ask(query: str, minute: float) -> list[tuple[Any, ...]]:
        connection = empty_connection()
        travel.notes.clear()
        travel.put_as_of(connection, query, at(minute))
        return connection.execute(query).fetchall()

    assert ask("SELECT sum(runs) FROM small.plays", 0) == [(8,)]
    assert ask("SELECT sum(runs) FROM small.plays", 1) == [(5,)]
    assert ask("SELECT sum(runs) FROM small.plays WHERE game_pk = 1 AND play > 1", 0) == [(2,)]
    assert travel.notes == [
        "small.plays by the newest captures then: 1 read from table versions, 0 derived from raw rows"
    ]
    both = "SELECT g.game_pk, count(*) FROM small.games g JOIN small.plays p USING (game_pk) GROUP BY 1 ORDER BY 1"
    assert ask(both, 0) == [(1, 2), (2, 1)]
    connection = empty_connection()
    query = "SELECT count(*), count(valid_to) FROM small_history.plays"
    travel.put_extras(connection, query)
    assert connection.execute(query).fetchall() == [(4, 2)]
    with pytest.raises(Exception, match=r"no mapping makes a table small\.play;.*small\.plays"):
        ask("SELECT 1 FROM small.play", 0)


def test_what_a_statement_names() -> None:
    """Tables with their schema, not the names of CTEs; entities only where nothing but them can be meant."""
    named = named_tables("WITH a AS (SELECT * FROM s.x) SELECT * FROM a JOIN S.Y USING (i)")
    assert sorted(named) == ["s.x", "s.y"]
    whole = SqlType("BIGINT")
    assert named_entities("SELECT 1 FROM s.x WHERE game_pk = 5 AND i > 1", "game_pk", whole) == ["5"]
    assert named_entities("SELECT 1 FROM s.x WHERE i = 1 AND game_pk IN (5, '6')", "game_pk", whole) == ["5", "6"]
    for query in (
        "SELECT 1 FROM s.x WHERE game_pk = 5 OR i = 1",
        "SELECT 1 FROM s.x WHERE NOT game_pk = 5",
        "SELECT 1 FROM s.x WHERE game_pk <> 5",
        "SELECT 1 FROM s.x WHERE NOT (game_pk = 5 AND i = 1)",
        "SELECT 1 FROM s.x WHERE game_pk IN (SELECT 1)",
        "SELECT 1 FROM s.x, s.y WHERE game_pk = 5",
        "SELECT 1 FROM s.x WHERE game_pk = 5 UNION ALL SELECT 2 FROM s.x",
        "SELECT 1 FROM s.x WHERE game_pk = i",
        "SELECT 1 FROM s.x, (VALUES (5)) r(game_pk) WHERE r.game_pk = 5",
        "SELECT 1 FROM s.x JOIN unnest([5]) r(game_pk) ON true WHERE r.game_pk = 5",
        "SELECT 1 FROM s.x AS t(i, game_pk) WHERE game_pk = 5",
    ):
        assert named_entities(query, "game_pk", whole) is None, query


@pytest.mark.parametrize(
    ("sql_type", "told", "others"),
    [
        ("BIGINT", ["1", "'1'", "0"], ["1.0", "1e0", "'01'", "' 1'", "'+1'", "'1.0'", "'-0'", "-1", "1, 2.0"]),
        ("DATE", ["'2024-05-01'"], ["'2024-5-1'", "' 2024-05-01'", "'2024-05-01 00:00:00'", "DATE '2024-05-01'"]),
        ("TEXT", ["'a'", "' 1'"], ["1", "1.0"]),
        ("NUMERIC", [], ["1", "'1'", "1.0"]),
    ],
)
def test_entities_are_named_only_as_their_type_writes_them(sql_type: str, told: list[str], others: list[str]) -> None:
    """DuckDB takes other texts for the same value, so all entities are looked at."""
    query = "SELECT 1 FROM s.x WHERE entity IN ({})"
    for text in told:
        assert named_entities(query.format(text), "entity", SqlType(sql_type)) == [text.strip("'")], text
    for text in others:
        assert named_entities(query.format(text), "entity", SqlType(sql_type)) is None, text


def test_rows_as_of_a_time_are_found_however_their_entity_is_written(bench: Bench, tmp_path: Path) -> None:
    """By a statement as of a time and by one over a history."""
    for pk in (1, 2):
        bench.put(game(pk, [(1, 1, "a")]))
    bench.run()
    travel = TimeTravel(bench.stores, str(bench.lake), registry_in(tmp_path))
    for written in ("1", "1.0", "'01'", "' 1'"):
        for table in ("small.plays", "small_history.plays"):
            connection, query = empty_connection(), f"SELECT game_pk FROM {table} WHERE game_pk = {written}"
            if table == "small.plays":
                travel.put_as_of(connection, query, at(9))
            else:
                travel.put_extras(connection, query)
            assert connection.execute(query).fetchall() == [(1,)], query


def test_rows_of_a_day_are_found_however_it_is_written(database: Postgres, spark: SparkSession, tmp_path: Path) -> None:
    text = FINAL.replace("name: game_pk, type: BIGINT, json_path: $.id", "name: game_pk, type: DATE, json_path: $.date")
    text = text.replace("  partition: {name: game_date, type: DATE, json_path: $.date}\n", "")
    bench = Bench(database, tmp_path / "lake", spark, mapping_of(text))
    bench.put(game(1, [(1, 1, "a")]) | {"id": "2024-05-01"})
    bench.run()
    travel = TimeTravel(bench.stores, str(bench.lake), registry_in(tmp_path, text))
    for written in ("'2024-05-01'", "'2024-5-1'", "' 2024-05-01'"):
        connection, query = empty_connection(), f"SELECT play FROM small.plays WHERE game_pk = {written}"
        travel.put_as_of(connection, query, at(9))
        assert connection.execute(query).fetchall() == [(1,)], query
