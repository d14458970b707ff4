"""The verdicts of what a command merged; what they read in PostgreSQL alone is read while the lake is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from itertools import groupby
from types import TracebackType
from typing import Self, TypeVar

from dagster import AssetCheckEvaluation

from asset_checks.completeness import evaluate_completeness
from asset_checks.coverage import evaluate_coverage
from asset_checks.evaluate import evaluate, look_up_relationships
from asset_checks.names import RELATIONSHIPS
from asset_checks.reconciliation import evaluate_reconciliation
from asset_checks.relationships import Records
from mlb_platform.extraction.merging import Merging
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.platform import Platform
from mlb_platform.quality.known import known_orphans

_Found = TypeVar("_Found")
Verdicts = list[AssetCheckEvaluation]


class Judging:
    """All checks of some tables and dates: begun as soon as PostgreSQL has the tables, ended when the lake has them."""

    def __init__(self, platform: Platform, mapping: ResolvedMapping, tables: Sequence[str]) -> None:
        self._platform, self._mapping, self._tables = platform, mapping, tables
        self._known = known_orphans(platform.settings.mappings)
        self._mappings = platform.registry.mappings
        self._threads = ThreadPoolExecutor(3, "verdicts-of-dates")
        self._days: Sequence[date | None] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._threads.shutdown(cancel_futures=True)

    @property
    def _payloads(self) -> Sequence[date | None]:
        """The dates whose payloads are looked at: these checks belong to the first table."""
        return self._days if self._mapping.targets[0].name in self._tables else []

    def begin(self, days: Sequence[date | None], merging: Sequence[Merging]) -> None:
        """Begin to read what is compared within PostgreSQL, once these merges into it have ended well.

        The caller may hold the locks of what is merged: only what looks wrong waits until they go.
        """
        self._days = days
        self._relating: Future[Records] = self._after(merging, self._relate)
        self._reconciling: Future[Verdicts] = self._after(merging, self._reconcile)
        self._completing: Future[Verdicts] = self._after(merging, self._complete)

    def verdicts(self, partial: set[date], *, coverage: bool) -> Iterator[Verdicts]:
        """Give the verdicts of all checks, a list as soon as it is there: what compares tables takes longer.

        Everything is merged into every sink, and the caller holds no lock. `partial` are dates of which some entities
        only were merged; `coverage`: payloads are looked at too.
        """
        of_tables = evaluate(
            self._platform.stores, self._platform.settings.lake, self._mapping, self._tables, self._days,
            known=self._known, mappings=self._mappings, partial=partial, relating=self._relating,
        )  # fmt: skip
        for _, found in groupby(of_tables, key=lambda v: v.check_name == RELATIONSHIPS):
            yield list(found)
        looked_at = evaluate_coverage(self._platform, self._mapping, self._payloads) if coverage else ()
        yield [*looked_at, *self._completing.result(), *self._reconciling.result()]

    def _after(self, merging: Sequence[Merging], look: Callable[[], _Found]) -> Future[_Found]:
        def look_then() -> _Found:
            for merge in merging:
                merge.result()
            return look()

        return self._threads.submit(look_then)

    def _relate(self) -> Records:
        return look_up_relationships(
            self._platform.stores, self._mapping, self._tables, self._days, known=self._known, mappings=self._mappings
        )

    def _reconcile(self) -> Verdicts:
        return [*evaluate_reconciliation(self._platform, self._mapping, self._tables, self._days)]

    def _complete(self) -> Verdicts:
        return [*evaluate_completeness(self._platform, self._mapping, self._payloads)]
