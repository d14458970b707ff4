"""What a table holds of a row of a document: values cast, defaults put in, expressions and rules worked out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot.errors import SqlglotError

from mlb_platform.lineage.pointers import SourceRow
from mlb_platform.lineage.values import cast, text_of
from mlb_platform.mapping.resolve import Column, ResolvedTarget
from mlb_platform.mapping.sql import columns_of
from mlb_platform.quality.rules import row_rules
from resources.sql_types import arrow_type

_MACROS = """
CREATE MACRO substring_index(s, d, n) AS array_to_string(
    CASE WHEN n >= 0 THEN list_slice(string_split(s, d), 1, n) ELSE list_slice(string_split(s, d), n, -1) END, d)
"""
"""Functions that Spark has and DuckDB has not."""
_SPARK_TYPES = {"TIMESTAMPTZ": "TIMESTAMP", "VARCHAR": "STRING", "TEXT": "STRING", "JSONB": "STRING"}
_UNKNOWN = object()


def read_value(row: SourceRow, column: Column) -> Any:
    """Return what a row holds in a column that is read by path or constant."""
    f = column.field
    assert f is not None
    if column.origin == "constant":
        return cast(text_of(row.constant(f)), column.type)
    text = text_of(row.cell(f).raw)
    if text is None and f.default is not None:
        return cast(text_of(f.default), column.type)
    return cast(text, column.type, f.format)


def needed_for(target: ResolvedTarget, column: Column) -> list[Column]:
    """Return the columns that an expression reads, and those they read, in the table's order."""
    names: set[str] = set()
    pending = [column]
    while pending:
        found = pending.pop()
        if found.origin == "expression" and found.field is not None:
            new = [n for n in columns_of(str(found.field.expression)) if n in target.by_name and n not in names]
            names.update(new)
            pending += [target.by_name[n] for n in new]
    return [c for c in target.columns if c.name in names]


class Evaluator:
    """Works out SQL over rows of a table. Spark's SQL is translated for DuckDB, where that is possible."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(_MACROS)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def expression(self, target: ResolvedTarget, column: Column, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return an expression column's value in each of `rows`, over their other values.

        Raises ValueError where DuckDB cannot work it out.
        """
        needed = [c for c in needed_for(target, column) if rows and c.name in rows[0]]
        kind = _SPARK_TYPES.get(column.type.name, str(column.type).replace("NUMERIC", "DECIMAL"))
        text = f"try_cast({column.field.expression if column.field else 'NULL'} AS {kind})"
        found = [row[0] for row in self._evaluate([text], needed, rows)]
        longest = column.type.args[0] if column.type.is_text and column.type.args else None
        return [None if longest is not None and isinstance(v, str) and len(v) > longest else v for v in found]

    def broken_rules(self, target: ResolvedTarget, values: Mapping[str, Any]) -> dict[str, bool | None]:
        """Return of each rule over one row whether a row of these values breaks it; None where it cannot be told."""
        rules = row_rules(target)
        try:
            held = self._held([r.sql for r in rules], target, values)
        except ValueError:
            # one that DuckDB cannot work out: each by itself
            held = [self._one_held(r.sql, target, values) for r in rules]
        return {r.rule.label: None if h is _UNKNOWN else h is False for r, h in zip(rules, held, strict=True)}

    def _one_held(self, text: str, target: ResolvedTarget, values: Mapping[str, Any]) -> Any:
        try:
            return self._held([text], target, values)[0]
        except ValueError:
            return _UNKNOWN

    def _held(self, texts: Sequence[str], target: ResolvedTarget, values: Mapping[str, Any]) -> list[Any]:
        names = {name for text in texts for name in columns_of(text)}
        columns = [c for c in target.columns if c.name in names]
        return list(self._evaluate(texts, columns, [values])[0]) if texts else []

    def _evaluate(
        self, texts: Sequence[str], columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]
    ) -> list[tuple[Any, ...]]:
        """Return the values of expressions in each row."""
        try:
            arrays = {c.name: pa.array([r[c.name] for r in rows], arrow_type(str(c.type))) for c in columns}
            selected = ", ".join(map(_translated, texts))
            self._connection.register("given", pa.table({**arrays, "_n": range(len(rows))}))
            return self._connection.execute(f"SELECT {selected} FROM given ORDER BY _n").fetchall()
        except (SqlglotError, duckdb.Error, pa.ArrowException) as error:
            raise ValueError(str(error).splitlines()[0]) from error


@cache
def _translated(text: str) -> str:
    return sqlglot.transpile(text, read="spark", write="duckdb")[0]


def row_values(row: SourceRow, inherited: Mapping[str, Any], evaluator: Evaluator) -> dict[str, Any]:
    """Return what a row of a document holds, by column; `inherited` are its entity key, date and technical values.

    An expression that cannot be worked out is left out.
    """
    values = dict(inherited)
    target = row.target
    for c in target.columns:
        if c.origin in ("path", "constant"):
            values[c.name] = read_value(row, c)
    for c in target.columns:
        if c.origin == "expression":
            try:
                values[c.name] = evaluator.expression(target, c, [values])[0]
            except ValueError:
                continue
    return values
