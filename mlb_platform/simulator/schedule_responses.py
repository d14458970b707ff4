"""Answers of the schedule: by date, of the postseason, and of the postseason's series."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from mlb_platform.simulator.feed import NOTICE
from mlb_platform.simulator.listings import Listing
from mlb_platform.simulator.people import Json
from mlb_platform.simulator.response import SimulatedResponse, only_fields

_ROUNDS = "WLDF"


def schedule(listed: Iterable[Listing], start: date, end: date | None = None) -> Json:
    """Give the answer for a date or a span of dates: listings by date, games by their start; no listing, no date."""
    last = end or start
    by_date: dict[date, list[Json]] = {}
    for day, game in listed:
        if start <= day <= last:
            by_date.setdefault(day, []).append(game)
    dates = [
        {"date": day.isoformat(), **_totals(games), "games": games, "events": []}
        for day, games in sorted((day, _by_start(games)) for day, games in by_date.items())
    ]
    every = [game for games in by_date.values() for game in games]
    return {"copyright": NOTICE, **_totals(every), "dates": dates}


def postseason(listed: Iterable[Listing]) -> Json:
    """Give the answer of the postseason's schedule: all its listings by date."""
    rows = list(listed)
    days = [day for day, _ in rows]
    answer = schedule(rows, min(days), max(days)) if days else schedule([], date.min)
    dates = answer.pop("dates")
    return answer | {"wait": 10, "dates": dates}


def postseason_series(listed: Iterable[tuple[str, Listing]]) -> Json:
    """Give the answer by series: `listed` names the series of each listing; the last round comes first."""
    by_series: dict[str, list[Json]] = {}
    for name, (_, game) in listed:
        by_series.setdefault(name, []).append(game)
    every = [game for games in by_series.values() for game in games]
    rows = []
    for name in sorted(by_series, key=lambda name: (_ROUNDS.index(name[0]), name)):
        games = by_series[name]
        totals = _totals(games)
        del totals["totalEvents"]
        final = name[0] == "W"
        rows.append(
            {
                "series": {"id": name, "sortNumber": int(final), "isDefault": final, "gameType": name[0]},
                **totals,
                "games": sorted(games, key=lambda game: game["seriesGameNumber"]),
                "sortOrder": int(final),
            }
        )
    return {"copyright": NOTICE, **_totals(every), "wait": 10, "series": rows}


def _totals(games: list[Json]) -> Json:
    live = sum(game["status"]["abstractGameState"] == "Live" for game in games)
    return {"totalItems": len(games), "totalEvents": 0, "totalGames": len(games), "totalGamesInProgress": live}


def _by_start(games: list[Json]) -> list[Json]:
    return sorted(games, key=lambda game: (game["gameDate"], game["gamePk"]))


def schedule_response(
    listed: Iterable[Listing],
    captured_at: datetime,
    start: date,
    end: date | None = None,
    *,
    hydrate: str = "",
    fields: str = "",
) -> SimulatedResponse:
    """Give the schedule of a date or span as a response; the listings must be hydrated already.

    `hydrate` and `fields` are what the request said; `fields` leaves all other members out.
    """
    payload = schedule(listed, start, end)
    games = [game for row in payload["dates"] for game in row["games"]]
    span = start.isoformat() if end is None else f"{start.isoformat()}..{end.isoformat()}"
    params = {"sportId": "1"}
    params |= {"date": span} if end is None else {"startDate": start.isoformat(), "endDate": end.isoformat()}
    params |= {name: text for name, text in (("hydrate", hydrate), ("fields", fields)) if text}
    return SimulatedResponse(
        "schedule",
        "schedule",
        span,
        captured_at,
        only_fields(payload, fields) if fields else payload,
        "/api/v1/schedule",
        params,
        season=str(start.year),
        game_type=",".join(sorted({game["gameType"] for game in games})),
        state=",".join(sorted({game["status"]["detailedState"] for game in games})),
        count=f"{len(games)} games",
    )
