"""Every value of every capture besides the live feeds is in the tables, as an independent reading of the JSON says."""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import reading_game
import reading_lists
from all_captures import Everything
from psycopg import sql
from reading import Key, Row, add_up, at, differences, typed

from mlb_platform.extraction.specs import merge_spec

Reader = Callable[[Any], dict[str, list[Row]]]
READERS: dict[str, Reader] = {
    "game/boxscore": reading_game.boxscore, "game/linescore": reading_game.linescore,
    "game/play_by_play": reading_game.play_by_play, "schedule/schedule": reading_lists.schedule,
    "schedule/postseason": reading_lists.postseason, "schedule/postseason_series": reading_lists.postseason_series,
    "person/person": reading_lists.person, "team/team": reading_lists.team, "team/roster": reading_lists.roster,
    "venue/venue": reading_lists.venue, "season/seasons": reading_lists.seasons,
}  # fmt: skip
COMPLETE = ("game/boxscore", "game/linescore", "game/play_by_play", "team/roster")
"""Methods whose responses are complete: the newest of an entity counts, alone."""
MOVES_ONLY = {k: v for k, v in reading_lists.GAME_CLEARS.items() if k != "current_inning"}
CLEARS: dict[str, Mapping[str, Sequence[str]]] = {
    "schedule.games": reading_lists.GAME_CLEARS,
    "schedule.postseason_games": reading_lists.GAME_CLEARS,
    "schedule.postseason_series_games": MOVES_ONLY,
}


def test_every_mapping_besides_the_feed_has_a_reader(everything: Everything) -> None:
    """None is left unchecked."""
    assert set(everything.platform.registry.mappings) - {"game/live_game_v1"} == set(READERS)


def test_every_file_is_stored_or_refused_for_its_lack_of_an_id(everything: Everything, captures: Path) -> None:
    """Three captures of game/* name no game; nothing else is refused, and what no mapping takes is named."""
    ingested = everything.ingested
    lines = [line.split("\t") for line in (captures / "INDEX.tsv").read_text("utf-8").splitlines()[1:]]
    nameless = sorted(p for p, endpoint, method, id_, *_ in lines if endpoint == "game" and not id_)
    assert sorted(str(Path(r.source).relative_to(captures)) for r in ingested.rejections) == nameless
    assert len(nameless) == 3
    assert {r.reason for r in ingested.rejections} == {
        "no id: neither the request nor the payload says what it is of"
    }  # fmt: skip
    taken = {*everything.platform.registry.mappings, "team/teams"}
    others = sum(f"{endpoint}/{method}" not in taken for _, endpoint, method, *_ in lines)
    assert ingested.skipped.total() == others
    assert ingested.stored == len(lines) - len(nameless) - others


def test_nothing_is_held_back_and_every_value_fits(everything: Everything) -> None:
    """No error rule is broken by a real response, and no value fails its cast but placeholders of rates."""
    for name, report in everything.reports.items():
        assert report.held == [] and report.cast_failures == 0, name
    quality = everything.platform.quality
    raw_tables = [m.config.source.raw_table for m in everything.platform.registry.mappings.values()]
    values = {(f.value, f.lenient) for t in raw_tables for f in quality.cast_failures(t)}
    assert values <= {(v, True) for v in (".---", "-.--", "-", "*.**", "---")}, values


@pytest.fixture(scope="module")
def official_dates(captures: Path) -> dict[str, str]:
    """The official date of each game, as the feeds themselves say."""
    found = {}
    for path in sorted((captures / "game" / "live_game_v1").glob("*.json.gz")):
        doc = json.loads(gzip.decompress(path.read_bytes()))
        when = doc["gameData"]["datetime"]
        found[str(doc["gamePk"])] = when.get("officialDate") or when["originalDate"]
    return found


def raw_documents(everything: Everything, raw_table: str) -> Iterator[tuple[str, datetime, Any]]:
    """Yield entity, time and document of every raw row, oldest first; of one time by the hash of the content."""
    query = sql.SQL(
        "SELECT entity_key, captured_at, data FROM {} "
        "ORDER BY coalesce(last_seen_at, captured_at), content_hash COLLATE \"C\""
    ).format(sql.Identifier(*raw_table.split(".")))  # fmt: skip
    with everything.platform.postgres.connect() as connection:
        yield from connection.execute(query)


def rows_by_hand(everything: Everything, name: str, official: dict[str, str]) -> dict[str, list[Row]]:
    """Return what the responses of a method say, by table, oldest first, with the columns of their entity."""
    mapping = everything.platform.registry.get(name)
    found: dict[str, list[Row]] = defaultdict(list)
    newest: dict[str, dict[str, list[Row]]] = {}
    for entity, _, doc in raw_documents(everything, mapping.config.source.raw_table):
        read = READERS[name](doc)
        for table, rows in read.items():
            found[table] += [] if name in COMPLETE else rows
        if name in COMPLETE:
            newest[entity] = read
    for entity, tables in newest.items():
        of_game = {"game_pk": entity, "game_date": official.get(entity)}
        of_entity = of_game if name != "team/roster" else {"roster_key": entity, "roster_date": entity.split("/")[2]}
        for table, rows in tables.items():
            found[table] += [of_entity | row for row in rows]
    return found


@pytest.mark.parametrize("name", READERS)
def test_tables_hold_what_the_responses_say(everything: Everything, official_dates: dict[str, str], name: str) -> None:
    """Row by row and column by column, in both sinks; members that no table has a column for are told too."""
    mapping = everything.platform.registry.get(name)
    by_hand = rows_by_hand(everything, name, official_dates)
    assert set(by_hand) == {t.name for t in mapping.targets}
    wrong: list[str] = []
    for target in mapping.targets:
        types = {c.name: str(c.type) for c in target.columns if not c.technical}
        listed: list[tuple[Key, Row]] = []
        for row in by_hand[target.name]:
            made = {n: typed(v, types[n]) if n in types else v for n, v in row.items()}
            listed.append((tuple(made.get(k) for k in target.key), made))
        wanted = add_up(listed, CLEARS.get(target.name, {}))
        assert wanted, target.name
        for sink in everything.platform.stores.sinks:
            rows = sink.fetch(merge_spec(target)).select(list(types)).to_pylist()
            got = {tuple(r[k] for k in target.key): r for r in rows}
            assert len(got) == len(rows)
            wrong += [f"{sink.name}: {w}" for w in differences(target.name, types, got, wanted)]
    assert not wrong, f"{len(wrong)} differences, such as:\n" + "\n".join(wrong[:15])


LINKED = {"people": ("person.person", "person_id", "full_name"), "teams": ("team.team", "team_id", "team_name"),
          "venues": ("venue.venue", "venue_id", "venue_name")}  # fmt: skip


def linked_objects(value: Any) -> Iterator[tuple[str, int, str]]:
    """Yield kind, id and name of every person, team and venue anywhere in a document, by the address each carries.

    One without a name is a mere reference.
    """
    if isinstance(value, dict):
        address = re.fullmatch(r"/api/v1/(people|teams|venues)/(\d+)", str(value.get("link")))
        name = value.get("fullName", value.get("name"))
        if address and name and value.get("id") == int(address[2]):
            yield address[1], value["id"], name
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(child, dict | list):
            yield from linked_objects(child)


def test_every_person_team_and_venue_of_any_response_is_in_its_table(everything: Everything, captures: Path) -> None:
    """Wherever a response carries one, its table has a row with one of the names the responses give it."""
    refused = {Path(r.source) for r in everything.ingested.rejections}
    names: dict[tuple[str, int], set[str]] = defaultdict(set)
    for endpoint in ("game", "schedule", "person", "team", "venue"):
        for path in (captures / endpoint).rglob("*.json.gz"):
            if path in refused or path.parent.name == "live_game_diff_patch_v1":
                continue
            for kind, id_, name in linked_objects(json.loads(gzip.decompress(path.read_bytes()))):
                names[kind, id_].add(name)
    assert {kind for kind, _ in names} == set(LINKED)
    with everything.platform.postgres.connect() as connection:
        for kind, (table, key, label) in LINKED.items():
            held = dict(connection.execute(f"SELECT {key}, {label} FROM {table}".encode()).fetchall())
            of_kind = {id_: found for (k, id_), found in names.items() if k == kind}
            absent = sorted(of_kind.keys() - held.keys())
            assert not absent, f"{kind} without a row: {absent[:10]}"
            other = {i: (held[i], found) for i, found in of_kind.items() if held[i] not in found}
            assert not other, f"{kind} under another name: {dict(list(other.items())[:5])}"


def rows(everything: Everything, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with everything.platform.postgres.connect() as connection:
        return [tuple(r) for r in connection.execute(query.encode()).fetchall()]


def test_innings_are_counted_in_outs_and_placeholders_are_null(everything: Everything, captures: Path) -> None:
    """5.2 innings are 17 outs in every line, whoever wrote it; .--- and -.-- are no numbers."""
    for table in ("game.boxscore_pitching", "game.live_game_player_pitching"):
        found = rows(everything, f"SELECT innings_pitched, outs FROM {table}")
        assert found and all(outs == reading_game.outs_of(innings) for innings, outs in found), table
    path = next((captures / "game" / "boxscore").glob("747175*"))
    doc = json.loads(gzip.decompress(path.read_bytes()))
    unsure = {
        (doc["teams"][side]["team"]["id"], p["person"]["id"])
        for side in ("home", "away")
        for p in doc["teams"][side]["players"].values()
        if at(p, "stats.batting.stolenBasePercentage") == ".---"
    }
    null = rows(
        everything, "SELECT team_id, player_id FROM game.boxscore_batting WHERE stolen_base_percentage IS NULL"
    )  # fmt: skip
    assert unsure and set(null) == unsure


def test_local_and_utc_dates_are_told_apart(everything: Everything) -> None:
    """A night game of 12 July starts on the 13th (UTC): its rows lie under the 12th, its start is the 13th's."""
    night = rows(
        everything, "SELECT DISTINCT game_date FROM game.boxscore_players WHERE game_pk = 747175"
    )  # fmt: skip
    assert night == [(date(2024, 7, 12),)]
    start = rows(everything, "SELECT game_datetime FROM game.live_game_metadata WHERE game_pk = 747175")
    assert start[0][0].astimezone(UTC) == datetime(2024, 7, 13, 1, 40, tzinfo=UTC)
    moved = rows(
        everything,
        "SELECT count(*), bool_and(official_date = schedule_date) FROM schedule.games "
        "WHERE (game_datetime AT TIME ZONE 'UTC')::date > schedule_date AND coded_game_state = 'F'",
    )
    assert moved[0][0] > 0 and moved[0][1]


def test_a_game_listed_twice_has_one_current_row(everything: Everything, captures: Path) -> None:
    """Of the listings of a postponed or suspended game the view takes the one that was played, under its date."""
    listings: dict[int, list[tuple[str, Any]]] = defaultdict(list)
    for path in sorted((captures / "schedule" / "schedule").glob("*.json.gz")):
        for day in json.loads(gzip.decompress(path.read_bytes()))["dates"]:
            for game in day["games"]:
                listings[game["gamePk"]].append((day["date"], game))
    current = {pk: (str(day), state) for pk, day, state in rows(
        everything, "SELECT game_pk, schedule_date, coded_game_state FROM schedule.current_games"
    )}  # fmt: skip
    assert current.keys() == listings.keys()
    assert rows(everything, "SELECT count(*) FROM schedule.current_games") == [(len(listings),)]
    twice = {pk: found for pk, found in listings.items() if len({day for day, _ in found}) > 1}
    assert twice
    for pk, found in twice.items():
        assert rows(everything, f"SELECT count(*) FROM schedule.games WHERE game_pk = {pk}") == [
            (len({day for day, _ in found}),)
        ]
        played = {day for day, g in found if g["status"]["codedGameState"] in ("F", "O")}
        if played:
            officially = {day for day, g in found if day in played and g.get("officialDate", day) == day} or played
            assert current[pk] == (max(officially), "F"), pk
        else:
            assert current[pk][0] in {day for day, _ in found}


def test_a_rosters_own_kind_wins_and_seasons_are_one_text(everything: Everything, captures: Path) -> None:
    """The file of an active roster whose answer says fullSeason is one of the full season; 2024 and "2024" are one."""
    asked = [line for line in (captures / "INDEX.tsv").read_text("utf-8").splitlines() if "rosterType=active" in line]
    assert asked and "team/roster/147" in asked[0]
    kinds = rows(everything, "SELECT DISTINCT team_id, roster_type FROM team.roster ORDER BY 1")
    assert kinds == [(133, "active"), (147, "fullSeason")]
    for table in ("team.team", "schedule.games", "venue.venue", "person.person_stats", "season.seasons"):
        name = "season_id" if table == "season.seasons" else "season"
        found = rows(everything, f"SELECT DISTINCT {name} FROM {table} WHERE {name} IS NOT NULL")
        assert found and all(re.fullmatch(r"\d{4}", season) for (season,) in found), table
