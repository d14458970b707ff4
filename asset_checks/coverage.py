"""The coverage check: what the newest captures of a date have that no mapping takes, and lack that earlier ones had.

It stands on the first table of a mapping, warns and never stops anything. It reads raw rows, each once, and no tables.
"""

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

from mlb_platform.assets.partitions import dates_of_keys
from mlb_platform.assets.specs import python_name, table_key
from mlb_platform.assets.tables import PLATFORM
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform
from mlb_platform.quality.drift import ALARMING, KINDS
from resources.drift_store import DateDrift, DriftRecord, DriftStore

if TYPE_CHECKING:
    from mlb_platform.quality.drift_profiles import DriftProfiles

COVERAGE = "coverage"
SHOWN = 50
"""How many findings a verdict carries; the report has all."""
DAYS = 60
"""How many days of capture of a mapping without dates are looked at in one run, the latest first."""
_DESCRIPTION = (
    "The newest captures of the date compared with earlier dates: unmapped paths, mapped paths that vanished, values "
    "of another type. Warns only, also where not all were looked at; the report has all of it, and fill rates."
)


def coverage_checks(mapping: ResolvedMapping, partitions: PartitionsDefinition[Any]) -> AssetChecksDefinition:
    """Return the coverage check of a mapping, on its first table and partitioned as that is."""
    first = mapping.targets[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)
        spec = AssetCheckSpec(
            COVERAGE,
            asset=table_key(first.name),
            description=_DESCRIPTION,
            blocking=False,
            partitions_def=partitions if first.partition else None,
            metadata={"mapping": mapping.name, "raw_table": mapping.config.source.raw_table},
        )

    @multi_asset_check(
        name=f"check_{python_name(mapping)}_coverage",
        specs=[spec],
        required_resource_keys={PLATFORM},
        description=f"What of the payloads of {mapping.name} is mapped, and what changed in them.",
    )
    def checks(context: AssetCheckExecutionContext) -> Iterator[AssetCheckEvaluation | Output[None]]:
        # here, since it brings Dagster's storage, which loading the definitions does not need
        from resources.dagster_events import record_verdicts, with_targets

        op_context = context.op_execution_context
        dates = list(dates_of_keys(op_context.partition_keys)) if mapping.partition is not None else [None]
        found = list(evaluate_coverage(getattr(op_context.resources, PLATFORM), mapping, dates))
        verdicts = with_targets(op_context.instance, found)
        if len(verdicts) == 1:
            yield from verdicts
        else:
            record_verdicts(op_context.instance, op_context.get_step_execution_context(), verdicts)
        yield Output(None, output_name=spec.get_python_identifier())

    return checks


def evaluate_coverage(
    platform: Platform, mapping: ResolvedMapping, dates: Sequence[date | None]
) -> Iterator[AssetCheckEvaluation]:
    """Give the verdict of every date, earlier ones first, and write its report; the caller records the verdicts.

    The date of a mapping without partition is None: the latest days of capture are looked at, in one verdict.
    """
    # here, as below, since loading the definitions needs nothing of what looks at payloads
    from mlb_platform.history.finality import Finality
    from mlb_platform.quality.drift_profiles import FEW, MANY_DATES, MOST, DriftProfiles

    store = DriftStore(platform.postgres)
    mappings = platform.registry.mappings
    endings = Finality(platform.postgres, mappings.values())
    profiles = DriftProfiles(platform.raw, store, mapping, mappings, endings)
    most = MOST if len(dates) <= MANY_DATES else FEW
    for day in sorted(d for d in dates if d is not None):
        found = profiles.look_at(day, most)
        yield _verdict(platform, mapping, profiles, day, [found])
    if None in dates:
        unseen = profiles.unseen()
        wanted = sorted({*unseen[-DAYS:], *profiles.days()[-1:]})
        looked = [profiles.look_at(d, MOST) for d in wanted]
        yield _verdict(platform, mapping, profiles, None, looked, days_left=len(unseen[:-DAYS]))


def _verdict(
    platform: Platform,
    mapping: ResolvedMapping,
    profiles: "DriftProfiles",
    day: date | None,
    looked: list[DateDrift],
    days_left: int = 0,
) -> AssetCheckEvaluation:
    alarming = {kind: [f for d in looked for f in d.of(kind)] for kind in ALARMING}
    captures, known = sum(d.captures for d in looked), sum(d.known for d in looked)
    passed = captures == known and not days_left and not any(alarming.values())
    metadata: dict[str, MetadataValue[Any]] = {
        "captures": MetadataValue.int(captures),
        "captures_not_looked_at": MetadataValue.int(known - captures),
    }
    if days_left:
        metadata["days_not_looked_at"] = MetadataValue.int(days_left)
    for name in ("leaf_paths", "mapped", "ignored", "unmapped"):
        metadata[name] = MetadataValue.int(max((int(getattr(d, name)) for d in looked), default=0))
    for kind in KINDS:
        count = sum(len(d.of(kind)) for d in looked)
        if kind != "unmapped":
            metadata[f"{kind}_paths"] = MetadataValue.int(count)
    listed = [(d.day, f) for kind in KINDS for d in looked for f in d.of(kind)]
    if listed:
        metadata["found"] = _table(listed[:SHOWN])
    if looked and captures:
        try:
            metadata["report"] = MetadataValue.path(_report(platform, mapping, profiles, looked))
        except OSError as error:  # a page that cannot be written is no reason for a run to fail
            metadata["report"] = MetadataValue.text(f"not written: {error}")
    return AssetCheckEvaluation(
        asset_key=table_key(mapping.targets[0].name),
        check_name=COVERAGE,
        passed=passed,
        severity=AssetCheckSeverity.WARN,
        blocking=False,
        partition=day.isoformat() if day is not None else None,
        description=_text(alarming, captures, known, days_left),
        metadata=metadata,
    )


def _text(alarming: dict[Any, list[DriftRecord]], captures: int, known: int, days_left: int) -> str:
    looked = f"{captures} captures" if captures == known else f"{captures} of {known} captures"
    if not known:
        return "no captures"
    told = [
        f"{len(found)} {KINDS[kind]} ({', '.join(f.path for f in found[:3])}{', …' if len(found) > 3 else ''})"
        for kind, found in alarming.items()
        if found
    ]
    left = [f"{known - captures} captures were not looked at"] if captures < known else []
    left += [f"{days_left} earlier days of capture were not looked at"] if days_left else []
    left[-1:] = [f"{text} (the next run goes on, `mlb mapping drift` looks at all of a date)" for text in left[-1:]]
    every = [] if left else ["every leaf path is mapped or ignored with a reason, none vanished"]
    return f"{looked}: " + "; ".join([*(told or every), *left])


def _table(found: Sequence[tuple[date, DriftRecord]]) -> MetadataValue[Any]:
    names = ("kind", "path", "count", "first_in", "example", "note", "date")
    rows = [
        TableRecord(
            dict(zip(names, (f.kind, f.path, f.count, f.entity, f.example, f.note, day.isoformat()), strict=True))
        )
        for day, f in found
    ]
    return MetadataValue.table(rows, TableSchema([TableColumn(n, "int" if n == "count" else "string") for n in names]))


def _report(platform: Platform, mapping: ResolvedMapping, profiles: "DriftProfiles", looked: list[DateDrift]) -> str:
    """Write the report of what was looked at, unless it is there from the same look, and return its path."""
    from mlb_platform.quality.drift_profiles import report_folder
    from mlb_platform.quality.drift_report import render, write
    from mlb_platform.quality.drift_seasons import fill_rows

    folder = report_folder(platform.settings.home, mapping)
    last = looked[-1]
    name = last.day.isoformat()
    path = folder / f"{name}.html"
    mark = f"<!-- {' '.join(d.basis for d in looked)} -->\n"
    if path.is_file() and path.read_text("utf-8").endswith(mark):
        return str(path)
    nodes = {"before": profiles.before(looked[0].day), name: profiles.total(last.day)}
    fills = fill_rows(profiles.cover, nodes)
    return str(write(folder, name, render(mapping.name, looked, labels=list(nodes), fills=fills) + mark))
