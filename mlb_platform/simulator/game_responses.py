"""Stand-alone box score, line score and play-by-play of a captured game, as their endpoints answer beside the feed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from mlb_platform.simulator.captures import SimulatedCapture
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.response import SimulatedResponse

_SIDES = ("away", "home")


def box_score(capture: SimulatedCapture) -> Json:
    """Give the answer of `/api/v1/game/ID/boxscore`: the feed's, with whole teams and short names of people."""
    game_data = capture.payload["gameData"]
    box = capture.payload["liveData"]["boxscore"]
    people = game_data["players"]
    teams = {}
    for side in _SIDES:
        shown = box["teams"][side]
        players = {
            key: player | {"person": player["person"] | {"boxscoreName": people[key]["boxscoreName"]}}
            for key, player in shown["players"].items()
        }
        teams[side] = shown | {"team": game_data["teams"][side], "players": players}
    return {"copyright": capture.payload["copyright"], **box, "teams": teams}


def line_score(capture: SimulatedCapture) -> Json:
    """Give the answer of `/api/v1/game/ID/linescore`: the feed's, and who won once the game is final."""
    line = capture.payload["liveData"]["linescore"]
    result = {"copyright": capture.payload["copyright"], **line}
    if state_of(capture) == "Final":
        runs = {side: line["teams"][side]["runs"] for side in _SIDES}
        won = {"away": runs["away"] > runs["home"], "home": runs["home"] > runs["away"]}
        result["teams"] = {side: cells | {"isWinner": won[side]} for side, cells in line["teams"].items()}
    return result


def play_by_play(capture: SimulatedCapture) -> Json:
    """Give the answer of `/api/v1/game/ID/playByPlay`: the feed's plays."""
    return {"copyright": capture.payload["copyright"], **capture.payload["liveData"]["plays"]}


def state_of(capture: SimulatedCapture) -> str:
    """Give Preview, Live or Final."""
    state: str = capture.payload["gameData"]["status"]["abstractGameState"]
    return state


def feed_response(capture: SimulatedCapture) -> SimulatedResponse:
    """Give the live feed itself as a response."""
    game_data = capture.payload["gameData"]
    status = game_data["status"]
    return SimulatedResponse(
        "game",
        "live_game_v1",
        str(capture.game_pk),
        capture.captured_at,
        capture.payload,
        f"/api/v1.1/game/{capture.game_pk}/feed/live",
        season=game_data["game"]["season"],
        game_type=game_data["game"]["type"],
        state=f"{status['abstractGameState']}/{status['detailedState']}",
        count=str(len(capture.payload["liveData"]["plays"]["allPlays"])),
        basis="feed timeStamp",
    )


def game_responses(capture: SimulatedCapture) -> Iterator[SimulatedResponse]:
    """Yield the feed, and the box score, line score and play-by-play that were asked for right after it."""
    feed = feed_response(capture)
    yield feed
    others = (("boxscore", "boxscore", box_score), ("linescore", "linescore", line_score),
              ("play_by_play", "playByPlay", play_by_play))  # fmt: skip
    for seconds, (method, last, answer) in enumerate(others, 1):
        yield SimulatedResponse(
            "game",
            method,
            feed.id,
            capture.captured_at + timedelta(seconds=seconds),
            answer(capture),
            f"/api/v1/game/{capture.game_pk}/{last}",
            season=feed.season,
            game_type=feed.game_type,
            state=feed.state,
            count=feed.count,
        )
