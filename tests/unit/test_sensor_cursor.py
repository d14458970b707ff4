"""A sensor's cursor and its run keys: what is written is read again, and so is what earlier versions wrote."""

from __future__ import annotations

import json
from datetime import date

import pytest

from mlb_platform.sensors.cursor import Cursor, Request

FEED = "game/live_game_v1"
DAY = date(2024, 7, 1)


@pytest.mark.parametrize(
    ("request_", "key"),
    [
        (Request(FEED, DAY, 7, 1), "game/live_game_v1:2024-07-01:7:1"),
        (Request(FEED, None, 7, 2), "game/live_game_v1:all:7:2"),
        (Request(FEED, DAY, 7, 1, xid=800, began=170), "game/live_game_v1:2024-07-01:170.800.7:1"),
        (Request(FEED, None, 7, 3, xid=800), "game/live_game_v1:all:0.800.7:3"),
    ],
)
def test_a_request_is_its_key(request_: Request, key: str) -> None:
    assert request_.key == key
    assert Request.parse(key) == request_


def test_a_cursor_is_its_text() -> None:
    request = Request(FEED, DAY, 7, 1, xid=800, began=170)
    cursor = Cursor("raw", {request.key: request}, {date(2030, 1, 2): (801, 9)}, 170)
    assert Cursor.parse(cursor.text()) == cursor


def test_a_cursor_of_an_earlier_version_is_read() -> None:
    key = "game/live_game_v1:2024-07-01:7:2"
    text = json.dumps({"raw": "somewhere", "requests": [key]})
    assert Cursor.parse(text) == Cursor("somewhere", {key: Request(FEED, DAY, 7, 2)})


@pytest.mark.parametrize(
    "text",
    [None, "", "{}", "[]", "17", "later", '{"requests": ["a"]}', '{"ahead": [1]}', '{"ahead": {"2030-01-02": [1]}}',
     '{"raw": "x", "began": "soon"}', '{"requests": ["m:all:1.2:1"]}'],
)  # fmt: skip
def test_another_text_starts_from_the_beginning(text: str | None) -> None:
    assert Cursor.parse(text) == Cursor()
