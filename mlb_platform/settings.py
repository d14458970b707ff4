"""The one place that reads the environment. Nothing reads it at import."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from resources.lake_place import is_remote
from resources.sinks import MergeEngine

PROJECT_ROOT = Path(__file__).resolve().parents[1]


class Settings(BaseSettings):
    """Where the platform keeps things and what it talks to; every field is `MLB_<NAME>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="MLB_", env_ignore_empty=True, extra="ignore", frozen=True)

    home: Path = Field(default=Path(".mlb"), description="Embedded PostgreSQL, lake, Dagster home, logs, jars.")
    database_url: str | None = Field(default=None, description="External PostgreSQL 17+ instead of the embedded 18.")
    lake_url: str | None = Field(default=None, description="A path or s3://… instead of HOME/lake.")
    mappings: Path = Field(default=PROJECT_ROOT / "mapping_configs", description="Folder of mapping files.")
    spark_master: str = Field(default="local[*]", description="Spark master.")
    spark_remote: str | None = Field(default=None, description="Spark Connect URL, sc://host:port.")
    first_partition_date: date = Field(default=date(2008, 1, 1), description="First partition of dated tables.")
    delta_spark_above_mb: int = Field(default=512, description="Merges larger than this use delta-spark.")
    merge_engine: MergeEngine = Field(
        default="auto", description="Who merges: driver, executors (Spark's tasks), or auto by size."
    )
    lake_history_days: int = Field(
        default=365, ge=1, description="Days that earlier versions of tables in the lake can be read."
    )
    games_per_job: int = Field(default=150, ge=1, description="Captures that one Spark job parses at most.")
    api_url: str = Field(default="https://statsapi.mlb.com", description="The Stats API, real or simulated.")
    api_rate_per_second: float = Field(
        default=2.0, gt=0, allow_inf_nan=False, description="Requests a second of all workers together."
    )
    api_timeout_seconds: float = Field(
        default=20.0, gt=0, allow_inf_nan=False, description="Seconds to wait for a connection or for bytes."
    )
    api_attempts: int = Field(default=5, ge=1, description="How often a request is made before it has failed.")
    api_clock_url: str | None = Field(default=None, description="The clock of a simulated API; None is the real time.")
    alert_webhook: str | None = Field(default=None, description="URL that alerts are posted to; None is the log only.")

    @field_validator("home", "mappings")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("lake_url")
    @classmethod
    def _absolute_lake(cls, value: str | None) -> str | None:
        if value is None or is_remote(value):
            return value
        return str(Path(value.removeprefix("file://")).expanduser().absolute())

    @property
    def lake(self) -> str:
        """Path or URL of the Delta lake."""
        return self.lake_url or str(self.home / "lake")

    @property
    def logs(self) -> Path:
        """Folder of log files."""
        return self.home / "logs"

    @property
    def quality_reports(self) -> Path:
        """Folder of the quality reports: TABLE/DATE.html."""
        return self.home / "reports" / "quality"

    @property
    def jars(self) -> Path:
        """Folder of the Spark jars."""
        return self.home / "jars"

    @property
    def dagster_home(self) -> Path:
        """DAGSTER_HOME of the platform."""
        return self.home / "dagster"

    @property
    def postgres_dir(self) -> Path:
        """Data folder of the embedded PostgreSQL."""
        return self.home / "postgres"


def load_settings() -> Settings:
    """Read the settings from the environment; call it when a command starts, never at import."""
    return Settings()
