"""Alerts reach a real receiver once: failed runs, failed checks, stale games; one that fails is asked again."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mlb_platform.dagster_home import open_instance
from mlb_platform.sensors.alerts import look
from mlb_platform.settings import Settings
from resources.alerts import Alert, Alerts
from resources.postgres import Postgres

TABLE = dg.AssetKey(["game", "live_game_plays"])


class Receiver:
    """A webhook on the loopback: keeps what it took; answers with `status`."""

    def __init__(self) -> None:
        self.status, self.taken, self.asked = 200, list[dict[str, Any]](), 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked += 1
                if outer.status < 400:
                    outer.taken.append(body)
                self.send_response(outer.status)
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


def run_failing(instance: dg.DagsterInstance) -> str:
    """Let a run fail; return its id."""
    config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    tags = {"dagster/partition": "2024-07-01"}
    result = failing_job.execute_in_process(instance=instance, raise_on_error=False, run_config=config, tags=tags)
    assert not result.success
    return result.run_id


def test_each_trouble_is_told_once_and_again_when_it_comes_back(
    database: Postgres, instance: dg.DagsterInstance, receiver: Receiver
) -> None:
    """Passing and warning checks are none; a check that failed twice is one, until it passed between."""
    log = logging.getLogger("alerts")
    cursor = look(instance, None, database, receiver.url, log).cursor
    assert receiver.asked == 0
    run_id = run_failing(instance)
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
    run_id = run_failing(instance)
    receiver.status = 503
    cursor = look(instance, None, database, receiver.url, log).cursor
    assert receiver.asked == 1 and "HTTP status 503" in caplog.text
    cursor = look(instance, cursor, database, "http://127.0.0.1:9/", log).cursor
    assert "wait to be delivered" in caplog.text
    receiver.status = 200
    for _ in range(2):
        cursor = look(instance, cursor, database, receiver.url, log).cursor
    assert receiver.keys == [f"run:{run_id}"]


def test_a_stale_game_is_told_until_it_goes_on(
    database: Postgres, instance: dg.DagsterInstance, receiver: Receiver
) -> None:
    """Once for the time it stands still; when it stands still again, once more."""
    log = logging.getLogger("alerts")
    states = ("2024-07-01 20:00+00", "2024-07-01 20:00+00", None, "2024-07-01 21:30+00")
    with database.transaction() as connection:
        connection.execute("CREATE SCHEMA live")
        connection.execute("CREATE TABLE live.games (game_pk bigint PRIMARY KEY, stale_since timestamptz)")
        connection.execute("INSERT INTO live.games VALUES (745001, NULL), (745002, NULL)")
    cursor = None
    for since in states:
        with database.transaction() as connection:
            connection.execute("UPDATE live.games SET stale_since = %s WHERE game_pk = 745001", [since])
        cursor = look(instance, cursor, database, receiver.url, log).cursor
    assert [a["details"]["game_pk"] for a in receiver.taken] == [745001, 745001]
    assert len(Alerts(database).open("stale live game")) == 1


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
