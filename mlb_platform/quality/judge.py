"""Judge the rows in hand: rules over one row by their bits, rules over several rows in DuckDB on the same data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, reduce
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mlb_platform.mapping.models import DataQualityRule
from mlb_platform.mapping.resolve import ResolvedTarget
from mlb_platform.mapping.sql import columns_of
from mlb_platform.quality.findings import SAMPLES, Finding
from mlb_platform.quality.rules import RowRule, row_rules, set_rules
from resources.merge_batch import grouped_rows


class JudgedRows(Protocol):
    """Rows of one table over several captures, with the bits of the row rules each breaks."""

    @property
    def target(self) -> ResolvedTarget: ...  # noqa: D102
    @property
    def rows(self) -> pa.Table: ...  # noqa: D102
    @property
    def broken(self) -> pa.Int64Array: ...  # noqa: D102
    @property
    def distinct(self) -> bool:
        """Whether it is known that no two rows of a capture share a key."""
        ...


def _quoted(columns: Iterable[str], alias: str = "") -> str:
    return ", ".join(f'{alias}"{c}"' for c in columns)


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """Return the process's database in memory: to open one takes longer than to judge a game."""
    return duckdb.connect(config={"threads": 2})


class Judge:
    """Finds broken rules in the rows of the tables it is given; `raw_id` is the column that tells captures apart.

    It may be any whole number that tells apart what is judged by itself, as a number of the entity.
    """

    def __init__(self, tables: Sequence[JudgedRows], raw_id: str) -> None:
        self.tables = tables
        self.raw_id = raw_id
        self._names = {t.target.name: f"t{i}" for i, t in enumerate(tables)}
        self._by_name = {t.target.name: t for t in tables}

    def findings(self) -> list[Finding]:
        """Return every broken rule by capture."""
        found: list[Finding] = []
        with _database().cursor() as connection:
            for t in self.tables:
                checked = dict(zip(*self._counts(t.rows), strict=True))
                for n, rule in enumerate(row_rules(t.target)):
                    found += self._row_findings(t, n, rule, checked)
                for set_rule in set_rules(t.target):
                    found += self._set_findings(t, set_rule, checked, connection)
        return found

    def _counts(self, rows: pa.Table) -> tuple[list[int], list[int]]:
        counts = pc.value_counts(rows.column(self.raw_id)) if rows.num_rows else pa.array([], pa.int64())
        if not rows.num_rows:
            return [], []
        return counts.field("values").to_pylist(), counts.field("counts").to_pylist()

    def _row_findings(self, t: JudgedRows, bit: int, rule: RowRule, checked: dict[int, int]) -> list[Finding]:
        if not len(t.broken):
            return []
        mask = pc.not_equal(pc.bit_wise_and(t.broken, pa.scalar(1 << bit, pa.int64())), 0)
        if not pc.any(mask).as_py():
            return []
        used = rule.rule.needs + (columns_of(rule.rule.rule) if rule.rule.rule else [])
        shown = self._shown(t, used)
        rows = t.rows.filter(mask).select([self.raw_id, *shown])
        return self._group(t, rule.rule, rows, checked)

    def _shown(self, t: JudgedRows, used: Iterable[str]) -> list[str]:
        present = set(t.rows.column_names)
        return [c for c in dict.fromkeys([*t.target.key, *used]) if c in present]

    def _group(self, t: JudgedRows, rule: DataQualityRule, rows: pa.Table, checked: dict[int, int]) -> list[Finding]:
        """Turn the failing rows of one rule into a finding a capture."""
        found = []
        for raw_id, failed in zip(*self._counts(rows), strict=True):
            samples = rows.filter(pc.equal(rows.column(self.raw_id), raw_id)).slice(0, SAMPLES)
            listed: list[dict[str, Any]] = samples.drop_columns([self.raw_id]).to_pylist()
            found.append(
                Finding(
                    raw_id,
                    t.target.name,
                    rule.label,
                    rule.kind,
                    rule.severity,
                    failed,
                    checked.get(raw_id, failed),
                    listed,
                )
            )
        return found

    def _set_findings(
        self, t: JudgedRows, rule: DataQualityRule, checked: dict[int, int], connection: duckdb.DuckDBPyConnection
    ) -> list[Finding]:
        if not t.rows.num_rows or self._plainly_holds(t, rule):
            return []
        query = self._set_query(t, rule)
        if query is None:
            return []
        for name in {t.target.name, str(rule.to_table)} & self._names.keys():
            connection.register(self._names[name], self._by_name[name].rows)
        rows = connection.sql(query).to_arrow_table()
        return self._group(t, rule, rows, checked) if rows.num_rows else []

    def _plainly_holds(self, t: JudgedRows, rule: DataQualityRule) -> bool:
        """Tell, by counting distinct values, that no row breaks a rule; most rules hold, and this is cheap."""
        columns = [self.raw_id, *rule.columns]
        if rule.kind == "ordered":
            return self._plainly_ordered(t.rows, rule)
        if rule.kind == "unique" and set(rule.columns) >= set(t.target.key) and t.distinct:
            return True
        if rule.kind == "unique":
            return not duplicate_keys(t.rows.select(columns).drop_null(), columns)
        other = self._by_name.get(str(rule.to_table))
        if rule.kind != "reference" or other is None:
            return rule.kind == "reference"
        theirs = other.rows.select([self.raw_id, *rule.to_columns])
        mine = t.rows.select(columns).drop_null().rename_columns(theirs.column_names).cast(theirs.schema)
        known = grouped_rows(theirs)
        return bool(grouped_rows(pa.concat_tables([known, mine])).num_rows == known.num_rows)

    def _plainly_ordered(self, rows: pa.Table, rule: DataQualityRule) -> bool:
        """Tell whether rows stand in their groups, one after the other in order, and no value falls in a group."""
        group, (order, *more) = [self.raw_id, *rule.within], rule.order_by
        if more or any(rows[name].null_count for name in (*group, order)):
            return False
        columns = [name for name in rule.columns if name in rows.column_names]
        rows = rows.select(list(dict.fromkeys((*group, order, *columns)))).combine_chunks()
        here, before = rows.slice(1), rows.slice(0, rows.num_rows - 1)
        same = reduce(pc.and_, (pc.equal(here[name], before[name]) for name in group))
        begins = here.select(group).filter(pc.invert(same))
        if duplicate_keys(pa.concat_tables([rows.select(group).slice(0, 1), begins]), group):
            return False
        breaks = [pc.less_equal(here[order], before[order]), *(pc.less(here[n], before[n]) for n in columns)]
        return not any(pc.any(pc.and_(same, found)).as_py() for found in breaks)

    def _set_query(self, t: JudgedRows, rule: DataQualityRule) -> str | None:
        """Return SQL of the failing rows; None when the other table is not in hand."""
        name, raw = self._names[t.target.name], f'"{self.raw_id}"'
        shown = ", ".join([raw, *(f'"{c}"' for c in self._shown(t, rule.needs))])
        columns = [c for c in rule.columns if c in t.rows.column_names]
        present = " AND ".join(f'"{c}" IS NOT NULL' for c in columns) or "true"
        if rule.kind == "unique":
            group = ", ".join([raw, _quoted(columns)])
            return f"SELECT {shown} FROM {name} WHERE {present} QUALIFY count(*) OVER (PARTITION BY {group}) > 1"
        if rule.kind == "ordered":
            within = ", ".join([raw, *(f'"{c}"' for c in rule.within)])
            order = _quoted(rule.order_by)
            window = f"OVER (PARTITION BY {within} ORDER BY {order})"
            falls = " OR ".join(f'"{c}" < lag("{c}") {window}' for c in columns)
            return f"SELECT {shown} FROM {name} QUALIFY {falls}"
        other = self._names.get(str(rule.to_table))
        if other is None:
            return None
        pairs = zip(rule.columns, rule.to_columns, strict=True)
        same = " AND ".join([f"o.{raw} = t.{raw}", *(f't."{a}" = o."{b}"' for a, b in pairs)])
        return f"SELECT {shown} FROM {name} t WHERE {present} AND NOT EXISTS (SELECT 1 FROM {other} o WHERE {same})"


def duplicate_keys(rows: pa.Table, key: Sequence[str]) -> bool:
    """Tell whether two rows share a key (NULLs count as equal)."""
    return bool(rows.num_rows) and grouped_rows(rows, by=key).num_rows < rows.num_rows


def collapse(rows: pa.Table, key: Sequence[str]) -> tuple[pa.Table, pa.Array | None]:
    """Drop repeats of identical rows; return the rows, and the positions kept when any were dropped."""
    if not duplicate_keys(rows, key):
        return rows, None
    names = rows.column_names
    numbered = rows.append_column("_n", pa.array(range(rows.num_rows), pa.int64()))
    kept = grouped_rows(numbered, [("_n", "min")], by=names).column("_n_min").combine_chunks()
    kept = kept.take(pc.sort_indices(kept))
    return rows.take(kept), kept
