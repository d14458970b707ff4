"""Relationships between tables, each checked: rows by date and entity that name a row which is not there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from psycopg import sql

from asset_checks.relationships_sql import (
    NamedRows,
    beginning,
    counted,
    day_of,
    naming,
    orphans_of,
    rows_named,
    within_days,
)
from asset_checks.settled import BeforeWaiting, Mappings, none_is_held, owners, writers_waited_for
from mlb_platform.extraction.stores import Stores
from mlb_platform.mapping.models import Relationship
from mlb_platform.mapping.resolve import ResolvedTarget
from mlb_platform.quality.known import KnownOrphan
from resources.own_tables import tables_there
from resources.postgres import Connection

SAMPLES = 5
MANY_ENTITIES = 1_000
"""Of more the rows they name might not fit into HASHED: it is left to PostgreSQL how it looks them up."""
HASHED = b"SET LOCAL work_mem = '64MB'"


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


@dataclass(frozen=True)
class _Question:
    """One relationship of a table that is there, as is the one it names; answers go to the records of the dates."""

    target: ResolvedTarget
    relationship: Relationship
    by_date: Mapping[date | None, RelationshipRecord]
    reasons: Mapping[tuple[str, str], str]


def read_relationships(
    stores: Stores, targets: Iterable[ResolvedTarget], dates: Sequence[date | None], known: Sequence[KnownOrphan]
) -> Records:
    """Check every relationship of these tables in PostgreSQL, by date; a table that is not there has no rows."""
    records: Records = {}
    asked: list[_Question] = []
    targets = list(targets)
    with stores.postgres.transaction() as connection:
        there = tables_there(connection, {n for t in targets for n in (t.name, *(r.to_table for r in t.relationships))})
        for target in targets:
            for day in dates:
                records[target.name, day] = []
            for relationship in target.relationships:
                by_date: dict[date | None, RelationshipRecord] = {
                    d: RelationshipRecord(relationship, relationship.to_table in there) for d in dates
                }
                for day, record in by_date.items():
                    records[target.name, day].append(record)
                if by_date and {target.name, relationship.to_table} <= there:
                    reasons = _reasons(known, target.name, relationship)
                    asked.append(_Question(target, relationship, by_date, reasons))
        if asked:
            _answer(connection, asked, [d for d in dates if d is not None])
    return records


def read_settled_relationships(
    stores: Stores,
    mappings: Mappings,
    targets: Sequence[ResolvedTarget],
    dates: Sequence[date | None],
    known: Sequence[KnownOrphan],
    before_waiting: BeforeWaiting = none_is_held,
) -> Records:
    """Check as `read_relationships` does; where rows name nothing, again once those entities are not written.

    `mappings` are those that make the tables and those they name; `before_waiting` returns when the caller holds no
    lock of a scope.
    """
    records = read_relationships(stores, targets, dates, known)
    doubted = {key: found for key, of_table in records.items() if (found := set().union(*map(_doubts, of_table)))}
    if not doubted:
        return records
    again = [t for t in targets if any(table == t.name for table, _ in doubted)]
    named = {r.relationship.to_table for key in doubted for r in records[key] if _doubts(r)}
    writers = owners({t.name for t in again} | named, mappings)
    before_waiting()
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


def _answer(connection: Connection, asked: Sequence[_Question], days: Sequence[date]) -> None:
    """Count by one statement, each table read once; then name the orphans where there are any."""
    scopes = _scopes(connection, {q.target.name for q in asked}, days)
    named = [rows_named(q.target, q.relationship) if q.target.name in scopes else None for q in asked]
    entities: dict[NamedRows, set[str]] = defaultdict(set)
    for q, rows in zip(asked, named, strict=True):
        if rows is not None:
            entities[rows].update(scopes[q.target.name])
    few = {r: f"named_{n}" for n, (r, found) in enumerate(entities.items()) if len(found) <= MANY_ENTITIES}
    values = {"days": list(days), **{name: sorted(entities[r]) for r, name in few.items()}}
    conditions = [orphans_of(q.relationship, few.get(r) if r else None) for q, r in zip(asked, named, strict=True)]
    of_tables: dict[str, list[int]] = defaultdict(list)
    for n, question in enumerate(asked):
        of_tables[question.target.name].append(n)
    counting = [counted(asked[ns[0]].target, {n: conditions[n] for n in ns}) for ns in of_tables.values()]
    found: dict[int, dict[date | None, dict[str, dict[str, int]]]] = {}
    connection.execute(HASHED)
    for when, counts in connection.execute(beginning(few) + sql.SQL(" UNION ALL ").join(counting), values):
        for n, checked, orphans in counts:
            asked[n].by_date[when].checked += checked
            if orphans:
                found[n] = defaultdict(lambda: defaultdict(dict))
    for n, orphans in found.items():
        query = beginning(few) + naming(asked[n].target, asked[n].relationship, conditions[n])
        for when, entity, value, count in connection.execute(query, values):
            orphans[when][entity][value] = count
    for n, question in enumerate(asked):
        orphans = found.get(n, {})
        _keep(question, orphans)
        excused = {entity for entity, _ in question.reasons}
        if question.target.partition:
            excused &= {*scopes.get(question.target.name, ())}
        if excused:
            _keep_settled(connection, question, {**values, "entities": sorted(excused)}, orphans)


def _keep(question: _Question, found: Mapping[date | None, Mapping[str, Mapping[str, int]]]) -> None:
    """Put orphans together by entity and reason."""
    for when, by_entity in found.items():
        groups: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for entity, values in by_entity.items():
            for value, rows in values.items():
                groups[entity, question.reasons.get((entity, value), "")][value] = rows
        for (entity, reason), of_group in sorted(groups.items()):
            orphans = Orphans(entity, sum(of_group.values()), tuple(of_group)[:SAMPLES], reason)
            question.by_date[when].orphans.append(orphans)


def _keep_settled(
    connection: Connection,
    question: _Question,
    values: Mapping[str, Any],
    found: Mapping[date | None, Mapping[str, Mapping[str, int]]],
) -> None:
    """Note the known orphans that are none any more, of entities that have rows."""
    target, reasons = question.target, question.reasons
    query = sql.SQL(
        "SELECT DISTINCT {day}, t.{scope}::text FROM {table} t WHERE {within} AND t.{scope}::text = ANY({entities})"
    ).format(
        day=day_of(target),
        scope=sql.Identifier(target.scope),
        table=sql.Identifier(*target.name.split(".")),
        within=within_days(target),
        entities=sql.Placeholder("entities"),
    )
    for when, entity in connection.execute(query, values).fetchall():
        orphans = found.get(when, {}).get(entity, {})
        question.by_date[when].settled += sorted(k for k in reasons if k[0] == entity and k[1] not in orphans)


def _scopes(connection: Connection, tables: Collection[str], days: Sequence[date]) -> dict[str, list[str]]:
    """Return the entities merged under these dates by table."""
    query = (
        b"SELECT table_name, array_agg(DISTINCT scope) FROM quality.merge_state "
        b"WHERE table_name = ANY(%s) AND partition_date = ANY(%s) GROUP BY 1"
    )
    return {str(table): list(found) for table, found in connection.execute(query, [list(tables), list(days)])}


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
