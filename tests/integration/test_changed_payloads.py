"""Payloads that are not what they were: never a failed run, never silence, and nothing else is touched.

Each game is captured as it is, then once more with one thing changed: a new field, a renamed one, another type, a
section gone. Which paths, chance decides, from all that the mapping reads.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from helpers import fresh_database
from pyspark.sql import SparkSession

from asset_checks.coverage import evaluate_coverage
from mlb_platform.extraction.report import RunReport
from mlb_platform.extraction.specs import merge_spec
from mlb_platform.ingestion.captures_folder import ingest_folder
from mlb_platform.mapping.paths import ITEMS, MEMBERS, render_steps
from mlb_platform.mapping.resolve import ResolvedMapping
from mlb_platform.mapping.shape import column_paths
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from mlb_platform.simulator import SimulatedCapture, simulate_games, write_captures_folder
from mlb_platform.simulator.mutations import (
    mutated,
    with_changed_type,
    with_new_field,
    with_renamed_field,
    without_section,
)
from resources.drift_store import DriftRecord
from resources.postgres import Postgres

MAPPING = "game/live_game_v1"
DAY = date(2024, 7, 1)
GAMES = 15
SEED = 20240701
Steps = tuple[str, ...]


@dataclass
class Change:
    """What was changed in one game's second capture."""

    kind: str
    path: str
    to: str
    game: str = ""
    found: list[DriftRecord] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.kind} {self.path} {self.to} of game {self.game}"


@dataclass
class Outcome:
    """What came of the changed captures."""

    mapping: ResolvedMapping
    changes: list[Change]
    rows: list[dict[str, dict[str, list[Any]]]]
    """Mapped columns by table and game, before and after."""
    report: RunReport
    casts: list[dict[str, Any]]
    verdict: Any


def steps_of(text: str) -> Steps:
    """Split a path into its steps, by another way than the mapping's parser."""
    return tuple(text.removeprefix("$").replace("[*]", ".[*]").replace("{*}", ".{*}").strip(".").split("."))


def choose(mapping: ResolvedMapping, payloads: list[dict[str, Any]]) -> list[Change]:
    """Choose a change for each game from the paths that columns read, by chance but always the same."""
    chance = random.Random(SEED)
    leaves = sorted({render_steps(p) for paths in column_paths(mapping).values() for p in paths})
    leaves = [p for p in leaves if not p.endswith(("[*]", "{*}"))]
    sections = sorted(
        {
            render_steps(s[:n])
            for s in map(steps_of, leaves)
            for n in range(2, len(s))
            if s[n - 1] not in (ITEMS, MEMBERS)
        }
    )
    kinds: list[tuple[str, list[str], list[str]]] = [
        ("new", leaves, ["text"]),
        ("renamed", leaves, ["renamedByTheSource"]),
        ("type", leaves, ["text", "number", "boolean", "object", "array", "null"]),
        ("gone", sections, [""]),
        ("shape", sections, [""]),
    ]
    changes: list[Change] = []
    for n, payload in enumerate(payloads):
        kind, paths, targets = kinds[n % len(kinds)]
        while True:
            found = Change(kind, chance.choice(paths), chance.choice(targets), str(payload["gamePk"]))
            if kind == "shape":
                found.to = "object" if any(isinstance(v, list) for v in values(payload, found.path)) else "array"
            if _is_told(found, payload) and found.path not in {c.path for c in changes}:
                break
        changes.append(found)
    return changes


def _is_told(change: Change, payload: dict[str, Any]) -> bool:
    """Tell whether a change changes the payload at all, and in more than nothing."""
    try:
        return apply(change)(payload) != payload and any(v not in (None, [], {}) for v in values(payload, change.path))
    except ValueError:
        return False


def values(value: Any, path: str) -> Iterator[Any]:
    """Yield the values at a path."""

    def walk(value: Any, steps: Steps) -> Iterator[Any]:
        if not steps:
            yield value
        elif steps[0] == ITEMS:
            for item in value if isinstance(value, list) else ():
                yield from walk(item, steps[1:])
        elif steps[0] == MEMBERS:
            for item in value.values() if isinstance(value, dict) else ():
                yield from walk(item, steps[1:])
        elif isinstance(value, dict) and steps[0] in value:
            yield from walk(value[steps[0]], steps[1:])

    return walk(value, steps_of(path))


def apply(change: Change) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the change as a function of payloads."""
    if change.kind == "new":
        holder = change.path.rpartition(".")[0]
        return lambda p: with_new_field(p, f"{holder}.addedByTheSource", change.to)
    if change.kind == "renamed":
        return lambda p: with_renamed_field(p, change.path, change.to)
    if change.kind in ("type", "shape"):
        return lambda p: with_changed_type(p, change.path, change.to)  # type: ignore[arg-type]
    return lambda p: without_section(p, change.path)


def ingest(platform: Platform, captures: list[SimulatedCapture], folder: Path) -> None:
    """Store captures as `mlb ingest captures` does."""
    write_captures_folder(captures, folder)
    result = ingest_folder(folder, platform.raw, platform.quality, platform.registry.mappings)
    assert "0 rejected" in result.summary


def rows_of(platform: Platform, mapping: ResolvedMapping) -> dict[str, dict[str, list[Any]]]:
    """Return the mapped columns of every table in PostgreSQL, by game."""
    result: dict[str, dict[str, list[Any]]] = {}
    for target in mapping.targets:
        names = [c.name for c in target.columns if not c.technical]
        by_game = result.setdefault(target.name, {})
        for row in platform.stores.sinks[0].fetch(merge_spec(target), None).to_pylist():
            by_game.setdefault(str(row["game_pk"]), []).append([row[n] for n in names])
        for rows in by_game.values():
            rows.sort(key=repr)
    return result


@pytest.fixture(scope="module")
def outcome(postgres: Postgres, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """All games captured, checked, captured with their changes, materialized again and checked again."""
    folder = tmp_path_factory.mktemp("changed")
    with fresh_database(postgres) as database:
        platform = Platform(Settings(home=folder / "home", database_url=database.url), spark_factory=lambda: spark)
        mapping = platform.registry.get(MAPPING)
        games = list(simulate_games(GAMES, DAY, seed=3))
        changes = choose(mapping, [g.payload for g in games])
        ingest(platform, games, folder / "before")
        platform.transformation(MAPPING).run()
        (first,) = evaluate_coverage(platform, mapping, [DAY])
        assert [first.metadata[f"{kind}_paths"].value for kind in ("new", "vanished", "type")] == [0, 0, 0]
        before = rows_of(platform, mapping)
        changed = [mutated(g, apply(c), minutes=30) for g, c in zip(games, changes, strict=True)]
        ingest(platform, changed, folder / "after")
        report = platform.transformation(MAPPING).run()
        (verdict,) = evaluate_coverage(platform, mapping, [DAY])
        with database.connect() as connection:
            cursor = connection.execute("SELECT entity_key, table_name, column_name, path FROM quality.cast_failures")
            casts = [dict(zip(("game", "table", "column", "path"), row, strict=True)) for row in cursor]
            rows = connection.execute(
                "SELECT kind, path, count, entity, example, note FROM quality.drift WHERE mapping = %s", [MAPPING]
            ).fetchall()
        found = [DriftRecord(*row) for row in rows]
        for change in changes:
            change.found = [f for f in found if f.entity == change.game]
        yield Outcome(mapping, changes, [before, rows_of(platform, mapping)], report, casts, verdict)


def test_every_change_is_reported_by_its_name(outcome: Outcome) -> None:
    """In the coverage check: new, vanished, another type; or as a failed cast, or a capture held with its reason."""
    silent = []
    held = {h.entity for h in outcome.report.held}
    for change in outcome.changes:
        told = {(f.kind, f.path) for f in change.found}
        name = change.path.rpartition(".")[0]
        if change.kind == "new":
            good = ("new", f"{name}.addedByTheSource") in told
        elif change.kind == "renamed":
            good = ("new", f"{name}.{change.to}") in told
        elif change.kind == "type":
            cast = any(c["game"] == change.game and change.path in c["path"] for c in outcome.casts)
            gone = change.to == "null" and bool({("vanished", change.path), ("lacking", change.path)} & told)
            good = ("type", change.path) in told or gone or cast or change.game in held
        elif change.kind == "shape":
            good = change.game in held
        else:
            good = bool({("vanished", change.path), ("lacking", change.path)} & told) or change.game in held
        if not good:
            silent.append(f"{change}: {sorted(told)}")
    assert not silent, "\n".join(silent)


def test_the_check_warns_and_stops_nothing(outcome: Outcome) -> None:
    """It does not pass, says what and where, and blocks nothing; all captures were looked at."""
    verdict = outcome.verdict
    assert not verdict.passed and not verdict.blocking and verdict.severity.name == "WARN"
    assert verdict.partition == DAY.isoformat()
    assert verdict.metadata["captures"].value == GAMES and verdict.metadata["captures_not_looked_at"].value == 0
    page = Path(verdict.metadata["report"].value).read_text("utf-8")
    for change in outcome.changes:
        for f in change.found:
            assert f.path in page


def test_tables_that_read_none_of_it_are_as_before(outcome: Outcome) -> None:
    """And a held capture leaves all tables of its game as they were."""
    before, after = outcome.rows
    held = {h.entity for h in outcome.report.held}
    paths = column_paths(outcome.mapping)
    for change in outcome.changes:
        for target in outcome.mapping.targets:
            name = change.path.rpartition(".")[2]
            steps = steps_of(change.path)
            reads = any(
                p[: len(steps)] == steps for (table, _), ps in paths.items() if table == target.name for p in ps
            )
            named = name in target.config.model_dump_json(exclude={"description"})
            if change.kind == "new" or change.game in held or not (reads or named):
                old, new = before[target.name].get(change.game), after[target.name].get(change.game)
                assert old == new, f"{change}: {target.name}"


def test_columns_that_lost_their_source_are_null_or_the_capture_is_held(outcome: Outcome) -> None:
    """A renamed field takes its values out of the column it was mapped to; nothing old is kept in a merged capture."""
    before, after = outcome.rows
    held = {h.entity for h in outcome.report.held}
    looked = 0
    for change in (c for c in outcome.changes if c.kind == "renamed" and c.game not in held):
        for (table, column), ps in column_paths(outcome.mapping).items():
            target = outcome.mapping.by_name[table]
            f = target.by_name[column].field
            if [render_steps(p) for p in ps] != [change.path] or f is None or f.default is not None:
                continue
            n = [c.name for c in target.columns if not c.technical].index(column)
            looked += 1
            assert any(row[n] is not None for row in before[table].get(change.game, [])) or f.element is not None
            assert all(row[n] is None for row in after[table].get(change.game, [])), f"{change}: {table}.{column}"
    assert looked, [str(c) for c in outcome.changes]
