"""Which changes of a table's columns a sink makes by itself, and which it refuses because data would be lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resources.errors import PlatformError
from resources.merge import ColumnSpec, MergeSpec
from resources.sql_types import parse_type, widens


class SchemaChangeRefused(PlatformError):
    """A changed mapping that cannot be applied to a table without losing data; names table, column and both types."""


@dataclass(frozen=True)
class ExistingColumn:
    """A column as the sink has it; `sql_type` in the mapping's spelling."""

    name: str
    sql_type: str
    nullable: bool
    description: str = ""


@dataclass(frozen=True)
class ColumnChanges:
    """The additive changes that bring a table to its spec."""

    added: tuple[ColumnSpec, ...] = ()
    widened: tuple[ColumnSpec, ...] = ()
    loosened: tuple[ColumnSpec, ...] = ()
    described: tuple[ColumnSpec, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.widened or self.loosened or self.described)


def takes_null(spec: MergeSpec, column: ColumnSpec) -> bool:
    """Tell whether a column of the table may be null; a key never is."""
    return column.nullable and column.name not in spec.key


def plan_columns(
    place: str, spec: MergeSpec, existing: Sequence[ExistingColumn], key: Sequence[str], *, empty: bool
) -> ColumnChanges:
    """Compare a table with its spec; `place` says in messages where it is, `empty` that it has no rows.

    Raise SchemaChangeRefused for a column that left the mapping, another key, a type that could not hold every value
    there is, and a column that takes no null where there are rows without it.
    """
    remedy = "give the new shape another table name, or drop the table there and materialize it again"
    have = {column.name: column for column in existing}
    gone = [column for column in existing if column.name not in spec.column_names]
    if gone:
        what = ", ".join(f"{column.name} ({column.sql_type})" for column in gone)
        raise SchemaChangeRefused(
            f"{place}: column {what} is no longer in the mapping; its values would be lost: put it back, or {remedy}"
        )
    if set(key) != set(spec.key):
        raise SchemaChangeRefused(
            f"{place}: the key is ({', '.join(key)}), the mapping asks for ({', '.join(spec.key)}): {remedy}"
        )
    added, widened, loosened, described = [], [], [], []
    for column in spec.columns:
        old, nullable = have.get(column.name), takes_null(spec, column)
        if old is None:
            if not nullable and not empty:
                raise SchemaChangeRefused(
                    f"{place}: new column {column.name} {column.sql_type} takes no null, but the table has rows "
                    f"without it: make it nullable, or {remedy}"
                )
            added.append(column)
            continue
        if old.sql_type != str(parse_type(column.sql_type)):
            if not widens(old.sql_type, column.sql_type):
                raise SchemaChangeRefused(
                    f"{place}: column {column.name} is {old.sql_type}, the mapping asks for {column.sql_type}, which "
                    f"cannot hold every value of it: keep {old.sql_type}, choose a wider type, or {remedy}"
                )
            widened.append(column)
        if old.nullable and not nullable:
            raise SchemaChangeRefused(
                f"{place}: column {column.name} {old.sql_type} takes nulls, the mapping asks for NOT NULL: "
                f"keep it nullable, or {remedy}"
            )
        if nullable and not old.nullable:
            loosened.append(column)
        if column.description != old.description:
            described.append(column)
    return ColumnChanges(tuple(added), tuple(widened), tuple(loosened), tuple(described))
