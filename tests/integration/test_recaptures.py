"""Corrections against a real server: what is fetched again, when, and exactly which dates' runs that leads to."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import orjson
import pytest

from mlb_platform.assets.partitions import date_partitions
from mlb_platform.assets.recapture import CHANGES_JOB, GAMES_TAG, RECAPTURE_JOB
from mlb_platform.definitions import build_definitions
from mlb_platform.ingestion.game_changes import NAME, OVERLAP, changed_games, read_changes
from mlb_platform.ingestion.gate import Request, admit, gate_specs
from mlb_platform.ingestion.recaptures import GIVEN_UP_AFTER, OFFSETS, RefetchFailed, due_games, refetch, refetched
from mlb_platform.ingestion.statsapi.client import Fetched, StatsApi
from mlb_platform.ingestion.statsapi.endpoints import ApiRequest
from mlb_platform.ingestion.statsapi.ingest import Ingestor, UnusableAnswer, open_ingestor
from mlb_platform.platform import Platform
from mlb_platform.sensors.cursor import Cursor
from mlb_platform.sensors.raw_rows import tick
from mlb_platform.settings import Settings
from mlb_platform.simulator.api.options import ServeOptions
from mlb_platform.simulator.api.serve import Serving, serving
from mlb_platform.simulator.api.world import World
from resources.postgres import Postgres
from resources.raw_store import RawCapture
from resources.watermarks import Watermarks

FEED = "game.live_game_v1"
JULY_1 = datetime(2024, 7, 1, tzinfo=UTC)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Played:
    """A server some minutes after two games, of July 1st and 2nd: the first will be corrected, the second will not."""

    platform: Platform
    server: Serving
    games: tuple[str, str]
    ended: tuple[datetime, datetime]
    corrected: datetime

    def look(self, cursor: str | None, mapping: str = "game/live_game_v1") -> tuple[list[str], str]:
        """Return the dates that the sensor of a raw table requests, and its cursor once their runs have succeeded."""
        partitions = date_partitions(self.platform.settings.first_partition_date)
        with dg.DagsterInstance.ephemeral() as instance:
            found = tick(
                instance, cursor, self.platform.registry.get(mapping), partitions, self.platform, logging.getLogger("s")
            )
        requested = [r.partition_key or "" for r in found.run_requests or []]
        return requested, Cursor(Cursor.parse(found.cursor).raw).text()

    def due(self) -> list[str]:
        """Return the games that are due by the server's clock."""
        return [d.game_pk for d in due_games(self.platform.raw, FEED, self.server.clock.now())]

    def until(self, when: datetime) -> None:
        """Let the server's time pass."""
        self.server.clock.forward(when - self.server.clock.now())

    def run(self, job: str, instance: dg.DagsterInstance, **tags: str) -> dg.ExecuteInProcessResult:
        """Run a job of the definitions in this process."""
        found = build_definitions(self.platform.settings, self.platform).resolve_job_def(job)
        return found.execute_in_process(instance=instance, tags=tags, run_config=QUIET, raise_on_error=False)


def final_moments(world: World, pk: int) -> tuple[datetime, datetime | None]:
    """When a game became Final by the simulator's own plan, and when it is corrected."""
    line = world.timeline(pk)
    assert line is not None
    at = [m.at.replace(tzinfo=UTC) for m in line.moments]
    return (at[-2], at[-1]) if line.later else (at[-1], None)


@pytest.fixture
def played(database: Postgres, tmp_path: Path) -> Iterator[Played]:
    """Both games in the raw store, as they ended."""
    options = ServeOptions(games=1, corrections=0.5, correction_minutes=26 * 60, speed=1.0)
    for seed in range(50):
        world = World(dataclasses.replace(options, seed=seed))
        pks = [world.listed((JULY_1 + timedelta(days=n)).date(), JULY_1)[0]["gamePk"] for n in (0, 1)]
        moments = [final_moments(world, pk) for pk in pks]
        corrected = moments[0][1]
        if corrected is not None and moments[1][1] is None and corrected > moments[1][0] + timedelta(minutes=90):
            break
    assert corrected is not None
    start = moments[1][0] + timedelta(minutes=5)
    with serving(dataclasses.replace(options, seed=seed, start=start)) as server:
        settings = Settings(
            home=tmp_path, database_url=database.url, api_url=server.url, api_clock_url=server.clock_url,
            api_rate_per_second=500.0,
        )  # fmt: skip
        platform = Platform(settings)
        with open_ingestor(platform) as ingestor:
            first = refetch(ingestor, [str(pk) for pk in pks])
        assert first.failed == [] and first.requests == 8
        yield Played(platform, server, (str(pks[0]), str(pks[1])), (moments[0][0], moments[1][0]), corrected)


def test_games_are_fetched_again_when_due_and_only_a_change_leads_to_a_run(played: Played) -> None:
    """An hour after: equal, so no run; a day after: the corrected game's date, and no other, in each of its tables."""
    with dg.DagsterInstance.ephemeral() as instance:
        requested, cursor = played.look(None)
        assert requested == ["2024-07-01", "2024-07-02"]
        assert played.due() == []
        played.until(played.ended[1] + timedelta(minutes=62))
        assert played.due() == []  # it was received as Final five minutes after its end
        played.until(played.ended[1] + timedelta(minutes=67))
        assert played.due() == [played.games[1]]
        assert played.run(RECAPTURE_JOB, instance, **{GAMES_TAG: played.games[1]}).success
        assert played.due() == []
        requested, cursor = played.look(cursor)
        assert requested == []
        played.until(played.ended[1] + timedelta(hours=25))
        assert sorted(played.due()) == sorted(played.games)
        assert played.run(RECAPTURE_JOB, instance, **{GAMES_TAG: ",".join(played.games)}).success
        assert played.due() == []
        requested, cursor = played.look(cursor)
        assert requested == ["2024-07-01"]
        assert played.look(cursor)[0] == []
        played.until(played.ended[1] + timedelta(days=7, hours=1))
        assert sorted(played.due()) == sorted(played.games)
        assert played.run(RECAPTURE_JOB, instance, **{GAMES_TAG: ",".join(played.games)}).success
        assert played.look(cursor)[0] == [] and played.due() == []
        played.until(played.ended[1] + timedelta(days=12))
        assert played.due() == []


def test_the_watermark_moves_only_when_all_that_changed_is_stored(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of HTML for one game, then for the list: it stays. A complete look moves it; the correction is there."""
    platform, marks = played.platform, Watermarks(played.platform.postgres)
    _, cursor = played.look(None)
    marks.advance(NAME, played.server.clock.now())
    before = marks.get(NAME)
    played.until(played.corrected + timedelta(minutes=1))
    broken: set[str] = {f"/api/v1.1/game/{played.games[0]}/feed/live"}
    store = Ingestor.store

    def cut(self: Ingestor, fetched: object) -> object:
        """Hand over an error page instead of the answer."""
        path = fetched.request.path  # type: ignore[attr-defined]
        if path in broken:
            fetched = dataclasses.replace(fetched, body=b"<html><title>Oops</title></html>")  # type: ignore[type-var]
        return store(self, fetched)  # type: ignore[arg-type]

    monkeypatch.setattr(Ingestor, "store", cut)
    with dg.DagsterInstance.ephemeral() as instance:
        assert not played.run(CHANGES_JOB, instance).success
        assert marks.get(NAME) == before
        assert played.look(cursor)[0] == []
        broken.clear()
        assert played.run(CHANGES_JOB, instance).success
    moved = marks.get(NAME)
    assert before is not None and moved is not None
    assert abs(moved - (played.server.clock.now() - OVERLAP)) < timedelta(seconds=30)
    assert played.look(cursor)[0] == ["2024-07-01"]
    with open_ingestor(platform) as ingestor:
        assert read_changes(ingestor).refetched.changed == []


def cut(monkeypatch: pytest.MonkeyPatch, broken: set[str]) -> list[str]:
    """Let these paths answer with an error page; return the list of the paths that are asked for."""
    fetch, asked = StatsApi.fetch, list[str]()

    def fetch_cut(self: StatsApi, request: ApiRequest, headers: Mapping[str, str] | None = None) -> Fetched:
        asked.append(request.path)
        if request.path not in broken:
            return fetch(self, request, headers)
        return dataclasses.replace(fetch(self, request), body=b"<html>")

    monkeypatch.setattr(StatsApi, "fetch", fetch_cut)
    return asked


def test_an_answer_that_is_no_good_each_time_is_asked_for_ever_more_seldom(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The game's other answers are fetched; its run fails and says what; another game is not held up by its wait."""
    broken = {f"/api/v1/game/{played.games[1]}/boxscore", f"/api/v1/game/{played.games[1]}/linescore"}
    asked = cut(monkeypatch, broken)
    due_at, told = played.ended[1] + timedelta(hours=1), list[timedelta]()
    with dg.DagsterInstance.ephemeral() as instance:
        for minutes in range(0, 22 * 60, 5):
            now = due_at + timedelta(minutes=minutes + 10)
            if played.games[1] not in [d.game_pk for d in due_games(played.platform.raw, FEED, now)]:
                continue
            played.until(now)
            asked.clear()
            result = played.run(RECAPTURE_JOB, instance, **{GAMES_TAG: played.games[1]})
            assert not result.success
            assert f"/api/v1.1/game/{played.games[1]}/feed/live" in asked and broken < set(asked)
            told.append(timedelta(minutes=minutes))
        failure = result.failure_data_for_node("recapture")
        assert failure is not None and failure.error is not None
        assert "boxscore" in failure.error.message and "linescore" in failure.error.message
        assert [t / timedelta(hours=1) for t in told] == pytest.approx([0, 1, 2, 4, 8, 16], rel=0.25)
        played.until(due_at + timedelta(hours=23, minutes=15))  # a day after its end: time for a look of its own
        assert sorted(played.due()) == sorted(played.games)
        broken.clear()
        assert played.run(RECAPTURE_JOB, instance, **{GAMES_TAG: played.games[1]}).success
        assert played.due() == [played.games[0]]


def test_a_feed_that_is_no_good_each_time_is_given_up(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two weeks after the last moment at which it was due; few runs failed until then."""
    cut(monkeypatch, {f"/api/v1.1/game/{played.games[1]}/feed/live"})
    failed = 0
    until = played.ended[1] + max(OFFSETS) + GIVEN_UP_AFTER
    while (now := played.server.clock.now()) < until + timedelta(days=2):
        if played.games[1] in [d.game_pk for d in due_games(played.platform.raw, FEED, now)]:
            assert now < until
            with open_ingestor(played.platform) as ingestor, pytest.raises(RefetchFailed, match="longer each time"):
                refetched(ingestor, [played.games[1]])
            failed += 1
        played.until(now + timedelta(hours=1))
    assert 10 < failed < 25


def test_a_server_that_is_gone_fails_the_look_and_moves_nothing(played: Played) -> None:
    """The run fails in one line; the watermark is where it was."""
    platform = played.platform
    Watermarks(platform.postgres).advance(NAME, JULY_1)
    settings = platform.settings.model_copy(
        update={"api_url": "http://127.0.0.1:9", "api_clock_url": None, "api_attempts": 1}
    )
    gone = dataclasses.replace(played, platform=Platform(settings))
    with dg.DagsterInstance.ephemeral() as instance:
        assert not gone.run(CHANGES_JOB, instance).success
    assert Watermarks(platform.postgres).get(NAME) == JULY_1


class Pages:
    """Answers of `game/changes` for a list of games, in pages of what was asked for; `grow` comes in at the top.

    `total` are the games of which an answer says how many there are: of `all`, of its `page`, or of `none`.
    """

    def __init__(self, games: list[int], *, says: int | None = None, grow: bool = False, total: str = "all") -> None:
        self.games, self.says, self.grow, self.total, self.asked = games, says, grow, total, 0

    def document(self, request: ApiRequest) -> dict[str, object]:
        """Return the page asked for."""
        offset, limit = int(request.params["offset"]), int(request.params["limit"])
        listed = [-1] * self.asked + self.games if self.grow else self.games
        self.asked += 1
        games = [{"gamePk": g} for g in listed[offset : offset + limit]]
        told = {"all": {"totalItems": self.says or len(listed)}, "page": {"totalItems": len(games)}, "none": {}}
        return {**told[self.total], "dates": [{"games": games}] if games else []}


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 199, 200, 250])
@pytest.mark.parametrize("grow", [False, True])
@pytest.mark.parametrize("total", ["all", "page", "none"])
def test_all_pages_of_changes_are_read(count: int, grow: bool, total: str) -> None:
    """Whatever the number, and when a game comes in at the top while pages are read."""
    found = changed_games(Pages(list(range(count)), grow=grow, total=total), JULY_1)  # type: ignore[arg-type]
    assert set(found) - {"-1"} == {str(g) for g in range(count)}


def test_a_list_that_ends_before_its_end_is_no_complete_look() -> None:
    """It says 150 and gives 120."""
    with pytest.raises(Exception, match="120 of 150"):
        changed_games(Pages(list(range(120)), says=150), JULY_1)  # type: ignore[arg-type]


def test_an_api_that_gives_the_same_full_page_for_ever_is_no_complete_look() -> None:
    """It knows no offset: what lies behind the page is not known."""

    class Deaf(Pages):
        def document(self, request: ApiRequest) -> dict[str, object]:
            """Return the first page, whichever was asked for."""
            self.asked += 1
            return {"dates": [{"games": [{"gamePk": g} for g in self.games[:100]]}]}

    deaf = Deaf(list(range(250)))
    with pytest.raises(UnusableAnswer, match="the same page"):
        changed_games(deaf, JULY_1)  # type: ignore[arg-type]
    assert deaf.asked == 2


@pytest.mark.parametrize(
    "answer",
    [
        {"dates": None}, {"dates": {}}, {"dates": [None]}, {"dates": [{"games": None}]}, {"dates": [{"games": {}}]},
        {"dates": [{"games": [None]}]}, {"dates": [{"games": [{"gamePk": "7"}]}]}, {"dates": [], "totalItems": "many"},
    ],
)  # fmt: skip
def test_changes_of_another_shape_are_no_look(answer: dict[str, object]) -> None:
    """Nulls and other things where lists should be: nothing of the answer is used, and that is said."""

    class Odd(Pages):
        def document(self, request: ApiRequest) -> dict[str, object]:
            """Return the odd answer."""
            return answer

    with pytest.raises(UnusableAnswer, match="nothing of this answer is used"):
        changed_games(Odd([]), JULY_1)  # type: ignore[arg-type]


def test_a_game_that_was_resumed_months_later_is_fetched_again_after_its_real_end(
    database: Postgres, tmp_path: Path
) -> None:
    """Its last answer before that was of the night on which it was suspended, of its official date."""
    platform = Platform(Settings(home=tmp_path, database_url=database.url))
    spec = gate_specs(platform.registry.mappings)["game/live_game_v1"]
    ended = datetime(2024, 8, 26, 22, tzinfo=UTC)
    states = {
        datetime(2024, 6, 27, 4, tzinfo=UTC): ("Live", "U", "Suspended: Rain"),
        ended: ("Final", "F", "Final"),
    }
    for at, (abstract, coded, detailed) in states.items():
        status = {"abstractGameState": abstract, "codedGameState": coded, "detailedState": detailed}
        told = {"status": status, "datetime": {"officialDate": "2024-06-26"}}
        feed = {"gamePk": 9001, "gameData": told, "liveData": {"plays": {"allPlays": []}}}
        capture = admit(orjson.dumps(feed), Request("a test", at), spec)
        assert isinstance(capture, RawCapture)
        platform.raw.insert(spec.raw_table, capture)
    assert due_games(platform.raw, spec.raw_table, ended + timedelta(minutes=59)) == []
    for offset in OFFSETS:
        (due,) = due_games(platform.raw, spec.raw_table, ended + offset + timedelta(minutes=1))
        assert (due.game_pk, due.ended_at, due.due_at) == ("9001", ended, ended + offset)
