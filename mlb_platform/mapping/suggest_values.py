"""Types and names for a proposed mapping: from the values of a column, and from the names in the JSON."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Any

from mlb_platform.mapping.checks import HISTORY_COLUMNS
from mlb_platform.mapping.resolve import TECHNICAL
from mlb_platform.mapping.sql import columns_of

LENGTHS = (10, 20, 50, 100, 200, 500)
LONGEST = 63
MARGIN = 2
"""How much longer texts may become: a column is at least this many times as long as the longest value seen."""
OWN_COLUMNS = frozenset({*TECHNICAL, *HISTORY_COLUMNS, "captured_at"})
"""Names that the platform itself gives to columns of a table or of its history."""
_INT, _BIGINT = 2**31, 2**63
_DIGITS, _SCALE = 3, 6
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})")


def type_of(values: Iterable[Any]) -> str:
    """Return the column type that takes all of these scalar values (null aside) as they are.

    Whole numbers are INT, or BIGINT where they are larger; decimals are NUMERIC with three more digits before the point
    than seen, or DOUBLE with more than six behind it. Texts are DATE or TIMESTAMPTZ where all are, else VARCHAR(n) with
    room for twice the longest, else TEXT. What is of several kinds is text.
    """
    known = [v for v in values if v is not None]
    types = {type(v) for v in known}
    if types == {bool}:
        return "BOOLEAN"
    if types == {int}:
        largest = max(map(abs, known))
        return "INT" if largest < _INT else "BIGINT" if largest < _BIGINT else "NUMERIC(38,0)"
    if types and types <= {int, float}:
        return _decimal(known)
    texts = [v if isinstance(v, str) else str(v) for v in known]
    if types == {str}:
        if all(_is_date(t) for t in texts):
            return "DATE"
        if all(_is_instant(t) for t in texts):
            return "TIMESTAMPTZ"
    needed = MARGIN * max(map(len, texts), default=0)
    return next((f"VARCHAR({n})" for n in LENGTHS if n >= needed), "TEXT")


def _decimal(values: Sequence[int | float]) -> str:
    texts = [repr(abs(v)) for v in values]
    if any("e" in t or "n" in t for t in texts):
        return "DOUBLE"
    whole = max(len(t.split(".")[0]) for t in texts)
    scale = max(len(t.split(".")[1]) if "." in t else 0 for t in texts)
    digits = whole + _DIGITS + scale
    return f"NUMERIC({digits},{scale})" if scale <= _SCALE and digits <= 38 else "DOUBLE"


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def _is_instant(text: str) -> bool:
    try:
        return bool(_INSTANT.fullmatch(text) and datetime.fromisoformat(text))
    except ValueError:
        return False


def snake(name: str) -> str:
    """Return a name of the JSON in the style of columns: `calendarEventID` gives `calendar_event_id`."""
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name))
    text = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return text if text[:1].isalpha() else f"x_{text}".rstrip("_")


def singular(name: str) -> str:
    """Return what one of several is called, as well as English spelling tells: `teams` gives `team`."""
    if name == "people":
        return "person"
    if name.endswith("ies"):
        return f"{name[:-3]}y"
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def column_name(steps: Sequence[str], row: str, taken: Collection[str]) -> str:
    """Return a column name for a path below the element of a row (`row`: what one is called) that is not taken.

    The name is that of the path in snake case; an `id` of the element itself takes the row's name before it.
    """
    words = [snake(s) for s in steps]
    if words in (["id"], ["pk"], ["name"], ["code"], ["key"]):
        words = [row, *words]
    while len("_".join(words)) > LONGEST - 3 and len(words) > 1:
        words = words[1:]
    return free_name("_".join(words)[: LONGEST - 3].strip("_") or "value", {*taken, *OWN_COLUMNS})


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name that neither is taken nor means something else in SQL: the name, or it with a word or number."""
    if not _is_plain(name):
        name = f"{name}_value"
    found, n = name, 1
    while found in taken:
        n += 1
        found = f"{name}_{n}"
    return found


def _is_plain(name: str) -> bool:
    """Tell whether a name by itself is a column to the SQL of rules."""
    try:
        return list(columns_of(f"{name} IS NOT NULL AND {name} > 0")) == [name]
    except ValueError:
        return False
