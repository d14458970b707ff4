"""The statements by which a table is merged in PostgreSQL, each put together once for a table's spec.

A live batch merges thirty tables in a second: putting the text for a hundred columns together takes longer than the
statement does. A place or a stage is given as the quoted name of the table, or of what its rows are staged in.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from psycopg import sql

from resources.merge import SOURCE_CAPTURED_AT, MergeSpec
from resources.postgres_sink_schema import table_name
from resources.sql_types import postgres_type

STAGE = sql.Identifier("merge_stage")
_KEPT = 512
"""Statements that are kept: three a table of every mapping, and then those of stages that are gone."""


@lru_cache(_KEPT)
def create_stage(spec: MergeSpec) -> bytes:
    """Return what creates the temporary table that rows are staged in."""
    query = sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP")
    return query.format(STAGE, stage_columns(spec)).as_bytes()


def stage_columns(spec: MergeSpec) -> sql.Composed:
    """Return the columns of a table that rows are staged in, for its DDL."""
    return listed(
        sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(postgres_type(c.sql_type))) for c in spec.columns
    )


@lru_cache(_KEPT)
def copy_into(spec: MergeSpec, place: str) -> bytes:
    """Return what copies rows, in the spec's columns and PostgreSQL's binary format, into the table or a stage."""
    names = listed(sql.Identifier(name) for name in spec.column_names)
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(sql.SQL(place), names).as_bytes()


@lru_cache(_KEPT)
def any_rows(spec: MergeSpec) -> bytes:
    """Return what tells whether the table has rows of some scopes (one parameter, an array)."""
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {} = ANY(%s::{}))")
    return query.format(table_name(spec.table), sql.Identifier(spec.scope), scope_array(spec)).as_bytes()


@lru_cache(_KEPT)
def delete_vanished(spec: MergeSpec, stage: str) -> bytes:
    """Return what deletes the rows of some scopes (one parameter, an array) that are not staged, and counts them."""
    query = sql.SQL(
        "WITH gone AS (DELETE FROM {table} t WHERE t.{scope} = ANY(%s::{kind}) AND NOT EXISTS "
        "(SELECT FROM {stage} s WHERE {same_key}) RETURNING {group}) "
        "SELECT 'DELETE', scope, partition, count(*) FROM gone GROUP BY scope, partition"
    )
    return query.format(
        table=table_name(spec.table),
        scope=sql.Identifier(spec.scope),
        kind=scope_array(spec),
        stage=sql.SQL(stage),
        same_key=_same_key(spec),
        group=_group(spec),
    ).as_bytes()


@lru_cache(_KEPT)
def merge_staged(spec: MergeSpec, stage: str) -> bytes:
    """Return what merges the staged rows, and counts by action, scope and partition what that did."""
    values = [name for name in spec.column_names if name not in spec.key]
    clauses = []
    if spec.business_columns:
        changed = sql.SQL("({}) IS DISTINCT FROM ({})").format(
            listed(sql.SQL("t.{}").format(sql.Identifier(name)) for name in spec.business_columns),
            listed(sql.SQL("s.{}").format(sql.Identifier(name)) for name in spec.business_columns),
        )
        assignments = listed(sql.SQL("{0} = s.{0}").format(sql.Identifier(name)) for name in values)
        clauses.append(
            sql.SQL("WHEN MATCHED AND ({}{}) THEN UPDATE SET {}").format(changed, _not_older(spec), assignments)
        )
    clauses.append(
        sql.SQL("WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})").format(
            listed(sql.Identifier(name) for name in spec.column_names),
            listed(sql.SQL("s.{}").format(sql.Identifier(name)) for name in spec.column_names),
        )
    )
    query = sql.SQL(
        "WITH merged AS (MERGE INTO {table} t USING {stage} s ON {same_key} {clauses} "
        "RETURNING merge_action() AS action, {group}) "
        "SELECT action, scope, partition, count(*) FROM merged GROUP BY action, scope, partition"
    )
    return query.format(
        table=table_name(spec.table),
        stage=sql.SQL(stage),
        same_key=_same_key(spec),
        clauses=sql.SQL(" ").join(clauses),
        group=_group(spec),
    ).as_bytes()


def scope_array(spec: MergeSpec) -> sql.Composable:
    """Return the type of an array of scopes."""
    kind = next(c.sql_type for c in spec.columns if c.name == spec.scope)
    return sql.SQL(postgres_type(kind) + "[]")


def listed(parts: Iterable[sql.Composable]) -> sql.Composed:
    """Return parts with commas between them."""
    return sql.SQL(", ").join(parts)


def _not_older(spec: MergeSpec) -> sql.Composable:
    """Keep another scope's newer row, where the key does not contain the scope."""
    if spec.scope in spec.key or SOURCE_CAPTURED_AT not in spec.column_names:
        return sql.SQL("")
    return sql.SQL(" AND (t.{0} IS NOT DISTINCT FROM s.{0} OR (t.{1} <= s.{1}) IS NOT FALSE)").format(
        sql.Identifier(spec.scope), sql.Identifier(SOURCE_CAPTURED_AT)
    )


def _group(spec: MergeSpec) -> sql.Composable:
    partition = sql.SQL("t.{}").format(sql.Identifier(spec.partition)) if spec.partition else sql.SQL("NULL::date")
    return sql.SQL("t.{}::text AS scope, {} AS partition").format(sql.Identifier(spec.scope), partition)


def _same_key(spec: MergeSpec) -> sql.Composable:
    return sql.SQL(" AND ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(name)) for name in spec.key)
