"""One column of a passport: what it holds, where that stands, and in words how the one became the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from mlb_platform.lineage.captures import Capture, Told
from mlb_platform.lineage.origins import Found, winner
from mlb_platform.lineage.pointers import Cell, Place
from mlb_platform.lineage.rows import needed_for
from mlb_platform.lineage.values import cast, text_of
from mlb_platform.lineage.verdicts import RuleVerdict
from mlb_platform.mapping.resolve import Column, ResolvedMapping

How = Literal[
    "json", "key", "position", "default", "nothing", "misfit", "constant", "expression", "request", "told", "run"
]
"""json: a value of the document; key: a member's name; position: an item's number; request: what was asked for and
when; told: by another response; run: by the run that wrote the row."""


@dataclass(frozen=True)
class Read:
    """A column that an expression reads, with the place of its value."""

    column: str
    pointer: str | None
    raw: Any


@dataclass(frozen=True)
class ColumnPassport:
    """Where the value of one column of a row comes from.

    `agrees`: whether the value, worked out anew from `raw` in plain Python (an expression in DuckDB), is the stored
    one; None where that cannot be told. `why` says in words what the pointer does not.
    """

    name: str
    type: str
    value: Any
    how: How
    capture: Capture | None
    pointer: str | None = None
    raw: Any = None
    path: str = ""
    why: str = ""
    expression: str | None = None
    reads: tuple[Read, ...] = ()
    agrees: bool | None = None
    rules: tuple[RuleVerdict, ...] = ()


def describe(
    column: Column,
    stored: Any,
    source: Found,
    found: Sequence[Found],
    mapping: ResolvedMapping,
    told: Told | None,
    verdicts: Sequence[RuleVerdict],
) -> ColumnPassport:
    """Return the passport of a column, whose value the capture of `source` says."""
    rules = tuple(v for v in verdicts if column.name in v.columns)
    f = column.field
    agrees: bool | None = None
    if column.name in source.values and not column.technical:
        agrees = same(source.values[column.name], stored, column)
    base: dict[str, Any] = {
        "name": column.name, "type": str(column.type), "value": stored, "capture": source.capture, "rules": rules,
        "agrees": agrees,
    }  # fmt: skip
    if column.technical:
        return ColumnPassport(**base | _technical(column, source))
    if column.origin == "constant":
        value = source.row.constant(f) if f is not None else None
        place = source.row.source.source
        why = f"the same in every row from {place}" if place else "the same in every row"
        return ColumnPassport(**base, how="constant", raw=value, why=why)
    if column.origin == "expression" and f is not None:
        reads = tuple(_read(c, winner(list(found), c) or source) for c in needed_for(source.row.target, column))
        text = "" if agrees is not None else "DuckDB cannot work this expression out"
        return ColumnPassport(**base, how="expression", expression=f.expression, reads=reads, why=text)
    cell = source.cell(column)
    if cell is not None:
        return ColumnPassport(**base | _of_cell(column, cell, source))
    if column.origin == "partition" and told is not None:
        return ColumnPassport(**base | _of_told(told, stored))
    return ColumnPassport(**base | _of_request(column, source, mapping))


def same(one: Any, other: Any, column: Column) -> bool:
    """Whether two values of a column are the same; JSON whatever its spaces and order."""
    if one is None or other is None:
        return one is other
    if column.type.name == "JSONB":
        return bool(json.loads(one) == json.loads(other))
    if column.type.name == "NUMERIC":
        return Decimal(one) == Decimal(other)
    return bool(one == other)


def _of_cell(column: Column, cell: Cell, source: Found) -> dict[str, Any]:
    passed = [_nothing(p) for p in cell.passed]
    given = {"pointer": cell.place.pointer, "path": cell.path}
    if cell.place.kind in ("key", "position"):
        what = "the name of the member there" if cell.place.kind == "key" else "the number of the item there"
        return given | {"how": cell.place.kind, "raw": cell.raw, "why": "; ".join([*passed, what])}
    f = column.field
    if cell.raw is not None:
        if cast(text_of(cell.raw), column.type, f.format if f else None) is None:
            lenient = ", as the mapping expects (lenient)" if f is not None and f.lenient else ""
            passed.append(f"it is no {column.type}, so the column is null{lenient}")
            return given | {"how": "misfit", "raw": cell.raw, "why": "; ".join(passed)}
        return given | {"how": "json", "raw": cell.raw, "why": "; ".join(passed)}
    part = source.misfit(cell)
    if not cell.path:
        passed.append(f"rows from {source.row.source.source or '$'} have no path for it")
    elif part is not None:
        passed.append(f"{part.pointer or 'the document'} is a JSON {part.found} where {part.expected} is expected")
    else:
        passed.append(_nothing(cell.place, cell.path))
    if f is not None and f.default is not None:
        return given | {"how": "default", "why": "; ".join([*passed, f"the mapping's default is {f.default}"])}
    return given | {"how": "misfit" if part else "nothing", "why": "; ".join(passed)}


def _nothing(place: Place, path: str = "") -> str:
    if place.pointer is None:
        return f"{path or 'its path'} leads nowhere: no element matches" if place.kind == "value" else (
            f"{path or 'its path'} leads nowhere: there is no key to look up"
        )  # fmt: skip
    return f"{place.pointer} is null" if place.there else f"nothing at {place.pointer}"


def _technical(column: Column, source: Found) -> dict[str, Any]:
    if column.name in ("transform_timestamp", "lineage_metadata"):
        return {"how": "run", "why": "noted by the run that changed the row last"}
    return {"how": "request", "raw": source.capture.captured_at, "why": "captured_at of the raw row"}


def _of_told(told: Told, stored: Any) -> dict[str, Any]:
    place = told.place
    given = {"how": "told", "capture": told.capture}
    if place is None:
        return given | {"why": f"said by a response in {told.source}"}
    agrees = place.value == stored.isoformat() if stored is not None else None
    why = "the document does not say it, this response does"
    return given | {"pointer": place.pointer, "raw": place.value, "why": why, "agrees": agrees}


def _of_request(column: Column, source: Found, mapping: ResolvedMapping) -> dict[str, Any]:
    capture = source.capture
    if column.origin == "partition":
        asked = capture.params.get("date")
        raw = asked if asked is not None else capture.captured_at
        return {
            "how": "request",
            "raw": raw,
            "why": f"the {'date asked for' if asked else 'day it was captured (UTC)'}",
        }
    template = mapping.entity_key.template
    made = f"the raw row's entity_key, made by {template}" if template else "the raw row's entity_key"
    return {"how": "request", "raw": capture.entity_key, "why": made}


def _read(column: Column, source: Found) -> Read:
    cell = source.cell(column)
    if cell is None:
        return Read(column.name, None, source.values.get(column.name))
    return Read(column.name, cell.place.pointer, cell.raw)
