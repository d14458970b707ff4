"""Jobs that fetch games again: those whose time has come, and those that the API says have changed."""

from typing import Any

from dagster import Failure, JobDefinition, MetadataValue, OpExecutionContext, in_process_executor, job, op

from mlb_platform.assets.tables import PLATFORM
from mlb_platform.dagster_home import API_POOL
from resources.errors import PlatformError

RECAPTURE_JOB, CHANGES_JOB = "recapture_final_games", "read_game_changes"
GAMES_TAG = "games"


def recapture_job() -> JobDefinition:
    """Return the job that fetches the games in its run's tag `games` again."""

    @op(name="recapture", pool=API_POOL, required_resource_keys={PLATFORM})
    def recapture(context: OpExecutionContext) -> None:
        # here, as below, since loading the definitions needs no client
        from mlb_platform.ingestion.recaptures import refetched
        from mlb_platform.ingestion.statsapi.ingest import open_ingestor

        games = [g for g in (context.run.tags.get(GAMES_TAG) or "").split(",") if g]
        with open_ingestor(getattr(context.resources, PLATFORM)) as ingestor:
            try:
                result = refetched(ingestor, games)
            except PlatformError as error:
                raise _told(error) from error
        context.log.info(result.summary)
        context.add_output_metadata(_metadata(result.requests, result.changed))

    @job(name=RECAPTURE_JOB, executor_def=in_process_executor, description=recapture_job.__doc__)
    def recapture_final_games() -> None:
        recapture()

    return recapture_final_games


def changes_job() -> JobDefinition:
    """Return the job that fetches every game that changed since the watermark, and moves the watermark."""

    @op(name="read_changes", pool=API_POOL, required_resource_keys={PLATFORM})
    def read(context: OpExecutionContext) -> None:
        from mlb_platform.ingestion.game_changes import read_changes
        from mlb_platform.ingestion.statsapi.ingest import open_ingestor

        with open_ingestor(getattr(context.resources, PLATFORM)) as ingestor:
            try:
                changes = read_changes(ingestor)
            except PlatformError as error:
                raise _told(error) from error
        context.log.info(f"changed since {changes.since}: {changes.refetched.summary}")
        context.add_output_metadata(
            {"since": changes.since.isoformat(), **_metadata(changes.refetched.requests, changes.refetched.changed)}
        )

    @job(name=CHANGES_JOB, executor_def=in_process_executor, description=changes_job.__doc__)
    def read_game_changes() -> None:
        read()

    return read_game_changes


def _metadata(requests: int, changed: list[str]) -> dict[str, Any]:
    return {"requests": requests, "changed": len(changed), "answers": MetadataValue.text("\n".join(changed[:100]))}


def _told(error: PlatformError) -> Failure:
    """Return the failure of a run whose sensor asks again by itself."""
    return Failure(str(error), allow_retries=False)
