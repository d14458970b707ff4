"""Requests to the Stats API are those of its documentation (as pymlb_statsapi keeps it) and of recorded captures."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from mlb_platform.ingestion.gate import Rejection, Request, admit, gate_specs, read_json
from mlb_platform.ingestion.statsapi import endpoints
from mlb_platform.ingestion.statsapi.endpoints import ApiRequest
from mlb_platform.ingestion.statsapi.ingest import SHAPES
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.settings import PROJECT_ROOT

DAY = date(2024, 7, 1)
REQUESTS = [
    endpoints.schedule(DAY),
    endpoints.schedule(DAY, date(2024, 7, 3), hydrate="team,linescore"),
    endpoints.postseason(2023),
    endpoints.postseason_series(2023),
    endpoints.live_feed(747175),
    endpoints.live_feed(747175, "20240713_041909"),
    endpoints.timestamps(747175),
    endpoints.diff_patch(747175, "20240713_041909", "20240713_042000"),
    endpoints.boxscore(747175),
    endpoints.linescore(747175),
    endpoints.play_by_play(747175),
    endpoints.people([660271, 605151], hydrate="currentTeam"),
    endpoints.teams(2024),
    endpoints.team(147, 2024),
    endpoints.roster(147, "active", DAY),
    endpoints.seasons(),
    endpoints.game_status(),
    endpoints.game_changes(datetime(2024, 7, 1, tzinfo=UTC), limit=100, offset=0),
]
NOT_DOCUMENTED = {"hydrate", "limit", "offset"}
"""Parameters the API takes beside those its documentation lists for an operation."""


def _documented() -> Iterator[tuple[str, dict[str, Any]]]:
    folder = files("pymlb_statsapi") / "resources/schemas/statsapi/stats_api_1_0"
    for file in folder.iterdir():
        if file.name.endswith(".json"):
            for api in json.loads(file.read_text("utf-8"))["apis"]:
                for operation in api["operations"]:
                    if operation.get("method", "GET") == "GET":
                        yield api["path"], operation


def _matches(template: str, path: str) -> bool:
    pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, path) is not None


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: f"{r.name}?{','.join(r.params)}")
def test_paths_and_parameters_are_documented(request_: ApiRequest) -> None:
    """The most literal documented path that fits has every parameter sent, and all it requires are sent."""
    path = request_.path.removeprefix("/api")
    fitting = [(t, o) for t, o in _documented() if _matches(t, path)]
    assert fitting, f"{path} is no documented path"
    literal = max(len(re.sub(r"\{[^}]*\}", "", t)) for t, _ in fitting)
    operations = [o for t, o in fitting if len(re.sub(r"\{[^}]*\}", "", t)) == literal]
    # one path can have several operations: one of them is what is asked
    problems = [_problem(request_, operation) for operation in operations]
    assert None in problems, problems


def _problem(request_: ApiRequest, operation: dict[str, Any]) -> str | None:
    query = {p["name"]: p for p in operation["parameters"] if p["paramType"] == "query"}
    unknown = set(request_.params) - set(query) - NOT_DOCUMENTED
    missing = {name for name, p in query.items() if p.get("required")} - set(request_.params)
    return f"unknown {unknown}, missing {missing}" if unknown or missing else None


def test_what_is_sent_word_by_word() -> None:
    """Values are written as the API takes them: dates ISO, time codes in UTC, ids joined by commas."""
    assert endpoints.schedule(DAY).params == {"sportId": "1", "date": "2024-07-01"}
    assert endpoints.live_feed(1, "20240713_041909").path == "/api/v1.1/game/1/feed/live"
    assert endpoints.live_feed(1, "20240713_041909").as_of == datetime(2024, 7, 13, 4, 19, 9, tzinfo=UTC)
    assert endpoints.people([3, 1, 3]).params == {"personIds": "3,1"}
    assert endpoints.game_changes(datetime(2024, 7, 1, 4, tzinfo=UTC)).params["updatedSince"] == "2024-07-01T04:00:00Z"
    batches = list(endpoints.people_batches(range(250)))
    assert [len(b.params["personIds"].split(",")) for b in batches] == [100, 100, 50]
    with pytest.raises(ValueError, match="101 ids"):
        endpoints.people(range(101))


def _request_of(name: str, id_: str) -> ApiRequest | None:
    of_game = {
        "game/live_game_v1": endpoints.live_feed, "game/boxscore": endpoints.boxscore,
        "game/linescore": endpoints.linescore, "game/play_by_play": endpoints.play_by_play,
    }  # fmt: skip
    if name in of_game:
        return of_game[name](id_) if id_ else None
    if name == "schedule/schedule":
        start, _, end = id_.partition("..")
        return (
            endpoints.schedule(date.fromisoformat(start), date.fromisoformat(end) if end else None)
            if id_[:1] == "2"
            else None
        )
    if name == "person/person":
        return endpoints.people(id_.split(","))
    if name == "team/roster":
        return endpoints.roster(id_)
    if name == "team/team":
        return endpoints.team(id_)
    if name == "team/teams":
        return endpoints.teams(2024)
    if name == "venue/venue":
        return endpoints.venues(id_.split(",")) if id_ else None
    known = {
        "season/seasons": endpoints.seasons(), "schedule/postseason": endpoints.postseason(2023),
        "schedule/postseason_series": endpoints.postseason_series(2023),
    }  # fmt: skip
    return known.get(name)


def test_the_gate_admits_recorded_answers_to_our_requests(captures: Path) -> None:
    """Every real capture that can be asked for is what its endpoint's gate takes, keyed as our request says."""
    specs = gate_specs(MappingRegistry(PROJECT_ROOT / "mapping_configs").mappings)
    rows = csv.DictReader((captures / "INDEX.tsv").read_text("utf-8").splitlines(), delimiter="\t")
    admitted: dict[str, int] = {}
    for row in rows:
        name = f"{row['endpoint']}/{row['method']}"
        body = gzip.decompress((captures / row["path"]).read_bytes())
        at = datetime.fromisoformat(row["captured_at"])
        if name in SHAPES:
            kind, members = SHAPES[name]
            found = read_json(body, Request(row["path"], at), row["endpoint"], row["method"], kind, members)
            assert not isinstance(found, Rejection), found
            admitted[name] = admitted.get(name, 0) + 1
            continue
        told = ",".join(str(v["id"]) for v in json.loads(body)["venues"]) if name == "venue/venue" else row["id"]
        request = _request_of(name, told)
        if request is None:
            continue
        made = admit(body, Request(row["path"], at, request.entity_id, dict(request.params)), specs[request.name])
        assert not isinstance(made, Rejection), f"{row['path']}: {made}"
        if name.startswith("game/"):
            assert made.entity_key == request.entity_id
        admitted[name] = admitted.get(name, 0) + 1
    assert set(specs) | {"meta/game_status", "game/live_game_diff_patch_v1"} <= set(admitted)
