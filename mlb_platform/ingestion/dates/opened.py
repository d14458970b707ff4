"""An ingestion put together from a platform's parts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from mlb_platform.ingestion.dates.facts import RawFacts
from mlb_platform.ingestion.dates.plan import ENDPOINTS, Mode
from mlb_platform.ingestion.dates.report import IngestionReport
from mlb_platform.ingestion.dates.request import Asker
from mlb_platform.ingestion.dates.run import DEFAULT_WORKERS, DateIngestion
from mlb_platform.ingestion.statsapi.ingest import Parts, open_ingestor
from resources.fetch_log import FetchLog


@contextmanager
def open_ingestion(
    platform: Parts,
    mode: Mode = Mode.missing,
    *,
    wanted: Collection[str] = ENDPOINTS,
    workers: int = DEFAULT_WORKERS,
    on_change: Callable[[IngestionReport], None] | None = None,
) -> Iterator[DateIngestion]:
    """Give an ingestion of dates or games; `wanted` are the endpoint methods it may ask."""
    with open_ingestor(platform) as ingestor:
        asker = Asker(ingestor, FetchLog(platform.postgres), mode)
        facts = RawFacts(platform.raw, {name: spec.raw_table for name, spec in ingestor.specs.items()})
        report = IngestionReport(mode, on_change)
        yield DateIngestion(asker, facts, report, ingestor.api.clock.now, wanted, workers)
