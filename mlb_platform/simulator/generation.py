"""Many simulated feeds at once: several processes make games, and write them to a folder or into the raw store.

The same seed gives the same bytes however many processes there are: a game depends on the seed and its id alone.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from mlb_platform.ingestion.gate import GateSpec, Rejection, Request, admit, canonical_json
from mlb_platform.simulator.captures import SimulatedCapture, make_capture
from mlb_platform.simulator.corrections import Kind, later_capture
from mlb_platform.simulator.feed import capture_time
from mlb_platform.simulator.folder import INDEX_COLUMNS, empty_folder, write_response
from mlb_platform.simulator.game import play_game
from mlb_platform.simulator.game_responses import feed_response
from mlb_platform.simulator.schedule import ScheduledGame, games_on, schedule
from resources.errors import PlatformError
from resources.postgres import Postgres
from resources.raw_store import InsertOutcome, RawStore

SEASON_GAMES = 2430
CHUNK = 8
"""Games of one piece of work, which is one transaction of the raw store."""

FEED = "game/live_game_v1"


@dataclass
class Generated:
    """What became of the games: captures stored or written, repeats, the dates, and later captures left out."""

    stored: int = 0
    repeated: int = 0
    left_out: int = 0
    dates: set[date] = field(default_factory=set)
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, other: Generated) -> None:
        """Add what another piece of work did."""
        self.stored += other.stored
        self.repeated += other.repeated
        self.left_out += other.left_out
        self.dates |= other.dates
        self.rows += other.rows


def season_schedule(year: int) -> list[ScheduledGame]:
    """Give the 2,430 games of a season, from the 28th of March on: fifteen a date, no games on its days of rest.

    The days of rest are spread evenly, so that the last games are at the end of September.
    """
    first, last = date(year, 3, 28), date(year, 9, 29)
    days = SEASON_GAMES // len(games_on(first))
    span = (last - first).days
    playing = [first + timedelta(days=round(n * span / (days - 1))) for n in range(days)]
    return [game for day in playing for game in games_on(day)]


def scheduled_games(games: int, first_date: date) -> list[ScheduledGame]:
    """Give that many games from a date on, fifteen a date."""
    return list(schedule(games, first_date))


def captures_of(games: Sequence[ScheduledGame], seed: int, kinds: Sequence[Kind]) -> Iterator[SimulatedCapture | None]:
    """Give the final capture of each game, each followed by its later ones; None for one that cannot be made."""
    for scheduled in games:
        game = play_game(scheduled, seed)
        latest = make_capture(game, "Final", capture_time(game))
        yield latest
        for kind in kinds:
            try:
                latest = later_capture(latest, kind, seed)
            except ValueError:
                yield None  # a game without a single cannot have one corrected
                continue
            yield latest


def generate_into_store(
    games: Sequence[ScheduledGame], seed: int, kinds: Sequence[Kind], store: RawStore, specs: Mapping[str, GateSpec],
    *, workers: int = 2, progress: Callable[[int, str], None] | None = None,
) -> Generated:  # fmt: skip
    """Put the feeds of games through the gate into the raw store. Raises PlatformError when the gate refuses one."""
    spec = specs[FEED]
    for table in (spec.raw_table, *(into.raw_table for _, into in spec.embeds)):
        store.ensure(table)
    return _run(_StoreChunk(seed, tuple(kinds), store.postgres, spec), games, workers, progress)


def generate_into_folder(
    games: Sequence[ScheduledGame], seed: int, kinds: Sequence[Kind], folder: Path, *, workers: int = 2,
    level: int = 6, progress: Callable[[int, str], None] | None = None,
) -> Generated:  # fmt: skip
    """Write the feeds of games as a captures folder with its INDEX.tsv; `level` is that of gzip."""
    empty_folder(folder)
    made = _run(_FolderChunk(seed, tuple(kinds), folder, level), games, workers, progress)
    lines = ["\t".join(row) for row in (INDEX_COLUMNS, *made.rows)]
    (folder / "INDEX.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return made


@dataclass(frozen=True)
class _StoreChunk:
    seed: int
    kinds: tuple[Kind, ...]
    postgres: Postgres
    spec: GateSpec

    def __call__(self, games: Sequence[ScheduledGame]) -> Generated:
        made, waiting = Generated(), []
        for capture in captures_of(games, self.seed, self.kinds):
            if capture is None:
                made.left_out += 1
                continue
            response = feed_response(capture)
            source = f"simulated {response.name} {response.id}, seed {self.seed}"
            request = Request(
                source, response.captured_at, response.id, {"id": response.id}, f"simulated:{response.url}"
            )
            admitted = admit(canonical_json(response.payload), request, self.spec, response.payload)
            if isinstance(admitted, Rejection):
                raise PlatformError(f"{source} is refused by the gate: {admitted.reason}; this is a bug, report it")
            waiting.append(admitted)
            if admitted.partition_date is not None:
                made.dates.add(admitted.partition_date)
        told = Counter(_store_of(self.postgres).insert_many(self.spec.raw_table, waiting))
        made.stored = told[InsertOutcome.STORED]
        made.repeated = told.total() - made.stored
        return made


@dataclass(frozen=True)
class _FolderChunk:
    seed: int
    kinds: tuple[Kind, ...]
    folder: Path
    level: int

    def __call__(self, games: Sequence[ScheduledGame]) -> Generated:
        made, paths = Generated(), set[str]()
        for capture in captures_of(games, self.seed, self.kinds):
            if capture is None:
                made.left_out += 1
                continue
            made.rows.append(write_response(feed_response(capture), self.folder, paths, self.level))
            made.dates.add(capture.official_date)
            made.stored += 1
        return made


_stores: dict[Postgres, RawStore] = {}
"""The store of this process: its connections are kept from one piece of work to the next."""


def _store_of(postgres: Postgres) -> RawStore:
    if not _stores:
        _stores[postgres] = RawStore(postgres)
    return next(iter(_stores.values()))


Chunk = _StoreChunk | _FolderChunk


def _in_worker(work: Chunk, games: Sequence[ScheduledGame]) -> Generated:
    """Do a piece of work without looking for cycles at every turn: a feed has tens of thousands of small objects."""
    gc.disable()
    try:
        return work(games)
    finally:
        gc.enable()
        gc.collect()


def _run(
    work: Chunk, games: Sequence[ScheduledGame], workers: int, progress: Callable[[int, str], None] | None
) -> Generated:
    """Do all pieces of work, in order; a worker that dies or fails ends it."""
    chunks = [games[n : n + CHUNK] for n in range(0, len(games), CHUNK)]
    made, done = Generated(), 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, workers), mp_context=context) as pool:
        jobs: list[Future[Generated]] = [pool.submit(_in_worker, work, chunk) for chunk in chunks]
        try:
            for chunk, job in zip(chunks, jobs, strict=True):
                made.add(job.result())
                done += len(chunk) * (1 + len(work.kinds))
                if progress is not None:
                    progress(done, str(chunk[-1].day))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return made
