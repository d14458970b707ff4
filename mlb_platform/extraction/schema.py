"""The Spark schema pruned to the paths a mapping reads. Every value is read as text, so no type surprise is lost."""

from __future__ import annotations

from mlb_platform.mapping.paths import ITEMS, MEMBERS
from mlb_platform.mapping.shape import Node

CORRUPT = "_corrupt"


def spark_type(node: Node) -> str:
    """Return the DDL type of a node: STRING for a value, else STRUCT, ARRAY or MAP."""
    if node.kind == "array":
        return f"ARRAY<{spark_type(node.children[ITEMS])}>"
    if node.kind == "members":
        return f"MAP<STRING, {spark_type(node.children[MEMBERS])}>"
    if node.kind == "object":
        inner = ", ".join(f"`{name}`: {spark_type(child)}" for name, child in node.children.items())
        return f"STRUCT<{inner}>"
    return "STRING"


def document_schema(tree: Node) -> str:
    """Return the DDL for `from_json`, with the column that tells a document whose structure is not the expected."""
    fields = [f"`{name}` {spark_type(child)}" for name, child in tree.children.items()]
    return ", ".join([*fields, f"`{CORRUPT}` STRING"])
