"""The server of a simulated API: in this process for a command, or in a thread for a test."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from mlb_platform.simulator.api.app import make_app
from mlb_platform.simulator.api.clock import VirtualClock
from mlb_platform.simulator.api.options import ServeOptions
from mlb_platform.simulator.api.replay import Replay
from resources.errors import PlatformError

HOST = "127.0.0.1"
_PATIENCE = 20.0


@dataclass
class Serving:
    """A server that is up: where, and in what time."""

    url: str
    clock: VirtualClock
    server: uvicorn.Server

    @property
    def clock_url(self) -> str:
        """Where it tells its time."""
        return f"{self.url}/simulator/clock"

    def stop(self) -> None:
        """Ask it to stop."""
        self.server.should_exit = True


def open_server(options: ServeOptions, port: int = 0, host: str = HOST) -> tuple[Serving, socket.socket]:
    """Return a server that is not yet running and its socket; port 0 is any free one. PlatformError: port in use."""
    start = options.begins
    if options.replay is not None and options.start is None:
        start = Replay(options.replay).first
    clock = VirtualClock(start, options.speed)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PlatformError(f"port {port} is in use: give another with --port, or 0 for any") from error
    config = uvicorn.Config(
        make_app(options, clock),
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    url = f"http://{host}:{listener.getsockname()[1]}"
    return Serving(url, clock, uvicorn.Server(config)), listener


@contextmanager
def serving(options: ServeOptions, port: int = 0) -> Iterator[Serving]:
    """Serve in a thread of this process until the context ends."""
    found, listener = open_server(options, port)
    thread = threading.Thread(
        target=found.server.run, kwargs={"sockets": [listener]}, name="simulated-api", daemon=True
    )
    thread.start()
    deadline = time.monotonic() + _PATIENCE
    while not found.server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise PlatformError("the simulated API did not start")
        time.sleep(0.01)
    try:
        yield found
    finally:
        found.stop()
        thread.join(_PATIENCE)
        listener.close()
