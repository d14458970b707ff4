"""What raw-row sensors read: what changed and little else, so that a tick is short however much is in the raw store."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from benchmarks.sensor_tick import fill
from mlb_platform.assets.partitions import date_partitions
from mlb_platform.platform import Platform
from mlb_platform.sensors import raw_rows
from mlb_platform.sensors.cursor import Cursor, Request
from mlb_platform.sensors.raw_rows import DATES_PER_TICK, tick
from mlb_platform.settings import Settings
from resources.postgres import Postgres
from resources.raw_members import DateClaim
from resources.raw_store import RawCapture

BOX, FEED = "game/boxscore", "game/live_game_v1"
RAW_BOX = "game.boxscore_raw"
GAMES = 5_000


@dg.job
def nothing() -> None:
    """What the runs are of."""


@pytest.fixture
def platform(database: Postgres, tmp_path: Path) -> Platform:
    """The platform on an empty database; no Spark."""
    return Platform(Settings(home=tmp_path, database_url=database.url))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance in memory: no runs are made."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def look(platform: Platform, instance: dg.DagsterInstance, name: str, cursor: str | None) -> dg.SensorResult:
    """Let the sensor of a mapping look once."""
    partitions = date_partitions(platform.settings.first_partition_date)
    log = logging.getLogger("sensor")
    return tick(instance, cursor, platform.registry.get(name), partitions, platform, log)


def read_so_far(postgres: Postgres, *tables: str) -> int:
    """How many rows of tables PostgreSQL has read until now, by its own count."""
    with postgres.transaction() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
    with postgres.transaction() as connection:
        row = connection.execute(
            "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables "
            "WHERE schemaname || '.' || relname = ANY(%s)",
            [list(tables)],
        ).fetchone()
    assert row is not None
    return int(row[0])


def analyze(postgres: Postgres) -> None:
    """Let the planner know the tables, as autovacuum would."""
    with postgres.connect(autocommit=True) as connection:
        connection.execute("ANALYZE")


def tell(platform: Platform, game: str, day: date, minute: int) -> None:
    """Have a feed of a game tell its date."""
    at = datetime(2024, 7, 1, tzinfo=UTC) + timedelta(days=1000, minutes=minute)
    claim = DateClaim("game_pk", game, day, own=True)
    capture = RawCapture(
        game, "game", "live_game_v1", {}, None, 200, at, day, f"{game}:{minute}".ljust(64, "0"), b"{}", claims=(claim,)
    )
    platform.raw.insert("game.live_game_v1", capture)


def dates_of(platform: Platform, game: str) -> list[date | None]:
    """The dates of a game's box scores in the raw store."""
    return [r.partition_date for r in platform.raw.rows(RAW_BOX, entity_keys=[game])]


def test_dating_reads_only_what_changed(platform: Platform) -> None:
    """Ten thousand rows get their dates once; after that nothing is read, and one new word reads its game's rows."""
    fill(platform.postgres, platform.registry.get(BOX), 2 * GAMES)
    analyze(platform.postgres)
    tables = (RAW_BOX, "quality.entity_dates")
    assert platform.raw.redate(RAW_BOX, "game_pk", limit=5_000) == 5_000
    assert platform.raw.redate(RAW_BOX, "game_pk") == 2 * GAMES - 5_000
    platform.raw.redate(RAW_BOX, "game_pk")
    analyze(platform.postgres)
    before = read_so_far(platform.postgres, *tables)
    assert platform.raw.redate(RAW_BOX, "game_pk") == 0
    assert read_so_far(platform.postgres, *tables) - before <= 10
    moved = date(2024, 9, 9)
    tell(platform, "77", moved, 1)
    before = read_so_far(platform.postgres, *tables)
    assert platform.raw.redate(RAW_BOX, "game_pk") == 2
    assert read_so_far(platform.postgres, *tables) - before <= 100
    assert dates_of(platform, "77") == [moved, moved]
    assert moved not in dates_of(platform, "78")


def test_a_word_that_is_committed_late_is_not_missed(platform: Platform) -> None:
    """It was open while others, begun later, were dated: the next look finds it."""
    fill(platform.postgres, platform.registry.get(BOX), 20)
    platform.raw.redate(RAW_BOX, "game_pk")
    late, early = date(2024, 8, 8), date(2024, 8, 9)
    with platform.postgres.connect() as open_one:
        open_one.execute(
            "UPDATE quality.entity_dates SET day = %s, changed_xid = pg_current_xact_id() "
            "WHERE entity_key = '3' AND own",
            [late],
        )
        tell(platform, "4", early, 1)
        assert platform.raw.redate(RAW_BOX, "game_pk") == 2
        platform.raw.redate(RAW_BOX, "game_pk")
    assert platform.raw.redate(RAW_BOX, "game_pk") == 2
    assert dates_of(platform, "3") == [late, late]
    assert dates_of(platform, "4") == [early, early]


def test_a_row_that_comes_after_the_word_gets_its_date(platform: Platform) -> None:
    """The schedule was first, the box score later: nothing is told anew, but the row is new."""
    fill(platform.postgres, platform.registry.get(BOX), 20)
    platform.raw.redate(RAW_BOX, "game_pk")
    (day, _) = dates_of(platform, "5")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    platform.raw.insert(RAW_BOX, RawCapture("5", "game", "boxscore", {}, None, 200, at, None, "f" * 64, b"{}"))
    assert platform.raw.redate(RAW_BOX, "game_pk") == 1
    assert dates_of(platform, "5") == [day] * 3


def test_a_dump_restored_elsewhere_is_dated_anew(platform: Platform) -> None:
    """How far dating has come is a number of this cluster's transactions: another cluster's says nothing."""
    fill(platform.postgres, platform.registry.get(BOX), 20)
    platform.raw.redate(RAW_BOX, "game_pk")
    with platform.postgres.transaction() as connection:
        connection.execute("UPDATE quality.redated SET cluster = 'another'")
        connection.execute("UPDATE game.boxscore_raw SET partition_date = NULL WHERE entity_key = '5'")
    assert platform.raw.redate(RAW_BOX, "game_pk") == 2


@pytest.mark.parametrize("name", [FEED, BOX, "schedule/schedule"])
def test_a_first_look_goes_page_by_page_and_leaves_nothing_out(
    platform: Platform, instance: dg.DagsterInstance, name: str
) -> None:
    """No tick asks for many dates more than its limit; together they ask for exactly the dates there are."""
    mapping = platform.registry.get(name)
    fill(platform.postgres, mapping, 2_000, dates=500)
    analyze(platform.postgres)
    cursor, asked = None, list[set[str]]()
    for _ in range(60):
        result = look(platform, instance, name, cursor)
        asked.append({r.partition_key or "" for r in result.run_requests or []})
        raw = Cursor.parse(result.cursor).raw
        if cursor is not None and raw == Cursor.parse(cursor).raw:
            break
        cursor = Cursor(raw).text()  # its runs have succeeded
    assert max(map(len, asked)) < 3 * DATES_PER_TICK
    assert len([a for a in asked if a]) > 1
    first = date(2008, 3, 1)
    assert set().union(*asked) == {(first + timedelta(days=n)).isoformat() for n in range(500)}


def test_nothing_more_is_asked_for_while_too_much_waits(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are not lost: the cursor stays before them until runs have ended."""
    monkeypatch.setattr(raw_rows, "OUTSTANDING", 2)
    fill(platform.postgres, platform.registry.get(FEED), 10)
    waiting = {r.key: r for r in (Request(FEED, date(2024, 7, n), n, 1) for n in (1, 2))}
    gone = look(platform, instance, FEED, Cursor(None, waiting).text())
    assert sorted(r.run_key or "" for r in gone.run_requests or []) == sorted(waiting)  # and nothing of the rows
    for key in waiting:
        instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED, tags={raw_rows.RUN_KEY_TAG: key})
    result = look(platform, instance, FEED, Cursor(None, waiting).text())
    assert not result.run_requests and result.skip_reason is not None
    assert "wait for their runs" in (result.skip_reason.skip_message or "")
    assert Cursor.parse(result.cursor) == Cursor(None, waiting)
    after = look(platform, instance, FEED, Cursor(None, {}).text())
    assert len(after.run_requests or []) == 5
