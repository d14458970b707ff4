"""What a mapping means: inherited columns put in, rules made explicit, and the hash of how rows are derived."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from mlb_platform.mapping.models import (
    DataQualityRule,
    FieldDefinition,
    InheritedColumn,
    MappingConfig,
    Relationship,
    TargetTable,
)
from mlb_platform.mapping.paths import ITEMS, MEMBERS, parse_path
from mlb_platform.mapping.types import SqlType, parse_type

EXTRACTION_VERSION = 3
"""Raised when the same mapping gives other rows than before, so that everything is derived anew."""

TECHNICAL: dict[str, tuple[str, str]] = {
    "source_captured_at": ("TIMESTAMPTZ", "When the response this row was last changed by was received (UTC)."),
    "transform_timestamp": ("TIMESTAMPTZ", "When this row was last changed by the platform (UTC)."),
    "lineage_metadata": ("JSONB", "Raw table and row, job, time and quality result of the run that changed this row."),
}
RAW_COLUMNS = (
    "raw_id", "entity_key", "endpoint", "method", "url", "status_code", "captured_at", "last_seen_at", "partition_date",
    "content_hash", "ingested_at",
)  # fmt: skip

Origin = Literal["path", "raw", "expression", "constant", "entity", "partition", "technical"]


@dataclass(frozen=True)
class Column:
    """A column of a resolved table and where its value comes from."""

    name: str
    type: SqlType
    origin: Origin
    nullable: bool
    description: str
    field: FieldDefinition | None = None

    @property
    def technical(self) -> bool:
        """Whether the column says how a row was made, rather than what the source said."""
        return self.origin in ("technical", "raw")


@dataclass(frozen=True)
class ResolvedTarget:
    """A target table with everything inherited written out."""

    config: TargetTable
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    scope: str
    snapshot: bool
    folds: bool
    """Whether every capture counts: the newest that has a row wins, and what it does not say stays as known."""
    partition: str | None
    rules: tuple[DataQualityRule, ...]
    relationships: tuple[Relationship, ...]
    derivation_hash: str

    def __hash__(self) -> int:
        return hash((self.config.name, self.derivation_hash))

    @property
    def name(self) -> str:
        """schema.table."""
        return self.config.name

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """Columns by name."""
        return {c.name: c for c in self.columns}


@dataclass(frozen=True, eq=False)
class ResolvedMapping:
    """A mapping with its entity key, partition and scope settled; equal to itself only, so that it can be a key."""

    config: MappingConfig
    entity_key: InheritedColumn
    partition: InheritedColumn | None
    targets: tuple[ResolvedTarget, ...] = field(default=())

    @property
    def name(self) -> str:
        """endpoint/method."""
        return self.config.name

    @cached_property
    def by_name(self) -> dict[str, ResolvedTarget]:
        """Targets by schema.table."""
        return {t.name: t for t in self.targets}

    @property
    def noun(self) -> str:
        """What an entity is called in words: game, person, date."""
        return re.sub(r"^.*_(?=date$)|_(pk|id|key)$", "", self.entity_key.name).replace("_", " ")

    @property
    def per_element(self) -> bool:
        """Whether a response has several entities: the elements of an array."""
        return self.config.source.entities is not None


def path_list(column: InheritedColumn | FieldDefinition) -> list[str]:
    """Return the paths of a column to try, in order."""
    if column.json_path is None:
        return []
    return [column.json_path] if isinstance(column.json_path, str) else list(column.json_path)


def infer_entity_key(config: MappingConfig) -> InheritedColumn | None:
    """Return the entity key: declared, or that of the first one-row-a-document target with a one-column key."""
    if config.source.entity_key:
        return config.source.entity_key
    for target in config.targets:
        if target.is_document and len(target.primary_key) == 1:
            for f in target.fields:
                if f.name == target.primary_key[0] and f.json_path is not None:
                    return InheritedColumn(name=f.name, type=f.type, json_path=f.json_path, description=f.description)
    return None


def infer_partition(config: MappingConfig) -> InheritedColumn | None:
    """Return the partition column: declared, or the `partition_by` field of a one-row-a-document target."""
    if config.source.partition:
        return config.source.partition
    for target in config.targets:
        for f in target.fields:
            if target.is_document and f.name == target.partition_by and f.json_path is not None:
                return InheritedColumn(name=f.name, type=f.type, json_path=f.json_path, description=f.description)
    return None


def inherited_name(f: FieldDefinition, names: set[str]) -> str | None:
    """Return the inherited column a field takes: its own name, or `$.NAME` / `parent.NAME` of one."""
    if f.name in names and f.expression is None:
        return f.name
    if f.json_path is not None and f.element is None:
        for text in f.paths:
            path = parse_path(text)
            if path.anchor in ("item", "parent") and len(path.steps) == 1 and path.steps[0] in names:
                return path.steps[0]
    return None


def element_depth(text: str) -> int:
    """Return how many arrays or objects keyed by id lie between the document and an element of the array at `text`."""
    steps = parse_path(text, wildcards=True).steps
    depth = sum(s in (ITEMS, MEMBERS) for s in steps)
    return depth if steps and steps[-1] in (ITEMS, MEMBERS) else depth + 1


def _in_element(column: InheritedColumn, target: TargetTable, entities: str) -> FieldDefinition:
    """Write an inherited column of an entity's element as a field of a table whose rows lie in that element."""
    depths = {element_depth(s.source or "$") for s in target.row_sources}
    climb = max(depths) - element_depth(entities)
    paths = [text.replace("$", ".".join(["parent"] * climb), 1) if climb else text for text in path_list(column)]
    return FieldDefinition(
        name=column.name, type=column.type, json_path=paths, nullable=False, description=column.description
    )


def _columns(
    target: TargetTable,
    entity: InheritedColumn,
    partition: InheritedColumn | None,
    key: tuple[str, ...],
    entities: str | None,
) -> tuple[Column, ...]:
    inherited = {entity.name: entity} | ({partition.name: partition} if partition else {})
    declared: list[Column] = []

    def of_element(column: InheritedColumn, f: FieldDefinition | None) -> Column:
        """Return the inherited column as one read from the element of the entity."""
        made = _in_element(column, target, str(entities))
        text = f.description if f is not None and f.description else column.description
        name = f.name if f is not None else column.name
        return Column(name, parse_type(column.type), "path", False, text, made.model_copy(update={"name": name}))

    for f in target.fields:
        nullable = f.nullable and f.name not in key
        name = inherited_name(f, set(inherited))
        if f.name in TECHNICAL:
            origin: Origin = "technical"
        elif name is not None and entities is not None:
            declared.append(of_element(inherited[name], f))
            continue
        elif name is not None:
            origin = "entity" if name == entity.name else "partition"
            nullable = False
        else:
            origin = (
                "raw"
                if f.source_field
                else "expression"
                if f.expression
                else "constant"
                if f.constant is not None
                else "path"
            )
        declared.append(Column(f.name, parse_type(f.type), origin, nullable, f.description, f))
    names = {c.name for c in declared}
    front = [
        of_element(c, None)
        if entities is not None
        else Column(c.name, parse_type(c.type), "entity" if c is entity else "partition", False, c.description)
        for c in inherited.values()
        if c.name not in names
    ]
    back = [
        Column(n, parse_type(t), "technical", n != "source_captured_at" and n != "transform_timestamp", d)
        for n, (t, d) in TECHNICAL.items()
        if n not in names
    ]
    return (*front, *declared, *back)


def _rules(
    target: TargetTable, columns: tuple[Column, ...], key: tuple[str, ...], provided: set[str]
) -> tuple[DataQualityRule, ...]:
    required = [c.name for c in columns if not c.nullable and not c.technical]
    rules = [
        DataQualityRule(
            kind="not_null",
            columns=required,
            severity="error",
            name="not_null",
            description="Key, partition and required columns are present.",
        ),
        DataQualityRule(
            kind="unique",
            columns=list(key),
            severity="error",
            name="unique_key",
            description="No two differing rows share a key.",
        ),
        *target.data_quality,
    ]
    for r in target.relationships:
        if r.to_table in provided and not any(
            q.kind == "reference" and q.to_table == r.to_table and q.columns == r.from_fields
            for q in target.data_quality
        ):
            rules.append(
                DataQualityRule(
                    kind="reference",
                    columns=r.from_fields,
                    to_table=r.to_table,
                    to_columns=r.to_fields,
                    severity="warn",
                    name=f"orphan({', '.join(r.from_fields)}) -> {r.to_table}",
                    description=r.description,
                )
            )
    return tuple(rules)


def _derivation_hash(config: MappingConfig, target: TargetTable, inherited: tuple[InheritedColumn, ...]) -> str:
    """Hash what decides the rows of a table: not its descriptions, relationships, indexes or owners."""
    unread = {"entity_key", "partition", "required", "also", "dates", "embeds", "final_when"}
    source = config.source.model_dump(mode="json", exclude=unread)
    source["inherited"] = [c.model_dump(mode="json", exclude={"description"}) for c in inherited]
    dumped: dict[str, Any] = target.model_dump(
        mode="json", exclude={"description", "relationships", "indexes", "owners", "data_quality", "upsert_keys"}
    )
    for f in dumped["fields"]:
        for name in ("description", "lenient", "optional"):
            f.pop(name)
    judged = [r.model_dump(mode="json", exclude={"description", "name"}) for r in target.data_quality]
    facts = {"version": EXTRACTION_VERSION, "source": source, "target": dumped, "rules": judged}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def resolve(config: MappingConfig) -> ResolvedMapping:
    """Resolve a checked mapping; the entity key must be known by then (`checks` reports it when it is not)."""
    entity = infer_entity_key(config)
    if entity is None:
        raise ValueError(f"mapping {config.name}: source.entity_key cannot be inferred")
    partition = infer_partition(config)
    provided = {t.name for t in config.targets}
    targets = []
    for target in config.targets:
        scope = target.merge_scope or config.source.merge_scope
        key = tuple(target.primary_key)
        columns = _columns(target, entity, partition, key, config.source.entities)
        # a response with several entities names others that it lacks: only the check of relationships sees all of them
        rules = _rules(target, columns, key, provided if config.source.entities is None else set())
        targets.append(
            ResolvedTarget(
                config=target,
                columns=columns,
                key=key,
                scope=scope.key if scope else entity.name,
                snapshot=bool(scope and scope.snapshot),
                folds=config.source.entities is not None and not (scope and scope.snapshot),
                partition=partition.name if partition else None,
                rules=rules,
                relationships=tuple(target.relationships),
                derivation_hash=_derivation_hash(config, target, (entity, partition) if partition else (entity,)),
            )
        )
    return ResolvedMapping(config, entity, partition, tuple(targets))
