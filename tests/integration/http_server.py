"""A server on loopback that answers as a test says, step by step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GOOD = b'{"dates": [], "totalGames": 0}'
Step = Callable[[BaseHTTPRequestHandler], None]


def answer(status: int, body: bytes = GOOD, **headers: str) -> Step:
    def step(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return step


def drop(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


class Script:
    """What a server answers, one step a request; the last step goes on. Notes when it was asked and how."""

    def __init__(self, *steps: Step) -> None:
        self.steps, self.times, self.headers = list(steps), list[float](), list[dict[str, str]]()


@contextmanager
def scripted(*steps: Step) -> Iterator[tuple[str, Script]]:
    script = Script(*steps)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script.times.append(time.monotonic())
            script.headers.append(dict(self.headers))
            step = script.steps.pop(0) if len(script.steps) > 1 else script.steps[0]
            step(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", script
    finally:
        server.shutdown()
        server.server_close()
