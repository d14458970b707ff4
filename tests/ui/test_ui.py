"""The Dagster UI as people use it, in a headless Chromium. The tests follow each other over one home."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Page, expect

from mlb_platform.ingestion.gate import Request, admit, gate_spec
from mlb_platform.sensors.cursor import Cursor
from mlb_platform.sensors.raw_rows import sensor_name
from mlb_platform.simulator import later_capture, simulate_games
from resources.raw_store import RawCapture

from .conftest import DAYS, FIRST, Ui

GROUP = "/locations/mlb_platform/asset-groups/game"
PLAYS = "/assets/game/live_game_plays"
MAPPING = "game/live_game_v1"

pytestmark = pytest.mark.timeout(900)


def launch(page: Page, ui: Ui, partitions: str, button: str) -> None:
    """Click through: Materialize all, these partitions, launch."""
    page.goto(ui.url + GROUP)
    page.get_by_text("Materialize all").click()
    page.get_by_text("Show all partitions").click()
    box = page.get_by_placeholder("ex: 2008-01-01")
    box.click()
    box.fill(partitions)
    box.press("Enter")
    page.get_by_role("button", name=button).click()


def merged_dates(ui: Ui) -> dict[str, int]:
    """Rows of the plays by date."""
    with ui.platform.postgres.transaction() as connection:
        known = connection.execute("SELECT to_regclass('game.live_game_plays')").fetchone()
        if known is None or known[0] is None:
            return {}
        rows = connection.execute("SELECT game_date::text, count(*) FROM game.live_game_plays GROUP BY 1")
        return dict(rows.fetchall())


def test_a_date_is_materialized_by_clicking(ui: Ui, page: Page) -> None:
    """One run, and its date and nothing else is in the tables."""
    launch(page, ui, DAYS[0].isoformat(), "Launch 1 run")
    ui.wait_for_runs(1)
    assert list(merged_dates(ui)) == [DAYS[0].isoformat()]
    page.goto(f"{ui.url}{PLAYS}?view=partitions&partition={DAYS[0]}")
    expect(page.get_by_text("postgres/inserted", exact=True)).to_be_visible()
    expect(page.get_by_text("Materialized", exact=True).first).to_be_visible()


def test_a_backfill_of_three_dates_is_one_run(ui: Ui, page: Page) -> None:
    """Three dates in one run, as the backfill policy says."""
    before = len(ui.statuses())
    launch(page, ui, f"[{DAYS[0]}...{DAYS[2]}]", "Launch backfill")
    ui.wait_for_runs(before + 1)
    assert len(ui.statuses()) == before + 1
    assert set(merged_dates(ui)) == {d.isoformat() for d in DAYS}
    page.goto(f"{ui.url}{PLAYS}?view=partitions&partition={DAYS[2]}")
    expect(page.get_by_text("Materialized (3)")).to_be_visible()
    expect(page.get_by_text("delta/inserted", exact=True)).to_be_visible()


def test_a_failed_check_shows_sample_rows(ui: Ui, page: Page) -> None:
    """The capture held back fails its table's check, with the row that broke the rule."""
    page.goto(f"{ui.url}{PLAYS}?view=checks&checkDetail=error_rules")
    expect(page.get_by_text("held back:").first).to_be_visible()
    expect(page.get_by_text('"batter_id": -5').first).to_be_visible()
    expect(page.get_by_text("batter_id_positive").first).to_be_visible()
    page.get_by_text("Execution history").locator("xpath=following::*[text()='Partitions']").first.click()
    expect(page.get_by_text("Failed (1)", exact=True)).to_be_visible()
    expect(page.get_by_text("Passed (2)", exact=True)).to_be_visible()
    page.get_by_text("Overview").last.click()
    expect(page.get_by_text('"batter_id": -5').first).to_be_visible()


def test_a_sensor_that_is_on_runs_exactly_the_date_of_a_new_capture(ui: Ui, page: Page) -> None:
    """Set to go on from here, it asks for nothing; a new capture is found by the daemon: one run of its date."""
    mapping = ui.platform.registry.get(MAPPING)
    sensor = sensor_name(mapping)
    asked, cursor = ui.try_sensor(sensor)
    assert asked == [day.isoformat() for day in DAYS]  # all that is there is new to it
    ui.start_sensor(sensor, Cursor(Cursor.parse(cursor).raw).text())
    assert ui.try_sensor(sensor)[0] == []
    before = ui.runs()
    capture = list(simulate_games(16, FIRST, seed=3))[15]
    assert capture.official_date == DAYS[1]
    later = later_capture(capture, "correction")
    admitted = admit(orjson.dumps(later.payload), Request("the test", later.captured_at), gate_spec(mapping))
    assert isinstance(admitted, RawCapture)
    ui.platform.raw.insert(mapping.config.source.raw_table, admitted)
    ui.wait_for_runs(len(before) + 1)
    assert ui.try_sensor(sensor)[0] == []
    new = ui.runs()[: len(ui.runs()) - len(before)]
    assert [r["partition"] for r in new] == [DAYS[1].isoformat()]


def test_the_columns_of_a_table_show_where_they_come_from(ui: Ui, page: Page) -> None:
    """Type, description and JSON path of each column; the lineage is in the metadata for whoever draws it."""
    page.goto(f"{ui.url}{PLAYS}?view=overview")
    expect(page.get_by_text("Inning of the play.")).to_be_visible()
    expect(page.get_by_text("$.liveData.plays.allPlays[*].about.inning").first).to_be_visible()
    answer = ui.ask(
        '{assetNodeOrError(assetKey: {path: ["game", "live_game_plays"]}) {... on AssetNode {metadataEntries {label '
        "... on TableColumnLineageMetadataEntry {lineage {columnName columnDeps {assetKey {path} columnName}}}}}}}"
    )
    entries = {e["label"]: e for e in answer["assetNodeOrError"]["metadataEntries"]}
    lineage = {c["columnName"]: c["columnDeps"] for c in entries["dagster/column_lineage"]["lineage"]}
    assert lineage["inning"] == [
        {
            "assetKey": {"path": ["raw", "game", "live_game_v1"]},
            "columnName": "$.liveData.plays.allPlays[*].about.inning",
        }
    ]


def test_the_graph_goes_from_the_raw_table_to_every_table(ui: Ui, page: Page) -> None:
    """The raw table and all tables of the mapping are in one picture."""
    tables = [t.name.split(".")[1] for t in ui.platform.registry.get(MAPPING).targets]
    page.set_viewport_size({"width": 1500, "height": 250 * len(tables)})
    page.goto(ui.url + GROUP)
    raw = page.get_by_text("live_game_v1", exact=True).first
    raw.wait_for()
    page.wait_for_timeout(1500)
    place = raw.bounding_box()
    assert place is not None
    page.mouse.move(place["x"], place["y"])
    page.keyboard.down("Control")
    for _ in range(2):
        page.mouse.wheel(0, 60)
        page.wait_for_timeout(500)
    page.keyboard.up("Control")
    page.mouse.move(300, 150)
    for table in tables:
        expect(page.get_by_text(table, exact=True).first).to_be_visible()
    page.wait_for_timeout(5000)
    folder = os.environ.get("MLB_SCREENSHOTS")
    if folder:
        middle = raw.bounding_box()
        assert middle is not None
        clip = {"x": middle["x"] - 60, "y": middle["y"] - 400, "width": 620, "height": 800}
        page.screenshot(path=Path(folder) / "asset_graph.png", clip=clip)
