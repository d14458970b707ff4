"""One planned request: made, stored or compared, and noted in the log of fetches."""

from __future__ import annotations

import threading
from datetime import date

import orjson

from mlb_platform.ingestion.dates.listings import Listing, listed_games
from mlb_platform.ingestion.dates.plan import BATCHED, SCHEDULE, Mode, Planned
from mlb_platform.ingestion.dates.report import Done, Outcome
from mlb_platform.ingestion.gate import Rejection, admit
from mlb_platform.ingestion.statsapi.client import ApiRefused, ApiUnreachable
from mlb_platform.ingestion.statsapi.ingest import Ingestor, asked
from resources.fetch_log import FetchLog
from resources.raw_store import InsertOutcome, RawCapture, RawRow

_OUTCOMES = {
    InsertOutcome.STORED: Outcome.stored,
    InsertOutcome.REPEAT: Outcome.unchanged,
    InsertOutcome.SEEN: Outcome.unchanged,
}


class Asker:
    """Makes requests as a mode wants it; safe to share between threads.

    `missing` and `reconcile` store answers and note every request in `ingestion.fetches`; `verify` compares an answer
    with the newest raw row of its entity, and writes nothing.
    """

    def __init__(self, ingestor: Ingestor, log: FetchLog, mode: Mode) -> None:
        self.ingestor, self.mode = ingestor, mode
        self._log = log
        self._listed: dict[date, list[Listing] | None] = {}
        self._guard = threading.Lock()

    def ask(self, planned: Planned, day: date) -> Done:
        """Make one request for a date and return how it ended. Raises CircuitOpen."""
        try:
            done, capture = self._verify(planned, day) if self.mode is Mode.verify else self._store(planned, day)
        except (ApiRefused, ApiUnreachable) as error:
            status = error.status if isinstance(error, ApiRefused) else None
            done, capture = Done(planned, day, Outcome.failed, 0, str(error), status), None
        if capture is not None and planned.request.name == SCHEDULE:
            with self._guard:
                self._listed[day] = _listed(capture, day)
        if self.mode is not Mode.verify:
            error_text = None if done.outcome.good else done.told
            self._log.record(
                day, done.name, planned.request.entity_id, str(done.outcome), error=error_text, status=done.status
            )
        return done

    def listed(self, day: date) -> list[Listing] | None:
        """Return what a schedule answered here lists under a date; None where none was, or not in full."""
        return self._listed.get(day)

    def _store(self, planned: Planned, day: date) -> tuple[Done, RawCapture | None]:
        result = self.ingestor.ingest(planned.request)
        if result.rejection is not None:
            return Done(planned, day, Outcome.rejected, result.bytes, result.rejection.reason), None
        assert result.outcome is not None
        outcome = Outcome.not_modified if result.not_modified else _OUTCOMES[result.outcome]
        return Done(planned, day, outcome, result.bytes), result.capture

    def _verify(self, planned: Planned, day: date) -> tuple[Done, RawCapture | None]:
        request, spec = planned.request, self.ingestor.spec(planned.request)
        fetched = self.ingestor.api.fetch(request)
        found = admit(fetched.body, asked(fetched), spec)
        if isinstance(found, Rejection):
            return Done(planned, day, Outcome.rejected, len(fetched.body), found.reason), None
        rows = self.ingestor.raw.rows(spec.raw_table, entity_keys=[found.entity_key])
        if not rows and request.name in BATCHED:
            outcome, text = self._verify_members(spec.raw_table, found)
            return Done(planned, day, outcome, len(fetched.body), text), found
        if not rows:
            return Done(planned, day, Outcome.missing, len(fetched.body), "the raw store has none"), found
        newest = rows[-1]
        same = newest.content_hash == found.content_hash
        told = (
            None
            if same
            else f"raw row {newest.raw_id} of {newest.observed_at:%Y-%m-%d %H:%M:%S} UTC has another content"
        )
        return Done(planned, day, Outcome.same if same else Outcome.differs, len(fetched.body), told), found

    def _verify_members(self, raw_table: str, found: RawCapture) -> tuple[Outcome, str | None]:
        """Compare the entities of an answer one by one: they may have come by several other requests.

        Each counts as it was answered last; one that nobody asked for yet, as an answer of another endpoint carried it.
        """
        known: dict[str, list[RawRow]] = {m.entity_key: [] for m in found.members}
        for row in self.ingestor.raw.rows(raw_table, entity_keys=list(known), by_member=True):
            known[row.entity_key].append(row)
        unknown = [key for key, rows in known.items() if not rows]
        if unknown:
            return Outcome.missing, f"the raw store has none of {_some(unknown)}"
        carried = tuple(f"{spec.raw_table}:" for spec in self.ingestor.specs.values())
        ids = [row.raw_id for rows in known.values() for row in rows]
        asked_for = {
            r.raw_id for r in self.ingestor.raw.rows(raw_table, raw_ids=ids) if not r.entity_key.startswith(carried)
        }
        differing = []
        for member in found.members:
            rows = known[member.entity_key]
            newest = [row for row in rows if row.raw_id in asked_for][-1:] or rows
            if member.told is None or member.told not in {row.told for row in newest}:
                differing.append(member.entity_key)
        if differing:
            return Outcome.differs, f"the raw store has another content of {_some(differing)}"
        return Outcome.same, None


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")


def _listed(capture: RawCapture, day: date) -> list[Listing] | None:
    """Return the games that an answer lists under a date: none where it has not the date."""
    dates = orjson.loads(capture.data).get("dates") or []
    element = next((d for d in dates if d.get("date") == day.isoformat()), None)
    return [] if element is None else listed_games(element)
