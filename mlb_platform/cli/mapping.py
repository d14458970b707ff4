"""`mlb mapping`: check mapping files, the schema for editors, and what a mapping says."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_platform.cli import contracts, coverage, reference
from mlb_platform.cli.console import grid, many, say, show_table
from mlb_platform.cli.context import mapping_of, platform, settings

if TYPE_CHECKING:
    from mlb_platform.mapping.loader import MappingProblem
    from mlb_platform.mapping.models import MappingConfig

FEED = "game/live_game_v1"
SIMULATED = 30
"""Simulated games that together hold every path of the feed."""


def register(app: typer.Typer) -> None:
    """Add the commands to `mlb`."""
    group = typer.Typer(help="The mappings from JSON to tables.", no_args_is_help=True)
    for command in (lint, schema, show, contracts.diff, contracts.release, reference.docs):
        group.command()(command)
    coverage.register(group)
    app.add_typer(group, name="mapping")


def lint(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Mapping files or folders (default: all mappings).", metavar="FILES")
    ] = None,
    captures: Annotated[
        Path | None, typer.Option(help="Real responses to look for the paths in.", metavar="DIR")
    ] = None,
) -> None:
    """Print every problem of every file as file:line:column; exit code 1 when there are errors.

    Paths that match nothing in real feeds are warnings: looked for in --captures, else in simulated feeds.

    Example: mlb mapping lint my_mapping.yaml --captures ../shared/captures
    """
    from mlb_platform.mapping.loader import lint_files, mapping_files
    from resources.errors import PlatformError

    paths: list[Path] = []
    for given in files or [settings().mappings]:
        if given.is_dir():
            paths += mapping_files(given) or sorted([*given.glob("*.yaml"), *given.glob("*.yml")])
        else:
            paths.append(given)
    if not paths:
        raise PlatformError(f"no mapping files (*.yaml) in {', '.join(map(str, files or [settings().mappings]))}")
    configs, problems = lint_files(paths)
    for path, config in configs.items():
        problems += _unmatched(path, config, captures)
    if not files:
        problems += _stray(settings().mappings, configs.values())
    for problem in sorted(problems):
        say(str(problem), "red" if problem.level == "error" else None)
    errors = sum(p.level == "error" for p in problems)
    tables = sum(len(c.targets) for c in configs.values())
    warnings = len(problems) - errors
    say(
        f"{many(len(paths), 'file')}, {many(tables, 'table')}: {many(errors, 'error')}, {many(warnings, 'warning')}",
        "red" if errors else "green",
    )
    raise typer.Exit(1 if errors else 0)


def _stray(folder: Path, configs: Iterable[MappingConfig]) -> Iterator[MappingProblem]:
    """Yield what the known orphans beside the mappings name that no mapping has."""
    from mlb_platform.mapping.loader import MappingProblem
    from mlb_platform.mapping.resolve import resolve
    from mlb_platform.quality.known import ORPHANS, known_orphans, stray_entries

    mappings = {c.name: resolve(c) for c in configs}
    for message in stray_entries(known_orphans(folder), mappings):
        yield MappingProblem(str(folder / ORPHANS), 1, 1, message)


def _unmatched(path: Path, config: MappingConfig, captures: Path | None) -> Iterator[MappingProblem]:
    """Yield a warning for each path of a mapping that is in none of the documents there are to look at."""
    from mlb_platform.mapping.loader import MappingProblem, find_place
    from mlb_platform.mapping.matching import describe, find_unmatched, mapped_paths

    documents = _captured(captures, config.name) if captures is not None else _simulated(config.name)
    if documents is None:
        return
    missing, read = find_unmatched(mapped_paths(config), documents)
    if not read:
        return
    looked_at = many(read, "capture" if captures is not None else "simulated feed")
    text = path.read_text("utf-8")
    for found in missing:
        line, column = find_place(text, found.location)
        yield MappingProblem(str(path), line, column, describe(found, looked_at), "warning")


def _simulated(name: str) -> Iterator[Any] | None:
    from mlb_platform.simulator import simulate_games

    return (c.payload for c in simulate_games(SIMULATED, date(2024, 7, 1), 1)) if name == FEED else None


def _captured(folder: Path, name: str) -> Iterator[Any]:
    """Yield the documents of one endpoint method in a captures folder; files that are no JSON are left out."""
    from resources.errors import PlatformError

    base = folder / name if (folder / name).is_dir() else folder
    if not base.is_dir():
        raise PlatformError(f"the captures folder {folder} does not exist")
    for path in sorted([*base.rglob("*.json"), *base.rglob("*.json.gz")]):
        try:
            body = path.read_bytes()
            yield json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        except (OSError, ValueError, EOFError):
            continue


def schema_text() -> str:
    """Return the JSON schema of mapping files, as it is kept in mapping_configs/schema.json."""
    from mlb_platform.mapping.models import MappingConfig

    made = MappingConfig.model_json_schema()
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "MLB mapping", **made}
    return json.dumps(made, indent=2, sort_keys=True) + "\n"


def schema(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 when the file is not up to date.")
    ] = False,
) -> None:
    """Write mapping_configs/schema.json, which lets editors complete and check mapping files.

    Example: mlb mapping schema
    """
    from resources.errors import PlatformError

    path = settings().mappings / "schema.json"
    text = schema_text()
    current = path.is_file() and path.read_text("utf-8") == text
    if check and not current:
        raise PlatformError(f"{path} is not up to date: run `mlb mapping schema`")
    if not current:
        path.write_text(text, "utf-8")
    say(f"{path}: {'up to date' if current else 'written'}")


def show(
    mapping: Annotated[str, typer.Argument(help="The mapping.", metavar="ENDPOINT/METHOD")] = FEED,
    table: Annotated[str | None, typer.Option(help="The columns of this table.", metavar="SCHEMA.TABLE")] = None,
) -> None:
    """Show the tables of a mapping, or the columns of one: types, and where each value comes from.

    Example: mlb mapping show game/live_game_v1 --table game.live_game_plays
    """
    from mlb_platform.cli.materialize import check_tables
    from mlb_platform.mapping.paths import render_steps
    from mlb_platform.mapping.shape import column_paths

    with platform() as made:
        resolved = mapping_of(made, mapping)
    names = check_tables(resolved, [table] if table else None)
    if table is None:
        overview = grid("table", "key", "columns", "rules", "description", right=["columns", "rules"])
        for name in names:
            target = resolved.by_name[name]
            key, columns = ", ".join(target.key), str(len(target.columns))
            overview.add_row(name, key, columns, str(len(target.rules)), target.config.description)
        show_table(overview)
        for target in resolved.targets:
            for r in target.relationships:
                provided = "" if r.to_table in resolved.by_name else " (no mapping provides it yet)"
                say(
                    f"{target.name}({', '.join(r.from_fields)}) → {r.to_table}({', '.join(r.to_fields)}){provided}",
                    "dim",
                )
        return
    paths = column_paths(resolved)
    columns_of = grid("column", "type", "from", "description")
    for c in resolved.by_name[table].columns:
        found = [render_steps(s) for s in paths.get((table, c.name), [])]
        f = c.field
        other = f and (f.source_field or f.expression or (f.constant is not None and repr(f.constant)))
        name = c.name + (" (key)" if c.name in resolved.by_name[table].key else "")
        columns_of.add_row(name, str(c.type), "\n".join(found) or str(other or c.origin), c.description)
    show_table(columns_of)
