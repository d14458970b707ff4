"""The column types a mapping may use."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
