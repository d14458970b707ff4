"""The completeness check: of the games that a date's schedule lists, which are not there, and what repairs that.

It stands on the first table of the feed, warns and never stops anything. What only waits to be materialized is counted
and no reason to warn: a sensor or the next command does it.
"""

import calendar
import warnings
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckExecutionContext,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    MetadataValue,
    Output,
    PartitionsDefinition,
    TableColumn,
    TableRecord,
    TableSchema,
    multi_asset_check,
)
from dagster._utils.warnings import PreviewWarning

from asset_checks.checks import recorded
from mlb_platform.assets.partitions import dates_of_keys
from mlb_platform.assets.specs import python_name, table_key
from mlb_platform.assets.tables import PLATFORM
from mlb_platform.ingestion.completeness.gaps import Gap, colour_of
from mlb_platform.ingestion.completeness.store import CompletenessTable
from mlb_platform.ingestion.dates.plan import FEED, SCHEDULE
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform

if TYPE_CHECKING:
    from mlb_platform.ingestion.completeness.look import Completeness

COMPLETENESS = "completeness"
SHOWN = 50
_MARKS = {"complete": "🟩", "open": "⬜", "pending": "🟨", "gaps": "🟥", "none": "▫️"}


def completeness_checks(mapping: ResolvedMapping, partitions: PartitionsDefinition[Any]) -> list[AssetChecksDefinition]:
    """Return the completeness check where the mapping is the feed's; else nothing."""
    if mapping.name != FEED:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)
        spec = AssetCheckSpec(
            COMPLETENESS,
            asset=table_key(mapping.targets[0].name),
            description="Games that the date's schedule lists, against raw rows and tables: each gap with its reason.",
            blocking=False,
            partitions_def=partitions,
        )

    @multi_asset_check(
        name=f"check_{python_name(mapping)}_completeness",
        specs=[spec],
        required_resource_keys={PLATFORM},
        description="What should be there by the schedule, and is not.",
    )
    def checks(context: AssetCheckExecutionContext) -> Iterator[AssetCheckEvaluation | Output[None]]:
        op_context = context.op_execution_context
        dates = list(dates_of_keys(op_context.partition_keys))
        verdicts = list(evaluate_completeness(getattr(op_context.resources, PLATFORM), mapping, dates))
        yield from recorded(context, [spec], verdicts, len(dates))

    return [checks]


def evaluate_completeness(
    platform: Platform, mapping: ResolvedMapping, dates: Sequence[date | None]
) -> Iterator[AssetCheckEvaluation]:
    """Give the verdict of every date, where the mapping is the feed's; the caller records the verdicts."""
    days = sorted(d for d in dates if d is not None)
    if mapping.name != FEED or SCHEDULE not in platform.registry.mappings or not days:
        return
    # here, since loading the definitions needs nothing of what looks at raw rows
    from mlb_platform.ingestion.completeness.look import look_at, time_now

    now = time_now(platform.settings.api_clock_url)
    look = look_at(platform.raw, platform.registry.mappings, days, now=now, only_listed=True)
    for day in days:
        yield _verdict(platform, mapping, look, day)


def _verdict(platform: Platform, mapping: ResolvedMapping, look: "Completeness", day: date) -> AssetCheckEvaluation:
    lines = look.of(day)
    gaps = [g for g in lines if g.gap not in (None, "pending")]
    pending = sum(g.gap == "pending" for g in lines)
    games = len({g.game_pk for g in lines})
    metadata: dict[str, MetadataValue[Any]] = {
        "games": MetadataValue.int(games),
        "expected": MetadataValue.int(sum(g.expected for g in lines)),
        "gaps": MetadataValue.int(len(gaps)),
        "to_be_materialized": MetadataValue.int(pending),
        "month": MetadataValue.md(_month(platform, day)),
    }
    if gaps:
        metadata["found"] = _table(gaps[:SHOWN])
    return AssetCheckEvaluation(
        asset_key=table_key(mapping.targets[0].name),
        check_name=COMPLETENESS,
        passed=not gaps,
        severity=AssetCheckSeverity.WARN,
        blocking=False,
        partition=day.isoformat(),
        description=_text(games, gaps),
        metadata=metadata,
    )


def _text(games: int, gaps: Sequence[Gap]) -> str:
    if not games:
        return "no schedule of the date, or no games on it: nothing to hold it against"
    if not gaps:
        return f"{games} games: none is missing"
    first = gaps[0]
    more = f" (and {len(gaps) - 1} more)" if len(gaps) > 1 else ""
    return f"{first.endpoint} of game {first.game_pk}: {first.reason}{more}; repair: {first.repair}"


def _month(platform: Platform, day: date) -> str:
    """Return the month of a date as it was last looked at, a square a date."""
    last = calendar.monthrange(day.year, day.month)[1]
    seen = CompletenessTable(platform.postgres).of_dates(day.replace(day=1), day.replace(day=last))
    squares = [
        _MARKS[colour_of(g for g in seen if g.game_date.day == number)] if any(g.game_date.day == number for g in seen)
        else _MARKS["none"]
        for number in range(1, last + 1)
    ]  # fmt: skip
    return f"{calendar.month_name[day.month]} {day.year}: {''.join(squares)}"


def _table(gaps: Sequence[Gap]) -> MetadataValue[Any]:
    names = ("game_pk", "endpoint", "state", "reason", "repair")
    rows = [TableRecord({n: str(getattr(g, n)) for n in names}) for g in gaps]
    return MetadataValue.table(rows, TableSchema([TableColumn(n, "string") for n in names]))
