"""Whether one answer of one game is there, and if not, why and what to do: decided from what is known of the game."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from mlb_platform.ingestion.dates.listings import GameState, Listing
from mlb_platform.ingestion.dates.plan import FEED, Known, local_day

UNASKED_AFTER = timedelta(hours=3)
"""A game is in progress on the word of an answer this old at most; after that nobody is asking."""


@dataclass(frozen=True)
class Answer:
    """What is known of one endpoint's answers of a game."""

    newest: Known | None = None
    raw_captures: int = 0
    state: GameState | None = None
    """The state the newest feed of the game tells."""
    final: bool = False
    """Whether the newest answer was received when the game was over."""
    merged: bool = False
    """Whether the newest answer is what all tables are made of."""
    held: tuple[int, str] | None = None
    """Raw id and rule of the newest answer, where it is held back."""
    failures: int = 0
    last_error: str | None = None
    stale_since: datetime | None = None


@dataclass(frozen=True)
class Asked:
    """When was asked last what tells a game's state, and what time it is; a time not known is not judged by."""

    now: datetime | None = None
    schedule_at: datetime | None = None
    feed_at: datetime | None = None


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
    """What is wrong, in a word: missing, held, outdated, stale, older, pending; None where nothing is."""
    reason: str | None
    """Why it is not there, also where nothing is wrong: not started, postponed to."""
    repair: str | None
    """The command that repairs it."""


def judge(game: Listing, day: date, endpoint: str, answer: Answer, asked: Asked = Asked()) -> Gap:
    """Return how one answer of a game listed under `day` is."""
    told = state_of(game, answer.state)
    expected, gap, reason, repair = _verdict(game, told, day, endpoint, answer, asked)
    newest = answer.newest.captured_at if answer.newest else None
    return Gap(
        day, game.game_pk, endpoint, told.value, expected, answer.raw_captures, newest,
        told is GameState.FINAL and answer.final, answer.merged, gap, reason, repair,
    )  # fmt: skip


def state_of(game: Listing, feed: GameState | None) -> GameState:
    """Return the state of a game by its listing and its newest feed: of the two, the one that is further.

    Schedules are often received in the morning and not again; a feed can be older than the schedule too.
    """
    if game.state.settled or feed is None or feed is GameState.PREVIEW:
        return game.state
    if game.state is GameState.SUSPENDED and not feed.settled:
        return game.state
    return feed


_Verdict = tuple[bool, str | None, str | None, str | None]


def _verdict(game: Listing, told: GameState, day: date, endpoint: str, answer: Answer, asked: Asked) -> _Verdict:
    fetch = f"mlb ingest statsapi --game-pk {game.game_pk} --endpoint {endpoint}"
    off = _off(game, told, day)
    outdated = _outdated(game, told, day, asked)
    if off is not None:
        return (
            (False, None, off, None) if outdated is None else (True, "outdated", f"{off}; {outdated[0]}", outdated[1])
        )
    if answer.held is not None:
        raw_id, rule = answer.held
        return True, "held", f"quarantined: {rule}", f"mlb quarantine show {raw_id}"
    if told is GameState.PREVIEW:
        return (False, None, told.value, None) if outdated is None else (True, "outdated", *outdated)
    if answer.newest is None:
        if endpoint != FEED and told is not GameState.FINAL and not answer.failures:
            return False, None, told.value, None  # a game is followed by its feed alone
        return True, "missing", _failed(answer) or "not fetched", fetch
    if told is not GameState.FINAL:
        if answer.stale_since is not None:
            since = f"stale since {answer.stale_since:%Y-%m-%d %H:%M} UTC: the feed's clock stands"
            return True, "stale", since, f"mlb live --date {day} --game-pk {game.game_pk}"
        return (True, None, told.value, None) if outdated is None else (True, "stale", *outdated)
    if not answer.final:
        older = "not final yet: the newest feed was captured before the end"
        older = older if endpoint == FEED else "older than the final feed"
        failed = _failed(answer)
        return True, "older", older if failed is None else f"{failed} ({older})", fetch
    if not answer.merged:
        materialize = f"mlb materialize --mapping {endpoint} --game-pk {game.game_pk}"
        return True, "pending", "captured but not materialized", materialize
    return True, None, None, None


def _failed(answer: Answer) -> str | None:
    """Return how often the fetches since the newest answer failed, and why; None where they did not."""
    if not answer.failures:
        return None
    times = "once" if answer.failures == 1 else f"{answer.failures} times"
    return f"fetch failed {times}: {answer.last_error}"


def _outdated(game: Listing, told: GameState, day: date, asked: Asked) -> tuple[str, str] | None:
    """Return why the state of a game is not to be believed any more, and what asks anew; None where it is.

    A game that has not begun, or is to be resumed, is so as long as its date is not over. One in progress is so for a
    while after an answer said it.
    """
    if asked.now is None or asked.schedule_at is None or told.settled:
        return None
    ask = f"mlb ingest statsapi --date {day}"
    if told is GameState.LIVE:
        last = max(asked.schedule_at, asked.feed_at or asked.schedule_at)
        if asked.now - last <= UNASKED_AFTER:
            return None
        return f"stale since {last:%Y-%m-%d %H:%M} UTC: in progress then, and not asked about since", ask
    if told is GameState.SUSPENDED and game.resumes is None:
        return None
    until = day if told is GameState.PREVIEW else max(day, game.resumes or day)
    if local_day(asked.now) <= until or local_day(asked.schedule_at) > until:
        return None
    return f"{told.value} by the schedule of {asked.schedule_at:%Y-%m-%d %H:%M} UTC, which was not asked for since", ask


def _off(game: Listing, told: GameState, day: date) -> str | None:
    """Return why nothing is expected of a game under a date; None where something is."""
    if told is GameState.CANCELLED:
        return "cancelled"
    if told is GameState.POSTPONED:
        return f"postponed to {game.official}" if game.official not in (None, day) else "postponed"
    if told is GameState.SUSPENDED:
        return f"suspended until {game.resumes}" if game.resumes else "suspended"
    return None


def colour_of(gaps: Iterable[Gap]) -> str:
    """Return what a date is by its lines: complete, open (nothing expected yet), pending, gaps, or none (no games)."""
    found = list(gaps)
    if not found:
        return "none"
    problems = {g.gap for g in found} - {None}
    if problems:
        return "pending" if problems == {"pending"} else "gaps"
    return "complete" if any(g.expected and g.in_tables for g in found) else "open"
