"""The scenario of the platform, in Gherkin: a completed game with raw data, transformed."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import orjson
import pytest
from helpers import fresh_database
from pyspark.sql import SparkSession
from pytest_bdd import given, parsers, scenarios, then, when

from mlb_platform.extraction.report import RunReport
from mlb_platform.ingestion.gate import Request, admit, gate_spec
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from mlb_platform.simulator import simulate_games
from resources.postgres import Postgres
from resources.raw_store import RawCapture

scenarios("transform_game.feature")
pytestmark = pytest.mark.xdist_group("spark")  # steps ask for the session, which is not seen beforehand

MAPPING = "game/live_game_v1"
MAY_BE_EMPTY = {"game.live_game_home_bench", "game.live_game_away_bench", "game.live_game_reviews"}
"""A team that used every player has nobody left on its bench; a game can go by without a review."""


@dataclass
class Subject:
    """The game that a scenario is about."""

    game_pk: int


@pytest.fixture(scope="module")
def platform(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One platform for all scenarios: each adds its game."""
    with fresh_database(postgres) as database:
        made = Platform(Settings(home=tmp_path_factory.mktemp("home"), database_url=database.url), lambda: spark)
        yield made
        made.postgres.close()


def store(platform: Platform, body: bytes, captured_at: datetime) -> Subject:
    """Put a response through the gate into the raw store."""
    admitted = admit(body, Request("scenario", captured_at), gate_spec(platform.registry.get(MAPPING)))
    assert isinstance(admitted, RawCapture), admitted
    platform.raw.insert(platform.registry.get(MAPPING).config.source.raw_table, admitted)
    return Subject(int(admitted.entity_key))


@given(parsers.parse("the completed game {game_pk:d} with raw data"), target_fixture="subject")
def real_game(platform: Platform, captures: Path, game_pk: int) -> Subject:
    """Store every capture of the game that there is, all at their times."""
    subject = Subject(0)
    for line in (captures / "INDEX.tsv").read_text("utf-8").splitlines()[1:]:
        path, endpoint, method, known, captured_at = line.split("\t")[:5]
        if (f"{endpoint}/{method}", known) == (MAPPING, str(game_pk)):
            body = gzip.decompress((captures / path).read_bytes())
            subject = store(platform, body, datetime.fromisoformat(captured_at))
    assert subject.game_pk == game_pk
    return subject


@given(parsers.parse("a simulated game of {day} with seed {seed:d} and raw data"), target_fixture="subject")
def simulated_game(platform: Platform, day: str, seed: int) -> Subject:
    """Simulate one game and store its final capture."""
    capture = next(iter(simulate_games(1, date.fromisoformat(day), seed)))
    return store(platform, orjson.dumps(capture.payload), capture.captured_at)


@when("it is transformed", target_fixture="report")
def transformed(platform: Platform, subject: Subject) -> RunReport:
    """Run the generated transformation for this game."""
    return platform.transformation(MAPPING).run(game_pks=[subject.game_pk])


@then("every table of the feed is populated")
def populated(platform: Platform, subject: Subject, report: RunReport) -> None:
    """Every table has rows of the game, as many as the report says, in both sinks."""
    tables = [t.name for t in platform.registry.get(MAPPING).targets]
    assert len(tables) >= 27
    with platform.postgres.connect() as connection:
        for table in tables:
            query = f"SELECT count(*) FROM {table} WHERE game_pk = %s"
            row = connection.execute(query.encode(), [subject.game_pk]).fetchone()
            assert row is not None
            assert row[0] or table in MAY_BE_EMPTY, f"{table} is empty"
            counts = report.tables[table].counts
            assert counts["postgres"].inserted == counts["delta"].inserted == row[0], table


@then("all foreign keys are valid")
def foreign_keys(platform: Platform, subject: Subject) -> None:
    """Every relationship to a table of the mapping finds its row."""
    mapping = platform.registry.get(MAPPING)
    checked = 0
    with platform.postgres.connect() as connection:
        for target in mapping.targets:
            for r in target.relationships:
                if r.to_table not in mapping.by_name:
                    continue
                pairs = list(zip(r.from_fields, r.to_fields, strict=True))
                same = " AND ".join(f"o.{b} = t.{a}" for a, b in pairs)
                present = " AND ".join(f"t.{a} IS NOT NULL" for a, _ in pairs)
                query = (
                    f"SELECT count(*) FROM {target.name} t WHERE t.game_pk = %s AND {present} "
                    f"AND NOT EXISTS (SELECT 1 FROM {r.to_table} o WHERE o.game_pk = t.game_pk AND {same})"
                )
                row = connection.execute(query.encode(), [subject.game_pk]).fetchone()
                assert row == (0,), f"{target.name} -> {r.to_table}"
                checked += 1
    assert checked >= 16


@then("the quality checks pass")
def checks_pass(platform: Platform, subject: Subject, report: RunReport) -> None:
    """Nothing is held, no value failed its cast, and no rule found anything in this game."""
    assert report.held == [] and report.cast_failures == 0
    assert [r for r in platform.quality.check_results() if r.entity_key == str(subject.game_pk)] == []
    assert [q for q in platform.quality.quarantined() if q.entity_key == str(subject.game_pk)] == []
