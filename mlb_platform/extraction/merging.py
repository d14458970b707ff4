"""Merging batches into several sinks at a time: each has threads of its own, and some take referenced tables first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager

from resources.merge import MergeBatch, MergeResult, MergeSpec, Sink

Merging = Future[tuple[MergeResult, float]]
"""A merge under way: its result, and the seconds it took."""
Submit = Callable[[MergeSpec, MergeBatch], list[Merging]]
"""Begins to merge a batch into every sink, in the order of the sinks; a batch without captures into none."""


@contextmanager
def sinks_at_work(sinks: Sequence[Sink]) -> Iterator[Submit]:
    """Give each sink threads, in which it merges batches in the order they come, as many at once as it may.

    At the end what is under way is waited for, and what is not begun is left.
    """
    begun: dict[tuple[str, str], Merging] = {}
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(s.tables_at_once, f"sink-{s.name}")) for s in sinks]

        def submit(spec: MergeSpec, batch: MergeBatch) -> list[Merging]:
            if not batch.versions:
                return []
            for thread, sink in zip(threads, sinks, strict=True):
                named = [(sink.name, r.to_table) for r in spec.references] if sink.referenced_first else []
                before = [begun[key] for key in named if key in begun]
                begun[sink.name, spec.table] = thread.submit(timed_merge, sink, spec, batch, before)
            return [begun[sink.name, spec.table] for sink in sinks]

        try:
            yield submit
        finally:
            for thread in threads:
                thread.shutdown(cancel_futures=True)


def timed_merge(
    sink: Sink, spec: MergeSpec, batch: MergeBatch, before: Iterable[Merging] = ()
) -> tuple[MergeResult, float]:
    """Merge a batch once the merges `before` it have ended; those were begun earlier, so none waits for ever."""
    wait(before)
    started = time.perf_counter()
    return sink.merge(spec, batch), time.perf_counter() - started
