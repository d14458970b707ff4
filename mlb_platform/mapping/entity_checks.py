"""What a mapping can get wrong about its entities: several a response, keys and dates from elsewhere, views."""

from __future__ import annotations

from collections.abc import Iterator

from mlb_platform.mapping.models import MappingConfig, TargetTable
from mlb_platform.mapping.paths import ITEMS, MEMBERS, parse_path
from mlb_platform.mapping.problems import Finding
from mlb_platform.mapping.resolve import element_depth, infer_entity_key, infer_partition


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
