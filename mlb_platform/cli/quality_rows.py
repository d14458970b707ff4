"""Which rows `mlb quality` looks at: a stored table of a mapping, all of it or some dates, as a frame of Spark."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from mlb_platform.mapping.resolve import ResolvedMapping, ResolvedTarget
    from mlb_platform.platform import Platform


@dataclass
class Question:
    """Rows of a stored table of one mapping, as a frame of Spark."""

    made: Platform
    mapping: ResolvedMapping
    target: ResolvedTarget
    start: date | None
    end: date | None
    postgres: bool

    @property
    def words(self) -> str:
        """The rows in words."""
        if self.start and self.start == self.end:
            return f"{self.target.name}, {self.start}"
        parts = [f"from {self.start}" if self.start else "", f"to {self.end}" if self.end else ""]
        return f"{self.target.name}, {' '.join(filter(None, parts)) or 'all rows'}"

    @property
    def source(self) -> str:
        """Where the rows are, in words."""
        return "PostgreSQL" if self.postgres else "the Delta lake"

    def frame(self) -> DataFrame:
        """Return the rows; raise PlatformError when there is no such table or no row."""
        from resources.errors import PlatformError

        found = self._of(self.target)
        if found is None:
            raise PlatformError(
                f"{self.source} has no table {self.target.name} yet: "
                f"run `mlb materialize --mapping {self.mapping.name}`"
            )
        if not found.limit(1).count():
            raise PlatformError(f"{self.words}: {self.source} has no rows of it{self._dates_there(found)}")
        return found

    def others(self) -> dict[str, DataFrame]:
        """Return the frames of the tables that rules refer to; those that are not stored yet are left out."""
        names = {str(r.to_table) for r in self.target.rules if r.kind == "reference"}
        frames = {
            t.name: self._of(t) for m in self.made.registry.mappings.values() for t in m.targets if t.name in names
        }
        return {name: frame for name, frame in frames.items() if frame is not None}

    def _of(self, target: ResolvedTarget) -> DataFrame | None:
        """Return the frame of a stored table, of the dates asked for where it has that partition; None: no table."""
        from pyspark.sql import functions as F

        from mlb_platform.quality.contract import spark_type
        from resources.lake import open_table
        from resources.lake_place import table_uri
        from resources.own_tables import table_exists
        from resources.raw_frames import jdbc_options

        spark = self.made.spark()
        if self.postgres:
            schema, name = target.name.split(".")
            with self.made.postgres.transaction() as connection:
                if not table_exists(connection, target.name):
                    return None
            options = {**jdbc_options(self.made.postgres.url), "fetchsize": "5000"}
            found = spark.read.jdbc(options.pop("url"), f'"{schema}"."{name}"', properties=options)
            types = {c.name: spark_type(c.type) for c in target.columns if c.type.name == "NUMERIC"}
            found = found.select(*[F.col(c).cast(types[c]) if c in types else F.col(c) for c in found.columns])
        elif open_table(self.made.settings.lake, target.name) is None:
            return None
        else:
            found = spark.read.format("delta").load(table_uri(self.made.settings.lake, target.name))
        if target.partition is not None and target.partition == self.target.partition:
            column = F.col(target.partition)
            found = found.where(column >= F.lit(self.start)) if self.start else found
            found = found.where(column <= F.lit(self.end)) if self.end else found
        return found

    def _dates_there(self, found: DataFrame) -> str:
        """Say which dates a table has, when none of those asked for is there."""
        if self.target.partition is None or not (self.start or self.end):
            return f": run `mlb materialize --mapping {self.mapping.name}`"
        from pyspark.sql import functions as F

        whole = replace(self, start=None, end=None)._of(self.target)
        assert whole is not None
        row = whole.agg(F.min(self.target.partition), F.max(self.target.partition)).collect()[0]
        return f"; it has rows from {row[0]} to {row[1]}" if row[0] else "; the table is empty"


def find_table(made: Platform, name: str) -> tuple[ResolvedMapping, ResolvedTarget]:
    """Return a table and its mapping; one that no mapping has (a view is none) is a wrong question."""
    mappings = made.registry.mappings.values()
    for mapping in mappings:
        if name in mapping.by_name:
            return mapping, mapping.by_name[name]
    view = next((v for m in mappings for v in m.config.views if v.name == name), None)
    if view is not None:
        raise typer.BadParameter(f"{name} is a view of {view.table}: ask for that table")
    import difflib

    known = sorted(t.name for m in mappings for t in m.targets)
    short = {t.split(".")[-1]: t for t in known}
    close = difflib.get_close_matches(name, known, 3, 0.5)
    close += [short[s] for s in difflib.get_close_matches(name.split(".")[-1], list(short), 3, 0.6)]
    shown = list(dict.fromkeys(close))[:4]
    told = f"close to it: {', '.join(shown)}" if shown else f"`mlb mapping show` lists the {len(known)} there are"
    raise typer.BadParameter(f"no mapping has a table {name!r}; {told}")
