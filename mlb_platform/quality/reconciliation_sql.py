"""Small pieces of SQL that the rules of reconciliation are put together from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence


def quoted(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def statement(facts: Mapping[str, str], select: str) -> str:
    """Return a select, which may begin with `WITH`, over those facts that it names, and that they name in turn."""
    wanted: list[str] = []
    text = select
    for name in reversed(list(facts)):
        if re.search(rf"\b{name}\b", text):
            wanted.insert(0, facts[name])
            text += facts[name]
    own = select.strip().removeprefix("WITH ")
    comma = ",\n" if own != select.strip() else "\n"
    return f"WITH {(',' + chr(10)).join(wanted)}{comma}{own}" if wanted else select.strip()


def unpivoted(pairs: Mapping[str, str], alias: str = "m") -> str:
    """Return a lateral list of measures and their values, to be joined to each row: `m (measure, value)`."""
    rows = ", ".join(f"({quoted(measure)}, ({value})::numeric)" for measure, value in pairs.items())
    return f"CROSS JOIN LATERAL (VALUES {rows}) {alias} (measure, value)"


def choice(names: Sequence[str]) -> str:
    """Return a list of texts for IN."""
    return "(" + ", ".join(quoted(n) for n in names) + ")"
