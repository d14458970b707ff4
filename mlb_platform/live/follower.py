"""All games of a date followed in one process: polled when it is their time, and handed over when they are over."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import orjson
import psycopg

from mlb_platform.ingestion.dates.plan import FEED, OF_GAME, SCHEDULE
from mlb_platform.ingestion.recaptures import NOT_FOUND
from mlb_platform.ingestion.statsapi import endpoints
from mlb_platform.ingestion.statsapi.clock import Clock
from mlb_platform.ingestion.statsapi.ingest import Ingested, Ingestor
from mlb_platform.live.endings import Endings
from mlb_platform.live.game_follow import GameFollow, Pace, Phase
from mlb_platform.live.games_table import LiveGame, LiveGames
from resources.errors import PlatformError
from resources.http_client import Refused, Unreachable
from resources.postgres import Connection, Postgres, lock_key
from resources.raw_store import InsertOutcome

_log = logging.getLogger(__name__)
SCHEDULE_EVERY = timedelta(minutes=5)
WORKERS = 8
TICK = 0.05
"""Real seconds between two looks at whose turn it is."""
SAVED_EVERY = 2.0
"""Real seconds between two writings of `live.games`."""
_SESSION = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_END_SESSION = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"
HandOver = Callable[[Sequence[str]], None]


class LiveError(PlatformError):
    """A date cannot be followed."""


@dataclass
class FollowReport:
    """What following a date came to."""

    day: date
    games: int = 0
    polls: int = 0
    captures: int = 0
    errors: int = 0
    phases: dict[str, str] = field(default_factory=dict)
    not_handed_over: dict[str, str] = field(default_factory=dict)

    @property
    def open(self) -> list[str]:
        """The games that did not come to an end."""
        return sorted(pk for pk, phase in self.phases.items() if not Phase(phase).ended)


@dataclass
class _Counts:
    polls: int = 0
    captures: int = 0
    error: str | None = None
    polled_at: datetime | None = None


class Follower:
    """Follows the games of one date (`only`: of these alone) until each has ended or `stop` is called.

    Nothing is kept in memory alone: after a restart schedule, feeds and raw store tell where things stand.
    `hand_over` is called, in a thread of its own, with games that are over, once they are fetched for the last time.
    `check` is called now and then and may raise, which ends the following.
    """

    def __init__(
        self,
        ingestor: Ingestor,
        postgres: Postgres,
        clock: Clock,
        day: date,
        *,
        only: Collection[str] = (),
        pace: Pace | None = None,
        hand_over: HandOver | None = None,
        check: Callable[[], None] | None = None,
        workers: int = WORKERS,
    ) -> None:
        self.ingestor, self.postgres, self.clock, self.day = ingestor, postgres, clock, day
        self.only, self.pace = set(only), pace or Pace()
        self.games: dict[str, GameFollow] = {}
        self.report = FollowReport(day)
        self._hand_over, self._check, self._workers = hand_over, check, workers
        self._endings = Endings(self._end_games)
        self._counts: dict[str, _Counts] = {}
        self._polling: dict[str, Future[None]] = {}
        self._feeds: dict[str, Mapping[str, Any]] = {}
        self._listed = False
        self._schedule_at: datetime | None = None
        self._table = LiveGames(postgres)
        self._saved_at = 0.0
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask to end; polls under way are finished."""
        self._stop.set()

    def look(self) -> int | None:
        """Read the schedule before anything is started: how many games there are to follow; None: it did not tell.

        Raises Unreachable where there is no way to the API: once games are followed that is waited out.
        """
        self._read_schedule(self.clock.now(), patient=False)
        return len(self.games) if self._listed else None

    def run(self) -> FollowReport:
        """Follow until all games have ended and are handed over. Raises LiveError where another process does so."""
        with ExitStack() as self._hold:
            self._hold_alone()
            pool = ThreadPoolExecutor(self._workers, "poll")
            try:
                while not self._stop.is_set():
                    self._tick(pool)
                    if self._finished():
                        break
                    self._stop.wait(TICK)
            finally:
                pool.shutdown(wait=True)
                self._endings.close()
                self._save(force=True)
        self.report.games = len(self.games)
        self.report.phases = {pk: str(g.phase) for pk, g in self.games.items()}
        self.report.errors += self._endings.errors
        self.report.not_handed_over.update(self._endings.failed)
        return self.report

    def _hold_alone(self) -> None:
        self._held = self._hold.enter_context(_alone(self.postgres, self.day, sorted(self.only)))
        self._session = self._held.execute(_SESSION).fetchone()

    def _still_alone(self) -> None:
        """Hold the date anew where the session that did is lost. Raises LiveError where another has it."""
        try:
            self._held.execute("SELECT 1")
        except psycopg.Error:
            try:
                with self.postgres.transaction() as connection:
                    # the server may not know yet that nobody is at its other end
                    connection.execute(_END_SESSION, self._session)
                self._hold_alone()
            except LiveError:
                raise
            except (PlatformError, psycopg.Error) as error:
                _log.warning("%s is not held, and followed all the same: %s", self.day, error)

    def _tick(self, pool: ThreadPoolExecutor) -> None:
        if self._check is not None:
            self._check()
        now = self.clock.now()
        if self._schedule_at is None or now >= self._schedule_at:
            self._read_schedule(now)
        for pk in [pk for pk, future in self._polling.items() if future.done()]:
            self._polling.pop(pk).result()
        for pk, game in self.games.items():
            if not game.phase.ended and pk not in self._polling and game.next_at <= now:
                self._polling[pk] = pool.submit(self._poll, game)
        self._endings.look(self._over, others=any(not g.phase.ended for g in self.games.values()))
        self._save()

    @property
    def _over(self) -> list[str]:
        return [pk for pk, g in self.games.items() if g.phase is Phase.over]

    def _finished(self) -> bool:
        ended = self._listed and all(g.phase.ended for g in self.games.values())
        return ended and not self._polling and self._endings.settled(self._over)

    def _read_schedule(self, now: datetime, *, patient: bool = True) -> None:
        """Ask which games there are today; where that fails it is asked again a little later."""
        try:
            _accepted(self.ingestor.ingest(endpoints.schedule(self.day)))
            rows = self._listed_games()
        except (PlatformError, psycopg.Error) as error:
            if not patient and isinstance(error, Unreachable):
                raise
            self.report.errors += 1
            _log.warning("the schedule of %s: %s", self.day, error)
            self._schedule_at = now + self.pace.most
            return
        self._schedule_at = now + SCHEDULE_EVERY
        self._listed = True
        for row in rows:
            pk = str(row.get("gamePk"))
            if self.only and pk not in self.only:
                continue
            if pk not in self.games:
                self.games[pk] = GameFollow(pk, self.day, self.pace)
                self._counts[pk] = _Counts()
            self.games[pk].listed(row, now)
        absent = sorted(self.only - self.games.keys())
        if absent:
            raise LiveError(f"the schedule of {self.day} lists no game {', '.join(absent)}: give its official date")

    def _listed_games(self) -> list[Mapping[str, Any]]:
        """Return the games of the newest schedule of the date in the raw store."""
        table = self.ingestor.specs[SCHEDULE].raw_table
        rows = self.ingestor.raw.rows(table, entity_keys=[self.day.isoformat()])
        if not rows:
            return []
        document = orjson.loads(self.ingestor.raw.payload(table, rows[-1].raw_id))
        return [
            g for d in document.get("dates", []) if d.get("date") == self.day.isoformat() for g in d.get("games") or []
        ]

    def _poll(self, game: GameFollow) -> None:
        counts = self._counts[game.game_pk]
        counts.polls += 1
        self.report.polls += 1
        try:
            done = _accepted(self.ingestor.ingest(endpoints.live_feed(game.game_pk)))
            changed = done.outcome is InsertOutcome.STORED
            if done.capture is not None:
                feed = _essentials(orjson.loads(done.capture.data))
            elif game.state == "unknown" or game.last_change is None:
                feed = self._stored_feed(game.game_pk)
            else:
                feed = self._feeds[game.game_pk]
            self._feeds[game.game_pk] = feed
            polled_at = self.clock.now()
            game.told(feed, polled_at, changed=changed)
        except Exception as error:  # noqa: BLE001 - whatever it is, this game is asked again and the others go on
            expected = isinstance(error, PlatformError | psycopg.Error)
            counts.error = " ".join(f"{'' if expected else f'{type(error).__name__}: '}{error}".split())[:500]
            self.report.errors += 1
            _log.warning("game %s: %s", game.game_pk, counts.error, exc_info=None if expected else error)
            game.failed(self.clock.now())
            return
        counts.error, counts.polled_at = None, polled_at
        counts.captures += changed
        self.report.captures += changed

    def _stored_feed(self, game_pk: str) -> Mapping[str, Any]:
        """Return what the newest stored feed tells: after a restart the server may only say that it still stands."""
        table = self.ingestor.specs[FEED].raw_table
        newest = self.ingestor.raw.rows(table, entity_keys=[game_pk])[-1]
        return _essentials(orjson.loads(self.ingestor.raw.payload(table, newest.raw_id)))

    def _end_games(self, game_pks: Sequence[str]) -> None:
        """Fetch what else there is of games that are over, and hand over what there is.

        Raises PlatformError where something was not fetched: it is tried again.
        """
        missing = [m for pk in game_pks for request in OF_GAME.values() if (m := self._not_fetched(request(pk)))]
        if self._hand_over is not None:
            self._hand_over(game_pks)
        if missing:
            raise PlatformError("; ".join(missing))

    def _not_fetched(self, request: endpoints.ApiRequest) -> str | None:
        """Fetch an answer, several times if need be; return why there is none."""
        error = "no answer"
        for _ in range(5):
            try:
                _accepted(self.ingestor.ingest(request))
                return None
            except (PlatformError, psycopg.Error) as problem:
                error = str(problem)
                if isinstance(problem, Refused) and problem.status == NOT_FOUND:
                    _log.warning("%s: there is none, and asking again changes nothing: %s", request.name, error)
                    return None
            self.report.errors += 1
            self.clock.sleep(self.pace.least.total_seconds())
        return f"{request.name} was not fetched: {error}"

    def _save(self, *, force: bool = False) -> None:
        if not force and time.monotonic() - self._saved_at < SAVED_EVERY:
            return
        self._saved_at = time.monotonic()
        if not force:
            self._still_alone()
        rows = []
        for pk, g in self.games.items():
            c = self._counts[pk]
            rows.append(
                LiveGame(
                    pk, self.day, str(g.phase), g.state, g.start, c.polled_at, g.last_change, g.feed_clock,
                    None if g.phase.ended else g.next_at, c.polls, c.captures, g.failures, c.error, g.stale_since,
                    g.note,
                )
            )  # fmt: skip
        try:
            self._table.save(rows)
        except (PlatformError, psycopg.Error) as error:
            _log.warning("live.games is not written: %s", error)


def _accepted(done: Ingested) -> Ingested:
    """Return what was ingested; raise PlatformError for an answer that the gate refused."""
    if done.rejection is not None:
        raise PlatformError(f"the answer is no good: {done.rejection.reason}")
    return done


def _essentials(feed: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the little of a feed that decides when it is asked for again."""
    data, meta = feed.get("gameData") or {}, feed.get("metaData") or {}
    return {
        "gameData": {"status": data.get("status"), "datetime": data.get("datetime")},
        "metaData": {"wait": meta.get("wait"), "timeStamp": meta.get("timeStamp")},
    }


@contextmanager
def _alone(postgres: Postgres, day: date, only: Sequence[str]) -> Iterator[Connection]:
    """Hold a date, or some of its games: two followers of the same game would ask everything twice."""
    place = "live follower"
    with postgres.connect(autocommit=True) as connection:
        connection.execute("SET idle_session_timeout = 0")
        wanted = [("_shared", f"{day}"), *(("", f"{day} {pk}") for pk in only)] if only else [("", f"{day}")]
        for kind, scope in wanted:
            query = f"SELECT pg_try_advisory_lock{kind}(%s)".encode()
            row = connection.execute(query, [lock_key(place, scope)]).fetchone()
            if row is None or not row[0]:
                what = f"game {scope.split()[1]} of {day}" if " " in scope else f"{day}"
                raise LiveError(f"{what} is followed by another `mlb live` on this database: stop that one first")
        yield connection
