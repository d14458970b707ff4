"""Small pieces of SQL that the rules of reconciliation are put together from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


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


@dataclass(frozen=True)
class Measures:
    """Several measures of each row of a select, `m.measure` each, and the expressions of what is told of them.

    Which of the expressions counts is chosen by CASE: those of a lateral VALUES would be compiled anew for every row.
    """

    of: Mapping[str, Sequence[str]]
    """By measure the expressions, of the same types and as many for each."""

    @property
    def join(self) -> str:
        """What is joined to each row."""
        rows = ", ".join(f"({number}, {quoted(measure)})" for number, measure in enumerate(self.of))
        return f"CROSS JOIN (VALUES {rows}) m (number, measure)"

    def __getitem__(self, place: int) -> str:
        """Return what stands at a place, of the measure at hand."""
        cases = " ".join(f"WHEN {number} THEN {told[place]}" for number, told in enumerate(self.of.values()))
        return f"(CASE m.number {cases} END)"


def numbers(of: Mapping[str, str]) -> Measures:
    """Return measures with a number each."""
    return Measures({measure: [f"({number})::numeric"] for measure, number in of.items()})


def choice(names: Sequence[str]) -> str:
    """Return a list of texts for IN."""
    return "(" + ", ".join(quoted(n) for n in names) + ")"
