"""Real captures, ingested and transformed: the tables hold what an independent reading of the JSON expects."""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from helpers import fresh_database
from pyspark.sql import SparkSession

from mlb_platform.extraction.report import RunReport
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.ingestion.captures_folder import IngestReport, ingest_folder
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from resources.lake import open_table, read_table
from resources.postgres import Postgres

MAPPING = "game/live_game_v1"
REAL_WARNINGS = {("game.live_game_plays", "718594"): {2, 26}}
"""Plays that end before they start in the responses themselves."""


@pytest.fixture(scope="module")
def made(
    captures: Path, postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Platform, IngestReport, RunReport]]:
    """A platform with every capture of the live feed ingested and transformed once."""
    with fresh_database(postgres) as database:
        settings = Settings(home=tmp_path_factory.mktemp("home"), database_url=database.url)
        platform = Platform(settings, spark_factory=lambda: spark)
        ingested = ingest_folder(
            captures, platform.raw, platform.quality, platform.registry.mappings, only_mapping=MAPPING
        )
        yield platform, ingested, platform.transformation(MAPPING).run()
        platform.postgres.close()


@pytest.fixture(scope="module")
def newest(captures: Path) -> list[dict[str, str]]:
    """The expected rows of the newest capture of each game: the greatest time, then the greatest content hash."""
    with (captures / "INDEX.tsv").open(encoding="utf-8") as lines:
        index = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        times = {row["path"]: row["captured_at"] for row in index}

    def as_of(path: str) -> tuple[str, str]:
        document = orjson.loads(gzip.decompress((captures / path).read_bytes()))
        return times[path], hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()

    with (captures / "EXPECTED_ROWS.tsv").open(encoding="utf-8") as lines:
        rows = sorted(csv.DictReader(lines, delimiter="\t"), key=lambda row: as_of(row["path"]))
    return list({row["game_pk"]: row for row in rows}.values())


def test_every_capture_is_in_the_raw_store(made: tuple[Platform, IngestReport, RunReport], captures: Path) -> None:
    """None is refused, none is left out."""
    _, ingested, _ = made
    with (captures / "EXPECTED_ROWS.tsv").open(encoding="utf-8") as lines:
        expected = sum(1 for _ in csv.DictReader(lines, delimiter="\t"))
    assert (ingested.stored, ingested.repeats, ingested.rejected) == (expected, 0, 0)


@pytest.mark.parametrize("sink", ["postgres", "delta"])
def test_rows_by_game_and_date_are_the_expected_ones(
    made: tuple[Platform, IngestReport, RunReport], newest: list[dict[str, str]], sink: str
) -> None:
    """Each of the seventeen tables has, for each game, the rows and the date of its newest capture, and no other."""
    platform = made[0]
    names = [name for name in newest[0] if name.startswith("live_game_")]
    assert len(names) == 17
    for name in names:
        target = platform.registry.get(MAPPING).by_name[f"game.{name}"]
        wanted = {(int(r["game_pk"]), r["game_date"]): int(r[name]) for r in newest if int(r[name])}
        if sink == "postgres":
            with platform.postgres.connect() as connection:
                query = f"SELECT game_pk, game_date::text, count(*) FROM {target.name} GROUP BY 1, 2"
                found = {(pk, day): count for pk, day, count in connection.execute(query.encode())}
        else:
            table = open_table(platform.settings.lake, target.name)
            assert table is not None, name
            rows = read_table(table, ["game_pk", "game_date"])
            counted = rows.group_by(["game_pk", "game_date"]).aggregate([([], "count_all")]).to_pylist()
            found = {(r["game_pk"], r["game_date"].isoformat()): r["count_all"] for r in counted}
        assert found == wanted, name


def test_both_sinks_hold_the_same_values(made: tuple[Platform, IngestReport, RunReport]) -> None:
    """Every column of every row, technical ones aside; JSON by what it says, since PostgreSQL writes it anew."""
    platform = made[0]
    mapping = platform.registry.get(MAPPING)
    for target in mapping.targets:
        columns = [c.name for c in target.columns if not c.technical]
        order = [(k, "ascending") for k in target.key]
        one, other = (s.fetch(merge_spec(target)).select(columns).sort_by(order) for s in platform.stores.sinks)
        for c in target.columns:
            if c.type.name == "JSONB" and not c.technical:
                said = [[v and orjson.loads(v) for v in t.column(c.name).to_pylist()] for t in (one, other)]
                assert said[0] == said[1], f"{target.name}.{c.name}"
                one, other = one.drop_columns(c.name), other.drop_columns(c.name)
        assert one.cast(other.schema).equals(other), target.name


def test_no_error_rule_is_broken_and_no_cast_fails(made: tuple[Platform, IngestReport, RunReport]) -> None:
    """Nothing is held back and every value fits its column."""
    platform, _, report = made
    assert report.held == [] and report.cast_failures == 0
    assert platform.quality.quarantined() == []


def test_warnings_are_real_ones_only(made: tuple[Platform, IngestReport, RunReport]) -> None:
    """What a rule of severity warn finds is wrong in the response itself."""
    found = {
        (r.table_name, r.entity_key): {s["at_bat_index"] for s in r.samples} for r in made[0].quality.check_results()
    }
    assert found == REAL_WARNINGS


def test_a_second_run_parses_nothing_and_changes_nothing(made: tuple[Platform, IngestReport, RunReport]) -> None:
    """Every row is reported as unchanged, in both sinks."""
    platform, _, first = made
    again = platform.transformation(MAPPING).run()
    assert again.parsed == 0
    for sink in ("postgres", "delta"):
        counts = again.total(sink)
        assert counts.unchanged == counts.source_rows == first.total(sink).inserted > 0
