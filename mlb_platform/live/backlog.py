"""What micro-batches merged into PostgreSQL and Delta does not hold yet: the newest rows by table and entity."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from threading import Lock

import pyarrow as pa

from resources.merge import MergeBatch, MergeSpec, ScopeVersion
from resources.merge_batch import rows_of


@dataclass
class _Waiting:
    spec: MergeSpec
    versions: dict[str, ScopeVersion]
    rows: dict[str, pa.Table]
    """The batch in which the rows of each entity are, others' too."""


class DeltaBacklog:
    """Rows that wait for Delta; one capture an entity, the newest. Safe to use from several threads.

    It lives in memory: what is lost with the process is found again by the states of the sinks.
    """

    def __init__(self) -> None:
        self._tables: dict[str, _Waiting] = {}
        self._lock = Lock()

    def keep(self, spec: MergeSpec, batch: MergeBatch) -> None:
        """Take what was just merged into PostgreSQL, in the place of what was kept of these entities."""
        with self._lock:
            waiting = self._tables.setdefault(spec.table, _Waiting(spec, {}, {}))
            waiting.spec = spec
            for version in batch.versions:
                waiting.versions[version.scope] = version
                waiting.rows[version.scope] = batch.rows

    def tables(self) -> list[str]:
        """Return the tables for which something waits."""
        with self._lock:
            return [name for name, waiting in self._tables.items() if waiting.versions]

    def entities(self) -> set[str]:
        """Return the entities of which something waits."""
        with self._lock:
            return {scope for waiting in self._tables.values() for scope in waiting.versions}

    def batch(self, table: str, entities: Collection[str] | None = None) -> tuple[MergeSpec, MergeBatch] | None:
        """Return what waits for a table (of these entities), as it stands now."""
        with self._lock:
            waiting = self._tables.get(table)
            versions = (
                [v for v in waiting.versions.values() if entities is None or v.scope in entities] if waiting else []
            )
            if waiting is None or not versions:
                return None
            spec, batches = waiting.spec, list[pa.Table]()
            scopes: dict[int, list[str]] = {}
            for version in versions:
                rows = waiting.rows[version.scope]
                if id(rows) not in scopes:
                    batches.append(rows)
                scopes.setdefault(id(rows), []).append(version.scope)
        rows = pa.concat_tables([rows_of(spec, b, scopes[id(b)]) for b in batches])
        return spec, MergeBatch(rows, versions)

    def done(self, table: str, versions: Sequence[ScopeVersion]) -> None:
        """Forget what was merged, unless something newer came meanwhile."""
        with self._lock:
            waiting = self._tables[table]
            for version in versions:
                if waiting.versions.get(version.scope) == version:
                    del waiting.versions[version.scope], waiting.rows[version.scope]

    def forget(self, entities: Collection[str]) -> None:
        """Drop what waits of entities that another path has brought up to date."""
        with self._lock:
            for waiting in self._tables.values():
                for entity in entities:
                    waiting.versions.pop(entity, None)
                    waiting.rows.pop(entity, None)
