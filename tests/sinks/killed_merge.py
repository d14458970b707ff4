"""Merge one capture and die by SIGKILL at a point of the way: run as a script by the tests."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from resources import delta_sink, postgres_sink
from resources.delta_sink import DeltaSink
from resources.merge_state import MergeStates
from resources.postgres import Postgres
from resources.postgres_sink import PostgresSink
from sinks.harness import Capture, batch, new_spec


def die(*_: Any, **__: Any) -> None:
    """End this process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


def then_die(function: Any) -> Any:
    """Return a function that does its work and then dies."""

    def call(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)
        die()

    return call


POINTS: dict[str, dict[str, Any]] = {
    "postgres": {
        "before-data": {"target": (postgres_sink, "_stage"), "by": die},
        "after-data": {"target": (PostgresSink, "_write"), "by": then_die},
        "before-state": {"target": (MergeStates, "save"), "by": die},
        "after-state": {"target": (MergeStates, "save"), "by": then_die},
        "after-all": {"target": (PostgresSink, "merge"), "by": then_die},
    },
    "delta-deltalake": {
        "before-intent": {"target": (MergeStates, "open_intent"), "by": die},
        "before-data": {"target": (delta_sink, "deltalake_engine"), "by": die},
        "after-data": {"target": (delta_sink, "deltalake_engine"), "by": then_die},
        "before-state": {"target": (MergeStates, "save"), "by": die},
        "after-state": {"target": (MergeStates, "close_intent"), "by": die},
        "after-all": {"target": (DeltaSink, "merge"), "by": then_die},
    },
}


def main(kind: str, point: str, url: str, lake: str, table: str, minute: str) -> None:
    """Merge CAPTURE at `minute` of game 1 and die at `point`."""
    postgres = Postgres(url)
    sink = PostgresSink(postgres) if kind == "postgres" else DeltaSink(lake, postgres)
    spec = new_spec(table=table)
    capture = Capture(1, float(minute), {0: (7, "killed"), 5: (8, "new")})
    owner, name = POINTS[kind][point]["target"]
    by = POINTS[kind][point]["by"]
    replacement = then_die(getattr(owner, name)) if by is then_die else by
    setattr(owner, name, replacement)
    with postgres.scope_locks(table, ["1"]):
        sink.merge(spec, batch(spec, capture))


if __name__ == "__main__":
    main(*sys.argv[1:])
