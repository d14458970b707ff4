"""By day, which raw rows there are and which have no profile: asked of the database, so that no other rows are read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, LiteralString

from psycopg import sql

from resources.drift_store import DriftStore
from resources.raw_store import RawStore, table_name


class DriftDays:
    """The days of one raw table: those of partitions or, with `captured`, those of capture (UTC).

    `by_member`: of responses with several entities each of them counts, with its own date.
    """

    def __init__(self, raw: RawStore, store: DriftStore, raw_table: str, *, by_member: bool, captured: bool) -> None:
        self.raw, self.store, self.raw_table = raw, store, raw_table
        members: LiteralString = (
            "r JOIN quality.raw_members m ON m.raw_table = %(table)s AND m.raw_id = r.raw_id" if by_member else "r"
        )
        owner: LiteralString = "m" if by_member else "r"
        day: LiteralString = "(r.captured_at AT TIME ZONE 'UTC')::date" if captured else f"{owner}.partition_date"
        self._rows = sql.SQL(
            f"SELECT {day} AS day, {owner}.entity_key, r.raw_id, r.content_hash, "
            f"coalesce(r.last_seen_at, r.captured_at) AS observed_at FROM {{}} {members}"
        ).format(table_name(raw_table))

    def all(self, first: date | None = None, last: date | None = None) -> list[date]:
        """Return the days in a range that have rows, in order."""
        return self._days(
            "SELECT DISTINCT day FROM ({rows}) r WHERE day IS NOT NULL AND (%(first)s::date IS NULL OR "
            "day >= %(first)s) AND (%(last)s::date IS NULL OR day <= %(last)s) ORDER BY 1",
            {"first": first, "last": last},
        )

    def unseen(self, made_by: str) -> list[date]:
        """Return the days on which an entity's newest row has no profile, in order."""
        self.store.ensure()
        return self._days(
            "SELECT DISTINCT day FROM (SELECT DISTINCT ON (day, entity_key) day, raw_id FROM ({rows}) r "
            "WHERE day IS NOT NULL ORDER BY day, entity_key, observed_at DESC, content_hash DESC, raw_id DESC) n "
            "WHERE NOT EXISTS (SELECT FROM quality.path_profiles p WHERE p.raw_table = %(table)s "
            "AND p.raw_id = n.raw_id AND p.made_by = %(made_by)s) ORDER BY 1",
            {"made_by": made_by},
        )

    def raw_ids(self, day: date) -> list[int]:
        """Return the raw ids of a day."""
        query: LiteralString = "SELECT DISTINCT raw_id FROM ({rows}) r WHERE day = %(day)s ORDER BY 1"
        return [row[0] for row in self._ask(query, {"day": day})]

    def _days(self, query: LiteralString, values: Mapping[str, Any]) -> list[date]:
        return [row[0] for row in self._ask(query, values)]

    def _ask(self, query: LiteralString, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        self.raw.ensure(self.raw_table)
        with self.raw.postgres.transaction() as connection:
            found = connection.execute(sql.SQL(query).format(rows=self._rows), {"table": self.raw_table, **values})
            return found.fetchall()
