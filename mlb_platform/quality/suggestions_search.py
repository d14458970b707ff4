"""What several columns tell together: keys, equal columns, orders. Guessed from figures and a sample, then counted.

Nothing is suggested from the sample: every guess is held against all rows, in one Spark job for all of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import Window
from pyspark.sql import functions as F

from mlb_platform.mapping.resolve import TECHNICAL
from mlb_platform.quality.profile import ColumnProfile, DataProfile
from mlb_platform.quality.suggestions import (
    ENOUGH,
    Suggestion,
    may_be_key,
    rule_of,
    succession,
    unique_suggestion,
)
from mlb_platform.quality.suggestions_said import Said, is_id, is_plain

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame

SAMPLE = 20_000
"""So many rows decide which keys are worth counting on all rows."""
TRIED = 12
"""So many columns are tried for keys, those called like ids and positions first."""
MOST = 3
"""So many columns a key has at most."""
COUNTED = 8
"""So many keys are counted on all rows; of those that hold all are told."""
CHANCE = 10
"""So many pairs of rows at least would share a key's values by chance, and so many each of its columns tells apart."""
_POSITION = r"(^|_)(index|number|num|position|order|inning|half|side|date|season|year)$"
Key = tuple[str, ...]


@dataclass(frozen=True)
class Guesses:
    """What is to be counted on all rows."""

    keys: list[Key]
    equal: list[Key]
    rising: list[str]
    within: Key
    order_by: Key


def search_frame(profile: DataProfile, frame: DataFrame, said: Said) -> list[Suggestion]:
    """Return the suggestions over several columns that hold on all rows of a frame."""
    ours = [c for c in profile.columns if c.name not in TECHNICAL and c.count and c.name in frame.columns]
    names = _key_columns(ours, profile.rows, said)
    keys: list[Key] = []
    if len(names) > 1:
        by_chance = _twins({c.name: c.distinct for c in ours}, profile.rows)
        keys = [k for k in _sample_keys(_sampled(frame, names), names, said) if by_chance(k) >= CHANCE][:COUNTED]
    within, order_by = _order(profile, said)
    guesses = Guesses(keys, list(_equal(ours, said)), _rising(ours, said) if order_by else [], within, order_by)
    if not (guesses.keys or guesses.equal or guesses.rising):
        return []
    counted = _count(frame, guesses)
    return [*_told_keys(guesses, counted, profile, said), *_told_equal(guesses, counted, profile, said)] + list(
        _told_orders(guesses, counted, said)
    )


def _key_columns(columns: Sequence[ColumnProfile], rows: int, said: Said) -> list[str]:
    """Return the columns that could be part of a key of several, the likeliest first."""
    able = [c for c in columns if c.count == rows and 1 < c.distinct < rows and may_be_key(c)]
    if said.scope in {c.name for c in able}:  # a scope has one date: either tells as much
        able = [c for c in able if c.name != said.partition]

    def rank(c: ColumnProfile) -> tuple[int, int]:
        return (0 if is_id(c.name) else 1 if re.search(_POSITION, c.name) else 2, -c.distinct)

    return [c.name for c in sorted(able, key=rank)][:TRIED]


def _sampled(frame: DataFrame, names: Sequence[str]) -> pa.Table:
    return frame.select(*[F.col(f"`{n}`") for n in names]).limit(SAMPLE).toArrow()


def _twins(distinct: dict[str, int], rows: int) -> Callable[[Key], float]:
    """Return what tells how many pairs of rows would share a key if its columns' values were thrown by dice.

    Where these are few, that there are none says nothing: batter, pitcher and inning hardly ever repeat in a week.
    """
    return lambda key: rows * (rows - 1) / 2 / math.prod(distinct[c] for c in key)


def _sample_keys(sample: pa.Table, names: Sequence[str], said: Said) -> Iterator[Key]:
    """Yield the smallest sets of columns that tell all rows of a sample apart, each column more than a few."""
    codes = [_codes(sample.column(n)) for n in names]
    found: list[set[int]] = []
    for size in range(2, MOST + 1):
        for chosen in combinations(range(len(names)), size):
            if any(key <= set(chosen) for key in found) or said.unique([names[i] for i in chosen]):
                continue
            if _distinct([codes[i] for i in chosen]) == sample.num_rows:
                found.append(set(chosen))
                without = [_distinct([codes[i] for i in chosen if i != left]) for left in chosen]
                if sample.num_rows - max(without) >= min(CHANCE, sample.num_rows // 4):
                    yield tuple(names[i] for i in chosen)


def _codes(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    encoded = column.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def _distinct(codes: Sequence[npt.NDArray[np.int64]]) -> int:
    whole = codes[0]
    for more in codes[1:]:  # numbered anew each time, so that the products stay small
        whole = np.unique(whole * (int(more.max(initial=0)) + 1) + more, return_inverse=True)[1]
    return int(whole.max(initial=-1)) + 1


def _equal(columns: Sequence[ColumnProfile], said: Said) -> Iterator[Key]:
    """Yield pairs of columns whose figures are the same, so that their values may be."""
    for a, b in combinations(columns, 2):
        same = (a.type, a.count, a.distinct, a.min, a.max, a.top) == (b.type, b.count, b.distinct, b.min, b.max, b.top)
        if same and a.distinct > 2 and not said.together(a.name, b.name) and is_plain(a.name) and is_plain(b.name):
            yield a.name, b.name


def _order(profile: DataProfile, said: Said) -> tuple[Key, Key]:
    """Return within what, and by what, the rows of a table follow each other: its key tells, where it has positions."""
    key = said.key
    within = tuple(c for c in key if c == said.scope)
    order_by = tuple(c for c in key if c not in within)
    kinds = {c.name: c.kind for c in profile.columns}
    placed = all(kinds.get(c) in ("integer", "date", "time") and not is_id(c) for c in order_by)
    return (within, order_by) if within and placed and within[0] in kinds else ((), ())


def _rising(columns: Sequence[ColumnProfile], said: Said) -> list[str]:
    kinds = ("integer", "number", "date", "time")
    return [
        c.name
        for c in columns
        if c.kind in kinds and c.distinct > 2 and c.name not in said.key and not is_id(c.name)
        if not said.ordered(c.name) and c.name != said.partition
    ]


def _count(frame: DataFrame, guesses: Guesses) -> dict[str, int]:
    """Hold all guesses against all rows in one job."""
    used = {*guesses.within, *guesses.order_by, *guesses.rising}
    used |= {c for group in (*guesses.keys, *guesses.equal) for c in group}
    rows = frame.select(*[F.col(f"`{c}`") for c in sorted(used)])
    if guesses.rising:
        window = Window.partitionBy(*[F.col(f"`{c}`") for c in guesses.within])
        window = window.orderBy(*[F.col(f"`{c}`") for c in guesses.order_by])
        rows = rows.withColumns(
            {f"_last_{i}": F.lag(F.col(f"`{c}`")).over(window) for i, c in enumerate(guesses.rising)}
        )
    sums: dict[str, SparkColumn] = {}
    for i, key in enumerate(guesses.keys):
        sums[f"key_{i}"] = F.count_distinct(F.struct(*[F.col(f"`{c}`") for c in key]))
    for i, (a, b) in enumerate(guesses.equal):
        sums[f"differs_{i}"] = F.expr(f"count_if(NOT (`{a}` <=> `{b}`))")
    for i, c in enumerate(guesses.rising):
        sums[f"falls_{i}"] = F.expr(f"count_if(`{c}` < _last_{i})")
        sums[f"rises_{i}"] = F.expr(f"count_if(`{c}` > _last_{i})")
    found: dict[str, Any] = rows.agg(*[column.alias(name) for name, column in sums.items()]).collect()[0].asDict()
    return {name: int(n or 0) for name, n in found.items()}


def _told_keys(guesses: Guesses, counted: dict[str, int], profile: DataProfile, said: Said) -> Iterator[Suggestion]:
    by_chance = _twins({c.name: c.distinct for c in profile.columns}, profile.rows)
    for i, key in enumerate(guesses.keys):
        if counted[f"key_{i}"] == profile.rows:
            each = ", ".join(f"{c} {profile[c].distinct:,}" for c in key)
            evidence = f"{profile.rows:,} different combinations in {profile.rows:,} rows (alone: {each}); "
            evidence += f"by chance {by_chance(key):,.0f} pairs of rows would be the same"
            yield unique_suggestion(key, evidence, profile.rows, said)


def _told_equal(guesses: Guesses, counted: dict[str, int], profile: DataProfile, said: Said) -> Iterator[Suggestion]:
    for i, (a, b) in enumerate(guesses.equal):
        if counted[f"differs_{i}"]:
            continue
        column = profile[a]
        entry = rule_of("expression", f"{a}_is_{b}"[:63], rule=f"{a} = {b}")
        evidence = f"equal in all {column.count:,} rows with a value, {column.distinct:,} different values"
        # few values may agree by chance
        confidence = succession(column.count) * succession(column.distinct)
        yield Suggestion("equal", "data_quality", (a, b), entry, evidence, confidence, column.count < ENOUGH)


def _told_orders(guesses: Guesses, counted: dict[str, int], said: Said) -> Iterator[Suggestion]:
    order, within = list(guesses.order_by), list(guesses.within)
    for i, c in enumerate(guesses.rising):
        rises = counted[f"rises_{i}"]
        if counted[f"falls_{i}"] or not rises:
            continue
        entry = rule_of("ordered", f"{c}_rises"[:63], columns=[c], order_by=order, within=within)
        evidence = f"rises {rises:,} times and never falls, by {', '.join(order)} within {', '.join(within)}"
        yield Suggestion("ordered", "data_quality", (c,), entry, evidence, succession(rises), rises < ENOUGH)
