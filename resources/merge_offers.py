"""What a batch offers a sink, seen against what was merged before: captures that are new, the same, or too old."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from resources.merge import FrameBatch, MergeBatch, MergeSpec, ScopeState, ScopeVersion, StaleScope
from resources.merge_batch import in_hand
from resources.rows_digest import rows_hashes


@dataclass(frozen=True)
class Offered:
    """What a batch offers a sink, seen against what is merged."""

    fresh: list[ScopeVersion]
    """What is merged now, were it only by noting that it says the same."""
    changing: list[ScopeVersion]
    """Those of them whose rows have to be compared."""
    stale: list[StaleScope]
    hashes: dict[str, str]
    """Digests of rows by scope, of scopes that were merged before."""


def split_offered(
    spec: MergeSpec, rows: pa.Table, batch: MergeBatch | FrameBatch, states: Mapping[str, ScopeState]
) -> Offered:
    """Part the batch's captures by what is to be done; `rows` are its checked rows, `states` what was merged last."""
    given = in_hand(spec, batch)

    def digests(scopes: list[str]) -> dict[str, str]:
        if not scopes:
            return {}
        every = given.shared.once(
            "digests", spec, lambda: rows_hashes(spec, rows, [version.scope for version in given.versions])
        )
        return {scope: every[scope] for scope in scopes if scope in every}

    return split_versions(spec, given.versions, states, digests, compare_all=given.compare_all)


def split_versions(
    spec: MergeSpec,
    versions: Sequence[ScopeVersion],
    states: Mapping[str, ScopeState],
    digests: Callable[[list[str]], dict[str, str]],
    *,
    compare_all: bool,
) -> Offered:
    """Part captures by what is to be done; `digests` gives the digest of a scope's rows as they are offered.

    Of what was merged before, the digest is computed, so that the next capture that says the same costs no merge.
    """
    fresh, stale = split_stale(versions, states, folds=spec.folds)
    hashes = digests([v.scope for v in fresh if v.scope in states])
    unchanged = set() if compare_all else {s for s, digest in hashes.items() if digest == states[s].rows_hash}
    changing = [v for v in fresh if v.scope not in unchanged]
    return Offered(fresh, changing, stale, hashes)


def split_stale(
    versions: Sequence[ScopeVersion], states: Mapping[str, ScopeState], *, folds: bool = False
) -> tuple[list[ScopeVersion], list[StaleScope]]:
    """Part the captures offered into those to merge and those older than what was merged before.

    A merged capture that the one offered passes over (it breaks a rule that was not there then) does not count. Of
    folded captures (`folds`) only the times compare: their content hash is that of a set of captures.
    """
    fresh: list[ScopeVersion] = []
    stale: list[StaleScope] = []
    for version in versions:
        state = states.get(version.scope)
        newer = state is not None and (
            version.observed_at < state.observed_at if folds else version.as_of < state.as_of
        )
        if newer and state is not None and state.raw_id not in version.passed_over:
            stale.append(StaleScope(version.scope, version.observed_at, state.observed_at))
        else:
            fresh.append(version)
    return fresh, stale
