"""Two processes materialize two dates at once while games move between them: each game ends under one, complete."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

from helpers import MAY_1, MAY_2, SMALL, Bench, game, mapping_of
from pyspark.sql import SparkSession

from resources.postgres import Postgres

ROUNDS = 5
LAST = ROUNDS + 1
GAMES = (1, 2, 3, 4)


def plays(pk: int, n: int) -> list[tuple[int, int, str]]:
    """Return the plays of the nth capture of a game: one more or less each time."""
    return [(number, 1, f"{pk} at {n}") for number in range(1, 3 + (n + pk) % 3)]


def day_of(pk: int, n: int) -> date:
    """Return the date of the nth capture of a game: even games move each time, odd ones stay."""
    return MAY_1 if pk % 2 or n % 2 else MAY_2


def test_games_that_move_between_two_processes_are_neither_lost_nor_doubled(
    database: Postgres, spark: SparkSession, tmp_path: Path
) -> None:
    """Each process knows one date only; captures arrive while both are at work, and both sinks agree at the end."""
    bench = Bench(database, tmp_path / "lake", spark, mapping_of(SMALL))
    for pk in GAMES:
        bench.put(game(pk, plays(pk, 0), day_of(pk, 0)), 0)
    script = Path(__file__).with_name("moving_writer.py")
    arguments = [database.url, str(tmp_path / "lake"), str(tmp_path / "spark"), MAY_1.isoformat()]
    with subprocess.Popen(
        [sys.executable, str(script), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdin is not None and other.stdout is not None
            assert next(line for line in other.stdout if line in ("ready\n", "")) == "ready\n"
            for n in range(1, ROUNDS + 1):
                other.stdin.write("\n")
                other.stdin.flush()  # it begins now: what follows happens while it works
                for pk in GAMES:
                    bench.put(game(pk, plays(pk, n), day_of(pk, n)), n)
                bench.run(start_date=MAY_2, end_date=MAY_2)
                answer = other.stdout.readline()
                assert answer.startswith("moved "), answer
            other.stdin.write("\n")
            other.stdin.flush()
            bench.run(start_date=MAY_2, end_date=MAY_2)
            assert other.stdout.readline().startswith("moved ")
            for pk in GAMES:  # and once with nobody else at work, so that it is known which of the two finds them moved
                bench.put(game(pk, plays(pk, LAST), day_of(pk, LAST)), LAST)
            other.stdin.write("\n")
            other.stdin.flush()
            assert other.stdout.readline() == "moved 2\n"
            bench.run(start_date=MAY_2, end_date=MAY_2)
            other.stdin.close()
            assert other.wait(30) == 0
        finally:
            other.kill()
    assert bench.mapped("small.plays") == sorted(
        ((pk, day_of(pk, LAST), *p) for pk in GAMES for p in plays(pk, LAST)), key=repr
    )
    assert bench.mapped("small.games") == [(pk, day_of(pk, LAST), "Final") for pk in GAMES]
    assert bench.run().parsed == 0
