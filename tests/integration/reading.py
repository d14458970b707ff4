"""An independent reading of responses in plain Python: members become columns by their names, never by the mapping.

Every scalar member of an object a reader looks at becomes a column (`gamePk` is `game_pk`) unless it is named otherwise
or left out by hand: a member that no table has a column for fails the comparison, as a wrong value does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

Json = Any
Row = dict[str, Any]
Key = tuple[Any, ...]


def at(value: Json, path: str) -> Json:
    """Return what lies at a dotted path, or None where the path ends early."""
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def snake(name: str) -> str:
    """`strikeoutsPer9Inn` is `strikeouts_per_9_inn`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Z])", "_", name).lower()


def scalars(value: Json, prefix: str = "", named: Mapping[str, str] | None = None, drop: str = "link") -> Row:
    """Return the scalar members of an object as columns; `named` gives other names, `drop` lists members left out."""
    found: Row = {}
    for name, member in (value or {}).items():
        if not isinstance(member, dict | list) and name not in drop.split():
            found[prefix + (named or {}).get(name, snake(name))] = member
    return found


def typed(value: Json, sql_type: str) -> Any:
    """Return a JSON value as a column of this type has it: half up, UTC, NULL for a placeholder such as .---."""
    name = sql_type.split("(")[0]
    if value is None:
        return None
    if name == "JSONB":
        return json.dumps(value, sort_keys=True)
    if name in ("SMALLINT", "INT", "BIGINT"):
        return int(value)
    if name == "NUMERIC":
        scale = int(sql_type.rstrip(")").split(",")[1])
        try:
            return Decimal(str(value)).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
        except InvalidOperation:
            return None
    if name in ("DOUBLE", "BOOLEAN"):
        return float(value) if name == "DOUBLE" else bool(value)
    if name == "DATE":
        return date.fromisoformat(str(value)[:10])
    if name == "TIMESTAMPTZ":
        return datetime.fromisoformat(value).astimezone(UTC)
    return str(value)


def stored(value: Any, sql_type: str) -> Any:
    """Return a value of a table as `typed` gives it."""
    if value is not None and sql_type == "JSONB":
        return json.dumps(json.loads(value), sort_keys=True)
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def outs_of(innings: Json) -> int | None:
    """Return the outs of innings as they are printed: 5.2 are five innings and two outs."""
    if innings is None or not re.fullmatch(r"\d+\.\d", str(innings)):
        return None
    whole, part = str(innings).split(".")
    return int(whole) * 3 + int(part)


def add_up(rows_by_age: Iterable[tuple[Key, Row]], clears: Mapping[str, Sequence[str]]) -> dict[Key, Row]:
    """Put rows of one key together, oldest first: what a later one tells counts, what it leaves out stays.

    `clears`: columns that go empty where a later row has the column they are listed under, but not them.
    """
    found: dict[Key, Row] = {}
    for key, row in rows_by_age:
        kept = found.setdefault(key, {})
        for teller, cleared in clears.items():
            if row.get(teller) is not None:
                for name in cleared:
                    kept.pop(name, None)
        kept |= {name: value for name, value in row.items() if value is not None}
    return found


def differences(table: str, types: Mapping[str, str], got: dict[Key, Row], want: dict[Key, Row]) -> list[str]:
    """Return what differs: keys, values, and members of the JSON that the table has no column for."""
    wrong = [f"{table} lacks {k}" for k in want.keys() - got.keys()]
    wrong += [f"{table} has {k}, which no response has" for k in got.keys() - want.keys()]
    strange = {name for row in want.values() for name in row if name not in types}
    wrong += [f"{table} has no column for {name}" for name in sorted(strange)]
    for key in got.keys() & want.keys():
        for name, value in got[key].items():
            if stored(value, types[name]) != want[key].get(name):
                wrong.append(f"{table} {key} {name}: {value!r} instead of {want[key].get(name)!r}")
    return wrong
