"""Another process that materializes one date of the small mapping, over and over: run as a script by the tests."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers import SMALL, Bench, mapping_of

from mlb_platform.settings import load_settings
from resources.postgres import Postgres
from resources.spark import open_session, spark_settings


def main(url: str, lake: str, work: str, day: str) -> None:
    """Say `ready`; materialize the date for each line that comes in, answering each with how many were moved."""
    jars = load_settings().jars
    spark = open_session(spark_settings(jars, Path(work), master="local[1]", quick_start=True))
    bench = Bench(Postgres(url), Path(lake), spark, mapping_of(SMALL))
    when = date.fromisoformat(day)
    bench.run(start_date=when, end_date=when)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        report = bench.run(start_date=when, end_date=when)
        sys.stdout.write(f"moved {len(report.moved)}\n")
        sys.stdout.flush()
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
