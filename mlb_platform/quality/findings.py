"""What a rule found in a capture, or in what several captures of an entity add up to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SAMPLES = 5
"""How many rows of each finding are kept."""


@dataclass(frozen=True)
class Finding:
    """A rule broken by rows of one table in one capture: how many of how many, and a few of them.

    `scope`: the entity whose rows they are, where a capture has several.
    """

    raw_id: int
    table: str
    rule: str
    kind: str
    severity: str
    failed: int
    checked: int
    samples: list[dict[str, Any]] = field(default_factory=list)
    scope: str | None = None


@dataclass(frozen=True)
class CastFailure:
    """Values of one column of one capture that are not of its type and became NULL.

    `scope`: the entity whose rows have them, where a capture has several and the rows are known.
    """

    raw_id: int
    table: str
    column: str
    path: str
    expected: str
    value: str
    failures: int
    lenient: bool
    scope: str | None = None
