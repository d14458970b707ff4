"""A server that misbehaves, so often as it is asked to: middleware around the simulated API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from random import Random
from typing import Any

from mlb_platform.simulator.api.options import Faults

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
PAGE = b"<!DOCTYPE html><html><head><title>Service Unavailable</title></head><body>Try again later.</body></html>"


class CutOff(Exception):
    """Ends a connection in the middle of an answer."""


class FaultyApp:
    """Draws for every request of the API, in their order, whether and how it fails; the clock's path never does."""

    def __init__(self, app: App, faults: Faults, seed: int) -> None:
        self.app, self.faults = app, faults
        self._random = Random(f"faults:{seed}")
        self.made: dict[str, int] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or not."""
        if scope["type"] != "http" or not scope["path"].startswith("/api/") or not self.faults.any:
            await self.app(scope, receive, send)
            return
        kind = self._draw()
        if kind is not None:
            self.made[kind] = self.made.get(kind, 0) + 1
        if kind == "too_many":
            await _answer(send, 429, b'{"message":"Too many requests"}', [(b"retry-after", b"1")])
        elif kind == "error":
            await _answer(send, self._random.choice((500, 503)), b'{"message":"Internal error"}', [])
        elif kind == "html":
            await _answer(send, 200, PAGE, [], b"text/html")
        elif kind == "cut":
            await self._cut(scope, receive, send)
        else:
            if kind == "slow":
                await asyncio.sleep(self.faults.slow_seconds)
            await self.app(scope, receive, send)

    def _draw(self) -> str | None:
        draw = self._random.random()
        for kind in ("too_many", "error", "html", "cut", "slow"):
            share = float(getattr(self.faults, kind))
            if draw < share:
                return kind
            draw -= share
        return None

    async def _cut(self, scope: Message, receive: Receive, send: Send) -> None:
        """Send half of the body that was announced, then end the connection."""

        async def half(message: Message) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                body = message["body"]
                await send({**message, "body": body[: len(body) // 2], "more_body": True})
                raise CutOff
            await send(message)

        await self.app(scope, receive, half)


async def _answer(
    send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]], kind: bytes = b"application/json"
) -> None:
    told = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})
