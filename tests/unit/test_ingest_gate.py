"""The gate: every kind of payload that is no capture is refused with its reason; what is one keeps its meaning."""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC, date, datetime
from typing import Any

import pytest

from mlb_platform.ingestion.gate import GateSpec, Rejection, Request, admit, gate_spec
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.settings import PROJECT_ROOT
from resources.raw_store import RawCapture

SPEC = GateSpec(
    endpoint="game",
    method="live_game_v1",
    raw_table="game.live_game_v1",
    entity_paths=(("gamePk",),),
    entity_type="BIGINT",
    partition_paths=(("gameData", "datetime", "officialDate"), ("gameData", "datetime", "originalDate")),
    required={"gameData": "object", "liveData": "object"},
)
REQUEST = Request("a.json", datetime(2024, 7, 13, tzinfo=UTC), entity_id="7")


def feed(**changes: Any) -> dict[str, Any]:
    return {"gamePk": 7, "gameData": {"datetime": {"officialDate": "2024-07-12"}}, "liveData": {}, **changes}


def text(**changes: Any) -> bytes:
    return json.dumps(feed(**changes)).encode()


def admitted(body: bytes) -> RawCapture:
    result = admit(body, REQUEST, SPEC)
    assert isinstance(result, RawCapture), result
    return result


def refused(body: bytes, request: Request = REQUEST) -> Rejection:
    result = admit(body, request, SPEC)
    assert isinstance(result, Rejection)
    assert result.source == "a.json"
    return result


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (text()[:-9], "truncated JSON: it ends in the middle, at line 1 column"),
        (b"gateway timeout", "not JSON: .* at line 1 column 1"),
        (b"\n<!DOCTYPE html><html><head><title>502 Bad Gateway</title>", "an HTML page titled '502 Bad Gateway'"),
        (b"\xef\xbb\xbf<html>", "an HTML page instead of JSON"),
        (b"<?xml version='1.0'?><Error/>", "XML instead of JSON"),
        (gzip.compress(text(), mtime=0)[:-12], "gzip file is truncated"),
        (gzip.compress(text(), mtime=0)[:-8] + b"\xff" * 8, "gzip file is broken"),
        (b"{}", r"another shape: no gamePk in the payload \(its members: none\)"),
        (b'{"messageNumber": 10, "message": "Object not found"}', "no gamePk .* it says 'Object not found'"),
        (b"[{}]", "another shape: the payload is an array"),
        (b'"text"', "another shape: the payload is the value 'text'"),
        (b"null", "another shape"),
        (text(gamePk=None), "no gamePk"),
        (text(gamePk={"id": 7}), "gamePk is .* which is no BIGINT"),
        (text(gamePk=True), "which is no BIGINT"),
        (text(gamePk="abc"), "which is no BIGINT"),
        (text(gamePk=2**63), "which is no BIGINT"),
        (text(gamePk=8), "the payload is of gamePk 8, but 7 was asked for"),
        (text(gameData=None), "has no gameData"),
        (text(liveData=[]), "liveData is no JSON object"),
        (text(liveData="x"), "liveData is no JSON object"),
        (text(note=float("nan")), "not JSON"),
        (text(note=float("inf")), "not JSON"),
        (text().replace(b'"liveData": {}', b'"liveData": {"n": 1e400}'), "infinity"),
        (text(note="a\0b"), r"U\+0000"),
        (text(note="\ud800"), "not JSON"),
        (text().replace(b"2024", b"20\xff4"), "not JSON: .*UTF-8"),
        (json.dumps(feed()).encode("utf-16"), "not JSON"),
        (text() + b'\n{"gamePk": 8}', "not JSON: unexpected content after document at line 2"),
        (text().replace(b'"liveData"', b'"gamePk": 7, "liveData"'), "the member 'gamePk' twice"),
        (b'{"a":' * 1100 + b"1" + b"}" * 1100, "not JSON"),
    ],
)
def test_what_is_no_capture_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    rejection = refused(body)
    assert re.search(reason, rejection.reason), rejection.reason
    assert "\n" not in rejection.reason
    assert len(rejection.excerpt) <= 200
    assert rejection.excerpt.isprintable()


def test_an_http_error_is_refused_whatever_its_body() -> None:
    request = Request("a.json", REQUEST.captured_at, status_code=503)
    assert "HTTP status 503" in refused(text(), request).reason


@pytest.mark.parametrize(
    "body", [text(), gzip.compress(text(), mtime=0), b"\xef\xbb\xbf" + text(), b"\n" + text() + b"\n"]
)
def test_plain_gzipped_and_marked_bodies_are_the_same_capture(body: bytes) -> None:
    assert admitted(body).content_hash == admitted(text()).content_hash
    assert json.loads(admitted(body).data) == feed()


def test_the_hash_is_of_the_content_not_of_its_spelling() -> None:
    turned = json.dumps(dict(reversed(feed().items())), indent=3).encode()
    assert admitted(turned).content_hash == admitted(text()).content_hash
    assert admitted(text(note=1)).content_hash != admitted(text()).content_hash
    assert (
        admitted(text(note="Pe\u00f1a")).content_hash
        == admitted(json.dumps(feed(note="Pe\u00f1a"), ensure_ascii=False).encode()).content_hash
    )


@pytest.mark.parametrize("value", [7, 7.0, "7", "07"])
def test_one_game_has_one_key_however_its_id_is_spelt(value: object) -> None:
    assert admitted(text(gamePk=value)).entity_key == "7"


@pytest.mark.parametrize("note", [12345678901234567890123456789, 0.1, -0.0, "back\\u0000slash", "😀", 1e-300])
def test_odd_but_valid_values_pass(note: object) -> None:
    assert json.loads(admitted(text(note=note)).data)["note"] == note


@pytest.mark.parametrize(
    ("datetimes", "expected"),
    [
        ({"officialDate": "2024-07-12", "originalDate": "2024-07-11"}, date(2024, 7, 12)),
        ({"originalDate": "2024-07-11"}, date(2024, 7, 11)),
        ({"officialDate": None, "originalDate": "2024-07-11"}, date(2024, 7, 11)),
        ({}, None),
        ({"officialDate": "soon"}, None),
        ({"officialDate": "2024-02-30"}, None),
        ({"officialDate": "2024-07-12T23:00:00Z"}, None),
        ({"officialDate": 20240712}, None),
        ([], None),
    ],
)
def test_the_date_is_the_official_one_and_a_missing_one_refuses_nothing(datetimes: object, expected: object) -> None:
    assert admitted(text(gameData={"datetime": datetimes})).partition_date == expected


def test_the_gate_of_a_mapping_comes_from_its_file() -> None:
    spec = gate_spec(MappingRegistry(PROJECT_ROOT / "mapping_configs").get("game/live_game_v1"))
    assert (spec.raw_table, spec.entity_paths, spec.entity_type) == (SPEC.raw_table, SPEC.entity_paths, "BIGINT")
    assert spec.partition_paths == SPEC.partition_paths
    assert {name: spec.required[name] for name in SPEC.required} == SPEC.required
    assert isinstance(admit(text(), REQUEST, spec), RawCapture)
