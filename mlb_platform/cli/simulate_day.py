"""`mlb simulate day`: a whole day in one command: a simulated API, the live follower and Dagster."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import many, note, quiet_java, say
from mlb_platform.cli.context import platform
from mlb_platform.cli.simulate_serve import season_day

if TYPE_CHECKING:
    from mlb_platform.cli.live import LiveRun
    from mlb_platform.platform import Platform

POLLS_A_SECOND = 60
UI_PORT = 3000


def simulate_day(
    games: Annotated[int, typer.Option(help="How many games, all at the same time.", min=1, max=15)] = 15,
    when: Annotated[str, typer.Option("--date", help="Their official date.", metavar="DATE")] = "2024-07-03",
    speed: Annotated[float, typer.Option(help="Simulated seconds in a real one.", min=1)] = 20.0,
    every: Annotated[float, typer.Option(help="Real seconds between two captures of a game.", min=0.5)] = 10.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same games.")] = 1,
    delta_every: Annotated[float, typer.Option(help="Real seconds between two merges into the lake.", min=1)] = 60.0,
    corrections: Annotated[
        float, typer.Option(help="Share of calls overturned and of rows that vanish.", min=0, max=1)
    ] = 0.3,
    ui: Annotated[bool, typer.Option("--ui/--no-ui", help="Whether the Dagster UI and daemon run beside it.")] = True,
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.", min=1, max=65535)] = UI_PORT,
) -> None:
    """Play a day: start a simulated API and Dagster, follow all games live, and compare every table with a batch run.

    It ends when the games do, some ten minutes at the default speed; the exit code is 0 when no game is missing and
    every table equals the batch result.

    Example: mlb simulate day --games 15 --speed 20
    """
    day = season_day(when)
    start = datetime(day.year, day.month, day.day, 15, 55, tzinfo=UTC)
    with ExitStack() as stack:
        url = stack.enter_context(_ServerProcess(games, start, speed, seed, corrections, day.year))
        os.environ |= {
            "MLB_API_URL": url,
            "MLB_API_CLOCK_URL": f"{url}/simulator/clock",
            "MLB_API_RATE_PER_SECOND": str(POLLS_A_SECOND),
        }
        made = stack.enter_context(platform())
        stack.enter_context(quiet_java(made.settings.logs / "spark.log"))
        if ui:
            stack.enter_context(_DagsterProcesses(made, port))
        code = _play(made, day, speed, every, delta_every, games)
    raise typer.Exit(code)


def _play(made: Platform, day: object, speed: float, every: float, delta_every: float, games: int) -> int:
    from datetime import date

    from mlb_platform.cli.live import follow_date
    from mlb_platform.live.game_follow import Pace

    assert isinstance(day, date)
    interval = timedelta(seconds=every * speed)
    pace = Pace(least=interval, most=interval, idle=interval, once_more=interval)
    with _Memory() as memory:
        run = follow_date(made, day, (), pace, delta_every, 60.0)
    say(f"memory of follower and Spark: {memory}")
    # a game suspended on an earlier date is listed too
    missing = max(games, run.report.games) - sum(phase == "over" for phase in run.report.phases.values())
    say("no game is missing" if not missing else f"{many(missing, 'game')} missing", None if not missing else "red")
    differing = compare(made, run)
    if differing:
        say(f"{many(len(differing), 'table')} differ from the batch result: {', '.join(differing)}", "red")
    else:
        say("every table equals the batch result", "green")
    return 0 if run.complete and not missing and not differing else 1


def compare(made: Platform, run: LiveRun) -> list[str]:
    """Materialize the same captures anew, in a database and a lake of their own, and return the tables that differ."""
    from mlb_platform.ingestion.dates.plan import GAME_ENDPOINTS
    from mlb_platform.live.same_tables import copy_newest, differing_tables, drop_database, scratch_database
    from mlb_platform.platform import Platform

    name = f"mlb_batch_{os.getpid()}"
    over = sorted(pk for pk, phase in run.report.phases.items() if phase == "over")
    found: list[str] = []
    with TemporaryDirectory(dir=made.settings.home) as folder:
        url = scratch_database(made.postgres, name)
        settings = made.settings.model_copy(update={"database_url": url, "lake_url": str(Path(folder) / "lake")})
        batch = Platform(settings, spark_factory=made.spark)
        try:
            for mapping in (made.registry.get(m) for m in GAME_ENDPOINTS):
                copy_newest(made.postgres, batch.postgres, mapping, over)
                found += sorted(differing_tables(made.postgres, batch, mapping, over))
        finally:
            batch.postgres.close()
            with made.postgres.connect(autocommit=True) as connection:
                drop_database(connection, name)
    return found


class _ServerProcess:
    """The simulated API in a process of its own."""

    def __init__(self, games: int, start: datetime, speed: float, seed: int, corrections: float, season: int) -> None:
        self._command = [
            sys.executable, "-m", "mlb_platform.cli.main", "simulate", "serve", "--port", "0", "--together",
            "--season", str(season), "--games", str(games), "--start", start.isoformat(), "--speed", str(speed),
            "--seed", str(seed), "--overturned", str(corrections),
        ]  # fmt: skip
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> str:
        from resources.errors import PlatformError

        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "MLB_API_URL=" in line:
                url = line.split("MLB_API_URL=")[1].split()[0]
                note(f"simulated API on {url}")
                return url
        raise PlatformError("the simulated API did not start: try `mlb simulate serve`")

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


class _DagsterProcesses:
    """The Dagster UI with its daemon, stopped at the end."""

    def __init__(self, made: Platform, port: int) -> None:
        self._made, self._port = made, port
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> None:
        from mlb_platform.cli.service import check_port, start_ui

        check_port(self._port, "mlb simulate day")
        self._children = start_ui(self._made.settings, self._made.postgres, self._port)
        say(f"Dagster UI on http://127.0.0.1:{self._port}")

    def __exit__(self, *_: object) -> None:
        from mlb_platform.cli.service import stop_all

        stop_all(self._children)


class _Memory:
    """Resident memory of this process and its Spark, looked at now and then; the first minute is Spark's start."""

    WARM_UP, EVERY = 60.0, 5.0

    def __init__(self) -> None:
        self._seen: list[tuple[float, float]] = []
        self._done = threading.Event()

    def __enter__(self) -> _Memory:
        begun = time.monotonic()

        def watch() -> None:
            while not self._done.wait(self.EVERY):
                self._seen.append((time.monotonic() - begun, _resident_mb()))

        self._thread = threading.Thread(target=watch, name="memory", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def __str__(self) -> str:
        warm = [mb for at, mb in self._seen if at >= self.WARM_UP]
        if not warm:
            return "not seen after the warm-up"
        parts = ("after the warm-up", warm[0]), ("half way", warm[len(warm) // 2]), ("at the end", warm[-1])
        return ", ".join(f"{mb:.0f} MB {when}" for when, mb in (*parts, ("at most", max(warm))))


def _resident_mb() -> float:
    import psutil

    process = psutil.Process()
    found = [process]
    with suppress(psutil.Error):
        found += [c for c in process.children(recursive=True) if "java" in c.name()]
    total = 0.0
    for one in found:
        with suppress(psutil.Error):
            total += one.memory_info().rss / 1e6
    return total
