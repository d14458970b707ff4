"""What the rules of a table say of one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import sql

from mlb_platform.lineage.rows import Evaluator
from mlb_platform.mapping.models import DataQualityRule
from mlb_platform.mapping.resolve import ResolvedTarget
from mlb_platform.mapping.sql import columns_of
from mlb_platform.quality.rules import ROW_KINDS
from resources.own_tables import table_exists
from resources.postgres import Connection
from resources.quality_store import CheckResult

Verdict = Literal["passed", "warned", "broken", "unknown"]


@dataclass(frozen=True)
class RuleVerdict:
    """One rule and whether the row keeps it. `note` says how that is known where it is not the row alone."""

    rule: str
    kind: str
    severity: str
    columns: tuple[str, ...]
    verdict: Verdict
    note: str = ""


def rule_columns(rule: DataQualityRule) -> tuple[str, ...]:
    """Return the columns of its table that a rule names."""
    return tuple(dict.fromkeys([*rule.needs, *(columns_of(rule.rule) if rule.rule else [])]))


def rule_verdicts(
    connection: Connection,
    target: ResolvedTarget,
    row: Mapping[str, Any],
    results: list[CheckResult],
    evaluator: Evaluator,
) -> list[RuleVerdict]:
    """Return what every rule says of a stored row; `results` are those kept of its game or other scope.

    Rules over one row are worked out anew; of those over several rows the kept results tell, and of references whether
    the other row is there now.
    """
    broken = evaluator.broken_rules(target, row)
    verdicts = []
    for rule in target.rules:
        columns = rule_columns(rule)
        bad: Verdict = "warned" if rule.severity == "warn" else "broken"
        note = ""
        if rule.kind in ROW_KINDS:
            verdict = _of(broken.get(rule.label), bad)
        elif rule.kind == "reference":
            values = [row[c] for c in rule.columns]
            verdict = _of(_is_orphan(connection, str(rule.to_table), rule.to_columns, values), bad)
            note = f"no such row in {rule.to_table} now" if verdict == bad else ""
            note = f"there is no table {rule.to_table} yet" if verdict == "unknown" else note
        else:
            verdict, note = _kept(target, rule, row, results, bad)
        verdicts.append(RuleVerdict(rule.label, rule.kind, rule.severity, columns, verdict, note))
    return verdicts + _relationships(connection, target, row)


def _relationships(connection: Connection, target: ResolvedTarget, row: Mapping[str, Any]) -> list[RuleVerdict]:
    """Return whether the rows of other mappings' tables are there that a row points to."""
    judged = {(r.to_table, tuple(r.columns)) for r in target.rules if r.kind == "reference"}
    verdicts = []
    for r in target.relationships:
        columns = tuple(r.from_fields)
        if (r.to_table, columns) not in judged:
            orphan = _is_orphan(connection, r.to_table, r.to_fields, [row[c] for c in columns])
            note = {None: f"there is no table {r.to_table} yet", True: f"no such row in {r.to_table} now"}.get(
                orphan, ""
            )
            label = f"{', '.join(columns)} -> {r.to_table}"
            verdicts.append(RuleVerdict(label, "relationship", "warn", columns, _of(orphan, "warned"), note))
    return verdicts


def _of(broken: bool | None, bad: Verdict) -> Verdict:
    return "unknown" if broken is None else bad if broken else "passed"


def _is_orphan(connection: Connection, table: str, columns: Sequence[str], values: Sequence[Any]) -> bool | None:
    """Whether no row of a table has these values; None where there is no such table."""
    if any(v is None for v in values):
        return False
    if not table_exists(connection, table):
        return None
    conditions = [sql.SQL("{} = {}").format(sql.Identifier(c), sql.Placeholder()) for c in columns]
    query = sql.SQL("SELECT NOT EXISTS (SELECT FROM {} WHERE {})").format(
        sql.Identifier(*table.split(".")), sql.SQL(" AND ").join(conditions)
    )
    found = connection.execute(query, values).fetchone()
    return bool(found and found[0])


def _kept(
    target: ResolvedTarget, rule: DataQualityRule, row: Mapping[str, Any], results: list[CheckResult], bad: Verdict
) -> tuple[Verdict, str]:
    found = [r for r in results if (r.rule, r.kind) == (rule.label, rule.kind)]
    failed = sum(r.failed for r in found)
    if not failed:
        return "passed", ""
    key = {name: _plain(row[name]) for name in target.key}
    samples = [s for r in found for s in r.samples]
    if any({n: _plain(s.get(n)) for n in key} == key for s in samples):
        return bad, ""
    if len(samples) >= failed:
        return "passed", ""
    return "unknown", f"{failed} rows of this {target.scope} break it; this one is none of the {len(samples)} kept"


def _plain(value: Any) -> str:
    return str(value)
