"""A date asked for again: after its games ended, and after games were taken off its schedule."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from mlb_platform.ingestion.completeness.look import look_at
from mlb_platform.ingestion.dates.facts import RawFacts
from mlb_platform.ingestion.dates.opened import open_ingestion
from mlb_platform.ingestion.dates.plan import SCHEDULE
from mlb_platform.ingestion.dates.report import IngestionReport
from mlb_platform.ingestion.gate import Request, admit, gate_specs
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from mlb_platform.simulator.api import ServeOptions, serving
from resources.postgres import Postgres
from resources.raw_store import RawCapture

JULY_1 = date(2024, 7, 1)
OCTOBER_30 = date(2024, 10, 30)
GAME = {
    "gamePk": 775296, "officialDate": "2024-10-30", "season": "2024", "gameType": "W",
    "status": {"abstractGameState": "Preview", "codedGameState": "S", "detailedState": "Scheduled"},
}  # fmt: skip
LISTED = {"dates": [{"date": "2024-10-30", "games": [GAME]}]}
EMPTY: dict[str, Any] = {"dates": []}


def test_the_run_after_the_end_fetches_all_of_the_end(database: Postgres, tmp_path: Path) -> None:
    """First fetched in mid-game: what was received then is older than the end, and the first run after it sees so."""
    start = datetime(2024, 7, 1, 19, 30, tzinfo=UTC)
    with serving(ServeOptions(start=start, speed=1, games=2, together=True)) as server:
        settings = Settings(
            home=tmp_path, database_url=database.url, api_url=server.url, api_clock_url=server.clock_url,
            api_rate_per_second=500,
        )  # fmt: skip

        def run() -> IngestionReport:
            with open_ingestion(Platform(settings)) as ingestion:
                return ingestion.dates([JULY_1])

        run()
        with database.transaction() as connection:
            found = connection.execute("SELECT data#>>'{gameData,status,abstractGameState}' FROM game.live_game_v1")
            assert [state for (state,) in found] == ["Live", "Live"]
        server.clock.forward(timedelta(hours=20))
        assert run().complete
        ended = datetime(2024, 7, 2, 12, tzinfo=UTC)
        for name in ("live_game_v1", "boxscore_raw", "linescore_raw", "play_by_play_raw"):
            with database.transaction() as connection:
                newest = f"SELECT max(coalesce(last_seen_at, captured_at)) FROM game.{name} GROUP BY entity_key"
                times = [at for (at,) in connection.execute(newest.encode()).fetchall()]
            assert len(times) == 2 and min(times) > ended, name
        assert run().requests == 0


def schedule_answered(made: Platform, at: datetime, document: dict[str, Any], **asked: str) -> None:
    """Store what the API answers to a request for the date, or for some games of it."""
    spec, day = gate_specs(made.registry.mappings)[SCHEDULE], OCTOBER_30.isoformat()
    of = "&".join([day, *asked.values()])
    request = Request("t", at, of, {"sportId": "1", "date": day, "id": of} | asked)
    capture = admit(orjson.dumps(document), request, spec)
    assert isinstance(capture, RawCapture)
    made.raw.insert(spec.raw_table, capture, poll=True)


def test_a_date_whose_games_were_taken_off_has_none(database: Postgres, tmp_path: Path) -> None:
    """A seventh game that was not necessary: the newest answer has no such date, until one lists it again."""
    made = Platform(Settings(home=tmp_path, database_url=database.url))
    mappings = made.registry.mappings
    facts = RawFacts(made.raw, {name: m.config.source.raw_table for name, m in mappings.items()})
    days = [datetime(2024, 10, 20 + n, 12, tzinfo=UTC) for n in range(12)]
    later = datetime(2024, 11, 2, 12, tzinfo=UTC)
    schedule_answered(made, days[0], LISTED)
    assert [g.game_pk for g in facts.schedule(OCTOBER_30).listed or []] == ["775296"]
    assert look_at(made.raw, mappings, [OCTOBER_30], now=later).repairable
    schedule_answered(made, days[0] + timedelta(hours=1), EMPTY, teamId="147")
    assert facts.schedule(OCTOBER_30).listed != []  # of one team alone
    schedule_answered(made, days[1], EMPTY)
    schedule_answered(made, days[11], EMPTY)
    emptied = facts.schedule(OCTOBER_30)
    assert emptied.listed == [] and emptied.known is not None and emptied.known.observed_at == days[11]
    assert look_at(made.raw, mappings, [OCTOBER_30], now=later).gaps == []
    schedule_answered(made, later, LISTED)
    assert [g.game_pk for g in facts.schedule(OCTOBER_30).listed or []] == ["775296"]
    made.postgres.close()
