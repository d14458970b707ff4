"""The checks of a mapping's tables: an op of its own that reads what is recorded, never the tables as inputs."""

import warnings
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckExecutionContext,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    Output,
    PartitionsDefinition,
    multi_asset_check,
)
from dagster._utils.warnings import PreviewWarning

from asset_checks.names import CHECK_NAMES, ERROR_RULES, PARITY, RELATIONSHIPS, WARN_RULES
from mlb_platform.assets.partitions import dates_of_keys
from mlb_platform.assets.specs import python_name, table_key, table_of_key
from mlb_platform.assets.tables import PLATFORM
from mlb_platform.mapping.resolve import ResolvedMapping, ResolvedTarget
from mlb_platform.quality.known import known_orphans

MANY_DATES = 2
"""From so many dates on, verdicts are written in bulk: faster, and failures last, where the UI shows them."""
_DESCRIPTIONS = {
    ERROR_RULES: "Fails for a date where a newer capture is held back because it breaks a rule of severity error.",
    WARN_RULES: "Rules of severity warn and values that do not fit their type: counted, with sample rows.",
    PARITY: "PostgreSQL and Delta hold the same number of rows, as many as were merged, and no key twice.",
    RELATIONSHIPS: "Every row that names a row of another table finds it there; orphans are counted by game.",
}


def check_specs(target: ResolvedTarget, partitions: PartitionsDefinition[Any]) -> list[AssetCheckSpec]:
    """Return the specs of a table's checks, partitioned as the table is."""
    rules = {
        ERROR_RULES: [r.label for r in target.rules if r.severity == "error"],
        WARN_RULES: [r.label for r in target.rules if r.severity == "warn"],
        PARITY: [],
        RELATIONSHIPS: [
            f"{', '.join(r.from_fields)} -> {r.to_table}({', '.join(r.to_fields)})" for r in target.relationships
        ],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)
        return [
            AssetCheckSpec(
                name,
                asset=table_key(target.name),
                description=_DESCRIPTIONS[name],
                blocking=name == PARITY,
                partitions_def=partitions if target.partition else None,
                metadata={"rules": rules[name]} if rules[name] else None,
            )
            for name in CHECK_NAMES
            if name != RELATIONSHIPS or target.relationships
        ]


def table_checks(mapping: ResolvedMapping, partitions: PartitionsDefinition[Any]) -> AssetChecksDefinition:
    """Return the checks of a mapping's tables."""
    specs = [s for t in mapping.targets for s in check_specs(t, partitions)]

    @multi_asset_check(
        name=f"check_{python_name(mapping)}_tables",
        specs=specs,
        can_subset=True,
        required_resource_keys={PLATFORM},
        description=f"Checks of the tables of {mapping.name}{', by date' if mapping.partition else ''}.",
    )
    def checks(context: AssetCheckExecutionContext) -> Iterator[AssetCheckEvaluation | Output[None]]:
        yield from _check(context, mapping, specs)

    return checks


def _check(
    context: AssetCheckExecutionContext, mapping: ResolvedMapping, specs: list[AssetCheckSpec]
) -> Iterator[AssetCheckEvaluation | Output[None]]:
    """Record one verdict a date; an output for each check that does not stop what is downstream of its table."""
    # here, since loading the definitions needs nothing of what reads the tables
    from asset_checks.evaluate import evaluate

    op_context = context.op_execution_context
    dates = list(dates_of_keys(op_context.partition_keys)) if mapping.partition else [None]
    selected = context.selected_asset_check_keys
    by_names: dict[frozenset[str], list[str]] = defaultdict(list)
    for target in mapping.targets:
        names = frozenset(key.name for key in selected if table_of_key(key.asset_key) == target.name)
        if names:
            by_names[names].append(target.name)
    platform = getattr(op_context.resources, PLATFORM)
    known = known_orphans(platform.settings.mappings)
    verdicts: list[AssetCheckEvaluation] = []
    for names, tables in by_names.items():
        verdicts += evaluate(
            platform.stores,
            platform.settings.lake,
            mapping,
            tables,
            dates,
            sorted(names),
            known=known,
            mappings=platform.registry.mappings,
        )
    yield from recorded(context, specs, verdicts, len(dates))


def recorded(
    context: AssetCheckExecutionContext, specs: list[AssetCheckSpec], verdicts: list[AssetCheckEvaluation], dates: int
) -> Iterator[AssetCheckEvaluation | Output[None]]:
    """Record verdicts of so many dates; give an output for each check that does not stop what is downstream."""
    # here, since it brings Dagster's storage, which loading the definitions does not need
    from resources.dagster_events import record_verdicts, with_targets

    op_context = context.op_execution_context
    verdicts = with_targets(op_context.instance, verdicts)
    in_bulk = [] if dates < MANY_DATES else [v for v in verdicts if not stops(v)]
    record_verdicts(op_context.instance, op_context.get_step_execution_context(), in_bulk)
    stopped = set()
    for verdict in verdicts if not in_bulk else (v for v in verdicts if stops(v)):
        yield verdict
        if stops(verdict):
            stopped.add(verdict.asset_check_key)
    for spec in specs:
        if spec.key in context.selected_asset_check_keys and spec.key not in stopped:
            yield Output(None, output_name=spec.get_python_identifier())


def stops(verdict: AssetCheckEvaluation) -> bool:
    """Whether a verdict stops what is downstream of its table."""
    return verdict.blocking and not verdict.passed and verdict.severity == AssetCheckSeverity.ERROR
