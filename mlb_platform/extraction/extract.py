"""Captures in, judged rows of every table out: one Spark job for all tables, a second one only for misfits."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from mlb_platform.extraction.ahead import Ahead
from mlb_platform.extraction.collect import RAW_ID, Document, TableRows, collect
from mlb_platform.extraction.project import Projection
from mlb_platform.extraction.repair import Misplaced, misplaced_parts
from mlb_platform.extraction.walk_source import NotWalkable
from mlb_platform.extraction.walked import WalkedJob
from mlb_platform.mapping.avro import generate_avro_schema
from mlb_platform.mapping.paths import render_steps
from mlb_platform.mapping.resolve import ResolvedMapping, ResolvedTarget
from mlb_platform.mapping.shape import column_paths, document_tree
from mlb_platform.mapping.sql import columns_of, rename_columns
from mlb_platform.quality.avro_frames import check_raw_frame, compile_contract
from mlb_platform.quality.findings import CastFailure, Finding
from mlb_platform.quality.judge import Judge, collapse
from mlb_platform.quality.rules import row_rules
from resources.merge_batch import grouped_rows
from resources.postgres import Postgres
from resources.raw_frames import RawFrame

_log = logging.getLogger(__name__)

Job = Callable[[], tuple[list[Document], list[TableRows]]]
"""Computes the raw rows put to work: what each document says of itself, and the rows of each table."""

STRUCTURE = "structure"
"""The rule that an array stands for an array and an object for an object."""
UNREAD = "a name of more than 50,000 characters, or a text or number longer than jsonb has them"
"""What no such JSON has, and Spark's parser stops at."""
IDENTITY = "entity_key"
"""The rule that a payload is of the entity its raw row names."""


@dataclass
class Extracted:
    """Rows of all tables of several captures, and what was found in them."""

    tables: list[TableRows]
    findings: list[Finding] = field(default_factory=list)
    cast_failures: list[CastFailure] = field(default_factory=list)
    collapsed: dict[str, int] = field(default_factory=dict)


def interpreting_session(spark: SparkSession) -> SparkSession:
    """Return a session that interprets its plans: to compile such large ones costs more than it saves."""
    own = spark.newSession()
    for name, value in {
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.subexpressionElimination.enabled": "false",
    }.items():
        own.conf.set(name, value)
    return own


class Extractor:
    """Computes some tables of a mapping, one call after the other; keeps its plans, so that it is cheap to use."""

    def __init__(
        self, spark: SparkSession, postgres: Postgres, mapping: ResolvedMapping, tables: Sequence[str]
    ) -> None:
        self._spark = interpreting_session(spark)
        self._postgres = postgres
        self.tables = list(tables)
        self.mapping = dataclasses.replace(mapping, targets=tuple(mapping.by_name[t] for t in tables))
        self._source: RawFrame | None = None
        self._lock = Lock()
        self._ahead: Ahead[Extracted] | None = None
        self._jobs: dict[bool, Job] = {}
        self._tree = document_tree(self.mapping)
        self._paths = column_paths(self.mapping)
        self.contracts = {t.name: compile_contract(generate_avro_schema(t)) for t in self.mapping.targets}
        """What the batch of each table has to be, by its Avro schema."""

    def _collect(
        self, raw_ids: Sequence[int], thorough: bool, repaired: dict[int, bytes]
    ) -> tuple[list[Document], list[TableRows]]:
        if self._source is None:
            slots = max(2, self._spark.sparkContext.defaultParallelism)
            raw_table = self.mapping.config.source.raw_table
            self._source = RawFrame(self._spark, self._postgres, raw_table, slots)
        if thorough not in self._jobs:
            self._jobs[thorough] = self._planned(self._source, thorough)
        self._source.put(raw_ids, repaired)
        return self._jobs[thorough]()

    def _planned(self, source: RawFrame, thorough: bool) -> Job:
        """Return the job: quickly, documents are walked where the mapping allows; thoroughly, Spark parses them."""
        check_raw_frame(source.frame, source.reader.raw_table)
        if not thorough:
            try:
                return WalkedJob(self._spark, source, self.mapping).run
            except NotWalkable as reason:
                _log.info("%s: computed by Spark SQL, not walked: %s", self.mapping.name, reason)
        projection = Projection(self.mapping, thorough=thorough)
        frame = projection.collectable(projection.parse(source.frame))
        return lambda: collect(projection, frame.toArrow())

    def warm_up(self) -> None:
        """Plan both jobs, the quick and the thorough one, by computing nothing: where somebody waits for the first."""
        with self._lock:
            for thorough in (False, True):
                self._collect([], thorough, {})

    def extract(self, entities: Mapping[int, str], payload: Callable[[int], bytes]) -> Extracted:
        """Compute and judge the captures `entities` (raw_id to entity key); `payload` reads one stored body.

        The key counts where a capture is of one entity; where it has several, the rows tell.

        Every capture's rows are returned, whatever its findings: the caller decides what is held back.
        """
        computed = None if self._ahead is None else self._ahead.take(entities)
        return computed or self._extract(entities, payload)

    @property
    def is_ahead(self) -> bool:
        """Whether something was begun and not asked for yet."""
        return self._ahead is not None and self._ahead.waiting

    def begin(self, pieces: Sequence[Mapping[int, str]], payload: Callable[[int], bytes]) -> None:
        """Compute pieces that `extract` will be asked for, in this order, in another thread; others are forgotten."""
        if self._ahead is None:
            self._ahead = Ahead(lambda piece: self._extract(piece, payload))
        self._ahead.begin(pieces)

    def forget(self) -> None:
        """Drop what was begun and not asked for."""
        if self._ahead is not None:
            self._ahead.begin([])

    def _extract(self, entities: Mapping[int, str], payload: Callable[[int], bytes]) -> Extracted:
        with self._lock:
            return self._computed(entities, payload)

    def _computed(self, entities: Mapping[int, str], payload: Callable[[int], bytes]) -> Extracted:
        documents, tables = self._collect(list(entities), False, {})
        misfits = _suspects(documents, tables)
        structure: list[Finding] = []
        failures = [f for t in tables for f in self._cast_failures(t) if f.raw_id not in misfits]
        if misfits:
            misplaced, repaired = self._repair(misfits, payload)
            structure = [f for raw_id, parts in misplaced.items() for f in self._structure_findings(raw_id, parts)]
            failures += [f for raw_id, parts in misplaced.items() for f in self._misplaced_failures(raw_id, parts)]
            again, thorough = self._collect(misfits, True, repaired)
            structure += [self._unread_finding(d) for d in again if d.corrupt]
            replaced = set(misfits)
            documents = [d for d in documents if d.raw_id not in replaced] + again
            tables = [_put_together(a, b, misfits) for a, b in zip(tables, thorough, strict=True)]
            failures += [f for t in thorough for f in self._cast_failures(t)]
        strangers = [] if self.mapping.per_element else _identity_findings(documents, entities)
        result = Extracted(tables, structure + strangers, _summed(failures))
        for t in tables:
            rows, kept = collapse(t.rows, [RAW_ID, *t.target.key])
            t.distinct = kept is None
            if kept is not None:
                result.collapsed[t.target.name] = t.rows.num_rows - rows.num_rows
                t.rows, t.broken = rows, t.broken.take(kept)
        result.findings += Judge(tables, RAW_ID).findings()
        return result

    def broken(self, target: ResolvedTarget, rows: pa.Table) -> pa.Int64Array:
        """Return which row rules each row breaks, as bits: of rows that are put together, so not as they were read.

        A rule that no value of an `error` column is missing holds for what is put together of rows for which it holds.
        """
        bits = [
            (n, r) for n, r in enumerate(row_rules(target)) if (r.rule.kind, r.rule.severity) != ("not_null", "error")
        ]
        if not bits or not rows.num_rows:
            return pa.array([0] * rows.num_rows, pa.int64())
        quoted = {name: f"`{name}`" for name in rows.column_names}
        used = {c for _, r in bits for c in columns_of(r.sql)}
        given = rows.select([c for c in rows.column_names if c in used])
        given = given.append_column("_n", pa.array(range(rows.num_rows), pa.int64()))
        terms = [f"IF(coalesce({rename_columns(r.sql, quoted)}, true), 0L, {1 << n}L)" for n, r in bits]
        judged = self._spark.createDataFrame(given).selectExpr("_n", f"{' + '.join(terms)} AS bits").toArrow()
        return judged.sort_by("_n").column("bits").combine_chunks()

    def _repair(
        self, raw_ids: Sequence[int], payload: Callable[[int], bytes]
    ) -> tuple[dict[int, list[Misplaced]], dict[int, bytes]]:
        found: dict[int, list[Misplaced]] = {}
        repaired: dict[int, bytes] = {}
        for raw_id in raw_ids:
            document = orjson.loads(payload(raw_id))
            parts = misplaced_parts(document, self._tree)
            if parts:
                found[raw_id] = parts
                repaired[raw_id] = orjson.dumps(document)
        return found, repaired

    def _structure_findings(self, raw_id: int, parts: list[Misplaced]) -> list[Finding]:
        wrong = [p for p in parts if p.is_structure_error]
        if not wrong:
            return []
        samples = [
            {"pointer": p.pointer, "expected": p.expected, "found": p.found, "value": p.value} for p in wrong[:5]
        ]
        table = next((t for p in wrong for t, _ in self._columns_below(p)), self.tables[0])
        return [Finding(raw_id, table, STRUCTURE, STRUCTURE, "error", len(wrong), len(wrong), samples)]

    def _unread_finding(self, document: Document) -> Finding:
        """Hold a capture that is of the mapping's structure, but not for Spark: it has lost all that follows there."""
        samples = [{"expected": "JSON that Spark reads to its end", "found": UNREAD}]
        return Finding(document.raw_id, self.tables[0], STRUCTURE, STRUCTURE, "error", 1, 1, samples)

    def _columns_below(self, part: Misplaced) -> list[tuple[str, str]]:
        """The (table, column)s that read what is below a misplaced part."""
        return [key for key, paths in self._paths.items() if any(p[: len(part.steps)] == part.steps for p in paths)]

    def _misplaced_failures(self, raw_id: int, parts: list[Misplaced]) -> list[CastFailure]:
        found: dict[tuple[str, str], CastFailure] = {}
        for part in parts:
            if part.is_structure_error:
                continue
            for table, column in self._columns_below(part):
                count = found[table, column].failures if (table, column) in found else 0
                found[table, column] = CastFailure(
                    raw_id, table, column, part.path, part.expected, part.value, count + 1, False
                )
        return list(found.values())

    def _cast_failures(self, t: TableRows) -> list[CastFailure]:
        if t.misfits is None or t.misfits.null_count == len(t.misfits):
            return []
        parents = pc.list_parent_indices(t.misfits)
        flat = t.misfits.flatten()
        scopes = pa.nulls(len(parents), pa.string())
        if self.mapping.per_element:
            scopes = t.rows.column(t.target.scope).take(parents).cast(pa.string())
        raw_ids = t.rows.column(RAW_ID).take(parents)
        table = pa.table({"raw": raw_ids, "s": scopes, "c": flat.field("c"), "v": flat.field("v")})
        grouped = grouped_rows(table, [("v", "min"), ("v", "count")], by=["raw", "s", "c"])
        found = []
        for row in grouped.to_pylist():
            column = t.columns[row["c"]]
            paths = self._paths.get((t.target.name, column.name), [])
            found.append(
                CastFailure(
                    row["raw"], t.target.name, column.name, render_steps(paths[0]) if paths else column.name,
                    str(column.type), row["v_min"], row["v_count"], bool(column.field and column.field.lenient),
                    row["s"],
                )
            )  # fmt: skip
        return found


def _summed(failures: Sequence[CastFailure]) -> list[CastFailure]:
    """Put what is told of one column of one capture (and entity) together: one value of it, the sum of the counts."""
    found: dict[tuple[int, str | None, str, str], CastFailure] = {}
    for f in failures:
        key = (f.raw_id, f.scope, f.table, f.column)
        found[key] = replace(found[key], failures=found[key].failures + f.failures) if key in found else f
    return list(found.values())


def _suspects(documents: Sequence[Document], tables: Sequence[TableRows]) -> list[int]:
    """Captures that need a second look: unexpected structure, a value that does not fit, a text that may be JSON."""
    found = {d.raw_id for d in documents if d.corrupt}
    for t in tables:
        if t.misfit is None:  # walked: what needs a second look has no rows and is told as corrupt
            continue
        masks = [pc.fill_null(t.misfit, False)]
        for c in t.columns:
            if c.type.is_text and c.origin == "path" and t.rows.num_rows:
                masks.append(pc.fill_null(pc.match_substring_regex(t.rows.column(c.name), r"^[\[{]"), False))
        for mask in masks:
            if pc.any(mask).as_py():
                found |= set(t.rows.column(RAW_ID).filter(mask).to_pylist())
    return sorted(found)


def _put_together(quick: TableRows, thorough: TableRows, replaced: Sequence[int]) -> TableRows:
    """Rows of the quick pass without those of `replaced` captures, then theirs of the thorough pass."""
    keep = pc.invert(pc.is_in(quick.rows.column(RAW_ID), value_set=pa.array(replaced, pa.int64())))
    keep = keep.combine_chunks() if isinstance(keep, pa.ChunkedArray) else keep
    return TableRows(
        quick.target,
        pa.concat_tables([quick.rows.filter(keep), thorough.rows]),
        None,
        pa.concat_arrays([quick.broken.filter(keep), thorough.broken]),
    )


def _identity_findings(documents: Sequence[Document], entities: Mapping[int, str]) -> list[Finding]:
    found = []
    for d in documents:
        if not d.corrupt and str(d.entity) != entities[d.raw_id]:
            samples = [{"expected": entities[d.raw_id], "found": str(d.entity)}]
            found.append(Finding(d.raw_id, "", IDENTITY, IDENTITY, "error", 1, 1, samples))
    return found
