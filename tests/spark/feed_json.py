"""Reading values of a JSON document in plain Python: paths that may end early, and the types of the tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

Row = dict[str, Any]
Json = Any


def at(value: Json, path: str) -> Json:
    """Return the value at a dotted path, or None where the path ends early."""
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def first(value: Json, *paths: str) -> Json:
    """Return the first value of several paths that is there and not null."""
    return next((v for v in (at(value, p) for p in paths) if v is not None), None)


def whole(value: Json) -> int | None:
    """Return an integer of a number or of a text such as 300."""
    return None if value is None else int(value)


def text(value: Json) -> str | None:
    """Return a text as it is."""
    return None if value is None else str(value)


def real(value: Json) -> float | None:
    """Return a double."""
    return None if value is None else float(value)


def decimal(scale: int) -> Callable[[Json], Decimal | None]:
    """Return what rounds a number or a text half up to `scale` digits; a placeholder such as .--- gives None."""

    def convert(value: Json) -> Decimal | None:
        if value is None:
            return None
        try:
            return Decimal(str(value)).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
        except InvalidOperation:
            return None

    return convert


def day(value: Json) -> date | None:
    """Return a date of its ISO text."""
    return None if value is None else date.fromisoformat(value[:10])


def moment(value: Json) -> datetime | None:
    """Return a time in UTC of its ISO text."""
    return None if value is None else datetime.fromisoformat(value).astimezone(UTC)


def stamp(value: Json) -> datetime | None:
    """Return a time in UTC of a feed stamp such as 20240713_041909."""
    return None if value is None else datetime.strptime(value, "%Y%m%d_%H%M%S").replace(tzinfo=UTC)


two, three = decimal(2), decimal(3)
