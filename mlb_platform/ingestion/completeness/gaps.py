"""Whether one answer of one game is there, and if not, why and what to do: decided from what is known of the game."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from mlb_platform.ingestion.dates.listings import GameState, Listing
from mlb_platform.ingestion.dates.plan import FEED, Known


@dataclass(frozen=True)
class Answer:
    """What is known of one endpoint's answers of a game."""

    newest: Known | None = None
    raw_captures: int = 0
    state: GameState | None = None
    """The state the newest answer tells, where it is a feed."""
    merged: bool = False
    """Whether the newest answer is what the tables are made of."""
    held: tuple[int, str] | None = None
    """Raw id and rule of the newest answer, where it is held back."""
    failures: int = 0
    last_error: str | None = None
    stale_since: datetime | None = None


@dataclass(frozen=True)
class Gap:
    """One line of `quality.completeness`: an answer, whether it is to be there, and why it is not."""

    game_date: date
    game_pk: str
    endpoint: str
    state: str
    expected: bool
    raw_captures: int
    newest_captured_at: datetime | None
    final_captured: bool
    in_tables: bool
    gap: str | None
    """What is wrong, in a word: missing, held, stale, older, pending; None where nothing is."""
    reason: str | None
    """Why it is not there, also where nothing is wrong: not started, postponed to."""
    repair: str | None
    """The command that repairs it."""


def judge(game: Listing, day: date, endpoint: str, answer: Answer, final_at: datetime | None) -> Gap:
    """Return how one answer of a game listed under `day` is; `final_at` is when its final feed was first received."""
    told = game.state if answer.state is None or game.state.settled else answer.state
    expected, gap, reason, repair = _verdict(game, day, endpoint, answer, final_at)
    is_final = told is GameState.FINAL and answer.newest is not None and (endpoint != FEED or answer.state is told)
    return Gap(
        day, game.game_pk, endpoint, told.value, expected, answer.raw_captures,
        answer.newest.captured_at if answer.newest else None, is_final, answer.merged, gap, reason, repair,
    )  # fmt: skip


_Verdict = tuple[bool, str | None, str | None, str | None]


def _verdict(game: Listing, day: date, endpoint: str, answer: Answer, final_at: datetime | None) -> _Verdict:
    fetch = f"mlb ingest statsapi --game-pk {game.game_pk} --endpoint {endpoint}"
    off = _off(game, day)
    if off is not None:
        return False, None, off, None
    if answer.held is not None:
        raw_id, rule = answer.held
        return True, "held", f"quarantined: {rule}", f"mlb quarantine show {raw_id}"
    if game.state is GameState.PREVIEW and (answer.state is None or answer.state is GameState.PREVIEW):
        return False, None, "not started", None
    if answer.newest is None:
        if answer.failures:
            times = "once" if answer.failures == 1 else f"{answer.failures} times"
            return True, "missing", f"fetch failed {times}: {answer.last_error}", fetch
        return True, "missing", "not fetched", fetch
    if game.state is not GameState.FINAL:
        if answer.stale_since is not None:
            since = f"stale since {answer.stale_since:%Y-%m-%d %H:%M} UTC: the feed's clock stands"
            return True, "stale", since, f"mlb live --date {day} --game-pk {game.game_pk}"
        return True, None, "in progress", None
    if endpoint == FEED and answer.state is not GameState.FINAL:
        return True, "older", "not final yet: the newest feed was captured before the end", fetch
    if endpoint != FEED and final_at is not None and answer.newest.observed_at < final_at:
        return True, "older", "older than the final feed", fetch
    if not answer.merged:
        materialize = f"mlb materialize --mapping {endpoint} --game-pk {game.game_pk}"
        return True, "pending", "captured but not materialized", materialize
    return True, None, None, None


def _off(game: Listing, day: date) -> str | None:
    """Return why nothing is expected of a game under a date; None where something is."""
    if game.state is GameState.CANCELLED:
        return "cancelled"
    if game.state is GameState.POSTPONED:
        return f"postponed to {game.official}" if game.official not in (None, day) else "postponed"
    if game.state is GameState.SUSPENDED:
        return f"suspended until {game.resumes}" if game.resumes else "suspended"
    return None
