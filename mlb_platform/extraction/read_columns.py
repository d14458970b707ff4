"""Which columns of a table are read from the document, in the order in which misfits count them."""

from __future__ import annotations

from mlb_platform.mapping.resolve import Column, ResolvedTarget


def read_columns(target: ResolvedTarget) -> list[Column]:
    """Return the columns read from the document or constant, row by row."""
    return [c for c in target.columns if c.origin in ("path", "constant")]


def settles(column: Column) -> bool:
    """Whether a text that is no number is as expected in a column, so that it is told at once.

    Nearly every document has some in a lenient NUMERIC column, and a second look would find the same.
    """
    return column.field is not None and column.field.lenient and column.type.name == "NUMERIC"
