"""What a changed table means for PostgreSQL and Delta, told by the rules that the sinks themselves keep."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from mlb_platform.mapping.avro import AvroSchema
from mlb_platform.mapping.diff import ColumnChange, ContractColumn, TableDiff, contract_columns
from resources.merge import ColumnSpec, MergeSpec
from resources.merge_schema import ColumnChanges, ExistingColumn, SchemaChangeRefused, plan_columns
from resources.sql_types import delta_type, postgres_type

SinkName = Literal["PostgreSQL", "Delta"]


@dataclass(frozen=True)
class SinkEffect:
    """What one sink does about one change; `refused`: it does not, because values would be lost."""

    sink: SinkName
    effect: str
    refused: bool = False


def _spec(schema: AvroSchema, columns: Iterable[ContractColumn]) -> MergeSpec:
    specs = tuple(ColumnSpec(c.name, c.sql_type, c.nullable, c.description) for c in columns)
    return MergeSpec(
        f"{schema['namespace']}.{schema['name']}",
        specs,
        tuple(schema["primaryKey"]),
        str(schema["mergeScope"]),
        schema["partitionBy"],
        bool(schema["snapshot"]),
    )


def _existing(column: ContractColumn) -> ExistingColumn:
    return ExistingColumn(column.name, column.sql_type, column.nullable, column.description)


def column_effects(diff: TableDiff, change: ColumnChange) -> list[SinkEffect]:
    """Return what each sink does about a changed column of a table that has rows: a migration, or a refusal."""
    assert diff.old is not None and diff.new is not None
    spec = _spec(diff.new, [change.new] if change.new else [])
    have = [_existing(change.old)] if change.old else []
    try:
        planned = plan_columns(diff.table, spec, have, spec.key, empty=False)
    except SchemaChangeRefused as refusal:
        text = str(refusal).removeprefix(f"{diff.table}: ")
        return [SinkEffect("PostgreSQL", text, True), SinkEffect("Delta", text, True)]
    return [
        SinkEffect("PostgreSQL", "; ".join(_postgres(diff.table, planned)) or "nothing to do"),
        SinkEffect("Delta", "; ".join(_delta(change, planned)) or "nothing to do"),
    ]


def _postgres(table: str, planned: ColumnChanges) -> list[str]:
    alter = f"ALTER TABLE {table}"
    made = [f"{alter} ADD COLUMN {c.name} {postgres_type(c.sql_type)}" for c in planned.added]
    made += [f"{alter} ALTER COLUMN {c.name} TYPE {postgres_type(c.sql_type)}" for c in planned.widened]
    made += [f"{alter} ALTER COLUMN {c.name} DROP NOT NULL" for c in planned.loosened]
    if not made:
        made += [f"COMMENT ON COLUMN {table}.{c.name}" for c in planned.described]
    return made


def _delta(change: ColumnChange, planned: ColumnChanges) -> list[str]:
    made = [f"column {c.name} {delta_type(c.sql_type)} is added to the table's metadata" for c in planned.added]
    for c in planned.widened:
        if change.old is not None and delta_type(change.old.sql_type) != delta_type(c.sql_type):
            made.append(f"all rows are written anew in one commit, {c.name} as {delta_type(c.sql_type)}")
        else:
            made.append(f"{c.name} stays {delta_type(c.sql_type)}, its metadata says {c.sql_type}")
    made += [f"{c.name} takes nulls from now on (metadata)" for c in planned.loosened]
    if not made:
        made += [f"the comment of {c.name} is renewed (metadata)" for c in planned.described]
    return made


def table_effects(diff: TableDiff) -> list[SinkEffect]:
    """Return what each sink does about a table that is new, gone or has another key."""
    if diff.kind == "new":
        return [SinkEffect("PostgreSQL", f"CREATE TABLE {diff.table}"), SinkEffect("Delta", "the table is created")]
    if diff.kind == "removed":
        stays = "table and rows stay, and are written no more, until somebody drops them"
        return [SinkEffect("PostgreSQL", stays), SinkEffect("Delta", stays)]
    if diff.kind == "same" or diff.old is None or diff.new is None:
        return []
    columns = list(contract_columns(diff.new).values())
    try:
        have = [_existing(c) for c in columns]
        plan_columns(diff.table, _spec(diff.new, columns), have, diff.old["primaryKey"], empty=False)
    except SchemaChangeRefused as refusal:
        text = str(refusal).removeprefix(f"{diff.table}: ")
        return [SinkEffect("PostgreSQL", text, True), SinkEffect("Delta", text, True)]
    return []


def with_refusals(diff: TableDiff) -> TableDiff:
    """Return a diff that knows which columns the sinks refuse for reasons that neither Avro nor the key tells."""
    if diff.kind != "changed":
        return diff
    untold = [c for c in diff.columns if not any(b.direction == "backward" for b in c.avro)]
    refused = [e.effect for c in untold for e in column_effects(diff, c) if e.refused]
    return replace(diff, refused=tuple(dict.fromkeys(refused)))
