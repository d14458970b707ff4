"""The gate of the raw store: the bytes of a response become a capture, or a rejection with its reason."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Literal

import orjson

from mlb_platform.ingestion.contents import (
    Claims,
    Embedding,
    Entities,
    claims_of,
    embedded_documents,
    find,
    first,
    iso_day,
)
from mlb_platform.mapping.element import element_reads
from mlb_platform.mapping.paths import parse_path, render_steps
from mlb_platform.mapping.resolve import ResolvedMapping, path_list
from mlb_platform.mapping.shape import document_tree, source_steps
from resources.errors import PlatformError
from resources.raw_members import DateClaim, Member
from resources.raw_store import RawCapture, Rejection

__all__ = ["GateSpec", "Rejection", "Request", "admit", "gate_spec", "gate_specs", "read_json", "reject"]

MAX_BYTES = 200_000_000
"""The largest payload taken: PostgreSQL's jsonb ends at 256 MB, and a feed has 2."""

Steps = tuple[str, ...]
Container = Literal["object", "array", "any"]

_ENTITY_NUMBER = re.compile(r"-?\d{1,19}")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,120})", re.IGNORECASE)
_EXCERPT = 200


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


@dataclass(frozen=True)
class Request:
    """What is known of the request: where the bytes came from, when they were received, and what was asked for."""

    source: str
    captured_at: datetime
    entity_id: str | None = None
    params: dict[str, object] = field(default_factory=dict)
    url: str | None = None
    status_code: int | None = None


class _Refused(Exception):
    """The reason a payload is refused for."""


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


def admit(
    body: bytes, request: Request, spec: GateSpec, document: dict[str, Any] | None = None
) -> RawCapture | Rejection:
    """Return the capture that `body` (plain or gzipped JSON) is, or why it is none.

    A missing or malformed partition date is no reason: such a capture is kept without date. Who has just written `body`
    as the canonical JSON (`canonical_json`) of a document gives that too: it is not read again.
    """
    raw = body
    try:
        if request.status_code is not None and request.status_code >= 400:
            raise _Refused(f"the answer has HTTP status {request.status_code}")
        raw = decompress(body)
        text = raw.removeprefix(b"\xef\xbb\xbf")
        written = document is not None
        document = _parse(text) if document is None else document
        canonical = text if written else _canonical(document)
        members = () if spec.entities is None else _members(document, spec.entities)
        entity_key = _entity_key(document, request, spec, members)
        _check_members(document, spec)
        _check_storable(text, canonical)
        embedded, refused_parts = _embedded(document, entity_key, request, spec)
    except _Refused as refused:
        return reject(raw, request.source, spec.endpoint, spec.method, str(refused))
    day = _partition_date(document, request, spec, members)
    claims = claims_of(document, spec.claims)
    if spec.own_dates is not None and day is not None:
        claims = (*claims, DateClaim(spec.own_dates, entity_key, day, own=True))
    return RawCapture(
        entity_key=entity_key,
        endpoint=spec.endpoint,
        method=spec.method,
        params=request.params,
        url=request.url,
        status_code=request.status_code,
        captured_at=request.captured_at,
        partition_date=day,
        content_hash=hashlib.sha256(canonical).hexdigest(),
        data=text,
        members=members,
        claims=claims,
        embedded=embedded,
        refused_parts=refused_parts,
    )


def canonical_json(document: Any) -> bytes:
    """Return the JSON of a document that does not depend on the order of its members.

    Raises TypeError for what JSON has not, and for more than 254 levels.
    """
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def _canonical(document: Any) -> bytes:
    try:
        return canonical_json(document)
    except TypeError as error:  # 1,024 levels can be read, 254 written
        raise _Refused("the JSON is nested too deeply") from error


def _embedded(
    document: dict[str, Any], entity_key: str, request: Request, spec: GateSpec
) -> tuple[tuple[tuple[str, RawCapture], ...], tuple[Rejection, ...]]:
    """Return the documents of other endpoints in this one, each kind as a response of its own, and what is refused.

    What is refused names this response and the path there; the response itself is none the worse for it.
    """
    found: list[tuple[str, RawCapture]] = []
    refused: list[Rejection] = []
    for embedding, into in spec.embeds:
        key_type = into.entities.key_type if into.entities else "TEXT"
        carried = embedded_documents(document, embedding, partial(_as_key, sql_type=key_type))
        for path, why, value in carried.unusable:
            reason = f"another shape: what {spec.name} carries at {path} for {into.name} {why}"
            source = f"{request.source}: {path}"
            refused.append(reject(orjson.dumps(value), source, into.endpoint, into.method, reason))
        if not carried.documents:
            continue
        paths = ", ".join(render_steps(s) for s in embedding.sources)
        of = Request(
            f"{request.source}: {paths}",
            request.captured_at,
            f"{spec.raw_table}:{entity_key}",
            {"embedded_in": spec.raw_table, "entity_key": entity_key},
            request.url,
        )
        listed = {embedding.member: carried.documents}
        made = admit(_canonical(listed), of, into, listed)
        if isinstance(made, RawCapture):
            found.append((into.raw_table, made))
        else:
            refused.append(made)
    return tuple(found), tuple(refused)


def reject(body: bytes, source: str, endpoint: str, method: str, reason: str) -> Rejection:
    """Return the rejection of `body` for `reason`."""
    start = " ".join(body[: 4 * _EXCERPT].decode("utf-8", errors="replace").split())
    excerpt = "".join(c if c.isprintable() else "\ufffd" for c in start[:_EXCERPT])
    return Rejection(source, endpoint, method, reason, excerpt, hashlib.sha256(body).hexdigest())


def decompress(body: bytes) -> bytes:
    """Return the content of `body` where it is gzipped, else `body`. Raises _Refused for a broken or huge one."""
    if body[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
                body = file.read(MAX_BYTES + 1)
        except EOFError as error:
            raise _Refused("the gzip file is truncated") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise _Refused(f"the gzip file is broken: {error}") from error
    if len(body) > MAX_BYTES:
        raise _Refused(f"the payload is larger than {MAX_BYTES // 1_000_000} MB")
    return body


def read_json(
    body: bytes, request: Request, endpoint: str, method: str, kind: type[Any], members: Sequence[str] = ()
) -> Any | Rejection:
    """Return the JSON that `body` is, where it is a `kind` (dict or list) with these members; else why it is not.

    For answers that are read and not kept: no capture is made of them.
    """
    raw = body
    try:
        if request.status_code is not None and request.status_code >= 400:
            raise _Refused(f"the answer has HTTP status {request.status_code}")
        raw = decompress(body)
        document = _parse_any(raw.removeprefix(b"\xef\xbb\xbf"))
        if not isinstance(document, kind):
            wanted = "a JSON array" if kind is list else "a JSON object"
            raise _Refused(f"another shape: the payload is {type(document).__name__}, not {wanted}")
        absent = [name for name in members if isinstance(document, dict) and name not in document]
        if absent:
            raise _Refused(f"another shape: the payload has no {absent[0]}")
    except _Refused as refused:
        return reject(raw, request.source, endpoint, method, str(refused))
    return document


def _parse(text: bytes) -> dict[str, Any]:
    document = _parse_any(text)
    if not isinstance(document, dict):
        kind = "an array" if isinstance(document, list) else f"the value {str(document)[:40]!r}"
        raise _Refused(f"another shape: the payload is {kind}, not a JSON object")
    return document


def _parse_any(text: bytes) -> Any:
    start = text[:64].lstrip().lower()
    if not text.strip():
        raise _Refused("the payload is empty")
    if start.startswith(b"<"):
        title = _TITLE.search(text[:4096])
        named = f" titled {title[1].decode(errors='replace').strip()!r}" if title else ""
        kind = "XML" if start.startswith(b"<?xml") else "an HTML page"
        raise _Refused(f"{kind}{named} instead of JSON")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        if "end of data" in error.msg:
            raise _Refused(f"truncated JSON: it ends in the middle, at {where}, after {len(text)} bytes") from error
        raise _Refused(f"not JSON: {error.msg} at {where}") from error


def _members(document: dict[str, Any], entities: Entities) -> tuple[Member, ...]:
    """Return the entities of a response; an element without its key refuses the response."""
    found: dict[str, list[Any]] = {}
    name = " or ".join(".".join(steps) for steps in entities.key_paths)
    for number, element in enumerate(entities.elements(document)):
        value = first(element, entities.key_paths)
        key = _as_key(value, entities.key_type)
        if key is None:
            told = "has no" if value is None else f"has {str(value)[:40]!r} for"
            raise _Refused(f"another shape: element {number} of {entities.text} {told} {name}")
        found.setdefault(key, []).append(element)
    return tuple(
        Member(key, iso_day(first(elements[-1], entities.partition_paths)), entities.told(elements))
        for key, elements in found.items()
    )


def _entity_key(document: dict[str, Any], request: Request, spec: GateSpec, members: tuple[Member, ...]) -> str:
    if spec.entities is not None:
        return request.entity_id or ",".join(m.entity_key for m in members[:20]) or "none"
    if spec.template is not None:
        return _from_template(spec.template, document, request)
    if not spec.entity_paths:
        if request.entity_id is None:
            raise _Refused("no id: neither the request nor the payload says what it is of")
        key = _as_key(request.entity_id, spec.entity_type)
        if key is None:
            raise _Refused(f"the request's id {request.entity_id[:40]!r} is no {spec.entity_type}")
        return key
    name = " or ".join(".".join(steps) for steps in spec.entity_paths)
    value = first(document, spec.entity_paths)
    if value is None:
        present = ", ".join(list(document)[:5]) or "none"
        message = document.get("message")
        said = f"; it says {message[:120]!r}" if isinstance(message, str) else ""
        raise _Refused(f"another shape: no {name} in the payload (its members: {present}{said})")
    key = _as_key(value, spec.entity_type)
    if key is None:
        raise _Refused(f"{name} is {str(value)[:40]!r}, which is no {spec.entity_type}")
    asked = request.entity_id
    if asked is not None and (_as_key(asked, spec.entity_type) or asked) != key:
        raise _Refused(f"the payload is of {name} {key}, but {asked} was asked for")
    return key


def _as_key(value: Any, sql_type: str) -> str | None:
    """Return the text of an id of this type (1.0 and "01" are the BIGINT 1), or None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if sql_type not in ("SMALLINT", "INT", "BIGINT"):
        return str(value).strip() or None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else None
    text = str(value).strip()
    if not _ENTITY_NUMBER.fullmatch(text):
        return None
    limit = {"SMALLINT": 15, "INT": 31, "BIGINT": 63}[sql_type]
    return str(int(text)) if -(2**limit) <= int(text) < 2**limit else None


def _check_members(document: dict[str, Any], spec: GateSpec) -> None:
    for name, wanted in spec.required.items():
        value = document.get(name)
        kind = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else "value"
        if value is None:
            raise _Refused(f"another shape: the payload has no {name}")
        if wanted not in ("any", kind):
            raise _Refused(f"another shape: {name} is no JSON {wanted}")


def _check_storable(text: bytes, canonical: bytes) -> None:
    """Refuse what jsonb cannot hold, and what two readers would read differently."""
    if b"\\u0000" in canonical and _NUL.search(canonical):
        raise _Refused("a text in it has the character U+0000, which PostgreSQL cannot store")
    # Only a payload that is longer than its canonical form can have a member twice: the others need no second look.
    if len(text.strip()) > len(canonical):
        try:
            json.loads(text, object_pairs_hook=_refuse_repeats, parse_int=_number, parse_float=_number)
        except RecursionError as error:
            raise _Refused("the JSON is nested too deeply") from error


def _number(_: str) -> None:
    """Leave numbers unread: only the names count."""


def _refuse_repeats(members: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in members]
    if len(set(names)) != len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise _Refused(f"ambiguous JSON: an object in it has the member {twice[:60]!r} twice")


def _from_template(template: str, document: dict[str, Any], request: Request) -> str:
    """Fill in `{$.path}`, `{@id}` and `{@date}`; what is missing refuses the response."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name == "@id":
            found: Any = request.entity_id
        elif name == "@date":
            found = _request_date(request).isoformat()
        else:
            found = find(document, parse_path(name).steps)
        if found is None or isinstance(found, dict | list):
            raise _Refused(f"no id: the payload or the request has no {name.removeprefix('@')}")
        return str(found)

    return re.sub(r"\{([^}]*)\}", value, template)


def _request_date(request: Request) -> date:
    """Return the day that was asked for, else the one of the answer (UTC)."""
    return iso_day(request.params.get("date")) or request.captured_at.astimezone(UTC).date()


def _partition_date(
    document: dict[str, Any], request: Request, spec: GateSpec, members: tuple[Member, ...]
) -> date | None:
    if spec.date_of_request:
        return _request_date(request)
    if spec.entities is not None:
        days = {m.partition_date for m in members}
        return days.pop() if len(days) == 1 else None
    return iso_day(first(document, spec.partition_paths))
