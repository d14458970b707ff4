"""All tables of all contenders, compared by content: every column that is not technical, in both sinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from benchmarks.ours import Ours
from mlb_platform.extraction.specs import merge_spec
from resources.lake import open_table
from resources.merge import MergeSpec
from resources.postgres import Connection
from resources.postgres_sink import PostgresSink

_SHOWN = 3


@dataclass(frozen=True)
class PeerTables:
    """Where a peer's tables are: a schema in PostgreSQL, and the path of each (`game.` and its name) in its lake."""

    schema: str
    place: Callable[[str], str]


def differences(ours: Ours, peers: Mapping[str, PeerTables]) -> Iterator[str]:
    """Yield a line for every table of a contender or sink that differs from ours in PostgreSQL."""
    for table in ours.tables:
        spec = merge_spec(ours.mapping.by_name[table])
        columns = [c.name for c in spec.columns if not c.technical]
        lake = open_table(ours.platform.settings.lake, spec.table)
        assert lake is not None
        contents = {
            "ours, PostgreSQL": PostgresSink(ours.platform.postgres).fetch(spec).select(columns),
            "ours, Delta": _of_lake(lake, columns),
        }
        contents |= {f"{p}, Delta": _of_lake(DeltaTable(at.place(table)), columns) for p, at in peers.items()}
        yield from compare(spec, contents)
        for at in peers.values():
            yield from _compare_in_postgres(ours, spec, f"{at.schema}.{table.split('.')[1]}", columns)


def _of_lake(table: DeltaTable, columns: list[str]) -> pa.Table:
    listed = ", ".join(f'"{name}"' for name in columns)
    return pa.table(QueryBuilder().register("t", table).execute(f"SELECT {listed} FROM t"))


def compare(spec: MergeSpec, contents: dict[str, pa.Table]) -> Iterator[str]:
    """Yield a line for every row that is not in all of the contents of a table, a few of each; or one if none has rows.

    Every contender with nothing to do would leave the same tables, too.
    """
    (first, wanted), *others = contents.items()
    if not any(table.num_rows for table in contents.values()):
        yield f"{spec.table}: no rows to compare"
    in_order = wanted.sort_by([(name, "ascending") for name in spec.key])
    for name, table in others:
        if not _equal(spec, in_order, table):
            yield from _rows_that_differ(spec, (first, wanted), (name, table))


def _equal(spec: MergeSpec, wanted: pa.Table, found: pa.Table) -> bool:
    """Whether a table has the rows of another, which is in the order of its key."""
    if found.num_rows != wanted.num_rows:
        return False
    return bool(found.cast(wanted.schema).sort_by([(name, "ascending") for name in spec.key]).equals(wanted))


def _rows_that_differ(spec: MergeSpec, ours: tuple[str, pa.Table], theirs: tuple[str, pa.Table]) -> Iterator[str]:
    (first, wanted), (name, found) = ours, theirs
    if found.num_rows != wanted.num_rows:
        yield f"{spec.table}: {wanted.num_rows} rows in {first}, {found.num_rows} in {name}"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("wanted", wanted)
        connection.register("found", found)
        for left, right, place in (("wanted", "found", first), ("found", "wanted", name)):
            query = f"SELECT * FROM {left} EXCEPT ALL SELECT * FROM {right} LIMIT {_SHOWN}"
            for row in connection.sql(query).to_arrow_table().to_pylist():
                yield f"{spec.table}: only in {place} ({first} beside {name}): {row}"


def _compare_in_postgres(ours: Ours, spec: MergeSpec, peer: str, columns: list[str]) -> Iterator[str]:
    with ours.platform.postgres.transaction() as connection:
        if _equal_in_postgres(connection, spec, peer, columns):
            return
        listed = ", ".join(f'"{column}"' for column in columns)
        for left, right in ((spec.table, peer), (peer, spec.table)):
            query = f"SELECT {listed} FROM {left} EXCEPT ALL SELECT {listed} FROM {right} LIMIT {_SHOWN}"
            for row in connection.execute(query).fetchall():  # type: ignore[call-overload]
                found = dict(zip(columns, row, strict=True))
                yield f"{spec.table}: only in PostgreSQL's {left}, not in {right}: {found}"


def _equal_in_postgres(connection: Connection, spec: MergeSpec, peer: str, columns: list[str]) -> bool:
    """Whether both tables have as many rows, and for each of ours there is one that is equal in every column.

    No key of ours is there twice: it is the primary key. A peer's table may have none, so equal pairs do not count. To
    put them in order by all columns takes ten times as long.
    """
    left, right = (", ".join(f'{side}."{column}"' for column in columns) for side in "ab")
    keys = " AND ".join(f'a."{name}" = b."{name}"' for name in spec.key)
    query = f"""SELECT (SELECT count(*) FROM {spec.table}), (SELECT count(*) FROM {peer}),
        (SELECT count(*) FROM {spec.table} a
         WHERE EXISTS (SELECT FROM {peer} b WHERE {keys} AND ({left}) IS NOT DISTINCT FROM ({right})))"""
    ((ours, theirs, equal),) = connection.execute(query.encode()).fetchall()
    return bool(ours == theirs == equal)
