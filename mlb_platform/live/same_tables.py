"""Whether tables that were filled live hold what a batch run makes of the same captures: by content, table by table."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql

from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform
from resources.merge import LINEAGE_METADATA, TRANSFORM_TIMESTAMP
from resources.postgres import Connection, Postgres
from resources.raw_store import RawStore, table_name

_OURS = ("source_captured_at", TRANSFORM_TIMESTAMP, LINEAGE_METADATA)
"""Columns that say when and from what a row was written: an untouched row names the capture that last changed it."""


def copy_newest(source: Postgres, target: Postgres, mapping: ResolvedMapping, entities: Sequence[str]) -> int:
    """Copy the newest raw row of each entity into another database, as captured; return how many."""
    raw_table = mapping.config.source.raw_table
    store, other = RawStore(source), RawStore(target)
    other.ensure(raw_table)
    newest = {r.entity_key: r.raw_id for r in store.rows(raw_table, entity_keys=entities)}
    columns = sql.SQL(
        "entity_key, endpoint, method, params, url, status_code, captured_at, last_seen_at, partition_date, "
        "content_hash, data"
    )
    out = sql.SQL("COPY (SELECT {} FROM {} WHERE raw_id = ANY({})) TO STDOUT").format(
        columns, table_name(raw_table), sql.Literal(sorted(newest.values()))
    )
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(table_name(raw_table), columns)
    with (
        source.transaction() as reading, target.transaction() as writing,
        reading.cursor().copy(out) as rows, writing.cursor().copy(into) as written,
    ):  # fmt: skip
        for block in rows:
            written.write(block)
    return len(newest)


def differing_tables(
    live: Postgres, batch: Platform, mapping: ResolvedMapping, entities: Sequence[str]
) -> dict[str, tuple[int, int]]:
    """Materialize entities in `batch` and return the tables whose mapped columns differ, with the rows of each side."""
    batch.transformation(mapping.name).run(game_pks=list(entities), job="comparison")
    differing = {}
    for target in mapping.targets:
        columns = [c.name for c in target.columns if c.name not in _OURS]
        with live.transaction() as one, batch.postgres.transaction() as two:
            found = _digest(one, target.name, columns, entities)
            expected = _digest(two, target.name, columns, entities)
        if found != expected:
            differing[target.name] = (found[0], expected[0])
    return differing


def _digest(connection: Connection, table: str, columns: Sequence[str], entities: Sequence[str]) -> tuple[int, str]:
    """Return the number of rows and a hash of their content, whatever their order."""
    row = sql.SQL("ROW({})").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    query = sql.SQL(
        "SELECT count(*), coalesce(md5(string_agg(h, '' ORDER BY h)), '') "
        "FROM (SELECT md5(({})::text) AS h FROM {} WHERE game_pk = ANY(%s)) rows"
    ).format(row, sql.Identifier(*table.split(".")))
    found = connection.execute(query, [[int(e) for e in entities]]).fetchone()
    assert found is not None
    return int(found[0]), str(found[1])


def scratch_database(postgres: Postgres, name: str) -> str:
    """Make an empty database beside this one and return its URL; one that was left over is dropped."""
    with postgres.connect(autocommit=True) as connection:
        drop_database(connection, name)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return psycopg.conninfo.make_conninfo(postgres.url, dbname=name)


def drop_database(connection: Connection, name: str) -> None:
    """Drop a database if it is there; `connection` is in autocommit, to another one."""
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
