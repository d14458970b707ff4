"""Memory of this process, its JVM and Spark's Python workers: now, and the peak while something runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psutil

_EVERY = 0.25
Sizes = dict[str, float]


def memory() -> Sizes:
    """Return the MB resident in this process (driver), its JVM and its Python workers."""
    own = psutil.Process()
    found = {"driver": own.memory_info().rss / 1e6, "jvm": 0.0, "workers": 0.0}
    for child in own.children(recursive=True):
        try:
            kind = "jvm" if "java" in child.name() else "workers" if "pyspark" in " ".join(child.cmdline()) else None
            if kind:
                found[kind] += child.memory_info().rss / 1e6
        except psutil.Error:
            continue
    return found


@contextmanager
def peak() -> Iterator[Sizes]:
    """Give sizes that rise to the largest seen while the block runs."""
    largest, over = memory(), Event()

    def watch() -> None:
        while not over.wait(_EVERY):
            for name, size in memory().items():
                largest[name] = max(largest[name], size)

    watcher = Thread(target=watch, name="memory", daemon=True)
    watcher.start()
    try:
        yield largest
    finally:
        over.set()
        watcher.join()
