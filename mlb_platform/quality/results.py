"""What judging a frame by its table's mapping gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from mlb_platform.quality.contract import ContractBreach

Group = tuple[Any, ...]
"""The values of the columns that results are given by; empty for the whole frame."""


@dataclass(frozen=True)
class RuleResult:
    """One rule over one frame, or one group of its rows: how many rows were judged, how many break it, and a few."""

    rule: str
    kind: str
    severity: str
    checked: int
    failed: int
    samples: list[dict[str, Any]] = field(default_factory=list)
    skipped: str | None = None
    description: str = ""

    @property
    def passed(self) -> bool:
        """Whether no row breaks the rule; a rule that could not be judged has not failed, and says so in `skipped`."""
        return self.failed == 0


@dataclass(frozen=True)
class ValidationResult:
    """A frame judged by a table's mapping: its contract (names and types) and its rules.

    `rules` are over all rows; `groups` the same by the columns `by`, where these were asked for.
    """

    table: str
    rows: int
    contract: tuple[ContractBreach, ...]
    rules: tuple[RuleResult, ...]
    by: tuple[str, ...] = ()
    groups: dict[Group, tuple[RuleResult, ...]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the contract holds and no rule of severity error is broken."""
        return not self.contract and not any(self.failed("error"))

    def failed(self, severity: str | None = None) -> Iterator[RuleResult]:
        """Yield the broken rules (of one severity)."""
        yield from (r for r in self.rules if not r.passed and severity in (None, r.severity))

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain objects; dates and decimals stay what they are."""
        return {
            "table": self.table,
            "rows": self.rows,
            "passed": self.passed,
            "contract": [{**asdict(b), "text": str(b)} for b in self.contract],
            "rules": [{**asdict(r), "passed": r.passed} for r in self.rules],
            "groups": [
                {"group": dict(zip(self.by, group, strict=True)), "rules": [asdict(r) for r in rules if not r.passed]}
                for group, rules in self.groups.items()
            ],
        }
