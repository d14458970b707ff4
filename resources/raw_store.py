"""The raw rows: every response as it was captured, in PostgreSQL, one table an endpoint method."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from resources.errors import PlatformError
from resources.own_tables import lock_ddl, table_exists
from resources.postgres import Connection, Postgres, lock_key
from resources.quality_store import QualityStore
from resources.raw_members import DateClaim, Member, RawMembers

_TABLE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}\.[a-z_][a-z0-9_]{0,62}")
_OBSERVED = "coalesce(last_seen_at, captured_at)"
_XID = "ingest_xid::text::bigint AS xid"
_ROW = f"raw_id, entity_key, partition_date, captured_at, {_OBSERVED}, content_hash, NULL, {_XID}"
_MEMBER_ROW = f"r.raw_id, m.entity_key, m.partition_date, captured_at, {_OBSERVED}, content_hash, m.told, {_XID}"


class RawStoreError(PlatformError):
    """A raw table or a cursor that cannot be used."""


@dataclass(frozen=True)
class Rejection:
    """Why a payload is not stored, how it begins, and the hash of its bytes."""

    source: str
    endpoint: str
    method: str
    reason: str
    excerpt: str
    content_hash: str


@dataclass(frozen=True)
class RawCapture:
    """One response; `captured_at` is aware, `data` is its JSON text, `content_hash` that of its canonical form."""

    entity_key: str
    endpoint: str
    method: str
    params: dict[str, object]
    url: str | None
    status_code: int | None
    captured_at: datetime
    partition_date: date | None
    content_hash: str
    data: bytes
    members: tuple[Member, ...] = ()
    """The entities in it, where a response has several; each with its own partition date."""
    claims: tuple[DateClaim, ...] = ()
    """What it says of the dates of entities."""
    embedded: tuple[tuple[str, RawCapture], ...] = ()
    """Documents of other endpoints it carries: raw table and capture; stored with it, equal ones once."""
    refused_parts: tuple[Rejection, ...] = ()
    """What it carries that is no document of the endpoint it should be of; kept among the rejected payloads."""


@dataclass(frozen=True)
class RawRow:
    """What is known of a raw row without its payload; the newest of an entity has the greatest `as_of`."""

    raw_id: int
    entity_key: str
    partition_date: date | None
    captured_at: datetime
    observed_at: datetime
    content_hash: str
    told: str | None = None
    """What identifies what is told of this entity, where it is one of several in a response and that is known."""
    ingest_xid: int = 0
    """The transaction that stored it, or gave it its date: the order in which cursors come to rows (0: not read)."""

    @property
    def as_of(self) -> tuple[datetime, str]:
        """What decides which of two captures is newer."""
        return (self.observed_at, self.content_hash)


class InsertOutcome(enum.Enum):
    """What became of a capture: a new row, an exact repeat of one, or the content a poller saw just before."""

    STORED = "stored"
    REPEAT = "repeat"
    SEEN = "seen"


def table_name(raw_table: str) -> sql.Identifier:
    """Return the quoted name of `schema.table`. Raises RawStoreError for anything else."""
    if not _TABLE_NAME.fullmatch(raw_table):
        raise RawStoreError(f"{raw_table!r} is no raw table name: write schema.table in lower case")
    return sql.Identifier(*raw_table.split("."))


class RawStore:
    """The raw tables of one database. A table is created when it is first used."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.members = RawMembers()
        self.quality = QualityStore(postgres)
        self._ensured: set[str] = set()

    def ensure(self, raw_table: str) -> None:
        """Create schema, table and indexes where missing; several processes may do so at once."""
        if raw_table in self._ensured:
            return
        name = table_name(raw_table)
        schema, table = raw_table.split(".")
        with self.postgres.transaction() as connection:
            lock_ddl(connection)
            if not table_exists(connection, raw_table):
                statement = _CREATE.format(
                    schema=sql.Identifier(schema),
                    table=name,
                    same=sql.Identifier(f"{table}_same_capture"),
                    by_date=sql.Identifier(f"{table}_partition_date"),
                    by_entity=sql.Identifier(f"{table}_entity_key"),
                    by_xid=sql.Identifier(f"{table}_ingest_xid"),
                )
                connection.execute(statement)
            self.members.ensure(connection)
            # Rows restored from another cluster's dump carry transaction numbers that lie in this one's future, where
            # no cursor would ever come to them.
            connection.execute(
                sql.SQL(
                    "UPDATE {} SET ingest_xid = pg_current_xact_id() "
                    "WHERE ingest_xid >= pg_snapshot_xmax(pg_current_snapshot())"
                ).format(name)
            )
        self._ensured.add(raw_table)

    def insert(self, raw_table: str, capture: RawCapture, *, poll: bool = False) -> InsertOutcome:
        """Store one capture; see `insert_many`."""
        return self.insert_many(raw_table, [capture], poll=poll)[0]

    def insert_many(self, raw_table: str, captures: Sequence[RawCapture], *, poll: bool = False) -> list[InsertOutcome]:
        """Store captures in one transaction and return what became of each, in their order.

        A repeat of entity, params, time and content is not stored again. With `poll`, a capture that is not older than
        its entity's newest and has the same content only moves that row's `last_seen_at`.
        """
        for capture in captures:
            if capture.captured_at.tzinfo is None:
                raise RawStoreError(
                    f"the capture of {capture.entity_key} has a captured_at without time zone: give UTC"
                )
        embedded: dict[str, list[RawCapture]] = {}
        for capture in captures:
            for table, part in capture.embedded:
                embedded.setdefault(table, []).append(part)
        for table in sorted({raw_table, *embedded}):
            self.ensure(table)
        with self.postgres.transaction() as connection:
            outcomes = self._insert_all(connection, raw_table, captures, poll)
            for table, parts in sorted(embedded.items()):
                self._insert_all(connection, table, parts, True)
            self.members.claim(connection, raw_table, captures)
        for refused in dict.fromkeys(p for c in captures for p in c.refused_parts):
            self.quality.reject(**asdict(refused))
        return outcomes

    def _insert_all(
        self, connection: Connection, raw_table: str, captures: Sequence[RawCapture], poll: bool
    ) -> list[InsertOutcome]:
        if poll:
            keys = sorted({lock_key(raw_table, capture.entity_key) for capture in captures})
            connection.execute("SELECT count(pg_advisory_xact_lock(k)) FROM unnest(%s::bigint[]) AS k", [keys])
        # in one order everywhere: two writers of the same captures never wait for each other
        order = sorted(range(len(captures)), key=lambda i: _sort_key(captures[i]))
        outcomes = {i: self._insert(connection, raw_table, captures[i], poll) for i in order}
        return [outcomes[i] for i in range(len(captures))]

    def _insert(self, connection: Connection, raw_table: str, capture: RawCapture, poll: bool) -> InsertOutcome:
        name = table_name(raw_table)
        if poll and connection.execute(_SEEN.format(table=name), _values(capture)).fetchone() is not None:
            return InsertOutcome.SEEN
        # asked first, so that a repeat does not send its payload
        if connection.execute(_KNOWN.format(table=name), _values(capture)).fetchone() is not None:
            return InsertOutcome.REPEAT
        stored = connection.execute(_INSERT.format(table=name), _values(capture)).fetchone()
        if stored is None:
            return InsertOutcome.REPEAT
        self.members.add(connection, raw_table, stored[0], capture.members)
        return InsertOutcome.STORED

    def redate(
        self, raw_table: str, of: str, entity_keys: Sequence[str] | None = None, limit: int | None = None
    ) -> int:
        """Give the rows of `raw_table` the dates that are known of their entities now; return how many changed.

        `of` says what the entities are (`game_pk`); of those in `entity_keys` alone where these are given, else of all,
        at most `limit` rows at once. A row that gets a date is new to cursors.
        """
        self.ensure(raw_table)
        name = table_name(raw_table)
        cluster = self.postgres.identity()
        with self.postgres.transaction() as connection:
            if entity_keys is not None:
                return self.members.redate(connection, name, of, entity_keys)
            return self.members.redate_changed(connection, raw_table, name, of, cluster, limit)

    def rows(
        self,
        raw_table: str,
        *,
        entity_keys: Sequence[str] | None = None,
        dates: Sequence[date] | None = None,
        raw_ids: Sequence[int] | None = None,
        by_member: bool = False,
    ) -> list[RawRow]:
        """Return the rows of these entities, partition dates and ids (None: of all), oldest first per entity.

        `by_member`: of responses with several entities, one for each of them, with its key and date.
        """
        self.ensure(raw_table)
        query = sql.SQL(
            f"SELECT {_MEMBER_ROW if by_member else _ROW} FROM {{}} "
            + (
                "r JOIN quality.raw_members m ON m.raw_table = %(table)s AND m.raw_id = r.raw_id "
                "WHERE (%(keys)s::text[] IS NULL OR m.entity_key = ANY(%(keys)s)) "
                "AND (%(dates)s::date[] IS NULL OR m.partition_date = ANY(%(dates)s)) "
                "AND (%(ids)s::bigint[] IS NULL OR r.raw_id = ANY(%(ids)s)) "
                f"ORDER BY m.entity_key, {_OBSERVED}, content_hash, r.raw_id"
                if by_member
                else "WHERE (%(keys)s::text[] IS NULL OR entity_key = ANY(%(keys)s)) "
                "AND (%(dates)s::date[] IS NULL OR partition_date = ANY(%(dates)s)) "
                "AND (%(ids)s::bigint[] IS NULL OR raw_id = ANY(%(ids)s)) "
                f"ORDER BY entity_key, {_OBSERVED}, content_hash, raw_id"
            )
        ).format(table_name(raw_table))
        values = {
            "keys": None if entity_keys is None else list(entity_keys),
            "dates": None if dates is None else list(dates),
            "ids": None if raw_ids is None else list(raw_ids),
            "table": raw_table,
        }
        with self.postgres.transaction() as connection:
            return [RawRow(*row) for row in connection.execute(query, values).fetchall()]

    def rows_after(self, raw_table: str, cursor: str | None, limit: int) -> tuple[list[RawRow], str]:
        """Return up to `limit` rows that were committed since `cursor` (None: from the start), and the next cursor.

        No row is ever skipped, in whatever order transactions commit: rows are given in the order of their
        transactions' numbers, and only once no transaction with a lower number is open. A cursor of another cluster, or
        of a later state of this one than the one restored, starts again: rows may then be given twice.
        """
        self.ensure(raw_table)
        identity = self.postgres.identity()
        xid, raw_id = _read_cursor(cursor, identity)
        name = table_name(raw_table)
        with self.postgres.transaction() as connection:
            # both in one statement: one snapshot decides what is visible and below which number all is settled
            found = connection.execute(_AFTER.format(table=name), {"xid": xid, "raw_id": raw_id, "limit": limit})
            rows = [RawRow(*row) for row in found.fetchall()]
        if rows:
            xid, raw_id = str(rows[-1].ingest_xid), rows[-1].raw_id
        elif not _is_past(self.postgres, xid):
            return self.rows_after(raw_table, None, limit)
        next_cursor = json.dumps({"system_identifier": identity, "xid": xid, "raw_id": raw_id})
        return rows, next_cursor

    def cursor_since(self, raw_table: str, age: timedelta) -> str:
        """Return a cursor after which every row comes that was stored within `age` before now."""
        self.ensure(raw_table)
        identity = self.postgres.identity()
        with self.postgres.transaction() as connection:
            rows = connection.execute(_SINCE.format(table=table_name(raw_table)), {"age": age}).fetchall()
        xid, raw_id = min(rows)  # neither a longer transaction nor a row that was dated anew is passed by
        return json.dumps({"system_identifier": identity, "xid": str(xid), "raw_id": raw_id})

    def newest_xid(self, raw_table: str) -> str:
        """Return the number of the transaction of a table's newest row: readers by cursor come to it last."""
        query = sql.SQL("SELECT coalesce(max(ingest_xid), '0')::text FROM {}").format(table_name(raw_table))
        with self.postgres.transaction() as connection:
            row = connection.execute(query).fetchone()
        return str(row[0]) if row else "0"

    def is_settled(self, xid: str) -> bool:
        """Tell whether readers by cursor are given rows of transaction `xid`: no older one is open any more."""
        query = "SELECT %s::xid8 < pg_snapshot_xmin(pg_current_snapshot())"
        with self.postgres.transaction() as connection:
            row = connection.execute(query, [xid]).fetchone()
        return row is not None and bool(row[0])

    def ages(self, raw_table: str, raw_ids: Sequence[int]) -> dict[int, float]:
        """Return how many seconds ago rows were committed, by the database's clock.

        Of a server that keeps no times of commits (`track_commit_timestamp` is off), since they were written.
        """
        query = sql.SQL(_AGES).format(table_name(raw_table))
        with self.postgres.transaction() as connection:
            return dict(connection.execute(query, [list(raw_ids)]).fetchall())

    def is_newest(self, raw_table: str, entity_key: str, content_hash: str) -> bool:
        """Tell whether an entity's newest row has this content."""
        self.ensure(raw_table)
        with self.postgres.transaction() as connection:
            row = connection.execute(_NEWEST.format(table=table_name(raw_table)), {"entity_key": entity_key}).fetchone()
        return row is not None and row[1] == content_hash

    def seen_again(self, raw_table: str, entity_key: str, content_hash: str | None, at: datetime) -> bool:
        """Note that an entity's newest row was the answer at `at` too; False where it has not this content (None: any).

        What `insert` does with `poll` for the same content, where a server said so without sending it.
        """
        self.ensure(raw_table)
        values = {"entity_key": entity_key, "content_hash": content_hash, "captured_at": at}
        with self.postgres.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key(raw_table, entity_key)])
            return connection.execute(_SEEN_AGAIN.format(table=table_name(raw_table)), values).fetchone() is not None

    def payload(self, raw_table: str, raw_id: int) -> bytes:
        """Return the JSON text of one row. Raises RawStoreError when there is none."""
        query = sql.SQL("SELECT data::text FROM {} WHERE raw_id = %s").format(table_name(raw_table))
        self.ensure(raw_table)
        with self.postgres.transaction() as connection:
            row = connection.execute(query, [raw_id]).fetchone()
        if row is None:
            raise RawStoreError(f"{raw_table} has no row {raw_id}")
        return str(row[0]).encode()


def _sort_key(capture: RawCapture) -> tuple[str, datetime, str]:
    return (capture.entity_key, capture.captured_at, capture.content_hash)


def _values(capture: RawCapture) -> dict[str, Any]:
    return {
        "entity_key": capture.entity_key,
        "endpoint": capture.endpoint,
        "method": capture.method,
        "params": Jsonb(capture.params),
        "url": capture.url,
        "status_code": capture.status_code,
        "captured_at": capture.captured_at,
        "partition_date": capture.partition_date,
        "content_hash": capture.content_hash,
        "data": capture.data.decode(),
    }


def _read_cursor(cursor: str | None, identity: str) -> tuple[str, int]:
    if cursor is None:
        return "0", 0
    try:
        value = json.loads(cursor)
        known, xid, raw_id = str(value["system_identifier"]), str(int(value["xid"])), int(value["raw_id"])
    except (ValueError, KeyError, TypeError) as error:
        raise RawStoreError(f"{cursor[:80]!r} is no cursor of the raw store: reset it to start again") from error
    return (xid, raw_id) if known == identity else ("0", 0)


def _is_past(postgres: Postgres, xid: str) -> bool:
    """Tell whether this cluster has reached transaction `xid` (a restored older state has not)."""
    with postgres.transaction() as connection:
        row = connection.execute("SELECT %s::xid8 < pg_snapshot_xmax(pg_current_snapshot())", [xid]).fetchone()
    return row is not None and bool(row[0])


_CREATE = sql.SQL("""
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE {table} (
    raw_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity_key text NOT NULL,
    endpoint text NOT NULL,
    method text NOT NULL,
    params jsonb NOT NULL DEFAULT '{{}}',
    url text,
    status_code integer,
    captured_at timestamptz NOT NULL,
    last_seen_at timestamptz,
    partition_date date,
    content_hash text NOT NULL,
    data jsonb NOT NULL,
    ingested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ingest_xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE UNIQUE INDEX {same} ON {table} (entity_key, captured_at, content_hash, md5(params::text));
CREATE INDEX {by_date} ON {table} (partition_date);
CREATE INDEX {by_entity} ON {table} (entity_key);
CREATE INDEX {by_xid} ON {table} (ingest_xid, raw_id);
""")

_KNOWN = sql.SQL("""
SELECT 1 FROM {table} WHERE entity_key = %(entity_key)s AND captured_at = %(captured_at)s
  AND content_hash = %(content_hash)s AND md5(params::text) = md5((%(params)s::jsonb)::text)
""")

_INSERT = sql.SQL("""
INSERT INTO {table} (entity_key, endpoint, method, params, url, status_code, captured_at, partition_date, content_hash,
                     data)
VALUES (%(entity_key)s, %(endpoint)s, %(method)s, %(params)s, %(url)s, %(status_code)s, %(captured_at)s,
        %(partition_date)s, %(content_hash)s, %(data)s)
ON CONFLICT DO NOTHING RETURNING raw_id
""")

_NEWEST_ROW = f"""
SELECT raw_id, content_hash FROM {{table}} WHERE entity_key = %(entity_key)s
ORDER BY {_OBSERVED} DESC, content_hash DESC, raw_id DESC LIMIT 1
"""
_NEWEST = sql.SQL(_NEWEST_ROW)
_SEE = f"""
UPDATE {{table}} t SET last_seen_at = greatest({_OBSERVED}, %(captured_at)s)
FROM ({_NEWEST_ROW}) newest
WHERE t.raw_id = newest.raw_id AND captured_at <= %(captured_at)s
"""
_SEEN = sql.SQL(_SEE + "AND t.content_hash = %(content_hash)s RETURNING t.raw_id")
_SEEN_AGAIN = sql.SQL(
    _SEE + "AND (%(content_hash)s::text IS NULL OR t.content_hash = %(content_hash)s) RETURNING t.raw_id"
)

# A number that is given as another type has a name of its own: ORDER BY takes a name of the result before one of the
# table, and as text 1000 comes before 999.
_AFTER = sql.SQL(f"""
SELECT {_ROW} FROM {{table}}
WHERE (ingest_xid, raw_id) > (%(xid)s::xid8, %(raw_id)s)
  AND ingest_xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY ingest_xid, raw_id LIMIT %(limit)s
""")

_SINCE = sql.SQL("""
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, 9223372036854775807
UNION ALL (
    SELECT ingest_xid::text::bigint, raw_id - 1 FROM {table} WHERE ingested_at >= clock_timestamp() - %(age)s
    ORDER BY {table}.ingest_xid, raw_id LIMIT 1)
""")

_AGES = """
SELECT raw_id, extract(epoch FROM clock_timestamp() - coalesce(
    CASE WHEN current_setting('track_commit_timestamp')::bool THEN pg_xact_commit_timestamp(xid(ingest_xid)) END,
    ingested_at))::float8
FROM {} WHERE raw_id = ANY(%s)
"""
