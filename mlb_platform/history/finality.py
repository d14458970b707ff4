"""Whether a game was over when a response was received: what mappings with `final_when` say of their responses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import sql

from mlb_platform.history.in_force import newest_first
from mlb_platform.mapping.filters import Comparison, Filter, filter_paths, parse_filter
from mlb_platform.mapping.paths import JsonPath
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.postgres import Postgres
from resources.raw_store import RawRow, RawStore, table_name

_MISSING = object()


class Finality:
    """Tells of captures whether their entity was over: by themselves, or by those of another mapping of that entity.

    A response that does not say it (a box score) is final when the newest one then of a mapping that does (the feed)
    is.
    """

    def __init__(self, postgres: Postgres, mappings: Iterable[ResolvedMapping]) -> None:
        self._postgres = postgres
        self._raw = RawStore(postgres)
        self._telling = [m for m in mappings if m.config.source.final_when is not None]
        self._known: dict[tuple[str, int], bool] = {}

    def teller(self, mapping: ResolvedMapping) -> ResolvedMapping | None:
        """Return the mapping whose responses tell when this one's entities are over, itself if it does; else None."""
        candidates = [mapping, *self._telling]
        return next(
            (
                m
                for m in candidates
                if m.config.source.final_when is not None and m.entity_key.name == mapping.entity_key.name
            ),
            None,
        )

    def final(self, mapping: ResolvedMapping, captures: Sequence[RawRow]) -> set[int]:
        """Return the raw ids of those of `captures`, of one mapping, that were taken when the entity was over."""
        teller = self.teller(mapping)
        if teller is None or not captures:
            return set()
        if teller.name == mapping.name:
            return self._saying_so(teller, captures)
        told: dict[str, list[RawRow]] = defaultdict(list)
        entities = sorted({c.entity_key for c in captures})
        for row in self._raw.rows(teller.config.source.raw_table, entity_keys=entities):
            told[row.entity_key].append(row)
        newest = {c.raw_id: newest_first(told[c.entity_key], c.captured_at)[:1] for c in captures}
        over = self._saying_so(teller, [row for found in newest.values() for row in found])
        return {raw_id for raw_id, found in newest.items() if found and found[0].raw_id in over}

    def _saying_so(self, mapping: ResolvedMapping, captures: Sequence[RawRow]) -> set[int]:
        raw_table = mapping.config.source.raw_table
        wanted = {c.raw_id for c in captures}
        unknown = [i for i in sorted(wanted) if (raw_table, i) not in self._known]
        if unknown:
            condition = parse_filter(str(mapping.config.source.final_when))
            for raw_id, values in _values_at(self._postgres, raw_table, unknown, filter_paths(condition)).items():
                self._known[raw_table, raw_id] = matches(condition, values)
        return {i for i in wanted if self._known.get((raw_table, i), False)}


def _values_at(
    postgres: Postgres, raw_table: str, raw_ids: Sequence[int], paths: Sequence[JsonPath]
) -> dict[int, dict[JsonPath, Any]]:
    """Read what raw rows have at paths, without reading the rest of them; a path that is not there has no value."""
    distinct = list(dict.fromkeys(paths))
    cells = sql.SQL(", ").join(sql.SQL("data #> {}").format(list(p.steps)) for p in distinct)
    query = sql.SQL("SELECT raw_id, {} FROM {} WHERE raw_id = ANY(%s)").format(cells, table_name(raw_table))
    with postgres.transaction() as connection:
        found = connection.execute(query, (list(raw_ids),)).fetchall()
    return {
        row[0]: {path: value for path, value in zip(distinct, row[1:], strict=True) if value is not None}
        for row in found
    }


def matches(node: Filter, values: Mapping[JsonPath, Any]) -> bool:
    """Tell whether a document fulfils a filter, given what it has at the filter's paths; a missing path is false."""
    if not isinstance(node, Comparison):
        results = [matches(operand, values) for operand in node.operands]
        return not results[0] if node.operator == "not" else (all if node.operator == "and" else any)(results)
    value = values.get(node.path, _MISSING)
    if node.operator == "exists" or value is _MISSING:
        return value is not _MISSING
    if node.operator == "in":
        return isinstance(node.value, tuple) and any(_same(value, v) for v in node.value)
    if node.operator in ("==", "!="):
        return _same(value, node.value) == (node.operator == "==")
    if isinstance(value, str) != isinstance(node.value, str):
        return False
    other: Any = node.value
    return bool(
        {"<": value.__lt__, "<=": value.__le__, ">": value.__gt__, ">=": value.__ge__}[node.operator](other) is True
    )


def _same(value: Any, other: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    return isinstance(value, bool) == isinstance(other, bool) and value == other
