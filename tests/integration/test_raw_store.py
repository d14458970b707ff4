"""The raw store and the database below it: repeats, polls, cursors, locks, and one clear line for each failure."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from resources.postgres import DatabaseError, Postgres, lock_key, open_postgres
from resources.quality_store import CastFailure, CheckResult, QualityStore, QuarantineRecord
from resources.raw_members import DateClaim, Member
from resources.raw_store import InsertOutcome, RawCapture, RawStore, RawStoreError, Rejection

TABLE = "game.live_game_v1"
T0 = datetime(2024, 7, 13, 4, 0, tzinfo=UTC)
STORED, REPEAT, SEEN = InsertOutcome.STORED, InsertOutcome.REPEAT, InsertOutcome.SEEN


def capture(entity: str = "1", minute: int = 0, body: str = '{"n":1}', **changes: object) -> RawCapture:
    made = RawCapture(
        entity_key=entity,
        endpoint="game",
        method="live_game_v1",
        params={"id": entity},
        url=None,
        status_code=200,
        captured_at=T0 + timedelta(minutes=minute),
        partition_date=date(2024, 7, 12),
        content_hash=hashlib.sha256(body.encode()).hexdigest(),
        data=body.encode(),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def store(database: Postgres) -> RawStore:
    return RawStore(database)


def test_an_exact_repeat_is_not_stored_again(store: RawStore) -> None:
    assert store.insert(TABLE, capture()) is STORED
    assert store.insert(TABLE, capture()) is REPEAT
    same_in_one_transaction = store.insert_many(TABLE, [capture("2"), capture("2"), capture()])
    assert same_in_one_transaction == [STORED, REPEAT, REPEAT]
    others = [capture(minute=1), capture(body='{"n":2}'), capture(params={"id": "1", "hydrate": "x"})]
    assert store.insert_many(TABLE, others) == [STORED] * 3
    assert len(store.rows(TABLE)) == 5


def test_a_poll_of_the_same_content_moves_last_seen_only(store: RawStore) -> None:
    assert store.insert(TABLE, capture(minute=0), poll=True) is STORED
    assert store.insert(TABLE, capture(minute=5), poll=True) is SEEN
    assert store.insert(TABLE, capture(minute=3), poll=True) is SEEN  # a late answer never moves it back
    (row,) = store.rows(TABLE)
    assert (row.captured_at, row.observed_at) == (T0, T0 + timedelta(minutes=5))


def test_a_poll_stores_what_changed_what_came_back_and_what_is_older(store: RawStore) -> None:
    a, b = '{"n":1}', '{"n":2}'
    polls = [capture(minute=1, body=a), capture(minute=2, body=b), capture(minute=3, body=a), capture(minute=0, body=a)]
    assert [store.insert(TABLE, poll, poll=True) for poll in polls] == [STORED] * 4
    assert [row.observed_at.minute for row in store.rows(TABLE)] == [0, 1, 2, 3]


def test_the_newest_has_the_greatest_observed_at_then_hash(store: RawStore) -> None:
    store.insert_many(TABLE, [capture(minute=9), capture(minute=2, body='{"n":2}'), capture(minute=9, body='{"n":3}')])
    rows = store.rows(TABLE)
    assert rows[-1] == max(rows, key=lambda row: row.as_of)
    assert rows[-1].observed_at == T0 + timedelta(minutes=9)


def test_rows_by_entity_and_date(store: RawStore) -> None:
    moved = date(2024, 7, 14)
    store.insert_many(TABLE, [capture("1"), capture("2", partition_date=moved), capture("3", partition_date=None)])
    assert [r.entity_key for r in store.rows(TABLE)] == ["1", "2", "3"]
    assert [r.entity_key for r in store.rows(TABLE, entity_keys=["3", "1"])] == ["1", "3"]
    assert [r.entity_key for r in store.rows(TABLE, dates=[moved])] == ["2"]
    assert store.rows(TABLE, dates=[]) == []


def test_the_payload_comes_back(store: RawStore) -> None:
    store.insert(TABLE, capture(body='{"name":"Peña","rate":5.0}'))
    assert store.payload(TABLE, store.rows(TABLE)[0].raw_id) == '{"name": "Peña", "rate": 5.0}'.encode()
    with pytest.raises(RawStoreError, match="no row 99"):
        store.payload(TABLE, 99)


def test_names_and_times_that_cannot_be_right_are_refused(store: RawStore) -> None:
    for name in ("live", "game.live; drop table x", 'game."x"', "Game.x"):
        with pytest.raises(RawStoreError, match="schema.table"):
            store.ensure(name)
    with pytest.raises(RawStoreError, match="time zone"):
        store.insert(TABLE, capture(captured_at=datetime(2024, 1, 1)))


def test_tables_are_made_by_several_at_once(database: Postgres) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(RawStore(database).insert, TABLE, capture()) for _ in range(8)]
        jobs += [pool.submit(QualityStore(database).ensure) for _ in range(8)]  # type: ignore[arg-type]
        outcomes = [job.result() for job in jobs][:8]
    assert sorted(o.value for o in outcomes) == ["repeat"] * 7 + ["stored"]


def test_the_cursor_skips_nothing_that_commits_out_of_order(store: RawStore, database: Postgres) -> None:
    """Two transactions are open; the one that began later commits first. Nothing above the earlier one is given yet."""
    store.insert(TABLE, capture("1"))
    rows, cursor = store.rows_after(TABLE, None, 10)
    assert [r.entity_key for r in rows] == ["1"]
    insert = (
        f"INSERT INTO {TABLE} (entity_key, endpoint, method, captured_at, content_hash, data) "
        "VALUES (%s, 'game', 'live_game_v1', now(), 'x', '{}')"
    )
    with psycopg.connect(database.url) as early, psycopg.connect(database.url) as late:
        early.execute(insert, ["early"])
        late.execute(insert, ["late"])
        late.commit()
        rows, cursor = store.rows_after(TABLE, cursor, 10)
        assert rows == []
        early.commit()
    rows, cursor = store.rows_after(TABLE, cursor, 10)
    assert [r.entity_key for r in rows] == ["early", "late"]
    assert store.rows_after(TABLE, cursor, 10) == ([], cursor)


def test_rows_are_as_old_as_their_commit(store: RawStore, database: Postgres) -> None:
    """A row that was written long before it was committed could be seen by nobody meanwhile."""
    store.ensure(TABLE)
    with psycopg.connect(database.url) as slow:
        (raw_id,) = slow.execute(
            f"INSERT INTO {TABLE} (entity_key, endpoint, method, captured_at, content_hash, data) "
            "VALUES ('1', 'game', 'live_game_v1', now(), 'x', '{}') RETURNING raw_id"
        ).fetchone() or (0,)
        time.sleep(0.6)
        begun = time.monotonic()
        slow.commit()
    age = store.ages(TABLE, [raw_id])[raw_id]
    assert 0 <= age <= time.monotonic() - begun


def test_the_cursor_pages_within_one_transaction(store: RawStore) -> None:
    store.insert_many(TABLE, [capture(str(n)) for n in range(7)])
    seen, cursor = [], None
    while True:
        rows, cursor = store.rows_after(TABLE, cursor, 3)
        if not rows:
            break
        seen += [r.entity_key for r in rows]
    assert sorted(seen) == [str(n) for n in range(7)]


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_the_cursor_follows_numbers_of_transactions_not_their_digits(
    store: RawStore, database: Postgres, limit: int
) -> None:
    """Transactions 8, 9, 10, 11, 98, 99, 100, 101: as text they would come in another order, and 8 after 101."""
    numbers = [8, 9, 10, 11, 98, 99, 100, 101]
    keys = [f"{number:03}" for number in numbers]
    for key in reversed(keys):
        store.insert(TABLE, capture(key))
    with database.transaction() as connection:
        connection.execute(f"UPDATE {TABLE} SET ingest_xid = ltrim(entity_key, '0')::xid8")
    seen, cursor = [], None
    while True:
        rows, cursor = store.rows_after(TABLE, cursor, limit)
        if not rows:
            break
        seen += [r.entity_key for r in rows]
    assert seen == keys
    assert store.rows_after(TABLE, store.cursor_since(TABLE, timedelta(0)), 10)[0] == []


def test_what_was_stored_lately_comes_after_a_cursor_whoever_was_slow(store: RawStore, database: Postgres) -> None:
    """An hour is "lately": a transaction that began long before one that is old now, a row that got its date since."""
    insert = (
        f"INSERT INTO {TABLE} (entity_key, endpoint, method, captured_at, content_hash, data, ingested_at) "
        "VALUES (%s, 'game', 'live_game_v1', now(), 'x', '{}', now() - %s::interval)"
    )
    store.ensure(TABLE)
    with psycopg.connect(database.url) as slow, psycopg.connect(database.url) as quick, database.connect() as third:
        slow.execute(insert, ["slow, long ago", "9 hours"])
        quick.execute(insert, ["old", "8 hours"])
        quick.commit()
        third.execute(insert, ["of a transaction that is open", "1 minute"])
        cursor = store.cursor_since(TABLE, timedelta(hours=1))
        slow.execute(insert, ["slow, lately", "1 minute"])
        slow.commit()
        with database.transaction() as connection:  # as dating a row does
            connection.execute(
                f"UPDATE {TABLE} SET ingest_xid = pg_current_xact_id() WHERE entity_key = 'old'".encode()
            )
    for since in (cursor, store.cursor_since(TABLE, timedelta(hours=1))):
        found = {r.entity_key for r in store.rows_after(TABLE, since, 100)[0]}
        assert found >= {"slow, lately", "of a transaction that is open"}


def test_the_cursor_under_many_writers(store: RawStore, database: Postgres) -> None:
    """Eight writers with transactions of random length, one reader meanwhile: each row exactly once."""
    store.ensure(TABLE)
    done = threading.Event()

    def write(writer: int) -> None:
        own = RawStore(Postgres(database.url))
        for n in range(12):
            own.insert_many(TABLE, [capture(f"{writer}-{n}-{i}") for i in range(1 + (writer * n) % 5)])

    def read() -> list[int]:
        seen: list[int] = []
        cursor = None
        while True:
            # another test's transaction may be open: what it holds back comes when it ends
            finished = done.is_set() and store.is_settled(store.newest_xid(TABLE))
            rows, cursor = store.rows_after(TABLE, cursor, 7)
            seen += [r.raw_id for r in rows]
            if finished and not rows:
                return seen

    with ThreadPoolExecutor(9) as pool:
        reader = pool.submit(read)
        list(pool.map(write, range(8)))
        done.set()
        seen = reader.result(timeout=60)
    assert sorted(seen) == sorted(r.raw_id for r in store.rows(TABLE))
    assert len(set(seen)) == len(seen)


def test_a_cursor_of_another_or_a_restored_cluster_starts_again(store: RawStore, database: Postgres) -> None:
    store.insert(TABLE, capture())
    identity = database.identity()
    for foreign in (
        '{"system_identifier": "1", "xid": "999999", "raw_id": 5}',
        f'{{"system_identifier": "{identity}", "xid": "999999999", "raw_id": 5}}',
    ):
        assert len(store.rows_after(TABLE, foreign, 10)[0]) == 1
    with pytest.raises(RawStoreError, match="no cursor"):
        store.rows_after(TABLE, "17", 10)


def test_rows_restored_from_a_dump_come_to_the_cursor(store: RawStore, database: Postgres) -> None:
    """A dump carries the other cluster's transaction numbers, which may lie in this one's future."""
    store.insert(TABLE, capture())
    with database.transaction() as connection:
        connection.execute(f"UPDATE {TABLE} SET ingest_xid = '99999999999'")
    assert len(RawStore(database).rows_after(TABLE, None, 10)[0]) == 1


def dated(store: RawStore, *days: int) -> None:
    """Store games 1, 2, … whose dates are those days of July, told by their own responses, and known to no row yet."""
    told = [
        capture(str(n), claims=(DateClaim("game_pk", str(n), date(2024, 7, day), own=True),), partition_date=None)
        for n, day in enumerate(days, 1)
    ]
    store.insert_many(TABLE, told)


def test_dates_are_given_to_the_entities_asked_for_and_once(store: RawStore, database: Postgres) -> None:
    dated(store, 12, 13)

    def days() -> list[tuple[date | None, str]]:
        with database.transaction() as connection:
            found = connection.execute(f"SELECT partition_date, ingest_xid::text FROM {TABLE} ORDER BY raw_id")
            return [tuple(row) for row in found.fetchall()]  # type: ignore[misc]

    assert store.redate(TABLE, "game_pk", ["2", "none"]) == 1
    assert [day for day, _ in days()] == [None, date(2024, 7, 13)]
    assert store.redate(TABLE, "other_pk") == 0
    assert store.redate(TABLE, "game_pk") == 1
    before = days()
    assert [day for day, _ in before] == [date(2024, 7, 12), date(2024, 7, 13)]
    assert store.redate(TABLE, "game_pk") == store.redate(TABLE, "game_pk", ["1"]) == 0
    assert days() == before


def test_a_row_tells_the_transaction_that_gave_it_to_cursors(store: RawStore) -> None:
    """A greater one once it gets a date; the same however it is read, and for each entity in it."""
    store.insert(TABLE, capture("9", members=(Member("1", None), Member("2", None))))
    dated(store, 12)
    rows, cursor = store.rows_after(TABLE, None, 10)
    assert rows == sorted(store.rows(TABLE), key=lambda r: r.raw_id)
    by_member = store.rows(TABLE, by_member=True)
    assert [r.ingest_xid for r in by_member] == [rows[0].ingest_xid] * 2
    store.redate(TABLE, "game_pk")
    ((row,), cursor) = store.rows_after(TABLE, cursor, 10)
    assert row.raw_id == rows[1].raw_id and row.ingest_xid > rows[1].ingest_xid > rows[0].ingest_xid > 0
    assert json.loads(cursor)["xid"] == str(row.ingest_xid)


def test_rows_get_their_dates_in_one_order_whatever_order_they_lie_in(store: RawStore, database: Postgres) -> None:
    """While the first row is another's, none after it is locked: two calls at once cannot wait for each other."""
    for n in (3, 2, 1):  # the first row is of the last entity
        told = (DateClaim("game_pk", str(n), date(2024, 7, n), own=True),)
        store.insert(TABLE, capture(str(n), claims=told, partition_date=None))
    with database.transaction() as connection:  # the first row now lies after the others
        connection.execute(f"UPDATE {TABLE} SET status_code = 201 WHERE raw_id = 1")
    with psycopg.connect(database.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute(f"SELECT 1 FROM {TABLE} WHERE raw_id = 1 FOR UPDATE")
        job = pool.submit(store.redate, TABLE, "game_pk")
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        deadline = time.monotonic() + 120
        while other.execute(waiting.encode()).fetchone() == (0,):
            assert time.monotonic() < deadline and not job.done()
            time.sleep(0.01)
        other.execute(f"SELECT 1 FROM {TABLE} WHERE raw_id IN (2, 3) FOR UPDATE NOWAIT")
        other.rollback()
        assert job.result(timeout=120) == 3


def test_members_of_a_database_made_before_get_what_they_tell(store: RawStore, database: Postgres) -> None:
    """The column is added where it is missing; what was stored before tells nothing."""
    store.insert(TABLE, capture(members=(Member("7", None, "a"),)))
    with database.transaction() as connection:
        connection.execute("ALTER TABLE quality.raw_members DROP COLUMN told")
    store = RawStore(database)
    store.insert(TABLE, capture(minute=1, members=(Member("7", None, "b"),)))
    assert [(r.entity_key, r.told) for r in store.rows(TABLE, by_member=True)] == [("7", None), ("7", "b")]


def test_what_a_capture_carries_and_is_refused_is_kept_once(store: RawStore, database: Postgres) -> None:
    """Among the rejected payloads; the capture itself is stored."""
    refused = (Rejection("a.json: $.teams.home", "team", "team", "has no id", "{}", "h"),)
    assert store.insert(TABLE, capture(refused_parts=refused)) is STORED
    assert store.insert(TABLE, capture(refused_parts=refused)) is REPEAT
    ((source, reason),) = [(r.source, r.reason) for r in QualityStore(database).rejected()]
    assert (source, reason) == ("a.json: $.teams.home", "has no id")


def test_scope_locks_exclude_whatever_the_order(database: Postgres) -> None:
    inside, overlap, scopes = [], [], [str(n) for n in range(20)]

    def work(number: int) -> None:
        mine = scopes[number:] + scopes[:number]
        with database.scope_locks("game.live_game_v1", mine[:12]):
            if set(mine[:12]) & {scope for held in inside for scope in held}:
                overlap.append(number)
            inside.append(mine[:12])
            time.sleep(0.005)
            inside.remove(mine[:12])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, [0, 7, 14, 3, 11, 18] * 2))
    assert overlap == []


def test_scope_locks_of_other_scopes_and_namespaces_do_not_wait(database: Postgres) -> None:
    with database.scope_locks("a", ["1"]), database.scope_locks("a", ["2"]), database.scope_locks("b", ["1"]):
        pass
    assert lock_key("a", "1") == lock_key("a", "1") != lock_key("b", "1")


def test_a_killed_holder_leaves_no_lock(database: Postgres) -> None:
    script = (
        "import sys, time; from resources.postgres import Postgres\n"
        "with Postgres(sys.stdin.readline().strip()).scope_locks('a', ['1']):\n"
        "    print('held', flush=True); time.sleep(600)"
    )
    root = Path(__file__).resolve().parents[2]
    holder = subprocess.Popen(
        [sys.executable, "-c", script], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None and holder.stdout is not None
    holder.stdin.write(database.url + "\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "held\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    start = time.monotonic()
    with database.scope_locks("a", ["1"]):
        assert time.monotonic() - start < 10


def test_a_session_that_held_locks_is_used_again_as_it_was(database: Postgres) -> None:
    """Without the locks, and with the settings it had; one whose holder failed is closed."""
    query = (
        "SELECT pg_backend_pid(), current_setting('statement_timeout'), current_setting('idle_session_timeout'), "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"
    )

    def session() -> tuple[int, str, str, int]:
        with database.transaction() as connection:
            return connection.execute(query).fetchone()  # type: ignore[return-value]

    before = session()
    with database.scope_locks("a", ["1"]):
        assert session()[0] != before[0], "nobody else uses it meanwhile"
    assert session() == before
    with pytest.raises(ValueError, match="in between"), database.scope_locks("a", ["1"]):
        raise ValueError("in between")
    assert session()[0] != before[0]


def test_a_lost_lock_is_told(database: Postgres) -> None:
    with pytest.raises(DatabaseError, match="locks .* were lost"), database.scope_locks("a", ["1"]):
        with database.connect(autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        time.sleep(0.2)


def test_transactions_commit_roll_back_and_survive_a_server_that_drops_them(database: Postgres) -> None:
    with database.transaction() as connection:
        connection.execute("CREATE TABLE t (n int)")
        connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        connection.execute("INSERT INTO t VALUES (2)")
        raise ZeroDivisionError
    with database.connect(autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                      "AND datname = current_database()")  # fmt: skip
    time.sleep(0.2)
    with database.transaction() as connection:
        assert connection.execute("SELECT array_agg(n) FROM t").fetchone() == ([1],)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://u:secret@127.0.0.1:1/db", "127.0.0.1:1/db does not answer: start it"),
        ("nonsense://x", "is no database URL"),
    ],
)
def test_no_database_gives_one_line_without_the_password(url: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=told) as failed:
        open_postgres(url, tmp_path / "postgres", tmp_path / "logs")
    assert "secret" not in str(failed.value) and "\n" not in str(failed.value)


def test_wrong_password_and_unknown_database_are_told_apart(database: Postgres) -> None:
    base, name = database.url.rsplit("/", 1)
    user, place = base.rsplit("@", 1)
    with (
        pytest.raises(DatabaseError, match="refuses this user or password"),
        Postgres(f"postgresql://mlb:wrong@{place}/{name}").transaction(),
    ):
        pass
    with pytest.raises(DatabaseError, match="no such database"), Postgres(f"{user}@{place}/nowhere").transaction():
        pass
    assert "@" not in repr(database)


def test_a_postgres_can_go_to_another_process(database: Postgres) -> None:
    assert pickle.loads(pickle.dumps(database)).identity() == database.identity()


def test_a_rejection_is_kept_once(database: Postgres) -> None:
    quality = QualityStore(database)
    values = {"source": "a.json", "endpoint": "game", "method": "m", "excerpt": "\0<html>", "content_hash": "h"}
    assert quality.reject(**values, reason="an HTML page")
    assert not quality.reject(**values, reason="an HTML page")
    assert quality.reject(**values, reason="another")
    assert [r.reason for r in quality.rejected()] == ["another", "an HTML page"]


def test_quarantine_holds_releases_and_forgets(database: Postgres) -> None:
    quality = QualityStore(database)
    record = QuarantineRecord(
        TABLE, 7, "game.plays", "inning >= 1", 2, [{"inning": float("nan"), "day": date(2024, 7, 12)}], "d1", "747175",
        date(2024, 7, 12), T0,
    )  # fmt: skip
    other = dataclasses.replace(record, raw_id=8, rule="unique")
    quality.quarantine([record, other])
    quality.quarantine([dataclasses.replace(record, failures=3, derivation_hash="d2")])
    held = quality.quarantined(TABLE, [7])
    assert [(r.failures, r.derivation_hash, r.samples) for r in held] == [
        (3, "d2", [{"inning": None, "day": "2024-07-12"}])
    ]
    assert quality.release(TABLE, 7, released_by="me") == 1
    assert quality.release(TABLE, 7, released_by="me") == 0
    quality.quarantine([dataclasses.replace(record, derivation_hash="d3")])
    assert quality.quarantined(TABLE, [7]) == []
    assert [r.released_by for r in quality.quarantined(TABLE, [7], released=True)] == ["me"]
    assert quality.unquarantine(TABLE, [7, 8], ["game.plays"]) == 1
    assert [r.raw_id for r in quality.quarantined(released=True)] == [7]


def test_cast_failures_and_check_results_replace_the_last_ones(database: Postgres) -> None:
    quality = QualityStore(database)
    failure = CastFailure(TABLE, 7, "1", None, "game.plays", "rbi", "$.result.rbi", "many", "INT", False, 1)
    quality.record_cast_failures(TABLE, [7, 8], [failure, dataclasses.replace(failure, raw_id=8)])
    quality.record_cast_failures(TABLE, [7], [])
    assert [f.raw_id for f in quality.cast_failures(TABLE)] == [8]
    quality.record_cast_failures(TABLE, [8], [], table_names=["game.runners"])
    assert len(quality.cast_failures(raw_ids=[8])) == 1
    for key, day in (("1", date(2024, 7, 12)), ("2", None)):
        for failed in (3, 1):
            found = CheckResult("game.plays", day, "r", "range", "warn", 10, failed, [], entity_key=key, raw_id=7)
            quality.record_check_results(["game.plays"], [key], [found])
    assert [(r.entity_key, r.failed) for r in quality.check_results("game.plays")] == [("1", 1), ("2", 1)]
    assert len(quality.check_results(dates=[date(2024, 7, 12)])) == 1
