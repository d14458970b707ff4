"""Relationships between tables, each checked: rows by date and entity that name a row which is not there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from typing import Any

from psycopg import sql

from asset_checks.settled import Mappings, owners, writers_waited_for
from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.models import Relationship
from mlb_platform.mapping.resolve import ResolvedTarget
from mlb_platform.quality.known import KnownOrphan
from resources.own_tables import table_exists
from resources.postgres import Connection

SAMPLES = 5
MANY_ENTITIES = 2_000
"""From so many entities on, reading a whole table is no slower than looking them up."""


@dataclass(frozen=True)
class Orphans:
    """Rows of one entity that name a row which is not there; `reason` where the source itself leaves it open."""

    entity: str
    rows: int
    values: tuple[str, ...]
    reason: str = ""


@dataclass
class RelationshipRecord:
    """One relationship of a table on one date: how many rows name another, and which of those name none there is.

    `settled` are known orphans of entities with rows on this date which are none any more: entity and value.
    """

    relationship: Relationship
    provided: bool = True
    checked: int = 0
    orphans: list[Orphans] = field(default_factory=list)
    settled: list[tuple[str, str]] = field(default_factory=list)

    @property
    def open(self) -> list[Orphans]:
        """Orphans without a known reason."""
        return [o for o in self.orphans if not o.reason]

    def only_of(self, entities: Collection[str]) -> RelationshipRecord:
        """Return this without what has to be told of other entities: they were fine, and may be being written."""
        orphans = [o for o in self.orphans if o.reason or o.entity in entities]
        return replace(self, orphans=orphans, settled=[s for s in self.settled if s[0] in entities])


Records = dict[tuple[str, date | None], list[RelationshipRecord]]


def read_relationships(
    stores: Stores, targets: Iterable[ResolvedTarget], dates: Sequence[date | None], known: Sequence[KnownOrphan]
) -> Records:
    """Check every relationship of these tables in PostgreSQL, by date; a table that is not there has no rows."""
    records: Records = {}
    days = [d for d in dates if d is not None]
    with stores.postgres.transaction() as connection:
        there = cache(lambda table: table_exists(connection, table))
        for target in targets:
            for day in dates:
                records[target.name, day] = []
            for relationship in target.relationships:
                by_date: dict[date | None, RelationshipRecord] = {
                    d: RelationshipRecord(relationship, there(relationship.to_table)) for d in dates
                }
                for day, record in by_date.items():
                    records[target.name, day].append(record)
                if there(target.name) and by_date and there(relationship.to_table):
                    _read(connection, target, relationship, days, by_date, _reasons(known, target.name, relationship))
    return records


def read_settled_relationships(
    stores: Stores,
    mappings: Mappings,
    targets: Sequence[ResolvedTarget],
    dates: Sequence[date | None],
    known: Sequence[KnownOrphan],
) -> Records:
    """Check as `read_relationships` does; where rows name nothing, again once those entities are not written.

    `mappings` are those that make the tables and those they name. The caller holds no lock of a scope.
    """
    records = read_relationships(stores, targets, dates, known)
    doubted = {key: found for key, of_table in records.items() if (found := set().union(*map(_doubts, of_table)))}
    if not doubted:
        return records
    again = [t for t in targets if any(table == t.name for table, _ in doubted)]
    named = {r.relationship.to_table for key in doubted for r in records[key] if _doubts(r)}
    writers = owners({t.name for t in again} | named, mappings)
    with writers_waited_for(stores.postgres, writers, set().union(*doubted.values())):
        later = read_relationships(stores, again, [d for d in dates if any(d == day for _, day in doubted)], known)
    for key, entities in doubted.items():
        records[key] = [r.only_of(entities) for r in later[key]]
    return records


def _doubts(record: RelationshipRecord) -> set[str]:
    """Return the entities of which something is to be told."""
    return {o.entity for o in record.open} | {entity for entity, _ in record.settled}


def _reasons(known: Sequence[KnownOrphan], table: str, relationship: Relationship) -> Mapping[tuple[str, str], str]:
    """Return the reasons of known orphans by entity and value."""
    return {
        (k.entity, value): k.reason
        for k in known
        if k.table == table and k.to_table == relationship.to_table and k.columns == relationship.from_fields
        for value in k.values
    }


def _read(
    connection: Connection,
    target: ResolvedTarget,
    relationship: Relationship,
    days: Sequence[date],
    by_date: Mapping[date | None, RelationshipRecord],
    reasons: Mapping[tuple[str, str], str],
) -> None:
    names = [sql.Identifier("t", name) for name in relationship.from_fields]
    pairs = zip(relationship.from_fields, relationship.to_fields, strict=True)
    same = sql.SQL(" AND ").join(
        sql.SQL("p.{} = t.{}").format(sql.Identifier(theirs), sql.Identifier(mine)) for mine, theirs in pairs
    )
    day: sql.Composable = sql.Identifier("t", target.partition) if target.partition else sql.SQL("NULL::date")
    within: sql.Composable = sql.SQL("true")
    if target.partition:
        within = sql.SQL("{} = ANY({}::date[]) AND {}").format(
            day, sql.Literal(list(days)), _of_scopes(connection, target, days)
        )
    query = sql.SQL(
        "SELECT {day}, t.{scope}::text, concat_ws(', ', {values}), count(*), "
        "NOT EXISTS (SELECT FROM {other} p WHERE {same}) AS orphan FROM {table} t WHERE {within} AND {given} "
        "GROUP BY {day}, t.{scope}, {values}"
    ).format(
        day=day,
        scope=sql.Identifier(target.scope),
        values=sql.SQL(", ").join(names),
        other=sql.Identifier(*relationship.to_table.split(".")),
        same=same,
        table=sql.Identifier(*target.name.split(".")),
        within=within,
        given=sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(n) for n in names),
    )
    found: dict[date | None, dict[tuple[str, str], dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for when, entity, value, rows, orphan in connection.execute(query):
        by_date[when].checked += rows
        if orphan:
            found[when][entity, reasons.get((entity, value), "")][value] = rows
    for when, groups in found.items():
        for (entity, reason), values in sorted(groups.items()):
            by_date[when].orphans.append(Orphans(entity, sum(values.values()), tuple(values)[:SAMPLES], reason))
    if reasons:
        entities = sorted({entity for entity, _ in reasons})
        present = sql.SQL(
            "SELECT DISTINCT {day}, t.{scope}::text FROM {table} t WHERE {within} AND t.{scope}::text = ANY({entities})"
        ).format(
            day=day,
            scope=sql.Identifier(target.scope),
            table=sql.Identifier(*target.name.split(".")),
            within=within,
            entities=sql.Literal(entities),
        )
        for when, entity in connection.execute(present).fetchall():
            open_values = {v for (e, reason), values in found[when].items() if e == entity and reason for v in values}
            by_date[when].settled += sorted(k for k in reasons if k[0] == entity and k[1] not in open_values)


def _of_scopes(connection: Connection, target: ResolvedTarget, days: Sequence[date]) -> sql.Composable:
    """Return what keeps to the entities merged under these dates: keys begin with the entity, not with the date."""
    found = connection.execute(
        "SELECT DISTINCT scope FROM quality.merge_state WHERE table_name = %s AND partition_date = ANY(%s)",
        [target.name, list(days)],
    ).fetchall()
    if len(found) > MANY_ENTITIES:
        return sql.SQL("true")
    kind = sql.SQL(str(target.by_name[target.scope].type))
    return sql.SQL("t.{} = ANY(({}::text[])::{}[])").format(
        sql.Identifier(target.scope), sql.Literal([row[0] for row in found]), kind
    )


def described(record: RelationshipRecord) -> dict[str, Any]:
    """Return what is shown of one relationship: a row of a table."""
    r = record.relationship
    by_entity = ", ".join(f"{o.entity}: {o.rows} ({'; '.join(o.values)})" for o in record.open[:10])
    reasons = "; ".join(sorted({f"{o.entity}: {o.reason}" for o in record.orphans if o.reason}))
    return {
        "columns": ", ".join(r.from_fields),
        "to": f"{r.to_table}({', '.join(r.to_fields)})",
        "checked": record.checked,
        "orphans": sum(o.rows for o in record.open),
        "by_entity": by_entity if record.provided else "the table is not there yet",
        "known": reasons,
        "settled": "; ".join(f"{entity}: {value}" for entity, value in record.settled),
    }
