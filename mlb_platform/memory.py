"""What Python's garbage collector has to look at."""

from __future__ import annotations

import atexit
import gc
from functools import cache


def collect_seldom() -> None:
    """Let the collector look when 50,000 objects are new, not 700: for a process of the platform, before it imports.

    Modules, mappings and definitions are a million objects that stay; collecting while they come took a fifth of it.
    """
    gc.set_threshold(50_000, 20, 100)


@cache
def spare_what_stays() -> None:
    """Keep everything there is now, modules, mappings and definitions, from being looked at again; once a process.

    A full collection over it takes a fifth of a second, in the middle of a run, and finds nothing.
    """
    gc.freeze()
    atexit.register(gc.unfreeze)  # native modules tell of leaks where what they made is never collected
