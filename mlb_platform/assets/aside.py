"""What a command does once tables are merged and judged, for a share of its time: payloads looked at, reports made."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from dagster import DagsterInstance, OpExecutionContext, Output

from asset_checks.coverage import evaluate_coverage
from mlb_platform.assets.in_process import CheckProgress, run_in_process
from mlb_platform.assets.reports import ReportWriter
from mlb_platform.assets.specs import python_name
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform
from resources.dagster_events import record_verdicts, with_targets


@dataclass
class _Aside:
    """What is looked at once tables are merged and judged: their payloads, for some time."""

    platform: Platform
    mapping: ResolvedMapping
    dates: Sequence[date | None]
    seconds: float
    on_check: CheckProgress | None
    left: int = 0

    def run(self, context: OpExecutionContext) -> Iterator[Any]:
        """Give the coverage verdicts of as many dates as there is time for, at least one."""
        started, found = time.perf_counter(), []
        for verdict in evaluate_coverage(self.platform, self.mapping, self.dates):
            found.append(verdict)
            if time.perf_counter() - started >= self.seconds:
                break
        self.left = len(self.dates) - len(found)
        verdicts = with_targets(context.instance, found)
        record_verdicts(context.instance, context.get_step_execution_context(), verdicts)
        for verdict in verdicts if self.on_check is not None else ():
            self.on_check(verdict)
        yield Output(None)


def look_aside(
    platform: Platform,
    mapping: str,
    tables: Sequence[str] | None,
    dates: Sequence[date],
    seconds: float,
    *,
    on_check: CheckProgress | None = None,
    instance: DagsterInstance | None = None,
) -> int:
    """Look at the payloads of dates that were materialized with `aside=False`, and make their tables' quality reports.

    Takes about `seconds`, but looks at one date at least; a run of its own records the verdicts. Returns how many dates
    were not looked at: the next run, the check in Dagster and `mlb mapping drift` go on with them.
    """
    transformation = platform.transformation(mapping, list(tables) if tables is not None else None)
    stores, resolved, settings = transformation.stores, transformation.mapping, platform.settings
    started = time.perf_counter()
    days: list[date | None] = [*sorted(dates)] if resolved.partition else [None]
    if not days:
        return 0
    looked_at = days if resolved.targets[0].name in transformation.tables else []
    aside = _Aside(platform, resolved, looked_at, seconds / 2, on_check)
    run_in_process(
        platform, f"{python_name(resolved)}_payloads", "look_at_payloads", aside.run, {"mapping": mapping}, instance
    )
    writer = ReportWriter(stores, settings.lake, settings.quality_reports, resolved)
    wanted = {(table, day) for table in transformation.tables for day in days}
    for _ in writer.catch_up([m for m in writer.missing() if m in wanted]):
        if time.perf_counter() - started >= seconds:
            break
    return aside.left
