"""A simulated response of one endpoint method, with what the request was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

from mlb_platform.simulator.people import Json


@dataclass(frozen=True)
class SimulatedResponse:
    """What an endpoint answered at a time (aware, UTC).

    `id` is what the captures' index calls it: a game, a date, people; `path` and `params` are those of the request as
    the real API takes them. `season`, `game_type`, `state` and `count` describe it in the index.
    """

    endpoint: str
    method: str
    id: str
    captured_at: datetime
    payload: Json = field(repr=False)
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    season: str = ""
    game_type: str = ""
    state: str = ""
    count: str = ""
    basis: str = "simulated"

    @property
    def name(self) -> str:
        """endpoint/method, as mappings are named."""
        return f"{self.endpoint}/{self.method}"

    @property
    def url(self) -> str:
        """Path and query of the request."""
        return self.path + (f"?{urlencode(self.params, safe=',()[]=')}" if self.params else "")


def only_fields(payload: Json, fields: str) -> Json:
    """Give what a request with `fields=a,b,c` is answered: members with these names, at every level."""
    wanted = frozenset(fields.split(","))

    def kept(value: object) -> object:
        if isinstance(value, dict):
            return {key: kept(inner) for key, inner in value.items() if key in wanted}
        return [kept(inner) for inner in value] if isinstance(value, list) else value

    result = kept(payload)
    assert isinstance(result, dict)
    return result
