"""The passport of a row: for each column the capture, the place in it, the value there, and what it went through."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlb_platform.extraction.plan import held_ids, plan_entities, raw_rows
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.extraction.stores import Stores
from mlb_platform.lineage.captures import Capture, Captures, PartOf, Told
from mlb_platform.lineage.columns import ColumnPassport, describe
from mlb_platform.lineage.origins import Found, RowFinder, winner
from mlb_platform.lineage.rows import Evaluator
from mlb_platform.lineage.stored import (
    AskedWrongly,
    DeltaVersions,
    NoPassport,
    delta_versions,
    find_target,
    key_text,
    parse_key,
    stored_row,
)
from mlb_platform.lineage.verdicts import RuleVerdict, rule_verdicts
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.mapping.resolve import Column, ResolvedMapping, ResolvedTarget
from resources.merge_state import MergeStates


@dataclass
class Passport:
    """Everything that is known of where a row comes from.

    `capture` is the one that changed the row last; `captures` are all that say something of it, the newest first.
    `outdated`: why what is told here may not be how the row came about.
    """

    mapping: ResolvedMapping
    target: ResolvedTarget
    key: Mapping[str, Any]
    row: Mapping[str, Any]
    lineage: Mapping[str, Any]
    capture: Capture
    captures: list[Capture]
    confirmed: Capture | None
    element: str
    part_of: PartOf | None
    columns: list[ColumnPassport]
    rules: list[RuleVerdict]
    delta: DeltaVersions
    outdated: list[str] = field(default_factory=list)


def gather(
    stores: Stores,
    registry: MappingRegistry,
    lake: str,
    table: str,
    key: Sequence[str],
    *,
    column: str | None = None,
    captures: Captures | None = None,
) -> Passport:
    """Return the passport of the row of `table` that `column=value` texts name; `column`: of that one only.

    `captures` may be given where several are asked for: what it read for one serves the next.
    Raises AskedWrongly for a table, column or key there is not, NoPassport for a row that cannot be explained.
    """
    mapping, target = find_target(registry, table)
    wanted = parse_key(target, key)
    if column is not None and column not in target.by_name:
        raise AskedWrongly(f"{table} has no column {column}; it has: {', '.join(target.by_name)}")
    captures = captures or Captures(stores.raw, registry)
    with stores.postgres.transaction() as connection:
        row = stored_row(connection, target, wanted)
    lineage = json.loads(row["lineage_metadata"] or "{}")
    raw_table, raw_id = mapping.config.source.raw_table, int(lineage.get("source_row_id", -1))
    capture = captures.find(raw_table, raw_id)
    if capture is None:
        raise NoPassport(
            f"{table} has the row {key_text(wanted)}, but the raw row {raw_id} of {raw_table} that it names is gone: "
            "ingest that capture again, then `mlb materialize --full`"
        )
    finder = RowFinder(captures, mapping, target)
    try:
        return _gather(stores, lake, (mapping, target), (wanted, row, lineage), captures, capture, finder, column)
    finally:
        finder.evaluator.close()


def _gather(
    stores: Stores,
    lake: str,
    of: tuple[ResolvedMapping, ResolvedTarget],
    stored: tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]],
    captures: Captures,
    capture: Capture,
    finder: RowFinder,
    column: str | None,
) -> Passport:
    (mapping, target), (key, row, lineage) = of, stored
    scope = str(row[target.scope])
    outdated, offered, confirmed = _offered(stores, mapping, target, scope, captures, capture)
    found = [f for f in (finder.find(c, row) for c in offered) if f is not None]
    if not found:
        raise NoPassport(
            f"{target.name} has the row {key_text(key)}, but by the mapping of now its raw row {capture.raw_id} gives "
            f"no such row: run `mlb materialize --mapping {mapping.name} --full`"
        )
    technical = next((f for f in found if f.capture.raw_id == capture.raw_id), found[0])
    told = _told(stores, mapping, captures, technical)
    part_of = captures.part_of(mapping, technical.capture, _top_element(technical))
    with stores.postgres.transaction() as connection:
        results = [r for r in stores.quality.check_results(target.name) if r.entity_key == scope]
        verdicts = rule_verdicts(connection, target, row, results, finder.evaluator)
        delta = delta_versions(connection, lake, target, row)
    together = _together(found, technical, target, finder.evaluator) if target.folds else technical
    columns = []
    for c in target.columns:
        if column is None or c.name == column:
            source = technical if c.technical else winner(found, c) or technical
            if target.folds and _is_computed(c, target):
                source = together
            columns.append(describe(c, row[c.name], source, found, mapping, told, verdicts))
    return Passport(
        mapping, target, key, row, lineage, capture, [f.capture for f in found], confirmed, technical.row.pointer,
        part_of, columns, verdicts, delta, outdated,
    )  # fmt: skip


def _is_computed(column: Column, target: ResolvedTarget) -> bool:
    return column.origin == "expression" and column.name not in target.key


def _together(found: list[Found], technical: Found, target: ResolvedTarget, evaluator: Evaluator) -> Found:
    """Return the row that its captures make together: of each the newest value, and computed from these the others."""
    values = dict(technical.values)
    for c in target.columns:
        if not _is_computed(c, target) and c.name in values:
            values[c.name] = (winner(found, c) or technical).values.get(c.name)
    for c in target.columns:
        if _is_computed(c, target):
            try:
                values[c.name] = evaluator.expression(target, c, [values])[0]
            except ValueError:  # it is told that it cannot be worked out
                values.pop(c.name, None)
    return replace(technical, values=values)


def _top_element(found: Found) -> Any:
    """Return the element of the document that a row lies in, where a response has several."""
    return found.row.chain[1].place.value if len(found.row.chain) > 1 else None


def _offered(
    stores: Stores, mapping: ResolvedMapping, target: ResolvedTarget, scope: str, captures: Captures, capture: Capture
) -> tuple[list[str], list[Capture], Capture | None]:
    """Return what makes the passport doubtful, the captures that the row is made of, and the one merged last."""
    outdated = []
    spec = merge_spec(target)
    with stores.postgres.transaction() as connection:
        state = MergeStates(stores.postgres).load(connection, "postgres", target.name, [scope]).get(scope)
    if state is None:
        return ["nothing is noted of how it was merged"], [capture], None
    if state.derivation_hash != spec.derivation_hash:
        outdated.append("the mapping was changed since this row was derived; the next run derives it anew")
    merged = captures.find(mapping.config.source.raw_table, state.raw_id)
    if not target.folds:
        return outdated, [capture], merged
    rows = raw_rows(stores, mapping, entity_keys=[scope])
    records = stores.quality.quarantined(mapping.config.source.raw_table, [r.raw_id for r in rows], released=True)
    held = held_ids(records, [merge_spec(t) for t in mapping.targets])
    plan = plan_entities(rows, held, mapping).get(scope)
    if plan is None or plan.newest is None:
        return outdated, [capture], merged
    if plan.content_hash != state.content_hash:
        outdated.append("captures have come since it was merged; the next run takes them in")
    # the row's own capture also where a newer one tells the same
    made_of = {r.raw_id for r in plan.offered} | {capture.raw_id}
    listed = [captures.find(mapping.config.source.raw_table, r.raw_id) for r in plan.candidates if r.raw_id in made_of]
    return outdated, [c for c in listed if c is not None], merged


def _told(stores: Stores, mapping: ResolvedMapping, captures: Captures, found: Found) -> Told | None:
    """Return what says the row's date, where its own document does not."""
    kind = mapping.config.source.dated_by
    if kind is None:
        return None
    with stores.postgres.transaction() as connection:
        return captures.date_told(connection, kind, found.capture.entity_key)
