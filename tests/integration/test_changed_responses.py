"""Responses of the other endpoints that are not what they were: never a failed run, never silence.

One response of each endpoint is answered once more with a field added, one renamed, one of another type and a section
gone. A mapping that folds keeps what it knew before: there a section that is gone is listed as lacking.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from helpers import fresh_database
from pyspark.sql import SparkSession

from asset_checks.coverage import evaluate_coverage
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.ingestion.captures_folder import ingest_folder
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.mapping.shape import column_paths
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from mlb_platform.simulator import SimulatedResponse, responses, simulate_games, write_responses_folder
from mlb_platform.simulator.mutations import with_changed_type, with_new_field, with_renamed_field, without_section
from resources.postgres import Postgres

DAY = date(2024, 7, 1)
GAMES = 45
"""Games of three dates: what is gone is told where enough was before."""


@dataclass(frozen=True)
class Changes:
    """What is changed in a response: where a field is added, which is renamed, of another type, and gone."""

    holder: str
    renamed: str
    retyped: str
    section: str
    table: str
    """The table that holds the columns concerned."""
    folds: bool = False


CHANGES = {
    "game/boxscore": Changes(
        "$.teams.home.teamStats.batting", "$.teams.home.teamStats.batting.runs", "$.teams.home.teamStats.batting.hits",
        "$.teams.home.teamStats.pitching", "game.boxscore_teams",
    ),
    "schedule/schedule": Changes(
        "$.dates[*].games[*]", "$.dates[*].games[*].dayNight", "$.dates[*].games[*].gamesInSeries",
        "$.dates[*].games[*].venue", "schedule.games", folds=True,
    ),
    "person/person": Changes(
        "$.people[*]", "$.people[*].birthCity", "$.people[*].weight", "$.people[*].primaryPosition", "person.person",
        folds=True,
    ),
    "team/team": Changes(
        "$.teams[*]", "$.teams[*].locationName", "$.teams[*].firstYearOfPlay", "$.teams[*].league", "team.team",
        folds=True,
    ),
    "team/roster": Changes(
        "$.roster[*].person", "$.roster[*].jerseyNumber", "$.roster[*].parentTeamId", "$.roster[*].position",
        "team.roster",
    ),
}  # fmt: skip


@dataclass
class Outcome:
    """What came of the changed response of one endpoint."""

    mapping: ResolvedMapping
    before: dict[str, dict[str, Any]]
    after: dict[str, dict[str, Any]]
    """Rows of the table by primary key, as text."""
    verdict: Any
    drift: set[tuple[str, str]]
    casts: set[str]
    held: int


def rows(platform: Platform, mapping: ResolvedMapping, table: str) -> dict[str, dict[str, Any]]:
    """The mapped columns of a table's rows, by key."""
    target = mapping.by_name[table]
    spec, names = merge_spec(target), [c.name for c in target.columns if not c.technical]
    found = platform.stores.sinks[0].fetch(spec, None).to_pylist()
    return {repr([row[k] for k in spec.key]): {n: row[n] for n in names} for row in found}


def dates(platform: Platform, mapping: ResolvedMapping) -> list[date | None]:
    """The dates that a mapping has responses of; None where it has no dates."""
    if mapping.partition is None:
        return [None]
    found = platform.raw.rows(mapping.config.source.raw_table, by_member=mapping.per_element)
    return sorted({r.partition_date for r in found if r.partition_date is not None})


def changed(response: SimulatedResponse, changes: Changes, later: timedelta) -> SimulatedResponse:
    """The response a little later, or days later where it has no date of its own, with all four changes."""
    payload = with_new_field(response.payload, f"{changes.holder}.addedByTheSource", "new")
    payload = with_renamed_field(payload, changes.renamed, "renamedByTheSource")
    payload = with_changed_type(payload, changes.retyped, "object")
    payload = without_section(payload, changes.section)
    return replace(response, payload=payload, captured_at=response.captured_at + later)


@pytest.fixture(scope="module")
def made(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with the responses about some games, as they should be."""
    folder = tmp_path_factory.mktemp("responses")
    with fresh_database(postgres) as database:
        platform = Platform(Settings(home=folder / "home", database_url=database.url), spark_factory=lambda: spark)
        found = [
            r for r in responses(simulate_games(GAMES, DAY, seed=3)) if r.name in CHANGES or r.name == "team/teams"
        ]
        for name in CHANGES:
            RESPONSES[name] = [r for r in found if r.name == name]
        write_responses_folder(found, folder / "before")
        ingested = ingest_folder(folder / "before", platform.raw, platform.quality, platform.registry.mappings)
        assert "0 rejected" in ingested.summary
        yield platform
        platform.postgres.close()


RESPONSES: dict[str, list[SimulatedResponse]] = {}


@pytest.fixture(scope="module", params=CHANGES)
def outcome(made: Platform, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """One endpoint: materialized, checked, answered otherwise, materialized again and checked again; nothing raises."""
    changes, mapping = CHANGES[request.param], made.registry.get(request.param)
    made.transformation(mapping.name, [changes.table]).run()
    before = rows(made, mapping, changes.table)
    name = changes.retyped.rpartition(".")[2]
    whole = [r for r in RESPONSES[mapping.name] if "fields" not in r.params and name in repr(r.payload)]
    response = max(whole, key=lambda r: r.captured_at)
    later = timedelta(minutes=30) if mapping.partition is not None else timedelta(days=9)
    first = list(evaluate_coverage(made, mapping, dates(made, mapping)))
    assert [v.description for v in first if not v.passed] == []
    folder = tmp_path_factory.mktemp("changed")
    write_responses_folder([changed(response, changes, later)], folder)
    ingested = ingest_folder(folder, made.raw, made.quality, made.registry.mappings)
    assert "0 rejected" in ingested.summary
    report = made.transformation(mapping.name, [changes.table]).run()
    assert report.parsed
    verdicts = [v for v in evaluate_coverage(made, mapping, dates(made, mapping)) if not v.passed]
    assert len(verdicts) == 1, [v.description for v in verdicts]
    with made.postgres.transaction() as connection:
        drift = connection.execute("SELECT kind, path FROM quality.drift WHERE mapping = %s", [mapping.name]).fetchall()
        casts = connection.execute(
            "SELECT path FROM quality.cast_failures WHERE table_name = %s", [changes.table]
        ).fetchall()
    return Outcome(
        mapping, before, rows(made, mapping, changes.table), verdicts[0], {(k, p) for k, p in drift},
        {p for (p,) in casts}, len(report.held),
    )  # fmt: skip


def test_every_change_is_told_by_its_name(outcome: Outcome) -> None:
    """The run went on; the check of the date warns, and quality.drift, the failed casts or the quarantine have each."""
    changes = CHANGES[outcome.mapping.name]
    assert outcome.verdict.severity.name == "WARN" and not outcome.verdict.blocking
    assert "new" in {kind for kind, _ in outcome.drift}
    assert ("new", f"{changes.holder}.addedByTheSource") in outcome.drift
    assert ("new", f"{changes.renamed.rpartition('.')[0]}.renamedByTheSource") in outcome.drift
    told = ("type", changes.retyped) in outcome.drift
    assert told and (outcome.held or any(changes.retyped.rpartition(".")[2] in path for path in outcome.casts))
    gone = {kind for kind, path in outcome.drift if path.startswith(changes.section)}
    assert gone == ({"lacking"} if changes.folds else {"vanished"})


def test_what_was_known_stays_where_answers_are_folded_and_goes_where_they_are_whole(outcome: Outcome) -> None:
    """Columns that read the section or the renamed field: as before, or null where they were not."""
    changes, mapping = CHANGES[outcome.mapping.name], outcome.mapping
    assert outcome.before.keys() == outcome.after.keys() and not outcome.held
    concerned = [
        column
        for (table, column), paths in column_paths(mapping).items()
        if table == changes.table and any(_within(p, changes) for p in paths)
    ]
    lost = {
        (key, column)
        for key, row in outcome.before.items()
        for column in concerned
        if row[column] is not None and outcome.after[key][column] is None
    }
    rows_changed = {key for key, _ in lost}
    filled = {c for c in concerned for key in rows_changed if outcome.before[key][c] is not None}
    if changes.folds:
        assert concerned and not lost
        assert all(outcome.after[key][c] == row[c] for key, row in outcome.before.items() for c in concerned)
    else:
        assert {c for _, c in lost} == filled and len(filled) >= 2


def _within(path: tuple[str, ...], changes: Changes) -> bool:
    from mlb_platform.mapping.paths import render_steps

    text = render_steps(path)
    return text == changes.renamed or text.startswith(f"{changes.section}.")


def test_the_report_page_names_all_of_it(outcome: Outcome) -> None:
    """The page that the check links."""
    page = Path(outcome.verdict.metadata["report"].value).read_text("utf-8")
    assert "addedByTheSource" in page and "renamedByTheSource" in page
