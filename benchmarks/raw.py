"""Simulated games as raw rows: what every contender starts from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import islice

import orjson

from mlb_platform.ingestion.gate import GateSpec, Rejection, Request, admit, gate_spec
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.simulator import SimulatedCapture, simulate_games
from resources.raw_store import RawCapture, RawStore

FIRST_DATE = date(2024, 7, 1)
SEED = 20240701
GAMES_A_DATE = 15
_BATCH = 8


def dates_of(games: int) -> tuple[date, date]:
    """Return the first and last date that the first `games` simulated games are played on."""
    return FIRST_DATE, FIRST_DATE + timedelta(days=-(-games // GAMES_A_DATE) - 1)


def ingest(games: int, store: RawStore, mapping: ResolvedMapping) -> int:
    """Put that many simulated games into the raw store; return the bytes of their JSON."""
    spec, size = gate_spec(mapping), 0
    captures = simulate_games(games, FIRST_DATE, SEED)
    while batch := list(islice(captures, _BATCH)):
        rows = _admitted(batch, spec)
        size += sum(len(row.data) for row in rows)
        store.insert_many(spec.raw_table, rows)
    return size


def _admitted(captures: Sequence[SimulatedCapture], spec: GateSpec) -> list[RawCapture]:
    rows = []
    for capture in captures:
        row = admit(orjson.dumps(capture.payload), Request("simulator", capture.captured_at), spec)
        if isinstance(row, Rejection):
            raise ValueError(f"the simulator made a feed that is refused: {row.reason}")
        rows.append(row)
    return rows
