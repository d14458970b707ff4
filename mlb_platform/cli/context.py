"""What every command starts from: settings, log file, the platform; and the kinds of values options take."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark import SparkContext

    from mlb_platform.history.query import TimeTravel
    from mlb_platform.mapping.resolve import ResolvedMapping
    from mlb_platform.platform import Platform
    from mlb_platform.settings import Settings


def settings() -> Settings:
    """Read the settings and start the log."""
    from mlb_platform.cli.failures import start_logging
    from mlb_platform.settings import load_settings

    loaded = load_settings()
    start_logging(loaded.logs)
    return loaded


@contextmanager
def platform() -> Iterator[Platform]:
    """Give the platform of the settings; a Spark session that was started meanwhile is stopped at the end."""
    from mlb_platform.platform import Platform

    made, before = Platform(settings()), spark_context()
    try:
        yield made
    finally:
        made.wait_for_spark()
        if before is None and (started := spark_context()) is not None:
            started.stop()
        if "postgres" in made.__dict__:
            made.postgres.close()


def spark_context() -> SparkContext | None:
    """Return this process's Spark context if there is one, without importing Spark."""
    module = sys.modules.get("pyspark")
    return module.SparkContext._active_spark_context if module is not None else None


def mapping_of(made: Platform, name: str) -> ResolvedMapping:
    """Return a mapping by name; one that is not there is a wrong question: exit code 2."""
    if name not in made.registry.mappings:
        raise typer.BadParameter(f"no mapping {name!r}; there are: {', '.join(sorted(made.registry.mappings))}")
    return made.registry.get(name)


def day(text: str | date) -> date:
    """Return the date of a text. Raises BadParameter, which says how dates are written."""
    if isinstance(text, date):
        return text
    try:
        if len(text) != len("2024-07-12"):
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no date: write YYYY-MM-DD, such as 2024-07-12") from error


def instant(text: str | datetime) -> datetime:
    """Return the time of a text, in UTC; without zone it is UTC. Raises BadParameter, which says how to write it."""
    if isinstance(text, datetime):
        return text
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time: write YYYY-MM-DDTHH:MM[:SS] with Z or an offset, such as 2024-07-13T05:00Z"
        ) from error
    return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)


@contextmanager
def time_travel() -> Iterator[TimeTravel]:
    """Give what tables held at other times; Spark, if rows have to be derived, is quiet."""
    from mlb_platform.cli.console import quiet_java
    from mlb_platform.history.query import TimeTravel

    with platform() as made, quiet_java(made.settings.logs / "spark.log"):
        yield TimeTravel(made.stores, made.settings.lake, made.registry)


def check_range(start: date | None, end: date | None) -> None:
    """Raise BadParameter when a range ends before it starts."""
    if start is not None and end is not None and end < start:
        raise typer.BadParameter(f"the range is reversed: --from {start} is after --to {end}")
