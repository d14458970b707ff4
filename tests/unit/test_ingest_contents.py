"""What a response of the other endpoints is taken for: its entities, its own date, what it tells and carries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest

from mlb_platform.ingestion.gate import GateSpec, Rejection, Request, admit, gate_specs
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.settings import PROJECT_ROOT
from resources.errors import PlatformError
from resources.raw_members import DateClaim
from resources.raw_store import RawCapture

NOON = datetime(2024, 7, 13, 2, tzinfo=UTC)
VENUE = {"id": 15, "name": "Field", "link": "/api/v1/venues/15"}


@pytest.fixture(scope="module")
def specs() -> dict[str, GateSpec]:
    """The gates of the shipped mappings."""
    return gate_specs(MappingRegistry(PROJECT_ROOT / "mapping_configs").mappings)


def taken(
    specs: dict[str, GateSpec], name: str, document: dict[str, Any], id_: str | None = None, **params: Any
) -> RawCapture:
    """Return the capture that a document of a method is."""
    made = admit(orjson.dumps(document), Request("test", NOON, id_, params), specs[name])
    assert isinstance(made, RawCapture), made
    return made


def refused(specs: dict[str, GateSpec], name: str, document: dict[str, Any], id_: str | None = None) -> str:
    """Return the reason a document is refused for."""
    made = admit(orjson.dumps(document), Request("test", NOON, id_), specs[name])
    assert isinstance(made, Rejection), made
    return made.reason


def test_a_schedule_has_the_dates_in_it_and_an_empty_one_is_fine(specs: dict[str, GateSpec]) -> None:
    """Each date is an entity of its own partition; `dates: []` is an answer too, with no date and no entity."""
    days = [{"date": "2024-07-12", "games": []}, {"date": "2024-07-13", "games": []}]
    made = taken(specs, "schedule/schedule", {"dates": days})
    dated = [(m.entity_key, m.partition_date) for m in made.members]
    assert dated == [("2024-07-12", date(2024, 7, 12)), ("2024-07-13", date(2024, 7, 13))]
    assert made.partition_date is None
    assert taken(specs, "schedule/schedule", {"dates": days[:1]}).partition_date == date(2024, 7, 12)
    empty = taken(specs, "schedule/schedule", {"dates": []}, "2024-10-27")
    assert (empty.members, empty.partition_date, empty.entity_key) == ((), None, "2024-10-27")
    assert "has no date" in refused(specs, "schedule/schedule", {"dates": [{"games": []}]})
    assert refused(specs, "schedule/schedule", {"message": "x"}) == "another shape: the payload has no dates"


def test_a_schedule_tells_official_dates_and_a_feed_its_own(specs: dict[str, GateSpec]) -> None:
    """Official date first, then where a postponed game was moved to, then the date of the listing."""
    games = [
        {"gamePk": 1, "officialDate": "2024-07-14"},
        {"gamePk": 2, "rescheduleGameDate": "2024-07-15"},
        {"gamePk": 3},
        {"gamePk": None},
    ]
    made = taken(specs, "schedule/schedule", {"dates": [{"date": "2024-07-12", "games": games}]})
    assert made.claims == tuple(
        DateClaim("game_pk", key, date(2024, 7, day), own=False, listed=key == "3")
        for key, day in (("1", 14), ("2", 15), ("3", 12))
    )
    when = {"datetime": {"officialDate": "2024-07-12"}}
    feed = taken(specs, "game/live_game_v1", {"gamePk": 9, "gameData": when, "liveData": {"plays": {}}})
    assert feed.claims == (DateClaim("game_pk", "9", date(2024, 7, 12), own=True),)


def test_what_a_response_carries_is_kept_as_a_response_of_its_own(specs: dict[str, GateSpec]) -> None:
    """Venues, teams and people of a schedule, each kind once, under its key and time; without id it is no document."""
    team = {"id": 109, "name": "Team", "venue": {"id": 16, "name": "Park"}}
    game = {"gamePk": 1, "venue": VENUE, "teams": {"home": {"team": team, "probablePitcher": {"id": 7}}, "away": {}}}
    twice = {"gamePk": 2, "venue": VENUE | {"name": "Other"}, "teams": {"away": {"team": {"name": "nameless"}}}}
    made = taken(specs, "schedule/schedule", {"dates": [{"date": "2024-07-12", "games": [game, twice]}]})
    kept = {table: (part.entity_key, part.captured_at, orjson.loads(part.data)) for table, part in made.embedded}
    key = "schedule.schedule_raw:2024-07-12"
    assert kept == {
        "venue.venue_raw": (key, NOON, {"venues": [VENUE, team["venue"]]}),
        "team.team_raw": (key, NOON, {"teams": [team]}),
        "person.person_raw": (key, NOON, {"people": [{"id": 7}]}),
    }
    assert all(part.embedded == () for _, part in made.embedded)


def test_documents_of_one_key_are_put_together(specs: dict[str, GateSpec]) -> None:
    """The first path's word stands, at every depth; what it leaves out or empty is the later's; lists are whole."""
    first = {"id": 109, "name": "Team", "league": {"id": 1}, "sport": None, "tags": ["a"], "more": []}
    later = {"id": "109", "name": "Other", "league": {"id": 2, "name": "L", "of": {"x": 1}}, "sport": {"id": 3}}
    last = {"id": 109.0, "league": {"of": {"x": 2, "y": 2}}, "tags": ["b", "c"], "more": [1], "code": 0}
    person = {"id": 7, "currentTeam": first, "stats": [{"splits": [{"team": later}]}], "drafts": [{"team": last}]}
    before = orjson.dumps(person)
    made = taken(specs, "person/person", {"people": [person]})
    ((_, teams),) = [e for e in made.embedded if e[0] == "team.team_raw"]
    assert orjson.loads(teams.data)["teams"] == [
        {
            "id": 109, "name": "Team", "league": {"id": 1, "name": "L", "of": {"x": 1, "y": 2}}, "sport": {"id": 3},
            "tags": ["a"], "more": [1], "code": 0,
        }
    ]  # fmt: skip
    assert orjson.dumps(person) == before and made.refused_parts == ()


def test_what_is_carried_and_is_no_document_is_refused_by_itself(specs: dict[str, GateSpec]) -> None:
    """Each with the capture, the path and the reason; the response and what else it carries are kept."""
    teams = {"home": {"team": {"id": "x", "name": "A"}}, "away": {"team": "B"}}
    games = [{"gamePk": 1, "venue": VENUE, "teams": teams}, {"gamePk": 2, "venue": {"name": "nowhere"}}]
    made = taken(specs, "schedule/schedule", {"dates": [{"date": "2024-07-12", "games": [*games, {"venue": {}}]}]})
    assert [table for table, _ in made.embedded] == ["venue.venue_raw"]
    path = "$.dates[*].games[*]"
    said = {(p.source, p.endpoint, p.method, p.reason.partition(path)[2], p.excerpt) for p in made.refused_parts}
    assert said == {
        (f"test: {path}.venue", "venue", "venue", ".venue for venue/venue has no id", '{"name":"nowhere"}'),
        (f"test: {path}.teams.home.team", "team", "team", ".teams.home.team for team/team has 'x' for id",
         '{"id":"x","name":"A"}'),
        (f"test: {path}.teams.away.team", "team", "team", ".teams.away.team for team/team is no JSON object", '"B"'),
    }  # fmt: skip


def test_a_document_that_its_own_gate_refuses_is_refused_by_itself(specs: dict[str, GateSpec]) -> None:
    """Carried people that lack what a response of people must have: their reason, and the feed without them."""
    strict = {"name": "any", "people": "array"}
    embeds = tuple((e, replace(into, required=strict)) for e, into in specs["team/roster"].embeds)
    spec = {"team/roster": replace(specs["team/roster"], embeds=embeds)}
    made = taken(spec, "team/roster", {"teamId": 1, "rosterType": "active", "roster": [{"person": {"id": 7}}]})
    assert made.embedded == ()
    ((source, reason),) = [(p.source, p.reason) for p in made.refused_parts]
    assert (source, reason) == ("test: $.roster[*].person", "another shape: the payload has no name")


def test_what_is_told_of_an_entity_is_what_rows_are_made_of(specs: dict[str, GateSpec]) -> None:
    """Equal for two responses that differ in what no table of teams reads; another for any value that one does."""

    def told(**members: Any) -> str | None:
        team = {"id": 1, "name": "Team", "league": {"id": 2, "link": "/2"}, "record": {"wins": 1}} | members
        (member, _) = taken(specs, "team/team", {"teams": [team, {"id": 2}]}).members
        return member.told

    assert told() == told(record={"wins": 2}) == told(league={"link": "/x", "id": 2}) is not None
    assert len({told(), told(name="Other"), told(league={"id": 3}), told(season=2024), told(league=None)}) == 5
    twice = taken(specs, "team/team", {"teams": [{"id": 2}, {"id": 2, "name": "b"}]}).members
    assert [m.entity_key for m in twice] == ["2"] and twice[0].told != told()


def test_a_game_needs_the_id_of_its_request(specs: dict[str, GateSpec]) -> None:
    """A box score names no game; one without id is refused with that reason, one with a wrong id too."""
    box = {"teams": {"home": {}, "away": {}}, "officials": []}
    made = taken(specs, "game/boxscore", box, "747175")
    assert (made.entity_key, made.partition_date, made.members) == ("747175", None, ())
    assert refused(specs, "game/boxscore", box) == "no id: neither the request nor the payload says what it is of"
    assert "'many' is no BIGINT" in refused(specs, "game/boxscore", box, "many")


def test_a_rosters_key_is_its_own_team_kind_and_date(specs: dict[str, GateSpec]) -> None:
    """The answer's kind counts, not the request's; its date is the request's, else the day it was answered (UTC)."""
    roster = {"teamId": 147, "rosterType": "fullSeason", "roster": []}
    asked = taken(specs, "team/roster", roster, "147", rosterType="active", date="2024-07-01")
    assert (asked.entity_key, asked.partition_date) == ("147/fullSeason/2024-07-01", date(2024, 7, 1))
    assert taken(specs, "team/roster", roster).entity_key == "147/fullSeason/2024-07-13"
    assert refused(specs, "team/roster", {"roster": [], "teamId": 1}) == (
        "no id: the payload or the request has no $.rosterType"
    )


def test_ids_of_entities_are_their_type_however_they_are_written(specs: dict[str, GateSpec]) -> None:
    """7, 7.0 and "07" are one person; what is no number refuses the response, naming the element."""
    people = [{"id": 7}, {"id": 7.0}, {"id": "07"}, {"id": 8}]
    assert [m.entity_key for m in taken(specs, "person/person", {"people": people}).members] == ["7", "8"]
    assert refused(specs, "person/person", {"people": [{"id": 7}, {"id": "x"}]}) == (
        "another shape: element 1 of $.people[*] has 'x' for id"
    )
    assert taken(specs, "team/teams", {"teams": [{"id": 1}]}).method == "teams"


def test_documents_kept_for_no_mapping_are_an_error(specs: dict[str, GateSpec]) -> None:
    """A folder with the schedule alone says which mapping it lacks."""
    mappings = MappingRegistry(PROJECT_ROOT / "mapping_configs").mappings
    with pytest.raises(PlatformError, match=r"schedule/schedule embeds documents of .*, which is no mapping"):
        gate_specs({"schedule/schedule": mappings["schedule/schedule"]})
