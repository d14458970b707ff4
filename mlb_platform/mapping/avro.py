"""The Avro schema of a table: the contract that readers of its rows can rely on."""

from __future__ import annotations

import json
from typing import Any

from mlb_platform.mapping.resolve import Column, ResolvedMapping, ResolvedTarget
from mlb_platform.mapping.types import SqlType

AvroSchema = dict[str, Any]
"""An Avro record schema as JSON."""

_PLAIN = {
    "SMALLINT": "int",
    "INT": "int",
    "BIGINT": "long",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "VARCHAR": "string",
    "TEXT": "string",
    "JSONB": "string",
}
_LOGICAL = {"DATE": ("int", "date"), "TIMESTAMPTZ": ("long", "timestamp-micros")}


def avro_type(sql_type: SqlType) -> str | dict[str, Any]:
    """Return the Avro type of a column type; dates, instants (UTC) and decimals are logical types."""
    if sql_type.name == "NUMERIC":
        precision, scale = sql_type.args
        return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}
    if sql_type.name in _LOGICAL:
        kind, logical = _LOGICAL[sql_type.name]
        return {"type": kind, "logicalType": logical}
    return _PLAIN[sql_type.name]


def _field(column: Column) -> dict[str, Any]:
    kind = avro_type(column.type)
    made: dict[str, Any] = {"name": column.name, "type": ["null", kind] if column.nullable else kind}
    if column.nullable:
        made["default"] = None
    if column.description:
        made["doc"] = column.description
    made["sqlType"] = str(column.type)
    if column.type.name == "VARCHAR":
        made["maxLength"] = column.type.args[0]
    if column.type.name == "JSONB":
        made["contentType"] = "application/json"
    return made


def generate_avro_schema(target: ResolvedTarget, *, mapping: str = "", version: str = "") -> AvroSchema:
    """Return the Avro record schema of a table, named as the table is (`game.plays`: `plays` in namespace `game`).

    A column that may be null is a union with null, null by default; the others have no default. What Avro has no word
    for stands beside as properties: SQL type and length of each column, the key, partition and merge scope, how rows
    are derived, and the mapping with its `version`.
    """
    namespace, name = target.name.split(".")
    made: AvroSchema = {"type": "record", "name": name, "namespace": namespace}
    if target.config.description:
        made["doc"] = target.config.description
    return made | {
        "mapping": mapping,
        "mappingVersion": version,
        "primaryKey": list(target.key),
        "partitionBy": target.partition,
        "mergeScope": target.scope,
        "snapshot": target.snapshot,
        "derivationHash": target.derivation_hash,
        "fields": [_field(c) for c in target.columns],
    }


def mapping_schemas(mapping: ResolvedMapping) -> dict[str, AvroSchema]:
    """Return the Avro schemas of all tables of a mapping, by `schema.table`."""
    return {
        t.name: generate_avro_schema(t, mapping=mapping.name, version=mapping.config.version) for t in mapping.targets
    }


def table_of(schema: AvroSchema) -> str:
    """Return the `schema.table` that a schema of ours is of."""
    return f"{schema['namespace']}.{schema['name']}"


def schema_text(schema: AvroSchema) -> str:
    """Return a schema as it is kept in a file: one field a line, so that a change of it reads well."""

    def dump(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    head = [f"  {dump(name)}: {dump(value)}," for name, value in schema.items() if name != "fields"]
    fields = ",\n".join(f"    {dump(f)}" for f in schema["fields"])
    return "\n".join(["{", *head, '  "fields": [', fields, "  ]", "}"]) + "\n"
