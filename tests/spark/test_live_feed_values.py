"""Every column of every row of the seventeen tables equals an independent reading of the JSON, for every capture."""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from feed_reader import read_feed
from pyspark.sql import SparkSession

from mlb_platform.extraction.collect import RAW_ID, Document, TableRows, collect
from mlb_platform.extraction.project import Projection
from mlb_platform.mapping.loader import load_file
from mlb_platform.mapping.resolve import ResolvedMapping, resolve

MAPPING = Path(__file__).parents[2] / "mapping_configs" / "game" / "live_game_v1.yaml"
CAPTURES = Path(os.environ.get("MLB_CAPTURES", "captures-not-given"))
CAPTURED_AT = datetime(2026, 9, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    not (CAPTURES / "EXPECTED_ROWS.tsv").is_file(),
    reason="MLB_CAPTURES names no folder of captures with EXPECTED_ROWS.tsv",
)

Row = dict[str, Any]


@pytest.fixture(scope="module")
def mapping() -> ResolvedMapping:
    """Return the shipped mapping."""
    return resolve(load_file(MAPPING))


@pytest.fixture(scope="module")
def expected() -> list[dict[str, str]]:
    """Return the lines of EXPECTED_ROWS.tsv; a capture's place among them is its raw id here."""
    with (CAPTURES / "EXPECTED_ROWS.tsv").open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


@pytest.fixture(scope="module")
def payloads(expected: list[dict[str, str]]) -> list[str]:
    """Return the JSON text of every expected capture."""
    return [gzip.decompress((CAPTURES / line["path"]).read_bytes()).decode() for line in expected]


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    """Return the session that is running, or a small one of its own."""
    shared = SparkSession.getActiveSession()
    session = shared or (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    yield session
    if shared is None:
        session.stop()


@pytest.fixture(scope="module", params=[False, True], ids=["quick", "thorough"])
def extracted(
    request: pytest.FixtureRequest, spark: SparkSession, mapping: ResolvedMapping, payloads: list[str]
) -> tuple[list[Document], dict[str, TableRows]]:
    """Extract all captures in one job, quickly and as documents with misfits are."""
    projection = Projection(mapping, thorough=request.param)
    rows = [(i, CAPTURED_AT, text) for i, text in enumerate(payloads)]
    source = spark.createDataFrame(rows, "raw_id bigint, captured_at timestamp, data string")
    documents, tables = collect(projection, projection.collectable(projection.parse(source)).toArrow())
    return documents, {t.target.name: t for t in tables}


def rows_of(table: TableRows, raw_id: int, columns: list[str]) -> list[Row]:
    """Return one capture's rows of a table; identical rows count once, as in the merged table."""
    mine = table.rows.filter([i == raw_id for i in table.rows.column(RAW_ID).to_pylist()]).select(columns).to_pylist()
    return list({repr(sorted(row.items())): row for row in mine}.values())


def same(got: Any, want: Any) -> bool:
    """Return whether two values are equal and of one kind; times are compared as instants."""
    if isinstance(want, float) and isinstance(got, float):
        return math.isclose(got, want, rel_tol=1e-15, abs_tol=0.0)
    if isinstance(want, datetime) and isinstance(got, datetime):
        return got.astimezone(UTC) == want
    return type(got) is type(want) and got == want


def test_the_reader_and_the_mapping_have_the_same_columns(mapping: ResolvedMapping, payloads: list[str]) -> None:
    """The reading by hand covers every column that comes from the document: none is left unchecked."""
    read = [read_feed(json.loads(text)) for text in payloads]
    assert set(read[0]) == {t.name for t in mapping.targets}
    for target in mapping.targets:
        rows = [row for tables in read for row in tables[target.name]]
        assert rows, target.name
        assert set(rows[0]) == {c.name for c in target.columns if not c.technical}, target.name


def test_row_counts_are_the_expected_ones(
    mapping: ResolvedMapping, expected: list[dict[str, str]], extracted: tuple[list[Document], dict[str, TableRows]]
) -> None:
    """Each capture has its game date and exactly the rows of EXPECTED_ROWS.tsv in each table."""
    documents, tables = extracted
    found: dict[int, dict[str, str]] = {}
    for document in documents:
        counts = {
            t.name.removeprefix("game."): str(len(rows_of(tables[t.name], document.raw_id, [*t.key, "game_date"])))
            for t in mapping.targets
        }
        path = expected[document.raw_id]["path"]
        found[document.raw_id] = {"path": path, "game_pk": str(document.entity), "game_date": str(document.partition)}
        found[document.raw_id] |= counts
    assert [found[i] for i in range(len(expected))] == expected
    assert not any(d.corrupt for d in documents)


def test_every_value_equals_the_reading_by_hand(
    mapping: ResolvedMapping, payloads: list[str], extracted: tuple[list[Document], dict[str, TableRows]]
) -> None:
    """Column by column: decimals rounded half up, times in UTC, look-ups, defaults and expressions included."""
    tables, wrong = extracted[1], []
    for raw_id, text in enumerate(payloads):
        wanted = read_feed(json.loads(text))
        for target in mapping.targets:
            columns = [c.name for c in target.columns if not c.technical]
            rows = {tuple(r[k] for k in target.key): r for r in rows_of(tables[target.name], raw_id, columns)}
            by_key = {tuple(r[k] for k in target.key): r for r in wanted[target.name]}
            assert rows.keys() == by_key.keys(), (target.name, raw_id)
            wrong += [
                (raw_id, target.name, key, column, row[column], by_key[key][column])
                for key, row in rows.items()
                for column in columns
                if not same(row[column], by_key[key][column])
            ]
    assert not wrong, f"{len(wrong)} values differ, such as {wrong[:10]}"


def test_no_value_fails_its_cast(extracted: tuple[list[Document], dict[str, TableRows]]) -> None:
    """Types and lengths hold every value of the captures, so none of them needs a second look."""
    assert [name for name, table in extracted[1].items() if any(table.misfit.to_pylist())] == []
