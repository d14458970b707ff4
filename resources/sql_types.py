"""The one place that knows what a column type of a mapping is in PostgreSQL, in Arrow and in Delta."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from resources.errors import PlatformError

_PATTERN = re.compile(r"^([A-Z]+)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?$")
_MAX_DIGITS = 38
_INTEGERS = {"SMALLINT": 5, "INT": 10, "BIGINT": 19}
_ARROW: dict[str, pa.DataType] = {
    "SMALLINT": pa.int16(),
    "INT": pa.int32(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
    "VARCHAR": pa.string(),
    "TEXT": pa.string(),
    "JSONB": pa.string(),
}
_DELTA = {
    "SMALLINT": "short",
    "INT": "integer",
    "BIGINT": "long",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMPTZ": "timestamp",
    "VARCHAR": "string",
    "TEXT": "string",
    "JSONB": "string",
}
_POSTGRES = {"INT": "integer", "DOUBLE": "double precision", "TIMESTAMPTZ": "timestamp with time zone"}
_FROM_POSTGRES = {
    **{value: key for key, value in _POSTGRES.items()},
    "smallint": "SMALLINT",
    "bigint": "BIGINT",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "text": "TEXT",
    "jsonb": "JSONB",
}
_FROM_DELTA = {
    "short": "SMALLINT",
    "integer": "INT",
    "long": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "string": "TEXT",
}


@dataclass(frozen=True)
class SqlType:
    """A column type taken apart: `base` name, `length` of a VARCHAR, `precision` and `scale` of a NUMERIC."""

    base: str
    length: int | None = None
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        """Return the mapping's spelling, e.g. `NUMERIC(5,2)`."""
        if self.base == "NUMERIC":
            return f"NUMERIC({self.precision},{self.scale})"
        return f"VARCHAR({self.length})" if self.base == "VARCHAR" else self.base


@cache
def parse_type(text: str) -> SqlType:
    """Take the mapping's spelling of a type apart; raise PlatformError for one that no sink knows."""
    match = _PATTERN.match(text.strip().upper())
    base, first, second = match.groups() if match else ("", None, None)
    if base == "NUMERIC" and first is not None:
        precision, scale = int(first), int(second or 0)
        if 1 <= precision <= _MAX_DIGITS and scale <= precision:
            return SqlType("NUMERIC", precision=precision, scale=scale)
    elif base == "VARCHAR" and first is not None and second is None and int(first) > 0:
        return SqlType("VARCHAR", length=int(first))
    elif base in _ARROW and base != "VARCHAR" and first is None:
        return SqlType(base)
    known = "SMALLINT, INT, BIGINT, DOUBLE, NUMERIC(p,s), BOOLEAN, DATE, TIMESTAMPTZ, VARCHAR(n), TEXT, JSONB"
    raise PlatformError(f"unknown column type {text!r}; use one of {known} (p up to {_MAX_DIGITS}, s up to p)")


def arrow_type(text: str) -> pa.DataType:
    """Return the Arrow type of a column of type `text`; JSONB is a string."""
    parsed = parse_type(text)
    return pa.decimal128(parsed.precision, parsed.scale) if parsed.base == "NUMERIC" else _ARROW[parsed.base]


def delta_type(text: str) -> str:
    """Return the name of the Delta type of a column of type `text`; JSONB is a string."""
    parsed = parse_type(text)
    return f"decimal({parsed.precision},{parsed.scale})" if parsed.base == "NUMERIC" else _DELTA[parsed.base]


def postgres_type(text: str) -> str:
    """Return the PostgreSQL type of a column of type `text`, fit for DDL."""
    parsed = parse_type(text)
    return _POSTGRES.get(parsed.base, str(parsed).lower())


def from_postgres(text: str) -> str:
    """Return the mapping's spelling of what PostgreSQL's format_type gives; an unknown type stays as it is."""
    varchar = re.fullmatch(r"character varying\((\d+)\)", text)
    if varchar:
        return f"VARCHAR({varchar[1]})"
    return _FROM_POSTGRES.get(text, text.upper() if text.startswith("numeric(") else text)


def from_delta(text: str, remembered: str | None = None) -> str:
    """Return the mapping's spelling of a Delta type; `remembered` (the column's metadata) wins where it fits."""
    if remembered and delta_type(remembered) == text:
        return str(parse_type(remembered))
    return _FROM_DELTA.get(text, text.upper().replace("DECIMAL", "NUMERIC"))


def widens(old: str, new: str) -> bool:
    """Tell whether every value of type `old` is kept, unchanged, in a column of type `new`."""
    try:
        before, after = parse_type(old), parse_type(new)
    except PlatformError:
        return False
    if before == after:
        return True
    if before.base in _INTEGERS:
        digits = _INTEGERS[before.base]
        if after.base in _INTEGERS:
            return _INTEGERS[after.base] >= digits
        if after.base == "NUMERIC":
            return after.precision - after.scale >= digits
        return after.base == "DOUBLE" and before.base != "BIGINT"
    if before.base == "NUMERIC" and after.base == "NUMERIC":
        whole = after.precision - after.scale >= before.precision - before.scale
        return after.scale >= before.scale and whole
    if before.base == "VARCHAR":
        return after.base == "TEXT" or (after.base == "VARCHAR" and (after.length or 0) >= (before.length or 0))
    return False
