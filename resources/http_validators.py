"""What a server said to recognize its answers by (ETag, Last-Modified), and which stored content they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resources.own_tables import OwnTables
from resources.postgres import Postgres


@dataclass(frozen=True)
class Validator:
    """The validators of a URL's last good answer, and the row's entity and content they stand for."""

    etag: str | None
    last_modified: str | None
    entity_key: str
    content_hash: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a conditional request (RFC 9110, 13.1)."""
        found = {"If-None-Match": self.etag, "If-Modified-Since": None if self.etag else self.last_modified}
        return {name: value for name, value in found.items() if value}


class Validators:
    """The table `ingestion.validators` of one database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self.ensure = OwnTables(postgres, "ingestion.validators", _CREATE).ensure

    def get(self, url: str) -> Validator | None:
        """Return what is known of a URL's last good answer."""
        self.ensure()
        with self._postgres.transaction() as connection:
            row = connection.execute(_GET, [url]).fetchone()
        return Validator(*row) if row else None

    def keep(self, url: str, headers: Mapping[str, str], entity_key: str, content_hash: str) -> None:
        """Keep the validators of an answer that is stored; an answer without any leaves nothing to ask with."""
        self.ensure()
        etag, modified = headers.get("etag"), headers.get("last-modified")
        with self._postgres.transaction() as connection:
            if etag is None and modified is None:
                connection.execute("DELETE FROM ingestion.validators WHERE url = %s", [url])
            else:
                connection.execute(_KEEP, [url, etag, modified, entity_key, content_hash])


_CREATE = """
CREATE SCHEMA IF NOT EXISTS ingestion;
CREATE TABLE IF NOT EXISTS ingestion.validators (
    url text PRIMARY KEY,
    etag text,
    last_modified text,
    entity_key text NOT NULL,
    content_hash text NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""
_GET = "SELECT etag, last_modified, entity_key, content_hash FROM ingestion.validators WHERE url = %s"
_KEEP = """
INSERT INTO ingestion.validators (url, etag, last_modified, entity_key, content_hash) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (url) DO UPDATE SET etag = excluded.etag, last_modified = excluded.last_modified,
    entity_key = excluded.entity_key, content_hash = excluded.content_hash, kept_at = clock_timestamp()
"""
