"""The platform through Dagster, checks and lineage on: what `mlb materialize` does with a range of dates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import zip_longest
from typing import Any
from unittest.mock import patch

from benchmarks.ours import MAPPING, Ours
from mlb_platform.assets import command
from mlb_platform.assets.judging import Judging, Verdicts
from mlb_platform.assets.partitions import DATES_PER_RUN
from mlb_platform.assets.pending import WorkNotes
from mlb_platform.extraction.pending import find_pending


def materialize(ours: Ours, first: date, last: date) -> dict[str, float]:
    """Look up which dates have work and materialize the contenders' tables of those, as the command does.

    Returns the seconds by phase that the runs tell of; what Dagster and the checks take is not among them.
    """
    pending = find_pending(ours.platform.stores, ours.mapping, ours.tables, start=first, end=last)
    return _materialized(ours, sorted(pending.work), ahead=True)


def materialize_unchecked(ours: Ours, first: date, last: date) -> dict[str, float]:
    """Do the same without asking anything of the tables that are merged, and without lineage in the events of merging.

    What remains: the rules over rows, which decide what is merged, and the lineage that each row carries in a column.
    """
    with patch.object(command, "Judging", _NothingJudged), patch.object(WorkNotes, "metadata", lambda *_: {}):
        return materialize(ours, first, last)


class _NothingJudged(Judging):
    def begin(self, *_: Any) -> None:
        """Look at nothing."""

    def verdicts(self, *_: Any, **__: Any) -> Iterator[Verdicts]:
        """Find nothing."""
        return iter(())


def record_again(ours: Ours, first: date, last: date) -> dict[str, float]:
    """Materialize all dates, with work or without, as the UI does: every one of them is recorded and judged again."""
    return _materialized(ours, [first + timedelta(days=n) for n in range((last - first).days + 1)], ahead=False)


def _materialized(ours: Ours, days: Sequence[date], *, ahead: bool) -> dict[str, float]:
    seconds: dict[str, float] = defaultdict(float)
    runs = [days[start : start + DATES_PER_RUN] for start in range(0, len(days), DATES_PER_RUN)]
    for run, then in zip_longest(runs, runs[1:], fillvalue=()):
        report = command.materialize_dates(
            ours.platform, MAPPING, ours.tables, run, instance=ours.instance, aside=False, then=then, ahead=ahead
        )
        for name in ("compute", "merge"):
            seconds[name] += report.seconds[name]
    return dict(seconds)
