"""The column types a mapping may use."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

_BARE = {"SMALLINT", "INT", "BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMPTZ", "TEXT", "JSONB"}
_ALIASES = {
    "INTEGER": "INT", "INT4": "INT", "INT8": "BIGINT", "INT2": "SMALLINT", "BOOL": "BOOLEAN", "FLOAT8": "DOUBLE",
    "DOUBLE PRECISION": "DOUBLE", "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "DECIMAL": "NUMERIC", "STRING": "TEXT",
    "JSON": "JSONB",
}  # fmt: skip
_PATTERN = re.compile(r"^\s*([A-Za-z][A-Za-z0-9 ]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*$")


@dataclass(frozen=True)
class SqlType:
    """A parsed column type: `name` in canonical spelling, `args` its length, or precision and scale."""

    name: str
    args: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({','.join(map(str, self.args))})" if self.args else self.name

    @property
    def is_text(self) -> bool:
        """Whether values are plain text."""
        return self.name in {"VARCHAR", "TEXT"}

    @property
    def is_integer(self) -> bool:
        """Whether values are whole numbers."""
        return self.name in {"SMALLINT", "INT", "BIGINT"}

    @property
    def is_number(self) -> bool:
        """Whether values are numbers."""
        return self.is_integer or self.name in {"NUMERIC", "DOUBLE"}


def parse_type(text: str) -> SqlType:
    """Parse `VARCHAR(50)`, `NUMERIC(5,2)`, `BIGINT`, …; raise ValueError with what is allowed."""
    match = _PATTERN.match(text)
    if match:
        name = _ALIASES.get(match[1].upper(), match[1].upper())
        args = tuple(int(a) for a in match.groups()[1:] if a is not None)
        if name in _BARE and not args:
            return SqlType(name)
        if name == "VARCHAR" and len(args) == 1 and args[0] > 0:
            return SqlType(name, args)
        if name == "NUMERIC" and args and 0 < args[0] <= 38 and (len(args) == 1 or args[1] <= args[0]):
            return SqlType(name, (args[0], args[1] if len(args) == 2 else 0))
    allowed = ", ".join(sorted(_BARE))
    raise ValueError(f"unknown type {text!r}: use one of {allowed}, VARCHAR(n), NUMERIC(p,s)")


_BITS = {"SMALLINT": 15, "INT": 31, "BIGINT": 63}
_TRUTHS = {"true", "false", "t", "f", "yes", "no", "y", "n", "1", "0"}
_FORMAT_RUN = re.compile(r"a|[dHhKkms]{1,2}|D{1,3}|[GLMz]{1,4}|[XxZ]{1,5}|y{1,6}|S{1,9}|VV|[Ov](?:.{3})?|g+")
"""Runs of one letter that Spark reads in a format."""


def is_of_type(value: str | int | float | bool, sql_type: SqlType) -> bool:
    """Tell whether a constant or default of a mapping is a value of a column's type."""
    text = str(value).lower() if isinstance(value, bool) else str(value).strip()
    try:
        if sql_type.is_integer:
            return -(1 << _BITS[sql_type.name]) <= int(text) < 1 << _BITS[sql_type.name]
        if sql_type.name == "DOUBLE":
            return math.isfinite(float(text))
        if sql_type.name == "NUMERIC":
            precision, scale = sql_type.args
            rounded = Decimal(text).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
            return abs(rounded) < Decimal(10) ** (precision - scale)
        if sql_type.name == "DATE":
            return re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None and bool(date.fromisoformat(text))
        if sql_type.name == "TIMESTAMPTZ":
            return re.match(r"\d{4}-\d\d-\d\d", text) is not None and bool(datetime.fromisoformat(text))
    except (ValueError, InvalidOperation):
        return False
    if sql_type.name == "BOOLEAN":
        return text.lower() in _TRUTHS
    return not sql_type.args or len(str(value)) <= sql_type.args[0]


def check_format(text: str) -> None:
    """Raise ValueError for a format of dates or times that Spark does not read, or that cannot mean what it says."""
    plain = re.sub(r"'[^']*'", "", text)
    runs = [found[0] for found in re.finditer(r"([A-Za-z])\1*", plain)]
    for run in runs:
        if not _FORMAT_RUN.fullmatch(run):
            hint = {"Y": ": a year is yyyy", "T": ": quote it, 'T'"}.get(run[0], "")
            raise ValueError(f"format {text!r}: {run} is nothing that Spark reads{hint}")
    if re.search("[#{}']", plain):
        raise ValueError(f"format {text!r}: #, {{, }} or a single quote is nothing that Spark reads")
    letters = {run[0] for run in runs}
    if "m" in letters and not letters & set("HhKk"):
        raise ValueError(f"format {text!r}: mm are minutes, and no hour is there; a month is MM")
    if "D" in letters and letters & set("ML"):
        raise ValueError(f"format {text!r}: DD is the day of the year; a day of the month is dd")
