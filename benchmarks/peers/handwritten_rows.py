"""Rows of the seventeen tables over several games, and the Arrow tables they become, column by column.

A row is a tuple of the table's own columns; what every row of a game shares (its number, date and technical columns) is
added to whole columns at the end.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.peers import handwritten_walk as walk
from benchmarks.peers.handwritten_tables import (
    INNINGS,
    METADATA,
    PITCHES,
    PLAYERS,
    PLAYS,
    RUNNERS,
    SCORING_PLAYS,
    SIDE_TABLES,
    TABLES,
    UMPIRES,
    VENUE,
)

_INSTANT = pa.timestamp("us", tz="UTC")


class Rows:
    """Rows of all tables over several games, as tuples, and how many rows each game has in each table."""

    def __init__(self) -> None:
        """Start without games."""
        self.rows: dict[str, list[tuple[Any, ...]]] = {table.name: [] for table in TABLES}
        self.ends: dict[str, list[int]] = defaultdict(list)
        self.games: list[tuple[int, str, int, datetime]] = []

    def add(self, raw_id: int, captured_at: datetime, doc: walk.Json) -> None:
        """Walk one feed."""
        when = doc["gameData"]["datetime"]
        self.games.append((doc["gamePk"], when.get("officialDate") or when.get("originalDate"), raw_id, captured_at))
        rows = self.rows
        walk.metadata(doc, rows[METADATA.name])
        walk.innings(doc, rows[INNINGS.name])
        walk.players(doc, rows[PLAYERS.name])
        walk.plays(doc, rows[PLAYS.name], rows[PITCHES.name], rows[RUNNERS.name])
        walk.scoring_plays(doc, rows[SCORING_PLAYS.name])
        for side, tables in SIDE_TABLES.items():
            walk.team(doc, side, *(rows[table.name] for table in tables))
        walk.umpires(doc, rows[UMPIRES.name])
        walk.venue_details(doc, rows[VENUE.name])
        for table in TABLES:
            self.ends[table.name].append(len(rows[table.name]))

    def arrow(self) -> dict[str, pa.Table]:
        """Return the Arrow table of every table, technical columns included."""
        now = datetime.now(UTC)
        lineage = {
            "source_table": "game.live_game_v1", "transform_job": "handwritten", "transform_timestamp": now.isoformat(),
            "data_quality_passed": True, "quality_checks_run": 0,
        }  # fmt: skip
        keys = pa.array([game[0] for game in self.games], pa.int64())
        days = pa.array([date.fromisoformat(game[1]) for game in self.games], pa.date32())
        captured = pa.array([game[3] for game in self.games], _INSTANT)
        lineages = pa.array([json.dumps(lineage | {"source_row_id": game[2]}) for game in self.games], pa.string())
        made = {}
        for table in TABLES:
            rows, ends = self.rows[table.name], self.ends[table.name]
            owner = pa.array(np.repeat(np.arange(len(ends)), np.diff([0, *ends])))
            columns = list(zip(*rows, strict=True)) if rows else [()] * len(table.own_types)
            own = [_column(values, kind) for values, kind in zip(columns, table.own_types, strict=True)]
            stamps = pa.repeat(pa.scalar(now, _INSTANT), len(rows))
            arrays = [keys.take(owner), days.take(owner), *own, captured.take(owner), stamps, lineages.take(owner)]
            made[table.name] = pa.Table.from_arrays(arrays, schema=table.schema)
        return made


def _column(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(kind):
        return _decimals(pa.array(values, pa.float64()), kind)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)


def _decimals(numbers: pa.Array, kind: pa.DataType) -> pa.Array:
    """Round to the scale, half up as the digits of the text say: 1.005 is a little less as a float."""
    floats = numbers.to_numpy(zero_copy_only=False) * 10.0**kind.scale
    absent = np.isnan(floats)
    floats[absent] = 0.0
    whole = np.floor(np.abs(floats) * (1 + 4e-16) + 0.5).astype(np.int64)
    whole[floats < 0] *= -1
    words = np.empty((len(whole), 2), np.int64)
    words[:, 0], words[:, 1] = whole, whole >> 63
    valid = pa.py_buffer(np.packbits(~absent, bitorder="little"))
    return pa.Array.from_buffers(kind, len(whole), [valid, pa.py_buffer(words)])
