"""Captures of simulated games: at the end, during play, before it, and written out as a captures folder."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson

from mlb_platform.simulator.feed import State, capture_time, make_feed
from mlb_platform.simulator.game import Game, play_game
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.schedule import schedule
from mlb_platform.simulator.unfinished import unfinished_play

INDEX_COLUMNS = (
    "path", "endpoint", "method", "id", "captured_at", "captured_at_basis", "season", "game_type", "state", "plays",
    "bytes",
)  # fmt: skip


@dataclass(frozen=True)
class SimulatedCapture:
    """A feed as captured at a time (aware, UTC); `game` is the played game it was made from."""

    game_pk: int
    official_date: date
    captured_at: datetime
    payload: Json
    game: Game = field(repr=False, compare=False)


def make_capture(
    game: Game, state: State, captured_at: datetime, official_date: date | None = None
) -> SimulatedCapture:
    """Make the capture of a game in a state; `captured_at` is UTC without zone."""
    scheduled = game.scheduled
    payload = make_feed(game, state, captured_at)
    aware = captured_at.replace(tzinfo=UTC)
    return SimulatedCapture(scheduled.pk, official_date or scheduled.day, aware, payload, game)


def simulate_games(games: int, first_date: date, seed: int) -> Iterator[SimulatedCapture]:
    """Give final captures of that many games, fifteen a date from the first date on; the same seed, the same bytes."""
    for scheduled in schedule(games, first_date):
        game = play_game(scheduled, seed)
        yield make_capture(game, "Final", capture_time(game))


def live_capture(capture: SimulatedCapture, through_play: int, pitches: int = 0) -> SimulatedCapture:
    """Give the capture of the same game in progress, after so many of its plays and pitches of the next one.

    Raises:
        ValueError: `through_play` is not between 1 and one less than the plays of the game.
    """
    plays = capture.game.plays
    if not 0 < through_play < len(plays):
        raise ValueError(f"through_play is {through_play}; the game has {len(plays)} plays: give 1 to {len(plays) - 1}")
    shown = plays[:through_play]
    people = {player.id: player.ref for side in (capture.game.away, capture.game.home) for player in side.roster}
    going_on = unfinished_play(plays[through_play - 1], plays[through_play], pitches, people)
    game = replace(capture.game, plays=(*shown, going_on) if going_on is not None else shown)
    return replace(make_capture(game, "Live", capture_time(game, 0.2)), game=capture.game)


def preview_capture(capture: SimulatedCapture, hours: float = 6) -> SimulatedCapture:
    """Give the capture of the same game so many hours before its start: no line-ups, no plays."""
    when = capture.game.scheduled.start - timedelta(hours=hours)
    return make_capture(capture.game, "Preview", when)


def write_captures_folder(captures: Iterable[SimulatedCapture], folder: Path) -> int:
    """Write captures as gzipped JSON with an INDEX.tsv (replacing it) and give how many were written."""
    target = folder / "game" / "live_game_v1"
    target.mkdir(parents=True, exist_ok=True)
    rows = ["\t".join(INDEX_COLUMNS)]
    for capture in captures:
        body = orjson.dumps(capture.payload)
        name = f"{capture.game_pk}_{capture.captured_at:%Y%m%d_%H%M%S}_simulated.json.gz"
        (target / name).write_bytes(gzip.compress(body, compresslevel=6, mtime=0))
        rows.append("\t".join(_index_row(capture, name, len(body))))
    (folder / "INDEX.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return len(rows) - 1


def _index_row(capture: SimulatedCapture, name: str, size: int) -> tuple[str, ...]:
    game_data = capture.payload["gameData"]
    status = game_data["status"]
    return (
        f"game/live_game_v1/{name}",
        "game",
        "live_game_v1",
        str(capture.game_pk),
        f"{capture.captured_at:%Y-%m-%dT%H:%M:%SZ}",
        "feed timeStamp",
        game_data["game"]["season"],
        game_data["game"]["type"],
        f"{status['abstractGameState']}/{status['detailedState']}",
        str(len(capture.payload["liveData"]["plays"]["allPlays"])),
        str(size),
    )
