"""SQL of the checks of relationships: rows that name another, and those of them that name none there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from mlb_platform.mapping.models import Relationship
from mlb_platform.mapping.resolve import ResolvedTarget


@dataclass(frozen=True)
class NamedRows:
    """Rows that others name of their own entity, by these columns; `scope` is the entity's, of SQL type `type`."""

    table: str
    columns: tuple[str, ...]
    scope: str
    type: str


def rows_named(target: ResolvedTarget, relationship: Relationship) -> NamedRows | None:
    """Return the rows that a table's rows name of their own entity; None where they may be any's."""
    named_by = dict(zip(relationship.from_fields, relationship.to_fields, strict=True))
    if not target.partition or target.scope not in named_by:
        return None
    kind = str(target.by_name[target.scope].type)
    return NamedRows(relationship.to_table, tuple(named_by.values()), named_by[target.scope], kind)


def beginning(named: Mapping[NamedRows, str]) -> sql.Composable:
    """Return what a statement begins with that looks into `named`: each is read once, and has a name.

    Of the entities only that a parameter of that name lists, as text.
    """
    parts = []
    for rows, name in named.items():
        columns = [sql.Identifier(column) for column in rows.columns]
        read = sql.SQL("{} AS MATERIALIZED (SELECT {} FROM {} WHERE {} = ANY(({}::text[])::{}[]) AND {})").format(
            sql.Identifier(name), sql.SQL(", ").join(columns), sql.Identifier(*rows.table.split(".")),
            sql.Identifier(rows.scope), sql.Placeholder(name), sql.SQL(rows.type),
            sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(column) for column in columns),
        )  # fmt: skip
        parts.append(read)
    return sql.SQL("WITH ") + sql.SQL(", ").join(parts) + sql.SQL(" ") if parts else sql.SQL("")


@dataclass(frozen=True)
class Conditions:
    """Of a row `t`: whether it names another, and whether that is not there."""

    given: sql.Composable
    orphan: sql.Composable


def orphans_of(relationship: Relationship, named: str | None) -> Conditions:
    """Return the conditions; the rows named are looked for in those read under a name, or (None) in their table.

    By IN, for which PostgreSQL hashes rows that fit into memory. Of NOT EXISTS it decides by how many it expects, and
    of dates newer than its statistics it expects none: then it looked up every row, seven times slower. What does not
    fit would be read through for each row by IN: the rest is NOT EXISTS.
    """
    ours = [sql.Identifier("t", name) for name in relationship.from_fields]
    given = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(name) for name in ours)
    if named is not None:
        read = sql.SQL("({}) NOT IN (SELECT * FROM {})")
        return Conditions(given, read.format(sql.SQL(", ").join(ours), sql.Identifier(named)))
    theirs = [sql.Identifier("p", name) for name in relationship.to_fields]
    pairs = (sql.SQL("{} = {}").format(p, t) for p, t in zip(theirs, ours, strict=True))
    other = sql.Identifier(*relationship.to_table.split("."))
    looked_up = sql.SQL("NOT EXISTS (SELECT FROM {} p WHERE {})").format(other, sql.SQL(" AND ").join(pairs))
    return Conditions(given, looked_up)


def counted(target: ResolvedTarget, conditions: Mapping[int, Conditions]) -> sql.Composable:
    """Return what gives, by date, (number, rows that name another, orphans among them) of each question to a table."""
    counts = [
        sql.SQL(
            "ARRAY[{number}, count(*) FILTER (WHERE {given}), count(*) FILTER (WHERE {given} AND {orphan})]"
        ).format(number=sql.Literal(number), given=c.given, orphan=c.orphan)
        for number, c in conditions.items()
    ]
    return sql.SQL("(SELECT {day}, ARRAY[{counts}] FROM {table} t WHERE {within} GROUP BY {day})").format(
        day=day_of(target),
        counts=sql.SQL(", ").join(counts),
        table=sql.Identifier(*target.name.split(".")),
        within=within_days(target),
    )


def naming(target: ResolvedTarget, relationship: Relationship, conditions: Conditions) -> sql.Composable:
    """Return what gives the orphans: date, entity, the value that names nothing, and how many rows do."""
    values = sql.SQL(", ").join(sql.Identifier("t", name) for name in relationship.from_fields)
    return sql.SQL(
        "SELECT {day}, t.{scope}::text, concat_ws(', ', {values}), count(*) FROM {table} t "
        "WHERE {within} AND {given} AND {orphan} GROUP BY {day}, t.{scope}, {values}"
    ).format(
        day=day_of(target),
        scope=sql.Identifier(target.scope),
        values=values,
        table=sql.Identifier(*target.name.split(".")),
        within=within_days(target),
        given=conditions.given,
        orphan=conditions.orphan,
    )


def day_of(target: ResolvedTarget) -> sql.Composable:
    """Return the date of a row `t`, NULL of tables without one."""
    return sql.Identifier("t", target.partition) if target.partition else sql.SQL("NULL::date")


def within_days(target: ResolvedTarget) -> sql.Composable:
    """Return the condition that a row `t` is of one of the dates that the parameter `days` lists: all, without one."""
    if not target.partition:
        return sql.SQL("true")
    return sql.SQL("{} = ANY({}::date[])").format(day_of(target), sql.Placeholder("days"))
