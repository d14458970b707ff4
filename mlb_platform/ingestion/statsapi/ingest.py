"""A request to the API becomes a raw row, through the gate, or a rejected payload with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

import psycopg

from mlb_platform.ingestion.gate import (
    GateSpec,
    Rejection,
    Request,
    admit,
    gate_specs,
    read_json,
    reject,
)
from mlb_platform.ingestion.statsapi.client import Fetched, StatsApi
from mlb_platform.ingestion.statsapi.endpoints import ApiRequest
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.settings import Settings
from resources.errors import PlatformError
from resources.http_validators import Validator, Validators
from resources.postgres import Postgres
from resources.quality_store import QualityStore
from resources.raw_store import InsertOutcome, RawCapture, RawStore


class Parts(Protocol):
    """What an ingestor is made of: the platform put together has it all."""

    @property
    def settings(self) -> Settings:
        """The settings."""

    @property
    def postgres(self) -> Postgres:
        """The database."""

    @property
    def raw(self) -> RawStore:
        """Raw rows."""

    @property
    def quality(self) -> QualityStore:
        """What quality found."""

    @property
    def registry(self) -> MappingRegistry:
        """All mappings."""


SHAPES: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "game/live_timestamp_v1": (list, ()),
    "game/live_game_diff_patch_v1": (list, ()),
    "meta/game_status": (list, ()),
    "game/changes": (dict, ("dates",)),
}
"""The endpoints whose answers are read and not kept: what the answer has to be, and the members it has to have."""


class UnusableAnswer(PlatformError):
    """An answer that is read and not kept was not what the endpoint gives."""


@dataclass(frozen=True)
class Ingested:
    """What became of a request.

    `outcome` is None where nothing could be stored (`rejection` says why). `bytes` are those of the body.
    """

    request: ApiRequest
    outcome: InsertOutcome | None
    capture: RawCapture | None
    rejection: Rejection | None
    bytes: int
    not_modified: bool = False


class Ingestor:
    """Fetches and stores; safe to share between threads."""

    def __init__(
        self, raw: RawStore, quality: QualityStore, api: StatsApi, mappings: Mapping[str, ResolvedMapping]
    ) -> None:
        self.raw, self.quality, self.api = raw, quality, api
        self.specs = gate_specs(mappings)
        self._validators = Validators(raw.postgres)

    def spec(self, request: ApiRequest) -> GateSpec:
        """Return the gate of a request's endpoint. Raises PlatformError where no mapping keeps its answers."""
        spec = self.specs.get(request.name)
        if spec is None:
            raise PlatformError(
                f"no mapping keeps answers of {request.name}; there are: {', '.join(sorted(self.specs))}"
            )
        return spec

    def ingest(self, request: ApiRequest) -> Ingested:
        """Fetch an answer and store it; the same content as just before only moves its row's `last_seen_at`.

        Where the newest row of the entity is the URL's last answer, the server is asked whether that still stands.
        Raises ApiUnreachable, ApiRefused or CircuitOpen; an answer that is no good is rejected, not raised.
        """
        spec = self.spec(request)
        key = f"{self.api.url(request)}?{'&'.join(f'{k}={v}' for k, v in sorted(request.params.items()))}"
        known = self._validators.get(key) if _lasting(request, spec) else None
        stands = known is not None and self.raw.is_newest(spec.raw_table, known.entity_key, known.content_hash)
        fetched = self.api.fetch(request, known.headers if known is not None and stands else None)
        if fetched.not_modified:
            if known is not None and stands and self._seen_again(spec, known, fetched.captured_at):
                return Ingested(request, InsertOutcome.SEEN, None, None, 0, not_modified=True)
            fetched = self.api.fetch(request)  # something else was stored meanwhile, or nothing was asked
        result = self.store(fetched)
        if result.rejection is not None:
            fetched = self.api.fetch(request)  # an error page or a cut answer is seldom there twice
            result = self.store(fetched)
        if result.capture is not None and _lasting(request, spec):
            self._validators.keep(key, fetched.headers, result.capture.entity_key, result.capture.content_hash)
        return result

    def _seen_again(self, spec: GateSpec, known: Validator, at: datetime) -> bool:
        """Note that an answer still stands, and with it the documents of other endpoints that it carries."""
        if not self.raw.seen_again(spec.raw_table, known.entity_key, known.content_hash, at):
            return False
        for _, into in spec.embeds:
            self.raw.seen_again(into.raw_table, f"{spec.raw_table}:{known.entity_key}", None, at)
        return True

    def store(self, fetched: Fetched) -> Ingested:
        """Take an answer through the gate into the raw store."""
        request, spec = fetched.request, self.spec(fetched.request)
        admitted = admit(fetched.body, asked(fetched), spec)
        if not isinstance(admitted, Rejection):
            try:
                outcome = self.raw.insert(spec.raw_table, admitted, poll=request.as_of is None)
                return Ingested(request, outcome, admitted, None, len(fetched.body))
            except (psycopg.DataError, psycopg.errors.ProgramLimitExceeded) as error:
                reason = f"PostgreSQL cannot store it: {error.diag.message_primary or error}"
                admitted = reject(fetched.body, fetched.url, request.endpoint, request.method, reason)
        self.quality.reject(**asdict(admitted))
        return Ingested(request, None, None, admitted, len(fetched.body))

    def document(self, request: ApiRequest) -> Any:
        """Fetch an answer that is read and not kept (see SHAPES), and return its JSON.

        Raises UnusableAnswer where it is none or of another shape (kept among the rejected payloads), and what
        `ingest` raises.
        """
        kind, members = SHAPES[request.name]
        fetched = self.api.fetch(request)
        read = read_json(fetched.body, asked(fetched), request.endpoint, request.method, kind, members)
        if isinstance(read, Rejection):
            self.quality.reject(**asdict(read))
            raise UnusableAnswer(f"{fetched.url}: {read.reason}; it is in quality.rejected_payloads, ask again later")
        return read


def _lasting(request: ApiRequest, spec: GateSpec) -> bool:
    """Tell whether an answer can stand later: not that of a past instant, nor one that its own day dates."""
    return request.as_of is None and not (spec.date_of_request and "date" not in request.params)


def asked(fetched: Fetched) -> Request:
    """Return what is known of the request of an answer, for the gate."""
    request = fetched.request
    params: dict[str, object] = dict(request.params)
    if request.entity_id is not None:
        params.setdefault("id", request.entity_id)
    return Request(fetched.url, fetched.captured_at, request.entity_id, params, fetched.url, fetched.status_code)


@contextmanager
def open_ingestor(platform: Parts) -> Iterator[Ingestor]:
    """Give an ingestor on a platform's settings, database and mappings."""
    api = StatsApi(platform.settings, platform.postgres)
    try:
        yield Ingestor(platform.raw, platform.quality, api, platform.registry.mappings)
    finally:
        api.close()
