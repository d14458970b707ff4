"""Dates and games fetched as planned: schedule, games, then reference data; errors of one request stop no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import date, datetime

from mlb_platform.ingestion.dates.facts import DateFacts, RawFacts
from mlb_platform.ingestion.dates.listings import GameState, Listing
from mlb_platform.ingestion.dates.plan import (
    ENDPOINTS,
    FEED,
    REFERENCE_ROUNDS,
    SCHEDULE,
    GameFacts,
    Mode,
    Planned,
    is_elsewhere,
    local_day,
    plan_game,
    plan_reference,
    plan_schedule,
)
from mlb_platform.ingestion.dates.report import IngestionReport
from mlb_platform.ingestion.dates.request import Asker
from mlb_platform.ingestion.statsapi.client import CircuitOpen

DEFAULT_WORKERS = 4


@dataclass
class DateIngestion:
    """One ingestion: what was fetched in it is not asked for again; what was fetched before it, as the mode says."""

    asker: Asker
    facts: RawFacts
    report: IngestionReport
    now: Callable[[], datetime]
    wanted: Collection[str] = ENDPOINTS
    workers: int = DEFAULT_WORKERS
    _asked: set[tuple[str, str | None, str]] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)
    _listed: dict[date, DateFacts] = field(default_factory=dict)

    @property
    def mode(self) -> Mode:
        """What is asked for."""
        return self.report.mode

    def dates(self, days: Sequence[date]) -> IngestionReport:
        """Fetch what these dates need: all schedules first, which tell how many games there are, then date by date."""
        for day in days:
            self.schedule(day)
        self.report.add_games(sum(len(self.games_of(day)) for day in days))
        for day in days:
            if self._stop.is_set():
                break
            self.games(day)
        return self.report

    def schedule(self, day: date) -> None:
        """Fetch the schedule of a date where that is needed; other endpoints cannot be planned without one."""
        if self._stop.is_set():
            return
        known = self.facts.schedule(day)
        mode = self.mode if SCHEDULE in self.wanted else Mode.missing
        self._run([(day, plan_schedule(day, known.known, known.listed, mode))])
        # read again: what is there of games is as old as this answer, not as the one before it
        told, now = self.asker.listed(day), self.facts.schedule(day)
        self._listed[day] = now if told is None else DateFacts(now.known, told)

    def listed(self, day: date) -> DateFacts:
        """Return how a date's schedule lists its games, as known now."""
        if day not in self._listed:
            self._listed[day] = self.facts.schedule(day)
        return self._listed[day]

    def games_of(self, day: date) -> list[Listing]:
        """Return the games to look at under a date: a game moved away only where its feed still has it there."""
        return self.listed(day).listed or []

    def games(self, day: date) -> None:
        """Fetch the games of a date and what they call for, as its schedule lists them."""
        found = self.listed(day)
        if found.listed is None:
            self.report.bare.append(day)
            return
        self.report.dates.append(day)
        since = found.known.captured_at if found.known is not None else None
        facts, _ = self.facts.games([g.game_pk for g in found.listed])
        units = [(day, plan_game(g, day, facts[g.game_pk], self.mode, self.wanted, since)) for g in found.listed]
        self._run(units, games=True)
        self.reference([g for g in found.listed if not is_elsewhere(g, day)], day)

    def reference(self, games: Sequence[Listing], day: date) -> None:
        """Fetch the seasons, teams, rosters, people and venues that games of a date call for."""
        for names in REFERENCE_ROUNDS:
            wanted = [name for name in names if name in self.wanted]
            if not wanted or self._stop.is_set() or not games:
                continue
            facts = self.facts.reference(games, day)
            planned = plan_reference(games, day, facts, self.mode, wanted, self.now())
            self._run([(day, [p]) for p in planned])

    def single_games(self, game_pks: Sequence[str]) -> IngestionReport:
        """Fetch games by their ids, whatever their dates: the feed tells the rest."""
        self.report.add_games(len(game_pks))
        today = local_day(self.now())
        for last in (False, True):
            facts, told = self.facts.games(game_pks)
            units = [(self._day(told.get(pk), today), self._single(pk, facts[pk], told.get(pk))) for pk in game_pks]
            self._run(units, games=last)
        _, told = self.facts.games(game_pks)
        by_day: dict[date, list[Listing]] = {}
        for game in told.values():
            by_day.setdefault(self._day(game, today), []).append(game)
        for day, games in sorted(by_day.items()):
            self.report.dates.append(day)
            self.reference(games, day)
        return self.report

    def _single(self, game_pk: str, facts: GameFacts, told: Listing | None) -> list[Planned]:
        unknown = Listing(game_pk, GameState.LIVE, None)
        wanted = self.wanted
        if told is None and FEED in wanted:
            wanted = [FEED]
        return plan_game(told or unknown, None, facts, self.mode, wanted, None)

    @staticmethod
    def _day(told: Listing | None, today: date) -> date:
        return today if told is None or told.official is None else told.official

    def _run(self, units: Iterable[tuple[date, Sequence[Planned]]], *, games: bool = False) -> None:
        """Make the requests of each unit in their order, several units at a time."""
        fresh = [(day, [p for p in planned if self._is_new(p)]) for day, planned in units]
        if games:
            self.report.end_game(sum(not planned for _, planned in fresh))
        fresh = [(day, planned) for day, planned in fresh if planned]
        if not fresh or self._stop.is_set():
            return
        pool = ThreadPoolExecutor(max_workers=max(1, min(self.workers, len(fresh))), thread_name_prefix="ingest")
        try:
            jobs = [pool.submit(self._unit, day, planned) for day, planned in fresh]
            for job in as_completed(jobs):
                job.result()
                if games:
                    self.report.end_game()
        except BaseException:
            self._stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _is_new(self, planned: Planned) -> bool:
        request = planned.request
        key = (request.name, request.entity_id, repr(sorted(request.params.items())))
        if key in self._asked:
            return False
        self._asked.add(key)
        return True

    def _unit(self, day: date, planned: Sequence[Planned]) -> None:
        for p in planned:
            if self._stop.is_set():
                return
            try:
                done = self.asker.ask(p, day)
            except CircuitOpen as error:
                self._stop.set()
                self.report.stopped = str(error)
                return
            self.report.add(done)
