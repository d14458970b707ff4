"""What lies in a response: its entities, what it says of dates, and documents of other endpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson

from mlb_platform.mapping.element import ElementReads
from mlb_platform.mapping.models import DateSource, EmbeddedDocuments
from mlb_platform.mapping.paths import ITEMS, MEMBERS, JsonPath, parse_path, render_steps
from resources.raw_members import DateClaim

Steps = tuple[str, ...]


def find(value: Any, steps: Steps) -> Any:
    """Return what lies at `steps`; None where there is nothing."""
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def first(value: Any, paths: Sequence[Steps]) -> Any:
    """Return the first value of these paths that is there and not null."""
    return next((v for v in (find(value, steps) for steps in paths) if v is not None), None)


def walk(value: Any, steps: Steps, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield every value at `steps` (with `[*]` and `{*}`), preceded by the document and the elements it lies in."""
    chain = above or (value,)
    for n, step in enumerate(steps):
        if step in (ITEMS, MEMBERS):
            listed = list(value.values()) if isinstance(value, dict) and step == MEMBERS else value
            for item in listed if isinstance(listed, list) else ():
                yield from walk(item, steps[n + 1 :], (*chain, item))
            return
        value = value.get(step) if isinstance(value, dict) else None
    if value is not None:
        yield chain if chain[-1] is value else (*chain, value)


def _to_elements(text: str) -> Steps:
    """Return the steps to the elements of the array at `text`."""
    steps = parse_path(text, wildcards=True).steps
    return steps if steps and steps[-1] in (ITEMS, MEMBERS) else (*steps, ITEMS)


@dataclass(frozen=True)
class Entities:
    """Where the entities of a response are, and the paths of their key and partition date, within their element."""

    steps: Steps
    key_paths: tuple[Steps, ...]
    key_type: str
    partition_paths: tuple[Steps, ...]
    reads: ElementReads | None = None
    """What rows are made of, where that lies in the element."""

    @classmethod
    def at(
        cls,
        text: str,
        key_paths: tuple[Steps, ...],
        key_type: str,
        partition_paths: tuple[Steps, ...],
        reads: ElementReads | None = None,
    ) -> Entities:
        """Return the entities that are the elements of the array at `text`."""
        return cls(_to_elements(text), key_paths, key_type, partition_paths, reads)

    @property
    def text(self) -> str:
        """The path of the elements."""
        return render_steps(self.steps)

    def elements(self, document: Any) -> Iterator[Any]:
        """Yield the elements of a document."""
        for chain in walk(document, self.steps):
            yield chain[-1]

    def told(self, elements: Sequence[Any]) -> str | None:
        """Return what identifies what a response tells of an entity by these elements; None where that is not known.

        It is the hash of what the mapping reads of them, after the fingerprint of what it reads.
        """
        if self.reads is None:
            return None
        read = orjson.dumps([self.reads.of(e) for e in elements], option=orjson.OPT_SORT_KEYS)
        return f"{self.reads.fingerprint}:{hashlib.sha256(read).hexdigest()}"


@dataclass(frozen=True)
class Claims:
    """Where a response tells dates of other entities."""

    kind: str
    steps: Steps
    key: JsonPath
    dates: tuple[JsonPath, ...]

    @classmethod
    def of(cls, source: DateSource) -> Claims:
        """Read what a mapping says."""
        dates = [source.date] if isinstance(source.date, str) else source.date
        steps = _to_elements(source.array_source)
        return cls(source.of, steps, parse_path(source.key), tuple(parse_path(d) for d in dates))


def claims_of(document: Any, sources: Sequence[Claims]) -> tuple[DateClaim, ...]:
    """Return the dates that a document tells; what is no date or has no key tells nothing.

    A date of an enclosing element is that of a list, not the entity's own.
    """
    found = []
    for source in sources:
        for chain in walk(document, source.steps):
            key = _value(chain, source.key)
            days = ((iso_day(_value(chain, p)), p.level > 0) for p in source.dates)
            day, listed = next(((d, of_list) for d, of_list in days if d is not None), (None, False))
            if isinstance(key, int | str) and not isinstance(key, bool) and day is not None:
                found.append(DateClaim(source.kind, str(key), day, own=False, listed=listed))
    return tuple(found)


def _value(chain: tuple[Any, ...], path: JsonPath) -> Any:
    """Return what `path` leads to from the last element of `chain`; `parent` is the one before."""
    place = len(chain) - 1 - path.level
    return find(chain[place], path.steps) if place >= 0 else None


def iso_day(value: object) -> date | None:
    """Return the date that a text YYYY-MM-DD is; None for anything else."""
    if not isinstance(value, str) or len(value) != 10 or value[4] != "-":
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


@dataclass(frozen=True)
class Embedding:
    """Where documents of another endpoint are, what identifies one, and the member they are kept under."""

    member: str
    key: str
    sources: tuple[Steps, ...]

    @classmethod
    def of(cls, source: EmbeddedDocuments) -> Embedding:
        """Read what a mapping says."""
        steps = tuple(parse_path(p, wildcards=True).steps for p in source.from_paths)
        return cls(source.member, source.key, steps)


@dataclass
class Embedded:
    """The documents that a response carries, and what lies where documents should be but is none: its path and why."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    unusable: list[tuple[str, str, Any]] = field(default_factory=list)


def embedded_documents(document: Any, embedding: Embedding, as_key: Callable[[Any], str | None]) -> Embedded:
    """Return the objects with a key at an embedding's paths; those of one key are put together (`merged`).

    `as_key` says which key an object's value is, None for a value that is none. An empty object is nothing.
    """
    found: dict[str, dict[str, Any]] = {}
    embedded = Embedded()
    for steps in embedding.sources:
        for chain in walk(document, steps):
            value = chain[-1]
            if value == {}:
                continue
            told = value.get(embedding.key) if isinstance(value, dict) else None
            key = as_key(told)
            if key is not None:
                found[key] = merged(found[key], value) if key in found else value
            elif not isinstance(value, dict):
                embedded.unusable.append((render_steps(steps), "is no JSON object", value))
            else:
                why = f"has no {embedding.key}" if told is None else f"has {str(told)[:40]!r} for {embedding.key}"
                embedded.unusable.append((render_steps(steps), why, value))
    embedded.documents = list(found.values())
    return embedded


def merged(value: Any, later: Any) -> Any:
    """Return two objects put together: what the first tells stays, what it leaves out or leaves empty is the later's.

    Lists are taken whole. Neither is changed.
    """
    if value is None or value in ({}, []):
        return value if later is None else later
    if isinstance(value, dict) and isinstance(later, dict):
        if value == later:
            return value
        return {**value, **{k: merged(value[k], v) if k in value else v for k, v in later.items()}}
    return value
