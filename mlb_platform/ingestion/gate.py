"""The gate of the raw store: the bytes of a response become a capture, or a rejection with its reason."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date
from functools import partial
from typing import Any

import orjson

from mlb_platform.ingestion.contents import Entities, claims_of, embedded_documents, find, first, iso_day
from mlb_platform.ingestion.gate_spec import GateSpec, gate_spec, gate_specs
from mlb_platform.ingestion.payload import (
    Refused,
    Request,
    canonical_json,
    canonical_of,
    check_storable,
    decompress,
    parse_object,
    read_json,
    reject,
)
from mlb_platform.mapping.paths import parse_path, render_steps
from resources.raw_members import DateClaim, Member
from resources.raw_store import RawCapture, Rejection

__all__ = [
    "GateSpec", "Rejection", "Request", "admit", "canonical_json", "gate_spec", "gate_specs", "read_json", "reject",
]  # fmt: skip

_ENTITY_NUMBER = re.compile(r"-?\d{1,19}")


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
            raise Refused(f"the answer has HTTP status {request.status_code}")
        raw = decompress(body)
        text = raw.removeprefix(b"\xef\xbb\xbf")
        written = document is not None
        document = parse_object(text) if document is None else document
        canonical = text if written else canonical_of(document)
        members = () if spec.entities is None else _members(document, spec.entities)
        entity_key = _entity_key(document, request, spec, members)
        _check_members(document, spec)
        check_storable(text, canonical)
        embedded, refused_parts = _embedded(document, entity_key, request, spec)
    except Refused as refused:
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
        made = admit(canonical_of(listed), of, into, listed)
        if isinstance(made, RawCapture):
            found.append((into.raw_table, made))
        else:
            refused.append(made)
    return tuple(found), tuple(refused)


def _members(document: dict[str, Any], entities: Entities) -> tuple[Member, ...]:
    """Return the entities of a response; an element without its key refuses the response."""
    found: dict[str, list[Any]] = {}
    name = " or ".join(".".join(steps) for steps in entities.key_paths)
    for number, element in enumerate(entities.elements(document)):
        value = first(element, entities.key_paths)
        key = _as_key(value, entities.key_type)
        if key is None:
            told = "has no" if value is None else f"has {str(value)[:40]!r} for"
            raise Refused(f"another shape: element {number} of {entities.text} {told} {name}")
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
            raise Refused("no id: neither the request nor the payload says what it is of")
        key = _as_key(request.entity_id, spec.entity_type)
        if key is None:
            raise Refused(f"the request's id {request.entity_id[:40]!r} is no {spec.entity_type}")
        return key
    name = " or ".join(".".join(steps) for steps in spec.entity_paths)
    value = first(document, spec.entity_paths)
    if value is None:
        present = ", ".join(list(document)[:5]) or "none"
        message = document.get("message")
        said = f"; it says {message[:120]!r}" if isinstance(message, str) else ""
        raise Refused(f"another shape: no {name} in the payload (its members: {present}{said})")
    key = _as_key(value, spec.entity_type)
    if key is None:
        raise Refused(f"{name} is {str(value)[:40]!r}, which is no {spec.entity_type}")
    asked = request.entity_id
    if asked is not None and (_as_key(asked, spec.entity_type) or asked) != key:
        raise Refused(f"the payload is of {name} {key}, but {asked} was asked for")
    return key


def _as_key(value: Any, sql_type: str) -> str | None:
    """Return the text of an id of this type (1.0 and "01" are the BIGINT 1), or None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if sql_type not in ("SMALLINT", "INT", "BIGINT"):
        return str(value) if str(value).strip() else None  # as the table has it, blanks around it too
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
            raise Refused(f"another shape: the payload has no {name}")
        if wanted not in ("any", kind):
            raise Refused(f"another shape: {name} is no JSON {wanted}")


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
            raise Refused(f"no id: the payload or the request has no {name.removeprefix('@')}")
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
