"""Frames held against an Avro schema: names and types, and for Arrow and pandas the values, without a Spark job.

Columns may stand in any order. What a column may hold is its Avro type; `sqlType` and `maxLength`, where the schema has
them, narrow it further.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlb_platform.mapping.avro import AvroSchema, table_of
from mlb_platform.mapping.avro_nodes import Node, parse_avro
from resources.errors import PlatformError

_BITS = {"SMALLINT": 16, "int": 32, "long": 64}
_SPARK_TYPES = {
    "tinyint": "int",
    "smallint": "int",
    "int": "int",
    "bigint": "long",
    "float": "float",
    "double": "double",
    "boolean": "boolean",
    "string": "string",
    "binary": "bytes",
    "date": "date",
    "timestamp": "timestamp-micros",
}


class ContractBroken(PlatformError):
    """A frame that is not what its Avro schema says; names the table and every column concerned."""


@dataclass(frozen=True)
class Mismatch:
    """One column that is not as agreed; `column` may be one that is missing or not expected."""

    table: str
    column: str
    problem: str

    def __str__(self) -> str:
        return f"column {self.column}: {self.problem}"


@dataclass(frozen=True)
class _Column:
    """What a column has to be: Avro's type, or its logical type; decimals as `decimal(5,2)`."""

    name: str
    type: str
    nullable: bool
    bits: int | None = None
    decimal: tuple[int, int] | None = None
    length: int | None = None


@dataclass(frozen=True)
class FrameContract:
    """A schema made ready for frames: worked out once, then held against many."""

    table: str
    columns: dict[str, _Column]


def _column(field: dict[str, Any], node: Node) -> _Column:
    nullable = node.kind == "union" and any(b.kind == "null" for b in node.branches)
    held = [b for b in node.branches if b.kind != "null"] if node.kind == "union" else [node]
    if len(held) != 1:
        raise ContractBroken(f"column {field['name']}: {node} is no type that a column of a frame can have")
    kind = held[0]
    if kind.logical == "decimal":
        return _Column(field["name"], str(kind), nullable, decimal=kind.decimal)
    name = kind.logical or kind.kind
    bits = _BITS.get(str(field.get("sqlType")), _BITS.get(name))
    return _Column(field["name"], name, nullable, bits, length=field.get("maxLength"))


def compile_contract(schema: AvroSchema) -> FrameContract:
    """Make a record schema ready for frames; raise ContractBroken for columns that are no plain values."""
    nodes = {f.name: f.type for f in parse_avro(schema).fields}
    columns = {f["name"]: _column(f, nodes[f["name"]]) for f in schema["fields"]}
    table = table_of(schema) if schema.get("namespace") else str(schema["name"])
    return FrameContract(table, columns)


_KEPT = 512
_compiled: dict[int, tuple[AvroSchema, FrameContract]] = {}


def contract_of(schema: AvroSchema | FrameContract) -> FrameContract:
    """Return the contract of a schema, worked out once for each schema object (which is not changed afterwards)."""
    if isinstance(schema, FrameContract):
        return schema
    known = _compiled.get(id(schema))
    if known is None or known[0] is not schema:
        if len(_compiled) >= _KEPT:
            _compiled.clear()
        # the schema is kept too, so that no other one gets its id
        known = _compiled[id(schema)] = (schema, compile_contract(schema))
    return known[1]


@cache
def _arrow_name(kind: pa.DataType) -> str:
    """Return the Avro name of an Arrow type; one that Avro has no word for stays in Arrow's words."""
    if pa.types.is_dictionary(kind):
        return _arrow_name(kind.value_type)
    if pa.types.is_integer(kind) and (kind.bit_width < 64 or kind == pa.int64()):
        needed = kind.bit_width + (0 if pa.types.is_signed_integer(kind) else 1)
        return "int" if needed <= 32 else "long"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            return f"timestamp[{kind.unit}] without time zone"
        return "timestamp-micros" if kind.unit == "us" else f"timestamp[{kind.unit}]"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "string"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return "bytes"
    plain = {
        pa.bool_(): "boolean", pa.float32(): "float", pa.float64(): "double", pa.date32(): "date", pa.null(): "null",
    }  # fmt: skip
    return plain.get(kind, str(kind))


def _scale_of(name: str) -> int | None:
    found = re.fullmatch(r"decimal\(\d+,(-?\d+)\)", name)
    return int(found[1]) if found else None


def _fits_type(column: _Column, found: str, by_value: bool) -> bool:
    """Whether a frame's type is the column's; `by_value`: integers and decimals of any width, the values decide."""
    if found == column.type or (found == "null" and column.nullable):
        return True
    if column.decimal is not None and by_value:
        return _scale_of(found) == column.decimal[1]
    return by_value and {found, column.type} <= {"int", "long"}


def _names(contract: FrameContract, found: list[str]) -> list[Mismatch]:
    problems = [
        Mismatch(contract.table, n, "is missing from the frame") for n in contract.columns if n not in set(found)
    ]
    problems += [Mismatch(contract.table, n, "is not in the schema") for n in found if n not in contract.columns]
    twice = dict.fromkeys(n for n in found if found.count(n) > 1) if len(set(found)) < len(found) else {}
    return problems + [Mismatch(contract.table, n, "stands twice in the frame") for n in twice]


def _value_problem(column: _Column, values: pa.ChunkedArray) -> str | None:
    """Say what is wrong with the values of a column whose type is right."""
    if not column.nullable and values.null_count:
        return f"{values.null_count} of {len(values)} values are null, but it takes no null"
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    if len(values) == values.null_count:
        return None
    if column.length is not None:
        # no text has more characters than bytes: mostly the cheaper count is enough
        if pc.max(pc.binary_length(values)).as_py() > column.length:
            longest = pc.max(pc.utf8_length(values)).as_py()
            if longest > column.length:
                return f"a text of {longest} characters, at most {column.length} are allowed"
    elif column.bits is not None and values.type.bit_width > column.bits:
        extremes = pc.min_max(values).as_py()
        limit = 1 << (column.bits - 1)
        if extremes["min"] < -limit or extremes["max"] >= limit:
            worst = extremes["max"] if extremes["max"] >= limit else extremes["min"]
            return f"{worst} does not fit into {column.bits} bits"
    elif column.decimal is not None:
        extremes = pc.min_max(values).as_py()
        precision, scale = column.decimal
        worst = max(extremes.values(), key=abs)
        if abs(worst) >= 10 ** (precision - scale):
            return f"{worst} has more digits than {column.type}"
    return None


def _arrow_mismatches(frame: pa.Table, contract: FrameContract, by_value: bool = False) -> list[Mismatch]:
    problems = _names(contract, frame.column_names)
    if any("twice" in p.problem for p in problems):
        return problems
    present = dict(zip(frame.column_names, frame.columns, strict=True))
    for name, values in present.items():
        column = contract.columns.get(name)
        if column is None:
            continue
        found = _arrow_name(values.type)
        problem: str | None = f"{found}, the schema says {column.type}"
        if _fits_type(column, found, by_value):
            problem = _value_problem(column, values)
        if problem:
            problems.append(Mismatch(contract.table, name, problem))
    return problems


def _spark_mismatches(frame: Any, contract: FrameContract, strict_nulls: bool) -> list[Mismatch]:
    fields = frame.schema.fields
    problems = _names(contract, [f.name for f in fields])
    for f in fields:
        column = contract.columns.get(f.name)
        if column is None:
            continue
        text = f.dataType.simpleString()
        found = "string" if re.fullmatch(r"(var)?char\(\d+\)", text) else _SPARK_TYPES.get(text, text)
        if found != column.type:
            problems.append(Mismatch(contract.table, f.name, f"{text}, the schema says {column.type}"))
        elif strict_nulls and f.nullable and not column.nullable:
            problems.append(Mismatch(contract.table, f.name, "may be null, but the schema takes no null"))
    return problems


def _from_pandas(frame: Any, contract: FrameContract) -> pa.Table:
    """Return a pandas frame as Arrow; its instants, which pandas keeps in several units, in microseconds."""
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise ContractBroken(f"{contract.table}: the frame has a column of mixed values: {error}") from error
    for i, f in enumerate(table.schema):
        if pa.types.is_timestamp(f.type) and f.type.tz is not None and f.type.unit != "us":
            table = table.set_column(i, f.name, table.column(i).cast(pa.timestamp("us", f.type.tz), safe=False))
    return table


def find_mismatches(frame: Any, schema: AvroSchema | FrameContract, *, strict_nulls: bool = False) -> list[Mismatch]:
    """Return what in a Spark, Arrow or pandas frame is not as its Avro schema says.

    Of a Spark frame only names and types are looked at, which runs no job; that Spark cannot rule out nulls counts only
    with `strict_nulls`. Of Arrow and pandas frames the values are too: nulls, lengths, digits, ranges.
    """
    contract = contract_of(schema)
    kind = type(frame).__module__.partition(".")[0]
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    if isinstance(frame, pa.Table):
        return _arrow_mismatches(frame, contract)
    if kind == "pandas":
        return _arrow_mismatches(_from_pandas(frame, contract), contract, by_value=True)
    if kind == "pyspark":
        return _spark_mismatches(frame, contract, strict_nulls)
    raise ContractBroken(f"{contract.table}: {type(frame).__name__} is no frame of Spark, Arrow or pandas")


def validate_dataframe_against_avro(
    frame: Any, schema: AvroSchema | FrameContract, *, strict_nulls: bool = False
) -> None:
    """Raise ContractBroken, naming the table and every column, when a frame is not as its Avro schema says."""
    problems = find_mismatches(frame, schema, strict_nulls=strict_nulls)
    if problems:
        raise ContractBroken(f"{problems[0].table} does not keep its schema: {'; '.join(map(str, problems))}")


@cache
def raw_contract(raw_table: str) -> FrameContract:
    """Return what is read of a raw table: the capture's id, entity, date and time, and its body as text."""
    namespace, _, name = raw_table.rpartition(".")
    kinds: dict[str, Any] = {
        "raw_id": "long",
        "entity_key": "string",
        "partition_date": ["null", {"type": "int", "logicalType": "date"}],
        "captured_at": {"type": "long", "logicalType": "timestamp-micros"},
        "data": "string",
    }
    fields = [{"name": n, "type": kind} for n, kind in kinds.items()]
    return compile_contract({"type": "record", "name": name, "namespace": namespace, "fields": fields})


def check_raw_frame(frame: Any, raw_table: str) -> None:
    """Check the frame that a run reads captures with, before it is parsed; raise ContractBroken. Runs no job."""
    validate_dataframe_against_avro(frame, raw_contract(raw_table))


def check_batch(rows: pa.Table, schema: AvroSchema | FrameContract) -> None:
    """Check the rows of one table, values included, before they are merged; raise ContractBroken."""
    validate_dataframe_against_avro(rows, schema)
