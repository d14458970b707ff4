"""Raw rows as passports cite them: what is known of the request, their documents, and documents they were part of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import sql

from mlb_platform.extraction.repair import Misplaced, misplaced_parts
from mlb_platform.lineage.pointers import Place, places
from mlb_platform.lineage.values import read_document
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.mapping.paths import ITEMS, MEMBERS, parse_path
from mlb_platform.mapping.resolve import ResolvedMapping, path_list
from mlb_platform.mapping.shape import Node, document_tree
from resources.postgres import Connection
from resources.raw_store import RawStore, table_name

_COLUMNS = (
    "raw_id, entity_key, endpoint, method, params, url, status_code, captured_at, last_seen_at, partition_date, "
    "content_hash"
)


_LISTED = " listing"
"""How entity_dates marks what only lists an entity under a date: that counts after what says a date."""
KEPT = 12
"""Documents that are kept for the next question; a feed takes some 10 MB."""


@dataclass(frozen=True)
class Capture:
    """A raw row without its body."""

    raw_table: str
    raw_id: int
    entity_key: str
    endpoint: str
    method: str
    params: dict[str, Any]
    url: str | None
    status_code: int | None
    captured_at: datetime
    last_seen_at: datetime | None
    partition_date: date | None
    content_hash: str


@dataclass(frozen=True)
class PartOf:
    """Where a document that came with a response of another endpoint lies in that response."""

    capture: Capture
    pointer: str


@dataclass(frozen=True)
class Told:
    """What says the date of an entity whose own responses do not: a capture, and the place in it."""

    capture: Capture | None
    place: Place | None
    source: str


class Captures:
    """Reads raw rows and their documents; keeps those it read last."""

    def __init__(self, raw: RawStore, registry: MappingRegistry) -> None:
        self._raw = raw
        self._registry = registry
        self._documents: dict[tuple[str, int], Any] = {}
        self._parsed: dict[tuple[str, int], tuple[Any, list[Misplaced]]] = {}
        self._trees: dict[str, Node] = {}

    def find(self, raw_table: str, raw_id: int) -> Capture | None:
        """Return a raw row; None when there is none."""
        return self._one(raw_table, "raw_id = %s", raw_id)

    def _one(self, raw_table: str, condition: str, *values: Any) -> Capture | None:
        query = sql.SQL(f"SELECT {_COLUMNS} FROM {{}} WHERE {condition} ORDER BY raw_id LIMIT 1")
        self._raw.ensure(raw_table)
        with self._raw.postgres.transaction() as connection:
            row = connection.execute(query.format(table_name(raw_table)), values).fetchone()
        return None if row is None else Capture(raw_table, *row)

    def body(self, raw_table: str, raw_id: int) -> Any:
        """Return the document of a raw row as it is stored."""
        key = (raw_table, raw_id)
        if key not in self._documents:
            _make_room(self._documents)
            self._documents[key] = read_document(self._raw.payload(raw_table, raw_id))
        return self._documents[key]

    def document(self, mapping: ResolvedMapping, raw_id: int) -> tuple[Any, list[Misplaced]]:
        """Return a document without the parts that are of another kind than the mapping expects, and these parts."""
        key = (mapping.name, raw_id)
        if key not in self._parsed:
            body = read_document(self._raw.payload(mapping.config.source.raw_table, raw_id))
            _make_room(self._parsed)
            self._parsed[key] = (body, misplaced_parts(body, self.tree(mapping)))
        return self._parsed[key]

    def tree(self, mapping: ResolvedMapping) -> Node:
        """Return what a mapping reads of a document."""
        if mapping.name not in self._trees:
            self._trees[mapping.name] = document_tree(mapping)
        return self._trees[mapping.name]

    def part_of(self, mapping: ResolvedMapping, capture: Capture, element: Any) -> PartOf | None:
        """Return where the document `element` of a capture stands in the response that it came with, if with one."""
        outer = str(capture.params.get("embedded_in", ""))
        if not outer or not isinstance(element, dict):
            return None
        entity = str(capture.params.get("entity_key"))
        found = self._one(outer, "entity_key = %s AND captured_at = %s", entity, capture.captured_at)
        if found is None:
            return None
        for other in self._registry.mappings.values():
            for embed in other.config.source.embeds:
                if other.config.source.raw_table == outer and embed.into == mapping.name:
                    for text in embed.from_paths:
                        for chain in places(self.body(outer, found.raw_id), parse_path(text, wildcards=True).steps):
                            value = chain[-1].value
                            if isinstance(value, dict) and value.get(embed.key) == element.get(embed.key):
                                return PartOf(found, str(chain[-1].pointer))
        return None

    def date_told(self, connection: Connection, kind: str, entity: str) -> Told | None:
        """Return what says the date of an entity: its own response of another endpoint, else a schedule."""
        row = connection.execute(
            "SELECT source, own, day, observed_at, content_hash FROM quality.entity_dates "
            "WHERE kind = %s AND entity_key = %s "
            'ORDER BY own DESC, right(source, %s) = %s, observed_at DESC, content_hash COLLATE "C" DESC LIMIT 1',
            (kind, entity, len(_LISTED), _LISTED),
        ).fetchone()
        if row is None:
            return None
        said_by, own, day, observed_at, content_hash = row
        source = str(said_by).removesuffix(_LISTED)
        # a poller that saw the same again stored no row: then the one seen until that time says it
        seen = "content_hash = %s AND %s BETWEEN captured_at AND coalesce(last_seen_at, captured_at)"
        capture = self._one(source, seen, content_hash, observed_at)
        if capture is None:
            return Told(None, None, source)
        document = self.body(source, capture.raw_id)
        for mapping in self._registry.mappings.values():
            if mapping.config.source.raw_table == source:
                find = _own_date if own else _told_date
                place = find(document, mapping, kind, entity, lambda p: p.value == day.isoformat())
                if place is not None:
                    return Told(capture, place, source)
        return Told(capture, None, source)


def _make_room(kept: dict[tuple[str, int], Any]) -> None:
    while len(kept) >= KEPT:
        kept.pop(next(iter(kept)))


def _own_date(
    document: Any, mapping: ResolvedMapping, _kind: str, _entity: str, wanted: Callable[[Place], bool]
) -> Place | None:
    tops = [Place(document, "").follow(parse_path(p).steps) for p in _partition_paths(mapping)]
    return next((p for p in tops if wanted(p)), None)


def _partition_paths(mapping: ResolvedMapping) -> list[str]:
    return [] if mapping.partition is None else path_list(mapping.partition)


def _told_date(
    document: Any, mapping: ResolvedMapping, kind: str, entity: str, wanted: Callable[[Place], bool]
) -> Place | None:
    for source in mapping.config.source.dates:
        if source.of != kind:
            continue
        steps = parse_path(source.array_source, wildcards=True).steps
        steps = steps if steps and steps[-1] in (ITEMS, MEMBERS) else (*steps, ITEMS)
        for chain in places(document, steps):
            key = chain[-1].follow(parse_path(source.key).steps)
            if str(key.value) != entity:
                continue
            for text in [source.date] if isinstance(source.date, str) else source.date:
                path = parse_path(text)
                place = chain[-1 - path.level].follow(path.steps)
                if wanted(place):
                    return place
    return None
