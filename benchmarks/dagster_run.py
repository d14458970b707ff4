"""The platform through Dagster, checks and lineage on: what `mlb materialize` does with the dates it has found."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta

from benchmarks.ours import MAPPING, Ours
from mlb_platform.assets.command import materialize_dates
from mlb_platform.assets.partitions import DATES_PER_RUN


def materialize(ours: Ours, first: date, last: date) -> dict[str, float]:
    """Materialize the contenders' tables of these dates with the warm session, in runs of up to thirty.

    Returns the seconds by phase that the runs tell of; what Dagster and the checks take is not among them.
    """
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    seconds: dict[str, float] = defaultdict(float)
    for start in range(0, len(days), DATES_PER_RUN):
        report = materialize_dates(
            ours.platform, MAPPING, ours.tables, days[start : start + DATES_PER_RUN], aside=False
        )
        for name in ("compute", "merge"):
            seconds[name] += report.seconds[name]
    return dict(seconds)
