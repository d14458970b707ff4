"""Responses that name no date wait for one: a schedule's or a feed's word gives it, and moves what it has moved."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pytest

from mlb_platform.assets.partitions import date_partitions
from mlb_platform.cli.main import run
from mlb_platform.dagster_home import open_instance
from mlb_platform.definitions import build_definitions
from mlb_platform.extraction.pending import find_pending
from mlb_platform.extraction.report import RunReport
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.ingestion.gate import Request, admit, gate_specs
from mlb_platform.lineage.passport import gather
from mlb_platform.platform import Platform
from mlb_platform.sensors.raw_rows import tick
from mlb_platform.settings import load_settings
from resources.raw_store import RawCapture

LINES, GAMES = "game/linescore", "schedule/schedule"
JULY_12, JULY_13, JULY_14 = date(2024, 7, 12), date(2024, 7, 13), date(2024, 7, 14)
START = datetime(2024, 7, 12, 12, tzinfo=UTC)
LINE = {"teams": {"home": {"runs": 3}, "away": {"runs": 1}}, "innings": [{"num": 1, "home": {"runs": 3}}]}


@dataclass
class Answers:
    """Stores answers as ingestion does, by the minute they were given."""

    platform: Platform

    def put(self, name: str, minute: float, document: dict[str, Any], id_: str | None = None) -> None:
        """Store an answer of a method."""
        spec = gate_specs(self.platform.registry.mappings)[name]
        request = Request("test", START + timedelta(minutes=minute), id_, {"id": id_} if id_ else {})
        made = admit(orjson.dumps(document), request, spec)
        assert isinstance(made, RawCapture), made
        self.platform.raw.insert(spec.raw_table, made)

    def run(self, name: str, table: str) -> RunReport:
        """Bring up one table of a mapping."""
        return self.platform.transformation(name, [table]).run()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.platform.postgres.connect() as connection:
            return [tuple(r) for r in connection.execute(query.encode()).fetchall()]

    def waiting(self) -> list[str]:
        """Return the games whose line scores wait for a date."""
        mapping = self.platform.registry.get(LINES)
        return find_pending(self.platform.stores, mapping, [t.name for t in mapping.targets]).waiting

    def dates(self) -> list[tuple[int, date]]:
        """Return the line scores' games and dates; both sinks must hold the same."""
        found = self.rows("SELECT game_pk, game_date FROM game.linescore ORDER BY 1")
        for sink in self.platform.stores.sinks:
            target = self.platform.registry.get(LINES).by_name["game.linescore"]
            held = sink.fetch(merge_spec(target)).select(["game_pk", "game_date"]).to_pylist()
            assert sorted((r["game_pk"], r["game_date"]) for r in held) == found
        return found


@pytest.fixture
def answers(platform: Platform) -> Answers:
    """The platform with the shipped mappings, empty."""
    return Answers(platform)


def listing(pk: int, state: str = "F", **members: Any) -> dict[str, Any]:
    """Return a listing of a game."""
    words = {
        "F": ("Final", "Final"),
        "D": ("Final", "Postponed"),
        "U": ("Live", "Suspended"),
        "S": ("Preview", "Scheduled"),
    }
    coarse, detailed = words[state]
    status = {"abstractGameState": coarse, "codedGameState": state, "detailedState": detailed, "statusCode": state}
    when = {"gamePk": pk, "season": "2024", "gameDate": "2024-07-13T01:40:00Z"}
    return {**when, "status": status, "teams": {}, **members}


def schedule(**days: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a schedule; days are named `july_12`."""
    return {"dates": [{"date": f"2024-07-{d.removeprefix('july_')}", "games": games} for d, games in days.items()]}


def feed(pk: int, day: date) -> dict[str, Any]:
    """Return a feed that says little more than its date."""
    when = {"datetime": {"officialDate": day.isoformat()}}
    return {"gamePk": pk, "gameData": when, "liveData": {"plays": {"allPlays": []}}}


def test_a_line_score_waits_until_the_schedule_tells_its_date(answers: Answers) -> None:
    """Nothing is parsed while it waits; then it is merged under the local date, not the UTC one of its start."""
    answers.put(LINES, 0, LINE, "9001")
    report = answers.run(LINES, "game.linescore")
    assert report.parsed == 0 and answers.waiting() == ["9001"]
    assert answers.dates() == []
    answers.put(GAMES, 5, schedule(july_12=[listing(9001, officialDate="2024-07-12"), listing(9002)]))
    assert answers.run(LINES, "game.linescore").parsed == 1
    assert answers.dates() == [(9001, JULY_12)] and answers.waiting() == []
    assert answers.run(LINES, "game.linescore").parsed == 0


def test_a_moved_game_moves_and_a_late_word_moves_nothing_back(answers: Answers) -> None:
    """The newest schedule counts whatever the order of arrival, and the feed's own word above any schedule's."""
    answers.put(LINES, 0, LINE, "9001")
    answers.put(GAMES, 10, schedule(july_12=[listing(9001, officialDate="2024-07-12")]))
    answers.run(LINES, "game.linescore")
    postponed = listing(9001, "D", officialDate="2024-07-14", rescheduleGameDate="2024-07-14")
    played = listing(9001, officialDate="2024-07-14", rescheduledFromDate="2024-07-12")
    answers.put(GAMES, 20, schedule(july_12=[postponed], july_14=[played]))
    report = answers.run(LINES, "game.linescore")
    assert report.moved == [("9001", JULY_12, JULY_14)]
    assert answers.dates() == [(9001, JULY_14)]
    answers.put(GAMES, 15, schedule(july_12=[listing(9001, "S", officialDate="2024-07-12")]))
    assert answers.run(LINES, "game.linescore").parsed == 0
    assert answers.dates() == [(9001, JULY_14)]
    answers.put("game/live_game_v1", 5, feed(9001, JULY_13))
    answers.run(LINES, "game.linescore")
    assert answers.dates() == [(9001, JULY_13)]


def test_a_thin_answer_takes_no_date_back(answers: Answers) -> None:
    """A newer answer that only lists the game under the day it was postponed from says less than its official date."""
    answers.put(LINES, 0, LINE, "9001")
    answers.put(GAMES, 1, schedule(july_12=[listing(9001, "D", officialDate="2024-07-14")]))
    answers.put(GAMES, 9, schedule(july_12=[{"gamePk": 9001}, {"gamePk": 9002}]))
    answers.put(LINES, 0, LINE, "9002")
    answers.run(LINES, "game.linescore")
    assert answers.dates() == [(9001, JULY_14), (9002, JULY_12)]


def test_an_older_schedule_without_official_dates_tells_them_too(answers: Answers) -> None:
    """A postponed listing of one names the new date, another is of the date it stands under."""
    answers.put(LINES, 0, LINE, "9001")
    answers.put(LINES, 0, LINE, "9002")
    postponed = listing(9001, "D", rescheduleGameDate="2024-07-14")
    answers.put(GAMES, 1, schedule(july_12=[postponed, listing(9002)]))
    answers.run(LINES, "game.linescore")
    assert answers.dates() == [(9001, JULY_14), (9002, JULY_12)]


def test_status_and_materialize_show_what_waits(
    answers: Answers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both commands name the game and what it waits for; nothing is said of it once the date is known."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "jars").symlink_to(load_settings().jars)
    monkeypatch.setenv("MLB_DATABASE_URL", answers.platform.postgres.url)
    monkeypatch.setenv("MLB_HOME", str(home))
    answers.put(LINES, 0, LINE, "9001")
    for command in (["status", "--mapping", LINES], ["materialize", "--mapping", LINES]):
        capfd.readouterr()
        assert run(command) == 0
        out = " ".join(capfd.readouterr().out.split())
        assert "1 game waiting for a date that a feed or schedule tells: 9001" in out, command
    answers.put(GAMES, 5, schedule(july_12=[listing(9001)]))
    assert run(["status", "--mapping", LINES]) == 0
    out = capfd.readouterr().out
    assert "waiting for a date" not in out and "2024-07-12" in out


@pytest.fixture
def instance(platform: Platform) -> Iterator[dg.DagsterInstance]:
    """The platform's own Dagster instance."""
    with open_instance(platform.settings, platform.postgres) as opened:
        yield opened


def requested(
    answers: Answers, instance: dg.DagsterInstance, name: str, cursor: str | None
) -> tuple[list[str], str | None]:
    """Return the dates that a mapping's sensor asks for now, and its cursor; their runs are made and succeed."""
    platform = answers.platform
    partitions = date_partitions(platform.settings.first_partition_date)
    mapping = platform.registry.get(name)
    result = tick(instance, cursor, mapping, partitions, platform, logging.getLogger("sensor"))
    for request in result.run_requests or []:
        tags = {"dagster/run_key": request.run_key or ""}
        instance.add_run(dg.DagsterRun(job_name="run", tags=tags, status=dg.DagsterRunStatus.SUCCESS))
    return sorted(str(r.partition_key) for r in result.run_requests or []), result.cursor


def test_sensors_ask_for_the_date_as_soon_as_it_is_told(answers: Answers, instance: dg.DagsterInstance) -> None:
    """The line score's sensor asks for nothing while it waits; a schedule's asks for every date in a response."""
    answers.put(LINES, 0, LINE, "9001")
    days, cursor = requested(answers, instance, LINES, None)
    assert days == []
    answers.put(GAMES, 5, schedule(july_12=[listing(9001)], july_14=[listing(9002)]))
    days, cursor = requested(answers, instance, LINES, cursor)
    assert days == ["2024-07-12"]
    assert requested(answers, instance, GAMES, None)[0] == ["2024-07-12", "2024-07-14"]


def test_tables_without_dates_are_asked_for_whole(answers: Answers, instance: dg.DagsterInstance) -> None:
    """New venues, those a schedule carries included, are one run without a date; nothing new is none."""
    answers.put(GAMES, 0, schedule(july_12=[listing(9001, venue={"id": 15, "name": "Field"})]))
    days, cursor = requested(answers, instance, "venue/venue", None)
    assert days == ["None"]
    assert requested(answers, instance, "venue/venue", cursor)[0] == []
    answers.put(GAMES, 1, schedule(july_13=[listing(9001, venue={"id": 15, "name": "Field"})]))
    assert requested(answers, instance, "venue/venue", cursor)[0] == ["None"]
    job = build_definitions(answers.platform.settings, answers.platform).resolve_job_def("materialize_venue_venue")
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    assert job.execute_in_process(instance=instance, run_config=quiet).success
    assert answers.rows("SELECT venue_id, venue_name FROM venue.venue") == [(15, "Field")]


def test_a_thin_answer_takes_nothing_from_a_full_one(answers: Answers) -> None:
    """One reduced to a few fields keeps date, state and pitchers; a full one clears the reason of an earlier state."""
    pitchers = {"home": {"team": {"id": 109}, "probablePitcher": {"id": 7, "fullName": "Pat Arm"}}}
    full = listing(9001, "F", officialDate="2024-07-12", teams=pitchers, venue={"id": 15, "name": "Field"})
    late = listing(9001, "D", officialDate="2024-07-12", teams={})
    late["status"]["reason"] = "Rain"
    answers.put(GAMES, 0, schedule(july_13=[late]))
    answers.put(GAMES, 1, schedule(july_13=[full]))
    answers.put(GAMES, 2, schedule(july_13=[{"gamePk": 9001, "teams": {"home": {"score": 4}}}], july_14=[]))
    answers.run(GAMES, "schedule.games")
    found = answers.rows(
        "SELECT official_date, coded_game_state, status_reason, home_probable_pitcher_id, venue_name, home_score, "
        "listing_rank FROM schedule.games"
    )
    assert found == [(JULY_12, "F", None, 7, "Field", 4, 1)]


def test_a_postponed_listing_that_names_no_day_tells_no_official_date(answers: Answers) -> None:
    """The day on which it was not played is none; where it says to which it was moved, that is the official date."""
    moved = listing(9002, "D", rescheduleGameDate="2024-07-14")
    answers.put(GAMES, 0, schedule(july_12=[listing(9001, "D"), moved, listing(9003)]))
    answers.run(GAMES, "schedule.games")
    found = answers.rows("SELECT game_pk, official_date, listing_rank FROM schedule.games ORDER BY 1")
    assert found == [(9001, None, 8), (9002, JULY_14, 8), (9003, JULY_12, 0)]


def test_what_is_computed_is_of_the_values_beside_it(answers: Answers) -> None:
    """An answer without the official date that an older one gave changes nothing of what is computed with it."""
    answers.put(GAMES, 0, schedule(july_13=[listing(9001, "D", officialDate="2024-07-12")]))
    answers.put(GAMES, 1, schedule(july_13=[listing(9001, "F")]))
    answers.run(GAMES, "schedule.games")
    computed = "SELECT official_date_given, official_date, coded_game_state, listing_rank FROM schedule.games"
    assert answers.rows(computed) == [(JULY_12, JULY_12, "F", 1)]
    made, names = answers.platform, answers.platform.registry.get(GAMES).by_name["schedule.games"].key
    (values,) = answers.rows(f"SELECT {', '.join(names)} FROM schedule.games")
    key = [f"{name}={value}" for name, value in zip(names, values, strict=True)]
    passport = gather(made.stores, made.registry, made.settings.lake, "schedule.games", key)
    assert [c.name for c in passport.columns if c.agrees is False] == []
    assert {c.name for c in passport.columns if c.how == "expression" and c.agrees} >= {"official_date", "listing_rank"}


def test_a_save_that_was_taken_back_is_gone(answers: Answers) -> None:
    """Beside a winner, no save means none; an answer without decisions takes nothing back."""

    def decided(**pitchers: int) -> dict[str, Any]:
        told = {of: {"id": person, "fullName": of} for of, person in pitchers.items()}
        return schedule(july_12=[listing(9001, decisions=told)])

    saves = "SELECT winning_pitcher_id, save_pitcher_id, save_pitcher_name FROM schedule.games"
    answers.put(GAMES, 0, decided(winner=1, loser=2, save=3))
    answers.put(GAMES, 1, schedule(july_12=[listing(9001)]))
    answers.run(GAMES, "schedule.games")
    assert answers.rows(saves) == [(1, 3, "save")]
    answers.put(GAMES, 2, decided(winner=1, loser=2))
    answers.run(GAMES, "schedule.games")
    assert answers.rows(saves) == [(1, None, None)]


def test_a_suspended_game_is_listed_twice_and_current_once(answers: Answers) -> None:
    """What is to come goes before what is suspended, what is over before both, and of two the official date."""
    answers.put(
        GAMES, 0, schedule(july_12=[listing(9001, "U", officialDate="2024-07-12", resumeGameDate="2024-07-14")])
    )
    answers.put(
        GAMES, 1, schedule(july_14=[listing(9001, "S", officialDate="2024-07-12", resumedFromDate="2024-07-12")])
    )
    current = "SELECT schedule_date, detailed_state FROM schedule.current_games"

    def brought_up() -> list[tuple[Any, ...]]:
        answers.run(GAMES, "schedule.games")
        assert answers.rows("SELECT count(*) FROM schedule.games") == [(2,)]
        return answers.rows(current)

    assert brought_up() == [(JULY_14, "Scheduled")]
    answers.put(
        GAMES, 2, schedule(july_14=[listing(9001, "F", officialDate="2024-07-12", resumedFromDate="2024-07-12")])
    )
    assert brought_up() == [(JULY_14, "Final")]
    answers.put(
        GAMES, 3, schedule(july_12=[listing(9001, "F", officialDate="2024-07-12", resumeGameDate="2024-07-14")])
    )
    assert brought_up() == [(JULY_12, "Final")]


def test_a_player_can_have_lines_for_both_teams(answers: Answers) -> None:
    """Traded between the halves of a suspended game: a row for each team, each with its own line."""

    def team(id_: int, hits: int) -> dict[str, Any]:
        player = {"person": {"id": 7, "fullName": "Pat Arm"}, "stats": {"batting": {"atBats": 4, "hits": hits}}}
        return {"team": {"id": id_, "name": f"Team {id_}"}, "players": {"ID7": player}}

    box = {"teams": {"home": team(1, 3), "away": team(2, 0)}, "officials": []}
    answers.put("game/boxscore", 0, box, "9001")
    answers.put("game/live_game_v1", 0, feed(9001, JULY_12))
    report = answers.run("game/boxscore", "game.boxscore_batting")
    assert report.held == []
    found = answers.rows("SELECT team_id, side, player_id, hits, game_date FROM game.boxscore_batting ORDER BY 1")
    assert found == [(1, "home", 7, 3, JULY_12), (2, "away", 7, 0, JULY_12)]
