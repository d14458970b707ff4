"""`mlb quality reconcile`: what tables say of a game twice, compared; a difference without a reason is a failure."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_platform.cli.console import grid, many, say, show_table
from mlb_platform.cli.context import check_range, day, platform

if TYPE_CHECKING:
    from mlb_platform.quality.reconciliation import Reconciled

SHOWN = 30
"""How many differences are printed; `--json` has all."""


def reconcile(
    start: Annotated[date | None, typer.Option("--from", help="First date.", parser=day, metavar="DATE")] = None,
    end: Annotated[date | None, typer.Option("--to", help="Last date.", parser=day, metavar="DATE")] = None,
    game_pk: Annotated[list[int] | None, typer.Option(help="Only this game; repeatable.", metavar="N")] = None,
    measures: Annotated[bool, typer.Option("--measures", help="Print a line a measure, not one a rule.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs: every difference too.")] = False,
) -> None:
    """Compare what the tables say of games twice: box score, line score and schedule against the plays.

    Games that are over are compared by every rule, games that go on by those that hold at any time. Differences that
    the source is known for (`mapping_configs/known/differences.yaml`) are counted apart. The exit code is 1 when there
    is any other.

    Example: mlb quality reconcile
    Example: mlb quality reconcile --from 2024-07-01 --to 2024-07-31
    Example: mlb quality reconcile --game-pk 747175 --json
    """
    from asset_checks.settled import reconcile_settled
    from mlb_platform.quality import reconciliation
    from mlb_platform.quality.known_differences import known_differences

    check_range(start, end)
    if game_pk and (start or end):
        raise typer.BadParameter("give --game-pk or a range of dates, not both")
    with platform() as made:
        found = reconcile_settled(
            made.postgres,
            made.registry.mappings,
            dates=reconciliation.dates_between(made.postgres, start, end) if start or end else None,
            games=game_pk or None,
            known=known_differences(made.settings.mappings),
        )
        _check_games(found, game_pk or [])
    if as_json:
        typer.echo(json.dumps(_document(found), indent=2))
    else:
        _print(found, measures)
    raise typer.Exit(1 if found.unexplained else 0)


def _check_games(found: Reconciled, asked: list[int]) -> None:
    from resources.errors import PlatformError

    looked_at = {g.game_pk for listed in found.games.values() for g in listed}
    absent = [str(pk) for pk in asked if pk not in looked_at]
    if absent:
        raise PlatformError(f"game.live_game_metadata has no game {', '.join(absent)}: materialize it first")


def _document(found: Reconciled) -> dict[str, Any]:
    from mlb_platform.quality.reconciliation import by_rule

    return {
        "rules": by_rule(found),
        "differences": [
            {"rule": d.rule, "game_pk": d.game.game_pk, "date": d.game.day.isoformat(), "subject": d.subject,
             "expected": d.expected, "actual": d.actual, "blocking": d.blocking, "known": d.reason or None}
            for d in found.differences
        ],
        "not_compared": found.absent,
        "too_early": {name: [g.game_pk for g in games] for name, games in found.early.items() if games},
        "settled": [str(k) for k in found.unmatched],
    }  # fmt: skip


def _print(found: Reconciled, measures: bool) -> None:
    from mlb_platform.quality.reconciliation import by_rule

    rows = by_rule(found, by_measure=measures)
    numbers = ("games", "comparisons", "mismatches", "known")
    table = grid("rule", *numbers, right=numbers)
    for row in rows:
        table.add_row(row["rule"], *(f"{row[n]:,}" for n in numbers), style="red" if row["mismatches"] else None)
    table.add_section()
    games = {c.game.game_pk for c in found.compared}
    sums = (f"{sum(row[n] for row in rows):,}" for n in numbers[1:])
    table.add_row(many(len(rows), "measure" if measures else "rule"), f"{len(games):,}", *sums, style="bold")
    show_table(table)
    for d in found.unexplained[:SHOWN]:
        say(f"{'✗' if d.blocking else '!'} {d}", "red" if d.blocking else "yellow")
    if len(found.unexplained) > SHOWN:
        say(f"… and {len(found.unexplained) - SHOWN} more: see --json")
    for k in found.unmatched:
        say(f"! a known difference is none any more: {k}", "yellow")
    for name, tables in found.absent.items():
        say(f"{name}: not compared, there is no {', '.join(tables)} yet", "dim")
    for name, early in found.early.items():
        if early:
            say(
                f"{name}: {many(len(early), 'game')} not compared: the response is older than the end of the game",
                "dim",
            )
    known = len(found.differences) - len(found.unexplained)
    said = f"{many(len(found.unexplained), 'unexplained difference')}, {many(known, 'known one')}"
    say(f"{'✗' if found.unexplained else '✓'} {said}", "red" if found.unexplained else "green")
