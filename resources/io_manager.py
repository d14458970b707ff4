"""One IO manager for merged tables: it merges what an asset yields into every sink, by the asset's own metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from dagster import InputContext, IOManager, JsonMetadataValue, MetadataValue, OutputContext

from resources.errors import PlatformError
from resources.merge import MergeCounts, MergeSpec

IO_MANAGER_KEY = "merge"
MERGE_SPEC = "merge_spec"
"""Name of the asset metadata that holds `MergeSpec.to_metadata()`."""


class MergeError(PlatformError):
    """An asset whose metadata or value is not fit for merging."""


@runtime_checkable
class PendingMerge(Protocol):
    """What an asset yields: rows of one table and the captures they come from, and the way to merge them."""

    @property
    def spec(self) -> MergeSpec:
        """How the rows are to be merged; the asset's metadata must say the same."""
        ...

    def merge(self) -> Mapping[str, MergeCounts]:
        """Merge into every sink and return the counts by sink."""
        ...


def spec_of_metadata(metadata: Mapping[str, Any] | None, asset: str) -> MergeSpec:
    """Return the merge spec in an asset's metadata; raise MergeError when there is none."""
    value = (metadata or {}).get(MERGE_SPEC)
    if isinstance(value, JsonMetadataValue):
        value = value.data
    if not isinstance(value, Mapping):
        raise MergeError(f"asset {asset} has no {MERGE_SPEC!r} in its metadata: it cannot be merged")
    return MergeSpec.from_metadata(value)


def count_metadata(counts: Mapping[str, MergeCounts]) -> dict[str, int]:
    """Return merge counts as flat metadata: `postgres/inserted` and so on, one figure a sink and kind."""
    found: dict[str, int] = {}
    for sink, c in counts.items():
        figures = {
            "rows": c.source_rows, "inserted": c.inserted, "updated": c.updated, "unchanged": c.unchanged,
            "deleted": c.deleted, "skipped_stale": c.skipped_stale,
        }  # fmt: skip
        found |= {f"{sink}/{name}": figure for name, figure in figures.items()}
    return found


class MergeIOManager(IOManager):
    """Merges pending rows into every sink; tables are read back where they lie, not through this."""

    def handle_output(self, context: OutputContext, obj: PendingMerge) -> None:
        """Merge `obj` and add the counts of the whole run to the output's metadata."""
        asset = context.asset_key.to_user_string()
        if not isinstance(obj, PendingMerge):
            raise MergeError(f"asset {asset} yielded {type(obj).__name__}, which cannot be merged")
        if spec_of_metadata(context.definition_metadata, asset) != obj.spec:
            raise MergeError(
                f"asset {asset}: its rows were made by another version of the mapping than its definition: "
                "reload the definitions and run it again"
            )
        counts = obj.merge()
        if not context.has_asset_partitions or len(context.asset_partition_keys) > 1:
            whole = {f"run/{name}": MetadataValue.int(n) for name, n in count_metadata(counts).items() if n}
            context.add_output_metadata(whole)

    def load_input(self, context: InputContext) -> Any:
        """Refuse: a table is a place, not a value."""
        raise MergeError(
            f"asset {context.asset_key.to_user_string()} is a table: depend on it by `deps` and read it in PostgreSQL "
            "or in the lake"
        )
