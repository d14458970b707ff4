"""What raw-row sensors request when dates go and come back, when cursors are reset, when runs fail, and days ahead."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from mlb_platform.assets.partitions import TIMEZONE, date_partitions
from mlb_platform.definitions import build_definitions
from mlb_platform.platform import Platform
from mlb_platform.sensors import raw_rows
from mlb_platform.sensors.cursor import Cursor
from mlb_platform.sensors.raw_rows import RUN_KEY_TAG, sensor_name, tick
from mlb_platform.settings import Settings
from resources.postgres import Postgres
from resources.raw_members import DateClaim
from resources.raw_store import RawCapture

BOX, FEED = "game/boxscore", "game/live_game_v1"
JULY_1, JULY_2 = date(2024, 7, 1), date(2024, 7, 2)
SUCCESS, FAILURE, STARTED = DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.STARTED


@dg.job
def nothing() -> None:
    """What the runs are of: only their keys and how they end matter."""


class Sensor:
    """The sensor of one mapping and the daemon around it: it looks from cursor to cursor, and its runs are made."""

    def __init__(self, platform: Platform, instance: dg.DagsterInstance, name: str) -> None:
        self.platform, self.instance, self.mapping = platform, instance, platform.registry.get(name)
        self.partitions: dg.DailyPartitionsDefinition = date_partitions(platform.settings.first_partition_date)
        self.cursor: str | None = None
        self.keys: list[str] = []

    def evaluate(self) -> dg.SensorResult:
        """Let it look, and forget that it did."""
        log = logging.getLogger("sensor")
        return tick(self.instance, self.cursor, self.mapping, self.partitions, self.platform, log)

    def look(self, status: DagsterRunStatus = SUCCESS) -> list[str]:
        """Let it look once; return the dates of the runs made: as Dagster does, of no key that a run has already."""
        result, made = self.evaluate(), list[str]()
        self.cursor, self.keys = result.cursor, [r.run_key or "" for r in result.run_requests or []]
        for request in result.run_requests or []:
            tags = {RUN_KEY_TAG: request.run_key or ""}
            if not self.instance.get_runs(dg.RunsFilter(tags=tags)):
                self.instance.create_run_for_job(nothing, status=status, tags=tags)
                made.append(request.partition_key or "")
        return made


@pytest.fixture
def platform(database: Postgres, tmp_path: Path) -> Platform:
    """The platform on an empty database; no Spark."""
    return Platform(Settings(home=tmp_path, database_url=database.url))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance in memory."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def feed(platform: Platform, game: str, day: date, minute: int = 0) -> None:
    """Store a feed that tells a game's date."""
    claim = DateClaim("game_pk", game, day, own=True)
    platform.raw.insert("game.live_game_v1", _capture("live_game_v1", game, day, minute, (claim,)))


def box(platform: Platform, game: str, minute: int = 0) -> None:
    """Store a box score, which does not tell its date."""
    platform.raw.insert("game.boxscore_raw", _capture("boxscore", game, None, minute))


def _capture(method: str, game: str, day: date | None, minute: int, claims: tuple[DateClaim, ...] = ()) -> RawCapture:
    at = datetime(2024, 7, 1, tzinfo=UTC) + timedelta(minutes=minute)
    content = f"{game}:{minute}".ljust(64, "0")
    return RawCapture(game, "game", method, {}, None, 200, at, day, content, b"{}", claims=claims)


def today() -> date:
    """The day that it is where partitions change over."""
    return datetime.now(ZoneInfo(TIMEZONE)).date()


def partitions_until(day: date) -> dg.DailyPartitionsDefinition:
    """The partitions as they are when `day` is the last of them."""
    ahead = (day - today()).days + 1
    return dg.DailyPartitionsDefinition("2008-03-01", timezone=TIMEZONE, end_offset=ahead)


def test_a_date_that_goes_and_comes_back_is_run_again(platform: Platform, instance: dg.DagsterInstance) -> None:
    """The feed tells July 1st, the 2nd, and the 1st again: each time the box score's date is run."""
    sensor = Sensor(platform, instance, BOX)
    box(platform, "1")
    for minute, day in enumerate((JULY_1, JULY_2, JULY_1, JULY_2)):
        feed(platform, "1", day, minute)
        assert sensor.look() == [day.isoformat()]
        assert sensor.look() == []
    assert not Cursor.parse(sensor.cursor).requests


def test_a_cursor_that_is_reset_has_everything_run_again(platform: Platform, instance: dg.DagsterInstance) -> None:
    """Emptied in the UI, as often as one likes: every date again, though the rows are those of the runs before."""
    sensor = Sensor(platform, instance, FEED)
    feed(platform, "1", JULY_1)
    feed(platform, "2", JULY_2)
    for reset in (None, None, "", "{}"):
        sensor.cursor = reset
        assert sensor.look() == ["2024-07-01", "2024-07-02"]
        assert sensor.look() == []


def test_the_same_tick_evaluated_again_has_the_same_keys(platform: Platform, instance: dg.DagsterInstance) -> None:
    """The daemon ended before it kept the cursor, and evaluates anew: no run is made twice, the first time neither."""
    sensor = Sensor(platform, instance, FEED)
    feed(platform, "1", JULY_1)
    repository = build_definitions(platform.settings, platform).get_repository_def()
    made = repository.get_sensor_def(sensor_name(sensor.mapping))

    def keys(ended: float) -> list[str | None]:
        with dg.SensorEvaluationContext(
            None, instance=instance, repository_def=repository, last_tick_completion_time=ended
        ) as context:
            return [r.run_key for r in made.evaluate_tick(context).run_requests or []]

    assert len({*keys(1_700_000_000.25), *keys(1_700_000_000.25)}) == 1
    assert keys(1_700_000_000.25) != keys(1_700_000_015.5)
    assert sensor.look() == ["2024-07-01"]
    feed(platform, "2", JULY_2)
    again = sensor.evaluate().run_requests or []
    assert sensor.look() == ["2024-07-02"]
    assert sensor.keys == [r.run_key for r in again]


def test_a_failed_run_is_not_forgotten_for_one_that_began_before_its_row(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    """The first box score gets its date when the second's run is under way: it has the lower id, and its run fails."""
    sensor = Sensor(platform, instance, BOX)
    box(platform, "1")
    box(platform, "2")
    feed(platform, "2", JULY_1)
    assert sensor.look(STARTED) == ["2024-07-01"]
    feed(platform, "1", JULY_1)
    assert sensor.look(FAILURE) == ["2024-07-01"]
    assert sensor.look(FAILURE) == ["2024-07-01"]
    assert [key.rsplit(":", 1)[1] for key in sensor.keys] == ["2"]


def test_a_failed_run_is_forgotten_for_one_that_was_requested_after_it(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    """That one reads the failed one's rows too."""
    sensor = Sensor(platform, instance, FEED)
    feed(platform, "1", JULY_1, 1)
    assert sensor.look(STARTED) == ["2024-07-01"]
    feed(platform, "1", JULY_1, 2)
    assert sensor.look(STARTED) == ["2024-07-01"]
    (second, first) = instance.get_runs()
    instance.report_run_failed(first)
    assert sensor.look() == []
    assert list(Cursor.parse(sensor.cursor).requests) == [second.tags[RUN_KEY_TAG]]


def test_a_request_whose_run_is_gone_is_made_again(platform: Platform, instance: dg.DagsterInstance) -> None:
    """Deleted before it was done, or never made since the sensor was turned off: nothing else would bring its rows."""
    sensor = Sensor(platform, instance, FEED)
    feed(platform, "1", JULY_1)
    feed(platform, "2", JULY_2)
    assert sensor.look(STARTED) == ["2024-07-01", "2024-07-02"]
    wanted, gone = sensor.keys, instance.get_runs()[0]
    instance.delete_run(gone.run_id)
    assert sensor.look(STARTED) == ["2024-07-02"]
    assert sensor.keys == wanted[1:]
    assert sensor.look() == []
    for run in instance.get_runs():
        instance.delete_run(run.run_id)
    feed(platform, "2", JULY_2, 1)
    assert sensor.look() == ["2024-07-01", "2024-07-02"]
    assert sensor.keys[0] == wanted[0] and sensor.keys[1] not in wanted
    assert sensor.look() == [] and not Cursor.parse(sensor.cursor).requests


def test_a_failed_request_of_what_is_no_partition_any_more_is_dropped(
    platform: Platform, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    """A request of a date that Dagster does not know would fail the whole tick, and each one after it."""
    sensor = Sensor(platform, instance, FEED)
    feed(platform, "1", JULY_1)
    feed(platform, "2", JULY_2)
    assert sensor.look(FAILURE) == ["2024-07-01", "2024-07-02"]
    sensor.partitions = date_partitions(JULY_2)
    assert sensor.look() == ["2024-07-02"]
    assert "no partition any more" in caplog.text and "2024-07-01" in caplog.text
    assert sensor.look() == [] and not Cursor.parse(sensor.cursor).requests


def test_a_day_ahead_is_run_once_it_is_a_partition(
    platform: Platform, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, in that tick, also where nothing else is new; one before the first partition never."""
    sensor = Sensor(platform, instance, FEED)
    far, farther = today() + timedelta(days=20), today() + timedelta(days=21)
    for n, day in enumerate((JULY_1, far, farther, date(1999, 4, 1))):
        feed(platform, str(n), day)
    assert sensor.look() == ["2024-07-01"]
    caplog.clear()
    assert sensor.look() == []
    feed(platform, "1", far, 2)
    assert sensor.look() == [] and not caplog.records  # told already
    sensor.partitions = partitions_until(far)
    assert sensor.look() == [far.isoformat()]
    assert sensor.look() == []
    sensor.partitions = partitions_until(farther + timedelta(days=9))
    feed(platform, "2", farther, 3)
    assert sensor.look() == [farther.isoformat()]
    assert sensor.look() == [] and not Cursor.parse(sensor.cursor).ahead


def test_of_many_days_ahead_the_nearest_are_kept(
    platform: Platform,
    instance: dg.DagsterInstance,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cursor does not grow without end; what it does not keep is told."""
    monkeypatch.setattr(raw_rows, "KEPT_AHEAD", 2)
    sensor = Sensor(platform, instance, FEED)
    days = [today() + timedelta(days=n) for n in (20, 21, 22, 23)]
    for n in (3, 1, 2, 0):
        feed(platform, str(n), days[n])
        assert sensor.look() == []
    assert sorted(Cursor.parse(sensor.cursor).ahead) == days[:2]
    told = " ".join(r.getMessage() for r in caplog.records)
    assert [f"not requested: {day} (" in told for day in days] == [False, False, True, True]
    sensor.partitions = partitions_until(days[3])
    assert sensor.look() == [day.isoformat() for day in days[:2]]


def test_a_cursor_of_an_earlier_version_goes_on(platform: Platform, instance: dg.DagsterInstance) -> None:
    """Its requests are found by the keys their runs have: one that failed is made again, one under way is waited for.

    One that has no run is made again under its old key.

    Of two of one date whose order it does not tell, one that is under way is no reason to forget one that failed.
    """
    sensor = Sensor(platform, instance, FEED)
    feed(platform, "1", JULY_1)
    raw = Cursor.parse(sensor.evaluate().cursor).raw
    ended = {f"{FEED}:2024-07-01:90:1": FAILURE, f"{FEED}:2024-07-01:100:1": STARTED, f"{FEED}:2024-07-02:7:2": SUCCESS}
    for key, status in ended.items():
        instance.create_run_for_job(nothing, status=status, tags={RUN_KEY_TAG: key})
    sensor.cursor = json.dumps({"raw": raw, "requests": [*ended, f"{FEED}:2024-07-03:8:1"]})
    assert sensor.look() == ["2024-07-01", "2024-07-03"]
    assert sensor.keys == [f"{FEED}:2024-07-01:90:2", f"{FEED}:2024-07-03:8:1"]
    waiting = {f"{FEED}:2024-07-01:100:1", f"{FEED}:2024-07-03:8:1", f"{FEED}:2024-07-01:90:2"}
    assert set(Cursor.parse(sensor.cursor).requests) == waiting
