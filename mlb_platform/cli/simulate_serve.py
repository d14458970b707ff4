"""`mlb simulate serve`: the Stats API, simulated, on this machine."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mlb_platform.cli.console import note, say
from mlb_platform.cli.context import day, instant

DEFAULT_PORT = 8378
FIRST_SEASON, LAST_SEASON = 1901, 2100


def share(text: str) -> Any:
    """Return an option that is a share from 0 to 1."""
    return typer.Option(help=text, min=0, max=1)


def season_day(text: str | date) -> date:
    """Return the date of a text, where there are seasons then. Raises BadParameter."""
    found = day(text)
    if not FIRST_SEASON <= found.year <= LAST_SEASON:
        raise typer.BadParameter(f"there is no season {found.year}: give a date from {FIRST_SEASON} to {LAST_SEASON}")
    return found


def serve(
    season: Annotated[
        int, typer.Option(help="The season whose games there are.", min=FIRST_SEASON, max=LAST_SEASON)
    ] = 2024,
    speed: Annotated[float, typer.Option(help="Simulated seconds in a real one.", min=0.001)] = 60.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same games.")] = 1,
    start: Annotated[
        datetime | None,
        typer.Option(
            help="Simulated time to begin at; 14:00 UTC of July 1st by default.", parser=instant, metavar="TIME"
        ),
    ] = None,
    games: Annotated[int, typer.Option(help="Games a date.", min=1, max=15)] = 15,
    together: Annotated[bool, typer.Option("--together", help="All games of a date begin at the same time.")] = False,
    port: Annotated[int, typer.Option(help="Port; 0 is any free one.", min=0, max=65535)] = DEFAULT_PORT,
    corrections: Annotated[float, share("Share of games corrected after their end.")] = 0.0,
    vanishing: Annotated[float, share("Share of games from which rows vanish after their end.")] = 0.0,
    correction_minutes: Annotated[float, typer.Option(help="Minutes from Final to the correction.", min=0)] = 45.0,
    overturned: Annotated[float, share("Share of games with a call that a review overturns.")] = 0.0,
    delays: Annotated[float, share("Share of games delayed by rain.")] = 0.0,
    suspensions: Annotated[float, share("Share of games suspended and resumed on the next date.")] = 0.0,
    postponements: Annotated[float, share("Share of games played on a later date.")] = 0.0,
    cancellations: Annotated[float, share("Share of games never played.")] = 0.0,
    doubleheaders: Annotated[
        float | None,
        typer.Option(help="Share of dates with a doubleheader; every second date without it.", min=0, max=1),
    ] = None,
    extra_innings: Annotated[float, share("Share of games sure to go into extra innings.")] = 0.0,
    new_fields: Annotated[float, share("Share of games whose feeds have a field more.")] = 0.0,
    renamed_fields: Annotated[float, share("Share of games whose feeds call a field otherwise.")] = 0.0,
    changed_types: Annotated[float, share("Share of games whose feeds have a field of another type.")] = 0.0,
    too_many: Annotated[float, share("Share of requests answered with 429 and Retry-After.")] = 0.0,
    errors: Annotated[float, share("Share of requests answered with 500 or 503.")] = 0.0,
    html: Annotated[float, share("Share of requests answered with a page of HTML and status 200.")] = 0.0,
    cut: Annotated[float, share("Share of answers whose connection ends in the middle.")] = 0.0,
    slow: Annotated[float, share("Share of answers that come late.")] = 0.0,
    slow_seconds: Annotated[float, typer.Option(help="How late, in real seconds.", min=0)] = 3.0,
    replay: Annotated[
        Path | None, typer.Option(help="Answer from a folder of captures instead.", metavar="DIR")
    ] = None,
) -> None:
    """Serve a simulated Stats API on this machine: games go on pitch by pitch in a time of their own. Ctrl-C stops it.

    Point the platform at it with the two settings it prints.

    Example: mlb simulate serve --season 2024 --speed 60 --seed 1
    Example: mlb simulate serve --replay ../shared/captures
    """
    from mlb_platform.simulator.api.options import Faults, Odd, ServeOptions
    from mlb_platform.simulator.api.serve import open_server
    from mlb_platform.simulator.events import EventRates

    if start is not None and start.year != season and replay is None:
        raise typer.BadParameter(f"--start {start:%Y-%m-%d} is not in the season {season}: give --season {start.year}")
    options = ServeOptions(
        season=season, start=start, speed=speed, seed=seed, games=games, together=together,
        doubleheaders=doubleheaders,
        events=EventRates(delays, suspensions, postponements, cancellations, overturned, extra_innings),
        corrections=corrections, correction_minutes=correction_minutes, vanishing=vanishing,
        odd=Odd(new_fields, renamed_fields, changed_types),
        faults=Faults(too_many, errors, html, cut, slow, slow_seconds), replay=replay,
    )  # fmt: skip
    serving, listener = open_server(options, port)
    say(f"simulated Stats API on {serving.url}: it is {serving.clock.now():%Y-%m-%d %H:%M} UTC there, "
        f"{speed:g} times as fast; Ctrl-C stops it")  # fmt: skip
    say(f"  export MLB_API_URL={serving.url} MLB_API_CLOCK_URL={serving.clock_url} MLB_API_RATE_PER_SECOND=50")
    try:
        serving.server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
    note("stopped")
