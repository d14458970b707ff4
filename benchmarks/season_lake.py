"""A season of daily merges into a lake, cheaply: the rows of some simulated dates, given new games and dates each day.

60 games on four dates are simulated, stored and extracted once, as the platform does it. Each day of the season then
gets the 15 games of one of these dates: with other `game_pk`, the day's date and other play ids (ids do not compress;
the rest does as well as any four dates do, so files are somewhat smaller than a real season's). Besides, one game of
the day before comes again with a correction in every table: seasons are not only appended to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.ours import Ours
from benchmarks.raw import FIRST_DATE, GAMES_A_DATE, ingest
from mlb_platform.extraction.specs import merge_spec
from resources.delta_sink import DeltaSink
from resources.merge import SOURCE_CAPTURED_AT, MergeBatch, MergeSpec, ScopeVersion

SEASON_STARTS = date(2024, 4, 1)
BASE_DATES = 4
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-.*")
_GAMES_A_DAY = 1000
"""How far the games of one day are from those of the next."""


class SeasonLake:
    """The rows of the base dates by table, and the batches that a day of the season brings."""

    def __init__(self, ours: Ours) -> None:
        """Simulate and extract the base dates on `ours`, whose lake is emptied afterwards."""
        games = BASE_DATES * GAMES_A_DATE
        ingest(games, ours.platform.raw, ours.mapping)
        last = FIRST_DATE + timedelta(days=BASE_DATES - 1)
        ours.prepare()
        ours.run(FIRST_DATE, last)
        self.specs = [merge_spec(ours.mapping.by_name[name]) for name in ours.tables]
        sink = DeltaSink(ours.platform.settings.lake, ours.platform.postgres)
        self._rows: dict[str, list[pa.Table]] = {}
        for spec in self.specs:
            rows = sink.fetch(spec)
            assert spec.partition is not None
            days = [FIRST_DATE + timedelta(days=n) for n in range(BASE_DATES)]
            self._rows[spec.table] = [rows.filter(pc.equal(rows[spec.partition], pa.scalar(d))) for d in days]
        metadata = next(spec for spec in self.specs if spec.table.endswith("live_game_metadata"))
        found = [sorted(rows["game_pk"].to_pylist()) for rows in self._rows[metadata.table]]
        self._games = [{game: n for n, game in enumerate(games)} for games in found]
        ours.reset()

    def day(self, spec: MergeSpec, number: int) -> Iterator[MergeBatch]:
        """Yield what a day brings to a table: its games, then one of the day before with a correction."""
        yield self._batch(spec, number)
        if number:
            game = _game(number - 1, number % GAMES_A_DATE)
            batch = self._batch(spec, number - 1, correction=f"corrected on day {number}")
            rows = batch.rows.filter(pc.equal(batch.rows["game_pk"], game))
            yield MergeBatch(rows, [v for v in batch.versions if v.scope == str(game)])

    def _batch(self, spec: MergeSpec, number: int, correction: str = "") -> MergeBatch:
        base, day = number % BASE_DATES, date_of(number)
        seen = datetime.combine(day + timedelta(days=1 + bool(correction)), time(6), UTC)
        rows, places = self._rows[spec.table][base], self._games[base]
        games = pa.array([_game(number, places[g]) for g in rows["game_pk"].to_pylist()], pa.int64())
        rows = _replaced(rows, "game_pk", games)
        rows = _replaced(rows, spec.partition or "game_date", pa.array([day] * rows.num_rows, pa.date32()))
        rows = _replaced(rows, SOURCE_CAPTURED_AT, pa.array([seen] * rows.num_rows, pa.timestamp("us", "UTC")))
        for name in rows.column_names:
            if pa.types.is_string(rows.schema.field(name).type) and _UUID.fullmatch(_some(rows[name])):
                rows = _replaced(rows, name, _new_ids(rows[name], number))
        if correction:
            rows = _corrected(rows, spec, number)
        versions = [
            ScopeVersion(str(_game(number, n)), seen, f"{number} {correction}", number + 1, day)
            for n in range(len(places))
        ]
        return MergeBatch(rows, versions)


def date_of(number: int) -> date:
    """Return the date of a day of the season."""
    return SEASON_STARTS + timedelta(days=number)


def _game(number: int, place: int) -> int:
    return 700_000 + number * _GAMES_A_DAY + place


def _replaced(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    index, field = rows.schema.get_field_index(name), rows.schema.field(name)
    return rows.set_column(index, field, values.cast(field.type))


def _some(values: pa.ChunkedArray) -> str:
    found: Sequence[str] = values.drop_null().slice(0, 1).to_pylist()
    return found[0] if found else ""


def _new_ids(values: pa.ChunkedArray, number: int) -> pa.Array:
    heads = np.random.default_rng(number).integers(0, 2**32, size=len(values), dtype=np.uint64)
    found = [None if v is None else f"{h:08x}{v[8:]}" for v, h in zip(values.to_pylist(), heads, strict=True)]
    return pa.array(found, pa.string())


def _corrected(rows: pa.Table, spec: MergeSpec, number: int) -> pa.Table:
    """Change one column, of those that a correction may change, in every tenth row; at least in one row a game."""
    kinds = {name: rows.schema.field(name).type for name in spec.business_columns if name != spec.partition}
    texts = [n for n, kind in kinds.items() if pa.types.is_string(kind) and not _UUID.fullmatch(_some(rows[n]))]
    numbers = [n for n, kind in kinds.items() if pa.types.is_integer(kind)]
    name = (texts or numbers)[-1]
    value = "x" if texts else number
    tenth = np.arange(rows.num_rows) % 10 == 0
    first = np.concatenate(([True], np.diff(rows["game_pk"].to_numpy()) != 0))
    changed = pa.array(tenth | first)
    return _replaced(rows, name, pc.if_else(changed, pa.scalar(value, kinds[name]), rows[name].combine_chunks()))
