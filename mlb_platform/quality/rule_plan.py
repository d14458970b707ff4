"""All rules of a table over a frame as one Spark plan: each row tells which rules it breaks, then one count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyspark.sql import Column as SparkColumn
from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from mlb_platform.mapping.models import DataQualityRule
from mlb_platform.mapping.resolve import ResolvedTarget
from mlb_platform.mapping.sql import columns_of, rename_columns
from mlb_platform.quality.contract import spark_type, told_apart
from mlb_platform.quality.rules import ROW_KINDS, row_sql

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EVERY_ROW = -1
"""Stands for a rule that each row is counted under."""
RULE, FAILED, SAMPLES = "_rule", "_failed", "_samples"
_SAMPLE, _BUCKET, _FOUND = "_sample", "_bucket", "_found_{}"
_BUCKETS = 1024
"""Of so many parts of a rule's broken rows one row each is kept on the way, so memory stays bounded."""
TEXT_LENGTH = "text_length"


@dataclass(frozen=True)
class Judged:
    """A rule as it is applied to a frame: key and columns that its samples show, or why it cannot be judged."""

    rule: DataQualityRule
    key: tuple[str, ...]
    columns: tuple[str, ...]
    skipped: str | None = None
    lengths: Mapping[str, int] = field(default_factory=dict)

    def shown(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return of a broken row the key and what the rule looks at; of many columns only those that break it."""
        cells = {c: row[c] for c in self.columns}
        if self.rule.kind == "not_null":
            return {c: v for c, v in cells.items() if c in self.key or v is None}
        if self.lengths:
            return {c: v for c, v in cells.items() if c in self.key or len(v or "") > self.lengths[c]}
        return cells


def all_rules(target: ResolvedTarget) -> list[DataQualityRule]:
    """Return the rules of a table, and the one that its types imply: no text is longer than its column."""
    limited = _lengths(target)
    if not limited:
        return list(target.rules)
    return [
        *target.rules,
        DataQualityRule(
            rule=" AND ".join(f"coalesce(length({name}) <= {n}, true)" for name, n in limited.items()),
            severity="error",
            name=TEXT_LENGTH,
            description="No text is longer than its VARCHAR column.",
        ),
    ]


def _lengths(target: ResolvedTarget) -> dict[str, int]:
    return {c.name: c.type.args[0] for c in target.columns if c.type.name == "VARCHAR"}


def used_columns(rule: DataQualityRule) -> list[str]:
    """Return the columns a rule looks at, each once."""
    return list(dict.fromkeys([*rule.needs, *(columns_of(rule.rule) if rule.rule else [])]))


class RulePlan:
    """The plan for one frame. `judged` are the rules, `counts()` the lazy frame of what each one finds."""

    def __init__(
        self,
        df: DataFrame,
        target: ResolvedTarget,
        others: Mapping[str, DataFrame],
        by: Sequence[str],
        scope: Sequence[str],
    ) -> None:
        self.target, self.others, self.by, self.scope = target, others, list(by), list(scope)
        self.frame = told_apart(df)
        self.types = {f.name: f.dataType for f in self.frame.schema.fields}
        self.judged = [self._judged(rule) for rule in all_rules(target)]
        used = [*target.key, *self.by, *self.scope, *(c for j in self.judged for c in j.columns)]
        self.used = [c for c in dict.fromkeys(used) if c in self.types]

    def _judged(self, rule: DataQualityRule) -> Judged:
        columns, key = used_columns(rule), tuple(c for c in self.target.key if c in self.types)
        lengths = _lengths(self.target) if rule.name == TEXT_LENGTH else {}
        needed = [*columns, *(self.scope if rule.kind in ("unique", "ordered") else [])]
        absent = [c for c in needed if c not in self.types]
        present = tuple(dict.fromkeys([*key, *(c for c in columns if c in self.types)]))
        if absent:
            return Judged(rule, key, present, f"column {absent[0]} is missing")
        other = self.others.get(str(rule.to_table)) if rule.kind == "reference" else None
        if rule.kind == "reference" and other is None:
            return Judged(rule, key, present, f"needs {rule.to_table}, which was not given")
        lacking = [c for c in rule.to_columns if other is not None and c not in other.columns]
        return Judged(rule, key, present, f"{rule.to_table} has no column {lacking[0]}" if lacking else None, lengths)

    def counts(self, samples: int) -> DataFrame:
        """Return by group and rule number the rows that break it and `samples` of them, the least keys first.

        EVERY_ROW counts all rows. A rule that no row breaks has no row here.
        """
        rows = self._with_windows(self._with_references(self._conformed()))
        tests = [
            F.when(F.coalesce(test, F.lit(True)), F.lit(None)).otherwise(F.lit(n)) for n, test in self._tests().items()
        ]
        numbers = F.array(F.lit(EVERY_ROW), *tests)
        shown = [F.col(f"`{c}`") for c in dict.fromkeys([*self.target.key, *self.used]) if c in self.types]
        numbered = rows.withColumn(_BUCKET, F.monotonically_increasing_id() % _BUCKETS)
        broken = numbered.select(
            *[F.col(f"`{c}`") for c in self.by],
            F.explode(F.filter(numbers, lambda n: n.isNotNull())).alias(RULE),
            _BUCKET,
            F.struct(*shown).alias(_SAMPLE),
        )
        every = F.col(RULE) == EVERY_ROW
        bucket = F.when(every, F.lit(0)).otherwise(F.col(_BUCKET)).alias(_BUCKET)
        group = [*[F.col(f"`{c}`") for c in self.by], F.col(RULE)]
        parts = broken.groupBy(*group, bucket).agg(
            F.count(F.lit(1)).alias(FAILED), F.min(F.when(~every, F.col(_SAMPLE))).alias(_SAMPLE)
        )
        first = F.slice(F.array_sort(F.collect_list(_SAMPLE)), 1, samples)
        return parts.groupBy(*group).agg(F.sum(FAILED).alias(FAILED), first.alias(SAMPLES))

    def _conformed(self) -> DataFrame:
        """The columns that rules use, in the mapping's types; what does not fit there is NULL (the contract tells)."""
        cells = []
        for name in self.used:
            column = self.target.by_name.get(name)
            wanted, found = spark_type(column.type) if column else self.types[name], self.types[name]
            if wanted == found:
                cell = f"`{name}`"
            elif isinstance(wanted, T.NumericType) and isinstance(found, T.NumericType):
                cell = f"try_cast(`{name}` AS {wanted.simpleString()})"
            else:
                cell = f"try_cast(CAST(`{name}` AS STRING) AS {wanted.simpleString()})"
            cells.append(F.expr(cell).alias(name))
        return self.frame.select(*cells)

    def _with_references(self, rows: DataFrame) -> DataFrame:
        """Join what each reference points to: never by broadcast, which would be a job of its own."""
        for n, j in self._rules("reference"):
            mark = _FOUND.format(n)
            theirs = [f"{mark}_{i}" for i in range(len(j.rule.to_columns))]
            other = self.others[str(j.rule.to_table)].select(*[F.col(f"`{c}`") for c in j.rule.to_columns])
            known = other.toDF(*theirs).dropna().distinct().withColumn(mark, F.lit(True))
            types = dict(known.dtypes)
            same = [
                _equal(F.col(f"`{mine}`"), rows.schema[mine].dataType.simpleString(), F.col(their), types[their])
                for mine, their in zip(j.rule.columns, theirs, strict=True)
            ]
            condition = same[0]
            for more in same[1:]:
                condition = condition & more
            rows = rows.join(known.hint("merge"), condition, "left").drop(*theirs)
        return rows

    def _with_windows(self, rows: DataFrame) -> DataFrame:
        """Add what rules over several rows look at; rows of one scope come together once, for all of them."""
        over = [(n, j) for n, j in self._rules("unique", "ordered")]
        if not over:
            return rows
        if self.scope:
            rows = rows.repartition(*[F.col(f"`{c}`") for c in self.scope])
        cells: dict[str, SparkColumn] = {}
        for n, j in over:
            names = j.rule.columns if j.rule.kind == "unique" else j.rule.within
            window = Window.partitionBy(*[F.col(f"`{c}`") for c in dict.fromkeys([*self.scope, *names])])
            if j.rule.kind == "unique":
                cells[_FOUND.format(n)] = F.count(F.lit(1)).over(window)
                continue
            ordered = window.orderBy(*[F.col(f"`{c}`").asc_nulls_last() for c in j.rule.order_by])
            for i, c in enumerate(j.rule.columns):
                cells[f"{_FOUND.format(n)}_{i}"] = F.lag(F.col(f"`{c}`")).over(ordered)
        return rows.withColumns(cells)

    def _rules(self, *kinds: str) -> Iterable[tuple[int, Judged]]:
        return [(n, j) for n, j in enumerate(self.judged) if j.rule.kind in kinds and j.skipped is None]

    def _tests(self) -> dict[int, SparkColumn]:
        """By number of the rule the condition that a row must not make false."""
        quoted = {c: f"`{c}`" for c in self.used}
        tests = {n: F.expr(rename_columns(row_sql(j.rule), quoted)) for n, j in self._rules(*ROW_KINDS)}
        for n, j in self._rules("unique", "reference", "ordered"):
            found = _FOUND.format(n)
            absent = F.lit(False)
            for c in j.rule.columns:
                absent = absent | F.col(f"`{c}`").isNull()
            if j.rule.kind == "unique":
                tests[n] = absent | (F.col(found) == 1)
            elif j.rule.kind == "reference":
                tests[n] = absent | F.col(found).isNotNull()
            else:
                rising = F.lit(True)
                for i, c in enumerate(j.rule.columns):
                    rising = rising & F.coalesce(F.col(f"`{c}`") >= F.col(f"{found}_{i}"), F.lit(True))
                tests[n] = rising
        return tests


def _equal(mine: SparkColumn, my_type: str, theirs: SparkColumn, their_type: str) -> SparkColumn:
    """Compare a column with one of another frame: as texts where types differ in more than size."""
    sizes = ("smallint", "int", "bigint")
    if my_type == their_type or (my_type in sizes and their_type in sizes):
        return mine == theirs
    return mine.cast("string") == theirs.cast("string")
