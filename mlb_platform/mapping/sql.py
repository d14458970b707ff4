"""Spark SQL fragments in mappings: parsed, and their columns renamed, by sqlglot."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError


@lru_cache(maxsize=4096)
def _parse(text: str) -> exp.Expression:
    try:
        parsed = sqlglot.parse_one(text, read="spark")
    except SqlglotError as error:
        first = str(error).splitlines()[0] if str(error) else "not SQL"
        raise ValueError(f"{text!r} is not a Spark SQL expression: {first}") from error
    if not isinstance(parsed, exp.Expression) or isinstance(parsed, exp.Query | exp.DDL | exp.Command):
        raise ValueError(f"{text!r} must be an expression over one row, not a statement")
    if parsed.find(exp.Subquery, exp.Select, exp.Window, exp.AggFunc):
        raise ValueError(f"{text!r} must be an expression over one row: no subquery, window or aggregate")
    return parsed


def parse_condition(text: str) -> exp.Expression:
    """Return an expression over one row as sqlglot reads it, not to be changed; raise ValueError if it is none."""
    return _parse(text)


def columns_of(text: str) -> list[str]:
    """Return the columns an expression names, each once, in order; raise ValueError if it is no expression."""
    return list(dict.fromkeys(column.name for column in _parse(text).find_all(exp.Column)))


_TOLERANT: dict[type[exp.Expression], str] = {
    exp.Add: "try_add",
    exp.Sub: "try_subtract",
    exp.Mul: "try_multiply",
    exp.Div: "try_divide",
    exp.Mod: "try_mod",
}


def _tolerant(expression: exp.Expression) -> exp.Expression:
    """Return the expression with NULL where Spark's ANSI mode would end the job: division by zero, overflow, casts."""
    whole = exp.Paren(this=expression)
    for node in reversed(list(whole.find_all(exp.Cast, *_TOLERANT))):
        if isinstance(node, exp.Cast):
            node.replace(exp.TryCast(this=node.this, to=node.args["to"], safe=True))
        else:
            node.replace(exp.Anonymous(this=_TOLERANT[type(node)], expressions=[node.this, node.expression]))
    inner = whole.this
    assert isinstance(inner, exp.Expression)
    return inner


def rename_columns(text: str, replacement: Mapping[str, str]) -> str:
    """Return the expression with each column replaced by the SQL text that `replacement` gives for it.

    What cannot be computed for a row is NULL in the result, rather than an error.
    """

    def swap(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Column) and node.name in replacement:
            return exp.Paren(this=sqlglot.parse_one(replacement[node.name], read="spark"))
        return node

    return _tolerant(_parse(text).copy().transform(swap)).sql(dialect="spark")
