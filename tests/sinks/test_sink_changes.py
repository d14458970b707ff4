"""What `mlb mapping diff` says that the sinks will do is what they do."""

from __future__ import annotations

from datetime import UTC, date, datetime

import psycopg
import pyarrow as pa
import pytest
from helpers import SMALL, mapping_of

from mlb_platform.extraction.specs import merge_spec
from mlb_platform.mapping.avro import generate_avro_schema
from mlb_platform.mapping.diff import diff_table
from mlb_platform.quality.sink_changes import column_effects, table_effects
from resources.delta_sink import DeltaSink
from resources.lake import open_table
from resources.merge import MergeBatch, ScopeVersion
from resources.merge_schema import SchemaChangeRefused
from resources.postgres import Postgres
from resources.postgres_sink import PostgresSink
from resources.sql_types import arrow_type

TABLE = "small.plays"
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
RUNS = "{name: runs, type: INT, json_path: $.runs, description: Runs.}"
NOTE = "{name: note, type: TEXT, json_path: $.note, description: What happened.}"
CHANGES = {
    "added": (NOTE, NOTE + "\n      - {name: rate, type: 'NUMERIC(5,3)', json_path: $.rate}"),
    "added without null": (NOTE, NOTE + "\n      - {name: rbi, type: INT, json_path: $.rbi, nullable: false}"),
    "widened": (RUNS, RUNS.replace("INT", "BIGINT")),
    "to decimal": (RUNS, RUNS.replace("INT", "'NUMERIC(12,2)'")),
    "narrowed": (RUNS, RUNS.replace("INT", "SMALLINT")),
    "another kind": (NOTE, NOTE.replace("TEXT", "JSONB")),
    "removed": ("\n      - " + NOTE, ""),
    "no nulls": (RUNS, RUNS.replace("$.runs", "$.runs, nullable: false")),
    "described": ("Runs.", "Runs batted in."),
    "key": ("[game_pk, play]", "[game_pk, play, runs]"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_sinks_do_what_the_diff_says(name: str, database: Postgres, lake: str) -> None:
    """Refused is refused; else PostgreSQL is as it says, by its own statements, and Delta rewrites or does not."""
    then, now = (mapping_of(t).by_name[TABLE] for t in (SMALL, SMALL.replace(*CHANGES[name])))
    old, new = merge_spec(then), merge_spec(now)
    row = {"game_pk": 1, "game_date": date(2024, 5, 1), "play": 0, "runs": 2, "source_captured_at": NOON,
           "transform_timestamp": NOON}  # fmt: skip
    rows = pa.table({c.name: pa.array([row.get(c.name)], arrow_type(c.sql_type)) for c in old.columns})
    sinks = [PostgresSink(database), DeltaSink(lake, database)]
    for sink in sinks:
        sink.prepare(old)
        sink.merge(old, MergeBatch(rows, [ScopeVersion("1", NOON, "h", 1, date(2024, 5, 1))]))
    before = set(open_table(lake, TABLE).file_uris())  # type: ignore[union-attr]

    diff = diff_table(TABLE, generate_avro_schema(then), generate_avro_schema(now))
    effects = [e for c in diff.columns for e in column_effects(diff, c)] + table_effects(diff)
    assert {e.sink for e in effects} == {"PostgreSQL", "Delta"}
    if any(e.refused for e in effects):
        for sink in sinks:
            with pytest.raises(SchemaChangeRefused):
                sink.prepare(new)
        return
    statements = [e.effect for e in effects if e.sink == "PostgreSQL" and not e.effect.startswith("COMMENT")]
    by_hand = _columns_after(database, statements)
    for sink in sinks:
        sink.prepare(new)
    assert by_hand == _columns_after(database, []) != []
    rewritten = set(open_table(lake, TABLE).file_uris()) != before  # type: ignore[union-attr]
    assert rewritten == any("written anew" in e.effect for e in effects if e.sink == "Delta")
    kept = sinks[1].fetch(new)
    assert kept.column("play").to_pylist() == [0] and kept.column("runs").cast(pa.float64()).to_pylist() == [2.0]


def _columns_after(database: Postgres, statements: list[str]) -> list[tuple[str, str, bool]]:
    """Columns of the table after some statements, which are taken back."""
    with psycopg.connect(database.url) as connection:
        for text in statements:
            connection.execute(text.encode())
        found = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute "
            "WHERE attrelid = 'small.plays'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname"
        ).fetchall()
        connection.rollback()
    return found
