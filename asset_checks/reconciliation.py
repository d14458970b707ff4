"""Reconciliation as asset checks: by table and date, what the tables say twice, compared by the rules of quality.

A check of a table whose rows are told by two responses is one of either: it runs when either is materialized.
"""

import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

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

from asset_checks.checks import recorded, stops
from asset_checks.settled import BeforeWaiting, none_is_held, reconcile_settled
from mlb_platform.assets.partitions import dates_of_keys
from mlb_platform.assets.specs import python_name, table_key, table_of_key
from mlb_platform.assets.tables import PLATFORM
from mlb_platform.dagster_home import PERMANENT_TAG
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform
from mlb_platform.quality.known_differences import known_differences
from mlb_platform.quality.reconciliation import Reconciled, by_rule
from mlb_platform.quality.reconciliation_rules import RULES, Attachment, Rule

SHOWN = 20
"""How many differences a verdict carries."""
NAMES = frozenset(a.check for r in RULES for a in r.attachments)
"""The names of all checks of reconciliation."""
Checks = dict[Attachment, list[Rule]]


def checks_of(mapping: ResolvedMapping, mappings: Mapping[str, ResolvedMapping]) -> Checks:
    """Return the checks of a mapping's tables and their rules: those whose tables all have a mapping."""
    provided = {t.name for m in mappings.values() for t in m.targets}
    provided |= {v.name for m in mappings.values() for v in m.config.views}
    found: Checks = defaultdict(list)
    for rule in RULES:
        for attachment in rule.attachments:
            if attachment.table in mapping.by_name:
                found[attachment].append(rule)
    return {a: rules for a, rules in found.items() if provided.issuperset(t for r in rules for t in r.needs)}


def reconciliation_checks(
    mapping: ResolvedMapping, partitions: PartitionsDefinition[Any], mappings: Mapping[str, ResolvedMapping]
) -> list[AssetChecksDefinition]:
    """Return the checks of a mapping's tables as one op, or nothing where there is nothing to reconcile."""
    checks = checks_of(mapping, mappings)
    if not checks:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)
        specs = [
            AssetCheckSpec(
                a.check,
                asset=table_key(a.table),
                description=" ".join(r.description for r in rules),
                blocking=_can_block(a, rules),
                partitions_def=partitions if mapping.by_name[a.table].partition else None,
                metadata={
                    "rules": [r.name for r in rules],
                    "compared_with": sorted({t for r in rules for t in r.needs}),
                },
            )
            for a, rules in checks.items()
        ]

    @multi_asset_check(
        name=f"reconcile_{python_name(mapping)}",
        specs=specs,
        can_subset=True,
        required_resource_keys={PLATFORM},
        description=f"What the tables of {mapping.name} and others say of the same games, compared by date.",
    )
    def reconciliation(context: AssetCheckExecutionContext) -> Iterator[AssetCheckEvaluation | Output[None]]:
        op_context = context.op_execution_context
        dates = list(dates_of_keys(op_context.partition_keys))
        selected = {(table_of_key(k.asset_key), k.name) for k in context.selected_asset_check_keys}
        wanted = {a: rules for a, rules in checks.items() if (a.table, a.check) in selected}
        verdicts = list(evaluate_checks(getattr(op_context.resources, PLATFORM), wanted, dates))
        own = {
            (a.table, a.check)
            for a, rules in wanted.items()
            if mapping.by_name.keys() >= {t for r in rules for t in r.needs}
        }
        if any(stops(v) and (table_of_key(v.asset_key), v.check_name) in own for v in verdicts):
            # the same captures say the same again; what compares with other responses may pass once those are merged
            op_context.instance.add_run_tags(op_context.run_id, {PERMANENT_TAG: "true"})
        yield from recorded(context, specs, verdicts, len(dates))

    return [reconciliation]


def evaluate_reconciliation(
    platform: Platform,
    mapping: ResolvedMapping,
    tables: Collection[str],
    dates: Sequence[date | None],
    before_waiting: BeforeWaiting = none_is_held,
) -> Iterator[AssetCheckEvaluation]:
    """Give the verdicts of all checks of these tables of a mapping, by date; the caller records them.

    `before_waiting` returns when the caller holds no lock of a scope.
    """
    checks = checks_of(mapping, platform.registry.mappings)
    wanted = {a: rules for a, rules in checks.items() if a.table in tables}
    yield from evaluate_checks(platform, wanted, [d for d in dates if d is not None], before_waiting)


def evaluate_checks(
    platform: Platform, checks: Checks, dates: Sequence[date], before_waiting: BeforeWaiting = none_is_held
) -> Iterator[AssetCheckEvaluation]:
    """Give the verdict of every check and date; each rule is evaluated once, over all dates.

    Games that do not reconcile are compared once more when nobody writes them; `before_waiting` returns when the caller
    holds no lock of a scope.
    """
    known = known_differences(platform.settings.mappings)
    for dated_by in sorted({a.dated_by for a in checks}):
        of_kind = {a: rules for a, rules in checks.items() if a.dated_by == dated_by}
        used = {r.name: r for rules in of_kind.values() for r in rules}
        found = reconcile_settled(
            platform.postgres, platform.registry.mappings, used.values(),
            dates=dates, known=known, dated_by=dated_by, before_waiting=before_waiting,
        )  # fmt: skip
        parts = found.by_date(dates)
        for attachment, rules in of_kind.items():
            for day in dates:
                yield _verdict(attachment, rules, day, parts[day])


def _can_block(attachment: Attachment, rules: Iterable[Rule]) -> bool:
    return attachment.blocking and any(r.soft is not None for r in rules)


def _verdict(attachment: Attachment, rules: Sequence[Rule], day: date, found: Reconciled) -> AssetCheckEvaluation:
    part = found.of_rules([r.name for r in rules])
    open_ones, rows = part.unexplained, by_rule(part)
    comparisons = sum(r["comparisons"] for r in rows)
    games = {g.game_pk for listed in part.games.values() for g in listed}
    metadata: dict[str, MetadataValue[Any]] = {
        "games": MetadataValue.int(len(games)),
        "comparisons": MetadataValue.int(comparisons),
        "mismatches": MetadataValue.int(len(open_ones)),
        "known": MetadataValue.int(len(part.differences) - len(open_ones)),
    }
    if rows:
        metadata["rules"] = _table(rows, ("rule", "games", "comparisons", "mismatches", "known"))
    if part.differences:
        shown = sorted(part.differences, key=lambda d: bool(d.reason))[:SHOWN]
        names = ("rule", "game", "subject", "expected", "actual", "known")
        listed = [(d.rule, d.game.game_pk, d.subject, d.expected, d.actual, d.reason) for d in shown]
        metadata["differences"] = _table([dict(zip(names, row, strict=True)) for row in listed], names)
    notes = _notes(part)
    if notes:
        metadata["notes"] = MetadataValue.text("; ".join(notes))
    told = [f"{d}" for d in open_ones[:3]]
    told += [f"… and {len(open_ones) - 3} more"] if len(open_ones) > 3 else []
    told += [f"a known difference is none any more: {k}" for k in part.unmatched]
    said = "; ".join(told or ([f"{comparisons} comparisons of {len(games)} games, no difference"] if games else notes))
    sure = attachment.blocking and any(d.blocking for d in open_ones)
    return AssetCheckEvaluation(
        asset_key=table_key(attachment.table),
        check_name=attachment.check,
        passed=not told,
        severity=AssetCheckSeverity.ERROR if sure else AssetCheckSeverity.WARN,
        blocking=_can_block(attachment, rules),
        partition=day.isoformat(),
        description=said or "no game to compare",
        metadata=metadata,
    )


def _notes(found: Reconciled) -> list[str]:
    """Say what was not compared, and why."""
    notes = [f"{rule}: not compared, there is no {', '.join(tables)} yet" for rule, tables in found.absent.items()]
    for rule, games in found.early.items():
        if games:
            listed = ", ".join(str(g.game_pk) for g in games[:5])
            notes.append(f"{rule}: not compared with {listed}, whose response is older than the end of the game")
    return notes


def _table(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> MetadataValue[Any]:
    columns = [
        TableColumn(n, "int" if n in ("games", "game", "comparisons", "mismatches") else "string") for n in names
    ]
    records = [TableRecord({n: row[n] for n in names}) for row in rows]
    return MetadataValue.table(records, TableSchema(columns))
