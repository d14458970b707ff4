"""What the gate asks of the payloads of an endpoint method, made from its mapping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from mlb_platform.ingestion.contents import Claims, Embedding, Entities
from mlb_platform.mapping.element import element_reads
from mlb_platform.mapping.paths import parse_path
from mlb_platform.mapping.resolve import ResolvedMapping, path_list
from mlb_platform.mapping.shape import document_tree, source_steps
from resources.errors import PlatformError

Steps = tuple[str, ...]
Container = Literal["object", "array", "any"]


@dataclass(frozen=True)
class GateSpec:
    """What a payload of one endpoint method must look like.

    `entity_paths` and `partition_paths` are steps from the document, tried in order; `required` are its top-level
    members and what they must be (`any`: there and not null). Where a response has several entities, `entities` says
    where they are. `template` makes the entity key of what the document and the request say. `date_of_request`: the
    partition date is the request's `date`, else the day it was answered (UTC).
    """

    endpoint: str
    method: str
    raw_table: str
    entity_paths: tuple[Steps, ...]
    entity_type: str = "TEXT"
    partition_paths: tuple[Steps, ...] = ()
    required: Mapping[str, Container] = field(default_factory=dict)
    entities: Entities | None = None
    template: str | None = None
    date_of_request: bool = False
    own_dates: str | None = None
    """What the entity is to other mappings (`game_pk`), where its own responses say its date."""
    claims: tuple[Claims, ...] = ()
    embeds: tuple[tuple[Embedding, GateSpec], ...] = ()

    @property
    def name(self) -> str:
        """endpoint/method."""
        return f"{self.endpoint}/{self.method}"


def gate_specs(mappings: Mapping[str, ResolvedMapping]) -> dict[str, GateSpec]:
    """Return the gate of every endpoint method that a mapping takes, by `endpoint/method`.

    Raises PlatformError where documents are to be kept for a mapping there is not.
    """
    found: dict[str, GateSpec] = {}
    for mapping in mappings.values():
        source = mapping.config.source
        for embed in source.embeds:
            if embed.into not in mappings:
                raise PlatformError(f"mapping {mapping.name} embeds documents of {embed.into}, which is no mapping")
        spec = gate_spec(mapping, {e.into: gate_spec(mappings[e.into]) for e in source.embeds})
        for method in (source.method, *source.also):
            found[f"{source.endpoint}/{method}"] = replace(spec, method=method)
    return found


def gate_spec(mapping: ResolvedMapping, others: Mapping[str, GateSpec] | None = None) -> GateSpec:
    """Return what payloads of a mapping must look like.

    Without `source.required` in the mapping, the members that its arrays, objects and partition date lie in are
    required. Embedded documents are kept for the mappings in `others`.
    """
    source = mapping.config.source
    tree = document_tree(mapping).children
    partition = tuple(parse_path(p).steps for p in path_list(mapping.partition)) if mapping.partition else ()
    entity = tuple(parse_path(p).steps for p in path_list(mapping.entity_key))
    entities = None
    if source.entities is not None:
        entities = Entities.at(source.entities, entity, mapping.entity_key.type, partition, element_reads(mapping))
        entity = partition = ()
    required = list(source.required)
    if not required:
        found = [source_steps(s)[:1] for t in mapping.targets for s in t.config.row_sources]
        found += [steps[:1] for steps in partition if len(steps) > 1]
        required = [name for (name,) in dict.fromkeys(s for s in found if s) if name in tree]
    kinds: dict[str, Container] = {"object": "object", "members": "object", "array": "array"}
    return GateSpec(
        endpoint=source.endpoint,
        method=source.method,
        raw_table=source.raw_table,
        entity_paths=entity,
        entity_type=mapping.entity_key.type,
        partition_paths=partition,
        required={name: kinds.get(tree[name].kind, "any") if name in tree else "any" for name in required},
        entities=entities,
        template=mapping.entity_key.template,
        date_of_request=bool(mapping.partition and not path_list(mapping.partition) and source.dated_by is None),
        own_dates=mapping.entity_key.name if partition else None,
        claims=tuple(Claims.of(d) for d in source.dates),
        embeds=tuple((Embedding.of(e), others[e.into]) for e in source.embeds if others and e.into in others),
    )
