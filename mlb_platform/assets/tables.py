"""One multi_asset a mapping: its tables, computed together from one parse of each capture."""

from collections.abc import Iterator
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    BackfillPolicy,
    MaterializeResult,
    PartitionsDefinition,
    multi_asset,
)

from mlb_platform.assets.partitions import backfill_policy
from mlb_platform.assets.specs import python_name, table_specs
from mlb_platform.mapping.resolve import ResolvedMapping

SPARK_POOL = "spark"
"""Runs that compute tables take a slot of this concurrency pool: each has a JVM of its own."""
PLATFORM = "platform"
SPARK = "spark"


def table_assets(mapping: ResolvedMapping, partitions: PartitionsDefinition[Any], lake: str) -> AssetsDefinition:
    """Return the tables of a mapping as one computation of which any part can be run."""
    dated = mapping.partition is not None
    policy: BackfillPolicy | None = backfill_policy() if dated else None

    @multi_asset(
        name=f"materialize_{python_name(mapping)}_tables",
        specs=table_specs(mapping, partitions, lake),
        can_subset=True,
        backfill_policy=policy,
        pool=SPARK_POOL,
        required_resource_keys={PLATFORM, SPARK},
        op_tags={"mapping": mapping.name},
        description=f"Brings the tables of {mapping.name} up to the newest good captures of the dates.",
    )
    def tables(context: AssetExecutionContext) -> Iterator[MaterializeResult[Any]]:
        # here, since loading the definitions needs nothing of what computes and merges
        from mlb_platform.assets.step import materialize_tables

        yield from materialize_tables(context, mapping)

    return tables
