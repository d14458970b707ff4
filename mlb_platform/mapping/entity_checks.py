"""What a mapping can get wrong about its entities: several a response, keys and dates from elsewhere, views."""

from __future__ import annotations

from collections.abc import Iterator

from mlb_platform.mapping.models import FieldDefinition, InheritedColumn, MappingConfig, RowSource, TargetTable
from mlb_platform.mapping.paths import ITEMS, MEMBERS, parse_path
from mlb_platform.mapping.problems import Finding, Level
from mlb_platform.mapping.resolve import element_depth, infer_entity_key, infer_partition, inherited_name, path_list
from mlb_platform.mapping.shape import absolute, source_steps


def find_entity_problems(config: MappingConfig) -> Iterator[Finding]:
    """Yield (location in the file, what is wrong and what to do, level)."""
    source = config.source
    entity, partition = infer_entity_key(config), infer_partition(config)
    if source.entities is not None:
        if source.entity_key is None or source.entity_key.json_path is None:
            yield ("source", "entities"), "entities need source.entity_key with a json_path in their element", "error"
            return
        for i, target in enumerate(config.targets):
            for where, message in _element_problems(target, source.entities, source.entity_key.name, config):
                yield ("targets", i, *where), message, "error"
    inherited = {c.name: c for c in (entity, partition) if c is not None}
    for i, target in enumerate(config.targets):
        for n, f in enumerate(target.fields):
            name = inherited_name(f, set(inherited))
            for message, level in _inherited_problems(f, target, inherited[name], source.entities) if name else ():
                yield ("targets", i, "fields", n), message, level
    if source.dated_by is not None and (partition is None or partition.json_path is not None):
        yield ("source", "dated_by"), "dated_by is for a source.partition without json_path", "error"
    if source.dated_by is not None and entity is not None and entity.name != source.dated_by:
        yield ("source", "dated_by"), f"dated_by names the entity key, which is {entity.name}", "error"
    if partition is not None and partition.template is not None:
        yield ("source", "partition"), "template is for the entity key", "error"
    for n, view in enumerate(config.views):
        found = next((t for t in config.targets if t.name == view.table), None)
        if found is None:
            yield ("views", n), f"view {view.name}: {view.table} is no target of this mapping", "error"
            continue
        known = {f.name for f in found.fields} | {c.name for c in (entity, partition) if c is not None}
        for name in (*view.key, *(text.removeprefix("-") for text in view.order_by)):
            if name not in known and name != "source_captured_at":
                yield ("views", n), f"view {view.name} names unknown column {name} of {view.table}", "error"


def _inherited_problems(
    f: FieldDefinition, target: TargetTable, column: InheritedColumn, entities: str | None
) -> Iterator[tuple[str, Level]]:
    """Yield what a field that is an inherited column says of its value, and what is not so.

    `$.X` and `parent.X` name the inherited column X; a path may also be the one that X itself is read from.
    """
    base = _element_steps(entities) if entities is not None else ()
    own = {(*base, *parse_path(text).steps) for text in path_list(column)}

    def is_own(text: str, source: RowSource) -> bool:
        path = parse_path(text)
        return path.lookup is None and absolute(path, source_steps(source), target) in own

    read = [(text, source) for source in target.row_sources for text in source.paths_of(f)]
    others = [text for text, source in read if not is_own(text, source)]
    if f.name == column.name:
        others = [text for text in others if parse_path(text).steps != (column.name,)]
        told = others[0] if others else f.source_field if f.source_field is not None else f.constant
        if told is not None:
            yield f"column {f.name} is inherited and the same in all tables: {told} is not read", "warning"
    elif others and (
        any(parse_path(text).steps != (column.name,) for text in others)
        or any(target.is_document or steps[-1:] == (column.name,) for steps in own)
    ):
        yield (
            f"column {f.name}: {others[0]} would be the inherited column {column.name}, and not what the JSON has "
            f"there: give the inherited column a name that no member has",
            "error",
        )


def _element_steps(entities: str) -> tuple[str, ...]:
    steps = parse_path(entities, wildcards=True).steps
    return steps if steps and steps[-1] in (ITEMS, MEMBERS) else (*steps, ITEMS)


def _element_problems(
    target: TargetTable, entities: str, key: str, config: MappingConfig
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    steps = parse_path(entities, wildcards=True).steps
    depths = set()
    for source in target.row_sources:
        own = parse_path(source.source or "$", wildcards=True).steps
        stem = steps[:-1] if steps and steps[-1] in (ITEMS, MEMBERS) else steps
        if own[: len(stem)] != stem:
            yield (), f"rows of {target.name} must come from {entities}: they belong to its elements"
            return
        depths.add(element_depth(source.source or "$"))
    if len(depths) > 1:
        yield ("sources",), f"the sources of {target.name} lie at different depths below {entities}"
    scope = target.merge_scope or config.source.merge_scope
    if scope is not None and scope.key != key:
        yield ("merge_scope",), f"the scope of {target.name} is the entity key {key}, not {scope.key}"
    if key not in target.primary_key:
        yield ("primary_key",), f"put the entity key {key} into the primary_key of {target.name}"
    if scope is not None and scope.snapshot:
        return
    known = {f.name for f in target.fields}
    for n, f in enumerate(target.fields):
        if f.default is not None:
            yield (
                ("fields", n),
                f"default of {f.name} would take the place of what an earlier response said: leave it out",
            )
        if f.cleared_by is not None and f.cleared_by not in known:
            yield ("fields", n), f"cleared_by of {f.name} names unknown column {f.cleared_by}"
