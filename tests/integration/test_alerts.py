"""Alerts reach a real receiver once: failed runs, failed checks, stale games; one that fails is asked again."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from py4j.protocol import Py4JNetworkError

from mlb_platform.dagster_home import open_instance
from mlb_platform.live.games_table import LiveGame, LiveGames
from mlb_platform.sensors.alerts import Seen, look
from mlb_platform.settings import Settings
from resources.alerts import PER_DELIVERY, Alert, Alerts
from resources.postgres import Postgres

TABLE = dg.AssetKey(["game", "live_game_plays"])
STANDS = datetime(2024, 7, 1, 20, tzinfo=UTC)


class Receiver:
    """A webhook on the loopback: keeps what it took; answers with `status`, and with 413 to the keys of `refused`."""

    def __init__(self) -> None:
        self.status, self.taken, self.asked = 200, list[dict[str, Any]](), 0
        self.refused = set[str]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked += 1
                status = 413 if body["key"] in outer.refused else outer.status
                if status < 400:
                    outer.taken.append(body)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/alerts"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def keys(self) -> list[str]:
        """The keys of the alerts taken, in order."""
        return [str(a["key"]) for a in self.taken]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes everything."""
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def instance(database: Postgres, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """The platform's instance, stored in PostgreSQL."""
    with open_instance(Settings(home=tmp_path, database_url=database.url), database) as opened:
        yield opened


@dg.op(name="merge")
def failing() -> None:
    """Fail as a run does."""
    raise ValueError("the lake is\nnot there")


@dg.job(name="materialize_game_live_game_v1")
def failing_job() -> None:
    """A job that fails."""
    failing()


@dg.op(name="merge")
def working() -> None:
    """Do nothing."""


@dg.job(name="materialize_game_live_game_v1")
def working_job() -> None:
    """The same job when it works."""
    working()


@dg.op(name="merge")
def unreadable() -> None:
    """Fail as a parser does that quotes what it read."""
    raise ValueError("bad \x00 byte in the answer")


@dg.op(name="merge")
def spark_killed() -> None:
    """Fail as where Spark's Java process was killed: what is raised in the end says nothing of it."""
    try:
        raise Py4JNetworkError("Answer from Java side is empty")
    except Py4JNetworkError:
        raise ConnectionRefusedError(111, "Connection refused")  # noqa: B904 - so it comes


@dg.job
def spark_killed_job() -> None:
    """A job that lost Spark."""
    spark_killed()


@dg.job
def unreadable_job() -> None:
    """A job whose error PostgreSQL cannot keep as it is."""
    unreadable()


def verdict(passed: bool, day: str = "2024-07-01", severity: str = "ERROR") -> dg.AssetCheckEvaluation:
    """A verdict of a check."""
    return dg.AssetCheckEvaluation(
        asset_key=TABLE, check_name="error_rules", passed=passed, partition=day, description="held back: 745001",
        severity=dg.AssetCheckSeverity[severity],
    )  # fmt: skip


def report(instance: dg.DagsterInstance, database: Postgres, one: dg.AssetCheckEvaluation) -> None:
    """Report a verdict; Dagster takes one a check and partition from outside runs, so a former makes room."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM dagster.asset_check_executions WHERE run_id = ''")
    instance.report_runless_asset_event(one)


def run(instance: dg.DagsterInstance, job: dg.JobDefinition = failing_job, **tags: str) -> str:
    """Run a job for a date, or with these tags; return the run's id."""
    config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    found = tags or {"dagster/partition": "2024-07-01"}
    return job.execute_in_process(instance=instance, raise_on_error=False, run_config=config, tags=found).run_id


def test_each_trouble_is_told_once_and_again_when_it_comes_back(
    database: Postgres, instance: dg.DagsterInstance, receiver: Receiver
) -> None:
    """Passing and warning checks are none; a check that failed twice is one, until it passed between."""
    log = logging.getLogger("alerts")
    cursor = look(instance, None, database, receiver.url, log).cursor
    assert receiver.asked == 0
    run_id = run(instance)
    for one in (verdict(False), verdict(False), verdict(True, "2024-07-02"), verdict(False, "2024-07-03", "WARN")):
        report(instance, database, one)
    check = "check:game.live_game_plays:error_rules:2024-07-01"
    cursor = look(instance, cursor, database, receiver.url, log).cursor
    assert sorted(receiver.keys) == [check, f"run:{run_id}"]
    texts = {a["kind"]: a["text"] for a in receiver.taken}
    assert texts["failed run"] == "materialize_game_live_game_v1 2024-07-01 failed: ValueError: the lake is not there"
    assert texts["failed check"] == "error_rules of game.live_game_plays, 2024-07-01: held back: 745001"
    report(instance, database, verdict(False))
    cursor = look(instance, cursor, database, receiver.url, log).cursor
    cursor = look(instance, None, database, receiver.url, log).cursor  # a cursor that was reset
    assert len(receiver.taken) == 2
    report(instance, database, verdict(True))
    report(instance, database, verdict(False))
    look(instance, cursor, database, receiver.url, log)
    assert receiver.keys[2:] == [check]


def test_a_receiver_that_fails_breaks_nothing_and_is_asked_again(
    database: Postgres, instance: dg.DagsterInstance, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """HTTP 503, then nobody there: logged, kept; delivered once when it is back."""
    log = logging.getLogger("alerts")
    run_id = run(instance)
    receiver.status = 503
    cursor = look(instance, None, database, receiver.url, log).cursor
    assert receiver.asked == 1 and "HTTP status 503" in caplog.text
    cursor = look(instance, cursor, database, "http://127.0.0.1:9/", log).cursor
    assert "wait to be delivered" in caplog.text
    receiver.status = 200
    for _ in range(2):
        cursor = look(instance, cursor, database, receiver.url, log).cursor
    assert receiver.keys == [f"run:{run_id}"]


def stands(database: Postgres, since: datetime | None, phase: str = "following") -> None:
    """Let the follower write how two games go; the feed of the first stands still."""
    day = date(2024, 7, 1)
    LiveGames(database).save(
        [
            LiveGame("745001", day, phase, "In Progress", stale_since=since),
            LiveGame("745002", day, "following", "In Progress"),
        ]
    )


def test_a_stale_game_is_told_until_it_goes_on(
    database: Postgres, instance: dg.DagsterInstance, receiver: Receiver
) -> None:
    """Once for the time it stands still; when it stands still again, once more."""
    log = logging.getLogger("alerts")
    cursor = look(instance, None, database, receiver.url, log).cursor  # before there is a table
    for since in (STANDS, STANDS, None, STANDS + timedelta(minutes=90)):
        stands(database, since)
        cursor = look(instance, cursor, database, receiver.url, log).cursor
    assert [a["details"]["game_pk"] for a in receiver.taken] == ["745001", "745001"]
    assert len(Alerts(database).open("stale live game")) == 1


def test_a_game_that_nobody_follows_any_more_is_not_stale(
    database: Postgres, instance: dg.DagsterInstance, receiver: Receiver
) -> None:
    """When the follower stopped, or the game is over, what it wrote last is no trouble for ever."""
    log, cursor = logging.getLogger("alerts"), None
    for phase, age, expected in (("following", 0, 1), ("over", 0, 0), ("following", 0, 1), ("following", 10, 0)):
        stands(database, STANDS, phase)
        with database.transaction() as connection:
            connection.execute("UPDATE live.games SET updated_at = updated_at - %s * interval '1 minute'", [age])
        cursor = look(instance, cursor, database, receiver.url, log).cursor
        assert len(Alerts(database).open("stale live game")) == expected, (phase, age)


def test_a_failed_run_is_over_when_its_job_and_date_succeeded(
    database: Postgres, instance: dg.DagsterInstance, receiver: Receiver
) -> None:
    """Later, of the same date, and with all tables; alerts as they were kept before are found; none comes back."""
    log, alerts = logging.getLogger("alerts"), Alerts(database)
    cursor = look(instance, None, database, receiver.url, log).cursor
    run(instance, working_job)  # before it failed: says nothing
    first = run(instance)
    details = {"run_id": "x", "job": "materialize_game_live_game_v1", "of": "2024-07-01", "attempt": "1"}
    alerts.raise_([Alert("run:x", "failed run", "as it was kept before", details)])
    other = run(instance, dates="2024-07-02")
    both = sorted([f"run:{first}", "run:x", f"run:{other}"])
    for _ in range(2):
        cursor = look(instance, cursor, database, receiver.url, log).cursor
        assert sorted(alerts.open("failed run")) == both
    run(instance, working_job, **{"dagster/partition": "2024-07-01", "tables": "game.live_game_plays"})
    cursor = look(instance, cursor, database, receiver.url, log).cursor
    assert sorted(alerts.open("failed run")) == both
    run(instance, working_job)
    for _ in range(3):
        cursor = look(instance, cursor, database, receiver.url, log).cursor
        assert list(alerts.open("failed run")) == [f"run:{other}"]
    look(instance, None, database, receiver.url, log)  # a cursor that was reset
    assert list(alerts.open("failed run")) == [f"run:{other}"]
    assert len(receiver.taken) == 3


def test_a_run_that_lost_spark_is_told_as_that(
    database: Postgres, instance: dg.DagsterInstance, receiver: Receiver
) -> None:
    """Not as a connection that somebody refused."""
    run(instance, spark_killed_job)
    look(instance, None, database, receiver.url, logging.getLogger("alerts"))
    (told,) = receiver.taken
    assert told["text"].startswith("spark_killed_job 2024-07-01 failed: Spark's Java process is gone")


def test_a_failed_range_is_not_over_when_another_range_succeeded(
    database: Postgres, instance: dg.DagsterInstance, receiver: Receiver
) -> None:
    """The runs of one backfill have the same job and tables, and each dates of its own."""
    log, alerts = logging.getLogger("alerts"), Alerts(database)
    cursor = look(instance, None, database, receiver.url, log).cursor
    start, end = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
    july, august = ({start: f"2024-{month}-01", end: f"2024-{month}-30"} for month in ("07", "08"))
    failed = run(instance, failing_job, **july)
    run(instance, working_job, **august)
    cursor = look(instance, cursor, database, receiver.url, log).cursor
    assert list(alerts.open("failed run")) == [f"run:{failed}"]
    assert receiver.taken[0]["text"].startswith("materialize_game_live_game_v1 2024-07-01 to 2024-07-30 failed: ")
    run(instance, working_job, **july)
    look(instance, cursor, database, receiver.url, log)
    assert not alerts.open("failed run")


def test_what_is_committed_late_is_told_and_opens_nothing_that_passed_since(
    database: Postgres, instance: dg.DagsterInstance, receiver: Receiver
) -> None:
    """Rows get their numbers before they are committed: those that come later are read all the same, once."""
    log, alerts = logging.getLogger("alerts"), Alerts(database)
    cursor = look(instance, None, database, receiver.url, log).cursor
    late = run(instance)
    for day in ("2024-07-01", "2024-07-02"):
        report(instance, database, verdict(False, day))
    with database.transaction() as connection:
        checks = "FROM dagster.event_logs WHERE dagster_event_type = 'ASSET_CHECK_EVALUATION'"
        connection.execute(f"CREATE TABLE late AS SELECT * {checks}".encode())
        connection.execute(f"DELETE {checks}".encode())
        connection.execute("UPDATE dagster.runs SET status = 'STARTED'")
    early = run(instance)
    report(instance, database, verdict(True, "2024-07-02"))
    report(instance, database, verdict(False, "2024-07-03"))
    cursor = look(instance, cursor, database, receiver.url, log).cursor
    check = "check:game.live_game_plays:error_rules:{}".format
    assert sorted(receiver.keys) == [check("2024-07-03"), f"run:{early}"]
    with database.transaction() as connection:
        connection.execute("INSERT INTO dagster.event_logs SELECT * FROM late")
        connection.execute("UPDATE dagster.runs SET status = 'FAILURE'")
    for _ in range(3):
        cursor = look(instance, cursor, database, receiver.url, log).cursor
        assert sorted(alerts.open("failed check")) == [check("2024-07-01"), check("2024-07-03")]
    assert sorted(alerts.open("failed run")) == sorted([f"run:{early}", f"run:{late}"])
    report(instance, database, verdict(True, "2024-07-03"))
    for _ in range(3):
        cursor = look(instance, cursor, database, receiver.url, log).cursor
        assert list(alerts.open("failed check")) == [check("2024-07-01")]
    assert len(receiver.taken) == len(set(receiver.keys)) == 5


def test_what_passed_long_ago_is_not_read_for_ever(
    database: Postgres, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The overlap is of minutes; a burst is read in parts, and all of it."""
    monkeypatch.setattr("mlb_platform.sensors.alerts.EVENTS_PER_TICK", 2)
    log = logging.getLogger("alerts")
    for day in range(1, 8):
        report(instance, database, verdict(day == 7, f"2024-07-{day:02}"))
    with database.transaction() as connection:
        newest = connection.execute("SELECT max(id) FROM dagster.event_logs").fetchone()
    cursor = look(instance, None, database, None, log).cursor
    for _ in range(3):
        cursor = look(instance, cursor, database, None, log).cursor
    assert len(Alerts(database).open("failed check")) == 6
    seen = Seen.parse(cursor)
    assert newest is not None and (seen.settled, seen.events) == (None, newest[0])
    monkeypatch.setattr("mlb_platform.sensors.alerts.OVERLAP", timedelta())
    seen = Seen.parse(look(instance, cursor, database, None, log).cursor)
    assert (seen.settled, seen.events) == (newest[0], newest[0])
    assert Seen.parse(f'{{"runs": 1.5, "events": {newest[0]}}}') == Seen(1.5, newest[0], newest[0])  # as it was before


def test_an_error_that_postgres_cannot_keep_is_told_legibly(
    database: Postgres, instance: dg.DagsterInstance, receiver: Receiver
) -> None:
    """NUL and half a surrogate pair, anywhere in an alert, become U+FFFD, and stop nothing."""
    log = logging.getLogger("alerts")
    cursor = look(instance, None, database, receiver.url, log).cursor
    run(instance, unreadable_job)
    run(instance)
    look(instance, cursor, database, receiver.url, log)
    texts = sorted(a["text"] for a in receiver.taken)
    assert len(texts) == 2 and texts[1].endswith("failed: ValueError: bad \ufffd byte in the answer")
    alerts = Alerts(database)
    alerts.raise_([Alert("k\x00\n\xe9", "te\x00st", "\ud800", {"a\x00": ["\udfff", {"b": "\x00"}], "n": 1})])
    assert alerts.deliver(receiver.url) == (1, 0)
    told = {name: receiver.taken[-1][name] for name in ("key", "kind", "text", "details")}
    assert told == {
        "key": "k\ufffd\n\xe9", "kind": "te\ufffdst", "text": "\ufffd",
        "details": {"a\ufffd": ["\ufffd", {"b": "\ufffd"}], "n": 1},
    }  # fmt: skip
    alerts.resolve(["k\x00\n\xe9"])
    assert not alerts.open("te\x00st")


def test_an_alert_that_is_refused_holds_up_no_other(
    database: Postgres, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even a whole turn of them; it stays, says why, and is sent again after the others."""
    alerts = Alerts(database)
    receiver.refused = {f"big{n:02}" for n in range(PER_DELIVERY + 5)}
    alerts.raise_(Alert(key, "test", "text") for key in sorted(receiver.refused))
    alerts.raise_(Alert(f"k{n}", "test", "text") for n in range(3))
    assert alerts.deliver(receiver.url) == (0, PER_DELIVERY + 8)
    assert alerts.deliver(receiver.url) == (3, PER_DELIVERY + 5)
    assert receiver.keys == ["k0", "k1", "k2"] and receiver.asked == 2 * PER_DELIVERY
    assert "alert big00 was refused: HTTP status 413; it is sent again after the others" in caplog.text
    with database.transaction() as connection:
        query = (
            "SELECT DISTINCT last_error, attempts BETWEEN 1 AND 2, delivered_at FROM quality.alerts WHERE key ~ 'big'"
        )
        assert connection.execute(query).fetchall() == [("HTTP status 413", True, None)]
    receiver.refused = set()
    assert [alerts.deliver(receiver.url) for _ in range(2)] == [(20, 5), (5, 0)]


@pytest.mark.parametrize("status", [302, 408, 429, 500])
def test_a_receiver_that_takes_nothing_now_is_left_alone_until_the_next_turn(
    database: Postgres, receiver: Receiver, status: int
) -> None:
    """One request a turn; and the next turn begins with another alert."""
    alerts, receiver.status = Alerts(database), status
    alerts.raise_(Alert(f"k{n}", "test", "text") for n in range(3))
    for turn in (1, 2, 3):
        assert alerts.deliver(receiver.url) == (0, 3) and receiver.asked == turn
    with database.transaction() as connection:
        assert connection.execute("SELECT DISTINCT attempts FROM quality.alerts").fetchall() == [(1,)]


def test_two_deliverers_at_once_send_each_alert_once(database: Postgres, receiver: Receiver) -> None:
    """Twenty alerts, four threads."""
    alerts = Alerts(database)
    assert alerts.raise_(Alert(f"k{n}", "test", f"text {n}") for n in range(20)) == 20
    threads = [threading.Thread(target=Alerts(database).deliver, args=(receiver.url,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receiver.keys) == sorted(f"k{n}" for n in range(20))


def test_without_a_webhook_alerts_go_to_the_log(database: Postgres, caplog: pytest.LogCaptureFixture) -> None:
    """And count as told."""
    alerts = Alerts(database)
    alerts.raise_([Alert("k", "test", "the text")])
    assert alerts.deliver(None) == (1, 0)
    assert "the text" in caplog.text
    assert alerts.deliver(None) == (0, 0)
