"""Profile rows that are in hand as Arrow: the same figures as Spark gives, in milliseconds a table, without a job."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlb_platform.quality.profile import (
    BINS,
    QUANTILES,
    SHOWN_LENGTH,
    TOP,
    ColumnProfile,
    DataProfile,
    Inferred,
    Value,
    histogram,
    inferred,
)

_NAMES = {
    pa.bool_(): "boolean", pa.int8(): "tinyint", pa.int16(): "smallint", pa.int32(): "int", pa.int64(): "bigint",
    pa.float32(): "float", pa.float64(): "double", pa.date32(): "date", pa.string(): "string",
    pa.large_string(): "string", pa.binary(): "binary", pa.null(): "void",
}  # fmt: skip
_PLACED = ("integer", "number", "date", "time")
_INT = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})")
_DOUBLE = re.compile(r"(?![+-]?0[0-9])[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?")


def profile_table(rows: pa.Table, columns: Sequence[str] | None = None) -> DataProfile:
    """Profile columns of a table (None: all); raise ValueError for one that it does not have."""
    unknown = [c for c in columns or () if c not in rows.column_names]
    if unknown:
        raise ValueError(f"the table has no column {unknown[0]}; it has: {', '.join(rows.column_names)}")
    names = rows.column_names if columns is None else [c for c in rows.column_names if c in columns]
    return DataProfile(rows.num_rows, tuple(_column(n, rows.column(n), rows.num_rows) for n in names))


def _kind(t: pa.DataType) -> str:
    tests: list[tuple[Callable[[pa.DataType], bool], str]] = [
        (pa.types.is_integer, "integer"), (pa.types.is_floating, "number"), (pa.types.is_decimal, "number"),
        (pa.types.is_date, "date"), (pa.types.is_timestamp, "time"), (pa.types.is_boolean, "boolean"),
        (pa.types.is_string, "text"), (pa.types.is_large_string, "text"),
    ]  # fmt: skip
    return next((kind for test, kind in tests if test(t)), "other")


def _name(t: pa.DataType) -> str:
    if pa.types.is_decimal(t):
        return f"decimal({t.precision},{t.scale})"
    return "timestamp" if pa.types.is_timestamp(t) else _NAMES.get(t, str(t))


def _column(name: str, column: pa.ChunkedArray, rows: int) -> ColumnProfile:
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind, spelled = _kind(column.type), _name(column.type)
    count = rows - column.null_count
    if not count:
        return ColumnProfile(name, spelled, kind, rows, 0, 0)
    if kind == "other":
        column = pa.chunked_array([[None if v is None else str(v) for v in column.to_pylist()]], pa.string())
    counted = pc.value_counts(column.drop_null())
    values, numbers = counted.field("values"), np.asarray(counted.field("counts"))
    facts: dict[str, Any] = {"top": _top(values, numbers, kind)}
    if kind in _PLACED:
        facts |= _placed(values, numbers, kind)
    else:
        # code points in their order, as UTF-8 has them
        shown = values if kind == "boolean" else pc.utf8_slice_codeunits(values, 0, SHOWN_LENGTH)
        extremes = pc.min_max(shown).as_py()
        facts |= {k: _text(v, kind) for k, v in extremes.items()}
    if kind == "text":
        lengths = pc.min_max(pc.utf8_length(values)).as_py()
        facts |= {"lengths": (lengths["min"], lengths["max"]), "inferred": _inferred(values, numbers, count)}
    return ColumnProfile(name, spelled, kind, rows, count, len(values), **facts)


def _placed(values: pa.Array, numbers: Any, kind: str) -> dict[str, Any]:
    """Return what follows from values having a place on a line: days and seconds since 1970 for dates and times."""
    x = _numbers(values, kind)
    finite = np.isfinite(x)
    facts: dict[str, Any] = {"not_finite": int(numbers[~finite].sum())}
    if not finite.any():
        return facts
    kept = np.flatnonzero(finite)
    order = kept[np.argsort(x[kept], kind="stable")]
    x, n = x[order], numbers[order]
    upto, total = np.cumsum(n), int(n.sum())
    found = [int(np.searchsorted(upto, q * total, side="left")) for q in QUANTILES]
    picked = values.take(pa.array([order[i] for i in (0, -1, *found)], pa.int64())).to_pylist()
    low, high, *quantiles = [_plain(v) for v in picked]
    facts |= {"min": low, "max": high, "quantiles": dict(zip(QUANTILES, quantiles, strict=True))}
    if kind in ("integer", "number"):
        mean = float((x * n).sum() / total)
        facts["mean"] = mean
        facts["stddev"] = math.sqrt(float((n * (x - mean) ** 2).sum()) / (total - 1)) if total > 1 else None
    lo, hi = float(x[0]), float(x[-1])
    width = max(1, math.ceil((hi - lo + 1) / BINS)) if kind in ("integer", "date") else (hi - lo) / BINS
    bins = np.zeros(len(x), np.int64) if hi == lo else np.minimum(BINS - 1, (x - lo) // width).astype(np.int64)
    counts = np.bincount(bins, weights=n, minlength=BINS).astype(np.int64).tolist()
    return facts | {"histogram": histogram(counts, lo, width, kind)}


def _numbers(values: pa.Array, kind: str) -> Any:
    if kind == "date":
        values = values.cast(pa.date32()).cast(pa.int32())
    if kind == "time":
        tz = values.type.tz
        return np.asarray(values.cast(pa.timestamp("us", tz)).cast(pa.int64()), np.float64) / 1e6
    return np.asarray(values.cast(pa.float64(), safe=False), np.float64)


def _plain(value: Any) -> Value:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    plain: Value = value
    return plain


def _top(values: pa.Array, numbers: Any, kind: str) -> tuple[tuple[str, int], ...]:
    """Return the most frequent values as texts; of equally frequent ones the first by text."""
    counted = pa.table({"n": pa.array(numbers), "s": values.cast(pa.string())})
    first = pc.select_k_unstable(counted, TOP, [("n", "descending"), ("s", "ascending")])
    pairs = zip(values.take(first).to_pylist(), numbers[np.asarray(first)], strict=True)
    return tuple((_text(value, kind)[:SHOWN_LENGTH], int(n)) for value, n in pairs)


def _text(value: Any, kind: str) -> str:
    """Return a value as Spark writes it."""
    if kind == "boolean":
        return str(value).lower()
    if isinstance(value, datetime):
        moment = (value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None)
        text = moment.isoformat(" ")
        return text.rstrip("0") if moment.microsecond else text
    if isinstance(value, float):
        return _float_text(value)
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _float_text(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    if value and not 1e-3 <= abs(value) < 1e7:  # Java's notation
        mantissa, _, exponent = f"{Decimal(repr(value)).normalize():E}".partition("E")
        return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}E{int(exponent)}"
    return repr(value)


def _inferred(values: pa.Array, numbers: Any, count: int) -> Inferred | None:
    texts = values.to_pylist()
    tests: dict[str, Callable[[str], bool]] = {
        "BOOLEAN": lambda s: s.lower() in ("true", "false"),
        "BIGINT": lambda s: _INT.fullmatch(s) is not None,
        "DOUBLE": lambda s: _DOUBLE.fullmatch(s) is not None,
        "DATE": _is_date,
        "TIMESTAMPTZ": _is_instant,
        "JSONB": _is_json,
    }
    # a type that the first hundred different texts are mostly not of is not tried on the others
    few = texts[:100]
    able = {name: test for name, test in tests.items() if len(texts) <= 100 or sum(map(test, few)) > 10}
    fitting = {
        name: int(sum(int(n) for s, n in zip(texts, numbers, strict=True) if test(s))) for name, test in able.items()
    }
    return inferred(fitting, count)


def _is_date(text: str) -> bool:
    try:
        return re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_instant(text: str) -> bool:
    if re.match(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:", text, re.ASCII) is None:
        return False
    try:
        return bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _is_json(text: str) -> bool:
    import orjson

    if text[:1] not in ("[", "{"):
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
