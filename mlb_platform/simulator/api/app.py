"""The paths of the Stats API, answered by a simulated world or from captures."""

from __future__ import annotations

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from threading import Lock
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlb_platform.simulator.api.answers import TIMECODE, Answers, NotAnswered
from mlb_platform.simulator.api.clock import VirtualClock
from mlb_platform.simulator.api.faults import App, FaultyApp
from mlb_platform.simulator.api.options import ServeOptions
from mlb_platform.simulator.api.replay import Replay, replay_key
from mlb_platform.simulator.api.world import World

# path, endpoint/method, function of Answers
_PATHS = (
    ("/api/v1.1/game/{id:int}/feed/live", "game/live_game_v1", "feed"),
    ("/api/v1.1/game/{id:int}/feed/live/timestamps", "game/live_timestamp_v1", "timestamps"),
    ("/api/v1.1/game/{id:int}/feed/live/diffPatch", "game/live_game_diff_patch_v1", "diff_patch"),
    ("/api/v1/game/changes", "game/changes", "changes"),
    ("/api/v1/game/{id:int}/boxscore", "game/boxscore", "boxscore"),
    ("/api/v1/game/{id:int}/linescore", "game/linescore", "linescore"),
    ("/api/v1/game/{id:int}/playByPlay", "game/play_by_play", "plays"),
    ("/api/v1/schedule", "schedule/schedule", "schedule"),
    ("/api/v1/schedule/postseason", "schedule/postseason", "postseason"),
    ("/api/v1/schedule/postseason/series", "schedule/postseason_series", "postseason_series"),
    ("/api/v1/people", "person/person", "people"),
    ("/api/v1/teams", "team/teams", "teams"),
    ("/api/v1/teams/{id:int}", "team/team", "team"),
    ("/api/v1/teams/{id:int}/roster", "team/roster", "roster"),
    ("/api/v1/teams/{id:int}/roster/{rosterType}", "team/roster", "roster"),
    ("/api/v1/venues", "venue/venue", "venues"),
    ("/api/v1/seasons", "season/seasons", "seasons"),
    ("/api/v1/seasons/all", "season/seasons", "seasons"),
    ("/api/v1/gameStatus", "meta/game_status", "game_status"),
)
_ZIPPED_KEPT = 64
_SMALL = 1000


class _Bodies:
    """Answers as bytes with their ETag, gzipped once; a poller that comes again before a change costs nothing."""

    def __init__(self) -> None:
        self._zipped: OrderedDict[str, bytes] = OrderedDict()
        self._guard = Lock()

    def response(self, body: bytes, request: Request) -> Response:
        tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        headers = {"etag": tag, "vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if len(body) >= _SMALL and "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            body = self._zip(tag, body)
        return Response(body, media_type="application/json", headers=headers)

    def _zip(self, tag: str, body: bytes) -> bytes:
        with self._guard:
            known = self._zipped.get(tag)
        if known is None:
            known = gzip.compress(body, compresslevel=1, mtime=0)
            with self._guard:
                self._zipped[tag] = known
                while len(self._zipped) > _ZIPPED_KEPT:
                    self._zipped.popitem(last=False)
        return known


def make_app(options: ServeOptions, clock: VirtualClock) -> App:
    """Return the ASGI application: the API's paths, `/simulator/clock`, and the faults around them."""
    world, bodies = World(options), _Bodies()
    answers = Answers(world)
    replay = Replay(options.replay) if options.replay is not None else None
    busy = Lock()

    def of_world(name: str, function: str) -> Callable[[Request], Response]:
        answer: Callable[..., Any] = getattr(answers, function)

        def endpoint(request: Request) -> Response:
            path = dict(request.path_params)
            ids = [path.pop("id")] if "id" in path else []
            params = dict(request.query_params) | {k: str(v) for k, v in path.items()}
            try:
                with busy:
                    body = orjson.dumps(answer(*ids, params, clock.now()))
            except NotAnswered as error:
                return _refused(error.status, str(error))
            except (ValueError, OverflowError) as error:
                return _refused(400, str(error))
            return bodies.response(body, request)

        return endpoint

    def of_captures(name: str) -> Callable[[Request], Response]:
        assert replay is not None

        def endpoint(request: Request) -> Response:
            path, params = {k: str(v) for k, v in request.path_params.items()}, dict(request.query_params)
            try:
                when = _time_of(params.get("timecode"), clock.now())
                if name == "game/live_timestamp_v1":
                    body = orjson.dumps(replay.stamps(path["id"], when))
                else:
                    body = replay.body(*replay_key(name, path, params), when)
            except NotAnswered as error:
                return _refused(error.status, str(error))
            return bodies.response(body, request)

        return endpoint

    def tell_time(request: Request) -> Response:
        now = clock.now().isoformat().replace("+00:00", "Z")
        return Response(orjson.dumps({"now": now, "speed": clock.speed}), media_type="application/json")

    routes = [
        Route(path, of_captures(name) if replay is not None else of_world(name, function))
        for path, name, function in _PATHS
    ]
    app = Starlette(routes=[*routes, Route("/simulator/clock", tell_time)])
    return FaultyApp(app, options.faults, options.seed)


def _time_of(code: str | None, now: datetime) -> datetime:
    if code is None:
        return now
    try:
        return datetime.strptime(code, TIMECODE).replace(tzinfo=now.tzinfo)
    except ValueError as error:
        raise NotAnswered(400, f"{code!r} is no time code") from error


def _refused(status: int, message: str) -> Response:
    body = {"messageNumber": 10 if status == 404 else 1, "message": message, "timestamp": "", "traceId": None}
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")
