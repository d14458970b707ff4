"""The final select of every table, generated from the mapping: casts, defaults, expressions, misfits, broken rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from mlb_platform.extraction.read_columns import read_columns, settles
from mlb_platform.extraction.rows import DOCUMENT, raw_rows_sql
from mlb_platform.extraction.schema import CORRUPT, document_schema
from mlb_platform.extraction.values import cast, literal, quote, spark_name
from mlb_platform.extraction.walk_rules import RowJudge
from mlb_platform.mapping.models import InheritedColumn
from mlb_platform.mapping.paths import parse_path
from mlb_platform.mapping.resolve import Column, ResolvedMapping, ResolvedTarget, path_list
from mlb_platform.mapping.shape import document_tree
from mlb_platform.mapping.sql import rename_columns
from mlb_platform.mapping.types import parse_type
from mlb_platform.quality.rules import row_rules

ENTITY, PARTITION, CAPTURED_AT = "_entity", "_partition", "_captured_at"
RAW_ENTITY, RAW_PARTITION = "entity_key", "partition_date"
VALUES, COMPUTED = "v", "e"
"""Members of a row: what was read from the document, and what is computed from that."""
MISFIT = "_misfit"
"""Member of a row: BOOLEAN, a value did not fit its column and needs a second look."""
MISFITS = "_misfits"
"""Member of a row: array of (column number, text) of the values that did not fit; quickly, those settled at once."""
BROKEN = "_broken"
"""Member of a row: BIGINT whose bit n says that row rule n is broken."""
_READING = {"columnNameOfCorruptRecord": CORRUPT, "maxNumLen": "200000", "maxStringLen": "268435455"}
"""How documents are parsed: numbers and texts as long as jsonb has them; Spark's own limits lie below."""


@dataclass(frozen=True)
class TableProjection:
    """How one table's rows are computed.

    The quick projection takes whole numbers as they are usually written; a document with any misfit is computed again
    by the `thorough` one, which also takes `5.0` for 5 and tells which values do not fit. Placeholders in a lenient
    NUMERIC column are settled at once: nearly every document has some, and a second look would find the same.
    """

    target: ResolvedTarget
    thorough: bool = False

    @cached_property
    def read(self) -> list[Column]:
        """Columns read from the document or constant, row by row."""
        return read_columns(self.target)

    @cached_property
    def computed(self) -> list[Column]:
        """Columns that are expressions over those read, or have a default."""
        return [c for c in self.target.columns if c.origin == "expression" or has_default(c)]

    @cached_property
    def _sql_by_name(self) -> dict[str, str]:
        names = {"entity": ENTITY, "partition": PARTITION, "technical": CAPTURED_AT, "raw": CAPTURED_AT}
        found = {c.name: names[c.origin] for c in self.target.columns if c.origin in names}
        found |= {c.name: self._read_sql(c) for c in self.read}
        for c in self.target.columns:
            if c.origin == "expression" and c.field is not None:
                text = f"try_cast({rename_columns(str(c.field.expression), found)} AS {spark_name(c.type)})"
                found[c.name] = cast(text, c.type) if c.type.name in ("VARCHAR", "JSONB") else text
        return found

    def _read_sql(self, column: Column) -> str:
        if has_default(column) and column.field is not None and column.field.default is not None:
            default = literal(column.field.default, column.type)
            return f"IF(b.r.`{column.name}` IS NULL, {default}, b.v.`{column.name}`)"
        return f"b.v.`{column.name}`"

    def _computed_cells(self) -> list[str]:
        inner = ", ".join(f"{quote(c.name)}, {self._sql_by_name[c.name]}" for c in self.computed)
        return [f"'{COMPUTED}', named_struct({inner})"] if inner else []

    def _misfit_tests(self) -> list[tuple[int, str, str]]:
        """(column number, column, condition that its value does not fit)."""
        return [
            (i, c.name, f"(b.r.`{c.name}` IS NOT NULL AND b.v.`{c.name}` IS NULL)")
            for i, c in enumerate(self.read)
            if c.origin == "path" and c.type.name != "TEXT" and parse_anchor(c) != "position"
        ]

    def _misfits(self, tests: list[tuple[int, str, str]]) -> str:
        """SQL of the array of (column number, text) of the values that do not fit."""
        each = ", ".join(f"IF({test}, named_struct('c', {i}, 'v', b.r.`{name}`), NULL)" for i, name, test in tests)
        if not tests:
            return "CAST(NULL AS ARRAY<STRUCT<c: INT, v: STRING>>)"
        return f"filter(array({each}), m -> m IS NOT NULL)"

    def _broken(self) -> str:
        bits = []
        for n, rule in enumerate(row_rules(self.target)):
            condition = rename_columns(rule.sql, self._sql_by_name)
            bits.append(f"IF(coalesce({condition}, true), 0L, {1 << n}L)")
        return " + ".join(bits) or "0L"

    @cached_property
    def rows_sql(self) -> str:
        """SQL of all rows of the table in one document: an array of structs."""
        raw = raw_rows_sql(self.target, self.read)
        casts = []
        for c in self.read:
            pattern = c.field.format if c.field else None
            text = f"r.`{c.name}`"
            casts.append(
                f"{quote(c.name)}, {text if c.origin == 'constant' else cast(text, c.type, pattern, self.thorough)}"
            )
        both = f"transform({raw}, r -> named_struct('r', r, 'v', named_struct({', '.join(casts)})))"
        cells = [f"'{VALUES}', b.v", *self._computed_cells()]
        tests = self._misfit_tests()
        settled = [test for test in tests if settles(self.read[test[0]])]
        cells.append(f"'{MISFIT}', {' OR '.join(t[2] for t in tests if t not in settled) or 'false'}")
        if self.thorough or settled:
            cells.append(f"'{MISFITS}', {self._misfits(tests if self.thorough else settled)}")
        cells.append(f"'{BROKEN}', {self._broken()}")
        return f"transform({both}, b -> named_struct({', '.join(cells)}))"

    def cell(self, column: Column) -> str:
        """Return the member of a row that holds a column."""
        holder = COMPUTED if column.origin == "expression" or has_default(column) else VALUES
        return f"{holder}.`{column.name}`"


@dataclass(frozen=True)
class WalkedProjection(TableProjection):
    """What Spark says of rows that were walked (`walk.py`): computed columns, and the rules that are left to it."""

    judge: RowJudge = field(kw_only=True)
    array: str = field(kw_only=True)
    """The column that holds what it needs of the rows: an array of structs."""

    @cached_property
    def computed(self) -> list[Column]:
        """Columns that are expressions over those read."""
        return self.judge.computed

    @property
    def needs_rows(self) -> bool:
        """Whether it is said of each row; otherwise of the document, and of each of its rows."""
        return bool(self.judge.needed)

    @cached_property
    def told_sql(self) -> str:
        """SQL of it: an array of (e: computed, broken: bits), or the bits alone; empty where nothing is to be said."""
        bits = [
            f"IF(coalesce({rename_columns(sql, self._sql_by_name)}, true), 0L, {1 << bit}L)"
            for bit, sql in self.judge.for_spark
        ]
        broken = " + ".join(bits) or "0L"
        if self.needs_rows:
            cells = [*self._computed_cells(), f"'{BROKEN}', {broken}"]
            return f"transform({self.array}, b -> named_struct({', '.join(cells)}))"
        return broken if bits else ""

    def _read_sql(self, column: Column) -> str:
        return f"b.`{column.name}`"


def has_default(column: Column) -> bool:
    """Whether a column read from the document has a value for what is missing."""
    return column.origin == "path" and column.field is not None and column.field.default is not None


def parse_anchor(column: Column) -> str:
    """Return where a column's first path starts: item, parent, lookup, document, key or position."""
    assert column.field is not None
    return parse_path(column.field.paths[0]).anchor


class Projection:
    """Parse once, then every table of a mapping from the same parsed document."""

    def __init__(
        self, mapping: ResolvedMapping, tables: Sequence[str] | None = None, *, thorough: bool = False
    ) -> None:
        self.mapping = mapping
        wanted = mapping.targets if tables is None else [mapping.by_name[t] for t in tables]
        self.tables = [TableProjection(t, thorough) for t in wanted]

    @cached_property
    def schema(self) -> str:
        """DDL of the pruned document."""
        return document_schema(document_tree(self.mapping))

    def _document_value(self, paths: list[str], sql_type: str) -> str:
        raw = ", ".join(DOCUMENT + "".join(f".`{s}`" for s in parse_path(p).steps) for p in paths)
        return cast(f"coalesce({raw})", parse_type(sql_type))

    def _own_sql(self, column: InheritedColumn | None) -> str:
        """SQL of a document's own entity key or date: from its JSON, else from its raw row; NULL where it has none."""
        if column is None or self.mapping.per_element:
            return f"CAST(NULL AS {spark_name(parse_type(column.type)) if column else 'DATE'})"
        if path_list(column):
            return self._document_value(path_list(column), column.type)
        if column is self.mapping.partition:
            return RAW_PARTITION
        return cast(RAW_ENTITY, parse_type(column.type))

    def parse(self, source: DataFrame) -> DataFrame:
        """Parse raw rows (raw_id BIGINT, captured_at TIMESTAMP, data STRING) once, with the pruned schema.

        Where the entity key or the date is not in the document, `source` also has entity_key STRING and partition_date
        DATE; where a response has several entities, its rows carry the key, and it has none of its own here.

        Gives raw_id, _captured_at, _entity, _partition (DATE), _corrupt (BOOLEAN) and the document `d`.
        """
        entity, partition = self._own_sql(self.mapping.entity_key), self._own_sql(self.mapping.partition)
        parsed = source.select(
            "raw_id",
            F.col("captured_at").alias(CAPTURED_AT),
            *(name for name, sql in ((RAW_ENTITY, entity), (RAW_PARTITION, partition)) if name in sql),
            F.from_json("data", self.schema, _READING).alias(DOCUMENT),
        )
        return parsed.select(
            "raw_id",
            CAPTURED_AT,
            F.expr(entity).alias(ENTITY),
            F.expr(partition).alias(PARTITION),
            F.expr(f"{DOCUMENT}.`{CORRUPT}` IS NOT NULL OR {DOCUMENT} IS NULL").alias(CORRUPT),
            DOCUMENT,
        )

    def collectable(self, parsed: DataFrame) -> DataFrame:
        """One row a document, one array column a table (t0, t1, …): all tables in one job."""
        arrays = [F.expr(t.rows_sql).alias(f"t{i}") for i, t in enumerate(self.tables)]
        return parsed.select("raw_id", CAPTURED_AT, ENTITY, PARTITION, CORRUPT, *arrays)

    def frame(self, parsed: DataFrame, table: TableProjection) -> DataFrame:
        """One table as a DataFrame with the mapping's columns in order, lineage aside: the final select."""
        rows = parsed.select("raw_id", CAPTURED_AT, ENTITY, PARTITION, F.explode(F.expr(table.rows_sql)).alias("row"))
        cells = []
        for c in table.target.columns:
            if c.name == "lineage_metadata":
                continue
            if c.origin == "entity":
                cells.append(F.col(ENTITY).alias(c.name))
            elif c.origin == "partition":
                cells.append(F.col(PARTITION).alias(c.name))
            elif c.name == "transform_timestamp":
                cells.append(F.current_timestamp().alias(c.name))
            elif c.technical:
                cells.append(F.col(CAPTURED_AT).alias(c.name))
            else:
                cells.append(F.expr(f"row.{table.cell(c)}").alias(c.name))
        return rows.select(*cells)
