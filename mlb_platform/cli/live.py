"""`mlb live`: all games of a date followed, tables seconds behind the feed."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_platform.cli.console import many, note, quiet_java, say
from mlb_platform.cli.context import day as day_of_text
from mlb_platform.cli.context import platform

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from mlb_platform.live.follower import Follower, FollowReport
    from mlb_platform.live.game_follow import Pace
    from mlb_platform.live.latency import LatencySummary
    from mlb_platform.live.turns import Turns
    from mlb_platform.platform import Platform

TODAY = "today"


def day_or_today(text: str | date) -> date | None:
    """Return the date of a text; None for `today`."""
    return None if text == TODAY else day_of_text(text)


def register(app: typer.Typer) -> None:
    """Add the command to `mlb`."""
    app.command("live")(live)


def live(
    when: Annotated[
        str,
        typer.Option(
            "--date", help="Official date of the games, or `today`: New York's, up to 4:00.", metavar="DATE|today"
        ),
    ] = TODAY,
    game_pk: Annotated[
        list[int] | None, typer.Option(help="Only this game of the date; repeatable.", metavar="N")
    ] = None,
    delta_every: Annotated[float, typer.Option(help="Seconds between two merges into the lake.", min=1)] = 60.0,
    least: Annotated[float, typer.Option(help="Shortest time between two polls of a game, in seconds.", min=1)] = 5.0,
    most: Annotated[float, typer.Option(help="Longest time between two polls of a game, in seconds.", min=1)] = 30.0,
    events_every: Annotated[float, typer.Option(help="Seconds between two notes in Dagster.", min=1)] = 300.0,
) -> None:
    """Follow the games of a date: poll their feeds, merge as they come, end each with its Final state.

    PostgreSQL is seconds behind the feed, the lake follows every --delta-every seconds and at Final. It can be stopped
    and started again at any time. The exit code is 0 when every game came to an end and was handed over.

    Example: mlb live --date today
    Example: mlb live --date 2024-07-01 --game-pk 747175
    """
    from mlb_platform.live.game_follow import Pace

    if most < least:
        raise typer.BadParameter(f"--most {most:g} is shorter than --least {least:g}")
    day = day_or_today(when)
    pace = Pace(least=timedelta(seconds=least), most=timedelta(seconds=most))
    with platform() as made, quiet_java(made.settings.logs / "spark.log"):
        done = follow_date(made, day, [str(n) for n in game_pk or ()], pace, delta_every, events_every)
    raise typer.Exit(0 if done.complete else 1)


@dataclass(frozen=True)
class LiveRun:
    """What following a date came to, and how far the tables were behind."""

    report: FollowReport
    latency: LatencySummary
    warm: LatencySummary
    """Of the captures after the first minute."""
    held: int
    stopped: bool

    @property
    def complete(self) -> bool:
        """Whether every game came to an end and was handed over."""
        return not (self.report.open or self.report.not_handed_over or self.held or self.stopped)


def follow_date(
    made: Platform, day: date | None, only: Sequence[str], pace: Pace, delta_every: float, events_every: float
) -> LiveRun:
    """Follow a date (None: today by the API's clock, until its evening is over) and print how it goes."""
    from mlb_platform.assets.ingestion import evening_date
    from mlb_platform.assets.live_events import LiveEvents
    from mlb_platform.cli.materialize import check_spark
    from mlb_platform.dagster_home import open_instance
    from mlb_platform.ingestion.statsapi.client import notice_once
    from mlb_platform.ingestion.statsapi.ingest import open_ingestor
    from mlb_platform.live.follower import Follower
    from mlb_platform.live.stream import LiveMerge

    # polls, merges and hand-overs are threads: one that comes back from PostgreSQL is to go on at once
    sys.setswitchinterval(0.001)
    check_spark(made)
    told = notice_once(made.settings)
    if told:
        note(told)
    with open_ingestor(made) as ingestor, open_instance(made.settings, made.postgres) as instance:
        clock = ingestor.api.clock
        followed = day or evening_date(clock.now())
        say(f"following the games of {followed} from {ingestor.api.root}; Ctrl-C stops, and it can go on later")
        merge = LiveMerge(made, delta_every_seconds=delta_every)
        events = LiveEvents(instance, followed, lambda: merge.latencies, events_every)
        handing = _HandOver(made, instance, merge.turns)
        merge.on_batch = events.add
        follower = Follower(
            ingestor, made.postgres, clock, followed, only=only, pace=pace, hand_over=handing, check=merge.check
        )
        if follower.look() == 0:
            say(f"the schedule lists no games on {followed}: nothing to follow")
            return LiveRun(follower.report, merge.latencies.summary, merge.warm.summary, 0, False)
        handing.warm_up()
        with merge, _stopped_by_signals(follower) as stopped, _told(follower):
            report = follower.run()
            merge.drain()
            events.report()
        if not stopped.is_set():
            handing.whole_date(followed)
        run = LiveRun(report, merge.latencies.summary, merge.warm.summary, handing.held, stopped.is_set())
    _print(run)
    return run


class _HandOver:
    """Brings games that are over through the batch path: every table of theirs, both sinks, checks included.

    Games that are still followed come first: between tables it waits until no micro-batch of theirs is under way.
    """

    def __init__(self, made: Platform, instance: DagsterInstance, turns: Turns) -> None:
        self._made, self._instance, self._turns = made, instance, turns
        self.held = 0

    def warm_up(self) -> None:
        """Plan the Spark jobs of what is fetched at the end only: the feed's rows are merged by then."""
        from mlb_platform.ingestion.dates.plan import OF_GAME

        for name in OF_GAME:
            self._made.transformation(name).warm_up()

    def __call__(self, game_pks: Sequence[str]) -> None:
        from mlb_platform.assets.command import materialize_dates
        from mlb_platform.ingestion.dates.plan import GAME_ENDPOINTS

        merged = 0
        for name in GAME_ENDPOINTS:
            self._turns.wait()
            table = self._made.registry.get(name).config.source.raw_table
            there = sorted({r.entity_key for r in self._made.raw.rows(table, entity_keys=game_pks)})
            if there:
                report = materialize_dates(
                    self._made, name, entities=there, on_progress=lambda _: self._turns.wait(),
                    instance=self._instance, aside=False,
                )  # fmt: skip
                self.held += len(report.held)
                merged += len(report.tables)
        games = many(len(game_pks), "game")
        say(f"{games} over and handed over: {', '.join(game_pks)}; {many(merged, 'table')} checked")

    def whole_date(self, day: date) -> None:
        """Let the checks look at the whole date, once nothing of it is merged live any more."""
        from mlb_platform.assets.command import materialize_dates
        from mlb_platform.ingestion.dates.plan import GAME_ENDPOINTS

        for name in GAME_ENDPOINTS:
            if self._made.raw.rows(self._made.registry.get(name).config.source.raw_table, dates=[day]):
                self.held += len(materialize_dates(self._made, name, dates=[day], instance=self._instance).held)


@contextmanager
def _stopped_by_signals(follower: Follower) -> Iterator[threading.Event]:
    """Let Ctrl-C and SIGTERM end the following after what it is at; a second one ends the process."""
    stopped = threading.Event()

    def stop(number: int, frame: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        follower.stop()
        with suppress(OSError):  # the terminal may be gone
            note("stopping after what is under way …")

    before: dict[int, object] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


@contextmanager
def _told(follower: Follower) -> Iterator[None]:
    """Say whenever the states of the games change."""
    done = threading.Event()

    def tell() -> None:
        last = ""
        while not done.wait(1.0):
            text = _states(follower)
            if text != last:
                last = text
                note(f"{follower.clock.now():%H:%M} UTC: {text or 'no games yet'}")

    thread = threading.Thread(target=tell, name="live lines", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _states(follower: Follower) -> str:
    counted: dict[str, int] = {}
    for game in list(follower.games.values()):
        words = f"stale since {game.stale_since:%H:%M}" if game.stale_since else game.state
        counted[words] = counted.get(words, 0) + 1
    return ", ".join(f"{count} {words}" for words, count in sorted(counted.items()))


def _print(run: LiveRun) -> None:
    report = run.report
    counts: dict[str, int] = {}
    for phase in report.phases.values():
        counts[phase] = counts.get(phase, 0) + 1
    games = ", ".join(f"{n} {phase}" for phase, n in sorted(counts.items())) or "none"
    say(f"{report.day}: {many(report.games, 'game')} ({games}); {many(report.polls, 'poll')}, "
        f"{many(report.captures, 'new capture')}, {many(report.errors, 'error')}")  # fmt: skip
    say(f"from raw commit to visible rows in PostgreSQL: {run.latency}")
    say(f"of these after the first minute: {run.warm}")
    for game, why in sorted(report.not_handed_over.items()):
        say(f"game {game}: {why}; repair it with `mlb ingest statsapi --game-pk {game}`", "red")
    if run.held:
        say(f"{many(run.held, 'capture')} held back: see `mlb quarantine list`", "red")
    if report.open:
        say(f"not at an end: game {', '.join(report.open)}; run it again to go on", "yellow")
