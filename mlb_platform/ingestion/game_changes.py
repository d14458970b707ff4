"""What the API says has changed: read from a watermark on, which moves only when all of it was fetched and stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlb_platform.ingestion.recaptures import Refetched, RefetchFailed, refetch
from mlb_platform.ingestion.statsapi import endpoints
from mlb_platform.ingestion.statsapi.ingest import Ingestor, UnusableAnswer
from resources.watermarks import Watermarks

NAME = "game/changes"
FIRST_LOOK = timedelta(hours=24)
"""How far back the first look goes."""
OVERLAP = timedelta(minutes=2)
"""What changed shortly before a look is asked for again at the next: the server's list may lag behind."""
PAGE = 100
_PAGES = 200


@dataclass(frozen=True)
class Changes:
    """One complete look: from when to when, and what came of the games that had changed."""

    since: datetime
    until: datetime
    refetched: Refetched


def read_changes(ingestor: Ingestor, first_look: timedelta = FIRST_LOOK) -> Changes:
    """Fetch every game that changed since the watermark, then move it to when this began.

    Raises what `Ingestor` does, UnusableAnswer or RefetchFailed: the watermark then stays, and the next look asks for
    the same again. What was stored until then stays too; to store it again changes nothing.
    """
    marks = Watermarks(ingestor.raw.postgres)
    until = ingestor.api.clock.now()
    since = marks.get(NAME) or until - first_look
    games = changed_games(ingestor, since)
    result = refetch(ingestor, games)
    if result.failed:
        raise RefetchFailed(f"game/changes since {since:%Y-%m-%d %H:%M:%S} UTC: {result.summary}; the watermark stays")
    marks.advance(NAME, until - OVERLAP)
    return Changes(since, until, result)


def changed_games(ingestor: Ingestor, since: datetime) -> list[str]:
    """Return the games that changed since an instant, from all pages; UnusableAnswer where pages do not add up.

    Games may come into the list while it is read, and shift it by a place: so each page repeats the last of the one
    before, and a list that has grown is no reason to fail; one that came out shorter than it says is. What it says may
    be of the page alone, or nothing: a full page is never taken for the last.
    """
    found: dict[str, None] = {}
    listed, offset, total = 0, 0, 0
    for _ in range(_PAGES):
        answer = ingestor.document(endpoints.game_changes(since, limit=PAGE, offset=offset))
        games = _games(answer)
        total = max(total, _total(answer))
        listed = max(listed, offset + len(games))
        full = len(games) >= PAGE
        if full and found.keys() >= set(games):
            raise UnusableAnswer(f"game/changes since {since}: the same page came again; what lies behind is not known")
        found.update(dict.fromkeys(games))
        if len(games) < 2 or (listed >= total and not full):
            break
        offset = listed - 1
    else:
        raise UnusableAnswer(f"game/changes since {since}: the list has no end after {_PAGES} pages")
    if listed < total:
        raise UnusableAnswer(f"game/changes since {since}: {listed} of {total} changes came; they are asked for again")
    return list(found)


def _games(answer: dict[str, Any]) -> list[str]:
    """Return the ids of the games on a page, of all its dates. Raises UnusableAnswer."""
    days = answer["dates"]
    if not isinstance(days, list) or not all(isinstance(day, dict) for day in days):
        raise UnusableAnswer("game/changes has no list of dates: nothing of this answer is used")
    lists = [day.get("games", []) for day in days]
    if not all(isinstance(games, list) for games in lists):
        raise UnusableAnswer("game/changes has a date without list of games: nothing of this answer is used")
    return [_key(game) for games in lists for game in games]


def _total(answer: dict[str, Any]) -> int:
    """Return how many changes there are by this answer, 0 where it does not say. Raises UnusableAnswer."""
    total = answer.get("totalItems") or 0
    if not isinstance(total, int):
        raise UnusableAnswer(f"game/changes says {total!r} for totalItems: nothing of this answer is used")
    return total


def _key(game: Any) -> str:
    key = game.get("gamePk") if isinstance(game, dict) else None
    if isinstance(key, bool) or not isinstance(key, int):
        raise UnusableAnswer("game/changes lists a game without gamePk: nothing of this answer is used")
    return str(key)
