"""A date followed live, from a simulated Stats API over real HTTP: to the end of every game, whatever is in the way."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from mlb_platform.ingestion.statsapi.clock import Clock
from mlb_platform.ingestion.statsapi.endpoints import ApiRequest
from mlb_platform.ingestion.statsapi.ingest import Ingested, open_ingestor
from mlb_platform.live.follower import Follower, FollowReport, LiveError
from mlb_platform.live.game_follow import Pace
from mlb_platform.live.games_table import LiveGames
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from mlb_platform.simulator import simulate_games
from mlb_platform.simulator.api import Faults, ServeOptions, Serving, serving
from mlb_platform.simulator.events import EventRates
from resources.errors import PlatformError
from resources.postgres import Postgres

DAY = date(2024, 7, 3)
AFTERNOON = datetime(2024, 7, 3, 16, tzinfo=UTC)
PACE = Pace(least=timedelta(minutes=5), most=timedelta(minutes=10), idle=timedelta(minutes=10))
GAMES = 3
EXPECTED = {str(game.game_pk): game for game in simulate_games(GAMES, DAY, 1)}
GAME_TABLES = ("game.live_game_v1", "game.boxscore_raw", "game.linescore_raw", "game.play_by_play_raw")


def options(**changes: object) -> ServeOptions:
    given = {"start": AFTERNOON, "speed": 6_000.0, "games": GAMES, "together": True} | changes
    return ServeOptions(**given)  # type: ignore[arg-type]


@dataclass
class Bench:
    """A follower of the day on a server; what was handed over, and what the raw store had of it then."""

    postgres: Postgres
    handed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    fails: int = 0
    follower: Follower = field(init=False)

    def hand_over(self, game_pks: Sequence[str]) -> None:
        if self.fails:
            self.fails -= 1
            raise RuntimeError("the first hand-over fails")
        for pk in game_pks:
            assert pk not in self.handed, f"{pk} is handed over twice"
            self.handed[pk] = tuple(len(captures(self.postgres, table, pk)) for table in GAME_TABLES)


class Ticking:
    """A clock that ends a test after some looks at it."""

    def __init__(self, clock: Clock, looks: int) -> None:
        self._clock, self._looks = clock, looks

    def now(self) -> datetime:
        """Return a time an hour after the last one."""
        self._looks -= 1
        assert self._looks > 0, "it went on asking"
        return self._clock.now() + timedelta(hours=10 - self._looks)


def captures(postgres: Postgres, table: str, game_pk: str) -> list[tuple[str, str]]:
    """Return the state and the content hash of a game's raw rows, the newest last."""
    query = (
        "SELECT data #>> '{gameData,status,detailedState}', content_hash "
        f"FROM {table} WHERE entity_key = %s ORDER BY captured_at"
    )
    with postgres.transaction() as connection:
        return [(str(s), str(h)) for s, h in connection.execute(query.encode(), [game_pk]).fetchall()]


@contextmanager
def bench(server: Serving, database: Postgres, home: Path, only: Sequence[str] = ()) -> Iterator[Bench]:
    settings = Settings(
        home=home, database_url=database.url, api_url=server.url, api_clock_url=server.clock_url,
        api_rate_per_second=500, api_attempts=3,
    )  # fmt: skip
    made = Platform(settings)
    with open_ingestor(made) as ingestor:
        found = Bench(made.postgres)
        clock = ingestor.api.clock
        found.follower = Follower(ingestor, made.postgres, clock, DAY, only=only, pace=PACE, hand_over=found.hand_over)
        yield found
    made.postgres.close()


def assert_complete(found: Bench, report: FollowReport) -> None:
    """Every game is over, its last capture is the end that the simulator gives it, and it was handed over whole."""
    assert (report.phases, report.open, report.not_handed_over) == (dict.fromkeys(EXPECTED, "over"), [], {})
    assert found.handed.keys() == EXPECTED.keys()
    for pk, counts in found.handed.items():
        assert min(counts) >= 1, f"{pk} was handed over before all of it was fetched"
        feeds = captures(found.postgres, GAME_TABLES[0], pk)
        assert feeds[-1][0] == "Final" and counts[0] == len(feeds), "the last capture came after the hand-over"
        assert len(set(feeds)) == len(feeds), "a capture is there twice"
    table = {g.game_pk: g for g in LiveGames(found.postgres).of_date(DAY)}
    assert table.keys() == EXPECTED.keys()
    for pk, row in table.items():
        assert (row.phase, row.state, row.next_poll_at, row.stale_since) == ("over", "Final", None, None)
        assert row.captures <= row.polls and row.captures == len(captures(found.postgres, GAME_TABLES[0], pk))


def test_a_day_is_followed_to_the_end_of_its_games(database: Postgres, tmp_path: Path) -> None:
    """Through errors, HTML pages and cut answers: play and end are captured, each end is handed over once, whole."""
    faults = Faults(error=0.08, html=0.04, cut=0.04)
    with serving(options(faults=faults, speed=1_500.0)) as server, bench(server, database, tmp_path) as found:
        found.fails = 1
        report = found.follower.run()
        assert_complete(found, report)
        assert found.fails == 0
        assert report.games == GAMES and report.captures == sum(counts[0] for counts in found.handed.values())
        for pk, final in EXPECTED.items():
            states = [state for state, _ in captures(found.postgres, GAME_TABLES[0], pk)]
            assert "In Progress" in states
            with found.postgres.transaction() as connection:
                row = connection.execute(
                    b"SELECT data #> '{liveData,linescore,teams}' FROM game.live_game_v1 WHERE entity_key = %s "
                    b"ORDER BY captured_at DESC LIMIT 1",
                    [pk],
                ).fetchone()
            assert row is not None and row[0] == final.payload["liveData"]["linescore"]["teams"]


def test_a_date_is_held_anew_after_the_database_was_restarted(database: Postgres, tmp_path: Path) -> None:
    """The session that held it is gone with the server's sessions; a second follower is refused all the same."""
    locks = (
        "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted "
        "AND datname = current_database() AND backend_start < clock_timestamp() - interval '0.5 s' AND state = 'idle'"
    )

    def holders() -> set[int]:
        with database.transaction() as connection:
            return {row[0] for row in connection.execute(locks.encode()).fetchall()}

    with (
        serving(options(speed=600.0)) as server,
        bench(server, database, tmp_path) as first,
        bench(server, database, tmp_path) as second,
    ):
        running = threading.Thread(target=first.follower.run)
        running.start()
        before = until(holders)
        with database.transaction() as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [list(before)])
        assert until(lambda: holders() - before)
        with pytest.raises(LiveError, match="is followed by another"):
            second.follower.run()
        first.follower.stop()
        running.join(20)
        assert not running.is_alive()


def test_a_date_is_held_anew_after_the_network_lost_the_session_that_held_it(
    database: Postgres, tmp_path: Path
) -> None:
    """The server does not know for hours that nobody is at its other end: this is no other follower."""
    with serving(options(speed=600.0)) as server, bench(server, database, tmp_path) as only:
        running = threading.Thread(target=only.follower.run)
        running.start()
        until(lambda: {1} if only.follower.games else set())
        lost = only.follower._held
        still_open, (dead, other) = os.dup(lost.fileno()), socket.socketpair()
        os.dup2(dead.fileno(), lost.fileno())
        dead.close()
        other.close()
        until(lambda: {1} if only.follower._held is not lost else set())
        assert running.is_alive() and only.follower._held is not lost
        only.follower.stop()
        running.join(20)
        os.close(still_open)
        assert not running.is_alive()


def until(found: Callable[[], set[int]]) -> set[int]:
    """Return what is found once there is something, after ten seconds at most."""
    deadline = time.monotonic() + 10
    while not (there := found()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return there


def test_one_follower_a_date_and_the_next_one_goes_on_where_the_games_are(database: Postgres, tmp_path: Path) -> None:
    """A second one at once is refused; after the first was stopped it takes every game to its end, nothing doubled."""
    with serving(options(speed=3_000.0)) as server:
        with bench(server, database, tmp_path) as first, bench(server, database, tmp_path) as second:
            running = threading.Thread(target=first.follower.run)
            running.start()
            while not first.follower.report.captures:
                time.sleep(0.02)
            with pytest.raises(LiveError, match="is followed by another"):
                second.follower.run()
            second.follower.only = {min(EXPECTED)}
            with pytest.raises(LiveError, match="is followed by another"):
                second.follower.run()
            second.follower.only = set()
            first.follower.stop()
            running.join(20)
            assert not running.is_alive() and set(first.follower.report.phases) == set(EXPECTED)
            report = second.follower.run()
            assert report.phases == dict.fromkeys(EXPECTED, "over") and second.handed.keys() == EXPECTED.keys()
            for pk in EXPECTED:
                feeds = captures(second.postgres, GAME_TABLES[0], pk)
                assert len(set(feeds)) == len(feeds) and feeds[-1][0] == "Final"
        with bench(server, database, tmp_path) as third:
            report = third.follower.run()
            assert report.captures == 0 and report.phases == dict.fromkeys(EXPECTED, "over")


def test_games_that_are_off_or_suspended_end_the_day_with_their_new_dates(database: Postgres, tmp_path: Path) -> None:
    """Nothing of them is handed over; where they went is in `live.games`."""
    events = EventRates(0.0, 0.5, 0.5, 0.0, 0.0)
    served = options(events=events, games=8, together=False, speed=6_000.0)
    with serving(served) as server, bench(server, database, tmp_path) as found:
        report = found.follower.run()
        table = LiveGames(found.postgres).of_date(DAY)
    assert not report.open and len(table) == report.games
    ended = {g.game_pk: g for g in table if g.phase in ("off", "suspended")}
    assert {g.phase for g in ended.values()} == {"off", "suspended"}, "the seed gives both"
    for row in ended.values():
        words = {"off": "postponed to ", "suspended": "suspended until "}[row.phase]
        assert row.note is not None and row.note.startswith(words)
        assert date.fromisoformat(row.note.removeprefix(words)) > DAY
    assert found.handed.keys() == {g.game_pk for g in table if g.phase == "over"}


def test_a_game_that_the_schedule_does_not_list_is_refused(database: Postgres, tmp_path: Path) -> None:
    """Asked for one game alone, only that one is followed; an id that is not of the date is no silent nothing."""
    one = min(EXPECTED)
    with serving(options()) as server:
        with bench(server, database, tmp_path, only=[one]) as found:
            assert found.follower.run().phases == {one: "over"} and found.handed.keys() == {one}
        with bench(server, database, tmp_path, only=["12"]) as found, pytest.raises(LiveError, match="no game 12"):
            found.follower.run()


def test_an_answer_that_is_no_schedule_is_not_a_day_without_games(database: Postgres, tmp_path: Path) -> None:
    """An HTML page with status 200, at the start: nothing is known yet, and the games are found when it has passed."""
    page = options(faults=Faults(html=1.0))
    with serving(page) as server, bench(server, database, tmp_path) as found:
        assert found.follower.look() is None
        with pytest.raises(AssertionError, match="went on asking"):
            found.follower.clock = Ticking(found.follower.clock, 3)
            found.follower.run()
        assert found.follower.report.errors >= 2 and not found.follower.games
    with serving(options()) as server, bench(server, database, tmp_path) as found:
        assert found.follower.look() == GAMES


def test_what_was_not_fetched_at_first_is_fetched_again_and_no_longer_told_of(
    database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A box score fails until the game's first hand-over was made: it is over with all of it, and no failure stays."""
    one = min(EXPECTED)
    with serving(options()) as server, bench(server, database, tmp_path, only=[one]) as found:
        handed: list[int] = []

        def hand_over(game_pks: Sequence[str]) -> None:
            handed.append(len(captures(database, GAME_TABLES[1], one)) if handed else 0)

        ask = found.follower.ingestor.ingest

        def ingest(request: ApiRequest) -> Ingested:
            if request.name == "game/boxscore" and not handed:
                raise PlatformError("not yet")
            return ask(request)

        monkeypatch.setattr(found.follower.ingestor, "ingest", ingest)
        found.follower._hand_over = hand_over
        report = found.follower.run()
        assert report.phases == {one: "over"} and report.not_handed_over == {}
        assert handed == [0, 1] and report.errors >= 5
