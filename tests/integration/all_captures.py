"""What the platform holds after every capture was ingested and transformed."""

from __future__ import annotations

from dataclasses import dataclass

from mlb_platform.extraction.report import RunReport
from mlb_platform.ingestion.captures_folder import IngestReport
from mlb_platform.platform import Platform


@dataclass(frozen=True)
class Everything:
    """The platform after all captures: what ingestion and each mapping's transformation said."""

    platform: Platform
    ingested: IngestReport
    reports: dict[str, RunReport]
