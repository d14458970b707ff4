"""The platform through Dagster, checks and lineage on, where that command is there."""

from __future__ import annotations

from datetime import date

from benchmarks.ours import Ours


def materialize(ours: Ours, first: date, last: date) -> float | None:
    """Materialize these dates as `mlb materialize` does; return the seconds, or None without that command."""
    return None
