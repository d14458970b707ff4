"""What is found in rows put together of several captures: by entity, and of what is stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from mlb_platform.extraction.collect import RAW_ID
from mlb_platform.extraction.extract import Extractor
from mlb_platform.extraction.folding import Offer, unfilled
from mlb_platform.extraction.plan import EntityPlan
from mlb_platform.mapping.resolve import ResolvedTarget
from mlb_platform.quality.findings import CastFailure, Finding
from mlb_platform.quality.judge import Judge

_NUMBER = "_entity_number"


@dataclass(frozen=True)
class _FoldedRows:
    target: ResolvedTarget
    rows: pa.Table
    broken: pa.Int64Array
    distinct: bool = False


def entity_texts(rows: pa.Table, target: ResolvedTarget) -> pa.ChunkedArray:
    """Return the entity key of each row, as plans name it."""
    return rows.column(target.scope).cast(pa.string())


def folded_findings(
    extractor: Extractor,
    folded: Mapping[str, pa.Table],
    plans: Sequence[EntityPlan],
    released: Collection[tuple[str, str]],
) -> list[Finding]:
    """Judge the rows of each entity as they are stored; each finding names its entity and its newest capture.

    `released` are the (table, rule)s of errors accepted by hand. Another rule of severity `error` can only be broken by
    what captures that keep it add up to: nothing could be held back for it, so it is a warning.
    """
    entities = pa.array([p.entity for p in plans], pa.string())
    judged = []
    for table, rows in folded.items():
        target = extractor.mapping.by_name[table]
        numbers = pc.index_in(entity_texts(rows, target), value_set=entities).cast(pa.int64())
        numbered = rows.drop_columns([RAW_ID]).append_column(_NUMBER, numbers)
        judged.append(_FoldedRows(target, numbered, extractor.broken(target, rows)))
    found = []
    for f in Judge(judged, _NUMBER).findings():
        plan = plans[f.raw_id]
        assert plan.newest is not None
        severity = f.severity if (f.table, f.rule) in released else "warn"
        found.append(replace(f, raw_id=plan.newest.raw_id, scope=plan.entity, severity=severity))
    return found


def standing_failures(
    failures: Iterable[CastFailure], rows: pa.Table, target: ResolvedTarget, offers: Sequence[Offer]
) -> list[CastFailure]:
    """Return by entity the failed casts in captures that count, without those that a newer value makes up for.

    Where it is not known whose they are, they are told of every entity of the capture.
    """
    members: dict[int, list[str]] = defaultdict(list)
    for o in offers:
        members[o.raw_id].append(o.entity)
    still: dict[str, set[tuple[int, str]]] = {}
    found = []
    for f in failures:
        for entity in members[f.raw_id]:
            if f.scope not in (None, entity):
                continue
            if not f.lenient and f.scope is not None:
                if f.column not in still:
                    still[f.column] = unfilled(rows, target, offers, f.column)
                if (f.raw_id, entity) not in still[f.column]:
                    continue
            found.append(replace(f, scope=entity))
    return found
