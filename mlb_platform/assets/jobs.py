"""Jobs: one a mapping, over its tables and their checks."""

from __future__ import annotations

from typing import Any

from dagster import AssetSelection, define_asset_job, in_process_executor

from mlb_platform.assets.specs import python_name, table_key
from mlb_platform.mapping.resolve import ResolvedMapping


def job_name(mapping: ResolvedMapping) -> str:
    """Return the name of a mapping's job: materialize_game_live_game_v1."""
    return f"materialize_{python_name(mapping)}"


def mapping_job(mapping: ResolvedMapping) -> Any:
    """Return the job that materializes all tables of a mapping for a date and checks them, in one process."""
    return define_asset_job(
        job_name(mapping),
        selection=AssetSelection.assets(*(table_key(t.name) for t in mapping.targets)),
        executor_def=in_process_executor,
        description=f"All tables of {mapping.name} for the dates of the run, and their checks.",
        tags={"mapping": mapping.name},
    )
