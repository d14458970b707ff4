"""What the sinks need to know of a table, taken from its mapping."""

from __future__ import annotations

from functools import lru_cache

from mlb_platform.mapping.resolve import ResolvedMapping, ResolvedTarget
from resources.merge import ColumnSpec, IndexSpec, MergeSpec, ReferenceSpec
from resources.views import ViewSpec


@lru_cache(512)
def merge_spec(target: ResolvedTarget) -> MergeSpec:
    """Return the merge spec of a target: its columns, key, scope, partition, indexes and relationships."""
    return MergeSpec(
        table=target.name,
        columns=tuple(
            ColumnSpec(c.name, str(c.type), c.nullable, c.description, technical=c.technical) for c in target.columns
        ),
        key=target.key,
        scope=target.scope,
        partition=target.partition,
        snapshot=target.snapshot,
        folds=target.folds,
        derivation_hash=target.derivation_hash,
        description=target.config.description,
        indexes=tuple(IndexSpec(tuple(i.columns), i.type, i.unique) for i in target.config.indexes),
        references=tuple(
            ReferenceSpec(tuple(r.from_fields), r.to_table, tuple(r.to_fields), r.type) for r in target.relationships
        ),
    )


def view_specs(mapping: ResolvedMapping) -> list[ViewSpec]:
    """Return the views of a mapping."""
    return [ViewSpec(v.name, v.table, tuple(v.key), tuple(v.order_by), v.description) for v in mapping.config.views]
