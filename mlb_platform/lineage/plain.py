"""A passport as plain JSON values."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from mlb_platform.lineage.captures import Capture
from mlb_platform.lineage.columns import ColumnPassport
from mlb_platform.lineage.passport import Passport
from mlb_platform.lineage.verdicts import RuleVerdict


def plain(value: Any) -> Any:
    """Return a value of a column, or of a document, as JSON has it; decimals as text, so that no digit is lost."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value


def _capture(c: Capture) -> dict[str, Any]:
    return {
        "raw_table": c.raw_table,
        "raw_id": c.raw_id,
        "entity_key": c.entity_key,
        "endpoint": c.endpoint,
        "method": c.method,
        "params": c.params,
        "url": c.url,
        "status_code": c.status_code,
        "captured_at": plain(c.captured_at),
        "last_seen_at": plain(c.last_seen_at),
        "content_hash": c.content_hash,
    }


def _rule(r: RuleVerdict) -> dict[str, Any]:
    return {"rule": r.rule, "kind": r.kind, "severity": r.severity, "verdict": r.verdict, "note": r.note}


def _column(p: Passport, c: ColumnPassport) -> dict[str, Any]:
    made: dict[str, Any] = {
        "column": c.name,
        "type": c.type,
        "value": plain(c.value),
        "how": c.how,
        "pointer": c.pointer,
        "raw_value": plain(c.raw),
        "path": c.path or None,
        "why": c.why,
        "agrees": c.agrees,
        "raw_row": None if c.capture is None else _capture(c.capture),
        "mapping_version": p.mapping.config.version,
        "rules": [_rule(r) for r in c.rules],
        "delta_version": p.delta.written,
    }
    if c.expression is not None:
        made["expression"] = c.expression
        made["reads"] = [{"column": r.column, "pointer": r.pointer, "raw_value": plain(r.raw)} for r in c.reads]
    return made


def to_json(p: Passport) -> dict[str, Any]:
    """Return a passport as JSON values: the row, its columns with all there is of each, and every rule."""
    return {
        "table": p.target.name,
        "key": plain(dict(p.key)),
        "mapping": p.mapping.name,
        "mapping_version": p.mapping.config.version,
        "derivation_hash": p.target.derivation_hash,
        "lineage": dict(p.lineage),
        "raw_row": _capture(p.capture),
        "merged_last": None if p.confirmed is None else _capture(p.confirmed),
        "captures": [c.raw_id for c in p.captures],
        "element": p.element,
        "part_of": None
        if p.part_of is None
        else {"raw_row": _capture(p.part_of.capture), "pointer": p.part_of.pointer},
        "delta": {
            "written_in_version": p.delta.written, "version": p.delta.current, "same_row": p.delta.same
        },
        "rules": [_rule(r) for r in p.rules],
        "notes": p.outdated,
        "columns": [_column(p, c) for c in p.columns],
    }  # fmt: skip
