"""Every column of every row of the feed's tables equals an independent reading of the JSON, for captures and others.

The feeds made here are there for every clone; the captures are added where MLB_CAPTURES names them.
"""

from __future__ import annotations

import copy
import csv
import gzip
import json
import math
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from feed_reader import read_feed
from pyspark.sql import SparkSession

from mlb_platform.extraction.collect import RAW_ID, Document, TableRows, collect
from mlb_platform.extraction.extract import interpreting_session
from mlb_platform.extraction.project import Projection
from mlb_platform.mapping.loader import load_file
from mlb_platform.mapping.resolve import ResolvedMapping, resolve
from mlb_platform.simulator import live_capture, preview_capture, simulate_games

MAPPING = Path(__file__).parents[2] / "mapping_configs" / "game" / "live_game_v1.yaml"
CAPTURES = Path(os.environ.get("MLB_CAPTURES", "captures-not-given"))
CAPTURED_AT = datetime(2026, 9, 1, 12, tzinfo=UTC)

MANAGER = 4815162

Row = dict[str, Any]


@pytest.fixture(scope="module")
def mapping() -> ResolvedMapping:
    """Return the shipped mapping."""
    return resolve(load_file(MAPPING))


@pytest.fixture(scope="module")
def expected() -> list[dict[str, str]]:
    """Return the lines of EXPECTED_ROWS.tsv, if there are captures; a capture's place among them is its raw id here."""
    if not (CAPTURES / "EXPECTED_ROWS.tsv").is_file():
        return []
    with (CAPTURES / "EXPECTED_ROWS.tsv").open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def odd_game(feed: Row) -> Row:
    """Return a game with what is rare: a pitcher without outs, a player on both sides, an ejected manager, a name for
    a runner."""
    feed = copy.deepcopy(feed)
    box, plays = feed["liveData"]["boxscore"]["teams"], feed["liveData"]["plays"]["allPlays"]
    pitcher = box["home"]["players"][f"ID{box['home']['pitchers'][0]}"]["stats"]["pitching"]
    del pitcher["outs"]
    pitcher["inningsPitched"] = "5.2"
    for line in (pitcher, box["home"]["teamStats"]["pitching"]):
        line |= {"runsScoredPer9": "-.--", "stolenBasePercentage": ".---"}
    both = box["home"]["battingOrder"][2]
    box["away"]["players"][f"ID{both}"] = box["home"]["players"][f"ID{both}"]
    events = plays[3]["playEvents"]
    count = events[-1]["count"]
    details = {"event": "Ejection", "eventType": "ejection", "description": "He argued.", "hasReview": False}
    manager = {"id": MANAGER, "link": f"/api/v1/people/{MANAGER}"}
    ejection = {"details": details, "count": count, "index": len(events), "isPitch": False, "type": "action"}
    events.append(ejection | {"player": manager})
    feed["liveData"]["linescore"]["offense"]["first"] = "Somebody"
    return feed


@pytest.fixture(scope="module")
def made() -> list[Row]:
    """Return feeds that every clone has: two games that are over, one that goes on, one to come, and an odd one."""
    games = list(simulate_games(10, date(2024, 7, 12), 7))
    live, coming = live_capture(games[2], 30, 2), preview_capture(games[3])
    return [*(capture.payload for capture in (games[4], games[9], live, coming)), odd_game(games[0].payload)]


@pytest.fixture(scope="module")
def payloads(expected: list[dict[str, str]], made: list[Row]) -> list[str]:
    """Return the JSON text of every expected capture, and of the feeds made here."""
    texts = [gzip.decompress((CAPTURES / line["path"]).read_bytes()).decode() for line in expected]
    return texts + [json.dumps(feed) for feed in made]


@pytest.fixture(scope="module")
def planned(spark: SparkSession) -> SparkSession:
    """Return a session that plans as a run does."""
    return interpreting_session(spark)


@pytest.fixture(scope="module", params=[False, True], ids=["quick", "thorough"])
def extracted(
    request: pytest.FixtureRequest, planned: SparkSession, mapping: ResolvedMapping, payloads: list[str]
) -> tuple[list[Document], dict[str, TableRows]]:
    """Extract all captures in one job, quickly and as documents with misfits are."""
    projection = Projection(mapping, thorough=request.param)
    rows = [(i, CAPTURED_AT, text) for i, text in enumerate(payloads)]
    source = planned.createDataFrame(rows, "raw_id bigint, captured_at timestamp, data string")
    documents, tables = collect(projection, projection.collectable(projection.parse(source)).toArrow())
    return documents, {t.target.name: t for t in tables}


def rows_of(table: TableRows, raw_id: int, columns: list[str]) -> list[Row]:
    """Return one capture's rows of a table; identical rows count once, as in the merged table."""
    mine = table.rows.filter([i == raw_id for i in table.rows.column(RAW_ID).to_pylist()]).select(columns).to_pylist()
    return list({repr(sorted(row.items())): row for row in mine}.values())


def same(got: Any, want: Any) -> bool:
    """Return whether two values are equal and of one kind; times are compared as instants."""
    if isinstance(want, float) and isinstance(got, float):
        return math.isclose(got, want, rel_tol=1e-15, abs_tol=0.0)
    if isinstance(want, datetime) and isinstance(got, datetime):
        return got.astimezone(UTC) == want
    return type(got) is type(want) and got == want


def test_the_reader_and_the_mapping_have_the_same_columns(mapping: ResolvedMapping, payloads: list[str]) -> None:
    """The reading by hand covers every column that comes from the document: none is left unchecked."""
    read = [read_feed(json.loads(text)) for text in payloads]
    assert set(read[0]) == {t.name for t in mapping.targets}
    for target in mapping.targets:
        rows = [row for tables in read for row in tables[target.name]]
        assert rows, target.name
        assert set(rows[0]) == {c.name for c in target.columns if not c.technical}, target.name


def test_row_counts_are_the_expected_ones(
    mapping: ResolvedMapping, expected: list[dict[str, str]], extracted: tuple[list[Document], dict[str, TableRows]]
) -> None:
    """Each capture has its game date and exactly the rows of EXPECTED_ROWS.tsv in each table that it counts."""
    if not expected:
        pytest.skip("MLB_CAPTURES names no folder of captures with EXPECTED_ROWS.tsv")
    documents, tables = extracted
    found: dict[int, dict[str, str]] = {}
    for document in documents:
        if document.raw_id >= len(expected):
            continue
        counts = {
            t.name.removeprefix("game."): str(len(rows_of(tables[t.name], document.raw_id, [*t.key, "game_date"])))
            for t in mapping.targets
            if t.name.removeprefix("game.") in expected[0]
        }
        path = expected[document.raw_id]["path"]
        found[document.raw_id] = {"path": path, "game_pk": str(document.entity), "game_date": str(document.partition)}
        found[document.raw_id] |= counts
    assert [found[i] for i in range(len(expected))] == expected
    assert not any(d.corrupt for d in documents)


def test_every_value_equals_the_reading_by_hand(
    mapping: ResolvedMapping, payloads: list[str], extracted: tuple[list[Document], dict[str, TableRows]]
) -> None:
    """Column by column: decimals rounded half up, times in UTC, look-ups, defaults and expressions included."""
    tables, wrong = extracted[1], []
    for raw_id, text in enumerate(payloads):
        wanted = read_feed(json.loads(text))
        for target in mapping.targets:
            columns = [c.name for c in target.columns if not c.technical]
            as_json = [c.name for c in target.columns if c.type.name == "JSONB" and not c.technical]
            rows = {tuple(r[k] for k in target.key): r for r in rows_of(tables[target.name], raw_id, columns)}
            by_key = {tuple(r[k] for k in target.key): r for r in wanted[target.name]}
            assert rows.keys() == by_key.keys(), (target.name, raw_id)
            for row in rows.values():
                row |= {name: None if row[name] is None else json.loads(row[name]) for name in as_json}
            wrong += [
                (raw_id, target.name, key, column, row[column], by_key[key][column])
                for key, row in rows.items()
                for column in columns
                if not same(row[column], by_key[key][column])
            ]
    assert not wrong, f"{len(wrong)} values differ, such as {wrong[:10]}"


def test_only_placeholders_of_lenient_columns_fail_their_cast(
    extracted: tuple[list[Document], dict[str, TableRows]],
) -> None:
    """Types and lengths hold every value of the captures but what stands where there is no rate: .---, -.-- and -.

    They are told by the quick pass too, and none of them makes a document need a second look.
    """
    assert [name for name, table in extracted[1].items() if any(table.misfit.to_pylist())] == []
    failed: set[tuple[str, str]] = set()
    values: set[str] = set()
    for name, table in extracted[1].items():
        for found in table.misfits.flatten().to_pylist() if table.misfits is not None else ():
            field = table.columns[found["c"]].field
            assert field is not None and field.lenient, f"{name}.{table.columns[found['c']].name}: {found['v']}"
            failed.add((name, field.name))
            values.add(found["v"])
    assert {".---", "-.--"} <= values <= {".---", "-.--", "-"}
    assert ("game.live_game_player_batting", "at_bats_per_home_run") in failed


@pytest.fixture
def odd(extracted: tuple[list[Document], dict[str, TableRows]], payloads: list[str]) -> Callable[[str], list[Row]]:
    """Return the rows of the odd game in a table, named by what follows game.live_game_."""
    tables, raw_id = extracted[1], len(payloads) - 1

    def rows(name: str) -> list[Row]:
        table = tables[f"game.live_game_{name}"]
        return rows_of(table, raw_id, [c.name for c in table.target.columns if not c.technical])

    return rows


def test_innings_are_outs_and_placeholders_are_no_rates(odd: Callable[[str], list[Row]], made: list[Row]) -> None:
    """5.2 innings are 17 outs where the feed does not say them; .--- and -.-- are null beside rates that are there."""
    starter = made[-1]["liveData"]["boxscore"]["teams"]["home"]["pitchers"][0]
    lines = {row["player_id"]: row for row in odd("player_pitching")}
    mine = lines.pop(starter)
    assert (mine["innings_pitched"], mine["outs_given"], mine["outs"]) == ("5.2", None, 17)
    assert (mine["runs_scored_per_9"], mine["stolen_base_percentage"]) == (None, None)
    assert isinstance(mine["home_runs_per_9"], Decimal)
    assert all(row["outs"] == row["outs_given"] is not None for row in lines.values())


def test_a_player_listed_for_both_teams_has_a_line_for_each(odd: Callable[[str], list[Row]], made: list[Row]) -> None:
    """He is one person without a team of his own in the list of players."""
    player = made[-1]["liveData"]["boxscore"]["teams"]["home"]["battingOrder"][2]
    teams = {made[-1]["gameData"]["teams"][side]["id"] for side in ("home", "away")}
    for table in ("player_batting", "player_fielding"):
        assert {row["team_id"] for row in odd(table) if row["player_id"] == player} == teams
    (person,) = [row for row in odd("players") if row["player_id"] == player]
    assert (person["side"], person["team_id"]) == ("both", None)


def test_an_ejected_manager_is_in_the_actions_and_in_no_list(odd: Callable[[str], list[Row]]) -> None:
    (ejection,) = [row for row in odd("play_actions") if row["player_id"] == MANAGER]
    assert (ejection["at_bat_index"], ejection["event_type"]) == (3, "ejection")
    assert MANAGER not in {row["player_id"] for row in odd("players")}


def test_credits_lie_three_levels_deep(odd: Callable[[str], list[Row]], made: list[Row]) -> None:
    """Each credit keeps the play and the runner it lies in; every out has exactly one putout."""
    found = odd("fielding_credits")
    keys = [(row["at_bat_index"], row["runner_index"], row["credit_index"]) for row in found]
    plays = made[-1]["liveData"]["plays"]["allPlays"]
    nested = [len(runner["credits"]) for play in plays for runner in play["runners"]]
    assert len(keys) == len(set(keys)) == sum(nested) and max(nested) > 1
    outs = [(row["at_bat_index"], row["runner_index"]) for row in odd("runners") if row["is_out"]]
    put_out = [(row["at_bat_index"], row["runner_index"]) for row in found if row["credit"] == "f_putout"]
    assert sorted(outs) == sorted(put_out)


def test_decisions_come_when_the_game_is_over(
    extracted: tuple[list[Document], dict[str, TableRows]], payloads: list[str], made: list[Row]
) -> None:
    """A game that goes on or is to come has none; one that is over has a winner and a loser."""
    first = len(payloads) - len(made)
    found = [
        {row["decision"] for row in rows_of(extracted[1]["game.live_game_decisions"], first + n, ["decision"])}
        for n in range(len(made))
    ]
    assert found[2] == found[3] == set()
    assert all({"winner", "loser"} <= of_game <= {"winner", "loser", "save"} for of_game in (*found[:2], found[4]))


def test_a_name_where_a_runner_is_expected_is_kept(odd: Callable[[str], list[Row]]) -> None:
    """Some feeds give a text for the runner on base: the column keeps it, and there is no identifier."""
    (now,) = odd("situation")
    assert json.loads(now["runner_on_first"]) == "Somebody" and now["runner_on_first_id"] is None
