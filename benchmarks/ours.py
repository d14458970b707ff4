"""The platform as a contender: end to end, and phase by phase with a warm session."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from dagster import DagsterInstance
from psycopg import sql

from benchmarks import raw
from benchmarks.peers.handwritten_tables import TABLES
from mlb_platform.dagster_home import open_instance
from mlb_platform.extraction.extract import Extractor
from mlb_platform.extraction.report import RunReport
from mlb_platform.extraction.transformation import BaseTransformation
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from resources.spark import open_session, spark_settings

MAPPING = "game/live_game_v1"


@dataclass
class OurRun:
    """Seconds by phase of one run, and what it did."""

    report: RunReport
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows offered to PostgreSQL, those merged before included."""
        return self.report.total("postgres").source_rows


class Ours:
    """The platform on a home of its own, with one Spark session that stays warm."""

    def __init__(self, home: Path, jars: Path, **choices: Any) -> None:
        """`home` is a fresh folder, `jars` holds the Spark jars; `choices` are settings beside the home."""
        chosen = Settings(home=home, **choices)
        settings = spark_settings(jars, home / "tmp", chosen.spark_master, quick_start=True)  # as the command does
        self.platform = Platform(chosen, spark_factory=lambda: open_session(settings))
        self.mapping: ResolvedMapping = self.platform.registry.get(MAPPING)
        by_hand = {f"game.{table.name}" for table in TABLES}
        self.tables = [t.name for t in self.mapping.targets if t.name in by_hand]
        self._stack = ExitStack()

    @cached_property
    def instance(self) -> DagsterInstance:
        """Dagster's instance: as Spark's session it is opened once, as a command does."""
        return self._stack.enter_context(open_instance(self.platform.settings, self.platform.postgres))

    def close(self) -> None:
        """Close Dagster's instance and stop Spark."""
        self._stack.close()
        self.platform.spark().stop()

    def ingest(self, games: int) -> int:
        """Put so many simulated games into the raw store; return the bytes of their JSON."""
        size = raw.ingest(games, self.platform.raw, self.mapping)
        with self.platform.postgres.connect(autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        return size

    def reset(self) -> None:
        """Drop every table and all that is known of them; raw rows and Spark's plans stay."""
        platform = self.platform
        with platform.postgres.transaction() as connection:
            for table in self.tables:
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(sql.Identifier(*table.split("."))))
            noted = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'quality'").fetchall()
            for (name,) in noted:
                connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier("quality", str(name))))
        shutil.rmtree(platform.settings.lake, ignore_errors=True)
        platform.stores = replace(platform.stores, sinks=platform.new_stores().sinks)

    def games(self) -> int:
        """Return the number of games in the tables.

        Raises:
            RuntimeError: there are none, so that a run has been timed that did nothing.
        """
        with self.platform.postgres.transaction() as connection:
            (found,) = connection.execute("SELECT count(*) FROM game.live_game_metadata").fetchone() or (0,)
        if not found:
            raise RuntimeError("the tables are empty: nothing was materialized")
        return int(str(found))

    def transformation(self) -> BaseTransformation:
        """Return the transformation over the tables that the peer has too."""
        return self.platform.transformation(MAPPING, self.tables)

    def prepare(self) -> float:
        """Create the tables; return the seconds."""
        return timed(self.transformation().prepare)

    def run(self, first: date, last: date) -> OurRun:
        """Bring the tables up to the newest captures of these dates, without Dagster."""
        started = time.perf_counter()
        report = self.transformation().run(start_date=first, end_date=last)
        total = time.perf_counter() - started
        seconds = {name: report.seconds[name] for name in ("compute", "postgres", "delta", "merge")}
        return OurRun(report, {**seconds, "other": total - seconds["compute"] - seconds["merge"], "end to end": total})

    def phases(self, first: date, last: date) -> dict[str, float]:
        """Return seconds until the rows of all tables are in Arrow, and of judging them.

        The first is reading, parsing, walking and their way to the driver; the second what follows: misfits, repeats,
        the quality rules.
        """
        store = self.platform.raw
        raw_table = self.mapping.config.source.raw_table
        captures = {r.entity_key: r for r in self.transformation().captures(start_date=first, end_date=last)}
        entities = {r.raw_id: r.entity_key for r in captures.values()}
        extractor = next((e for e in self.platform.stores.extractors.values() if e.tables == self.tables), None)
        if extractor is None:
            extractor = Extractor(self.platform.spark(), self.platform.postgres, self.mapping, self.tables)

        inner, collecting = extractor._collect, 0.0

        def collect(*arguments: Any) -> Any:
            nonlocal collecting
            started = time.perf_counter()
            try:
                return inner(*arguments)
            finally:
                collecting += time.perf_counter() - started

        extractor._collect = collect  # type: ignore[method-assign]
        try:
            total = timed(lambda: extractor.extract(entities, lambda raw_id: store.payload(raw_table, raw_id)))
        finally:
            del extractor.__dict__["_collect"]
        return {"walk": collecting, "judge": total - collecting}


def timed(action: Callable[[], object]) -> float:
    """Return the seconds an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
