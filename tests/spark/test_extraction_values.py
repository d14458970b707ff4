"""What becomes of single values: every type's casts, failed ones counted, quick and thorough computation alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from helpers import Bench, fresh_database, mapping_of, rows_of
from pyspark.sql import SparkSession

from mlb_platform.extraction.extract import Extracted, Extractor
from resources.postgres import Postgres

MISFIT = object()
"""Stands for: null, and counted as a failed cast."""
JUL_13 = datetime(2024, 7, 13, 1, 40, tzinfo=UTC)

CASES: dict[str, tuple[str, list[tuple[Any, Any]]]] = {
    "small": ("SMALLINT", [(32767, 32767), (-32768, -32768), (32768, MISFIT), ("12", 12)]),
    "int": ("INT", [
        (5, 5), (5.0, 5), ("5", 5), ("5.0", 5), ("5e0", 5), (-0.0, 0), (None, None), (-7.0, -7), (2147483647.0,
         2147483647),
        (5.5, MISFIT), ("5.5", MISFIT), (5.0000001, MISFIT), (3000000000, MISFIT), (3e9, MISFIT), ("five", MISFIT),
        ("", MISFIT), ("-", MISFIT), (True, MISFIT), ("NaN", MISFIT), ("Infinity", MISFIT), ({"a": 1}, MISFIT), ([1],
         MISFIT),
    ]),
    "big": ("BIGINT", [
        (9007199254740993, 9007199254740993), (9223372036854775807, 9223372036854775807),
        ("9223372036854775807", 9223372036854775807), ("9223372036854775808", MISFIT), (1e300, MISFIT),
    ]),
    "num": ("NUMERIC(5,2)", [
        (93.455, Decimal("93.46")), (-93.455, Decimal("-93.46")), (93.454, Decimal("93.45")), (2.675, Decimal("2.68")),
        ("93.455", Decimal("93.46")), (0.005, Decimal("0.01")), (-0.005, Decimal("-0.01")), (1e-9, Decimal("0.00")),
        (95, Decimal("95.00")), (999.99, Decimal("999.99")), ("1e2", Decimal("100.00")),
        (999.995, MISFIT), (1000, MISFIT), (".---", MISFIT), ("-.--", MISFIT), ("NaN", MISFIT), (1e300, MISFIT),
    ]),
    "dbl": ("DOUBLE", [
        (1.5, 1.5), (2, 2.0), ("1e3", 1000.0), (0.1, 0.1), ("NaN", MISFIT), ("Infinity", MISFIT), ("-inf", MISFIT),
         ("x", MISFIT),
    ]),
    "bool": ("BOOLEAN", [
        (True, True), (False, False), ("true", True), ("FALSE", False), (1, MISFIT), (0, MISFIT), ("yes", MISFIT), ("",
         MISFIT),
    ]),
    "day": ("DATE", [
        ("2024-05-01", date(2024, 5, 1)), ("1899-12-31", date(1899, 12, 31)), ("2024-02-29", date(2024, 2, 29)),
        ("0001-01-01", date(1, 1, 1)), ("9999-12-31", date(9999, 12, 31)), ("0000-01-01", MISFIT),
        ("2023-02-29", MISFIT), ("2024-5-1", MISFIT), ("2024-05-01T00:00:00Z", MISFIT), (20240501, MISFIT), ("",
         MISFIT),
    ]),
    "time": ("TIMESTAMPTZ", [
        ("2024-07-13T01:40:00Z", JUL_13), ("2024-07-12T18:40:00-07:00", JUL_13), ("2024-07-13T07:10:00+05:30", JUL_13),
        ("2024-07-13T01:40:00", JUL_13), ("2024-07-13 01:40:00", JUL_13), 
        ("2024-07-13T01:40:00.250Z", JUL_13.replace(microsecond=250000)), ("2024-07-13T01:40:00.123456Z",
         JUL_13.replace(microsecond=123456)),
        ("0000-12-31T23:30:00-00:30", datetime(1, 1, 1, tzinfo=UTC)), ("0001-01-01T00:00:00+00:01", MISFIT),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("9999-12-31T23:59:59-00:01", MISFIT),
        ("2024-07-13", MISFIT), ("2024-07-13T01:40Z", MISFIT), ("2024-07-13T25:40:00Z", MISFIT), (1720834800, MISFIT),
         ("12:34:56.123456789", MISFIT),
        ("T12:34:56.1234567", MISFIT), ("", MISFIT),
    ]),
    "stamp": ("TIMESTAMPTZ, format: yyyyMMdd_HHmmss", [
        ("20240713_014000", JUL_13), ("2024-07-13T01:40:00Z", MISFIT), ("20241313_014000", MISFIT),
        ("00001231_235959", MISFIT),
    ]),
    "short": ("VARCHAR(5)", [
        ("abcde", "abcde"), ("", ""), ("äöüßé", "äöüßé"), ("🙂🙂🙂🙂🙂", "🙂🙂🙂🙂🙂"),
        (12.5, "12.5"), (True, "true"), ("null",
         "null"),
        ("[abc]", "[abc]"), ("abcdef", MISFIT), ({"a": 1}, MISFIT), ({}, MISFIT),
    ]),
    "text": ("TEXT", [
        ("[unofficial] x", "[unofficial] x"), ("{x", "{x"), ("[1]", "[1]"), ("{}", "{}"), (5, "5"), ("a\nb\"'\\",
         "a\nb\"'\\"),
        ({"a": 1}, MISFIT), ([1, 2], MISFIT), ({}, MISFIT), (["x"], MISFIT),
    ]),
    "json": ("JSONB", [({"a": [1, None]}, '{"a": [1, null]}'), ([1, "x"], '[1, "x"]'), (5, "5"), ("text", '"text"'),
    (True, "true"), (None, None)]),
}  # fmt: skip


def mapping_text() -> str:
    """One table a type: the items of one array, and their positions."""
    tables = "".join(
        f"  - {{name: v.{name}_, primary_key: [game_pk, n], array_source: $.{name}, fields: [\n"
        f"      {{name: n, type: INT, json_path: $position}},\n"
        f"      {{name: v, json_path: $.v, lenient: {str(name == 'num').lower()}, type: {quoted(sql_type)}}}]}}\n"
        for name, (sql_type, _) in CASES.items()
    )
    return (
        'version: "1.0"\nsource:\n  {endpoint: values, method: v1, raw_table: "values.v1",\n'
        "  entity_key: {name: game_pk, type: BIGINT, json_path: $.id}}\ntargets:\n" + tables
    )


def quoted(sql_type: str) -> str:
    """Quote a type for a YAML flow mapping; what follows it stays."""
    if ", format" in sql_type:
        return sql_type
    return f'"{sql_type}"'


@pytest.fixture(scope="module")
def extracted(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extracted]:
    """All values in document 1; in document 2 only those that fit, which the quick projection then computes."""
    full = {"id": 1} | {name: [{"v": value} for value, _ in cases] for name, (_, cases) in CASES.items()}
    fit = {"id": 2} | {
        name: [{"v": value} for value, expected in cases if expected is not MISFIT and not needs_care(name, value)]
        for name, (_, cases) in CASES.items()
    }
    with fresh_database(postgres) as database:
        bench = Bench(database, tmp_path_factory.mktemp("lake"), spark, mapping_of(mapping_text()))
        yield bench.extract([full, fit])


def needs_care(name: str, value: Any) -> bool:
    """Tell whether only the thorough projection takes a value: whole numbers written as fractions."""
    return name == "int" and (isinstance(value, float) or value in ("5.0", "5e0"))


def plain(name: str, value: Any) -> Any:
    """Return a value fit for comparison: JSON is parsed, but for a null, which a column is to have as its own null."""
    return json.loads(value) if name == "json" and isinstance(value, str) and value != "null" else value


@pytest.mark.parametrize("name", CASES)
def test_values_are_cast_or_become_null(extracted: Extracted, name: str) -> None:
    """Each value of each type is what it must be."""
    cases = CASES[name][1]
    found = [plain(name, row["v"]) for row in rows_of(extracted, f"v.{name}_", 1)]
    expected = [None if e is MISFIT else plain(name, e) for _, e in cases]
    assert list(zip([v for v, _ in cases], found, strict=True)) == list(
        zip([v for v, _ in cases], expected, strict=True)
    )


@pytest.mark.parametrize("name", CASES)
def test_failed_casts_are_counted_with_path_type_and_a_value(extracted: Extracted, name: str) -> None:
    """No misfit is lost, and a null or a missing value is none."""
    sql_type, cases = CASES[name]
    wanted = [value for value, expected in cases if expected is MISFIT]
    found = [f for f in extracted.cast_failures if f.table == f"v.{name}_"]
    assert sum(f.failures for f in found) == len(wanted)
    assert all(f.raw_id == 1 and f.column == "v" and f.path == f"$.{name}[*].v" for f in found)
    assert all(f.lenient is (name == "num") for f in found)
    texts = {v if isinstance(v, str) else json.dumps(v, separators=(",", ":")) for v in wanted}
    kinds = {sql_type.split(", format")[0], "value"}
    for failure in found:
        assert failure.expected in kinds
        assert failure.value in texts | {"1.0E300", "3.0E9"}, failure


@pytest.mark.parametrize("name", CASES)
def test_the_quick_and_the_thorough_projection_agree(extracted: Extracted, name: str) -> None:
    """A value is the same whether or not something else in its document needed a second look."""
    wanted = [e for v, e in CASES[name][1] if e is not MISFIT and not needs_care(name, v)]
    found = [plain(name, row["v"]) for row in rows_of(extracted, f"v.{name}_", 2)]
    assert found == [plain(name, e) for e in wanted]


def test_failed_casts_hold_nothing_back(extracted: Extracted) -> None:
    """A misfit in a column that may be null breaks no rule."""
    assert extracted.findings == []


def test_placeholders_in_lenient_columns_are_counted_without_a_second_look(
    postgres: Postgres, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearly every feed has some: the quick pass counts them itself, beside a document that does need the thorough one.

    What does not fit a column that is not lenient, or may be a whole number after all, is looked at again.
    """
    looked_at: list[tuple[list[int], bool]] = []
    collect = Extractor._collect

    def noting(self: Extractor, raw_ids: Sequence[int], thorough: bool, repaired: dict[int, bytes]) -> Any:
        looked_at.append((list(raw_ids), thorough))
        return collect(self, raw_ids, thorough, repaired)

    monkeypatch.setattr(Extractor, "_collect", noting)
    usual = {"id": 1, "num": [{"v": ".---"}, {"v": "1.5"}, {"v": None}, {"v": ".---"}]}
    strange = {"id": 2, "num": [{"v": "-.--"}], "int": [{"v": "five"}, {"v": 5.0}]}
    with fresh_database(postgres) as database:
        found = Bench(database, tmp_path, spark, mapping_of(mapping_text())).extract([usual, strange])
    assert looked_at == [([1, 2], False), ([2], True)]
    told = sorted((f.raw_id, f.table, f.value, f.failures, f.lenient) for f in found.cast_failures)
    assert told == [(1, "v.num_", ".---", 2, True), (2, "v.int_", "five", 1, False), (2, "v.num_", "-.--", 1, True)]
    assert [row["v"] for row in rows_of(found, "v.num_", 1)] == [None, Decimal("1.50"), None, None]
    assert [row["v"] for row in rows_of(found, "v.int_", 2)] == [None, 5]
