"""Rules of a table: those over one row become Spark SQL, those over several rows are judged on the rows in hand."""

from __future__ import annotations

from dataclasses import dataclass

from mlb_platform.mapping.models import DataQualityRule
from mlb_platform.mapping.resolve import ResolvedTarget

ROW_KINDS = ("expression", "not_null", "range")
MAX_ROW_RULES = 62
"""A row's failed rules are the bits of one BIGINT."""


@dataclass(frozen=True)
class RowRule:
    """A rule over one row: `sql` names columns and is false (not NULL) where the rule is broken."""

    rule: DataQualityRule
    sql: str


def _text(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


def row_sql(rule: DataQualityRule) -> str:
    """Return the Spark SQL condition of a rule over one row."""
    if rule.kind == "expression":
        return str(rule.rule)
    if rule.kind == "not_null":
        return " AND ".join(f"{c} IS NOT NULL" for c in rule.columns) or "true"
    bounds = [(">=", rule.min), ("<=", rule.max)]
    return " AND ".join(f"{rule.column} {op} {_text(v)}" for op, v in bounds if v is not None)


def row_rules(target: ResolvedTarget) -> list[RowRule]:
    """Return the rules over one row, in the order of their bits."""
    found = [RowRule(r, row_sql(r)) for r in target.rules if r.kind in ROW_KINDS]
    if len(found) > MAX_ROW_RULES:
        raise ValueError(f"{target.name} has {len(found)} rules over one row; at most {MAX_ROW_RULES} are supported")
    return found


def set_rules(target: ResolvedTarget) -> list[DataQualityRule]:
    """Return the rules over several rows: unique, ordered, reference."""
    return [r for r in target.rules if r.kind not in ROW_KINDS]
