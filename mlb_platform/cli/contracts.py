"""`mlb mapping diff` and `mlb mapping release`: the Avro schemas of the tables, and what a change of them means."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import many, say
from mlb_platform.cli.context import mapping_of, platform

if TYPE_CHECKING:
    from mlb_platform.mapping.avro import AvroSchema
    from mlb_platform.mapping.diff import ColumnChange, TableDiff
    from mlb_platform.mapping.loader import MappingRegistry

    Schemas = dict[str, AvroSchema]

RELEASED = "released"
"""The folder, beside the mappings, with the schema that was released last of every table: SCHEMA/TABLE.avsc."""

Against = Annotated[
    str | None,
    typer.Option(
        help="A git revision or a folder, of mapping files or of schemas (default: what was released last).",
        metavar="REV_OR_DIR",
    ),
]


def diff(
    mapping: Annotated[
        str | None, typer.Argument(help="The mapping (default: all).", metavar="ENDPOINT/METHOD")
    ] = None,
    against: Against = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Print problems only; exit 1 when the version does not allow a change, or a "
                     "table was not released."),
    ] = False,
) -> None:  # fmt: skip
    """Say what the mappings' changes mean: for readers by Avro's rules, for PostgreSQL, for Delta, and for old rows.

    Example: mlb mapping diff game/live_game_v1 --against HEAD
    """
    from mlb_platform.mapping.diff import find_version_problems

    with platform() as made:
        registry = made.registry
        if mapping is not None:
            mapping_of(made, mapping)
        old = read_released(registry.folder / RELEASED) if against is None else _schemas_of(against, registry)
        diffs = _diffs(registry, old, {mapping} if mapping else None)
        versions = {name: m.config.version for name, m in registry.mappings.items()}
    changed = [d for d in diffs if d.kind != "same"]
    if not check:
        for d in changed:
            _print(d)
    problems = find_version_problems(diffs, versions)
    if against is None:
        problems += [f"{d.table}: not released yet: run `mlb mapping release`" for d in diffs if d.kind == "new"]
    for text in problems:
        say(text, "red")
    breaking = sum(bool(d.breaking) for d in diffs)
    say(f"{many(len(diffs), 'table')}: {len(changed)} changed, {breaking} breaking, {many(len(problems), 'problem')}")
    raise typer.Exit(1 if check and problems else 0)


def release(
    mappings: Annotated[
        list[str] | None, typer.Argument(help="The mappings (default: all).", metavar="ENDPOINT/METHOD")
    ] = None,
    removed: Annotated[
        list[str] | None,
        typer.Option(help="A mapping that is gone on purpose: forget its schemas.", metavar="ENDPOINT/METHOD"),
    ] = None,
) -> None:
    """Write the Avro schemas of the tables to mapping_configs/released, each with the version of its mapping.

    A breaking change without the next major version is refused, and then nothing is written.

    Example: mlb mapping release game/live_game_v1
    """
    from fastavro.schema import parse_schema

    from mlb_platform.mapping.avro import schema_text
    from mlb_platform.mapping.diff import find_version_problems
    from resources.errors import PlatformError

    with platform() as made:
        registry = made.registry
        for name in mappings or ():
            mapping_of(made, name)
        folder = registry.folder / RELEASED
        gone = set(removed or ())
        if still := sorted(gone & registry.mappings.keys()):
            raise typer.BadParameter(f"mapping {', '.join(still)} is not removed: its file is there")
        known = read_released(folder)
        if never := sorted(gone - {str(schema["mapping"]) for schema in known.values()}):
            raise typer.BadParameter(f"mapping {', '.join(never)} was never released, so there is nothing to forget")
        diffs = _diffs(registry, known, {*mappings, *gone} if mappings else None)
        versions = {name: m.config.version for name, m in registry.mappings.items()}
    asked = [d for d in diffs if not (d.kind == "removed" and d.mapping in gone)]
    problems = find_version_problems(asked, versions)
    if problems:
        raise PlatformError("nothing was released: " + "\n".join(problems))
    written = 0
    for d in diffs:
        path = _file(folder, d.table)
        if d.new is None:
            path.unlink()
            written += 1
            continue
        parse_schema(d.new)
        text = schema_text(d.new)
        if not path.is_file() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            written += 1
    say(f"{folder}: {many(len(diffs), 'table')}, {many(written, 'file')} written or removed", "green")


def _file(folder: Path, table: str) -> Path:
    schema, name = table.split(".")
    return folder / schema / f"{name}.avsc"


def read_released(folder: Path) -> Schemas:
    """Return the released schemas by table; raise PlatformError for a file that is none."""
    from mlb_platform.mapping.avro import table_of
    from resources.errors import PlatformError

    found: Schemas = {}
    for path in sorted(folder.rglob("*.avsc")):
        try:
            schema = json.loads(path.read_text("utf-8"))
            table = table_of(schema)
            _ = schema["fields"], schema["primaryKey"], schema["mapping"], schema["mappingVersion"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PlatformError(f"{path} is no released schema ({error!r}): take it from git again") from error
        found[table] = schema
    return found


def _current(registry: MappingRegistry) -> Schemas:
    from mlb_platform.mapping.avro import mapping_schemas

    return {table: schema for m in registry.mappings.values() for table, schema in mapping_schemas(m).items()}


def _diffs(registry: MappingRegistry, old: Schemas, only: set[str] | None) -> list[TableDiff]:
    """Compare with the mappings as they are, and ask the sinks; `only` these mappings' tables."""
    from mlb_platform.mapping.diff import diff_schemas
    from mlb_platform.quality.sink_changes import with_refusals

    found = (with_refusals(d) for d in diff_schemas(old, _current(registry)))
    return [d for d in found if only is None or d.mapping in only]


def _schemas_of(against: str, registry: MappingRegistry) -> Schemas:
    """Return the schemas of a folder (of .avsc files or of mappings) or of the mappings at a git revision."""
    from mlb_platform.mapping.loader import MappingRegistry as Registry

    folder = Path(against)
    if folder.is_dir():
        return (
            read_released(folder)
            if any(folder.rglob("*.avsc")) and not _mappings_in(folder)
            else _current(Registry(folder))
        )
    with _at_revision(registry.folder, against) as then:
        return _current(Registry(then))


def _mappings_in(folder: Path) -> bool:
    from mlb_platform.mapping.loader import mapping_files

    return bool(mapping_files(folder))


@contextmanager
def _at_revision(folder: Path, revision: str) -> Iterator[Path]:
    """Give the folder of mappings as git has it at a revision."""
    from resources.errors import PlatformError

    command = ["git", "-C", str(folder), "archive", "--format=tar", revision]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise PlatformError(f"git is needed to look at revision {revision}: {error}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["git archive failed"]
        raise PlatformError(f"--against {revision} is no folder, and as a git revision: {lines[0]}")
    with tempfile.TemporaryDirectory() as name, tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(name, filter="data")
        yield Path(name)


def _print(d: TableDiff) -> None:
    """Print what happened to one table and what it means."""
    from mlb_platform.quality.sink_changes import table_effects

    before, after = d.versions
    versions = f"{before} → {after}" if before and after and before != after else (after or before)
    say(f"{d.table} ({d.mapping} {versions}): {d.kind}", "bold")
    for effect in table_effects(d):
        say(f"    {effect.sink:<12}{'refused: ' if effect.refused else ''}{effect.effect}")
    for change in d.columns:
        _print_column(d, change)
    if loose := [b for b in d.avro if b.path not in {c.name for c in d.columns}]:
        say(f"    {'Avro':<12}{'; '.join(map(str, loose))}")
    for text in d.notes:
        say(f"  {text}")
    if d.derived_anew:
        say("  rows: derived anew from every capture by the next run")
    for reason in d.breaking:
        say(f"  breaking: {reason}", "red")


def _print_column(d: TableDiff, change: ColumnChange) -> None:
    from mlb_platform.quality.sink_changes import column_effects

    say(f"  {change}")
    avro = "; ".join(map(str, change.avro)) or "backward and forward compatible"
    say(f"    {'Avro':<12}{avro}")
    for effect in column_effects(d, change):
        say(f"    {effect.sink:<12}{'refused: ' if effect.refused else ''}{effect.effect}")
