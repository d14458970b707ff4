"""The README's example: a target added to the mapping is all it takes to get a table."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from mlb_platform.cli.data import simulate_into
from mlb_platform.cli.main import run
from mlb_platform.platform import Platform
from mlb_platform.settings import Settings
from resources.postgres import Postgres

ROOT = Path(__file__).parents[2]
TABLE = "game.live_game_actions"


def test_the_example_of_the_readme_becomes_a_table(
    database: Postgres, spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It lints without a word, and its rows are the action events of a simulated game, in both sinks."""
    example = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    assert example is not None and f"name: {TABLE}" in example[1]
    shutil.copytree(ROOT / "mapping_configs", tmp_path / "mappings")
    file = tmp_path / "mappings" / "game" / "live_game_v1.yaml"
    shipped = file.read_text("utf-8")
    file.write_text(shipped.replace("\ntargets:\n", f"\ntargets:\n{example[1]}\n"), "utf-8")
    assert run(["mapping", "lint", str(file)]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out

    settings = Settings(home=tmp_path / "home", database_url=database.url, mappings=file.parents[1])
    platform = Platform(settings, spark_factory=lambda: spark)
    simulate_into(platform, 1, date(2024, 7, 1), 1, [], feeds_only=True)
    platform.transformation("game/live_game_v1", [TABLE]).run()
    [capture] = platform.raw.rows("game.live_game_v1")
    import orjson

    feed = orjson.loads(platform.raw.payload("game.live_game_v1", capture.raw_id))
    plays = feed["liveData"]["plays"]["allPlays"]
    actions = [e for play in plays for e in play["playEvents"] if e["type"] == "action"]
    assert actions
    with platform.postgres.transaction() as connection:
        rows = connection.execute(f"SELECT event_type FROM {TABLE} ORDER BY at_bat_index, event_index".encode())
        assert [row[0] for row in rows] == [e["details"]["eventType"] for e in actions]
    target = platform.registry.get("game/live_game_v1").by_name[TABLE]
    from mlb_platform.extraction.specs import merge_spec

    assert all(sink.fetch(merge_spec(target)).num_rows == len(actions) for sink in platform.stores.sinks)
