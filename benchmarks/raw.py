"""Simulated games as raw rows: what every contender starts from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

import orjson

from mlb_platform.ingestion.gate import GateSpec, Rejection, Request, admit, gate_spec
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.simulator import SimulatedCapture, simulate_games
from resources.raw_store import RawCapture, RawStore

FIRST_DATE = date(2024, 7, 1)
SEED = 20240701
GAMES_A_DATE = 15
_BATCH = 8
_NEWEST = b"""
SELECT captured_at, data FROM (
    SELECT DISTINCT ON (entity_key) entity_key, captured_at, data::text AS data FROM game.live_game_v1
    WHERE partition_date = %s ORDER BY entity_key, captured_at DESC
) newest ORDER BY entity_key LIMIT %s
"""


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


def recapture(store: RawStore, mapping: ResolvedMapping, day: date, games: int) -> None:
    """Store a newer capture of the first `games` games of a date, with what a scorer corrects afterwards.

    Every tenth play has another description, and its pitches another speed than in the newest capture there is.
    """
    spec = gate_spec(mapping)
    with store.postgres.transaction() as connection:
        newest = connection.execute(_NEWEST, [day, games]).fetchall()
    rows = []
    for captured_at, data in newest:
        again = captured_at + timedelta(minutes=1)
        payload = orjson.loads(str(data))
        for play in payload["liveData"]["plays"]["allPlays"][::10]:
            _correct(play, again)
        rows.append(_row(payload, again, spec))
    store.insert_many(spec.raw_table, rows)


def newest_row(store: RawStore) -> int:
    """Return the number of the newest raw row."""
    with store.postgres.transaction() as connection:
        (found,) = connection.execute(b"SELECT max(raw_id) FROM game.live_game_v1").fetchone() or (0,)
    return int(str(found))


def forget_after(store: RawStore, raw_id: int) -> None:
    """Remove the captures stored after a row, so that a workload finds one capture a game again."""
    with store.postgres.transaction() as connection:
        connection.execute(b"DELETE FROM game.live_game_v1 WHERE raw_id > %s", [raw_id])


def _correct(play: dict[str, Any], at: datetime) -> None:
    told = play["result"].get("description") or ""
    play["result"]["description"] = f"{told.partition(' (corrected')[0]} (corrected at {at:%d %H:%M})"
    for event in play["playEvents"]:
        pitch = event.get("pitchData") or {}
        if "startSpeed" in pitch:
            pitch["startSpeed"] = round(pitch["startSpeed"] + 0.1, 1)


def _admitted(captures: Sequence[SimulatedCapture], spec: GateSpec) -> list[RawCapture]:
    return [_row(capture.payload, capture.captured_at, spec) for capture in captures]


def _row(payload: object, captured_at: datetime, spec: GateSpec) -> RawCapture:
    row = admit(orjson.dumps(payload), Request("simulator", captured_at), spec)
    if isinstance(row, Rejection):
        raise ValueError(f"the simulator made a feed that is refused: {row.reason}")
    return row
