"""Values of a document in plain Python: their text, what a column of a type holds of it, and whether a filter holds.

The same rules as `extraction.values` gives Spark, written a second time: what a passport says was found independently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from mlb_platform.mapping.filters import Comparison, Filter, Scalar
from mlb_platform.mapping.paths import JsonPath
from mlb_platform.mapping.types import SqlType

_BITS = {"SMALLINT": 16, "INT": 32, "BIGINT": 64}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_JAVA_DATE = [("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S"), ("SSS", "%f")]


class Number(float):
    """A JSON number with a fraction, which keeps how it is written: 0.10 is not 0.1 in a text column."""

    text: str

    def __new__(cls, text: str) -> Number:
        """Read the text of a JSON number."""
        made = super().__new__(cls, text)
        made.text = text
        return made


def read_document(body: bytes) -> Any:
    """Return a JSON document whose numbers keep how they are written."""
    return json.loads(body, parse_float=Number)


def text_of(value: Any) -> str | None:
    """Return a JSON value as the text that is cast to a column's type; None for null and for nothing."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return value.text
    return str(value) if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False)


def cast(text: str | None, sql_type: SqlType, pattern: str | None = None) -> Any:
    """Return what a column of a type holds of a text; None where it does not fit."""
    if text is None:
        return None
    if sql_type.name == "JSONB":
        return _json(text)
    if sql_type.is_text:
        return text if not sql_type.args or len(text) <= sql_type.args[0] else None
    try:
        return _parse(text.strip(), sql_type, pattern)
    except (ValueError, InvalidOperation, OverflowError):
        return None


def _json(text: str) -> str:
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text, ensure_ascii=False)
    return text


def _parse(text: str, sql_type: SqlType, pattern: str | None) -> Any:
    if sql_type.is_integer:
        number = Decimal(text)
        limit = 1 << (_BITS[sql_type.name] - 1)
        return int(number) if number == number.to_integral_value() and -limit <= number < limit else None
    if sql_type.name == "NUMERIC":
        precision, scale = sql_type.args
        rounded = Decimal(text).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
        return rounded if abs(rounded) < Decimal(10) ** (precision - scale) else None
    if sql_type.name == "DOUBLE":
        return float(text) if abs(float(text)) < float("inf") else None
    if sql_type.name == "BOOLEAN":
        return {"true": True, "false": False}.get(text.lower())
    if pattern is not None:
        found = datetime.strptime(text, _python_pattern(pattern)).replace(tzinfo=UTC)
        return found.date() if sql_type.name == "DATE" else found
    if sql_type.name == "DATE":
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    if len(text) < 16 or text[4] != "-":
        return None
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _python_pattern(java: str) -> str:
    """Write a Java pattern of digits, such as yyyyMMdd_HHmmss, as Python's."""
    made = java.replace("%", "%%")
    for theirs, ours in _JAVA_DATE:
        made = made.replace(theirs, ours)
    return made.replace("'", "")


def _compare(text: str, operator: str, value: Scalar) -> bool:
    if isinstance(value, bool):
        left, right = text, "true" if value else "false"
        return _ordered(left, operator, right)
    if isinstance(value, str):
        return _ordered(text, operator, value)
    try:
        number = float(text)
    except ValueError:
        return operator == "!="
    return _ordered(number, operator, float(value))


def _ordered(left: Any, operator: str, right: Any) -> bool:
    verdicts = {
        "==": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right,
        ">=": left >= right,
    }  # fmt: skip
    return bool(verdicts[operator])


def holds(node: Filter, value_of: Callable[[JsonPath], Any]) -> bool:
    """Whether a filter holds; a comparison with nothing is false. `value_of` gives what is at a path."""
    if not isinstance(node, Comparison):
        verdicts = [holds(operand, value_of) for operand in node.operands]
        if node.operator == "not":
            return not verdicts[0]
        return all(verdicts) if node.operator == "and" else any(verdicts)
    value = value_of(node.path)
    if node.operator == "exists" or value is None:
        return value is not None
    text = str(text_of(value))
    if isinstance(node.value, tuple):
        return any(_compare(text, "==", v) for v in node.value)
    assert node.value is not None
    return _compare(text, node.operator, node.value)
