"""A merge that is killed anywhere leaves either nothing or all of it, and the next run knows which."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resources.postgres import Postgres

from .conftest import make_case
from .harness import Capture, expected, new_spec
from .killed_merge import POINTS

BEFORE = Capture(1, 0, {0: (0, "first"), 1: (1, "gone later")})
KILLED = Capture(1, 10, {0: (7, "killed"), 5: (8, "new")})
BETWEEN = Capture(1, 5, {0: (3, "between")})
COMMITTED = {
    "postgres": {"after-all"},
    "delta-deltalake": {"after-data", "before-state", "after-state", "after-all"},
}
SCRIPT = Path(__file__).with_name("killed_merge.py")


@pytest.mark.parametrize(("kind", "point"), [(kind, point) for kind, points in POINTS.items() for point in points])
def test_killed_merge_heals(
    kind: str, point: str, request: pytest.FixtureRequest, database: Postgres, lake: str
) -> None:
    case = make_case(kind, request, database, lake)
    spec = new_spec()
    case.make().prepare(spec)
    other = Capture(2, 0, {0: (0, "other game")})
    case.merge(spec, BEFORE, other)

    arguments = [kind, point, database.url, lake, spec.table, "10"]
    killed = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    committed = point in COMMITTED[kind]
    done = [BEFORE, KILLED, other] if committed else [BEFORE, other]
    with case.locked(spec, [1]):
        state = case.make().states([spec], ["1"])[spec.table]["1"]
    assert state.as_of == (KILLED if committed else BEFORE).version().as_of
    assert case.held(spec) == expected(spec, done)

    # A capture between the two is stale just where the killed one is in the table.
    assert case.merge(spec, BETWEEN).counts.skipped_stale == (1 if committed else 0)
    case.merge(spec, KILLED)
    assert case.held(spec) == expected(spec, [BEFORE, BETWEEN, KILLED, other])
    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM quality.merge_intents").fetchone() == (0,)


def test_the_next_merge_heals_by_itself(request: pytest.FixtureRequest, database: Postgres, lake: str) -> None:
    case = make_case("delta-deltalake", request, database, lake)
    spec = new_spec()
    case.make().prepare(spec)
    arguments = ["delta-deltalake", "after-data", database.url, lake, spec.table, "10"]
    subprocess.run([sys.executable, str(SCRIPT), *arguments], check=False)
    assert case.merge(spec, BETWEEN).counts.skipped_stale == 1
    assert case.held(spec) == expected(spec, [KILLED])


def test_a_merge_under_way_is_not_settled_by_those_who_hold_no_lock(
    request: pytest.FixtureRequest, database: Postgres, lake: str
) -> None:
    case = make_case("delta-deltalake", request, database, lake)
    spec = new_spec()
    case.make().prepare(spec)
    arguments = ["delta-deltalake", "before-data", database.url, lake, spec.table, "10"]
    subprocess.run([sys.executable, str(SCRIPT), *arguments], check=False)
    assert case.make().states([spec])[spec.table] == {}
    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM quality.merge_intents").fetchone() == (1,)
    with case.locked(spec, [1]):
        assert case.make().states([spec], ["1"])[spec.table] == {}
    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM quality.merge_intents").fetchone() == (0,)


def test_a_deleted_lake_and_a_dropped_table_are_a_fresh_start(
    request: pytest.FixtureRequest, database: Postgres, lake: str
) -> None:
    for kind in ("postgres", "delta-deltalake"):
        case = make_case(kind, request, database, lake)
        spec = new_spec()
        case.make().prepare(spec)
        case.merge(spec, KILLED)
        if kind == "postgres":
            with database.transaction() as connection:
                connection.execute(f"DROP TABLE {spec.table}")
        else:
            shutil.rmtree(lake)
        sink = case.make()
        sink.prepare(spec)
        assert sink.states([spec])[spec.table] == {}
        assert case.merge(spec, BEFORE).counts.inserted == 2
