"""Conditions of rules judged on Arrow columns: those that mean the same there as in Spark SQL, and no others.

Comparisons of two columns of one type, or of a column with literals; columns that are true or false; IN, IS NULL, AND,
OR, NOT. NULL is what is not known, in both. Numbers with a fraction are compared with each other only where their types
are the same, texts only for being the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from mlb_platform.mapping.sql import parse_condition
from mlb_platform.mapping.types import SqlType

Columns = Mapping[str, pa.Array]
Condition = Callable[[Columns], Any]
"""Gives an array of true, false or NULL for columns by name; of a literal, a scalar."""
_COMPARED: Mapping[type[exp.Expression], Callable[[Any, Any], Any]] = {
    exp.EQ: pc.equal, exp.NEQ: pc.not_equal, exp.LT: pc.less, exp.LTE: pc.less_equal, exp.GT: pc.greater,
    exp.GTE: pc.greater_equal,
}  # fmt: skip
_JOINED: Mapping[type[exp.Expression], Callable[[Any, Any], Any]] = {exp.And: pc.and_kleene, exp.Or: pc.or_kleene}
_LONGEST = 18
"""Digits of a whole number that fits into 64 bits whatever they are."""


class _SparksOwn(Exception):
    """An expression that only Spark is to compute."""


def arrow_condition(text: str, types: Mapping[str, SqlType]) -> Condition | None:
    """Return what judges a condition on the columns of these types; None where that is left to Spark."""
    try:
        return _condition(parse_condition(text), types)
    except _SparksOwn:
        return None


def _condition(node: Any, types: Mapping[str, SqlType]) -> Condition:
    if isinstance(node, exp.Paren):
        return _condition(node.this, types)
    if isinstance(node, exp.Not):
        inner = _condition(node.this, types)
        return lambda columns: pc.invert(inner(columns))
    if type(node) in _JOINED:
        join, left, right = _JOINED[type(node)], _condition(node.this, types), _condition(node.expression, types)
        return lambda columns: join(left(columns), right(columns))
    if type(node) in _COMPARED:
        return _comparison(node, types)
    if isinstance(node, exp.In):
        return _membership(node, types)
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        name = _column(node.this, types)
        return lambda columns: pc.is_null(columns[name])
    name = _column(node, types)
    if types[name].name != "BOOLEAN":
        raise _SparksOwn
    return lambda columns: columns[name]


def _comparison(node: Any, types: Mapping[str, SqlType]) -> Condition:
    compare, equality = _COMPARED[type(node)], type(node) in (exp.EQ, exp.NEQ)
    name = _column(node.this, types)
    kind = types[name]
    if kind.is_text and not equality:
        raise _SparksOwn
    if isinstance(node.expression, exp.Column):
        other = _column(node.expression, types)
        alike = kind == types[other] or (kind.is_integer and types[other].is_integer)
        if not (alike or (kind.is_text and types[other].is_text)) or kind.name in ("DOUBLE", "JSONB"):
            raise _SparksOwn
        return lambda columns: compare(columns[name], columns[other])
    value = _literal(node.expression, kind)
    return lambda columns: compare(columns[name], value)


def _membership(node: exp.In, types: Mapping[str, SqlType]) -> Condition:
    name = _column(node.this, types)
    values = [_literal(e, types[name]) for e in node.expressions]
    if not values:  # a subquery, or a range
        raise _SparksOwn
    known = pa.array([v.as_py() for v in values], values[0].type)

    def among(columns: Columns) -> Any:
        column = columns[name]
        return pc.if_else(pc.is_valid(column), pc.is_in(column, value_set=known.cast(column.type)), None)

    return among


def _column(node: Any, types: Mapping[str, SqlType]) -> str:
    if isinstance(node, exp.Column) and not node.table and node.name in types:
        return str(node.name)
    raise _SparksOwn


def _literal(node: Any, kind: SqlType) -> pa.Scalar:
    """Return a literal that is of a column's type as it stands: a whole number, a text, a date."""
    sign = -1 if isinstance(node, exp.Neg) else 1
    node = node.this if isinstance(node, exp.Neg) else node
    if isinstance(node, exp.Literal):
        text = str(node.this)
        if kind.is_integer and not node.is_string and text.isdigit() and len(text) <= _LONGEST:
            return pa.scalar(sign * int(text), pa.int64())
        if kind.is_text and node.is_string:
            return pa.scalar(text, pa.string())
    if isinstance(node, exp.Cast) and kind.name == "DATE" and node.to.this == exp.DataType.Type.DATE:
        try:
            return pa.scalar(date.fromisoformat(str(node.this.this)), pa.date32())
        except ValueError:
            raise _SparksOwn from None
    raise _SparksOwn
