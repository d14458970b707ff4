"""How a table of a spec comes to be in PostgreSQL: created, additively migrated, or refused."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from resources.errors import PlatformError
from resources.merge import ColumnSpec, IndexSpec, MergeSpec, ReferenceSpec
from resources.merge_schema import ColumnChanges, ExistingColumn, plan_columns, takes_null
from resources.merge_state import MergeStates
from resources.own_tables import lock_ddl, table_exists
from resources.postgres import Connection, Postgres
from resources.sql_types import from_postgres, postgres_type
from resources.views import own_views_aside

_NAME_LIMIT = 63
_NOT_ENFORCED_SINCE = 180000
_INSPECT = """
SELECT jsonb_build_object(
  'description', obj_description(t.oid, 'pg_class'),
  'columns', (SELECT jsonb_agg(jsonb_build_array(attname, format_type(atttypid, atttypmod), NOT attnotnull,
                     coalesce(col_description(attrelid, attnum), '')) ORDER BY attnum)
              FROM pg_attribute WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped),
  'key', (SELECT jsonb_agg(a.attname ORDER BY k.n) FROM pg_constraint c, unnest(c.conkey) WITH ORDINALITY k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum
          WHERE c.conrelid = t.oid AND c.contype = 'p'),
  'indexes', (SELECT jsonb_agg(i.relname) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
              WHERE x.indrelid = t.oid),
  'references', (SELECT jsonb_agg(jsonb_build_array(columns, to_table, to_columns, kind, constraint_name,
                                                      reason))
                 FROM quality.table_references WHERE table_name = %s),
  'constraints', (SELECT jsonb_agg(conname) FROM pg_constraint WHERE conrelid = t.oid AND contype = 'f')
) FROM pg_class t WHERE t.oid = to_regclass(%s)
"""


@dataclass
class _Table:
    """A table as the catalog has it."""

    description: str = ""
    columns: list[ExistingColumn] = field(default_factory=list)
    key: list[str] = field(default_factory=list)
    indexes: set[str] = field(default_factory=set)
    references: dict[ReferenceSpec, str | None] = field(default_factory=dict)
    impossible: set[ReferenceSpec] = field(default_factory=set)


def table_name(table: str) -> sql.Identifier:
    """Return `schema.table` as an identifier; raise PlatformError for a name of another shape."""
    parts = table.split(".")
    if len(parts) != 2 or not all(parts):
        raise PlatformError(f"table name {table!r} is not schema.table")
    return sql.Identifier(*parts)


class PreparedTables:
    """Brings tables to their specs and remembers, for this process, which ones are there."""

    def __init__(self, postgres: Postgres, states: MergeStates, sink: str) -> None:
        self._postgres = postgres
        self._states = states
        self._sink = sink
        self._done: dict[str, tuple[MergeSpec, frozenset[str]]] = {}
        """What each table was brought to, and the tables it refers to that were not there."""

    def prepare(self, spec: MergeSpec) -> None:
        """Create or migrate the table of `spec`; nothing is written when it is as it should be."""
        done, absent = self._done.get(spec.table, (None, frozenset[str]()))
        if done == spec and not self._any_exists(absent):
            return
        settled = False
        with self._postgres.transaction() as connection:
            found = _inspect(connection, spec)
            if found is not None:
                settled = not _differences(connection, spec, found)
            if not settled:
                lock_ddl(connection)
                self._apply(connection, spec)
                found = _inspect(connection, spec)
            if found is not None:
                waiting = {r.to_table for r, name in found.references.items() if not name and r not in found.impossible}
                if not any(_exists(connection, table) for table in waiting):
                    self._done[spec.table] = (spec, frozenset(waiting))

    @contextmanager
    def forgotten_where_dropped(self, spec: MergeSpec) -> Iterator[None]:
        """Forget, where a statement inside says that a table is not there, that it was: `prepare` makes it again."""
        try:
            yield
        except psycopg.errors.UndefinedTable:
            self._done.pop(spec.table, None)
            raise

    def _any_exists(self, tables: Collection[str]) -> bool:
        if not tables:
            return False
        with self._postgres.transaction() as connection:
            return any(_exists(connection, table) for table in tables)

    def _apply(self, connection: Connection, spec: MergeSpec) -> None:
        found = _inspect(connection, spec)
        if found is None:
            _create(connection, spec)
            self._states.forget(connection, self._sink, spec.table)
            found = _Table(description=spec.description)
        else:
            changes = _column_changes(connection, spec, found)
            with own_views_aside(connection, spec.table, [column.name for column in changes.widened]):
                for statement in _column_statements(connection, spec, found):
                    connection.execute(statement)
            if changes.added:  # a column of this very derivation was there, and was dropped by hand
                self._states.doubt(connection, self._sink, spec.table, spec.derivation_hash)
        for name, index in _wanted_indexes(spec).items():
            if name not in found.indexes:
                _create_index(connection, spec, name, index)
        _drop_references(connection, spec, found)
        _note_references(connection, spec)
        if connection.info.server_version >= _NOT_ENFORCED_SINCE:
            _add_references(connection, spec.table)


def _inspect(connection: Connection, spec: MergeSpec) -> _Table | None:
    quoted = table_name(spec.table).as_string(connection)
    row = connection.execute(_INSPECT, (spec.table, quoted)).fetchone()
    if row is None:
        return None
    found: dict[str, Any] = row[0]
    constraints = set(found["constraints"] or ())
    references, impossible = {}, set()
    for columns, to_table, to_columns, kind, name, reason in found["references"] or ():
        reference = ReferenceSpec(tuple(columns), to_table, tuple(to_columns), kind)
        references[reference] = name if name in constraints else None
        if reason is not None:
            impossible.add(reference)
    return _Table(
        description=found["description"] or "",
        columns=[
            ExistingColumn(name, from_postgres(kind), nullable, description)
            for name, kind, nullable, description in found["columns"] or ()
        ],
        key=found["key"] or [],
        indexes=set(found["indexes"] or ()),
        references=references,
        impossible=impossible,
    )


def _differences(connection: Connection, spec: MergeSpec, found: _Table) -> bool:
    if _column_statements(connection, spec, found) or not set(_wanted_indexes(spec)) <= found.indexes:
        return True
    if set(found.references) != set(spec.references):
        return True
    if connection.info.server_version < _NOT_ENFORCED_SINCE:
        return False
    waiting = [r for r, name in found.references.items() if name is None and r not in found.impossible]
    return any(_exists(connection, reference.to_table) for reference in waiting)


def _exists(connection: Connection, table: str) -> bool:
    return table_exists(connection, table_name(table).as_string(connection))


def _column_changes(connection: Connection, spec: MergeSpec, found: _Table) -> ColumnChanges:
    known = {column.name for column in found.columns}
    news = any(c.name not in known and not takes_null(spec, c) for c in spec.columns)
    empty = news and _is_empty(connection, table_name(spec.table))
    return plan_columns(f"PostgreSQL table {spec.table}", spec, found.columns, found.key, empty=empty)


def _column_statements(connection: Connection, spec: MergeSpec, found: _Table) -> list[sql.Composed]:
    table = table_name(spec.table)
    changes = _column_changes(connection, spec, found)
    statements: list[sql.Composed] = []
    for column in changes.added:
        statements.append(sql.SQL("ALTER TABLE {} ADD COLUMN {}").format(table, _definition(spec, column)))
    for column in changes.widened:
        statements.append(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {}").format(table, sql.Identifier(column.name), _type(column))
        )
    for column in changes.loosened:
        statements.append(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL").format(table, sql.Identifier(column.name))
        )
    for column in (*changes.added, *changes.described):
        statements.append(_column_comment(table, column))
    if spec.description != found.description:
        statements.append(_table_comment(table, spec))
    return statements


def _is_empty(connection: Connection, table: sql.Identifier) -> bool:
    return connection.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(table)).fetchone() is None


def _create(connection: Connection, spec: MergeSpec) -> None:
    table = table_name(spec.table)
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(spec.table.split(".")[0])))
    columns = sql.SQL(", ").join(_definition(spec, column) for column in spec.columns)
    key = _names(spec.key)
    connection.execute(sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}))").format(table, columns, key))
    connection.execute(_table_comment(table, spec))
    for column in spec.columns:
        connection.execute(_column_comment(table, column))
        if column.technical and column.sql_type == "JSONB":
            # nobody looks for one, and it takes ANALYZE long to count what it is
            unknown = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET STATISTICS 0")
            connection.execute(unknown.format(table, sql.Identifier(column.name)))


def _definition(spec: MergeSpec, column: ColumnSpec) -> sql.Composable:
    null = sql.SQL("") if takes_null(spec, column) else sql.SQL(" NOT NULL")
    return sql.SQL("{} {}{}").format(sql.Identifier(column.name), _type(column), null)


def _type(column: ColumnSpec) -> sql.Composable:
    return sql.SQL(postgres_type(column.sql_type))


def _column_comment(table: sql.Identifier, column: ColumnSpec) -> sql.Composed:
    text = sql.Literal(column.description or None)
    return sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(table, sql.Identifier(column.name), text)


def _table_comment(table: sql.Identifier, spec: MergeSpec) -> sql.Composed:
    return sql.SQL("COMMENT ON TABLE {} IS {}").format(table, sql.Literal(spec.description or None))


def _names(names: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def _short(name: str) -> str:
    if len(name.encode()) <= _NAME_LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name.encode()[: _NAME_LIMIT - 9].decode(errors="ignore") + "_" + digest


def _wanted_indexes(spec: MergeSpec) -> dict[str, IndexSpec]:
    """Name the spec's indexes, and one on the scope and the partition each, where no other begins with it."""
    wanted = list(spec.indexes)
    leading = {spec.key[0], *(index.columns[0] for index in wanted if index.method == "btree")}
    wanted += [IndexSpec((name,)) for name in (spec.scope, spec.partition) if name and name not in leading]
    names = {}
    for index in wanted:
        kind = "" if index.method == "btree" else f"_{index.method}"
        prefix = "ux" if index.unique else "ix"
        names[_short(f"{prefix}_{spec.table.split('.')[1]}_{'_'.join(index.columns)}{kind}")] = index
    return names


def _create_index(connection: Connection, spec: MergeSpec, name: str, index: IndexSpec) -> None:
    statement = sql.SQL("CREATE {}INDEX {} ON {} USING {} ({})").format(
        sql.SQL("UNIQUE " if index.unique else ""),
        sql.Identifier(name),
        table_name(spec.table),
        sql.Identifier(index.method),
        _names(index.columns),
    )
    try:
        with connection.transaction():
            connection.execute(statement)
    except (psycopg.ProgrammingError, psycopg.IntegrityError, psycopg.NotSupportedError) as error:
        raise PlatformError(
            f"PostgreSQL table {spec.table}: index ({', '.join(index.columns)}) of type {index.method} cannot be made: "
            f"{error.diag.message_primary}; correct it in the mapping"
        ) from error


def _drop_references(connection: Connection, spec: MergeSpec, found: _Table) -> None:
    for reference, name in found.references.items():
        if reference not in spec.references:
            if name is not None:
                connection.execute(
                    sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(table_name(spec.table), sql.Identifier(name))
                )
            connection.execute(
                "DELETE FROM quality.table_references "
                "WHERE (table_name, columns, to_table, to_columns) = (%s, %s, %s, %s)",
                (spec.table, list(reference.columns), reference.to_table, list(reference.to_columns)),
            )


def _note_references(connection: Connection, spec: MergeSpec) -> None:
    for reference in spec.references:
        connection.execute(
            "INSERT INTO quality.table_references (table_name, columns, to_table, to_columns, kind) "
            "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (table_name, columns, to_table, to_columns) "
            "DO UPDATE SET kind = excluded.kind",
            (spec.table, list(reference.columns), reference.to_table, list(reference.to_columns), reference.kind),
        )


def _add_references(connection: Connection, table: str) -> None:
    """Make foreign keys, not enforced, of the relationships from and to `table` that have none yet."""
    rows = connection.execute(
        "SELECT r.table_name, r.columns, r.to_table, r.to_columns FROM quality.table_references r "
        "WHERE %s IN (r.table_name, r.to_table) AND NOT EXISTS (SELECT FROM pg_constraint c "
        "WHERE c.contype = 'f' AND c.conname = r.constraint_name AND c.conrelid = to_regclass(r.table_name))",
        (table,),
    ).fetchall()
    for child, columns, parent, parent_columns in rows:
        if not (_exists(connection, child) and _exists(connection, parent)):
            continue
        name: str | None = _short(f"fk_{child.split('.')[1]}_{'_'.join(columns)}_{parent.split('.')[-1]}")
        reason = None
        statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) NOT ENFORCED").format(
            table_name(child), sql.Identifier(name or ""), _names(columns), table_name(parent), _names(parent_columns)
        )
        try:
            with connection.transaction():
                connection.execute(statement)
        except psycopg.ProgrammingError as error:
            name, reason = None, error.diag.message_primary
        connection.execute(
            "UPDATE quality.table_references SET constraint_name = %s, reason = %s "
            "WHERE (table_name, columns, to_table, to_columns) = (%s, %s, %s, %s)",
            (name, reason, child, columns, parent, parent_columns),
        )
