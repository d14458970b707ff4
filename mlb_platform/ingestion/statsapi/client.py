"""The client of the Stats API: a request becomes the bytes of its answer and when they were received."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from mlb_platform.ingestion.statsapi.clock import Clock, open_clock
from mlb_platform.ingestion.statsapi.endpoints import ApiRequest
from mlb_platform.settings import Settings
from resources.http_client import CircuitOpen, HttpClient, HttpOptions
from resources.http_client import Refused as ApiRefused
from resources.http_client import Unreachable as ApiUnreachable
from resources.http_limits import SharedRate
from resources.postgres import Postgres

__all__ = ["ApiRefused", "ApiUnreachable", "CircuitOpen", "Fetched", "StatsApi", "notice_once"]

NOTICE = (
    "The data are the property of MLB Advanced Media: individual, non-commercial, non-bulk use only; see the notice at "
    "gdx.mlb.com/components/copyright.txt"
)
PROJECT = "mlb-data-platform"


@dataclass(frozen=True)
class Fetched:
    """A complete answer. `captured_at` (aware, UTC) is when it was complete, or the past instant asked for.

    `not_modified`: the server said that what is known stands (304); the body is empty then.
    """

    request: ApiRequest
    url: str
    status_code: int
    body: bytes
    captured_at: datetime
    not_modified: bool
    attempts: int
    seconds: float
    headers: Mapping[str, str]


class StatsApi:
    """Asks the API at `settings.api_url`, at most `api_rate_per_second` times a second over all who share the database.

    Safe to share between threads.
    """

    def __init__(self, settings: Settings, postgres: Postgres, clock: Clock | None = None) -> None:
        self.root = settings.api_url.rstrip("/")
        self.clock = clock or open_clock(settings.api_clock_url)
        self._rate = SharedRate(postgres, "statsapi", settings.api_rate_per_second)
        options = HttpOptions(
            user_agent=f"{PROJECT}/{version(PROJECT)} (open source; Python httpx2)",
            timeout_seconds=settings.api_timeout_seconds,
            attempts=settings.api_attempts,
        )
        self._http = HttpClient(options, self._rate.wait_turn)

    def url(self, request: ApiRequest) -> str:
        """Return where a request goes, without its query."""
        return f"{self.root}{request.path}"

    def fetch(self, request: ApiRequest, headers: Mapping[str, str] | None = None) -> Fetched:
        """Return the complete answer; raises ApiUnreachable, ApiRefused or CircuitOpen."""
        answer = self._http.get(self.url(request), request.params, headers)
        received = self.clock.now() if request.as_of is None else request.as_of
        return Fetched(
            request, answer.url, answer.status, answer.body, received, answer.status == 304, answer.attempts,
            answer.seconds, answer.headers,
        )  # fmt: skip

    def close(self) -> None:
        """Close the connections to the API."""
        self._http.close()
        self._rate.close()


def notice_once(settings: Settings) -> str | None:
    """Return MLB's notice the first time in a home, for the command to show; None ever after."""
    shown = settings.home / "notice-shown"
    if shown.exists():
        return None
    settings.home.mkdir(parents=True, exist_ok=True)
    shown.touch()
    return NOTICE
