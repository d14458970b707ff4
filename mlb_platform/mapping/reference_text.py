"""The Markdown of reference pages: tables, code, and single parts of a mapping in words."""

from __future__ import annotations

from collections.abc import Sequence

from mlb_platform.mapping.models import DataQualityRule, Lookup, RowSource


def rows_from(source: RowSource) -> str:
    """Return where the rows of a source come from, in words."""
    if source.array_source is not None:
        text = f"the items of {code(source.array_source)}"
    elif source.object_source is not None:
        text = f"the members of {code(source.object_source)}"
    elif source.element_source is not None:
        text = f"{code(source.element_source)}, where it is there"
    else:
        text = "the response: one row"
    if source.constants:
        text += ", with " + ", ".join(f"{name} = {code(str(value))}" for name, value in source.constants.items())
    return text + (f", where {code(source.filter)}" if source.filter else "")


def lookup_words(spec: Lookup) -> str:
    """Return what a look-up finds, in words."""
    if spec.object_source is not None:
        return f"the member {code(str(spec.key))} of {code(spec.object_source)}"
    return f"item {code(str(spec.index))} of {code(str(spec.array_source))}"


def rule_row(rule: DataQualityRule) -> tuple[str, str, str, str]:
    """Return the cells of a rule: name, severity, what holds, why."""
    if rule.kind == "expression":
        holds = code(str(rule.rule))
    elif rule.kind == "not_null":
        holds = f"{', '.join(code(c) for c in rule.columns)} present"
    elif rule.kind == "unique":
        holds = f"{', '.join(code(c) for c in rule.columns)} together unique"
    elif rule.kind == "range":
        low = "" if rule.min is None else f"{rule.min} <= "
        high = "" if rule.max is None else f" <= {rule.max}"
        holds = code(f"{low}{rule.column}{high}")
    elif rule.kind == "ordered":
        within = f" within {', '.join(code(c) for c in rule.within)}" if rule.within else ""
        by = ", ".join(code(c) for c in rule.order_by)
        holds = f"{', '.join(code(c) for c in rule.columns)} never smaller than before, by {by}{within}"
    else:
        columns = ", ".join(code(c) for c in rule.columns)
        holds = f"{columns} in {code(str(rule.to_table))} ({', '.join(code(c) for c in rule.to_columns)})"
    return escaped(rule.label) if rule.name else "", rule.severity, holds, rule.description


def anchor_of(name: str) -> str:
    """Return the anchor that a heading with this text has."""
    return name.replace(".", "")


def order_words(text: str) -> str:
    """Return a column that a view is ordered by, in words."""
    return f"{code(text.removeprefix('-'))} descending" if text.startswith("-") else code(text)


def any_of(paths: Sequence[str]) -> str:
    """Return paths in the order they are tried."""
    return ", else ".join(code(p) for p in paths)


def code(text: str) -> str:
    """Return a text as code, on one line."""
    return f"`{' '.join(text.split())}`"


def escaped(text: str) -> str:
    """Return a text as a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heading, ["---"] * len(heading), *([escaped(c) for c in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
