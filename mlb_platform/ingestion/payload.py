"""The bytes of a response: unpacked, read as JSON that PostgreSQL can keep, or refused with the reason."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from resources.raw_store import Rejection

MAX_BYTES = 200_000_000
"""The largest payload taken: PostgreSQL's jsonb ends at 256 MB, and a feed has 2."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,120})", re.IGNORECASE)
_EXCERPT = 200


@dataclass(frozen=True)
class Request:
    """What is known of the request: where the bytes came from, when they were received, and what was asked for."""

    source: str
    captured_at: datetime
    entity_id: str | None = None
    params: dict[str, object] = field(default_factory=dict)
    url: str | None = None
    status_code: int | None = None


class Refused(Exception):
    """The reason a payload is refused for."""


def read_json(
    body: bytes, request: Request, endpoint: str, method: str, kind: type[Any], members: Sequence[str] = ()
) -> Any | Rejection:
    """Return the JSON that `body` is, where it is a `kind` (dict or list) with these members; else why it is not.

    For answers that are read and not kept: no capture is made of them.
    """
    raw = body
    try:
        if request.status_code is not None and request.status_code >= 400:
            raise Refused(f"the answer has HTTP status {request.status_code}")
        raw = decompress(body)
        document = _parse_any(raw.removeprefix(b"\xef\xbb\xbf"))
        if not isinstance(document, kind):
            wanted = "a JSON array" if kind is list else "a JSON object"
            raise Refused(f"another shape: the payload is {type(document).__name__}, not {wanted}")
        absent = [name for name in members if isinstance(document, dict) and name not in document]
        if absent:
            raise Refused(f"another shape: the payload has no {absent[0]}")
    except Refused as refused:
        return reject(raw, request.source, endpoint, method, str(refused))
    return document


def reject(body: bytes, source: str, endpoint: str, method: str, reason: str) -> Rejection:
    """Return the rejection of `body` for `reason`."""
    start = " ".join(body[: 4 * _EXCERPT].decode("utf-8", errors="replace").split())
    excerpt = "".join(c if c.isprintable() else "\ufffd" for c in start[:_EXCERPT])
    return Rejection(source, endpoint, method, reason, excerpt, hashlib.sha256(body).hexdigest())


def canonical_json(document: Any) -> bytes:
    """Return the JSON of a document that does not depend on the order of its members.

    Raises TypeError for what JSON has not, and for more than 254 levels.
    """
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def canonical_of(document: Any) -> bytes:
    """Return the canonical JSON of a document that was read. Raises Refused where it has too many levels."""
    try:
        return canonical_json(document)
    except TypeError as error:  # 1,024 levels can be read, 254 written
        raise Refused("the JSON is nested too deeply") from error


def decompress(body: bytes) -> bytes:
    """Return the content of `body` where it is gzipped, else `body`. Raises Refused for a broken or huge one."""
    if body[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
                body = file.read(MAX_BYTES + 1)
        except EOFError as error:
            raise Refused("the gzip file is truncated") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise Refused(f"the gzip file is broken: {error}") from error
    if len(body) > MAX_BYTES:
        raise Refused(f"the payload is larger than {MAX_BYTES // 1_000_000} MB")
    return body


def parse_object(text: bytes) -> dict[str, Any]:
    """Return the JSON object that `text` is. Raises Refused, with the place, where it is none."""
    document = _parse_any(text)
    if not isinstance(document, dict):
        kind = "an array" if isinstance(document, list) else f"the value {str(document)[:40]!r}"
        raise Refused(f"another shape: the payload is {kind}, not a JSON object")
    return document


def _parse_any(text: bytes) -> Any:
    start = text[:64].lstrip().lower()
    if not text.strip():
        raise Refused("the payload is empty")
    if start.startswith(b"<"):
        title = _TITLE.search(text[:4096])
        named = f" titled {title[1].decode(errors='replace').strip()!r}" if title else ""
        kind = "XML" if start.startswith(b"<?xml") else "an HTML page"
        raise Refused(f"{kind}{named} instead of JSON")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        if "end of data" in error.msg:
            raise Refused(f"truncated JSON: it ends in the middle, at {where}, after {len(text)} bytes") from error
        raise Refused(f"not JSON: {error.msg} at {where}") from error


def check_storable(text: bytes, canonical: bytes) -> None:
    """Refuse what jsonb cannot hold, and what two readers would read differently."""
    if b"\\u0000" in canonical and _NUL.search(canonical):
        raise Refused("a text in it has the character U+0000, which PostgreSQL cannot store")
    # Only a payload that is longer than its canonical form can have a member twice: the others need no second look.
    if len(text.strip()) > len(canonical):
        try:
            json.loads(text, object_pairs_hook=_refuse_repeats, parse_int=_number, parse_float=_number)
        except RecursionError as error:
            raise Refused("the JSON is nested too deeply") from error


def _number(_: str) -> None:
    """Leave numbers unread: only the names count."""


def _refuse_repeats(members: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in members]
    if len(set(names)) != len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise Refused(f"ambiguous JSON: an object in it has the member {twice[:60]!r} twice")
