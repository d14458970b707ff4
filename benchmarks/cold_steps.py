"""What `mlb materialize` does for one date, step by step in a fresh process: where the seconds of a cold command go.

    MLB_HOME=… python -m benchmarks.cold_steps --spawned 1732658400.1 --date 2024-07-01 --table … --json FILE

Steps are taken one after another. Imports stand in the functions, as they do in the commands, so that they are seen.
"""

import sys
import time

_BEGUN = time.time()


class _Steps:
    """Seconds by step; each ends where the next begins."""

    def __init__(self, begun: float) -> None:
        self.seconds: dict[str, float] = {}
        self._last = begun

    def end(self, name: str, at: float | None = None) -> None:
        """Note what has passed since the step before."""
        now = time.time() if at is None else at
        self.seconds[name] = now - self._last
        self._last = now


def main() -> int:
    """Take the steps and leave their seconds."""
    import argparse
    from datetime import date
    from pathlib import Path

    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_steps")
    parser.add_argument("--spawned", type=float, required=True, help="when the process was started, in seconds")
    parser.add_argument("--date", type=date.fromisoformat, required=True)
    parser.add_argument("--table", action="append")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    steps = _Steps(arguments.spawned)
    steps.end("interpreter", _BEGUN)

    import mlb_platform.cli.main
    from mlb_platform.assets.command import materialize_dates
    from mlb_platform.dagster_home import open_instance
    from mlb_platform.platform import Platform
    from mlb_platform.settings import load_settings

    steps.end("imports")
    platform = Platform(load_settings())
    assert mlb_platform.cli.main is not None and platform.postgres is not None
    steps.end("database")
    platform.spark()
    steps.end("JVM and session")
    merged = [0.0]
    with open_instance(platform.settings, platform.postgres) as instance:
        steps.end("Dagster instance")
        report = materialize_dates(
            platform, "game/live_game_v1", arguments.table, [arguments.date], instance=instance,
            on_progress=lambda work: merged.append(time.time()),
        )  # fmt: skip
        steps.end("work", merged[-1])
        steps.end("checks, reports, end of the run")
    spent = report.seconds
    steps.seconds["first Spark job, rows in hand"] = spent["compute"]
    steps.seconds["merge"] = spent["merge"]
    steps.seconds["tables, plan, events"] = steps.seconds.pop("work") - spent["compute"] - spent["merge"]
    platform.spark().stop()
    steps.end("Spark's stop")

    from benchmarks.processes import leave

    leave(arguments.json, steps.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
