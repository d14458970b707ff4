"""Columns of values as JSON has them, made into Arrow; what is written in no usual way is left to Spark's casts.

The casts of `values.py` say what a value means. These take the ways that values are usually written; of any other they
tell the row, and its document is computed by Spark. So both give the same for whatever document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mlb_platform.extraction.walk_source import NotWalkable
from mlb_platform.mapping.types import SqlType
from resources.sql_types import arrow_type

Values = Sequence[Any]

_WHOLE = re.compile(r"-?\d{1,18}\Z", re.ASCII)
_DECIMAL = re.compile(r"-?(\d{1,15}\.?\d{0,15}|\.\d{1,15})\Z", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_WORD = re.compile(r"(?!true|false|null|NaN|Infinity)[A-Za-z]")
_BEYOND = re.compile("[\U00010000-\U0010ffff]")
_PATTERN = {"yyyy": r"(?P<y>\d{4})", "MM": r"(?P<m>\d\d)", "dd": r"(?P<d>\d\d)", "HH": r"(?P<H>\d\d)",
            "mm": r"(?P<M>\d\d)", "ss": r"(?P<S>\d\d)"}  # fmt: skip
_NULL = type(None)


@dataclass
class Made:
    """A column: `odd` are rows whose value is written in no usual way, `settled` those that are no number at all."""

    array: pa.Array
    odd: list[int] = field(default_factory=list)
    settled: dict[int, str] = field(default_factory=dict)


Maker = Callable[[Values], Made]


def maker(sql_type: SqlType, pattern: str | None = None, settles: bool = False) -> Maker:
    """Return what makes a column of a type; `settles`: a text without a digit in a NUMERIC column is told, and NULL.

    Raises NotWalkable for a pattern that is not made of yyyy, MM, dd, HH, mm, ss and punctuation.
    """
    kind = arrow_type(str(sql_type))
    if sql_type.is_integer:
        return lambda values: _mended(values, kind, {int}, _whole)
    if sql_type.name == "DOUBLE":
        return lambda values: _mended(values, kind, {int, float}, _double)
    if sql_type.name == "BOOLEAN":
        return lambda values: _mended(values, kind, {bool}, _boolean)
    if sql_type.name == "NUMERIC":
        precision, scale = sql_type.args
        return lambda values: _numeric(values, kind, precision, scale, settles)
    if sql_type.name in ("DATE", "TIMESTAMPTZ"):
        form = _DATE if sql_type.name == "DATE" else _INSTANT
        rewrite = _rewriter(pattern, sql_type.name) if pattern else None
        return lambda values: _within_years(_time(values, kind, form, rewrite))
    if sql_type.name == "JSONB":
        return lambda values: _mended(values, kind, set(), _json)
    return lambda values: _text(values, kind, sql_type.args[0] if sql_type.args else None)


class Odd(Exception):
    """A value, or a document, that is left to Spark SQL."""


def _boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise Odd


def _whole(value: Any) -> int:
    if type(value) is int:
        return value
    if type(value) is str and _WHOLE.match(value):
        return int(value)
    raise Odd


def _double(value: Any) -> float:
    if type(value) is float or (type(value) is int and abs(value) < 1 << 64):
        return float(value)
    if type(value) is str and _DECIMAL.match(value):
        return float(value)
    raise Odd


def plain_text(value: Any) -> str:
    """Return the text of a value that is not one, as Spark writes it; raises Odd where that is not known."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    if type(value) is float:
        return repr(value) if _is_written_alike(value) else _with_exponent(value)
    raise Odd


def _json(value: Any) -> str:
    if type(value) is str and _WORD.match(value):
        return _without_codes(orjson.dumps(value).decode())
    if type(value) in (bool, int, float):
        return plain_text(value)
    if type(value) in (dict, list):
        text = _without_codes(orjson.dumps(value if _is_written_alike(value) else _as_spark_writes(value)).decode())
        return text if text.isascii() else _BEYOND.sub(_as_pair, text)
    raise Odd


def _without_codes(text: str) -> str:
    """Return JSON; raises Odd where a character in it may be written as its code: Spark has other digits in those."""
    if "\\u00" in text:
        raise Odd
    return text


def _as_pair(found: re.Match[str]) -> str:
    """Return a character beyond U+FFFF as Spark writes it in a part of a document: `\\uD83D\\uDE42`."""
    high, low = divmod(ord(found[0]) - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04X}\\u{0xDC00 + low:04X}"


def _is_written_alike(value: Any) -> bool:
    """Tell whether orjson writes every number in a value as Spark does; raises Odd for those nobody here can."""
    if type(value) is dict:
        return all([_is_written_alike(v) for v in value.values()])
    if type(value) is list:
        return all([_is_written_alike(v) for v in value])
    if type(value) is float:
        if value and not 1e-9 <= abs(value) < 1e15:
            raise Odd  # Java 17 writes a digit too many from 2**53 on
        return value == 0 or 1e-3 <= abs(value) < 1e7
    if type(value) is int and abs(value) >= 1 << 63:
        raise Odd
    return True


def _as_spark_writes(value: Any) -> Any:
    if type(value) is dict:
        return {k: _as_spark_writes(v) for k, v in value.items()}
    if type(value) is list:
        return [_as_spark_writes(v) for v in value]
    return value if _is_written_alike(value) else orjson.Fragment(_with_exponent(value).encode())


def _with_exponent(value: float) -> str:
    """Return a number as Java's Double.toString writes it below a thousandth and from ten millions on: `6.9E-4`."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    first, *rest = map(str, digits)
    point = int(exponent) + len(digits) - 1
    return f"{'-' if sign else ''}{first}.{''.join(rest) or '0'}E{point}"


def _each(values: Values, convert: Callable[[Any], Any], odd: list[int]) -> list[Any]:
    """Convert value by value; None where there is none, or where it is odd."""
    made = []
    for row, value in enumerate(values):
        if value is not None:
            try:
                value = convert(value)
            except Odd:
                odd.append(row)
                value = None
        made.append(value)
    return made


def _mended(values: Values, kind: pa.DataType, usual: set[type], convert: Callable[[Any], Any]) -> Made:
    odd: list[int] = []
    kinds = set(map(type, values))
    if not kinds <= usual | {_NULL}:
        values = _each(values, convert, odd)
    try:
        array = pa.array(values, kind)
    except (pa.ArrowInvalid, OverflowError):
        fitting = [_fits(v, kind) for v in values]
        odd += [row for row, fits in enumerate(fitting) if not fits]
        array = pa.array([v if fits else None for v, fits in zip(values, fitting, strict=True)], kind)
    if pa.types.is_floating(kind) and array.null_count < len(array) and not pc.all(pc.is_finite(array)).as_py():
        odd += _rows(pc.invert(pc.is_finite(array)))
    return Made(array, odd)


def _fits(value: Any, kind: pa.DataType) -> bool:
    try:
        pa.scalar(value, kind)
    except (pa.ArrowInvalid, OverflowError):
        return False
    return True


def _rows(mask: pa.Array) -> list[int]:
    return [int(row) for row in pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist()]


def _text(values: Values, kind: pa.DataType, longest: int | None) -> Made:
    try:
        made = Made(pa.array(values, kind))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        made = _mended(values, kind, {str}, plain_text)
    if longest is not None and _most_bytes(made.array) > longest:
        made.odd += _rows(pc.greater(pc.utf8_length(made.array), longest))
    return made


def _most_bytes(texts: pa.StringArray) -> int:
    """Return how many bytes the longest text has: it has no more characters than that."""
    offsets = texts.buffers()[1]
    if not len(texts) or offsets is None:
        return 0
    ends = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4)
    return int((ends[1:] - ends[:-1]).max())


def _rewriter(pattern: str, name: str) -> Callable[[str], str]:
    """Return what writes a text of a pattern as ISO 8601."""
    parts = re.split("(yyyy|MM|dd|HH|mm|ss)", pattern)
    named = {part for part in parts[1::2]}
    if any(re.search("[A-Za-z'\\[\\]]", p) for p in parts[::2]) or len(named) < len(parts[1::2]):
        raise NotWalkable(f"pattern {pattern!r}")
    if not {"yyyy", "MM", "dd"} <= named:
        raise NotWalkable(f"pattern {pattern!r}")
    form = re.compile("".join(_PATTERN.get(p) or re.escape(p) for p in parts) + r"\Z", re.ASCII)

    def rewrite(text: str) -> str:
        found = form.match(text)
        if found is None:
            raise Odd
        got = found.groupdict()
        day = f"{got['y']}-{got['m']}-{got['d']}"
        return day if name == "DATE" else f"{day}T{got.get('H', '00')}:{got.get('M', '00')}:{got.get('S', '00')}Z"

    return rewrite


def _time(values: Values, kind: pa.DataType, form: re.Pattern[str], rewrite: Callable[[str], str] | None) -> Made:
    known: dict[str, str] = {}
    odd: list[int] = []
    if rewrite is None:
        made = _usual_times(values, kind, form)
        if made is not None:
            return made

    def usual(value: Any) -> str:
        if type(value) is not str:
            raise Odd
        found = known.get(value)
        if found is None:
            found = rewrite(value) if rewrite else value
            if not form.fullmatch(found):
                raise Odd
            known[value] = found
        return found

    texts = _each(values, usual, odd)
    try:
        return Made(pa.array(texts, pa.string()).cast(kind), odd)
    except pa.ArrowInvalid:
        wrong = {t for t in known.values() if not _is_time(t, kind)}
        odd += [row for row, text in enumerate(texts) if text in wrong]
        return Made(pa.array([None if t in wrong else t for t in texts], pa.string()).cast(kind), odd)


def _within_years(made: Made) -> Made:
    """Tell the rows outside of the years 1 to 9999."""
    years = pc.year(made.array)
    made.odd += _rows(pc.or_(pc.less(years, 1), pc.greater(years, 9999)))
    return made


def _usual_times(values: Values, kind: pa.DataType, form: re.Pattern[str]) -> Made | None:
    """Return a column all of whose values are texts of a form and times; None where it has others."""
    try:
        texts = pa.array(values, pa.string())
        # re2 means the same by these patterns: its \d is a digit of ASCII
        if pc.all(pc.match_substring_regex(texts, rf"^({form.pattern})\z")).as_py() is not False:
            return Made(texts.cast(kind))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pass
    return None


def _is_time(text: str, kind: pa.DataType) -> bool:
    try:
        pa.array([text], pa.string()).cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _numeric(values: Values, kind: pa.DataType, precision: int, scale: int, settles: bool) -> Made:
    """Round half up to the scale, as the digits of a number say."""
    kinds = set(map(type, values))
    if precision <= 15 and kinds <= {int, float, _NULL}:
        made = _rounded(values, kind, precision, scale)
        if made is not None:
            return made
    odd: list[int] = []
    settled: dict[int, str] = {}
    known: dict[tuple[type, Any], Decimal | None] = {}
    digits: list[Decimal | None] = []
    step, limit = Decimal(1).scaleb(-scale), Decimal(10) ** (precision - scale)
    for row, value in enumerate(values):
        result = None
        if value is not None:
            if type(value) is str and settles and not any(map(str.isdigit, value)) and len(value) < 20:
                settled[row] = value
            else:
                key = (type(value), value) if type(value) in (int, float, str) else (type(value), None)
                result = known[key] if key in known else _quantized(value, step, limit)
                known[key] = result
                if result is None:
                    odd.append(row)
        digits.append(result)
    return Made(pa.array(digits, kind), odd, settled)


def _quantized(value: Any, step: Decimal, limit: Decimal) -> Decimal | None:
    if type(value) is str:
        if not _DECIMAL.match(value):
            return None
    elif type(value) is float:
        # beyond 15 digits the text may have said more than the number holds
        if not 1e-6 < abs(value) < 1e15 and value != 0:
            return None
    elif type(value) is not int or abs(value) >= 10**15:
        return None
    found = Decimal(repr(value) if type(value) is float else value).quantize(step, ROUND_HALF_UP)
    return found if abs(found) < limit else None


def _rounded(values: Values, kind: pa.DataType, precision: int, scale: int) -> Made | None:
    """Round a column of plain numbers of at most 14 digits; None where it has others."""
    try:
        floats = np.array(values, np.float64)  # None is NaN
    except OverflowError:
        return None
    absent = np.isnan(floats)
    scaled = np.abs(floats) * 10.0**scale
    scaled[absent] = 0.0
    if scaled.size and scaled.max() >= 10.0 ** min(precision, 14):
        return None
    odd = []
    whole = np.floor(scaled + 0.5).astype(np.int64)
    whole[floats < 0] *= -1
    for row in np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < 1e-4).tolist():
        # so near to a half that the digits decide
        exact = _quantized(values[row], Decimal(1).scaleb(-scale), Decimal(10) ** (precision - scale))
        if exact is None:
            odd.append(row)
        else:
            whole[row] = int(exact.scaleb(scale))
    if np.abs(whole).max(initial=0) >= 10**precision:  # it has a digit more now that it is rounded
        return None
    words = np.empty((len(whole), 2), np.int64)
    words[:, 0], words[:, 1] = whole, whole >> 63
    valid = pa.py_buffer(np.packbits(~absent, bitorder="little"))
    return Made(pa.Array.from_buffers(kind, len(whole), [valid, pa.py_buffer(words)]), odd)
