"""SQL over tables as of a time and over their histories: only what a statement names is read or derived."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from mlb_platform.extraction.specs import view_specs
from mlb_platform.extraction.stores import Stores
from mlb_platform.history.states import States
from mlb_platform.history.validity import table_history, tables_as_of
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.mapping.types import SqlType
from resources.errors import PlatformError
from resources.lake import lake_tables
from resources.views import ViewSpec, view_query

HISTORY = "_history"
"""The history of `game.live_game_plays` is `game_history.live_game_plays`."""
_WHOLE = re.compile(r"0|-?[1-9]\d*", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def named_tables(query: str) -> list[str]:
    """Return the tables, schema.table, that a statement names. Raises PlatformError when it cannot be read."""
    try:
        parsed = sqlglot.parse(query, read="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise PlatformError(f"the statement cannot be read: {str(error).splitlines()[0]}") from error
    found = [t for statement in parsed if statement is not None for t in statement.find_all(exp.Table)]
    return list(dict.fromkeys(f"{t.db}.{t.name}".lower() for t in found if t.db))


def named_entities(query: str, scope: str, scope_type: SqlType) -> list[str] | None:
    """Return the entities that a statement over one table asks for by `scope = …` or `scope IN (…)`; None: any.

    Any, too, where a value is written in another way than the type's own: DuckDB takes `1.0` and `' 1'` for 1.
    """
    parsed = sqlglot.parse_one(query, read="duckdb")
    where = parsed.args.get("where")
    sources = list(parsed.find_all(exp.Table, exp.UDTF, exp.Select, exp.Join))
    # a column of something joined to the table, or named anew by its alias, would be taken for the table's
    simple = isinstance(parsed, exp.Select) and len(sources) == 2 and not any(s.alias_column_names for s in sources)
    if not simple or not isinstance(where, exp.Where):
        return None
    conditions = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    for condition in conditions:
        column = condition.this
        if not isinstance(column, exp.Column) or column.name.lower() != scope:
            continue
        values = [condition.expression] if isinstance(condition, exp.EQ) else []
        if isinstance(condition, exp.In) and not condition.args.get("query"):
            values = condition.expressions
        if values and all(isinstance(v, exp.Literal) and _is_canonical(v, scope_type) for v in values):
            return [str(v.this) for v in values]
    return None


def _is_canonical(value: exp.Literal, sql_type: SqlType) -> bool:
    """Whether a literal is written as the type writes the value itself, so that no other text means the same."""
    if sql_type.is_text:
        return bool(value.is_string)
    if sql_type.is_integer:
        return _WHOLE.fullmatch(str(value.this)) is not None
    return sql_type.name == "DATE" and _DAY.fullmatch(str(value.this)) is not None


@dataclass
class TimeTravel:
    """Gives DuckDB what a statement asks for: tables as of a time, histories, and the views of mappings over them."""

    stores: Stores
    lake: str
    registry: MappingRegistry
    notes: list[str] = field(default_factory=list)
    """What was read from table versions and what was derived, a line a table."""
    _states: dict[str, States] = field(default_factory=dict)

    def states(self, mapping: ResolvedMapping) -> States:
        """Return the states of a mapping's tables; what they derive is kept."""
        if mapping.name not in self._states:
            self._states[mapping.name] = States(self.stores, self.lake, mapping)
        return self._states[mapping.name]

    def owner(self, table: str) -> ResolvedMapping:
        """Return the mapping of a table. Raises PlatformError, naming those that come close, when there is none."""
        try:
            return self.registry.table_owner(table)
        except KeyError:
            if (view := self._views().get(table)) is not None:
                raise PlatformError(f"{table} is a view of {view.table}: ask for that table") from None
            import difflib

            known = [t for m in self.registry.mappings.values() for t in m.by_name]
            close = difflib.get_close_matches(table, known, 3, 0.5) or sorted(known)[:5]
            raise PlatformError(f"no mapping makes a table {table}; close to it: {', '.join(close)}") from None

    def put_as_of(self, connection: duckdb.DuckDBPyConnection, query: str, at: datetime) -> None:
        """Put the tables and views that `query` names into `connection`, as they were at a time."""
        views = self._views()
        names = named_tables(query)
        for name in (n for n in names if n.split(".")[0].endswith(HISTORY)):
            raise PlatformError(f"{name} has all times already: ask it with --lake, for valid_from and valid_to")
        asked = [n for n in names if n not in views]
        needed = dict.fromkeys([*asked, *(views[n].table for n in names if n in views)])
        by_mapping: dict[str, list[str]] = {}
        for name in needed:
            by_mapping.setdefault(self.owner(name).name, []).append(name)
        for mapping_name, tables in by_mapping.items():
            mapping = self.registry.get(mapping_name)
            entities = self._entities(query, mapping, tables) if names == tables else None
            found, known = tables_as_of(self.states(mapping), tables, at, entities)
            for name, rows in found.items():
                _put(connection, name, rows)
            self.notes.append(
                f"{', '.join(tables)} by the newest captures then: {known.by_version} read from table versions, "
                f"{known.derived} derived from raw rows"
            )
        self._put_views(connection, [views[n] for n in names if n in views])

    def put_extras(self, connection: duckdb.DuckDBPyConnection, query: str) -> None:
        """Put the histories and views that `query` names into a connection that has the tables of the lake."""
        views = self._views()
        names = named_tables(query)
        for name in names:
            schema, _, table = name.partition(".")
            if not schema.endswith(HISTORY):
                continue
            mapping = self.owner(f"{schema.removesuffix(HISTORY)}.{table}")
            own = f"{schema.removesuffix(HISTORY)}.{table}"
            entities = self._entities(query, mapping, [own])
            _put(connection, name, table_history(self.states(mapping), own, entities))
        there = set(lake_tables(self.lake))
        self._put_views(connection, [views[n] for n in names if n in views and views[n].table in there])

    def _entities(self, query: str, mapping: ResolvedMapping, tables: Sequence[str]) -> list[str] | None:
        if len(tables) != 1:
            return None
        target = mapping.by_name[tables[0]]
        return named_entities(query, target.scope, target.by_name[target.scope].type)

    def _views(self) -> dict[str, ViewSpec]:
        return {v.name: v for m in self.registry.mappings.values() for v in view_specs(m)}

    @staticmethod
    def _put_views(connection: duckdb.DuckDBPyConnection, views: Iterable[ViewSpec]) -> None:
        for view in views:
            described = connection.execute(f"DESCRIBE {_quoted(view.table)}").fetchall()
            _make_schema(connection, view.name)
            query = view_query(view, tuple(str(row[0]) for row in described))
            connection.execute(f"CREATE VIEW {_quoted(view.name)} AS {query}")


def _put(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    _make_schema(connection, name)
    source = f"rows of {name}"
    connection.register(source, rows)
    connection.execute(f'CREATE VIEW {_quoted(name)} AS SELECT * FROM "{source}"')


def _make_schema(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{name.split(".")[0]}"')


def _quoted(name: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def empty_connection() -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection without tables, with times in UTC."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection
