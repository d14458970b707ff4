"""What only the whole of a mapping can get wrong: every problem with the place in the file it comes from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from mlb_platform.mapping.entity_checks import find_entity_problems
from mlb_platform.mapping.filters import filter_paths, parse_filter
from mlb_platform.mapping.models import FieldDefinition, Lookup, MappingConfig, RowSource, TargetTable
from mlb_platform.mapping.paths import ITEMS, MEMBERS, JsonPath, parse_path
from mlb_platform.mapping.problems import Finding, Location
from mlb_platform.mapping.resolve import RAW_COLUMNS, TECHNICAL, infer_entity_key, infer_partition
from mlb_platform.mapping.shape import key_paths
from mlb_platform.mapping.sql import columns_of
from mlb_platform.mapping.types import is_of_type, parse_type

HISTORY_COLUMNS = ("valid_from", "valid_to", "raw_id", "ended_by_raw_id")
"""What `history.validity` adds to the columns of a table: none of them may be mapped."""


def find_problems(config: MappingConfig) -> Iterator[Finding]:
    """Yield (location in the file, what is wrong and what to do, level) for one mapping."""
    entity = infer_entity_key(config)
    if entity is None:
        yield (
            ("source",),
            "no entity key: declare source.entity_key (name, type, json_path), or a target with one row a document "
            "and a one-column primary_key that has a json_path",
            "error",
        )
    partition = infer_partition(config)
    if partition is not None and partition.type != "DATE":
        yield ("source",), f"the partition column {partition.name} must be a DATE, not {partition.type}", "error"
    for column in (entity, partition):
        if column is not None and column.name in HISTORY_COLUMNS:
            yield (
                ("source",),
                f"a table's history has a column {column.name} of its own: give this one another name",
                "error",
            )
    inherited = {*TECHNICAL, *([partition.name] if partition else [])}
    if entity is None:
        # which of these would be the entity key is not known: none of them is called unknown on top
        inherited |= {f.name for t in config.targets if t.is_document for f in t.fields}
        inherited |= {key for t in config.targets if t.is_document for key in t.primary_key}
    else:
        inherited.add(entity.name)
    for name, count in Counter(t.name for t in config.targets).items():
        if count > 1:
            second = [i for i, t in enumerate(config.targets) if t.name == name][1]
            yield ("targets", second, "name"), f"target {name} is defined {count} times", "error"
    yield from find_entity_problems(config)
    for i, target in enumerate(config.targets):
        for location, message, level in _target_problems(target, inherited, config):
            yield ("targets", i, *location), message, level


def _target_problems(target: TargetTable, inherited: set[str], config: MappingConfig) -> Iterator[Finding]:
    names = [f.name for f in target.fields]
    known = set(names) | inherited
    for name, count in Counter(names).items():
        if count > 1:
            second = [i for i, n in enumerate(names) if n == name][1]
            yield ("fields", second), f"column {name} is defined {count} times in {target.name}", "error"
    for i, column in enumerate(target.primary_key):
        if column not in known:
            yield ("primary_key", i), f"key column {column} of {target.name} is not mapped", "error"
    for i, column in enumerate(target.upsert_keys or []):
        if column not in {*target.primary_key, "captured_at"}:
            yield (
                ("upsert_keys", i),
                f"upsert_keys may name key columns and captured_at only, not {column}: they confirm the key",
                "error",
            )
    partition = infer_partition(config)
    if target.partition_by is not None and (partition is None or partition.name != target.partition_by):
        yield (
            ("partition_by",),
            f"partition_by {target.partition_by} of {target.name} is no partition column of the source",
            "error",
        )
    if not target.description:
        yield (), f"target {target.name} has no description", "warning"
    yield from _scope_problems(target, known, config)
    for name, lookup in target.lookups.items():
        for text in (lookup.object_source, lookup.array_source):
            if text is not None and _depth(parse_path(text, wildcards=True).steps):
                yield (
                    ("lookups", name),
                    f"look-up {name}: {text} must lead to one array or object, without wildcards",
                    "error",
                )
        if message := _lookup_problem(name, target):
            yield ("lookups", name), message, "error"
    yield from _constant_problems(target)
    for i, f in enumerate(target.fields):
        for location, message, level in _field_problems(f, target, known):
            yield ("fields", i, *location), message, level
    for i, source in enumerate(target.row_sources):
        where: Location = ("sources", i) if target.sources is not None else ()
        if source.filter:
            for message in _filter_problems(source.filter, target, source):
                yield (*where, "filter"), message, "error"
        for column in [c for c in source.paths if c not in names]:
            yield (*where, "paths"), f"paths names unknown column {column} of {target.name}", "error"
    if target.filter:
        found = [m for source in target.row_sources for m in _filter_problems(str(target.filter), target, source)]
        for message in dict.fromkeys(found):
            yield ("filter",), message, "error"
    provided = {t.name: {f.name for f in t.fields} | inherited for t in config.targets}
    for i, r in enumerate(target.relationships):
        for column in r.from_fields:
            if column not in known:
                yield ("relationships", i), f"relationship to {r.to_table} names unknown column {column}", "error"
        for column in r.to_fields:
            if column not in provided.get(r.to_table, {column}):
                yield ("relationships", i), f"relationship names unknown column {column} of {r.to_table}", "error"
    for i, index in enumerate(target.indexes):
        for column in index.columns:
            if column not in known:
                yield ("indexes", i), f"index names unknown column {column}", "error"
    for i, rule in enumerate(target.data_quality):
        try:
            used = [*rule.needs, *(columns_of(rule.rule) if rule.rule else [])]
        except ValueError as error:
            yield ("data_quality", i), f"rule {error}", "error"
            continue
        for column in dict.fromkeys(used):
            if column not in known:
                yield ("data_quality", i), f"rule {rule.label!r} names unknown column {column}", "error"
        for column in rule.to_columns:
            if column not in provided.get(str(rule.to_table), {column}):
                yield (
                    ("data_quality", i),
                    f"rule {rule.label!r} names unknown column {column} of {rule.to_table}",
                    "error",
                )
    for label, count in Counter(r.label for r in target.data_quality).items():
        if count > 1:
            yield ("data_quality",), f"rule {label!r} is defined {count} times in {target.name}", "error"


def _scope_problems(target: TargetTable, known: set[str], config: MappingConfig) -> Iterator[Finding]:
    scope, entity = target.merge_scope or config.source.merge_scope, infer_entity_key(config)
    if scope is not None and scope.key not in known:
        yield ("merge_scope",), f"merge_scope key {scope.key} is not a column of {target.name}", "error"
    elif entity is None or config.source.entities is not None:
        return  # that there is no entity key is told once; of those of elements `find_entity_problems` tells
    elif scope is not None and scope.key != entity.name:
        yield (
            ("merge_scope",),
            f"rows of {target.name} are merged by what a response is about: merge_scope.key must be the entity key "
            f"{entity.name}, not {scope.key}",
            "error",
        )
    elif entity.name not in target.primary_key:
        yield (
            ("primary_key",),
            f"rows of {target.name} belong to one {entity.name}: put it into the primary_key, or the responses of two "
            "overwrite each other's rows",
            "error",
        )


def _field_problems(f: FieldDefinition, target: TargetTable, known: set[str]) -> Iterator[Finding]:
    if f.name == "lineage_metadata":
        yield (), "lineage_metadata is written by the platform and cannot be mapped", "error"
    if f.name in HISTORY_COLUMNS:
        yield (), f"a table's history has a column {f.name} of its own: give this one another name", "error"
    if f.source_field is not None and f.source_field not in RAW_COLUMNS:
        yield (
            ("source_field",),
            f"raw column {f.source_field} does not exist: use one of {', '.join(RAW_COLUMNS)}",
            "error",
        )
    if f.expression is not None and f.name != "transform_timestamp":
        yield from _expression_problems(f, target, known)
    if not f.description and f.name not in known - {x.name for x in target.fields} and f.name not in TECHNICAL:
        yield (), f"column {target.name}.{f.name} has no description", "warning"
    if f.default is not None and not is_of_type(f.default, parse_type(f.type)):
        yield ("default",), f"default {f.default!r} of {f.name} is no {f.type}", "error"
    for message in _source_problems(target, lambda source: source.paths_of(f), picked=f.element is not None):
        yield ("json_path",), message, "error"
    if f.element is not None:
        array = f.element.array_source
        found = _source_problems(target, lambda source: [array])
        if f.element.filter is not None:
            asked = [str(path) for path in filter_paths(parse_filter(f.element.filter))]
            found += _source_problems(target, lambda source: asked, picked=True)
        for message in found:
            yield ("element",), message, "error"


def _constant_problems(target: TargetTable) -> Iterator[Finding]:
    """Yield what is wrong with constants: of another type than their column, or named by a part of the sources only."""
    named = {f.constant for f in target.fields if isinstance(f.constant, str)}
    for n, source in enumerate(target.row_sources):
        for name in source.constants:
            if name not in named:
                yield (
                    ("sources", n, "constants", name),
                    f"constant {name} is taken by no column of {target.name}",
                    "error",
                )
    for i, f in enumerate(target.fields):
        if f.constant is None:
            continue
        given = [
            source.constants.get(f.constant) if isinstance(f.constant, str) else None for source in target.row_sources
        ]
        by_source = any(value is not None for value in given)
        for n, value in enumerate(given if by_source else (f.constant,)):
            if value is None:
                yield ("sources", n), f"constant {f.constant} of column {f.name} is not given by this source", "error"
            elif not is_of_type(value, parse_type(f.type)):
                yield ("fields", i), f"constant {value!r} of {f.name} is no {f.type}", "error"


def _expression_problems(f: FieldDefinition, target: TargetTable, known: set[str]) -> Iterator[Finding]:
    expressions = {x.name for x in target.fields if x.expression is not None}
    try:
        used = columns_of(str(f.expression))
    except ValueError as error:
        yield ("expression",), str(error), "error"
        return
    for column in used:
        if column not in known:
            yield ("expression",), f"expression of {f.name} names unknown column {column}", "error"
        elif column in expressions or column in TECHNICAL:
            yield (
                ("expression",),
                f"expression of {f.name} uses {column}, which is itself an expression or technical",
                "error",
            )
    if re.search(r"\b(current_timestamp|now|rand|uuid|current_date)\s*\(", str(f.expression), re.IGNORECASE):
        yield ("expression",), f"expression of {f.name} is not deterministic: a re-run would change every row", "error"


def _filter_problems(text: str, target: TargetTable, source: RowSource) -> Iterator[str]:
    for path in filter_paths(parse_filter(text)):
        yield from _path_problems(path, target, source)


def _depth(steps: tuple[str, ...]) -> int:
    return sum(s in (ITEMS, MEMBERS) for s in steps)


def _lookup_paths(lookup: Lookup) -> list[JsonPath]:
    return key_paths(lookup.key) if lookup.key is not None else [parse_path(str(lookup.index))]


def _lookup_problem(name: str, target: TargetTable) -> str | None:
    """Return what is wrong with the look-ups that a look-up needs for its own key or index."""
    needed, done = [name], set[str]()
    while needed:
        done.add(needed[0])
        for path in _lookup_paths(target.lookups[needed.pop(0)]):
            if path.lookup == name:
                return f"look-up {name} needs itself for its key or index"
            if path.lookup is not None and path.lookup not in target.lookups:
                return f"look-up {name} uses look-up {path.lookup}, which {target.name} does not define"
            if path.lookup is not None and path.lookup not in done:
                needed.append(path.lookup)
    return None


def _source_problems(
    target: TargetTable, paths: Callable[[RowSource], list[str]], *, picked: bool = False
) -> list[str]:
    """Return what is wrong with paths that may differ by source of rows, each message once.

    `picked`: the paths start at the element that a field picks, one level below the row's.
    """
    given = [(source, parse_path(text)) for source in target.row_sources for text in paths(source)]
    return list(dict.fromkeys(m for source, path in given for m in _path_problems(path, target, source, picked=picked)))


def _path_problems(
    path: JsonPath, target: TargetTable, source: RowSource, *, picked: bool = False, through: tuple[str, ...] = ()
) -> Iterator[str]:
    if path.lookup in target.lookups and path.lookup not in through:
        for inner in _lookup_paths(target.lookups[path.lookup]):
            if inner.lookup is None or inner.lookup in target.lookups:  # else told of the look-up
                for message in _path_problems(inner, target, source, picked=picked, through=(*through, path.lookup)):
                    yield f"look-up {path.lookup}: {message}"
    if path.anchor == "lookup" and path.lookup not in target.lookups:
        yield f"path {path} uses look-up {path.lookup}, which {target.name} does not define"
    text = source.source
    steps = parse_path(text, wildcards=True).steps if text else ()
    depth = _depth(steps if not steps or steps[-1] in (ITEMS, MEMBERS) else (*steps, ITEMS)) + picked
    if path.anchor in ("key", "position", "first_position") and picked and not path.level:
        yield f"{path} is that of a row, and an element that is picked is none"
        return
    if path.anchor == "position" and 0 < path.level == depth:
        yield f"{path} is the position of the document, which has none"
    if path.level > depth:
        yield f"path {path} climbs {path.level} levels, but rows of {target.name} lie {depth} deep"
    if path.anchor == "key" and source.object_source is None:
        yield f"$key is for object_source; {target.name} reads {text or 'the document'}"
    own = path.anchor in ("position", "first_position") and not path.level
    if own and (text is None or text == source.element_source):
        yield f"{path} is for rows of an array or object; {target.name} has one row a {'part' if text else 'document'}"
