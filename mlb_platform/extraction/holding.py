"""Captures that break an error rule: which they are, and what is kept of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from mlb_platform.extraction.report import HeldCapture
from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.quality.findings import Finding
from resources.merge import MergeSpec
from resources.quality_store import QuarantineRecord
from resources.raw_store import RawRow

_log = logging.getLogger(__name__)

UNSTORABLE = frozenset({"not_null", "unique_key", "entity_key"})
"""Rules whose breach no release makes up for: no table could hold such rows."""


def hold(
    stores: Stores,
    mapping: ResolvedMapping,
    specs: Sequence[MergeSpec],
    findings: Iterable[Finding],
    captures: Mapping[int, RawRow],
) -> list[HeldCapture]:
    """Quarantine captures that break an error rule, unless they were released by hand; return them by rule.

    One with several entities is held back for all of them; it is kept under one, and told under each.
    """
    errors = [f for f in findings if f.severity == "error"]
    raw_table = mapping.config.source.raw_table
    stores.quality.unquarantine(raw_table, list(captures), ["", *(s.table for s in specs)])
    if not errors:
        return []
    hashes = {s.table: s.derivation_hash for s in specs}
    records = []
    for f in errors:
        row = captures[f.raw_id]
        records.append(
            QuarantineRecord(
                raw_table, f.raw_id, f.table, f.rule, f.failed, f.samples, hashes.get(f.table, ""), row.entity_key,
                row.partition_date, row.captured_at,
            )
        )  # fmt: skip
    stores.quality.quarantine(records)
    kept = stores.quality.quarantined(raw_table, sorted({f.raw_id for f in errors}), released=True)
    released = {(r.raw_id, r.table_name, r.rule) for r in kept if r.released_at is not None}
    held_ids = {f.raw_id for f in errors if f.rule in UNSTORABLE or (f.raw_id, f.table, f.rule) not in released}
    held = [r for r in records if r.raw_id in held_ids]
    for r in held:
        _log.warning("held back: %s %s breaks %s of %s", r.entity_key, r.raw_id, r.rule, r.table_name)
    return [HeldCapture(r.raw_id, r.entity_key, r.partition_date, r.table_name, r.rule, r.failures) for r in held]
