"""The platform through Dagster, checks and lineage on: what `mlb materialize` does with the dates it has found."""

from __future__ import annotations

import time
from datetime import date, timedelta

from benchmarks.ours import MAPPING, Ours
from mlb_platform.assets.command import materialize_dates
from mlb_platform.assets.partitions import DATES_PER_RUN


def materialize(ours: Ours, first: date, last: date) -> float:
    """Materialize these dates with the warm session, in runs of up to thirty; return the seconds."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    started = time.perf_counter()
    for start in range(0, len(days), DATES_PER_RUN):
        materialize_dates(ours.platform, MAPPING, ours.tables, dates=days[start : start + DATES_PER_RUN], aside=False)
    return time.perf_counter() - started
