"""`mlb watch`: a game's scoreboard in the terminal, from the tables, and how fresh each table is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_platform.cli.console import grid, stdout
from mlb_platform.cli.context import platform

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from mlb_platform.live.board import Board

FEED = "game/live_game_v1"
SIDES = ("away", "home")


def register(app: typer.Typer) -> None:
    """Add the command to `mlb`."""
    app.command("watch")(watch)


def watch(
    game: Annotated[int, typer.Argument(help="The game's id.", metavar="GAME_PK")],
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.2)] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Print it once; so it is where nobody looks at a terminal.")
    ] = False,
) -> None:
    """Show a game's scoreboard as the tables have it, and how old each table's rows are. Ctrl-C ends it.

    Example: mlb watch 747175
    """
    from mlb_platform.live.board import read_board

    with platform() as made:
        tables = [t.name for t in made.registry.get(FEED).targets]
        console = stdout()
        if once or not console.is_terminal:
            console.print(picture(read_board(made.postgres, game, tables)))
            return
        from rich.live import Live

        try:
            with Live(console=console, screen=False, auto_refresh=False) as shown:
                while True:
                    shown.update(picture(read_board(made.postgres, game, tables)), refresh=True)
                    time.sleep(every)
        except KeyboardInterrupt:
            return


def picture(board: Board) -> Group:
    """Return the scoreboard to print: line score, what is going on, and the freshness of the tables."""
    from rich.console import Group
    from rich.text import Text

    game, going_on = board.game, board.situation
    away, home = (str(game[f"{side}_team_name"]) for side in SIDES)
    title = Text(f"{away} at {home}, {game['game_date']}: {game['detailed_state']}{_inning(game)}", style="bold")
    lines: list[Any] = [title, _line_score(board)]
    if game["abstract_game_state"] == "Live":
        on = [base for base in ("first", "second", "third") if going_on.get(f"runner_on_{base}_id")]
        runners = f"on {' and '.join(on)}" if on else "bases empty"
        lines.append(Text(f"{game['balls']}-{game['strikes']}, {game['outs']} out, {runners}"))
        if going_on.get("batter_name"):
            lines.append(Text(f"at bat {going_on['batter_name']}, pitching {going_on.get('pitcher_name')}"))
    told = board.last_play.get("description")
    if told:
        lines.append(Text(f"last play: {told}"))
    return Group(*lines, _freshness(board))


def _inning(game: dict[str, Any]) -> str:
    if game["abstract_game_state"] == "Preview" or game["current_inning"] is None:
        return ""
    return f", {game['inning_state'] or ''} {game['current_inning_ordinal'] or game['current_inning']}".rstrip()


def _line_score(board: Board) -> Table:
    innings = [str(row["inning"]) for row in board.innings]
    table = grid("", *innings, "R", "H", "E", right=(*innings, "R", "H", "E"), dense=True)
    for side in SIDES:
        runs = [_number(row[f"{side}_runs"]) for row in board.innings]
        totals = [_number(board.game[f"{side}_{name}"]) for name in ("score", "hits", "errors")]
        table.add_row(str(board.game[f"{side}_team_abbreviation"] or side), *runs, *totals)
    return table


def _number(value: Any) -> str:
    return "" if value is None else str(value)


def _freshness(board: Board) -> Table:
    table = grid("table", "rows", "captured", "merged", right=("rows", "merged"), dense=True)
    for row in board.freshness:
        assert board.now is not None
        seconds = (board.now - row.merged_at).total_seconds()
        table.add_row(row.table, str(row.rows), f"{row.captured_at:%Y-%m-%d %H:%M:%S} UTC", f"{_ago(seconds)} ago")
    return table


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
