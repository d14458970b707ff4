"""DataQualityValidator: judge, profile and suggest for any DataFrame and the table it is meant for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlb_platform.mapping.resolve import ResolvedTarget
from mlb_platform.quality.contract import contract_breaches
from mlb_platform.quality.findings import SAMPLES
from mlb_platform.quality.profile import DataProfile
from mlb_platform.quality.profiler import profile_frame
from mlb_platform.quality.results import Group, RuleResult, ValidationResult
from mlb_platform.quality.rule_plan import EVERY_ROW, FAILED, RULE, Judged, RulePlan
from mlb_platform.quality.rule_plan import SAMPLES as SAMPLES_COLUMN
from mlb_platform.quality.suggestions import Suggestion, suggest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_ADAPTIVE = "spark.sql.adaptive.enabled"


class DataQualityValidator:
    """Judges frames by the mapping of their table, and learns from frames what a mapping could say.

    Works on any DataFrame of the session `spark`: rows on their way to a table, or a stored table. Nothing is written.
    """

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark

    def validate(
        self,
        df: DataFrame,
        target: ResolvedTarget,
        *,
        others: Mapping[str, DataFrame] | None = None,
        by: Sequence[str] = (),
        scope: Sequence[str] | None = None,
        samples: int = SAMPLES,
    ) -> ValidationResult:
        """Judge a frame: the contract (names and types) without a job, and all rules in one Spark job.

        `others`: frames by table name for rules of kind reference; without its frame such a rule is skipped.
        `by`: columns (a date, a capture) that results are also given by. `scope`: columns within which rules over
        several rows look, the table's merge scope by default; a frame with several captures of a game names their
        column here. `samples`: how many broken rows of each rule are kept, with key and columns looked at.

        NULL passes, as in CHECK. A column that is missing skips its rules; one of another type is judged as what it
        converts to. Both are in `contract`, and the result has not passed. Two rows with one key break the key's rule
        even when they are equal. Raises ValueError for a column in `by` or `scope` that the frame does not have.
        """
        wanted = [*by, *(scope or ())]
        unknown = [c for c in wanted if c not in df.columns]
        if unknown:
            raise ValueError(f"{target.name}: the frame has no column {unknown[0]}; it has: {', '.join(df.columns)}")
        plan = RulePlan(df, target, others or {}, by, [target.scope] if scope is None else scope)
        with self._one_job():
            found = plan.counts(samples).collect()
        counted = {(tuple(row[c] for c in by), int(row[RULE])): row for row in found}
        rows = {group: int(row[FAILED]) for (group, n), row in counted.items() if n == EVERY_ROW}
        groups = {
            group: tuple(_result(j, rows[group], counted.get((group, n))) for n, j in enumerate(plan.judged))
            for group in sorted(rows, key=repr)
        }
        total = sum(rows.values())
        return ValidationResult(
            table=target.name,
            rows=total,
            contract=tuple(contract_breaches(df, target)),
            rules=tuple(_sum(j, n, groups, total, samples) for n, j in enumerate(plan.judged)),
            by=tuple(by),
            groups=groups if by else {},
        )

    def profile_data(self, df: DataFrame, columns: Sequence[str] | None = None) -> DataProfile:
        """Describe the columns of a frame (None: all) in two Spark jobs; see DataProfile for what is exact.

        Raises ValueError for a column that the frame does not have.
        """
        with self._one_job():
            return profile_frame(df, columns)

    def suggest_constraints(
        self, data: DataFrame | DataProfile, target: ResolvedTarget | None = None
    ) -> list[Suggestion]:
        """Return what a mapping could say of these data, each with its evidence and as YAML, the surest first.

        From a profile: what single columns tell. From a frame also keys of several columns, equal columns and
        orders, in a few more jobs. What `target` says already is left out.
        """
        if isinstance(data, DataProfile):
            return suggest(data, None, target)
        with self._one_job():
            return suggest(profile_frame(data, None), data, target)

    @contextmanager
    def _one_job(self) -> Iterator[None]:
        """Let an action be one job: adaptive execution would run every stage as a job of its own."""
        before = self.spark.conf.get(_ADAPTIVE)
        self.spark.conf.set(_ADAPTIVE, "false")
        try:
            yield
        finally:
            self.spark.conf.set(_ADAPTIVE, str(before))


def _result(judged: Judged, checked: int, row: Any) -> RuleResult:
    rule = judged.rule
    samples = [judged.shown(sample.asDict()) for sample in row[SAMPLES_COLUMN]] if row is not None else []
    return RuleResult(
        rule=rule.label,
        kind=rule.kind,
        severity=rule.severity,
        checked=0 if judged.skipped else checked,
        failed=int(row[FAILED]) if row is not None else 0,
        samples=samples,
        skipped=judged.skipped,
        description=rule.description,
    )


def _sum(
    judged: Judged, number: int, groups: Mapping[Group, tuple[RuleResult, ...]], rows: int, samples: int
) -> RuleResult:
    """Return a rule over all rows from what it found in each group."""
    parts = [results[number] for results in groups.values()]
    one = _result(judged, rows, None)
    return RuleResult(
        rule=one.rule,
        kind=one.kind,
        severity=one.severity,
        checked=one.checked,
        failed=sum(p.failed for p in parts),
        samples=[s for p in parts for s in p.samples][:samples],
        skipped=one.skipped,
        description=one.description,
    )
