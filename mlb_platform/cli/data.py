"""`mlb ingest captures` and `mlb simulate`: raw rows, real or made."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mlb_platform.cli import ingest_statsapi, simulate_day, simulate_serve
from mlb_platform.cli.console import Progress, many, note, say
from mlb_platform.cli.context import mapping_of, platform
from mlb_platform.cli.simulate_serve import FIRST_SEASON, LAST_SEASON, season_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlb_platform.ingestion.captures_folder import IngestReport
    from mlb_platform.platform import Platform
    from mlb_platform.simulator import SimulatedCapture
    from mlb_platform.simulator.corrections import Kind as CaptureKind
    from resources.raw_store import InsertOutcome, RawCapture

FEED = "game/live_game_v1"
SHOWN_REJECTIONS = 10


class Kind(StrEnum):
    """How a later capture of a simulated game differs."""

    correction = "correction"
    vanished = "vanished"
    moved = "moved"


def register(app: typer.Typer) -> None:
    """Add the commands to `mlb`."""
    ingest = typer.Typer(help="Put responses into the raw store.", no_args_is_help=True)
    ingest.command("captures")(ingest_captures)
    ingest.command("statsapi")(ingest_statsapi.ingest_statsapi)
    app.add_typer(ingest, name="ingest")
    simulated = typer.Typer(
        help="Make games in the shape of the real API, or serve a simulated API.", invoke_without_command=True
    )
    simulated.callback()(simulate)
    simulated.command("serve")(simulate_serve.serve)
    simulated.command("day")(simulate_day.simulate_day)
    app.add_typer(simulated, name="simulate")


def ingest_captures(
    folder: Annotated[Path, typer.Argument(help="Folder with an INDEX.tsv, or with .json[.gz] files.", metavar="DIR")],
    mapping: Annotated[
        str | None, typer.Option(help="Only captures of this mapping.", metavar="ENDPOINT/METHOD")
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="Endpoint of plain files.")] = None,
    method: Annotated[str | None, typer.Option(help="Method of plain files.")] = None,
    captured_at: Annotated[
        str | None, typer.Option(help="When plain files were received, with zone.", metavar="TIME")
    ] = None,
) -> None:
    """Ingest a folder of captures; what is there already is not stored twice.

    What cannot be stored (no JSON, cut off, another shape) is kept in quality.rejected_payloads with the reason, and
    the exit code is 1.

    Example: mlb ingest captures ../shared/captures --mapping game/live_game_v1
    """
    with platform() as made:
        if mapping is not None:
            mapping_of(made, mapping)
        report = ingest(made, folder, mapping, endpoint, method, captured_at)
    raise typer.Exit(report.exit_code)


def ingest(
    made: Platform,
    folder: Path,
    mapping: str | None = None,
    endpoint: str | None = None,
    method: str | None = None,
    captured_at: str | None = None,
) -> IngestReport:
    """Ingest a folder with a progress bar, print rejections and the summary line, and return the report."""
    from mlb_platform.ingestion.captures_folder import ingest_folder

    with Progress("Ingesting", "files") as bar:
        report = ingest_folder(
            folder,
            made.raw,
            made.quality,
            made.registry.mappings,
            only_mapping=mapping,
            endpoint=endpoint,
            method=method,
            captured_at=captured_at,
            progress=lambda done, total, name: bar.update(done, name, total),
        )
    for rejection in report.rejections[:SHOWN_REJECTIONS]:
        note(f"rejected {rejection.source}: {rejection.reason}", "yellow")
    if report.rejected > SHOWN_REJECTIONS:
        note(f"… and {report.rejected - SHOWN_REJECTIONS} more: see quality.rejected_payloads", "yellow")
    say(report.summary)
    return report


def simulate(
    context: typer.Context,
    games: Annotated[int, typer.Option(help="How many games, fifteen a date.", min=1, max=50_000)] = 30,
    first: Annotated[
        date, typer.Option("--from", help="First date, of 1901 to 2100.", parser=season_day, metavar="DATE")
    ] = date(2024, 7, 1),
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Write a captures folder instead of raw rows.", metavar="DIR")
    ] = None,
    kind: Annotated[
        list[Kind] | None,
        typer.Option(
            help="Add a later capture of each game, so changed; repeatable.", metavar="correction|vanished|moved"
        ),
    ] = None,
    feeds_only: Annotated[
        bool, typer.Option("--feeds-only", help="Only the live feeds, not the other endpoints' responses.")
    ] = False,
    season: Annotated[
        int | None,
        typer.Option(
            help="The feeds of a season's 2,430 games instead, end of March to end of September.",
            min=FIRST_SEASON,
            max=LAST_SEASON,
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(help="How many processes make feeds, with --feeds-only or --season.", min=1)
    ] = 2,
    gzip_level: Annotated[int, typer.Option(help="How hard feeds are packed in --out, so made.", min=1, max=9)] = 1,
) -> None:
    """Make complete games in the shape of the real API, without any network: live feeds and every other endpoint.

    Example: mlb simulate --games 30 --from 2024-07-01 --seed 1
    Example: mlb simulate --games 15 --kind correction --kind vanished --out captures
    Example: mlb simulate --season 2024 --out season --workers 2
    """
    if context.invoked_subcommand is not None:
        return
    kinds = [k.value for k in kind or []]
    if season is not None or feeds_only:
        generate(games, first, season, seed, kinds, out, workers, gzip_level)
        return
    if out is not None:
        from mlb_platform.cli.context import settings
        from mlb_platform.simulator import write_captures_folder

        settings()
        with Progress("Simulating", "captures", games * (1 + len(kinds))) as bar:
            written = write_captures_folder(
                _counted(captures(games, first, seed, kinds), bar), out, every_endpoint=not feeds_only
            )
        say(f"{out}: {written} captures written; put them into the raw store with `mlb ingest captures {out}`")
        return
    with platform() as made:
        simulate_into(made, games, first, seed, kinds, feeds_only=feeds_only)


def generate(
    games: int, first: date, season: int | None, seed: int, kinds: list[str], out: Path | None, workers: int, level: int
) -> None:
    """Make feeds alone in several processes, into a folder or the raw store; say how many and how fast."""
    from time import perf_counter

    from mlb_platform.cli.context import settings
    from mlb_platform.ingestion.gate import gate_specs
    from mlb_platform.simulator import generation

    wanted = generation.season_schedule(season) if season is not None else generation.scheduled_games(games, first)
    changed = [cast("CaptureKind", name) for name in kinds]
    begun = perf_counter()
    with Progress("Simulating", "captures", len(wanted) * (1 + len(kinds))) as bar:
        if out is not None:
            settings()
            made = generation.generate_into_folder(
                wanted,
                seed,
                changed,
                out,
                workers=workers,
                level=level,
                progress=bar.update,
            )
        else:
            with platform() as home:
                specs = gate_specs(home.registry.mappings)
                made = generation.generate_into_store(
                    wanted,
                    seed,
                    changed,
                    home.raw,
                    specs,
                    workers=workers,
                    progress=bar.update,
                )
    seconds = perf_counter() - begun
    if made.left_out:
        note(f"{made.left_out} later captures left out: nothing in those games could be changed that way")
    span = f"{many(len(wanted), 'game')} on {many(len(made.dates), 'date')}, {min(made.dates)} to {max(made.dates)}"
    pace = f"{seconds:.1f} s, {len(wanted) / seconds:.0f} games/s"
    if out is not None:
        say(f"{out}: {made.stored} captures written, {span} ({pace}); put them into the raw store with "
            f"`mlb ingest captures {out}`")  # fmt: skip
    else:
        say(f"{specs[FEED].raw_table}: {made.stored} simulated captures stored, {made.repeated} repeated "
            f"(already there), {span} ({pace})")  # fmt: skip


def simulate_into(
    made: Platform, games: int, first: date, seed: int, kinds: list[str], *, feeds_only: bool = False
) -> list[date]:
    """Put simulated responses through the gate into the raw store; print what became of them, return the games' dates.

    `feeds_only` leaves out the endpoints other than the live feed; those without a mapping are left out anyway.
    """
    import orjson

    from mlb_platform.ingestion.gate import Rejection, Request, admit, gate_specs
    from mlb_platform.simulator import feeds, responses
    from resources.errors import PlatformError

    specs = gate_specs(made.registry.mappings)
    store = _Batches(made)
    dates: set[date] = set()
    with Progress("Simulating", "captures", games * (1 + len(kinds))) as bar:
        counted = _counted(captures(games, first, seed, kinds), bar)
        for response in feeds(counted) if feeds_only else responses(counted):
            spec = specs.get(response.name)
            if spec is None:
                continue
            source = f"simulated {response.name} {response.id[:40]}, seed {seed}"
            url = f"simulated:{response.url}"
            request = Request(source, response.captured_at, response.id, {"id": response.id}, url)
            admitted = admit(orjson.dumps(response.payload), request, spec)
            if isinstance(admitted, Rejection):
                raise PlatformError(f"{source} is refused by the gate: {admitted.reason}; this is a bug, report it")
            store.add(spec.raw_table, admitted)
            if response.name == FEED and admitted.partition_date is not None:
                dates.add(admitted.partition_date)
        store.flush()
    feed = specs[FEED].raw_table
    span = f"{min(dates)} to {max(dates)}" if len(dates) > 1 else f"{min(dates)}"
    of = f"{many(games, 'game')} on {many(len(dates), 'date')}, {span}"
    say(f"{feed}: {store.told('simulated captures', [feed])}, {of}")
    others = sorted(set(store.outcomes) - {feed})
    if others:
        say(f"{', '.join(others)}: {store.told('simulated responses', others)}")
    return sorted(dates)


class _Batches:
    """Captures on their way into the raw store, eight of a table at a time, and what became of them."""

    SIZE = 8

    def __init__(self, made: Platform) -> None:
        """Begin with nothing, for the raw store of a platform."""
        self._raw = made.raw
        self._waiting: dict[str, list[RawCapture]] = {}
        self.outcomes: dict[str, list[InsertOutcome]] = {}

    def add(self, table: str, capture: RawCapture) -> None:
        """Take one capture."""
        if table not in self._waiting:
            self._raw.ensure(table)
            self._waiting[table], self.outcomes[table] = [], []
        self._waiting[table].append(capture)
        if len(self._waiting[table]) == self.SIZE:
            self._store(table)

    def flush(self) -> None:
        """Store what is left."""
        for table in self._waiting:
            self._store(table)

    def _store(self, table: str) -> None:
        self.outcomes[table].extend(self._raw.insert_many(table, self._waiting[table]))
        self._waiting[table].clear()

    def told(self, what: str, tables: list[str]) -> str:
        """Say how many captures of these tables were stored, how many were there."""
        from resources.raw_store import InsertOutcome

        found = [outcome for table in tables for outcome in self.outcomes[table]]
        stored = sum(outcome is InsertOutcome.STORED for outcome in found)
        return f"{stored} {what} stored, {len(found) - stored} repeated (already there)"


def captures(games: int, first: date, seed: int, kinds: list[str]) -> Iterator[SimulatedCapture]:
    """Give the final capture of every game, each followed by its later ones, one a kind."""
    from mlb_platform.simulator import later_capture, simulate_games

    impossible = 0
    for capture in simulate_games(games, first, seed):
        yield capture
        latest = capture
        for kind in kinds:
            try:
                latest = later_capture(latest, kind, seed)  # type: ignore[arg-type]
            except ValueError:
                impossible += 1  # a game without a single cannot have one corrected
                continue
            yield latest
    if impossible:
        note(f"{impossible} later captures left out: nothing in those games could be changed that way")


def _counted(items: Iterable[SimulatedCapture], bar: Progress) -> Iterator[SimulatedCapture]:
    for count, capture in enumerate(items, 1):
        yield capture
        bar.update(count, str(capture.official_date))
