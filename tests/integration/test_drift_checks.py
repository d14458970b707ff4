"""Drift over a real raw store: what is read once, what is compared with what, and what the command and check say."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from helpers import MAY_1, SMALL, at, game, mapping_of

from asset_checks.coverage import DAYS, evaluate_coverage
from mlb_platform.cli.main import run
from mlb_platform.history.finality import Finality
from mlb_platform.mapping.profile import PathNode
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform
from mlb_platform.quality.drift_profiles import COMPARED, FEW, MANY_DATES, DriftProfiles
from mlb_platform.settings import Settings
from resources.drift_store import DriftStore
from resources.postgres import Postgres
from resources.raw_store import RawCapture, RawRow, RawStore

UNDATED = """
version: "1.0"
source:
  endpoint: small
  method: people
  raw_table: small.people
  entities: $.people
  entity_key: {name: person_id, type: INT, json_path: $.id}
  merge_scope: {key: person_id}
targets:
  - name: small.people
    description: One row a person.
    primary_key: [person_id]
    array_source: $.people
    fields:
      - {name: full_name, type: TEXT, json_path: $.name, description: Name.}
"""


class Counting(RawStore):
    """A raw store that counts the payloads and the rows read."""

    reads = 0
    listed = 0

    def rows(self, *arguments: Any, **named: Any) -> list[RawRow]:
        """Return rows without payload."""
        found = super().rows(*arguments, **named)
        self.listed += len(found)
        return found

    def payload(self, raw_table: str, raw_id: int) -> bytes:
        """Return the JSON text of one row."""
        self.reads += 1
        return super().payload(raw_table, raw_id)


@pytest.fixture
def platform(database: Postgres, tmp_path: Path) -> Platform:
    """A platform with the small mapping, on an empty database; no Spark."""
    file = tmp_path / "mappings" / "small" / "game_v1.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(SMALL, "utf-8")
    return Platform(Settings(home=tmp_path / "home", database_url=database.url, mappings=file.parents[1]))


@pytest.fixture
def raw(database: Postgres) -> Counting:
    """The raw store."""
    return Counting(database)


def profiles(raw: RawStore, mapping: ResolvedMapping) -> DriftProfiles:
    """Return what a new process would make."""
    return DriftProfiles(raw, DriftStore(raw.postgres), mapping, {}, Finality(raw.postgres, [mapping]))


def put(raw: RawStore, document: dict[str, Any], minute: float = 0, table: str = "small.game_v1") -> None:
    """Store a capture."""
    body = orjson.dumps(document)
    day = date.fromisoformat(document["date"]) if "date" in document else None
    entity, content = str(document.get("id", "people")), hashlib.sha256(body).hexdigest()
    raw.insert(table, RawCapture(entity, "small", "x", {}, None, 200, at(minute), day, content, body))


def games(first: int, day: date, several: int = 3) -> list[dict[str, Any]]:
    """Return games of a date."""
    return [game(first + n, [(i, 0, "note") for i in range(5)], day) for n in range(several)]


def paths(found: Sequence[Any]) -> list[tuple[str, str]]:
    """Return kind and path of what was found."""
    return [(f.kind, f.path) for f in found]


def test_a_payload_is_read_once_and_an_equal_question_answered_from_the_record(raw: Counting) -> None:
    """Until there is a new capture; then that one is read alone, and the one it follows is what it is compared with."""
    mapping = mapping_of(SMALL)
    for document in games(1, MAY_1):
        put(raw, document)
    first = profiles(raw, mapping).look_at(MAY_1)
    assert (first.captures, first.known, raw.reads, first.found) == (3, 3, 3, ())
    assert profiles(raw, mapping).look_at(MAY_1) == first and raw.reads == 3
    changed = games(1, MAY_1)[0]
    del changed["state"]
    put(raw, changed | {"extra": 1}, 5)
    second = profiles(raw, mapping).look_at(MAY_1)
    assert raw.reads == 4 and second.captures == 3
    assert paths(second.found) == [("new", "$.extra"), ("vanished", "$.state")]
    assert {f.entity for f in second.found} == {"1"}


def test_a_late_date_is_compared_with_those_before_it_only(raw: Counting) -> None:
    """Whatever the order in which they are looked at; and with the last ten."""
    mapping = mapping_of(SMALL)
    days = [MAY_1 + timedelta(days=n) for n in range(COMPARED + 2)]
    for n, day in enumerate(days):
        for document in games(10 * n, day, 2):
            put(raw, document | ({"extra": 1} if n == 0 else {}))
    last = profiles(raw, mapping).look_at(days[-1])
    assert last.found == ()
    made = profiles(raw, mapping)
    found = [made.look_at(day) for day in days]
    assert [paths(d.found) for d in found] == [[("unmapped", "$.extra")], *([[]] * (len(days) - 1))]
    put(raw, games(500, days[-1])[0] | {"extra": 2})
    assert paths(profiles(raw, mapping).look_at(days[-1]).found) == [("new", "$.extra")]  # too long ago to be known
    put(raw, games(600, days[5])[0] | {"extra": 2})
    assert paths(profiles(raw, mapping).look_at(days[5]).found) == [("unmapped", "$.extra")]


def test_so_many_captures_are_profiled_at_one_look_the_newest_first(raw: Counting) -> None:
    """The others at the next ones; how many there are is told."""
    mapping = mapping_of(SMALL)
    for n, document in enumerate(games(1, MAY_1, 5)):
        put(raw, document | ({"old": 1} if n == 0 else {}), n)
    first = profiles(raw, mapping).look_at(MAY_1, most=2)
    assert (first.captures, first.known, raw.reads, first.unmapped) == (2, 5, 2, 0)
    second = profiles(raw, mapping).look_at(MAY_1, most=9)
    assert (second.captures, second.known, raw.reads, second.unmapped) == (5, 5, 5, 1)


ENDING = SMALL.replace("targets:", "  final_when: $.state == 'Final'\ntargets:", 1)


def to_come(pk: int, day: date, **more: Any) -> dict[str, Any]:
    """Return a game that has no plays yet."""
    return {"id": pk, "date": day.isoformat(), "state": "Preview", **more}


def test_what_is_not_over_yet_lacks_nothing(raw: Counting) -> None:
    """All of a date, or one of it; of a game that is over, and of one that does not say so, it is missed as ever."""
    mapping, days = mapping_of(ENDING), [MAY_1 + timedelta(days=n) for n in range(COMPARED + 4)]
    for n, day in enumerate(days[:COMPARED]):
        for document in games(100 * n, day, 15):
            put(raw, document)
    before, one, off, nameless, to_play = days[:-4], *days[-4:]
    for n in range(5):
        put(raw, to_come(5000 + n, to_play))
    for n, day in enumerate((one, off, nameless)):
        for document in games(6000 + 100 * n, day, 5):
            put(raw, document)
    put(raw, to_come(7000, one))
    put(raw, to_come(7001, off, state="Final"))
    without = to_come(7002, nameless)
    del without["state"]
    put(raw, without)
    made = profiles(raw, mapping)
    assert all(made.look_at(day).found == () for day in (*before, one))
    assert paths(made.look_at(off).found) == [("vanished", "$.plays")]
    assert {f.entity for f in made.look_at(off).found} == {"7001"}
    assert paths(made.look_at(nameless).found) == [("vanished", "$.plays"), ("vanished", "$.state")]
    assert made.look_at(to_play).found == ()
    put(raw, to_come(7000, one) | {"state": None}, 5)
    assert paths(profiles(raw, mapping).look_at(one).found) == [("vanished", "$.state")]  # the capture before has it


def test_a_season_needs_no_more_memory_than_the_dates_compared(raw: Counting) -> None:
    """Profiles of dates are let go of; by season, too, they are read one at a time."""
    mapping, days = mapping_of(SMALL), [MAY_1 + timedelta(days=n) for n in range(4 * COMPARED)]
    for n, day in enumerate(days):
        put(raw, games(n, day, 1)[0])

    def nodes() -> int:
        gc.collect()
        return sum(type(o) is PathNode for o in gc.get_objects())

    made, kept = profiles(raw, mapping), []
    for day in days:
        made.look_at(day)
        kept.append(nodes())
    assert kept[2 * COMPARED] == kept[-1]
    (total,) = made.seasons(days).values()
    assert total.documents == len(days)


def test_a_changed_mapping_judges_anew_without_reading_anew(raw: Counting) -> None:
    """Profiles stay good; what becomes of the paths is asked again."""
    put(raw, game(1) | {"extra": 1})
    assert profiles(raw, mapping_of(SMALL)).look_at(MAY_1).unmapped == 1
    ignoring = SMALL.replace("targets:", "ignore_paths: [{path: $.extra, reason: Not of use.}]\ntargets:", 1)
    assert profiles(raw, mapping_of(ignoring)).look_at(MAY_1).unmapped == 0
    assert raw.reads == 1


def test_the_check_has_a_verdict_a_date_and_a_report(platform: Platform) -> None:
    """Warns with what and where, never blocks; a date with nothing new passes."""
    mapping = platform.registry.get("small/game_v1")
    other = MAY_1 + timedelta(days=1)
    for document in [*games(1, MAY_1), *games(10, other)]:
        put(platform.raw, document | ({"extra": "<i>"} if document["id"] == 11 else {}))
    first, second = evaluate_coverage(platform, mapping, [other, MAY_1])
    assert (first.partition, first.passed) == ("2024-05-01", True)
    assert (second.partition, second.passed, second.blocking) == ("2024-05-02", False, False)
    assert second.asset_key.path == ["small", "games"] and second.severity.name == "WARN"
    assert "$.extra" in str(second.description)
    (row,) = second.metadata["found"].records  # type: ignore[attr-defined]
    assert (row.data["path"], row.data["count"], row.data["first_in"]) == ("$.extra", 1, "11")
    page = Path(str(second.metadata["report"].value)).read_text("utf-8")
    assert "$.extra" in page and "<i>" not in page.replace('<i class="tag"', "")
    empty = list(evaluate_coverage(platform, mapping, [date(2023, 1, 1)]))
    assert [(v.passed, v.description) for v in empty] == [(True, "no captures")]


def test_a_mapping_without_dates_has_one_verdict(platform: Platform, tmp_path: Path) -> None:
    """Over the days of capture not looked at yet; filtered responses lack nothing that anyone should worry about."""
    (tmp_path / "mappings" / "small" / "people.yaml").write_text(UNDATED, "utf-8")
    platform = Platform(platform.settings)
    mapping = platform.registry.get("small/people")
    assert [v.passed for v in evaluate_coverage(platform, mapping, [None])] == [True]
    for n in range(DAYS + 4):
        _people(platform.raw, {"people": [{"id": n, "name": "A"}]}, n * 24 * 60)
    (verdict,) = evaluate_coverage(platform, mapping, [None])
    assert not verdict.passed and verdict.partition is None and verdict.metadata["captures"].value == DAYS
    assert verdict.metadata["days_not_looked_at"].value == 4
    assert "4 earlier days of capture were not looked at" in str(verdict.description)
    (verdict,) = evaluate_coverage(platform, mapping, [None])
    assert (
        verdict.passed
        and verdict.metadata["captures"].value == 5
        and verdict.description == ("5 captures: every leaf path is mapped or ignored with a reason, none vanished")
    )
    _people(platform.raw, {"people": [{"id": 1, "born": "2000-01-01"}]}, 40 * 24 * 60)
    (verdict,) = evaluate_coverage(platform, mapping, [None])
    found = {r.data["path"]: r.data["kind"] for r in verdict.metadata["found"].records}  # type: ignore[attr-defined]
    assert found["$.people[*].born"] == "new" and found.get("$.people[*].name") in ("lacking", None)
    assert not verdict.passed


def test_a_date_of_which_not_all_was_looked_at_does_not_pass(platform: Platform) -> None:
    """In a run over many dates so many a date; it says how many are left, and the next run looks at those."""
    mapping = platform.registry.get("small/game_v1")
    days: list[date | None] = [MAY_1 + timedelta(days=n) for n in range(MANY_DATES + 1)]
    for document in [*games(1, MAY_1, FEW + 2), *games(100, MAY_1 + timedelta(days=1))]:
        put(platform.raw, document)
    first, second, *_ = evaluate_coverage(platform, mapping, days)
    assert (first.passed, first.severity.name, first.blocking) == (False, "WARN", False)
    assert first.metadata["captures_not_looked_at"].value == 2
    assert "20 of 22 captures: 2 captures were not looked at" in str(first.description)
    assert second.passed and second.metadata["captures_not_looked_at"].value == 0
    assert next(evaluate_coverage(platform, mapping, days)).passed


def test_what_is_captured_on_other_days_is_not_read(raw: Counting) -> None:
    """Of a mapping without dates: its days are asked for, the rows only of the day looked at."""
    mapping = mapping_of(UNDATED)
    for n in range(6):
        _people(raw, {"people": [{"id": p, "name": "A"} for p in range(10)]}, n * 24 * 60)
    made = profiles(raw, mapping)
    days = [MAY_1 + timedelta(days=n) for n in range(6)]
    assert made.days() == made.unseen() == days and made.days(days[1], days[3]) == days[1:4] and raw.listed == 0
    assert made.look_at(days[2]).captures == 1 and raw.listed == 10
    assert made.unseen() == [d for d in days if d != days[2]] and raw.listed == 10


def test_a_day_is_unseen_until_the_newest_capture_of_each_entity_has_a_profile(raw: Counting) -> None:
    """By the day in UTC; one followed on its day by a newer one of all its entities counts no more."""
    mapping = mapping_of(UNDATED)
    _people(raw, {"people": [{"id": 1, "name": "A"}]}, 0)
    _people(raw, {"people": [{"id": 1, "name": "B"}]}, 1)
    _people(raw, {"people": [{"id": 1, "name": "C"}]}, 4 * 60 - 1 / 60)  # the last second of the day
    _people(raw, {"people": [{"id": 1, "name": "D"}]}, 4 * 60)
    made = profiles(raw, mapping)
    assert made.unseen() == [MAY_1, MAY_1 + timedelta(days=1)]
    assert made.look_at(MAY_1).captures == 1 and raw.reads == 2  # the newest, and the one before it
    assert made.unseen() == [MAY_1 + timedelta(days=1)]
    _people(raw, {"people": [{"id": 2, "name": "A"}]}, 2)
    assert made.unseen() == [MAY_1, MAY_1 + timedelta(days=1)]


def _people(raw: RawStore, document: dict[str, Any], minute: float) -> None:
    from resources.raw_members import Member

    body = orjson.dumps(document)
    members = tuple(Member(str(p["id"]), None) for p in document["people"])
    digest = hashlib.sha256(body).hexdigest()
    capture = RawCapture("people", "small", "people", {}, None, 200, at(minute), None, digest, body, members)
    raw.insert("small.people", capture)


def test_the_command_prints_what_changed_and_writes_the_page(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """By date and season; without captures it says so and fails."""
    s = platform.settings
    for name, value in {"HOME": s.home, "MAPPINGS": s.mappings, "DATABASE_URL": s.database_url}.items():
        monkeypatch.setenv(f"MLB_{name}", str(value))
    assert run(["mapping", "drift"]) == 1
    assert "no dated captures of any mapping" in capfd.readouterr().err
    for year in (2023, 2024):
        for document in games(year, date(year, 5, 1)):
            put(platform.raw, document | ({"extra": 1, "odd": "[b] see [/notes]"} if year == 2024 else {}))
    page = tmp_path / "page.html"
    assert run(["mapping", "drift", "small/game_v1", "--html", str(page)]) == 0
    out = capfd.readouterr().out
    assert "small/game_v1: 6 captures on 2 dates, 2023-05-01 to 2024-05-01" in out
    line = next(text.split() for text in out.splitlines() if text.strip().startswith("$.extra"))
    assert line[:4] == ["$.extra", "2024-05-01", "3", "2024"]
    seasons = [text.split() for text in out.splitlines() if text.split()[:1] in (["2023"], ["2024"])]
    assert [s[1:] for s in seasons] == [["3", "6", "0", "0"], ["3", "8", "2", "0"]]
    assert '"[b] see [/notes]"' in out
    assert run(["mapping", "coverage", "small/game_v1", "--raw"]) == 0
    assert '"[b] see [/notes]"' in capfd.readouterr().out
    assert "$.extra" in page.read_text("utf-8")
    assert run(["mapping", "drift", "small/game_v1", "--from", "2023-01-01", "--to", "2023-12-31"]) == 0
    out = capfd.readouterr().out
    assert "every leaf path is mapped" in out and "reports/drift/small_game_v1.html" in out
    assert run(["mapping", "drift", "--html", str(page)]) == 2
