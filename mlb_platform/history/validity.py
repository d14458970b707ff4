"""Tables as of a time, and their history: every version of every row, with the times it was valid from and to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mlb_platform.history.moments import Moment, every, latest_at
from mlb_platform.history.states import MOMENT, Known, States
from resources.merge import MergeSpec

VALID_FROM, VALID_TO, RAW_ID, ENDED_BY = "valid_from", "valid_to", "raw_id", "ended_by_raw_id"
"""The columns of a history besides the table's own; `valid_to` and `ended_by_raw_id` are NULL for what is current."""


def tables_as_of(
    states: States, tables: Sequence[str], at: datetime, entities: Sequence[str] | None = None
) -> tuple[dict[str, pa.Table], Known]:
    """Return what tables would say if only captures taken until `at` were there; and how it was found."""
    known = states.find(tables, latest_at(states.mapping, at), entities)
    return {t: rows.drop_columns([MOMENT]) for t, rows in known.rows.items()}, known


def table_history(states: States, table: str, entities: Sequence[str] | None = None) -> pa.Table:
    """Return every version of every row of a table: its mapped columns, and those named above.

    A version is valid from the capture that brought it to the one that changed or removed it. That a row came back as
    it was is a version of its own.
    """
    known = states.find([table], every(states.mapping), entities)
    return _versions(states.specs[table], known.rows[table], known.moments)


def changed_only(spec: MergeSpec, history: pa.Table) -> pa.Table:
    """Keep of a history the rows of which there is more than one version, or that are no longer there."""
    key = ", ".join(_quoted(n) for n in spec.key)
    query = f"""
        SELECT * FROM history QUALIFY count(*) OVER (PARTITION BY {key}) > 1
            OR max(CASE WHEN {VALID_TO} IS NULL THEN 1 ELSE 0 END) OVER (PARTITION BY {key}) = 0
        ORDER BY {key}, {VALID_FROM}"""
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("history", history)
        return connection.sql(query).to_arrow_table().cast(history.schema)


def history_columns(spec: MergeSpec) -> list[str]:
    """Return the columns of a table that its history has: all but the technical ones."""
    return [c.name for c in spec.columns if not c.technical]


def _versions(spec: MergeSpec, rows: pa.Table, moments: Sequence[Moment]) -> pa.Table:
    names = history_columns(spec)
    key = ", ".join(_quoted(n) for n in spec.key)
    cells = ", ".join(_quoted(n) for n in spec.business_columns)
    same = f"ROW({cells}) IS NOT DISTINCT FROM lag(ROW({cells})) OVER w" if cells else "TRUE"
    # names that start with an underscore are no mapped column's
    query = f"""
        WITH known AS (
            SELECT {", ".join(f"h.{_quoted(n)}" for n in names)}, m._number, m._start, m._raw_id
            FROM held h JOIN moments m ON h."{MOMENT}" = m._place),
        marked AS (
            SELECT *, CASE WHEN lag(_number) OVER w = _number - 1 AND {same} THEN 0 ELSE 1 END AS _begins
            FROM known WINDOW w AS (PARTITION BY {key} ORDER BY _number)),
        counted AS (
            SELECT *, sum(_begins) OVER (PARTITION BY {key} ORDER BY _number) AS _version FROM marked),
        ending AS (
            SELECT *, max(_number) OVER (PARTITION BY {key}, _version) AS _last FROM counted)
        SELECT {", ".join(f"v.{_quoted(n)}" for n in names)}, v._start AS "{VALID_FROM}", n._start AS "{VALID_TO}",
               v._raw_id AS "{RAW_ID}", n._raw_id AS "{ENDED_BY}"
        FROM ending v
        LEFT JOIN moments n
          ON n._entity = CAST(v.{_quoted(spec.scope)} AS VARCHAR) AND n._number = v._last + 1
        WHERE v._begins = 1 ORDER BY {", ".join(f"v.{_quoted(n)}" for n in spec.key)}, v._number"""
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("held", rows.select([*names, MOMENT]))
        connection.register("moments", _table_of(moments))
        found = connection.sql(query).to_arrow_table()
    times, number = pa.timestamp("us", tz="UTC"), pa.int64()
    types = {name: rows.schema.field(name).type for name in names}
    types |= {VALID_FROM: times, VALID_TO: times, RAW_ID: number, ENDED_BY: number}
    return pa.table({name: pc.cast(found[name], kind) for name, kind in types.items()})


def _table_of(moments: Sequence[Moment]) -> pa.Table:
    """Return the moments: their place among all, and the number among those of their entity."""
    counts: dict[str, int] = {}
    numbers = []
    for m in moments:
        counts[m.entity] = counts.get(m.entity, -1) + 1
        numbers.append(counts[m.entity])
    columns: Mapping[str, pa.Array] = {
        "_place": pa.array(range(len(moments)), pa.int64()),
        "_entity": pa.array([m.entity for m in moments], pa.string()),
        "_number": pa.array(numbers, pa.int64()),
        "_start": pa.array([m.start for m in moments], pa.timestamp("us", tz="UTC")),
        "_raw_id": pa.array([m.capture.raw_id for m in moments], pa.int64()),
    }
    return pa.table(dict(columns))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
