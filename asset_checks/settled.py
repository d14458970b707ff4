"""What looks wrong is looked at again once nobody writes it: a table is merged at a time, so a run shows halves.

Only what does look wrong waits for writers, and only for those of its games. Whoever asks holds no lock of a scope, or
says when it has let go of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date

from mlb_platform.extraction.plan import lock_names
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.quality.known_differences import KnownDifference
from mlb_platform.quality.reconciliation import Reconciled, reconcile
from mlb_platform.quality.reconciliation_rules import FEED, RULES, Rule
from resources.postgres import Postgres

Mappings = Mapping[str, ResolvedMapping]
BeforeWaiting = Callable[[], object]
"""Returns when it is time to wait for writers: when whoever asks holds no lock of a scope any more."""


def none_is_held() -> None:
    """Say that whoever asks holds no lock of a scope."""


@contextmanager
def writers_waited_for(
    postgres: Postgres, mappings: Iterable[ResolvedMapping], entities: Iterable[str]
) -> Iterator[None]:
    """Hold the locks of entities of several mappings: what is read meanwhile is not half merged.

    They are taken in the order of the mappings' names everywhere; a writer holds those of one mapping. So nobody who
    waits here is waited for.
    """
    names = sorted(set(entities))
    with ExitStack() as stack:
        for mapping in sorted(mappings, key=lambda m: m.name):
            stack.enter_context(postgres.scope_locks(mapping.name, lock_names(mapping, names)))
        yield


def owners(tables: Iterable[str], mappings: Mappings) -> list[ResolvedMapping]:
    """Return the mappings that make some tables and views."""
    wanted = set(tables)
    return [m for m in mappings.values() if wanted & {*m.by_name, *(v.name for v in m.config.views)}]


def reconcile_settled(
    postgres: Postgres,
    mappings: Mappings,
    rules: Iterable[Rule] = RULES,
    *,
    dates: Sequence[date] | None = None,
    games: Sequence[int] | None = None,
    known: Sequence[KnownDifference] = (),
    dated_by: str = FEED,
    before_waiting: BeforeWaiting = none_is_held,
) -> Reconciled:
    """Compare as `reconcile` does; where that leaves something unexplained, again once those games are not written.

    `before_waiting` returns when the caller holds no lock of a scope.
    """
    used = list(rules)
    found = reconcile(postgres, used, dates=dates, games=games, known=known, dated_by=dated_by)
    doubts = {(d.rule.split(".")[0], d.game.game_pk) for d in found.unexplained}
    doubts |= {(k.rule.split(".")[0], k.game_pk) for k in found.unmatched}
    if not doubts:
        return found
    again = [r for r in used if r.name in {name for name, _ in doubts}]
    pks = sorted({pk for _, pk in doubts})
    writers = owners((t for r in again for t in r.needs), mappings)
    before_waiting()
    with writers_waited_for(postgres, writers, map(str, pks)):
        settled = reconcile(postgres, again, dates=dates, games=pks, known=known, dated_by=dated_by)
    return found.replaced({r.name for r in again}, set(pks), settled)
