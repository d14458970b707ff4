"""Keys for a proposed mapping: what tells the rows of one document apart, by the values in the payloads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from mlb_platform.mapping.paths import ITEMS, MEMBERS
from mlb_platform.mapping.shape import Steps

MOST = 3
"""The most columns of an element that are tried together."""
LONGEST = 50
"""Texts longer than this are no ids; plain texts of an array never are."""
TRIED = 12
"""How many columns of an element are tried."""
ENOUGH = 5
"""From so many rows in one document on, an id is trusted to be unique in it by itself."""
_SURE = 10
_RANKS = (
    r"(id|pk|gamePk|.*(Id|Pk|ID|_id|_pk))",
    r"(.*[iI]ndex|num|.*[nN]umber|.*[nN]um|ordinal)",
    r"(code|key|date|season|year|inning|.*(Code|Key|Date|Season|Inning))",
)


@dataclass(frozen=True)
class Row:
    """One element with the elements it lies in, the document first, and the id of its own place if it is keyed."""

    document: int
    chain: tuple[Any, ...]


@dataclass(frozen=True)
class KeyPart:
    """A column of a key: a path in the element `level` levels above (0: the row's own), or `$position` / `$key`."""

    steps: Steps
    level: int = 0
    place: str | None = None


@dataclass
class Keys:
    """The key of a target's rows within a document, and the same by paths alone, which rows below can refer to."""

    own: tuple[KeyPart, ...]
    portable: tuple[KeyPart, ...] | None = field(default=None)


def rows_at(documents: Sequence[Any], steps: Steps) -> Iterator[Row]:
    """Yield the rows at `steps`, which end in `[*]` or `{*}`; null elements are none."""
    for n, document in enumerate(documents):
        for chain in _chains(document, steps, (document,)):
            yield Row(n, chain)


def _chains(value: Any, steps: Steps, chain: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    for n, step in enumerate(steps):
        if step in (ITEMS, MEMBERS):
            members = value if step == ITEMS else value.values() if isinstance(value, dict) else ()
            for member in members if step == MEMBERS or isinstance(members, list) else ():
                if member is not None:
                    rest = steps[n + 1 :]
                    yield from _chains(member, rest, (*chain, member)) if rest else ((*chain, member),)
            return
        value = value.get(step) if isinstance(value, dict) else None


def value_at(element: Any, steps: Steps) -> Any:
    """Return the value at a path of plain names in an element; None where there is none."""
    for step in steps:
        element = element.get(step) if isinstance(element, dict) else None
    return element


def rank(steps: Steps) -> int | None:
    """Return how much like an id the name of a path is, 0 most, below 10 an id for sure; None for what is none."""
    if not steps:
        return 0
    for n, pattern in enumerate(_RANKS):
        if re.fullmatch(pattern, steps[-1]):
            return 10 * n + len(steps)
    return None


def is_unique(rows: Sequence[Row], parts: Sequence[KeyPart]) -> bool:
    """Tell whether the values of the parts are there in every row and no two rows of a document share them."""
    seen = set()
    for row in rows:
        values = tuple(value_at(row.chain[-1 - p.level], p.steps) for p in parts)
        if any(v is None or isinstance(v, dict | list | bool | float) for v in values):
            return False
        if any(isinstance(v, str) and (not p.steps or len(v) > LONGEST) for v, p in zip(values, parts, strict=True)):
            return False
        seen.add((row.document, *map(str, values)))
    return len(seen) == len(rows)


def _lie_together(rows: Sequence[Row], above: Sequence[KeyPart]) -> bool:
    """Tell whether any enclosing element has two of these rows."""
    seen = set()
    for row in rows:
        place = (row.document, *(str(value_at(row.chain[-1 - p.level], p.steps)) for p in above))
        if place in seen:
            return True
        seen.add(place)
    return False


def find_keys(rows: Sequence[Row], scalars: Sequence[Steps], above: Keys | None, keyed: bool) -> Keys | None:
    """Return the keys of rows whose element has these scalar paths; `above` are those of the enclosing rows.

    One column that is like an id and unique under the key of the enclosing row; else the place in the array, or the id
    in the object, where rows below can still refer to several such columns that are unique together. None when the
    enclosing rows have no key that these can refer to, and no id tells these apart in the whole document.
    """
    base = None if above is None or above.portable is None else tuple(_raised(p) for p in above.portable)
    ranked = sorted(((r, s) for s in scalars if (r := rank(s)) is not None), key=lambda pair: pair[0])
    if base is None:
        ids = [s for r, s in ranked if r < _SURE] if _most_rows(rows) >= ENOUGH else []
        found = _unique(rows, (), ids, 1)
        return None if found is None else Keys(found, found)
    # where nowhere two rows lie together, uniqueness shows nothing: only an id can be trusted to be one
    shown = _lie_together(rows, base)
    candidates = [s for _, s in ranked[:TRIED]] if shown else [s for r, s in ranked if r < _SURE][:1]
    found = _unique(rows, base, candidates, 1)
    if found is not None:
        return Keys(found, found)
    own = (*base, KeyPart((), place="$key" if keyed else "$position"))
    several = (_unique(rows, base, candidates, n) for n in range(2, MOST + 1))
    return Keys(own, next((p for p in several if p is not None), None))


def _unique(
    rows: Sequence[Row], base: tuple[KeyPart, ...], candidates: Sequence[Steps], size: int
) -> tuple[KeyPart, ...] | None:
    """Return the base with the first `size` candidates that are unique together under it."""
    for chosen in combinations(candidates, size):
        parts = (*base, *(KeyPart(steps) for steps in chosen))
        if is_unique(rows, parts):
            return parts
    return None


def _most_rows(rows: Sequence[Row]) -> int:
    return max(Counter(row.document for row in rows).values(), default=0)


def _raised(part: KeyPart) -> KeyPart:
    return KeyPart(part.steps, part.level + 1)
