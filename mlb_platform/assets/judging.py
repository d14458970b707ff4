"""The verdicts of what a command merged; what is asked of PostgreSQL alone is asked while the lake is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from datetime import date
from itertools import chain, groupby
from threading import Event
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
from resources.postgres_sink import SINK as POSTGRES

_Found = TypeVar("_Found")
Verdicts = list[AssetCheckEvaluation]


class Judging:
    """All checks of some tables and dates: begun when PostgreSQL has the tables, ended when the lake has them too."""

    def __init__(self, platform: Platform, mapping: ResolvedMapping, tables: Sequence[str]) -> None:
        self._platform, self._mapping, self._tables = platform, mapping, tables
        self._known = known_orphans(platform.settings.mappings)
        self._mappings = platform.registry.mappings
        self._threads = ThreadPoolExecutor(3, "verdicts-of-dates")
        self._days: Sequence[date | None] = []
        self._let_go, self._given_up = Event(), False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._given_up = True  # where nobody asked for the verdicts
        self._let_go.set()
        self._threads.shutdown(cancel_futures=True)

    @property
    def _payloads(self) -> Sequence[date | None]:
        """The dates whose payloads are looked at: these checks belong to the first table."""
        return self._days if self._mapping.targets[0].name in self._tables else []

    def begin(self, days: Sequence[date | None], merging: Mapping[str, Sequence[Merging]]) -> None:
        """Begin to look, once these merges, by sink, have ended well: those into PostgreSQL where no other is read.

        The caller may hold the locks of what is merged. What looks wrong is looked at again when it has let go.
        """
        self._days = days
        self._relating: Future[Records] = self._after(merging[POSTGRES], self._relate)
        self._reconciling: Future[Verdicts] = self._after(merging[POSTGRES], self._reconcile)
        self._completing: Future[Verdicts] = self._after([*chain(*merging.values())], self._complete)

    def verdicts(self, partial: set[date], *, coverage: bool) -> Iterator[Verdicts]:
        """Give the verdicts of all checks, a list as soon as it is there: what compares tables takes longer.

        Everything is merged into every sink, and the caller holds no lock. `partial` are dates of which some entities
        only were merged; `coverage`: payloads are looked at too.
        """
        self._let_go.set()
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

    def _until_let_go(self) -> None:
        """Wait until the caller holds no lock: whoever holds some and waits for more holds up all who wait for his."""
        self._let_go.wait()
        if self._given_up:
            raise CancelledError

    def _relate(self) -> Records:
        return look_up_relationships(
            self._platform.stores, self._mapping, self._tables, self._days,
            known=self._known, mappings=self._mappings, before_waiting=self._until_let_go,
        )  # fmt: skip

    def _reconcile(self) -> Verdicts:
        found = evaluate_reconciliation(self._platform, self._mapping, self._tables, self._days, self._until_let_go)
        return [*found]

    def _complete(self) -> Verdicts:
        return [*evaluate_completeness(self._platform, self._mapping, self._payloads)]
