"""Spark SQL for single values: literals, casts that turn a misfit into NULL, filters."""

from __future__ import annotations

from collections.abc import Callable

from mlb_platform.mapping.filters import Comparison, Filter, Scalar
from mlb_platform.mapping.paths import JsonPath
from mlb_platform.mapping.types import SqlType

_SPARK_NAMES = {"VARCHAR": "STRING", "TEXT": "STRING", "JSONB": "STRING", "TIMESTAMPTZ": "TIMESTAMP"}
_STORABLE_JSON = (
    r'\A(?:[^"eE]++|[eE](?![+-]?[0-9]{5})'
    r'|"(?:[^"\\]++|\\[^u]|\\u(?!0000|[dD][89a-fA-F])|\\u[dD][89abAB]..\\u[dD][c-fC-F])*+")*+\z'
)
"""JSON that PostgreSQL takes too: no number too large for it, in texts no U+0000 and no half of a surrogate pair."""


def spark_name(sql_type: SqlType) -> str:
    """Return the Spark type of a column: VARCHAR(50) is STRING, NUMERIC(5,2) is DECIMAL(5,2)."""
    if sql_type.name == "NUMERIC":
        return f"DECIMAL({sql_type.args[0]},{sql_type.args[1]})"
    return _SPARK_NAMES.get(sql_type.name, sql_type.name)


def quote(text: str) -> str:
    """Write a text as a Spark SQL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def literal(value: Scalar, sql_type: SqlType) -> str:
    """Write a constant as a literal of a column's type."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"CAST({quote(text)} AS {spark_name(sql_type)})"


def cast(raw: str, sql_type: SqlType, pattern: str | None = None, thorough: bool = True) -> str:
    """Return SQL that casts the text `raw`, NULL where it does not fit.

    Decimals round half up; a text longer than its column, a fraction for a whole number and a number for a date do not
    fit. Timestamps without zone are UTC. Only a `thorough` cast takes `5.0` or `5e0` for a whole number.
    """
    name = spark_name(sql_type)
    if sql_type.is_integer and not thorough:
        return f"try_cast({raw} AS {name})"
    if sql_type.is_integer:
        number = f"try_cast({raw} AS DECIMAL(38,18))"
        return (
            f"coalesce(try_cast({raw} AS {name}), IF({number} = floor({number}), try_cast({number} AS {name}), NULL))"
        )
    if sql_type.name == "NUMERIC":
        return f"try_cast({raw} AS {name})"
    if sql_type.name == "DOUBLE":
        return f"IF(abs(try_cast({raw} AS DOUBLE)) < double('Infinity'), try_cast({raw} AS DOUBLE), NULL)"
    if sql_type.name == "BOOLEAN":
        return f"CASE lower({raw}) WHEN 'true' THEN true WHEN 'false' THEN false END"
    if pattern is not None:
        return _within_years(f"CAST(try_to_timestamp({raw}, {quote(pattern)}) AS {name})")
    if sql_type.name == "DATE":
        return _within_years(f"try_cast({raw} AS DATE)", f"length({raw}) = 10")
    if sql_type.name == "TIMESTAMPTZ":
        # a time alone would be taken for one of today
        return _within_years(f"try_cast({raw} AS TIMESTAMP)", f"length({raw}) >= 16 AND substring({raw}, 5, 1) = '-'")
    if sql_type.name == "JSONB":
        listed = f"to_json(array({raw}))"
        quoted = f"substring({listed}, 2, length({listed}) - 2)"
        return f"IF({raw} IS NULL OR {_is_json(raw)}, {raw}, {quoted})"
    return f"IF(length({raw}) <= {sql_type.args[0]}, {raw}, NULL)" if sql_type.args else raw


def _within_years(time: str, condition: str = "true") -> str:
    """SQL of a date or time under a condition, NULL outside of the years 1 to 9999: Python and Arrow read no others."""
    return f"IF({condition} AND year({time}) BETWEEN 1 AND 9999, {time}, NULL)"


def _is_json(raw: str) -> str:
    """SQL of whether a text is JSON to its end, as PostgreSQL takes it; false or NULL where it is not.

    Spark's reader stops after one value. A rest that is no blank cannot go on both as an array of one and as an object.
    """
    alone = f"json_array_length(concat('[', {raw}, ']')) = 1"
    member = f"""try_parse_json(concat('{{"":', {raw}, '}}')) IS NOT NULL"""
    return f"({raw} RLIKE {quote(_STORABLE_JSON)} AND {alone} AND {member})"


def _compare(raw: str, operator: str, value: Scalar) -> str:
    if isinstance(value, bool):
        text = str(value).lower()
        return f"{raw} {operator} '{text}'"
    if isinstance(value, str):
        return f"{raw} {operator} {quote(value)}"
    number = f"try_cast({raw} AS DOUBLE) {operator} {float(value)!r}D"
    # what is no number is not equal to one
    return f"coalesce({number}, {raw} IS NOT NULL)" if operator == "<>" else number


def filter_sql(node: Filter, value_of: Callable[[JsonPath], str]) -> str:
    """Return SQL of a filter, never NULL: a comparison with a missing path is false. `value_of` gives a path's SQL."""
    if not isinstance(node, Comparison):
        inner = [f"({filter_sql(operand, value_of)})" for operand in node.operands]
        return f"NOT {inner[0]}" if node.operator == "not" else f" {node.operator.upper()} ".join(inner)
    raw = value_of(node.path)
    if node.operator == "exists":
        return f"{raw} IS NOT NULL"
    if node.operator == "in":
        values = node.value if isinstance(node.value, tuple) else ()
        either = " OR ".join(_compare(raw, "=", v) for v in values)
        return f"coalesce({either}, false)"
    assert node.value is not None and not isinstance(node.value, tuple)
    operator = {"==": "=", "!=": "<>"}.get(node.operator, node.operator)
    return f"coalesce({_compare(raw, operator, node.value)}, false)"
