"""Daily partitions by official game date."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from dagster import BackfillPolicy, DailyPartitionsDefinition

TIMEZONE = "America/New_York"
"""Where a game's official date changes over."""
DAYS_AHEAD = 7
"""Games of the coming days have feeds already; partitions reach so many days past today."""
DATES_PER_RUN = 30
"""How many dates one run handles."""


def date_partitions(first: date) -> DailyPartitionsDefinition:
    """Return the dates from `first` to seven days past today."""
    return DailyPartitionsDefinition(start_date=first.isoformat(), timezone=TIMEZONE, end_offset=DAYS_AHEAD + 1)


def backfill_policy() -> BackfillPolicy:
    """Return the policy that one run of a backfill takes up to thirty dates."""
    return BackfillPolicy.multi_run(max_partitions_per_run=DATES_PER_RUN)


def dates_of_keys(keys: Iterable[str]) -> list[date]:
    """Return the dates that partition keys stand for, in order."""
    return sorted(date.fromisoformat(key) for key in keys)
