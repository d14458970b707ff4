"""The simulated API over real HTTP on loopback: paths, conditional requests, time codes, patches, faults, replay."""

from __future__ import annotations

import gzip
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import jsonpatch
import orjson
import pytest

from mlb_platform.cli.main import run
from mlb_platform.simulator import simulate_games, write_captures_folder
from mlb_platform.simulator.api import Faults, ServeOptions, Serving, serving
from resources.errors import PlatformError

Json = dict[str, Any]
PATIENT = 60.0  # seconds: other tests may keep every processor busy meanwhile
LATE = datetime(2024, 7, 9, tzinfo=UTC)
EVENING = datetime(2024, 7, 2, 1, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    """A server in the evening of July 1st whose time all but stands still."""
    with serving(ServeOptions(start=EVENING, speed=0.001)) as found:
        yield found


@pytest.fixture(scope="module")
def client(server: Serving) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=PATIENT) as found:
        yield found


@pytest.fixture(scope="module")
def live(client: httpx2.Client) -> int:
    """A game that is going on."""
    answer = client.get("/api/v1/schedule", params={"sportId": 1, "date": "2024-07-01"}).json()
    rows = [game for day in answer["dates"] for game in day["games"]]
    return int(next(row["gamePk"] for row in rows if row["status"]["detailedState"] == "In Progress"))


def test_the_clock_tells_the_simulated_time(client: httpx2.Client, server: Serving) -> None:
    told = client.get("/simulator/clock").json()
    assert abs((datetime.fromisoformat(told["now"]) - EVENING).total_seconds()) < 5
    assert told["speed"] == 0.001
    assert server.clock_url == f"{server.url}/simulator/clock"


def test_time_passes_at_the_speed_asked_for() -> None:
    with serving(ServeOptions(start=EVENING, speed=600)) as found:
        began, first = time.monotonic(), httpx2.get(found.clock_url, timeout=PATIENT).json()["now"]
        time.sleep(0.5)
        second = httpx2.get(found.clock_url, timeout=PATIENT).json()["now"]
        passed = (datetime.fromisoformat(second) - datetime.fromisoformat(first)).total_seconds()
        assert 300 <= passed <= 600 * (time.monotonic() - began)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/schedule?sportId=1&startDate=2024-07-01&endDate=2024-07-03&hydrate=team,linescore",
        "/api/v1/schedule/postseason?season=2023",
        "/api/v1/schedule/postseason/series?season=2023",
        "/api/v1/people?personIds=900000,900001&hydrate=currentTeam",
        "/api/v1/teams?sportId=1&season=2024",
        "/api/v1/teams/901?season=2024",
        "/api/v1/teams/901/roster?rosterType=40Man",
        "/api/v1/teams/901/roster/active?date=2024-07-01",
        "/api/v1/venues?venueIds=9100,9101&hydrate=location,timezone,fieldInfo",
        "/api/v1/seasons?sportId=1&season=2024",
        "/api/v1/seasons/all?sportId=1",
        "/api/v1/gameStatus",
        "/api/v1/game/changes?updatedSince=2024-07-02T00:50:00Z&sportId=1",
    ],
)
def test_the_paths_of_the_api_are_answered_with_json(client: httpx2.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    parts = [part for key, part in response.json().items() if isinstance(part, list)] if isinstance(
        response.json(), dict
    ) else [response.json()]  # fmt: skip
    assert any(parts), path


@pytest.mark.parametrize("path", ["/api/v1.1/game/5/feed/live", "/api/v1/teams/5", "/api/v1/nothing", "/"])
def test_what_is_not_there_is_not_found(client: httpx2.Client, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "teams?season=99999999999999999999", "teams/901?season=0", "seasons?season=20240701", "seasons?season=x",
        "seasons?season=9999", "schedule/postseason?season=0", "game/changes?updatedSince=0001-01-01",
        "game/changes?updatedSince=2024-07-01&limit=x", "schedule?date=2024-02-30", "people?personIds=1,x",
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_a_bad_request(client: httpx2.Client, path: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 400 and answer.json()["message"]


def test_a_poll_before_the_next_change_is_not_modified(client: httpx2.Client, live: int) -> None:
    path = f"/api/v1.1/game/{live}/feed/live"
    first = client.get(path)
    assert first.headers["content-encoding"] == "gzip"
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.json() == first.json()


def test_the_patches_between_time_codes_lead_from_one_state_to_the_next(client: httpx2.Client, live: int) -> None:
    path = f"/api/v1.1/game/{live}/feed/live"
    codes = client.get(f"{path}/timestamps").json()
    assert codes == sorted(set(codes)) and len(codes) > 30
    for start, end in ((codes[2], codes[3]), (codes[-20], codes[-1]), (codes[-2], codes[-1])):
        before = client.get(path, params={"timecode": start}).json()
        after = client.get(path, params={"timecode": end}).json()
        assert (before["metaData"]["timeStamp"], after["metaData"]["timeStamp"]) == (start, end)
        asked = client.get(f"{path}/diffPatch", params={"startTimecode": start, "endTimecode": end}).json()
        assert all(list(part) == ["diff"] for part in asked)
        for part in asked:
            before = jsonpatch.apply_patch(before, part["diff"])
        assert before == after
    assert client.get(path).json() == client.get(path, params={"timecode": codes[-1]}).json()
    assert client.get(path, params={"timecode": "nonsense"}).status_code == 400


def test_at_speed_a_game_goes_from_preview_to_final_over_http() -> None:
    """Polled as fast as it answers: more and more plays, each state once, and the end is batch's."""
    expected = next(simulate_games(1, date(2024, 7, 1), 1))
    start = expected.game.scheduled.start.replace(tzinfo=UTC) - timedelta(minutes=15)
    with serving(ServeOptions(start=start, speed=3000, games=1)) as found, httpx2.Client(timeout=PATIENT) as ask:
        url, seen, counts = f"{found.url}/api/v1.1/game/{expected.game_pk}/feed/live", [], []
        deadline = time.monotonic() + 2 * PATIENT
        while not seen or seen[-1] != "Final":
            assert time.monotonic() < deadline, seen
            feed = ask.get(url).json()
            counts.append(len(feed["liveData"]["plays"]["allPlays"]))
            name = feed["gameData"]["status"]["detailedState"]
            seen += [name] if not seen or seen[-1] != name else []
    passed = ["Warmup", "In Progress", "Game Over", "Final"]
    assert "In Progress" in seen and seen == [name for name in passed if name in seen]  # each once, in this order
    assert counts == sorted(counts) and len(set(counts)) > 5
    assert feed == expected.payload


def test_faults_come_as_often_as_asked_in_the_same_order_and_never_at_the_clock() -> None:
    faults = Faults(too_many=0.15, error=0.15, html=0.15, cut=0.15, slow=0.05, slow_seconds=0.01)

    def outcomes() -> list[str]:
        found = []
        with (
            serving(ServeOptions(start=EVENING, speed=0.001, games=1, faults=faults)) as made,
            httpx2.Client(timeout=PATIENT) as ask,
        ):
            for _ in range(120):
                assert ask.get(made.clock_url).status_code == 200
                try:
                    answer = ask.get(f"{made.url}/api/v1/teams?sportId=1")
                except httpx2.RemoteProtocolError:
                    found.append("cut")
                    continue
                if answer.status_code == 429:
                    assert int(answer.headers["retry-after"]) >= 1
                html = answer.status_code == 200 and answer.content.startswith(b"<!DOCTYPE html>")
                found.append("html" if html else str(answer.status_code))
        return found

    first = outcomes()
    counts = Counter(first)
    assert set(counts) == {"200", "429", "500", "503", "cut", "html"}
    assert 30 < counts["200"] < 75 and all(counts[kind] > 5 for kind in ("429", "cut", "html"))
    assert outcomes() == first


def test_captures_are_replayed_as_of_the_simulated_time(tmp_path: Path) -> None:
    games = list(simulate_games(2, date(2024, 7, 1), 3))
    write_captures_folder(games, tmp_path, every_endpoint=True)
    with serving(ServeOptions(replay=tmp_path, start=LATE, speed=1)) as found:
        for capture in games:
            answer = httpx2.get(f"{found.url}/api/v1.1/game/{capture.game_pk}/feed/live", timeout=PATIENT)
            assert answer.json() == capture.payload
            assert httpx2.get(f"{found.url}/api/v1/game/{capture.game_pk}/boxscore", timeout=PATIENT).status_code == 200
        listed = httpx2.get(f"{found.url}/api/v1/schedule?sportId=1&date=2024-07-01", timeout=PATIENT).json()
        assert {g["gamePk"] for d in listed["dates"] for g in d["games"]} == {c.game_pk for c in games}
        assert httpx2.get(f"{found.url}/api/v1.1/game/1/feed/live", timeout=PATIENT).status_code == 404
        club = games[0].game.scheduled.home.id
        for path in (f"teams/{club}", f"teams?teamId={club}&season=2024"):
            teams = httpx2.get(f"{found.url}/api/v1/{path}", timeout=PATIENT).json()["teams"]
            assert [team["id"] for team in teams] == [club]


def test_of_several_captures_the_newest_not_later_than_the_time_is_replayed(tmp_path: Path) -> None:
    rows = ["path\tendpoint\tmethod\tid\tcaptured_at"]
    for n, hour in enumerate((10, 12, 14)):
        (tmp_path / f"{n}.json.gz").write_bytes(gzip.compress(orjson.dumps({"copyright": "", "n": n})))
        rows.append(f"{n}.json.gz\tgame\tlive_game_v1\t77\t2024-07-01T{hour}:00:00Z")
    (tmp_path / "INDEX.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for hour, expected in ((9, 0), (11, 0), (13, 1), (20, 2)):
        start = datetime(2024, 7, 1, hour, tzinfo=UTC)
        with serving(ServeOptions(replay=tmp_path, start=start, speed=0.001)) as found:
            assert httpx2.get(f"{found.url}/api/v1.1/game/77/feed/live", timeout=PATIENT).json()["n"] == expected


@pytest.mark.parametrize(
    ("index", "problem"),
    [
        (b"path\tendpoint\tmethod\tid\na\tgame\tboxscore\t1\n", "has no column captured_at"),
        (b"path\tendpoint\tmethod\tcaptured_at\na\tgame\tboxscore\tyesterday\n", "'yesterday' is no ISO time"),
        (b"path\tendpoint\tmethod\tcaptured_at\na\tgame\tboxscore\t2024-07-01\n", "has no time zone"),
        (
            b"path\tendpoint\tmethod\tcaptured_at\na\tgame\tboxscore\t0001-01-01T00:00:00+05:00\n",
            "not between the years",
        ),
        (b"\xff\xfe\n", "is no UTF-8 text"),
        (b"path\tendpoint\tmethod\tcaptured_at\n", "names no capture"),
    ],
)
def test_an_index_that_cannot_be_replayed_is_told(
    index: bytes, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "INDEX.tsv").write_bytes(index)
    assert run(["simulate", "serve", "--port", "0", "--replay", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert problem in told and "unexpected" not in told


def test_what_cannot_be_replayed_is_answered_with_an_error_and_why(tmp_path: Path) -> None:
    """A capture that is gone or cut, and a time code that is none."""
    index = "path\tendpoint\tmethod\tid\tcaptured_at\n"
    for pk, path in ((1, "gone.json"), (2, "cut.json.gz")):
        index += f"{path}\tgame\tlive_game_v1\t{pk}\t2024-07-01T10:00:00Z\n"
    (tmp_path / "INDEX.tsv").write_text(index, encoding="utf-8-sig")
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b"{}" * 100)[:-12])
    with serving(ServeOptions(replay=tmp_path, speed=1)) as found:
        for pk, query, status, told in (
            (1, "", 500, "gone.json cannot be read"), (2, "", 500, "cut.json.gz cannot be read"),
            (1, "?timecode=now", 400, "'now' is no time code"),
        ):  # fmt: skip
            answer = httpx2.get(f"{found.url}/api/v1.1/game/{pk}/feed/live{query}", timeout=PATIENT)
            assert answer.status_code == status and told in answer.json()["message"]


def test_a_port_in_use_is_named(server: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    with pytest.raises(PlatformError, match=f"port {port} is in use"), serving(ServeOptions(), port):
        pass
    assert run(["simulate", "serve", "--port", str(port)]) == 1
    assert f"port {port} is in use" in capsys.readouterr().err
