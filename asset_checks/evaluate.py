"""Verdicts by table and date, from what is on record and what is there."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from typing import Any

from dagster import AssetCheckEvaluation, AssetCheckSeverity, MetadataValue, TableColumn, TableRecord, TableSchema

from asset_checks.counted import TableCounts, count_tables
from asset_checks.names import CHECK_NAMES, ERROR_RULES, PARITY, RELATIONSHIPS, WARN_RULES
from asset_checks.recorded import DateRecord, HeldRule, read_records
from asset_checks.relationships import Records, RelationshipRecord, described, read_settled_relationships
from asset_checks.settled import BeforeWaiting, Mappings, none_is_held
from mlb_platform.assets.specs import table_key
from mlb_platform.extraction.plan import lock_names
from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.resolve import ResolvedMapping, ResolvedTarget
from mlb_platform.quality.known import KnownOrphan

SHOWN = 20
"""How many sample rows a verdict carries."""
Rule = tuple[str, str, str, int, int]
"""Rule, kind, severity, rows checked, rows failed."""
STRUCTURE_RULES = ("structure", "entity_key")
"""Rules that no mapping declares: arrays where arrays are expected, and the payload of the entity its row names."""


def evaluate(
    stores: Stores,
    lake: str,
    mapping: ResolvedMapping,
    tables: Sequence[str],
    dates: Sequence[date | None],
    names: Sequence[str] = CHECK_NAMES,
    *,
    known: Sequence[KnownOrphan] = (),
    mappings: Mappings | None = None,
    partial: Collection[date] = (),
    relating: Future[Records] | None = None,
) -> Iterator[AssetCheckEvaluation]:
    """Give the verdict of every check named, for every table and date; the caller records them.

    The date of tables without partition is None. `known` are orphans that the source itself leaves, `mappings` all
    there are (None: this one). `partial` are dates of which the caller merged some entities only: the lake may be
    behind with others, which are followed live, as long as each place holds what was merged into it.

    Relationships come last, when they are there: they are looked up while the other verdicts are given, or are what the
    caller began to look up (`relating`). Of dates before the last, what held is told in numbers only.

    Writers of these dates are waited for, and wait: both places of a table are looked at in the same state. So the
    caller holds no lock of a scope.
    """
    last = max(dates, key=lambda d: d or date.min, default=None)
    with ThreadPoolExecutor(2, "verdicts-of-tables") as other:
        related = tables if RELATIONSHIPS in names else []
        relating = relating or other.submit(
            look_up_relationships, stores, mapping, related, dates, known=known, mappings=mappings
        )
        scopes = lock_names(mapping, _scopes(stores, tables, dates)) if PARITY in names else []
        with stores.postgres.scope_locks(mapping.name, scopes):
            recorded = other.submit(read_records, stores, lake, mapping, tables, dates)
            targets = [mapping.by_name[t] for t in tables if PARITY in names and dates]
            counted = count_tables(stores, lake, targets, dates) if targets else {}
            records = recorded.result()
        for target in (mapping.by_name[t] for t in tables):
            for day in dates:
                record = records.get((target.name, day)) or DateRecord()
                if ERROR_RULES in names:
                    yield _error_rules(target, day, record, day == last)
                if WARN_RULES in names:
                    yield _warn_rules(target, day, record, day == last)
                if PARITY in names:
                    yield _parity(target, day, record, counted[target.name], behind=day in partial)
        for (table, day), found in relating.result().items():
            yield _relationships(mapping.by_name[table], day, found, day == last)


def look_up_relationships(
    stores: Stores,
    mapping: ResolvedMapping,
    tables: Sequence[str],
    dates: Sequence[date | None],
    *,
    known: Sequence[KnownOrphan] = (),
    mappings: Mappings | None = None,
    before_waiting: BeforeWaiting = none_is_held,
) -> Records:
    """Return what every relationship of these tables finds, by table and date, as `evaluate` tells of it.

    `before_waiting` returns when the caller holds no lock of a scope: what looks wrong is looked at again then.
    """
    related = [mapping.by_name[t] for t in tables if mapping.by_name[t].relationships]
    return read_settled_relationships(
        stores, mappings or {mapping.name: mapping}, related, dates, known, before_waiting
    )


def _scopes(stores: Stores, tables: Sequence[str], dates: Sequence[date | None]) -> list[str]:
    with stores.postgres.transaction() as connection:
        rows = connection.execute(
            "SELECT DISTINCT scope FROM quality.merge_state WHERE table_name = ANY(%s) AND partition_date = ANY(%s)",
            [list(tables), [d for d in dates if d is not None]],
        )
        return [row[0] for row in rows]


def _verdict(
    target: ResolvedTarget,
    name: str,
    day: date | None,
    passed: bool,
    severity: AssetCheckSeverity,
    description: str,
    metadata: Mapping[str, MetadataValue[Any]],
) -> AssetCheckEvaluation:
    return AssetCheckEvaluation(
        asset_key=table_key(target.name),
        check_name=name,
        passed=passed,
        severity=severity,
        blocking=name == PARITY,
        partition=day.isoformat() if day is not None else None,
        description=description,
        metadata=dict(metadata),
    )


def _error_rules(target: ResolvedTarget, day: date | None, record: DateRecord, last: bool) -> AssetCheckEvaluation:
    failed: dict[str, int] = defaultdict(int)
    for h in record.held:
        failed[h.rule] += h.failures
    released = {f.rule: f.failed for f in record.found if f.severity == "error"}
    captures = {h.raw_id: h for h in record.held}
    rules: list[Rule] = [
        (r.label, r.kind, "error", record.checked, failed.pop(r.label, 0))
        for r in target.rules
        if r.severity == "error"
    ]
    rules += [
        (name, "structure" if name in STRUCTURE_RULES else "former", "error", record.checked, n)
        for name, n in failed.items()
    ]
    metadata = {**_rules(rules, last), "rows": MetadataValue.int(record.checked)}
    if captures:
        metadata["held_captures"] = MetadataValue.int(len(captures))
        metadata["samples"] = _samples(
            (h.entity, h.rule, h.samples, f"raw {h.raw_id}, captured {h.captured_at}") for h in record.held
        )
    if released:
        metadata["released"] = MetadataValue.text(", ".join(f"{rule} ({n})" for rule, n in sorted(released.items())))
    text = _held_text(captures) if captures else f"no capture{f' of {day}' if day else ''} is held back"
    return _verdict(target, ERROR_RULES, day, not captures, AssetCheckSeverity.ERROR, text, metadata)


def _held_text(captures: Mapping[int, HeldRule]) -> str:
    named = ", ".join(f"{h.entity} (raw {h.raw_id})" for h in list(captures.values())[:5])
    more = f" and {len(captures) - 5} more" if len(captures) > 5 else ""
    return f"held back: {named}{more}; what was merged before stays (`mlb quarantine` shows and releases)"


def _warn_rules(target: ResolvedTarget, day: date | None, record: DateRecord, last: bool) -> AssetCheckEvaluation:
    found = [f for f in record.found if f.severity == "warn"]
    failed: dict[str, int] = defaultdict(int)
    for f in found:
        failed[f.rule] += f.failed
    declared = [r for r in target.rules if r.severity == "warn"]
    rules: list[Rule] = [(r.label, r.kind, "warn", record.checked, failed.get(r.label, 0)) for r in declared]
    known = {r.label for r in declared}
    rules += [(f.rule, f.kind, "warn", f.checked, f.failed) for f in found if f.rule not in known]
    rules += [(f"{m.column} is {m.expected}", "cast", "warn", record.checked, m.failures) for m in record.misfits]
    metadata = {**_rules(rules, last), "rows": MetadataValue.int(record.checked)}
    samples = [(f.entity_key, f.rule, f.samples, f"raw {f.raw_id}") for f in found]
    samples += [("", f"{m.column} is {m.expected}", [{"path": m.path, "value": m.value}], "") for m in record.misfits]
    broken = [r for r in rules if r[4]]
    if samples:
        metadata["samples"] = _samples(samples)
    text = "; ".join(f"{r[0]}: {r[4]} of {r[3]}" for r in broken[:5]) or f"{len(rules)} rules, nothing found"
    return _verdict(target, WARN_RULES, day, not broken, AssetCheckSeverity.WARN, text, metadata)


def _parity(
    target: ResolvedTarget, day: date | None, record: DateRecord, counted: TableCounts, *, behind: bool = False
) -> AssetCheckEvaluation:
    rows_pg, keys_pg = counted.postgres.get(day, (0, 0))
    rows_delta, keys_delta = counted.delta.get(day, (0, 0))
    merged = {sink: record.rows.get(sink, 0) for sink in ("postgres", "delta")}
    wrong = []
    if rows_pg != rows_delta and not behind:
        wrong.append(f"PostgreSQL has {rows_pg} rows, Delta {rows_delta}")
    for place, rows, sink in (("PostgreSQL", rows_pg, "postgres"), ("Delta", rows_delta, "delta")):
        if rows != merged[sink]:
            wrong.append(f"{place} has {rows} rows where {merged[sink]} were merged")
    for place, rows, keys in (("PostgreSQL", rows_pg, keys_pg), ("Delta", rows_delta, keys_delta)):
        if rows != keys:
            wrong.append(f"{rows - keys} rows of {place} repeat a key")
    metadata: dict[str, MetadataValue[Any]] = {
        "postgres_rows": MetadataValue.int(rows_pg),
        "delta_rows": MetadataValue.int(rows_delta),
        "postgres_merged": MetadataValue.int(merged["postgres"]),
        "delta_merged": MetadataValue.int(merged["delta"]),
    }
    text = "; ".join(wrong) or f"{rows_pg} rows in both places"
    if not wrong and rows_pg != rows_delta:
        text = f"{rows_pg} rows in PostgreSQL; Delta follows, with {rows_delta} so far"
    return _verdict(target, PARITY, day, not wrong, AssetCheckSeverity.ERROR, text, metadata)


def _relationships(
    target: ResolvedTarget, day: date | None, records: Sequence[RelationshipRecord], last: bool
) -> AssetCheckEvaluation:
    rows = [described(r) for r in records]
    broken = [r for r in rows if r["orphans"] or r["by_entity"]]
    told = [f"{r['columns']} -> {r['to']}: {r['orphans']} of {r['checked']}" for r in broken[:5]]
    told += [f"{r['columns']} -> {r['to']}: a known orphan is none ({r['settled']})" for r in rows if r["settled"]]
    text = "; ".join(told)
    metadata: dict[str, MetadataValue[Any]] = {
        "orphans": MetadataValue.int(sum(r["orphans"] for r in rows)),
        "checked": MetadataValue.int(sum(r["checked"] for r in rows)),
    }
    if last or told or any(r["known"] for r in rows):
        metadata["relationships"] = MetadataValue.table([TableRecord(r) for r in rows], _RELATIONSHIPS)
    text = text or f"{len(rows)} relationships, every row finds what it names"
    return _verdict(target, RELATIONSHIPS, day, not told, AssetCheckSeverity.WARN, text, metadata)


_RELATIONSHIPS = TableSchema(
    columns=[
        TableColumn("columns", "string"), TableColumn("to", "string"), TableColumn("checked", "int"),
        TableColumn("orphans", "int"), TableColumn("by_entity", "string"), TableColumn("known", "string"),
        TableColumn("settled", "string"),
    ]
)  # fmt: skip
_RULES = TableSchema(
    columns=[
        TableColumn("rule", "string"), TableColumn("kind", "string"), TableColumn("severity", "string"),
        TableColumn("checked", "int"), TableColumn("failed", "int"),
    ]
)  # fmt: skip
_SAMPLES = TableSchema(columns=[TableColumn(n, "string") for n in ("entity", "rule", "row", "capture")])


def _rules(rules: Sequence[Rule], last: bool) -> dict[str, MetadataValue[Any]]:
    """Return the rules with what they found; of dates before the last their number, where they found nothing."""
    found: dict[str, MetadataValue[Any]] = {"rules_checked": MetadataValue.int(len(rules))}
    return found | {"rules": _rules_table(rules)} if last or any(rule[4] for rule in rules) else found


def _rules_table(rules: Iterable[Rule]) -> MetadataValue[Any]:
    names = [c.name for c in _RULES.columns]
    return MetadataValue.table([TableRecord(dict(zip(names, r, strict=True))) for r in rules], _RULES)


def _samples(groups: Iterable[tuple[str, str, list[Any], str]]) -> MetadataValue[Any]:
    rows = [
        TableRecord({"entity": entity, "rule": rule, "row": json.dumps(sample, default=str), "capture": capture})
        for entity, rule, samples, capture in groups
        for sample in samples
    ]
    return MetadataValue.table(rows[:SHOWN], _SAMPLES)
